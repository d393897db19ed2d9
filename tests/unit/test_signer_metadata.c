/* SPDX-License-Identifier: Apache-2.0 */
/* How far ahead the online keys sign, how much, and at what time: nothing of it is huidud's choice. */
#include "unit.h"

#include "server/trust/guard.h"
#include "signer_world.h"

#define DAY_S 86400ull

static const uint8_t sha[SHA256_LEN];

/* ---- how far ahead ---- */

static int ask_director(uint64_t expires)
{
	w.director.n_offers = 0;
	w.director.version++;
	w.director.expires = expires;
	return signer_world_ask(ENVELOPE_DIRECTOR, &w.director);
}

static int ask_snapshot(uint64_t expires)
{
	w.snapshot.expires = expires;
	return signer_world_take_snapshot(signer_world_floor("snapshot/phone-a") + 1);
}

static int ask_timestamp(uint64_t expires, uint64_t offers_until, uint64_t issued_at)
{
	static uint64_t version;
	Pb__Timestamp t = signer_world_timestamp(++version);

	t.expires = expires;
	t.offers_until = offers_until;
	t.issued_at = issued_at;
	return signer_world_ask(ENVELOPE_TIMESTAMP, &t);
}

static void test_lives(void **state)
{
	uint64_t now = signer_now_s(), skew = 60;

	(void)state;
	signer_world_files();
	w.director.version = 1;
	assert_int_equal(ask_director(now + 7 * DAY_S), 0);
	assert_int_equal(ask_director(now + 7 * DAY_S + skew + 1), ERR_BAD_RANGE);
	assert_int_equal(ask_director(UINT64_MAX), ERR_BAD_RANGE);
	assert_int_equal(ask_snapshot(now + 7 * DAY_S), 0);
	assert_int_equal(ask_snapshot(now + 7 * DAY_S + skew + 1), ERR_BAD_RANGE);
	assert_int_equal(ask_timestamp(now + DAY_S, now + DAY_S / 4, now), 0);
	assert_int_equal(ask_timestamp(now + DAY_S + skew + 1, now, now), ERR_BAD_RANGE);
	assert_int_equal(ask_timestamp(now, now + DAY_S / 4 + skew + 1, now), ERR_BAD_RANGE);
	/* It would push phones' idea of the time ahead. */
	assert_int_equal(ask_timestamp(now, now, now + skew + 1), ERR_BAD_RANGE);
	assert_int_equal(ask_timestamp(now, now, now - DAY_S), 0);
}

/* ---- grants and time ---- */

static Pb__RingGrant grant;
static uint8_t device[ID_LEN];

static void make_grant(void)
{
	grant = (Pb__RingGrant)PB__RING_GRANT__INIT;
	grant.spec_version = 1;
	grant.repository = "demo";
	grant.product = "phone-a";
	grant.device_id = wire_data(device, ID_LEN);
	grant.ring = 2;
	grant.issued_at = signer_now_s();
	grant.expires = grant.issued_at + 90 * DAY_S;
}

static void as_it_is(void)
{
}

static void core(void)
{
	grant.ring = 0;
}

static void stable(void)
{
	grant.ring = 3;
}

static void short_id(void)
{
	grant.device_id.len = 15;
}

static void too_long(void)
{
	grant.expires++;
}

static void backwards(void)
{
	grant.expires = grant.issued_at - 1;
}

static void yesterday(void)
{
	grant.issued_at -= DAY_S;
	grant.expires -= DAY_S;
}

static void tomorrow(void)
{
	grant.issued_at += DAY_S;
	grant.expires += DAY_S;
}

static void another_repository(void)
{
	grant.repository = "other";
}

static void no_product(void)
{
	grant.product = "";
}

static const struct {
	const char *why;
	void (*change)(void);
	int want;
} grants[] = {
	{ "dev", as_it_is, 0 },
	{ "core", core, 0 },
	{ "stable needs none", stable, ERR_BAD_RANGE },
	{ "a short id", short_id, ERR_BAD_RANGE },
	{ "longer than 90 days", too_long, ERR_BAD_RANGE },
	{ "ends before it begins", backwards, ERR_BAD_RANGE },
	{ "of yesterday", yesterday, ERR_BAD_RANGE },
	{ "of tomorrow", tomorrow, ERR_BAD_RANGE },
	{ "another deployment's", another_repository, ERR_WRONG_REPOSITORY },
	{ "of no product", no_product, ERR_BAD_RANGE },
};

