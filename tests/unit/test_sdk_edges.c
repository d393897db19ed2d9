/* SPDX-License-Identifier: Apache-2.0 */
/* Signed, and odd all the same: each is refused or passed over, and the honest one after it is taken. */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client-sdk/src/state.h"
#include "proto/err.h"
#include "proto/ladder.h"

#define DAY_MS 86400000ull
#define LONG64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* What the phone would start with. */
static const struct state *saved(const struct phone *p)
{
	static struct state s[2];
	uint64_t generation[2];
	bool ok[2];

	for (unsigned i = 0; i < 2; i++)
		ok[i] = state_read(&s[i], bytes_of(p->flash[i].bytes, p->flash[i].len),
				&generation[i]) == 0;
	assert_true(ok[0] || ok[1]);
	return ok[1] && (!ok[0] || generation[1] > generation[0]) ? &s[1] : &s[0];
}

/* b2, which it is to keep for later. */
static void offer(struct honest *s)
{
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_publish(s);
}

static void believes_the_honest(struct phone *p)
{
	p->server->edit = NULL;
	p->server->edit_reply = NULL;
	p->server->edit_proof = NULL;
	honest_publish(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_string_equal(phone_status(p).build_id, "b2");
}

/* ---- what the signed messages say ---- */

static const char *odd_name;

/* In the plan, too: those who approve have it from the server. */
static void with_name(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_PLAN)
		((Pb__RolloutPlan *)message)->targets->name = odd_name;
}

static void odd_names(void **state)
{
	static const char *const names[] = { "", "b2", "builds/phone1/b2", "targets/phone2/b2",
		"targets/phone10/b2", "targets/phone1", "targets/phone1/", "targets/phone1/b9",
		"targets/phone1/" LONG64 };
	struct phone *p = *state;

	phone_settle(p);
	offer(p->server);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		odd_name = names[i];
		p->server->edit = with_name;
		honest_publish(p->server);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, ERR_MISMATCH);
		assert_string_equal(phone_status(p).build_id, "");
	}
	believes_the_honest(p);
}

static void short_seed(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_PLAN)
		((Pb__RolloutPlan *)message)->seed.len--;
	if (type == ENVELOPE_DIRECTOR)
		((Pb__Director *)message)->offers[0]->selector->seed.len = SEED_LEN - 1;
}

/* No seed, no bucket: it is for nobody. */
static void seeds(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->server->edit = short_seed;
	offer(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_string_equal(phone_status(p).build_id, "");
	believes_the_honest(p);
}

static void short_plan_hash(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_DIRECTOR && ((Pb__Director *)message)->n_offers > 0)
		((Pb__Director *)message)->offers[0]->plan->sha256.len = SHA256_LEN - 1;
}

static void short_hash(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->server->edit = short_plan_hash;
	offer(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_MISMATCH);
	assert_string_equal(phone_status(p).build_id, "");
	believes_the_honest(p);
}

static unsigned offers;

static void many_offers(struct honest *s, enum envelope_type type, void *message)
{
	static Pb__Offer *list[LADDER_OFFERS_MAX + 1];
	Pb__Director *d = message;

	(void)s;
	if (type != ENVELOPE_DIRECTOR || d->n_offers == 0)
		return;
	for (unsigned i = 0; i < offers; i++)
		list[i] = d->offers[0];
	d->offers = list;
	d->n_offers = offers;
}

static void as_many_offers_as_may_be(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->server->edit = many_offers;
	offers = LADDER_OFFERS_MAX + 1;
	offer(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_REPEATED_FIELD);
	assert_string_equal(phone_status(p).build_id, "");
	offers--;
	honest_publish(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_string_equal(phone_status(p).build_id, "b2");
	believes_the_honest(p);
}

static void no_payload(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_TARGETS)
		((Pb__Targets *)message)->targets[0]->payload = NULL;
}

