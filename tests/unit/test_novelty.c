/* SPDX-License-Identifier: Apache-2.0 */
/* Which crashes are new in a stage, whose first ones count, and the rows they make. */
#include "unit.h"

#include "server/core/gate.h"
#include "server/service/novelty.h"
#include "stage_world.h"

#define LINE 9u

static const struct silence_rules rules = {
	.milestone_ms = HOUR, .window_ms = HOUR, .s1_ms = HOUR
};

static const uint8_t *signature(uint32_t n)
{
	static uint8_t s[SIGNATURE_LEN];

	memset(s, 0x5a, sizeof(s));
	put_be32(s, n * 2654435761u);
	return s;
}

/* As a report does: the line knows it, then it is counted. */
static void crash(uint32_t device, uint32_t n, uint64_t now_ms)
{
	uint8_t id[ID_LEN];

	device_id(device, id);
	novelty_seen(&txn, LINE, signature(n), now_ms);
	novelty_crash(stage, &txn, (uint16_t)(PRODUCT + device % STRATA), id, signature(n), now_ms);
}

/* Devices 0 1 4 5 .. are canaries, 2 3 6 7 .. control; one of each two in either stratum. */
static void open_with(void **state, uint32_t devices)
{
	open_stage(state, &rules);
	for (uint32_t i = 0; i < devices; i++)
		enter(i, i / 2 % 2 == 0 ? ARM_CANARY : ARM_CONTROL, i % EVIDENCE_GROUPS, START);
	stages_close_batch(stage, &txn, START);
}

static bool is_novel(uint32_t n, struct novel *out)
{
	return novel_get(&txn, KEY, signature(n), out);
}

static void check_counts(uint32_t n, const char *why, struct novel want)
{
	struct novel have;

	if (!is_novel(n, &have) || have.number != want.number ||
		memcmp(have.open, want.open, sizeof(have.open)) != 0 ||
		memcmp(have.total, want.total, sizeof(have.total)) != 0)
		fail_msg("%s", why);
}

static void test_what_is_new(void **state)
{
	static const struct {
		const char *why;
		uint64_t seen; /* 0: never before */
		uint16_t line;
		bool want;
	} row[] = {
		{ "never seen", 0, LINE, true },
		{ "seen long ago", 1, LINE, false },
		{ "seen just before the rollout", START - 1, LINE, false },
		{ "seen as it began", START, LINE, true },
		{ "seen since: in an earlier stage", START + HOUR, LINE, true },
		{ "seen by another line", 1, LINE + 1, true },
	};
	struct novel n;

	open_with(state, 4);
	for (uint32_t i = 0; i < COUNT(row); i++) {
		if (row[i].seen != 0)
			novelty_seen(&txn, row[i].line, signature(i), row[i].seen);
		crash(0, i, START + 2 * HOUR);
		if (is_novel(i, &n) != row[i].want)
			fail_msg("%s", row[i].why);
		/* When the line saw it is never moved on. */
		assert_true(seen_get(&txn, row[i].line, signature(i)) ==
			(row[i].seen != 0 ? row[i].seen : START + 2 * HOUR));
	}
	/* Known to nobody, for the line had no room to remember it: it is left out. */
	uint8_t id[ID_LEN];
	device_id(0, id);
	novelty_crash(stage, &txn, PRODUCT, id, signature(99), START);
	assert_false(is_novel(99, &n));
	close_stage();
}

static void test_who_counts(void **state)
{
	struct evidence_device d;
	uint8_t id[ID_LEN];
	struct novel n;

	open_with(state, 8); /* canaries 0 1 4 5, controls 2 3 6 7 */
	crash(0, 1, START);
	crash(0, 1, START + 1); /* a device once */
	crash(5, 1, START);
	crash(2, 1, START);
	check_counts(
		1, "three", (struct novel){ .number = 0, .open = { 2, 1 }, .total = { 2, 1 } });
	/* Another is another number, in the order in which a second device of either arm had them. */
	crash(0, 3, START);
	crash(3, 2, START);
	crash(0, 3, START + 1);
	crash(0, 2, START);
	check_counts(
		2, "second", (struct novel){ .number = 1, .open = { 1, 1 }, .total = { 1, 1 } });
	check_counts(3, "third",
		(struct novel){ .number = NOVEL_ONCE, .open = { 1, 0 }, .total = { 1, 0 } });
	/* It entered in the open batch: not now, and not lost. */
	enter(8, ARM_CANARY, 0, START);
	crash(8, 1, START);
	crash(8, 4, START);
	assert_false(is_novel(4, &n));
	check_counts(1, "new device", (struct novel){ .open = { 2, 1 }, .total = { 2, 1 } });
	/* Who is not followed any more does not count. */
	evidence_close_group(evidence_of(6), 6);
	crash(6, 1, START);
	d = arm_of(4);
	evidence_leave(evidence_of(4), &d);
	device_id(4, id);
	arm_put(&txn, KEY, id, &d);
	crash(4, 1, START);
	crash(77, 1, START); /* nor who never entered */
	check_counts(1, "gone", (struct novel){ .open = { 2, 1 }, .total = { 2, 1 } });
	stages_close_batch(stage, &txn, START + HOUR);
	crash(8, 1, START + HOUR);
	check_counts(1, "next batch", (struct novel){ .open = { 1, 0 }, .total = { 3, 1 } });
	/* What happened once waits for a second one, and is told with it. */
	crash(8, 3, START + HOUR);
	check_counts(
		3, "twice", (struct novel){ .number = 2, .open = { 2, 0 }, .total = { 2, 0 } });
	close_stage();
}

