/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/front/load.h"
#include "proto/device.pb-c.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"

#define ARENA_SIZE ((size_t)1 << 20)

struct offers {
	FILE *file;
	uint8_t arena[ARENA_SIZE];
};

/* A row of the file, in the machine's own order; times are CLOCK_MONOTONIC's. */
struct row {
	uint64_t begun_ns, had_ns;
	uint32_t answer; /* enum Answer */
	uint32_t lowest; /* release counter on offer; 0: none */
};

struct offers *offers_open(const char *file)
{
	struct offers *o = malloc(sizeof(*o));

	if (o == NULL)
		die("out of memory");
	o->file = fopen(file, "wb");
	if (o->file == NULL)
		die(file);
	return o;
}

static const void *must_read(const ProtobufCMessageDescriptor *type, struct bytes in,
	const struct lint_rules *rules, struct arena *a)
{
	int err;
	const void *m = wire_read(type, in, rules, a, &err);

	if (m == NULL)
		die(err_str(err));
	return m;
}

static uint32_t lowest_of(const Pb__PollReply *reply, struct arena *a)
{
	const Pb__Envelope *envelope;
	const Pb__Director *director;
	uint64_t lowest = 0;

	if (!reply->has_director)
		die("an answer without a director: polls that hold nothing are wanted");
	envelope = must_read(
		&pb__envelope__descriptor, wire_bytes(reply->director), &wire_envelope, a);
	director = must_read(
		&pb__director__descriptor, wire_bytes(envelope->payload), &wire_signed, a);
	for (size_t i = 0; i < director->n_offers; i++)
		if (lowest == 0 || director->offers[i]->release_counter < lowest)
			lowest = director->offers[i]->release_counter;
	return (uint32_t)lowest;
}

void offers_note(struct offers *o, const struct link *l)
{
	struct arena a = { o->arena, sizeof(o->arena), 0 };
	const char *body = strstr((const char *)l->answer, "\r\n\r\n");
	struct row row = { .begun_ns = l->begun_ns, .had_ns = now_ns() };
	const Pb__PollReply *reply;
	size_t head;

	if (strncmp((const char *)l->answer, "HTTP/1.1 200", 12) != 0)
		return; /* refused: nothing is on offer */
	if (body == NULL || l->got >= ANSWER_KEPT)
		die("an answer too long to look into");
	head = (size_t)(body + 4 - (const char *)l->answer);
	reply = must_read(&pb__poll_reply__descriptor, bytes_of(l->answer + head, l->got - head),
		&wire_admin, &a);
	row.answer = (uint32_t)reply->answer;
	row.lowest = lowest_of(reply, &a);
	if (fwrite(&row, sizeof(row), 1, o->file) != 1)
		die("write");
}

void offers_flush(struct offers *o)
{
	if (fflush(o->file) != 0)
		die("write");
}

void offers_close(struct offers *o)
{
	offers_flush(o);
	(void)fclose(o->file); /* it was flushed */
	free(o);
}