static void check_opens(struct bytes envelope, enum envelope_type type)
{
	struct bytes payload;

	assert_int_equal(
		envelope_open(crypto_openssl(), envelope, type, w.root->root, &w.arena, &payload),
		0);
}

static void test_grants(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(grants); i++) {
		struct bytes envelope;
		int err;
		make_grant();
		grants[i].change();
		err = signer_world_get(ENVELOPE_GRANT, &grant, &envelope);
		if (err != grants[i].want)
			fail_msg("%s: %s", grants[i].why, err_name(err));
		if (err == 0)
			check_opens(envelope, ENVELOPE_GRANT);
	}
}

static int ask_time(uint64_t time_s, struct bytes *envelope)
{
	Pb__TimeStatement t = PB__TIME_STATEMENT__INIT;

	t.spec_version = 1;
	t.repository = "demo";
	t.time_s = time_s;
	t.root = wire_data(sha, SHA256_LEN);
	return signer_world_get(ENVELOPE_TIME, &t, envelope);
}

static void test_time(void **state)
{
	static const struct {
		int64_t off;
		int want;
	} row[] = { { 0, 0 }, { 2, 0 }, { -2, 0 }, { 3, ERR_CLOCK }, { -3, ERR_CLOCK },
		{ 86400, ERR_CLOCK } };
	Pb__TimeStatement t = PB__TIME_STATEMENT__INIT;
	struct bytes envelope;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		int err = ask_time(signer_now_s() + (uint64_t)row[i].off, &envelope);
		assert_int_equal(err, row[i].want);
		if (err == 0)
			check_opens(envelope, ENVELOPE_TIME);
	}
	t.repository = "demo";
	t.time_s = signer_now_s();
	t.root = wire_data(sha, SHA256_LEN - 1);
	assert_int_equal(signer_world_ask(ENVELOPE_TIME, &t), ERR_BAD_RANGE);
	t.root.len = SHA256_LEN;
	t.repository = "other";
	assert_int_equal(signer_world_ask(ENVELOPE_TIME, &t), ERR_WRONG_REPOSITORY);
}

/* ---- how much ---- */

static void test_nothing(void **state)
{
	(void)state;
	assert_int_equal(signer_sign(w.signer, NULL, 0, NULL), ERR_MISSING_FIELD);
}

/* Whoever asks for time all day gets 100 a second, and metadata is signed all the same. */
static void test_rate(void **state)
{
	struct signer_item items[500];
	struct buf out[500];
	unsigned taken = 0;
	int err = 0;

	(void)state;
	make_grant();
	for (size_t i = 0; i < COUNT(items); i++)
		items[i] = signer_world_item(ENVELOPE_GRANT, &grant);
	while (err == 0 && taken < 10) {
		err = signer_sign(w.signer, items, COUNT(items), out);
		for (size_t i = 0; err == 0 && i < COUNT(items); i++)
			buf_release(&out[i]);
		taken += err == 0;
	}
	assert_int_equal(err, ERR_BUSY);
	assert_int_equal(taken, 4);
	assert_int_equal(ask_director(signer_now_s()), 0);
	signer_time_passes(1000);
	assert_int_equal(signer_sign(w.signer, items, 101, out), ERR_BUSY);
	assert_int_equal(signer_sign(w.signer, items, 100, out), 0);
	for (size_t i = 0; i < 100; i++)
		buf_release(&out[i]);
	assert_int_equal(signer_sign(w.signer, items, 1, out), ERR_BUSY);
}

static void test_guard(void **state)
{
	struct guard g;
	uint64_t one[GUARD__COUNT] = { 5000, 2000 }, more[GUARD__COUNT] = { 1, 0 };

	(void)state;
	guard_init(&g, 1000);
	assert_true(guard_take(&g, one, 1000));
	assert_false(guard_take(&g, more, 1000));
	assert_false(guard_take(&g, more, 1019));
	assert_true(guard_take(&g, more, 1020));
	/* A boot clock that went back, if there were such a thing, gives nothing. */
	assert_false(guard_take(&g, more, 0));
	/* All that is asked for or nothing of it. */
	more[1] = 100000;
	assert_false(guard_take(&g, more, 100000));
	more[1] = 0;
	assert_true(guard_take(&g, more, 100000));
	/* However long nobody asks, there is never more than the burst. */
	one[0]++;
	assert_false(guard_take(&g, one, UINT64_MAX));
	one[0]--;
	assert_true(guard_take(&g, one, UINT64_MAX));
}