/* A build that is no Android package has nothing for its updater. */
static void without_payload(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->server->edit = no_payload;
	offer(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_string_equal(phone_status(p).build_id, "b2");
	assert_int_equal(saved(p)->candidate.payload_size, 0);
	believes_the_honest(p);
	assert_int_equal(saved(p)->candidate.payload_size, 3000 - 7);
}

/* The same build signed again with another file: what was fetched of the first is of no use. */
static void other_file(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	struct bytes file;

	phone_settle(p);
	offer(s);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	p->cut_after = 1000;
	honest_tick(s);
	phone_poll(p);
	assert_in_range(p->file_len, 1, 2999);
	assert_int_equal(saved(p)->candidate.started, 1);
	s->builds[0].file[0] ^= 1;
	file = bytes_of(s->builds[0].file, s->builds[0].length);
	assert_int_equal(crypto_sha256(&file, 1, s->builds[0].sha256), 0);
	honest_publish(s);
	p->cut_after = 0;
	phone_run(p, DAY_MS);
	assert_string_equal(p->slot.build_id, "b2");
	assert_memory_equal(p->file, file.p, file.n);
}

/* ---- halts ---- */

static void odd_halts(struct honest *s, enum envelope_type type, void *message)
{
	static const char *list[] = { "", LONG64, "b7" };

	(void)s;
	if (type != ENVELOPE_DIRECTOR)
		return;
	((Pb__Director *)message)->halted_build_ids = list;
	((Pb__Director *)message)->n_halted_build_ids = 3;
}

/* No build is called so: nothing to remember. */
static void halted_names(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->server->edit = odd_halts;
	offer(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_int_equal(saved(p)->n_halted, 1);
	assert_string_equal(saved(p)->halted[0].build_id, "b7");
	believes_the_honest(p);
}

/* What was halted comes back with an approval that is newer than the one it had. */
static void halted_and_lifted(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	offer(s);
	s->offers[0].plan_version = 5;
	believes_the_honest(p);
	s->halted[s->n_halted++] = "b2";
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_BUILD_HALTED);
	assert_string_equal(phone_status(p).build_id, "");
	s->n_halted = 0;
	for (uint64_t version = 1; version <= 5; version++) {
		s->offers[0].plan_version = version;
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, ERR_BUILD_HALTED);
		assert_string_equal(phone_status(p).build_id, "");
	}
	s->offers[0].plan_version = 6;
	believes_the_honest(p);
	assert_int_equal(saved(p)->n_halted, 0);
}

/* An earlier approval of the rollout it follows is no approval. */
static void plan_goes_back(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	offer(s);
	s->offers[0].plan_version = 2;
	believes_the_honest(p);
	s->offers[0].plan_version = 1;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_ROLLBACK);
	assert_string_equal(phone_status(p).build_id, "");
	s->offers[0].plan_version = 2;
	believes_the_honest(p);
}

/* ---- what replies hold ---- */

static void only_timestamp(struct honest *s, Pb__PollReply *reply)
{
	(void)s;
	reply->has_snapshot = reply->has_director = 0;
	reply->n_plans = reply->n_targets = 0;
}

/* A Timestamp that speaks of files the phone has not. */
static void files_withheld(void **state)
{
	struct phone *p = *state;

	p->server->edit_reply = only_timestamp;
	phone_settle(p);
	assert_int_equal(phone_status(p).last_error, ERR_MISMATCH);
	p->server->edit_reply = NULL;
	honest_tick(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	p->server->edit_reply = only_timestamp;
	offer(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_MISMATCH);
	assert_string_equal(phone_status(p).build_id, "");
	believes_the_honest(p);
}

/* Longer than any tree is high. */
static void long_path(struct honest *s, Pb__LogProof *proof)
{
	static ProtobufCBinaryData hashes[MERKLE_LEVELS + 1];

	for (size_t i = 0; i <= MERKLE_LEVELS; i++)
		hashes[i] = wire_data(s->log.leaf[0], SHA256_LEN);
	proof->hashes = hashes;
	proof->n_hashes = MERKLE_LEVELS + 1;
}

static void long_proof(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->server->edit_proof = long_path;
	offer(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_NOT_LOGGED);
	assert_string_equal(phone_status(p).build_id, "");
	believes_the_honest(p);
}

/* ---- roots ---- */

static void other_origin(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_ROOT)
		((Pb__Root *)message)->log->origin = "example/another-log";
}

