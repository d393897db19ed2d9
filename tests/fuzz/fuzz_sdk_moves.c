/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A phone in the hands of its server.  Each byte of the input picks a move, and the next ones what it
 * needs: honest answers, damaged ones, old ones, mixtures, what a thief of the online keys would sign,
 * files changed on the way, power cuts.  What the phone installs and what it keeps is looked at each
 * time; in the end an honest build must get through.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client-sdk/src/state.h"
#include "tests/lib/phone.h"
#include "tests/lib/toy_signature.h"
#include "world.h"

#define KEPT_MAX  4u
#define MOVES_MAX 64u /* bytes of them */
#define HOUR_MS   3600000u
#define BUILDS    (HONEST_MAX - 1) /* one is kept for the end */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct {
	struct phone *phone;
	struct honest *server;
	const uint8_t *p, *end;
	struct bytes reply[KEPT_MAX]; /* answers of before */
	unsigned n_replies;
	unsigned theft; /* what the thief of the online keys changes next */
	uint8_t keys, drawn, builds;
	bool server_keys;   /* are being made */
	bool skewed;        /* the phone's clock was wrong once */
	const char *secret; /* a build whose directive the log does not hold, or NULL */
	int (*write)(void *ctx, unsigned slot, const void *state, size_t len);
	int (*activate)(void *ctx, const struct huidu_offer *offer);
} game;

static unsigned next8(void)
{
	return game.p < game.end ? *game.p++ : 0;
}

static size_t next16(void)
{
	size_t high = next8();

	return high << 8 | next8();
}

/* ---- nothing is drawn: an input does the same each time ---- */

int __wrap_crypto_key_generate(enum key_scheme scheme, struct crypto_key **out);
int __wrap_crypto_random(void *out, size_t n);

int __wrap_crypto_key_generate(enum key_scheme scheme, struct crypto_key **out)
{
	*out = game.server_keys || scheme != KEY_P256 ? world_key(game.keys++) : world_p256();
	return 0;
}

int __wrap_crypto_random(void *out, size_t n)
{
	memset(out, ++game.drawn, n);
	return 0;
}

int __wrap_crypto_key_sign(
	const struct crypto_key *key, struct bytes message, uint8_t sig[SIG_LEN]);
int __wrap_crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN]);

int __wrap_crypto_key_sign(const struct crypto_key *key, struct bytes message, uint8_t sig[SIG_LEN])
{
	uint8_t public_key[PUBLIC_MAX];

	toy_sign(bytes_of(public_key, crypto_key_public(key, public_key)), message, sig);
	return 0;
}

int __wrap_crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN])
{
	(void)scheme;
	return toy_verify(public_key, message, sig);
}

/* Reading a key is slow, too: each once, and for good. */
int __real_crypto_key_read(struct bytes der, struct crypto_key **out);
int __wrap_crypto_key_read(struct bytes der, struct crypto_key **out);
void __wrap_crypto_key_free(struct crypto_key *key);

int __wrap_crypto_key_read(struct bytes der, struct crypto_key **out)
{
	static struct {
		uint8_t der[KEY_DER_MAX];
		size_t n;
		struct crypto_key *key;
	} known[256];
	size_t i = 0;
	int err;

	while (i < 256 && known[i].key != NULL &&
		!bytes_eq(der, bytes_of(known[i].der, known[i].n)))
		i++;
	assert(i < 256 && der.n <= KEY_DER_MAX);
	*out = known[i].key;
	if (*out != NULL)
		return 0;
	err = __real_crypto_key_read(der, out);
	assert(err == 0);
	memcpy(known[i].der, der.p, der.n);
	known[i].n = der.n;
	known[i].key = *out;
	return 0;
}

void __wrap_crypto_key_free(struct crypto_key *key)
{
	(void)key;
}

/* ---- what must always be so ---- */

static const struct honest_offer *approved(const char *build_id)
{
	for (unsigned i = 0; i < game.server->n_offers; i++)
		if (strcmp(game.server->offers[i].build->build_id, build_id) == 0)
			return &game.server->offers[i];
	return NULL;
}

static const struct honest_build *signed_build(const char *build_id)
{
	for (unsigned i = 0; i < game.server->n_builds; i++)
		if (strcmp(game.server->builds[i].build_id, build_id) == 0)
			return &game.server->builds[i];
	return NULL;
}

