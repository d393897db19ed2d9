/* SPDX-License-Identifier: Apache-2.0 */
/* Which files go: a state made by hand, and what it still needs. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/admin.pb-c.h"
#include "server/base/mem.h"
#include "server/service/garbage.h"

#define NOW_S  1800000000ull
#define NOW_MS (NOW_S * 1000)
#define FILES  6
#define HOUR   3600000ull

/* One build each, 1.0 with file 1 and so on; file 5 is a delta of 2.0, file 6 nobody's. */
struct world {
	struct state s;
	struct build build[4], *builds[4], *older[1], again;
	struct rollout rollout[4], *rollouts[4];
	struct rollout_build of[4];
	Pb__PlanSpec spec[4];
	struct pending pending;
	struct arena arena;
	struct garbage g;
};

static const char *ids[] = { "1.0", "2.0", "3.0", "4.0" };

static void hash_of(unsigned file, uint8_t out[SHA256_LEN])
{
	memset(out, (int)file, SHA256_LEN);
}

static void pack(enum envelope_type type, const void *m, struct buf *out)
{
	static uint8_t memory[65536];
	struct arena a = { memory, sizeof(memory), 0 };
	struct bytes payload, envelope;

	assert_int_equal(wire_pack(m, &a, &payload), 0);
	assert_int_equal(envelope_wrap(type, payload, &a, &envelope), 0);
	out->len = 0;
	buf_add(out, envelope.p, envelope.n);
}

static Pb__Targets targets_of(unsigned i, uint64_t expires)
{
	static Pb__Target file[2], *list[] = { &file[0], &file[1] };
	static uint8_t sha[2][SHA256_LEN];
	Pb__Targets t = PB__TARGETS__INIT;

	for (unsigned k = 0; k < 2; k++) {
		file[k] = (Pb__Target)PB__TARGET__INIT;
		file[k].path = "path";
		file[k].length = 1;
		hash_of(k == 0 ? i + 1 : 5, sha[k]);
		file[k].sha256 = wire_data(sha[k], SHA256_LEN);
	}
	file[1].base_build_id = "1.0";
	t.spec_version = 1;
	t.version = 1;
	t.expires = expires;
	t.repository = "test";
	t.product = "phone-a";
	t.build_id = ids[i];
	t.release_counter = i + 1;
	t.targets = list;
	t.n_targets = i == 1 ? 2 : 1;
	return t;
}

static void set_targets(struct build *b, unsigned i, uint64_t expires)
{
	Pb__Targets t = targets_of(i, expires);

	pack(ENVELOPE_TARGETS, &t, &b->targets);
	b->expires = expires;
}

/* All have expired, and no rollout is anywhere. */
static void open_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->arena = (struct arena){ mem_alloc(1 << 20), 1 << 20, 0 };
	w->s.builds = w->builds;
	w->s.rollouts = w->rollouts;
	w->s.older = w->older;
	w->s.pending = &w->pending;
	w->s.n_builds = 4;
	for (unsigned i = 0; i < 4; i++) {
		w->builds[i] = &w->build[i];
		w->build[i] = (struct build){ .product = (char *)(uintptr_t) "phone-a",
			.build_id = (char *)(uintptr_t)ids[i],
			.release_counter = i + 1 };
		hash_of(i + 1, w->build[i].sha256);
		set_targets(&w->build[i], i, NOW_S - 1);
		w->spec[i] = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
		w->of[i] = (struct rollout_build){ .build = &w->build[i], .next = &w->build[i] };
		w->rollout[i] = (struct rollout){ .builds = &w->of[i],
			.n_builds = 1,
			.spec = &w->spec[i],
			.steps = { { .ring = RING_STABLE, .upper = 1000000 } },
			.n_steps = 1 };
	}
}

static void close_world(struct world *w)
{
	for (unsigned i = 0; i < 4; i++)
		buf_release(&w->build[i].targets);
	buf_release(&w->again.targets);
	buf_release(&w->pending.envelope);
	free(w->arena.base);
}

static void roll_out(struct world *w, unsigned i, enum rollout_state state)
{
	w->rollout[i].state = state;
	w->rollouts[w->s.n_rollouts++] = &w->rollout[i];
}

/* Which files are kept, as "1 2 5". */
static void check(struct world *w, const char *why, const char *want)
{
	char have[2 * FILES + 1] = "";
	uint8_t sha[SHA256_LEN];
	size_t n = 0;

	assert_int_equal(garbage_look(&w->s, NOW_MS, &w->arena, &w->g), 0);
	for (unsigned file = 1; file <= FILES; file++) {
		hash_of(file, sha);
		if (garbage_find(&w->g, sha) != NULL)
			n += (size_t)sprintf(have + n, "%s%u", n > 0 ? " " : "", file);
	}
	if (strcmp(have, want) != 0)
		fail_msg("%s: kept '%s', not '%s'", why, have, want);
	garbage_release(&w->g);
}

static void test_signatures(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	check(&w, "all has expired", "");
	set_targets(&w.build[3], 3, NOW_S);
	check(&w, "expires now", "");
	set_targets(&w.build[3], 3, NOW_S + 1);
	check(&w, "expires in a second", "4");
	set_targets(&w.build[3], 3, NOW_S - 1);
	/* Published again for a shorter time: the older envelope still lives. */
	w.again = w.build[2];
	w.again.targets = (struct buf){ 0 };
	set_targets(&w.again, 2, NOW_S + 100);
	w.older[0] = &w.again;
	w.s.n_older = 1;
	check(&w, "an older envelope", "3");
	close_world(&w);
}

