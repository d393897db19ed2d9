/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the first inputs of the fuzzers, or of one, from real messages:
 *
 *     fuzz-corpus tests/fuzz/corpus [NAME]
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "client-sdk/src/state.h"
#include "compat_corpus.h"
#include "front_corpus.h"
#include "messages.h"
#include "tests/lib/phone.h"
#include "world.h"

static const char *top, *folder;
static unsigned n_files;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

static void into(const char *name)
{
	char path[512];

	folder = name;
	n_files = 0;
	(void)snprintf(path, sizeof(path), "%s/%s", top, folder);
	must(mkdir(path, 0755) == 0 || errno == EEXIST, path);
}

/* A first byte, if there is one, and the rest. */
static void put(int first, struct bytes rest)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s/%03u", top, folder, n_files++);
	f = fopen(path, "we");
	must(f != NULL, path);
	if (first >= 0)
		(void)fputc(first, f);
	must(fwrite(rest.p, 1, rest.n, f) == rest.n && fclose(f) == 0, path);
}

static unsigned place_of(const ProtobufCMessageDescriptor *type)
{
	unsigned i = 0;

	while (messages[i] != type)
		i++;
	return i;
}

/* Envelope and payload. */
static void put_signed(
	const ProtobufCMessageDescriptor *type, struct bytes envelope, struct arena *a)
{
	int err;
	const Pb__Envelope *e = envelope_read(envelope, a, &err);

	must(e != NULL, "envelope");
	put((int)place_of(&pb__envelope__descriptor), envelope);
	put((int)place_of(type), wire_bytes(e->payload));
}

static void put_served(struct phone *p)
{
	static uint8_t memory[1 << 18];
	struct arena a = { memory, sizeof(memory), 0 };
	const struct honest *s = p->server;

	put_signed(&pb__root__descriptor, s->root, &a);
	put_signed(&pb__timestamp__descriptor, s->timestamp, &a);
	put_signed(&pb__snapshot__descriptor, s->snapshot, &a);
	put_signed(&pb__director__descriptor, s->director[3], &a);
	put_signed(&pb__targets__descriptor, s->builds[0].targets, &a);
	put_signed(&pb__rollout_plan__descriptor, s->offers[0].plan, &a);
}

/* A phone that was just offered b2. */
static struct phone *phone(void)
{
	struct honest *s = honest_new(PHONE_T0 / 1000);
	struct phone *p = phone_new(s);

	must(phone_start(p), "phone");
	phone_settle(p);
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	return p;
}

static void end(struct phone *p)
{
	void *state = p;

	(void)phone_tear_down(&state);
}

static void put_exchange(struct phone *p)
{
	struct bytes reply;

	p->hold = true;
	huidu_poll_now(p->h);
	(void)phone_step(p); /* kept in step_error */
	must(p->is_pending, "poll");
	put((int)place_of(&pb__sealed__descriptor), bytes_of(p->pending.body, p->pending.body_len));
	must(honest_post(p->server, p->pending.path, bytes_of(p->pending.body, p->pending.body_len),
		     &reply) == 200,
		"reply");
	put((int)place_of(&pb__poll_reply__descriptor), reply);
	p->hold = false;
	phone_answer(p);
}

static void make_messages(const char *name)
{
	struct phone *p = phone();
	struct rng r = { 1 };
	struct buf b = { 0 };

	into(name);
	put_exchange(p);
	put_served(p);
	for (unsigned t = 0; t < sizeof(messages) / sizeof(messages[0]); t++) {
		b.len = 0;
		random_message(messages[t], &r, &b);
		put((int)t, buf_bytes(&b));
	}
	buf_release(&b);
	end(p);
}

static struct bytes signed_by(struct world *w, enum envelope_type type, unsigned who)
{
	struct bytes e;
	int err = envelope_wrap(type, bytes_str(WORLD_PAYLOAD), &w->arena, &e);