static uint32_t bucket(void)
{
	return bucket_of(
		game.server->roles[ENVELOPE_ROOT].keyid[0], game.server->device_id, HONEST_PRODUCT);
}

/* Signed, newer, approved for this device, public, and the very bytes. */
static int on_activate(void *ctx, const struct huidu_offer *offer)
{
	const struct honest_build *b = signed_build(offer->build_id);
	const struct honest_offer *o = approved(offer->build_id);
	const struct phone *p = ctx;

	assert(b != NULL && memcmp(b->sha256, offer->sha256, SHA256_LEN) == 0);
	assert(b->release_counter > p->slot.release_counter);
	assert(b->rollback_index >= p->slot.rollback_index);
	assert(o == NULL || bucket() < o->approved_upper);
	assert(o == NULL || game.skewed || o->not_before_s <= p->clock_ms / 1000);
	assert(b->build_id != game.secret);
	assert(p->file_len == b->length && memcmp(p->file, b->file, b->length) == 0);
	return game.activate(ctx, offer);
}

/* The log a phone keeps is the one there is, up to there. */
static void check_log(const struct merkle *m)
{
	const struct honest_log *log = &game.server->log;
	uint8_t have[SHA256_LEN], want[SHA256_LEN];
	struct merkle all = { 0 };
	int err = 0;

	assert(m->size <= log->n);
	for (uint64_t i = 0; err == 0 && i < m->size; i++)
		err = merkle_add(crypto_openssl(), &all, log->leaf[i]);
	assert(err == 0);
	err = merkle_root(crypto_openssl(), &all, want) | merkle_root(crypto_openssl(), m, have);
	assert(err == 0 && memcmp(have, want, SHA256_LEN) == 0);
}

/* What a new Root may reset (a key was replaced) falls with it, and never else. */
static void check_risen(const struct state *before, const struct state *after)
{
	assert(after->root_version >= before->root_version);
	assert(after->rollback_index >= before->rollback_index);
	assert(after->last_seq >= before->last_seq);
	if (after->root_version != before->root_version)
		return;
	assert(after->timestamp_version >= before->timestamp_version);
	assert(after->snapshot.version >= before->snapshot.version);
	assert(after->floor_s >= before->floor_s && after->log.size >= before->log.size);
	for (unsigned i = 0; i < RINGS; i++)
		assert(after->director_version[i] >= before->director_version[i]);
}

/* The newest of the two that can be read; false when neither can. */
static bool read_flash(const struct phone *p, struct state *out)
{
	static struct state other;
	uint64_t generation[2] = { 0, 0 };
	bool ok[2];

	ok[0] = state_read(out, bytes_of(p->flash[0].bytes, p->flash[0].len), &generation[0]) == 0;
	ok[1] = state_read(&other, bytes_of(p->flash[1].bytes, p->flash[1].len), &generation[1]) ==
		0;
	if (ok[1] && (!ok[0] || generation[1] > generation[0]))
		*out = other;
	return ok[0] || ok[1];
}

static int on_write(void *ctx, unsigned slot, const void *blob, size_t len)
{
	static struct state before, after;
	uint64_t generation;
	bool any = read_flash(ctx, &before);
	int err = state_read(&after, bytes_of(blob, len), &generation);

	assert(err == 0);
	if (any)
		check_risen(&before, &after);
	check_log(&after.log);
	if (after.candidate.build_id[0] != '\0')
		assert(signed_build(after.candidate.build_id) != NULL);
	return game.write(ctx, slot, blob, len);
}

/* ---- moves ---- */

static void keep(struct bytes reply)
{
	struct bytes *to = &game.reply[game.n_replies++ % KEPT_MAX];
	uint8_t *p = malloc(reply.n > 0 ? reply.n : 1);

	assert(p != NULL);
	memcpy(p, reply.p, reply.n);
	free((void *)(uintptr_t)to->p);
	*to = bytes_of(p, reply.n);
}

/*
 * The honest answer to what the phone asks for, made to poll if it asks for nothing; false when
 * there is none that counts: what it enrols with is not signed.
 */
