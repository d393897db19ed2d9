/* SPDX-License-Identifier: Apache-2.0 */
/* What few phones, and a full share, say to the gate. */
#include "unit.h"

#include "gate_world.h"

/* One of a few dozen is no rate yet; one of a few calls a person. */
static void test_small(void **state)
{
	static const struct {
		const char *why;
		uint32_t offered, resolved, failed;
		enum gate_verdict verdict;
		enum gate_reason reason;
	} row[] = {
		{ "one of 50 failed", 50, 50, 1, GATE_PROMOTE, GATE_PASSED },
		{ "two of 50", 50, 50, 2, GATE_HOLD, GATE_OVER_LIMIT },
		{ "one of 9", 9, 9, 1, GATE_HOLD, GATE_OVER_LIMIT },
		{ "one of 10 has not answered", 10, 9, 0, GATE_PROMOTE, GATE_PASSED },
		{ "two of 10", 10, 8, 0, GATE_HOLD, GATE_RESOLVING },
		{ "one of 9", 9, 8, 0, GATE_HOLD, GATE_RESOLVING },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct fixture f;
		make(&f);
		memset(&f.stage, 0, sizeof(f.stage));
		f.rules.tolerance = 0;
		add(&f, STREAM_ENTERED, 0, row[i].offered, 9 * row[i].offered);
		add(&f, STREAM_RESOLVED, 0, row[i].resolved, 0);
		add(&f, STREAM_BOOT, 0, row[i].failed, 0);
		check(row[i].why, i, &f, row[i].verdict, row[i].reason);
	}
}

/* Phones beyond the plan's number are told to wait for ever; and nothing waits for ever unseen. */
static void test_held_for_ever(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	add(&f, STREAM_HELD, 1, 1, 0);
	f.facts.expected = f.stage.offered + 1;
	check("one more may come", 0, &f, GATE_HOLD, GATE_ADMITTING);
	f.facts.expected = f.stage.offered;
	check("all are in", 0, &f, GATE_PROMOTE, GATE_PASSED);
	f.facts.expected = f.stage.offered + 1;
	f.facts.opened_ms = f.facts.now_ms - 72 * HOUR;
	check("a person must decide", 0, &f, GATE_DO_PAUSE, GATE_ADMITTING);
	f.facts.resumed_ms = f.facts.opened_ms;
	check("and did", 0, &f, GATE_PROMOTE, GATE_PASSED);
	f.facts.resumed_ms = f.facts.opened_ms = f.facts.now_ms - 72 * HOUR + 1;
	check("the rest still comes", 0, &f, GATE_HOLD, GATE_ADMITTING);
	make(&f);
	gate_forget(&f.stage);
	assert_true(gate_admitting(&f.stage));
	add(&f, STREAM_ENTERED, f.stage.batches, 0, 0);
	assert_false(gate_admitting(&f.stage));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_held_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
