/* SPDX-License-Identifier: Apache-2.0 */
/* The log a second time: what is left of it after anything that may happen to a file. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "server/base/file.h"
#include "server/store/journal.h"
#include "tmpdir.h"

#define ENTRIES 6u

static const size_t size_of[ENTRIES] = { 1, 40, 3, 300, 7, 25 };

static struct bytes entry(unsigned i)
{
	static uint8_t text[ENTRIES][300];

	memset(text[i], (int)('a' + i), size_of[i]);
	return bytes_of(text[i], size_of[i]);
}

static const char *path(void)
{
	return tmpdir_path("journal");
}

static struct journal *open_it(void)
{
	struct journal *j;
	char error[256] = "";

	if (journal_open(path(), &j, error) != 0)
		fail_msg("%s", error);
	return j;
}

static void append_from(struct journal *j, unsigned from)
{
	for (unsigned i = from; i < ENTRIES; i++)
		assert_int_equal(journal_append(j, i, entry(i)), 0);
}

static struct buf whole(void)
{
	struct journal *j = open_it();
	struct buf b = { 0 };

	append_from(j, 0);
	journal_close(j);
	assert_int_equal(file_read(path(), 1 << 20, &b), 0);
	return b;
}

static void lay_out(struct bytes b)
{
	assert_int_equal(file_replace(path(), b, 0600), 0);
	(void)unlink(tmpdir_path("journal.damaged"));
}

static int check_one(void *ctx, uint64_t index, struct bytes have)
{
	unsigned *n = ctx;

	if (!bytes_eq(have, entry((unsigned)index)))
		fail_msg("entry %u is another", (unsigned)index);
	(*n)++;
	return 0;
}

static void check_has(struct journal *j, uint64_t count)
{
	unsigned n = 0;

	assert_int_equal(journal_count(j), count);
	assert_int_equal(journal_each(j, 0, check_one, &n), 0);
	assert_int_equal(n, count);
}

static void test_order(void **state)
{
	struct journal *j = open_it();
	unsigned n = 0;

	(void)state;
	check_has(j, 0);
	assert_int_equal(journal_append(j, 1, entry(1)), ERR_CONFLICT);
	append_from(j, 0);
	assert_int_equal(journal_append(j, 0, entry(0)), ERR_CONFLICT);
	assert_int_equal(journal_append(j, ENTRIES - 1, entry(0)), ERR_CONFLICT);
	assert_int_equal(journal_append(j, ENTRIES + 1, entry(0)), ERR_CONFLICT);
	assert_int_equal(journal_append(j, ENTRIES, bytes_of("", 0)), ERR_TOO_BIG);
	check_has(j, ENTRIES);
	assert_int_equal(journal_each(j, 4, check_one, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(journal_each(j, ENTRIES, check_one, &n), 0);
	assert_int_equal(n, 2);
	journal_close(j);
	j = open_it();
	check_has(j, ENTRIES);
	assert_int_equal(journal_rest(j), 0);
	journal_close(j);
	journal_close(NULL);
}

static int stop_at_2(void *ctx, uint64_t index, struct bytes have)
{
	(void)ctx;
	(void)have;
	return index == 2 ? ERR_CONFLICT : 0;
}

static void test_stopped(void **state)
{
	struct journal *j = open_it();

	(void)state;
	append_from(j, 0);
	assert_int_equal(journal_each(j, 0, stop_at_2, NULL), ERR_CONFLICT);
	journal_close(j);
}

/* Whole entries in the first `n` bytes. */
static unsigned whole_in(size_t n)
{
	unsigned i = 0;

	for (size_t end = 8 + size_of[0]; end <= n; end += 8 + size_of[i])
		if (++i == ENTRIES)
			break;
	return i;
}

/* Cut off anywhere: what is whole stays, what is not goes, and it goes on from there. */
static void test_every_length(void **state)
{
	struct buf all = whole();

	(void)state;
	for (size_t n = 0; n <= all.len; n++) {
		struct journal *j;
		char error[256];
		unsigned want = whole_in(n);
		lay_out(bytes_of(all.data, n));
		assert_int_equal(journal_open_read(path(), &j, error), 0);
		check_has(j, want);
		size_t end = 0;
		for (unsigned i = 0; i < want; i++)
			end += 8 + size_of[i];
		assert_int_equal(journal_rest(j), n - end);
		journal_close(j);
		j = open_it();
		check_has(j, want);
		assert_int_equal(journal_rest(j), 0);
		append_from(j, want);
		journal_close(j);
		j = open_it();
		check_has(j, ENTRIES);
		journal_close(j);
		assert_int_equal(access(tmpdir_path("journal.damaged"), F_OK), -1);
	}
	buf_release(&all);
}