static bool asked(struct bytes *out)
{
	struct phone *p = game.phone;
	int status;

	p->hold = true;
	if (!p->is_pending)
		huidu_poll_now(p->h);
	for (unsigned i = 0; i < 8 && !p->is_pending; i++)
		(void)phone_step(p); /* kept in step_error */
	p->hold = false;
	if (!p->is_pending || p->pending.stream || strcmp(p->pending.path, "/v1/enroll") == 0)
		return false;
	status = honest_post(
		game.server, p->pending.path, bytes_of(p->pending.body, p->pending.body_len), out);
	if (status != 200)
		return false;
	keep(*out);
	return true;
}

static void answer(const void *body, size_t n)
{
	game.phone->is_pending = false;
	huidu_response(game.phone->h, 200, 0, body, n);
}

static void move_honest(void)
{
	if (game.phone->is_pending)
		phone_answer(game.phone);
	phone_poll(game.phone);
}

static void move_flip(void)
{
	struct bytes reply;
	uint8_t *copy;
	size_t at = next16();
	uint8_t x = (uint8_t)next8();

	if (!asked(&reply) || reply.n == 0)
		return;
	copy = malloc(reply.n);
	assert(copy != NULL);
	memcpy(copy, reply.p, reply.n);
	copy[at % reply.n] ^= x;
	answer(copy, reply.n);
	free(copy);
}

static void move_cut(void)
{
	struct bytes reply;
	size_t n = next16();

	if (asked(&reply))
		answer(reply.p, n % (reply.n + 1));
}

static void move_replay(void)
{
	unsigned kept = next8() % KEPT_MAX;
	struct bytes reply;

	if (asked(&reply) && game.reply[kept].p != NULL)
		answer(game.reply[kept].p, game.reply[kept].n);
}

static void move_noise(void)
{
	struct bytes reply;
	size_t n = next8(), left = (size_t)(game.end - game.p);

	n = n < left ? n : left;
	if (asked(&reply))
		answer(game.p, n);
	game.p += n;
}

static Pb__PollReply *unpack(struct bytes in, struct arena *a)
{
	int err;

	return wire_read(&pb__poll_reply__descriptor, in, &wire_admin, a, &err);
}

/* Parts of an old answer in a new one. */
static void move_mix(void)
{
	static uint8_t memory[1 << 18];
	struct arena a = { memory, sizeof(memory), 0 };
	unsigned kept = next8() % KEPT_MAX, which = next8();
	struct bytes reply, out;
	Pb__PollReply *to, *from;

	if (!asked(&reply) || game.reply[kept].p == NULL)
		return;
	to = unpack(reply, &a);
	from = unpack(game.reply[kept], &a);
	if (to == NULL || from == NULL)
		return;
	if (which & 1)
		to->timestamp = from->timestamp;
	if (which & 2) {
		to->has_snapshot = from->has_snapshot;
		to->snapshot = from->snapshot;
	}
	if (which & 4) {
		to->has_director = from->has_director;
		to->director = from->director;
	}
	if (which & 8) {
		to->plans = from->plans;
		to->n_plans = from->n_plans;
	}
	if (which & 16) {
		to->targets = from->targets;
		to->n_targets = from->n_targets;
	}
	if (which & 128) {
		to->has_log_proof = from->has_log_proof;
		to->log_proof = from->log_proof;
	}
	if (which & 32)
		to->ring = (Pb__Ring)(next8() % 4);
	if (which & 64)
		to->next_poll_s = (uint32_t)next16() << 16;
	if (wire_pack(to, &a, &out) == 0)
		answer(out.p, out.n);
}

