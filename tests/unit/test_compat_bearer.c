/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/bearer.h"

#include "proto/crypto.h"
#include "server/base/mem.h"
#include "server/service/fleet.h"
#include "unit.h"

#define NOW_S 1795000000u

static struct desk *new_desk(uint8_t secret)
{
	struct server *s = mem_zalloc(sizeof(*s));
	struct desk *d = mem_zalloc(sizeof(*d));

	s->fleet = fleet_new(0);
	memset(s->foreign_secret, secret, sizeof(s->foreign_secret));
	d->server = s;
	d->foreign_mac = crypto_mac_new();
	assert_non_null(d->foreign_mac);
	return d;
}

static void free_desk(struct desk *d)
{
	crypto_mac_free(d->foreign_mac);
	fleet_free(d->server->fleet);
	free(d->server);
	free(d);
}

static const struct bearer one = { .id = { 1, 2, 3 }, .product = 0x1234, .issued_s = NOW_S };

static void test_there_and_back(void **state)
{
	struct desk *d = new_desk(7);
	char text[BEARER_LEN + 1];
	struct bearer b;

	(void)state;
	assert_int_equal(bearer_write(d, &one, text), 0);
	assert_int_equal(strlen(text), BEARER_LEN);
	assert_true(bearer_read(d, bytes_str(text), NOW_S, &b));
	assert_memory_equal(b.id, one.id, ID_LEN);
	assert_int_equal(b.product, one.product);
	assert_int_equal(b.issued_s, NOW_S);
	free_desk(d);
}

static void test_life(void **state)
{
	static const struct {
		const char *why;
		uint64_t now_s;
		bool want;
	} row[] = {
		{ "at once", NOW_S, true },
		{ "the last second", NOW_S + BEARER_LIFE_S - 1, true },
		{ "too old", NOW_S + BEARER_LIFE_S, false },
		{ "far too old", 1ull << 40, false },
		{ "the clock was set back a little", NOW_S - 3600, true },
		{ "from the future", NOW_S - 3601, false },
		{ "no clock", 0, false },
	};
	struct desk *d = new_desk(7);
	char text[BEARER_LEN + 1];
	struct bearer b;

	(void)state;
	assert_int_equal(bearer_write(d, &one, text), 0);
	for (size_t i = 0; i < COUNT(row); i++)
		if (bearer_read(d, bytes_str(text), row[i].now_s, &b) != row[i].want)
			fail_msg("%s", row[i].why);
	free_desk(d);
}

/* No character may be another, be missing, or be too many; and it is this server's alone. */
static void test_forged(void **state)
{
	struct desk *d = new_desk(7), *other = new_desk(8);
	char text[BEARER_LEN + 2];
	struct bearer b;

	(void)state;
	assert_int_equal(bearer_write(d, &one, text), 0);
	assert_false(bearer_read(other, bytes_str(text), NOW_S, &b));
	for (size_t i = 0; i < BEARER_LEN; i++) {
		char was = text[i];
		text[i] = was == 'A' ? 'B' : 'A';
		assert_false(bearer_read(d, bytes_str(text), NOW_S, &b));
		text[i] = was;
		assert_false(bearer_read(d, bytes_of(text, i), NOW_S, &b));
	}
	memcpy(text + BEARER_LEN, "A", 2);
	assert_false(bearer_read(d, bytes_str(text), NOW_S, &b));
	assert_false(bearer_read(d, bytes_of(NULL, 0), NOW_S, &b));
	free_desk(d);
	free_desk(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
