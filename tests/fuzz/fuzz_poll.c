/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A poll, of a device that the server knows and with the right MAC, or as it comes.  The first byte says
 * which; the rest is the PollRequest, or the whole body.
 */
#include "served.h"

#define RAW 128u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_answer(struct served *s)
{
	int err;
	const Pb__PollReply *m;

	s->d.arena.used = 0;
	m = wire_read(
		&pb__poll_reply__descriptor, buf_bytes(&s->answer), &wire_admin, &s->d.arena, &err);
	assert(m != NULL && m->ring <= PB__RING__RING_STABLE);
	assert(m->answer >= PB__ANSWER__ANSWER_UP_TO_DATE &&
		m->answer <= PB__ANSWER__ANSWER_HALTED);
	assert(m->next_poll_s == 3600);
	assert(!m->has_log_extension || m->log_extension.len % SHA256_LEN == 0);
}

/* Nobody can make a MAC, so what is taken says nothing of a device, and reports nothing. */
static void raw(struct served *s, struct bytes in)
{
	const Pb__Sealed *m;
	int err = served_ask(s, "/v1/poll", in);

	assert(err <= 0 && err != ERR_STORE && err != ERR_CORRUPT);
	if (err != 0)
		return;
	check_answer(s);
	s->d.arena.used = 0;
	m = wire_read(&pb__sealed__descriptor, in, &wire_device, &s->d.arena, &err);
	assert(m != NULL && !m->has_device_id && !m->has_mac);
}

/* Asked again when what it changed is written, it is answered the same. */
static void check_same(struct served *s, struct bytes request)
{
	struct buf first = { 0 };
	int err = served_ask(s, "/v1/poll", request);

	assert(err == 0);
	buf_add(&first, s->answer.data, s->answer.len);
	err = served_ask(s, "/v1/poll", request);
	assert(err == 0 && bytes_eq(buf_bytes(&first), buf_bytes(&s->answer)));
	buf_release(&first);
}

static void known(struct served *s, const struct test_device *t, struct bytes in)
{
	struct bytes request = served_seal(s, t, "/v1/poll", in);
	int err = served_ask(s, "/v1/poll", request);

	assert(err <= 0 && err != ERR_BAD_MAC && err != ERR_STORE && err != ERR_CORRUPT);
	if (err == 0) {
		check_answer(s);
		check_same(s, request);
	}
	err = served_ask(s, "/v1/report", request);
	assert(err == ERR_BAD_MAC || err == ERR_TOO_BIG);
	request = served_seal(s, t, "/v1/report", in);
	err = served_ask(s, "/v1/poll", request);
	assert(err == ERR_BAD_MAC || err == ERR_TOO_BIG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct served *s = served();

	if (n == 0 || n > 8192)
		return 0;
	/* Reports in polls use up what a device can say. */
	if (s->turn++ % 256 == 0)
		served_renew(s, s->turn / 256 % SERVED_DEVICES);
	if (data[0] & RAW)
		raw(s, bytes_of(data + 1, n - 1));
	else
		known(s, &s->device[data[0] % SERVED_DEVICES], bytes_of(data + 1, n - 1));
	return 0;
}