static size_t read_rows(struct stored_row *out, size_t max)
{
	struct store_cursor c;
	uint64_t number;
	size_t n = 0;

	store_foreach(&c, &txn, STORE_ROW, bytes_of(NULL, 0)) {
		assert_true(n < max && row_read(&c, &number, &out[n]));
		assert_int_equal(number, n);
		n++;
	}
	return n;
}

static size_t rows_from(size_t from, struct stored_row *out, size_t max)
{
	static struct stored_row all[256];
	size_t n = read_rows(all, COUNT(all)), found = 0;

	for (size_t i = from; i < n; i++)
		if (all[i].row.stream == STREAM_SIGNATURE) {
			assert_true(found < max);
			out[found++] = all[i];
		}
	return found;
}

static void check_row(const struct stored_row *r, struct evidence_row want)
{
	assert_int_equal(r->stage.rollout, KEY.rollout);
	assert_int_equal(r->stage.step, KEY.step);
	assert_int_equal(r->product, PRODUCT);
	assert_int_equal(r->row.signature, want.signature);
	assert_int_equal(r->row.batch, want.batch);
	assert_int_equal(r->row.age, AGE_STEADY);
	assert_true(r->row.closed_ms == want.closed_ms);
	assert_int_equal(r->row.xc, want.xc);
	assert_int_equal(r->row.xk, want.xk);
	/* Of both strata together. */
	assert_int_equal(r->row.ec, want.ec);
	assert_int_equal(r->row.ek, want.ek);
}

static void test_rows(void **state)
{
	struct stored_row rows[8];
	uint64_t before;

	open_with(state, 12); /* six of each arm, three in each stratum */
	assert_int_equal(rows_from(0, rows, COUNT(rows)), 0);
	before = row_count(&txn, KEY.rollout);
	crash(0, 1, START);
	crash(1, 1, START);
	crash(2, 1, START);
	crash(3, 2, START);
	enter(12, ARM_CANARY, 0, START); /* was not at risk when the batch opened */
	stages_close_batch(stage, &txn, START + HOUR);
	assert_int_equal(rows_from(before, rows, COUNT(rows)), 1);
	check_row(&rows[0],
		(struct evidence_row){ .batch = 1,
			.closed_ms = START + HOUR,
			.xc = 2,
			.xk = 1,
			.ec = 6,
			.ek = 6 });
	/* What is told is told: nothing is open, and none makes a row. */
	check_counts(1, "told", (struct novel){ .number = 0, .total = { 2, 1 } });
	before = row_count(&txn, KEY.rollout);
	stages_close_batch(stage, &txn, START + 2 * HOUR);
	assert_int_equal(rows_from(before, rows, COUNT(rows)), 0);
	before = row_count(&txn, KEY.rollout);
	crash(4, 2, START + 2 * HOUR);
	stages_close_batch(stage, &txn, START + 3 * HOUR);
	assert_int_equal(rows_from(before, rows, COUNT(rows)), 1);
	check_row(&rows[0],
		(struct evidence_row){ .batch = 3,
			.signature = 1,
			.closed_ms = START + 3 * HOUR,
			.xc = 1,
			.xk = 1,
			.ec = 7,
			.ek = 6 });
	assert_int_equal(txn.err, 0);
	close_stage();
}

/* The gate follows those that were first; and a stage keeps no more than so many at all. */
static void test_too_many(void **state)
{
	static struct stored_row rows[GATE_SIGNATURES];
	bool found[GATE_SIGNATURES] = { false };
	struct novel n = { .number = NOVEL_ONCE };

	open_with(state, 4);
	for (uint32_t i = 0; i < GATE_SIGNATURES + 5; i++) {
		crash(0, i, START);
		crash(3, i, START);
		check_counts(i, "in order",
			(struct novel){
				.number = (uint16_t)i, .open = { 1, 1 }, .total = { 1, 1 } });
	}
	stages_close_batch(stage, &txn, START + HOUR);
	assert_int_equal(rows_from(0, rows, COUNT(rows)), GATE_SIGNATURES);
	for (size_t i = 0; i < GATE_SIGNATURES; i++) {
		assert_false(found[rows[i].row.signature]);
		found[rows[i].row.signature] = true;
	}
	for (uint32_t i = GATE_SIGNATURES + 5; i < NOVEL_MAX - 1; i++)
		novel_put(&txn, KEY, signature(i), &n);
	crash(0, NOVEL_MAX, START);
	assert_true(is_novel(NOVEL_MAX, &n));
	crash(0, NOVEL_MAX + 1, START);
	assert_false(is_novel(NOVEL_MAX + 1, &n));
	crash(1, NOVEL_MAX, START); /* those that are there go on */
	check_counts(NOVEL_MAX, "goes on",
		(struct novel){
			.number = GATE_SIGNATURES + 5, .open = { 2, 0 }, .total = { 2, 0 } });
	close_stage();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STORE(test_what_is_new),
		IN_STORE(test_who_counts),
		IN_STORE(test_rows),
		IN_STORE(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