/* ---- the clock ---- */

static int send_confirm(unsigned who)
{
	Pb__Confirm confirm = PB__CONFIRM__INIT;
	Pb__AdminCommand m;

	signer_world_head(&m);
	confirm.what = PB__CONFIRM_WHAT__CONFIRM_CLOCK;
	m.confirm = &confirm;
	return signer_world_send(&m, KEY_RELEASE, who);
}

/* The wall clock jumps; nothing is signed until it is back, or a person says that it is right. */
static void test_jump(void **state)
{
	static const struct {
		int64_t jump_ms;
		int want;
	} row[] = { { 299999, 0 }, { -29999, 0 }, { 300001, ERR_CLOCK }, { -300001, ERR_CLOCK },
		{ 86400000, ERR_CLOCK }, { -86400000, ERR_CLOCK } };

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		assert_int_equal(ask_director(signer_now_s()), 0);
		signer_time_passes(5000);
		signer_time->wall_ms += (uint64_t)row[i].jump_ms;
		if (row[i].want == 0) {
			assert_int_equal(ask_director(signer_now_s()), 0);
			signer_time->wall_ms -= (uint64_t)row[i].jump_ms;
			signer_time_passes(300000); /* it does not go back by so much */
			assert_int_equal(ask_director(signer_now_s()), 0);
			continue;
		}
		assert_int_equal(ask_director(signer_now_s()), ERR_CLOCK);
		signer_time->wall_ms -= (uint64_t)row[i].jump_ms;
		assert_int_equal(ask_director(signer_now_s()), 0);
		signer_time->wall_ms += (uint64_t)row[i].jump_ms;
		assert_int_equal(ask_director(signer_now_s()), ERR_CLOCK);
		assert_int_equal(send_confirm(BOB), 0);
		assert_int_equal(ask_director(signer_now_s()), 0);
	}
}

/*
 * A little back, and nothing is let through that the log would then refuse: it would be durable there,
 * and nothing could ever be appended after it.  Time heals it.
 */
static void test_a_little_back(void **state)
{
	(void)state;
	signer_world_roll_out();
	signer_time->wall_ms -= 120000;
	assert_int_equal(ask_director(signer_now_s()), ERR_CLOCK);
	assert_int_equal(signer_world_act(PB__ACT__ACT_PAUSE, KEY_RELEASE, BOB), 0);
	assert_int_equal(signer_world_propose(BOB), ERR_CLOCK);
	signer_time_passes(89000);
	assert_int_equal(signer_world_propose(BOB), ERR_CLOCK);
	signer_time_passes(1000);
	assert_int_equal(signer_world_propose(BOB), 0);
	assert_int_equal(ask_director(signer_now_s()), 0);
}

/* The machine slept between the time that an entry bears and its signature. */
static void test_asleep(void **state)
{
	Pb__Decision d = PB__DECISION__INIT;
	uint64_t then = signer_time->wall_ms;
	struct bytes envelope;

	(void)state;
	signer_world_roll_out();
	d.repository = "demo";
	d.kind = PB__DECISION_KIND__DECISION_PROMOTE;
	d.has_rollout_id = d.has_step = 1;
	d.rollout_id = wire_data(w.rollout_id, ID_LEN);
	signer_time_passes(3600000);
	assert_int_equal(signer_world_get(ENVELOPE_DECISION, &d, &envelope), 0);
	assert_int_equal(signer_world_append_at(envelope, then), 0);
	w.director.version = 1;
	assert_int_equal(signer_world_get(ENVELOPE_DIRECTOR, &w.director, &envelope), 0);
	assert_int_equal(signer_world_append_at(envelope, then), 0);
	signer_time_passes(60000);
	assert_int_equal(signer_world_act(PB__ACT__ACT_PAUSE, KEY_RELEASE, BOB), 0);
}