/* Another log has another history: what is kept of the old one says nothing of it. */
static void another_log(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	assert_true(saved(p)->log.size > 0);
	s->edit = other_origin;
	honest_rotate(s, 0);
	phone_poll(p);
	assert_int_equal(saved(p)->root_version, 2);
	assert_true(saved(p)->log.size == 0);
	s->edit = NULL;
	honest_rotate(s, 0);
	offer(s);
	phone_sleep(p, DAY_MS);
	believes_the_honest(p);
	assert_int_equal(saved(p)->root_version, 3);
}

/* The same Root with one signature more is the same Root. */
static void signed_again(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	struct honest_role *r = &s->roles[ENVELOPE_ROOT];
	struct bytes root;

	phone_settle(p);
	assert_int_equal(envelope_sign(s->root, r->key[2], r->keyid[2], &s->kept, &root), 0);
	p->config.root = root.p;
	p->config.root_len = root.n;
	phone_restart(p);
	offer(s);
	believes_the_honest(p);
	assert_int_equal(saved(p)->root_version, 1);
	assert_int_equal(saved(p)->root_len, root.n);
}

static void nine_roots(struct honest *s, Pb__PollReply *reply)
{
	static ProtobufCBinaryData roots[9];

	if (s->asked.root_version != 1)
		return;
	for (size_t i = 0; i < 9; i++)
		roots[i] = wire_data(s->roots[i].p, s->roots[i].n);
	reply->roots = roots;
	reply->n_roots = 9;
}

/* Eight of them at a time, whatever comes. */
static void too_many_roots(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	for (unsigned i = 0; i < 9; i++)
		honest_rotate(s, 0);
	s->edit_reply = nine_roots;
	offer(s);
	p->hold = true;
	huidu_poll_now(p->h);
	(void)phone_step(p); /* kept in step_error */
	phone_answer(p);
	assert_int_equal(saved(p)->root_version, 9);
	p->hold = false;
	believes_the_honest(p);
	assert_int_equal(saved(p)->root_version, 10);
}

/* ---- rings ---- */

/* A seat that is about to end is not renewed once the server speaks of another. */
static void seat_lost(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	unsigned grants;

	p->config.wish = HUIDU_CORE;
	s->grant_for_s = 10 * 86400;
	s->ring = s->director_ring = PB__RING__RING_CORE;
	honest_publish(s);
	phone_restart(p);
	phone_run(p, DAY_MS / 4);
	assert_int_equal(saved(p)->grant_ring, 0);
	grants = s->grants;
	assert_true(grants > 0);
	s->ring = s->director_ring = PB__RING__RING_HONOUR;
	honest_publish(s);
	phone_run(p, DAY_MS / 4);
	assert_int_equal(saved(p)->ring, PB__RING__RING_HONOUR);
	assert_int_equal(s->grants, grants);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		ON_PHONE(odd_names),
		ON_PHONE(seeds),
		ON_PHONE(short_hash),
		ON_PHONE(as_many_offers_as_may_be),
		ON_PHONE(without_payload),
		ON_PHONE(other_file),
		ON_PHONE(halted_names),
		ON_PHONE(halted_and_lifted),
		ON_PHONE(plan_goes_back),
		ON_PHONE(files_withheld),
		ON_PHONE(long_proof),
		ON_PHONE(another_log),
		ON_PHONE(signed_again),
		ON_PHONE(too_many_roots),
		ON_PHONE(seat_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