static void test_rollouts(void **state)
{
	static const char *const want[ROLLOUT__COUNT] = {
		[ROLLOUT_PROPOSED] = "3",
		[ROLLOUT_APPROVED] = "3",
		[ROLLOUT_RUNNING] = "3",
		[ROLLOUT_PAUSED] = "3",
		[ROLLOUT_HALTED] = "3",
		[ROLLOUT_COMPLETE] = "3",
		[ROLLOUT_SUPERSEDED] = "",
	};
	struct world w;

	(void)state;
	for (unsigned i = 0; i < ROLLOUT__COUNT; i++) {
		open_world(&w);
		roll_out(&w, 2, (enum rollout_state)i);
		check(&w, rollout_str((enum rollout_state)i), want[i]);
		close_world(&w);
	}
	/* Complete, and a newer one has reached everybody since. */
	open_world(&w);
	roll_out(&w, 2, ROLLOUT_COMPLETE);
	roll_out(&w, 3, ROLLOUT_RUNNING);
	check(&w, "the newer one is not there yet", "3 4");
	w.rollout[3].state = ROLLOUT_COMPLETE;
	check(&w, "the newer one is everywhere", "4");
	/* A daily build ends in honour; the weekly one is all that stable has. */
	w.rollout[3].steps[0].ring = RING_HONOUR;
	check(&w, "the newer one stays inside", "3 4");
	w.rollout[2].steps[0].ring = RING_HONOUR;
	check(&w, "the newer one reaches as far", "4");
	w.rollout[3].steps[0].upper = 500000;
	check(&w, "the newer one reaches half of them", "3 4");
	w.rollout[3].state = ROLLOUT_HALTED;
	check(&w, "the newer one was halted", "3 4");
	/* Of one build, an older rollout and a newer. */
	w.rollout[3].state = ROLLOUT_SUPERSEDED;
	w.of[2].build = &w.build[0];
	w.rollout[2].state = ROLLOUT_PROPOSED;
	check(&w, "proposed again", "1");
	close_world(&w);
}

static void test_named(void **state)
{
	static const char *back[] = { "3.0", "unknown" };
	Pb__Targets t;
	struct world w;

	(void)state;
	open_world(&w);
	/* A delta and what it is a delta on. */
	set_targets(&w.build[1], 1, NOW_S + 1);
	check(&w, "a delta", "1 2 5");
	/* From 3.0 one may go back to 4.0. */
	set_targets(&w.build[1], 1, NOW_S - 1);
	t = targets_of(3, NOW_S + 1);
	t.rollback_from = back;
	t.n_rollback_from = 2;
	pack(ENVELOPE_TARGETS, &t, &w.build[3].targets);
	w.build[3].expires = t.expires;
	check(&w, "rollback_from", "3 4");
	/* Devices on 1.0 come first. */
	w.spec[1].fixes = ids;
	w.spec[1].n_fixes = 1;
	set_targets(&w.build[3], 3, NOW_S - 1);
	roll_out(&w, 1, ROLLOUT_PAUSED);
	check(&w, "fixes", "1 2 5");
	w.rollout[1].state = ROLLOUT_SUPERSEDED;
	check(&w, "fixes of one that is over", "");
	close_world(&w);
}

static void test_waiting(void **state)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__Publish publish = PB__PUBLISH__INIT;
	Pb__Propose propose = PB__PROPOSE__INIT;
	Pb__BuildRef ref = PB__BUILD_REF__INIT, *refs[] = { &ref };
	uint8_t zeros[SHA256_LEN] = { 0 };
	struct buf envelope = { 0 };
	Pb__Targets t;
	struct world w;

	(void)state;
	open_world(&w);
	t = targets_of(1, NOW_S + 1);
	w.s.n_pending = 1;
	w.pending.expires_s = NOW_S + 1;
	m.spec_version = 1;
	m.repository = "test";
	m.nonce = wire_data(zeros, ID_LEN);
	m.audit_root = wire_data(zeros, SHA256_LEN);
	pack(ENVELOPE_TARGETS, &t, &envelope);
	publish.targets = wire_data(envelope.data, envelope.len);
	m.publish = &publish;
	pack(ENVELOPE_COMMAND, &m, &w.pending.envelope);
	check(&w, "a publish", "2 5");
	w.pending.expires_s = NOW_S;
	check(&w, "a publish that has expired", "");
	w.pending.expires_s = NOW_S + 1;
	m.publish = NULL;
	m.propose = &propose;
	ref.product = "phone-a";
	ref.build_id = "3.0";
	propose.release = "3.0";
	propose.builds = refs;
	propose.n_builds = 1;
	pack(ENVELOPE_COMMAND, &m, &w.pending.envelope);
	check(&w, "a proposal", "3");
	/* What cannot be read keeps everything: nothing is answered. */
	w.pending.envelope.len /= 2;
	assert_true(garbage_look(&w.s, NOW_MS, &w.arena, &w.g) < 0);
	assert_int_equal(w.g.n, 0);
	buf_release(&envelope);
	close_world(&w);
}

static void test_ages(void **state)
{
	struct artifact_file f = { .since_ms = NOW_MS };
	struct world w;

	(void)state;
	open_world(&w);
	set_targets(&w.build[3], 3, NOW_S + 1);
	assert_int_equal(garbage_look(&w.s, NOW_MS, &w.arena, &w.g), 0);
	hash_of(4, f.sha256);
	assert_true(garbage_due_ms(&w.g, &f) == UINT64_MAX);
	f.unfinished = true; /* the file is here; somebody sends it again, or did */
	assert_true(garbage_due_ms(&w.g, &f) == NOW_MS + 7 * 24 * HOUR);
	f.unfinished = false;
	hash_of(6, f.sha256);
	assert_true(garbage_due_ms(&w.g, &f) == NOW_MS + 24 * HOUR);
	garbage_release(&w.g);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_rollouts),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_ages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