/* Before the last signature of any process, it is in doubt at the start. */
static void test_start_in_the_past(void **state)
{
	(void)state;
	assert_int_equal(ask_director(signer_now_s()), 0);
	signer_time->wall_ms -= 300001;
	signer_time->boot_ms = 1000; /* the machine was started anew */
	signer_world_restart();
	assert_int_equal(ask_director(signer_now_s()), ERR_CLOCK);
	/* Time comes from the network, a little late. */
	signer_time->wall_ms += 300001;
	assert_int_equal(ask_director(signer_now_s()), 0);
	signer_time->wall_ms -= 86400000;
	signer_world_restart();
	assert_int_equal(ask_director(signer_now_s()), ERR_CLOCK);
	assert_int_equal(send_confirm(ALICE), 0);
	assert_int_equal(ask_director(signer_now_s()), 0);
	signer_world_restart();
	assert_int_equal(ask_director(signer_now_s()), 0);
}

/* Two weeks after it, too: phones that heard what is signed there would be deaf until then. */
static void test_start_in_the_future(void **state)
{
	(void)state;
	signer_time->wall_ms += 3650ull * 86400000;
	signer_world_restart();
	assert_int_equal(ask_director(signer_now_s()), 0); /* it has never signed */
	signer_time->wall_ms += 14 * 86400000ull;
	signer_world_restart();
	assert_int_equal(ask_director(signer_now_s()), 0);
	signer_time->wall_ms += 14 * 86400000ull + 1;
	signer_world_restart();
	assert_int_equal(ask_director(signer_now_s()), ERR_CLOCK);
	assert_int_equal(send_confirm(ALICE), 0);
	assert_int_equal(ask_director(signer_now_s()), 0);
	signer_world_restart();
	assert_int_equal(ask_director(signer_now_s()), 0);
}

/* In doubt, what stops is taken; nothing else is. */
static void test_in_doubt(void **state)
{
	uint8_t rollout_id[ID_LEN], seed[SEED_LEN];

	(void)state;
	signer_world_roll_out();
	memcpy(rollout_id, w.rollout_id, ID_LEN);
	memcpy(seed, w.seed, SEED_LEN);
	assert_int_equal(signer_world_direct(), 0);
	signer_time->wall_ms += 86400000;
	assert_int_equal(signer_world_direct(), ERR_CLOCK);
	assert_int_equal(signer_world_propose(BOB), ERR_CLOCK);
	memcpy(w.rollout_id, rollout_id, ID_LEN);
	memcpy(w.seed, seed, SEED_LEN);
	assert_int_equal(signer_world_act(PB__ACT__ACT_PAUSE, KEY_RELEASE, BOB), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_HALT, KEY_RELEASE, BOB), 0);
	assert_int_equal(signer_world_direct(), ERR_CLOCK);
	assert_int_equal(send_confirm(BOB), 0);
	assert_int_equal(signer_world_direct(), ERR_BUILD_HALTED);
}

/* A person's word is for one moment: kept back, it is worth nothing later. */
static void test_old_confirm(void **state)
{
	Pb__Confirm confirm = PB__CONFIRM__INIT;
	Pb__AdminCommand m;
	struct bytes e;
	uint64_t then = signer_time->wall_ms;

	(void)state;
	signer_world_head(&m);
	confirm.what = PB__CONFIRM_WHAT__CONFIRM_CLOCK;
	m.confirm = &confirm;
	e = signer_world_sign(ENVELOPE_COMMAND, &m, KEY_RELEASE, BOB);
	assert_int_equal(ask_director(signer_now_s()), 0);
	assert_int_equal(send_confirm(ALICE), 0);
	signer_time_passes(86400000);
	assert_int_equal(ask_director(signer_now_s()), 0);
	assert_int_equal(signer_world_append_at(e, then), ERR_CONFLICT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_lives),
		IN_WORLD(test_grants),
		IN_WORLD(test_time),
		IN_WORLD(test_nothing),
		IN_WORLD(test_rate),
		cmocka_unit_test(test_guard),
		IN_WORLD(test_jump),
		IN_WORLD(test_a_little_back),
		IN_WORLD(test_asleep),
		IN_WORLD(test_start_in_the_past),
		IN_WORLD(test_start_in_the_future),
		IN_WORLD(test_in_doubt),
		IN_WORLD(test_old_confirm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
