/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/device.pb-c.h"
#include "server/core/ring.h"

/* Numbers travel, are on disk, and order the rings from the inside out. */
static void test_words(void **state)
{
	static const struct {
		enum ring ring;
		Pb__Ring wire;
		const char *word;
	} row[] = {
		{ RING_CORE, PB__RING__RING_CORE, "core" },
		{ RING_HONOUR, PB__RING__RING_HONOUR, "honour" },
		{ RING_DEV, PB__RING__RING_DEV, "dev" },
		{ RING_STABLE, PB__RING__RING_STABLE, "stable" },
	};

	(void)state;
	assert_int_equal(COUNT(row), RING__COUNT);
	for (size_t i = 0; i < COUNT(row); i++) {
		enum ring ring = RING__COUNT;
		assert_int_equal(row[i].ring, i);
		assert_int_equal((int)row[i].ring, (int)row[i].wire);
		assert_string_equal(ring_str(row[i].ring), row[i].word);
		assert_true(ring_parse(row[i].word, &ring));
		assert_int_equal(ring, row[i].ring);
	}
}

static void test_no_ring(void **state)
{
	static const char *const words[] = { "", "Core", "cor", "core ", " core", "beta", "0",
		"stable\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		enum ring ring = RING_DEV;
		if (ring_parse(words[i], &ring))
			fail_msg("'%s'", words[i]);
		assert_int_equal(ring, RING_DEV);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_no_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