	for (unsigned i = 0; i < WORLD_KEYS; i++)
		if (who >> i & 1 && err == 0)
			err = envelope_sign(e, w->key[i], w->id[i], &w->arena, &e);
	must(err == 0, "sign");
	return e;
}

/* Nothing else is signed with two keys of the role: what passes is this payload. */
static void make_envelopes(const char *name)
{
	struct world *w = world();

	into(name);
	for (unsigned who = 0; who < 16; who++)
		put(-1, signed_by(w, ENVELOPE_TARGETS, who));
	put(-1, signed_by(w, ENVELOPE_PLAN, 7));
	put(-1, signed_by(w, ENVELOPE_ROOT, 3));
}

static void make_checkpoints(const char *name)
{
	static const uint64_t sizes[] = { 0, 1, 7, 100000, 999999999999999999u };
	struct world *w = world();
	uint8_t signs[44] = { 0 };

	into(name);
	w->arena.used = 0;
	for (unsigned i = 0; i < 5; i++) {
		struct checkpoint c = { .size = sizes[i] };
		struct bytes note, twice;
		memset(c.root, (uint8_t)c.size, SHA256_LEN);
		must(checkpoint_sign(WORLD_ORIGIN, &c, w->key[WORLD_LOG], &w->arena, &note) == 0,
			"sign");
		put(-1, note);
		put(-1, world_cosign(w, note, 0));
		twice = world_cosign(w, world_cosign(w, note, 0), 1);
		put(-1, twice);
		put_be64(signs, sizes[i]);
		signs[40] = (uint8_t)i;
		signs[41] = (uint8_t)(i * 40);
		signs[43] = 's';
		put(-1, bytes_of(signs, sizeof(signs)));
	}
}

static void make_proofs(const char *name)
{
	struct rng r = { 2 };
	uint8_t in[16];

	into(name);
	for (unsigned i = 0; i < 48; i++) {
		rng_fill(&r, in, sizeof(in));
		in[3] = i & 1 ? in[3] : 0; /* the place claimed */
		in[4] = i & 2 ? in[4] : 0; /* the size */
		in[5] = i & 4 ? in[5] : 0; /* the path's length */
		in[7] = i & 8 ? in[7] : 0; /* a byte of it */
		in[8] = i & 16 ? in[8] : 0;
		in[10] = i & 32 ? in[10] : 0;
		put(-1, bytes_of(in, sizeof(in)));
	}
}

/* Each slot as it is, and what is behind its head. */
static void put_state(const struct phone *p)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct phone_flash *f = &p->flash[i];
		size_t n = f->len > 24 ? get_be32(f->bytes + 12) : 0;
		if (n == 0)
			continue;
		put(0, bytes_of(f->bytes, f->len));
		put(1, bytes_of(f->bytes + 24, n));
	}
}

static void make_states(const char *name)
{
	struct phone *p = phone();

	into(name);
	put_state(p);
	for (unsigned i = 0; i < 3; i++) {
		phone_run(p, 3600000);
		put_state(p);
	}
	p->server->halted[p->server->n_halted++] = "b3";
	honest_publish(p->server);
	phone_poll(p);
	put_state(p);
	end(p);
}