/* The file has its length already, but of the last entry only the first bytes. */
static void test_zeros_behind(void **state)
{
	struct buf all = whole();
	size_t last = all.len - 8 - size_of[ENTRIES - 1];

	(void)state;
	for (size_t n = last; n < all.len; n++) {
		struct buf b = { 0 };
		struct journal *j;
		buf_add(&b, all.data, all.len);
		memset(b.data + n, 0, all.len - n);
		/* Blocks may be longer than what was written. */
		for (unsigned more = 0; more < 2; more++) {
			if (more == 1 && n > last)
				break;
			lay_out(buf_bytes(&b));
			j = open_it();
			check_has(j, ENTRIES - 1);
			append_from(j, ENTRIES - 1);
			check_has(j, ENTRIES);
			journal_close(j);
			assert_int_equal(access(tmpdir_path("journal.damaged"), F_OK), -1);
			memset(buf_room(&b, 5000), 0, 5000);
			b.len += 5000;
		}
		buf_release(&b);
	}
	buf_release(&all);
}

/* Every bit of it: nothing that is not whole is handed out, nothing before it is lost. */
static void test_every_bit(void **state)
{
	struct buf all = whole();
	size_t last = all.len - 8 - size_of[ENTRIES - 1];
	unsigned aside = 0;

	(void)state;
	for (size_t bit = 0; bit < 8 * all.len; bit++) {
		struct journal *j;
		char error[256];
		unsigned want = whole_in(bit / 8);
		all.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		lay_out(buf_bytes(&all));
		assert_int_equal(journal_open_read(path(), &j, error), 0);
		check_has(j, want);
		assert_true(journal_rest(j) > 0);
		journal_close(j);
		j = open_it();
		/* Set aside whole, or cut where it could have been half written. */
		bool kept = access(tmpdir_path("journal.damaged"), F_OK) == 0;
		check_has(j, kept ? 0 : want);
		if (kept) {
			struct buf b = { 0 };
			assert_int_equal(file_read(tmpdir_path("journal.damaged"), 1 << 20, &b), 0);
			assert_true(bytes_eq(buf_bytes(&b), buf_bytes(&all)));
			buf_release(&b);
			aside++;
		}
		if (bit / 8 >= last + 4)
			assert_false(kept);
		journal_close(j);
		all.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(aside > 8 * last / 2);
	buf_release(&all);
}

/* An entry taken out, or two that changed places: the rest is none. */
static void test_gaps(void **state)
{
	struct buf all = whole(), b = { 0 };
	size_t end1 = 8 + size_of[0], end2 = end1 + 8 + size_of[1], end3 = end2 + 8 + size_of[2];
	struct journal *j;
	char error[256];

	(void)state;
	buf_add(&b, all.data, end1);
	buf_add(&b, all.data + end2, all.len - end2);
	lay_out(buf_bytes(&b));
	assert_int_equal(journal_open_read(path(), &j, error), 0);
	check_has(j, 1);
	journal_close(j);
	b.len = 0;
	buf_add(&b, all.data, end1);
	buf_add(&b, all.data + end2, end3 - end2);
	buf_add(&b, all.data + end1, end2 - end1);
	buf_add(&b, all.data + end3, all.len - end3);
	lay_out(buf_bytes(&b));
	j = open_it();
	check_has(j, 0);
	assert_int_equal(access(tmpdir_path("journal.damaged"), F_OK), 0);
	append_from(j, 0);
	journal_close(j);
	buf_release(&all);
	buf_release(&b);
}

/* No room: the entry is not there, and is taken when there is some. */
static void test_no_room(void **state)
{
	struct rlimit none, was;
	struct journal *j = open_it();

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(journal_append(j, i, entry(i)), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = was;
	/* Half of the next one fits. */
	none.rlim_cur = 8 + 1 + 8 + 40 + 8 + 3 + 150;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(journal_append(j, 3, entry(3)), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	check_has(j, 3);
	append_from(j, 3);
	check_has(j, ENTRIES);
	journal_close(j);
	j = open_it();
	check_has(j, ENTRIES);
	journal_close(j);
}

static void test_open_errors(void **state)
{
	struct journal *j;
	char error[256] = "";

	(void)state;
	assert_int_equal(journal_open_read(path(), &j, error), -ENOENT);
	assert_non_null(strstr(error, "journal: "));
	assert_non_null(strstr(error, "No such file"));
	assert_int_equal(mkdir(path(), 0700), 0);
	assert_int_equal(journal_open(path(), &j, error), -EISDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, tmpdir_make, tmpdir_drop),
		cmocka_unit_test_setup_teardown(test_stopped, tmpdir_make, tmpdir_drop),
		cmocka_unit_test_setup_teardown(test_every_length, tmpdir_make, tmpdir_drop),
		cmocka_unit_test_setup_teardown(test_zeros_behind, tmpdir_make, tmpdir_drop),
		cmocka_unit_test_setup_teardown(test_every_bit, tmpdir_make, tmpdir_drop),
		cmocka_unit_test_setup_teardown(test_gaps, tmpdir_make, tmpdir_drop),
		cmocka_unit_test_setup_teardown(test_no_room, tmpdir_make, tmpdir_drop),
		cmocka_unit_test_setup_teardown(test_open_errors, tmpdir_make, tmpdir_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