/* Directives that no plan allows, by one who has the keys to sign them. */
static void steal_director(Pb__Director *d)
{
	Pb__Offer *o = d->n_offers > 0 ? d->offers[0] : NULL;

	if (o == NULL)
		return;
	switch (game.theft) {
	case 1:
		o->selector->upper = PPM;
		break;
	case 2:
		o->selector->lower = 0;
		o->selector->upper = UINT32_MAX;
		break;
	case 3:
		o->release_counter += 100;
		break;
	case 4:
		o->action = 2;
		break;
	case 5:
		o->step = 1;
		break;
	case 6:
		o->plan = d->offers[d->n_offers - 1]->plan;
		break;
	case 7:
		o->targets = d->offers[d->n_offers - 1]->targets;
		break;
	case 8:
		o->rollout_id = d->offers[d->n_offers - 1]->rollout_id;
		break;
	case 9:
		d->ring = 0;
		break;
	case 10:
		o->selector->from_build_ids = d->halted_build_ids;
		o->selector->n_from_build_ids = d->n_halted_build_ids;
		break;
	case 11:
		d->expires = 1;
		break;
	case 12: { /* aimed at one phone */
		static const char *one[1];
		one[0] = game.phone->slot.build_id;
		o->selector->from_build_ids = one;
		o->selector->n_from_build_ids = 1;
		break;
	}
	default:
		o->selector->seed = wire_data(game.server->report_key, SEED_LEN);
		break;
	}
}

static void steal(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_DIRECTOR)
		steal_director(message);
	if (type == ENVELOPE_SNAPSHOT && game.theft == 14)
		((Pb__Snapshot *)message)->n_directors = 3;
	if (type == ENVELOPE_TIMESTAMP && game.theft == 15)
		((Pb__Timestamp *)message)->offers_until = UINT64_MAX;
}

static void move_steal(void)
{
	game.theft = 1 + next8() % 15;
	game.server->edit = steal;
	honest_publish(game.server);
	phone_poll(game.phone);
	if (next8() & 1)
		phone_run(game.phone, 2 * HOUR_MS);
	game.server->edit = NULL;
	honest_publish(game.server);
}

static void move_offer(void)
{
	static const char *const names[BUILDS] = { "b2", "b3", "b4", "b5", "b6", "b7", "b8" };
	struct honest *s = game.server;
	const uint32_t upper[] = { PPM, bucket(), bucket() + 1, 0 };
	struct honest_offer *o;
	unsigned how = next8();

	if (s->n_builds == BUILDS)
		return;
	o = honest_add_offer(s,
		honest_add_build(s, names[s->n_builds], 2u + game.builds++, 100 + how % 8 * 999),
		3 - how / 4 % 2, upper[how % 4]);
	if (how & 64)
		o->not_before_s = (game.phone->clock_ms + 2 * HOUR_MS) / 1000;
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
}

static void move_halt(void)
{
	struct honest *s = game.server;

	if (s->n_offers == 0 || s->n_halted == HONEST_HALTED)
		return;
	s->halted[s->n_halted++] = s->offers[next8() % s->n_offers].build->build_id;
	honest_publish(s);
}

static void move_ring(void)
{
	unsigned rings = next8();

	game.server->ring = (Pb__Ring)(rings % 4);
	game.server->director_ring = (Pb__Ring)(rings / 4 % 4);
	game.server->always_full = rings & 16;
	honest_publish(game.server);
}

static void move_run(void)
{
	phone_run(game.phone, next8() % 24 * HOUR_MS);
}

static void move_sleep(void)
{
	phone_sleep(game.phone, next16() * 60000u);
	honest_tick(game.server);
}

static void move_restart(void)
{
	phone_restart(game.phone);
}

static void move_die(void)
{
	game.phone->die_at = game.phone->saves + 1 + next8() % 4;
	game.phone->die_after = next8() & 1;
	phone_run(game.phone, HOUR_MS);
}

static void move_status(void)
{
	static const int status[] = { 401, 403, 404, 429, 500, 503, -110, 200 };

	game.phone->status = status[next8() % 8];
	phone_poll(game.phone);
	game.phone->status = 0;
}

static void move_file(void)
{
	game.server->flip_file = (uint8_t)next8();
	game.phone->cut_after = next8();
	phone_run(game.phone, HOUR_MS);
	game.server->flip_file = 0;
	game.phone->cut_after = 0;
}

static void move_forget(void)
{
	game.server->known = false;
	phone_run(game.phone, HOUR_MS);
}