/* Moves by number, as fuzz_sdk_moves.c lists them. */
static void make_moves(const char *name)
{
	static const uint8_t in[][12] = {
		{ 7, 0, 10, 23, 0 },                     /* an update */
		{ 7, 2, 0, 1, 0, 90, 4, 10, 2 },         /* the edge of a share, a byte changed */
		{ 7, 1, 10, 9, 6, 0, 1, 10, 9 },         /* not for us; a wider selector */
		{ 7, 1, 7, 2, 6, 5, 1, 6, 6, 1 },        /* another offer's plan, its build */
		{ 7, 0, 0, 8, 0, 0, 10, 3 },             /* halted */
		{ 0, 7, 0, 0, 3, 0, 5, 0, 6, 5, 1, 31 }, /* old answers, and mixtures */
		{ 9, 21, 0, 9, 5, 0, 9, 30, 0, 10, 1 },  /* rings */
		{ 7, 0, 13, 1, 1, 13, 0, 0, 10, 5 },     /* power cuts */
		{ 7, 0, 15, 1, 0, 10, 2, 15, 0, 9 },     /* files */
		{ 14, 0, 16, 14, 4, 10, 4, 7, 64, 10, 9 },
		{ 11, 20, 0, 0, 12, 7, 0, 2, 1, 200, 10, 8 },
		{ 4, 5, 0x0a, 1, 0, 0x12, 0, 7, 3, 10, 1 },
		{ 1, 0, 0, 0, 11, 0, 1, 0, 3, 0 },          /* a Timestamp of before */
		{ 1, 0, 0, 0, 7, 0, 11, 0, 1, 5, 0, 1 },    /* the same, the rest of today */
		{ 17, 0x38, 0, 17, 0x7f, 0, 17, 1, 10, 2 }, /* new keys */
		{ 6, 14, 0, 17, 8, 5, 0, 255, 10, 3 },
		{ 18, 3, 18, 7, 10, 2 },                        /* directives nobody else sees */
		{ 19, 0, 0, 7, 0, 10, 1, 19, 255, 255, 10, 4 }, /* wrong clocks */
	};

	into(name);
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		put(-1, bytes_of(in[i], sizeof(in[i])));
	for (uint8_t what = 0; what < 15; what++) {
		const uint8_t theft[] = { 7, 1, 7, 3, 8, 1, 6, what, 1, 10, 4 };
		put(-1, bytes_of(theft, sizeof(theft)));
	}
}

static void make_requests(const char *name)
{
	static const char *const in[] = {
		"GET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /v1/poll HTTP/1.1\r\nHost: a:8443\r\nContent-Length: 5\r\n\r\nhello",
		"POST /v1/report HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		"5;x=y\r\nhello\r\n0\r\nTrailer: t\r\n\r\n",
		"HEAD /v1/artifact/00?x=1 HTTP/1.0\r\nRange: bytes=1-2\r\nConnection: close\r\n\r\n",
		"GET http://a/v1/log/checkpoint HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
		"\r\nGET / HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Length: 2\n\nx",
	};

	into(name);
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		put(-1, bytes_str(in[i]));
}

static void make_polls(const char *name)
{
	into(name);
	front_polls(put);
}

static void make_reports(const char *name)
{
	into(name);
	front_reports(put);
}

static void make_connections(const char *name)
{
	into(name);
	front_connections(put);
}

static void make_ddi(const char *name)
{
	into(name);
	compat_ddi(put);
}

static void make_omaha(const char *name)
{
	into(name);
	compat_omaha(put);
}

static void make_mender(const char *name)
{
	into(name);
	compat_mender(put);
}

static const struct {
	const char *name;
	void (*make)(const char *name);
} corpora[] = {
	{ "lint", make_messages },
	{ "repack", make_messages },
	{ "dsse", make_envelopes },
	{ "checkpoint", make_checkpoints },
	{ "inclusion", make_proofs },
	{ "sdk_state", make_states },
	{ "sdk_moves", make_moves },
	{ "http_request", make_requests },
	{ "http", make_connections },
	{ "poll", make_polls },
	{ "report", make_reports },
	{ "ddi", make_ddi },
	{ "omaha", make_omaha },
	{ "mender", make_mender },
};

int main(int argc, char **argv)
{
	if (argc < 2) {
		(void)fprintf(stderr, "usage: %s DIRECTORY [NAME]\n", argv[0]);
		return 2;
	}
	top = argv[1];
	for (size_t i = 0; i < sizeof(corpora) / sizeof(corpora[0]); i++)
		if (argc < 3 || strcmp(argv[2], corpora[i].name) == 0)
			corpora[i].make(corpora[i].name);
	return 0;
}
