/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns huidud, but not the signer, mixes what was signed before with what is signed now. */
#include "unit.h"

#include "signer_world.h"

/* ---- offers ---- */

static void as_it_is(void)
{
}

static void way_back(void)
{
	w.offer.action = 2;
}

static void aimed(void)
{
	w.selector.lower = 499999;
}

static void nobody(void)
{
	w.selector.lower = w.selector.upper;
}

static void beyond(void)
{
	w.selector.upper = 500001;
}

static void turned_round(void)
{
	w.selector.lower = 400000;
	w.selector.upper = 300000;
}

static void newer_than_it_is(void)
{
	w.offer.release_counter = 2;
}

static void another_approval(void)
{
	w.plan_meta.version = 2;
}

static void for_some_builds(void)
{
	static const char *from[] = { "0.9" };

	w.selector.from_build_ids = from;
	w.selector.n_from_build_ids = 1;
}

static void for_another_product(void)
{
	w.director.product = "phone-b";
}

static void test_offers(void **state)
{
	static const struct {
		const char *why;
		void (*change)(void);
		int want;
	} row[] = {
		{ "as it is", as_it_is, 0 },
		{ "rollback", way_back, ERR_PLAN_EXCEEDED },
		{ "one bucket", aimed, ERR_PLAN_EXCEEDED },
		{ "no bucket", nobody, ERR_PLAN_EXCEEDED },
		{ "beyond the step", beyond, ERR_PLAN_EXCEEDED },
		{ "turned round", turned_round, ERR_PLAN_EXCEEDED },
		{ "another counter", newer_than_it_is, ERR_PLAN_EXCEEDED },
		{ "another version of the plan", another_approval, ERR_PLAN_EXCEEDED },
		{ "builds that the plan does not name", for_some_builds, ERR_PLAN_EXCEEDED },
		{ "another product", for_another_product, ERR_PLAN_EXCEEDED },
	};

	(void)state;
	signer_world_roll_out();
	for (size_t i = 0; i < COUNT(row); i++) {
		int err;
		signer_world_offer();
		w.plan_meta.version = 1;
		w.director.product = "phone-a";
		row[i].change();
		err = signer_world_direct();
		if (err != row[i].want)
			fail_msg("%s: %s", row[i].why, err_name(err));
	}
}

/* What was admitted once has its end all the same. */
static void test_expired_since(void **state)
{
	(void)state;
	signer_world_roll_out();
	assert_int_equal(signer_world_direct(), 0);
	signer_time_passes(99999 * 1000ull);
	assert_int_equal(signer_world_direct(), 0);
	signer_time_passes(1000);
	assert_int_equal(signer_world_direct(), ERR_EXPIRED);
}

/* A year after it was proposed, and half a year after its plan's end, it is not known any more. */
static void test_forgotten(void **state)
{
	uint64_t proposed_ms = signer_time->wall_ms, year_ms = 360 * 86400000ull;

	(void)state;
	signer_world_roll_out();
	signer_time_passes(proposed_ms + year_ms - signer_time->wall_ms);
	assert_int_equal(signer_world_log_director(0, 1), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_PAUSE, KEY_RELEASE, BOB), 0);
	signer_time_passes(1000);
	assert_int_equal(signer_world_log_director(0, 2), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_HALT, KEY_RELEASE, BOB), ERR_NOT_FOUND);
	assert_int_equal(signer_world_direct(), ERR_EXPIRED);
}

/* ---- snapshots ---- */

static struct bytes direct(uint32_t ring, uint64_t version)
{
	struct bytes e;

	w.director.n_offers = 0;
	w.director.ring = ring;
	w.director.version = version;
	w.director.expires = signer_now_s() + 1000;
	assert_int_equal(signer_world_get(ENVELOPE_DIRECTOR, &w.director, &e), 0);
	return e;
}

static void test_mixed(void **state)
{
	Pb__MetaFile old;
	uint8_t old_sha[SHA256_LEN];

	(void)state;
	signer_world_files();
	old = w.ring_meta[1];
	memcpy(old_sha, w.ring_sha[1], SHA256_LEN);
	old.sha256 = wire_data(old_sha, SHA256_LEN);
	assert_int_equal(signer_world_log_director(1, 2), 0);
	assert_int_equal(signer_world_take_snapshot(2), 0);
	/* The one before, one too few, the same twice, one too many. */
	w.rings[1] = &old;
	assert_int_equal(signer_world_take_snapshot(3), ERR_MISMATCH);
	w.rings[1] = &w.ring_meta[1];
	w.snapshot.n_directors = 3;
	assert_int_equal(signer_world_take_snapshot(3), ERR_MISMATCH);
	w.snapshot.n_directors = 4;
	w.rings[0] = &w.ring_meta[1];
	assert_int_equal(signer_world_take_snapshot(3), ERR_MISMATCH);
	w.rings[0] = &w.ring_meta[0];
	w.snapshot.product = "phone-b";
	assert_int_equal(signer_world_take_snapshot(1), ERR_MISMATCH);
	w.snapshot.product = "phone-a";
	signer_world_restart();
	assert_int_equal(signer_world_take_snapshot(3), 0);
}

/* Signed and not logged, it is named by nobody; logged again, an old one does not come back. */
static void test_not_logged(void **state)
{
	struct bytes first, second;
	uint8_t sha[SHA256_LEN];

	(void)state;
	signer_world_files();
	first = direct(0, 2);
	assert_int_equal(crypto_sha256(&first, 1, sha), 0);
	w.ring_meta[0].sha256 = wire_data(sha, SHA256_LEN);
	assert_int_equal(signer_world_take_snapshot(2), ERR_MISMATCH);
	assert_int_equal(signer_world_append(first), 0);
	assert_int_equal(signer_world_take_snapshot(2), 0);
	second = direct(0, 3);
	assert_int_equal(signer_world_append(first), ERR_FLOOR);
	/* The last that was logged stays until the next is. */
	assert_int_equal(signer_world_take_snapshot(3), 0);
	assert_int_equal(signer_world_append(second), 0);
	assert_int_equal(signer_world_append(first), ERR_FLOOR);
	assert_int_equal(signer_world_take_snapshot(4), ERR_MISMATCH);
}

/* ---- timestamps ---- */

static void test_old_snapshot(void **state)
{
	Pb__Timestamp t;
	Pb__MetaFile old;
	uint8_t sha[SHA256_LEN];

	(void)state;
	signer_world_files();
	t = signer_world_timestamp(1);
	assert_int_equal(signer_world_ask(ENVELOPE_TIMESTAMP, &t), 0);
	old = w.snapshot_meta;
	memcpy(sha, w.snapshot_sha, SHA256_LEN);
	old.sha256 = wire_data(sha, SHA256_LEN);
	assert_int_equal(signer_world_take_snapshot(2), 0);
	t.version = 2;
	t.snapshot = &old;
	assert_int_equal(signer_world_ask(ENVELOPE_TIMESTAMP, &t), ERR_MISMATCH);
	t.snapshot = &w.snapshot_meta;
	signer_world_restart();
	assert_int_equal(signer_world_ask(ENVELOPE_TIMESTAMP, &t), 0);
	t.version = 3;
	t.snapshot = &w.ring_meta[0];
	assert_int_equal(signer_world_ask(ENVELOPE_TIMESTAMP, &t), ERR_MISMATCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_offers),
		IN_WORLD(test_expired_since),
		IN_WORLD(test_forgotten),
		IN_WORLD(test_mixed),
		IN_WORLD(test_not_logged),
		IN_WORLD(test_old_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