/* Other keys, and everything signed anew; what was stolen before is worth nothing. */
static void move_rotate(void)
{
	static const unsigned roles[] = { 1u << ENVELOPE_ROOT, 1u << ENVELOPE_TARGETS,
		1u << ENVELOPE_PLAN, 1u << ENVELOPE_DIRECTOR, 1u << ENVELOPE_SNAPSHOT,
		1u << ENVELOPE_TIMESTAMP, HONEST_LOG_KEY };
	unsigned which = next8(), changed = 0;

	for (unsigned i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (which >> i & 1)
			changed |= roles[i];
	if (game.server->root_version > HONEST_ROOTS || game.keys > 200)
		return;
	game.server_keys = true;
	honest_rotate(game.server, changed);
	game.server_keys = false;
	honest_publish(game.server);
}

/* A directive that is shown to this phone alone: signed, and not in the log. */
static void move_secret(void)
{
	static const char *const names[BUILDS] = { "s2", "s3", "s4", "s5", "s6", "s7", "s8" };
	struct honest *s = game.server;
	uint64_t first = s->log.n, n;
	uint8_t(*leaves)[SHA256_LEN];

	if (s->n_builds == BUILDS || s->n_offers == HONEST_MAX - 1)
		return;
	game.secret = names[s->n_builds];
	honest_add_offer(s, honest_add_build(s, game.secret, 2u + game.builds++, 500), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	n = s->log.n - first;
	leaves = malloc(n * SHA256_LEN);
	assert(leaves != NULL);
	memcpy(leaves, s->log.leaf[first], n * SHA256_LEN);
	memset(s->log.leaf[first], 0xee, n * SHA256_LEN);
	phone_run(game.phone, next8() % 8 * HOUR_MS);
	memcpy(s->log.leaf[first], leaves, n * SHA256_LEN);
	free(leaves);
	/* From now on it is public. */
	game.secret = NULL;
	honest_publish(s);
}

static void move_skew(void)
{
	game.skewed = true;
	game.phone->skew_ms = ((int64_t)next16() - 32768) * 3600000;
	phone_run(game.phone, HOUR_MS);
}

static void (*const moves[])(void) = {
	move_honest,
	move_flip,
	move_cut,
	move_replay,
	move_noise,
	move_mix,
	move_steal,
	move_offer,
	move_halt,
	move_ring,
	move_run,
	move_sleep,
	move_restart,
	move_die,
	move_status,
	move_file,
	move_forget,
	move_rotate,
	move_secret,
	move_skew,
};

/* ---- the game ---- */

/* A phone that is enrolled and has polled. */
static void begin(const uint8_t *data, size_t n)
{
	struct phone *p;

	memset(&game, 0, sizeof(game));
	game.p = data;
	game.end = data + n;
	game.server_keys = true;
	game.server = honest_new(PHONE_T0 / 1000);
	game.server_keys = false;
	p = game.phone = phone_new(game.server);
	game.write = p->platform.state_write;
	game.activate = p->platform.activate;
	p->platform.state_write = on_write;
	p->platform.activate = on_activate;
	if (!phone_start(p))
		abort();
	phone_settle(p);
	assert(phone_status(p).enrolled && phone_status(p).last_error == 0);
}

/* After whatever happened, an honest server is believed, and its build arrives. */
static void finish(void)
{
	struct honest *s = game.server;
	struct phone *p = game.phone;

	p->die_at = 0;
	p->skew_ms = 0;
	if (p->dead || p->restarting)
		phone_restart(p);
	s->ring = s->director_ring = PB__RING__RING_STABLE;
	if (p->is_pending)
		phone_answer(p);
	honest_withdraw(s);
	honest_add_offer(s, honest_add_build(s, "last", 1000, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	for (unsigned i = 0; i < 50 && strcmp(p->slot.build_id, "last") != 0; i++) {
		phone_run(p, HOUR_MS);
		phone_sleep(p, 0); /* the server's clock too */
		honest_tick(s);
	}
	assert(strcmp(p->slot.build_id, "last") == 0);
	phone_poll(p);
	assert(phone_status(p).last_error == 0);
}

static void end(void)
{
	phone_free(game.phone);
	honest_free(game.server);
	for (unsigned i = 0; i < KEPT_MAX; i++)
		free((void *)(uintptr_t)game.reply[i].p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	begin(data, n < MOVES_MAX ? n : MOVES_MAX);
	while (game.p < game.end) {
		if (game.phone->dead || game.phone->restarting)
			phone_restart(game.phone);
		moves[next8() % (sizeof(moves) / sizeof(moves[0]))]();
	}
	finish();
	end();
	return 0;
}
