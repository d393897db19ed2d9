/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers, clock, log and files. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "rng.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "tmpdir.h"

static void test_buf(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(b.len, 0);
	buf_str(&b, "one ");
	buf_add(&b, "two", 3);
	buf_add(&b, NULL, 0);
	buf_printf(&b, " %d %s", 3, "four");
	assert_string_equal(buf_text(&b), "one two 3 four");
	assert_int_equal(b.len, 14);
	assert_true(bytes_eq(buf_bytes(&b), bytes_str("one two 3 four")));
	/* Asking for the text twice, and adding behind it, leaves no NUL inside. */
	buf_str(&b, "!");
	assert_string_equal(buf_text(&b), "one two 3 four!");
	buf_release(&b);
	assert_null(b.data);
	assert_int_equal(b.cap, 0);
	buf_release(&b);
}

static void test_buf_grows(void **state)
{
	static uint8_t want[300000];
	struct rng r = { 17 };
	struct buf b = { 0 };
	size_t n = 0;

	(void)state;
	rng_fill(&r, want, sizeof(want));
	while (n < sizeof(want)) {
		size_t more = rng_below(&r, 5000);
		more = more < sizeof(want) - n ? more : sizeof(want) - n;
		if (rng_below(&r, 2)) {
			buf_add(&b, want + n, more);
		} else {
			memcpy(buf_room(&b, more), want + n, more);
			b.len += more;
		}
		n += more;
	}
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	assert_true(b.cap < 2 * sizeof(want));
	buf_release(&b);
}

/* A text as long as the room that is left, and one more. */
static void test_buf_printf_at_the_edge(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int n = 250; n < 262; n++) {
		struct buf b = { 0 };
		buf_printf(&b, "%.*s", n, text);
		assert_int_equal(b.len, n);
		assert_int_equal(strlen(buf_text(&b)), n);
		buf_printf(&b, "%.*s", 300 - n, text);
		assert_int_equal(strlen(buf_text(&b)), 300);
		buf_release(&b);
	}
}

static void test_mem(void **state)
{
	uint8_t *p = mem_zalloc(100), *copy;
	char *s;

	(void)state;
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	copy = mem_dup(p, 100);
	assert_memory_equal(copy, p, 100);
	free(copy);
	p = mem_resize(p, 1000, 8);
	free(p);
	/* Nothing is something that can be freed. */
	free(mem_alloc(0));
	free(mem_zalloc(0));
	free(mem_dup(NULL, 0));
	free(mem_resize(NULL, 0, 8));
	s = mem_printf("%s-%d", "a", 1);
	assert_string_equal(s, "a-1");
	free(s);
	s = mem_strdup("b");
	assert_string_equal(s, "b");
	free(s);
}

static void test_clock_text(void **state)
{
	static const struct {
		uint64_t ms;
		const char *want;
	} row[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1, "1970-01-01T00:00:00.001Z" },
		{ 951782399999, "2000-02-28T23:59:59.999Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ 1767225600000, "2026-01-01T00:00:00.000Z" },
		{ 1795287360123, "2026-11-21T18:56:00.123Z" },
		{ 4102444799999, "2099-12-31T23:59:59.999Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
	};
	char out[CLOCK_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		memset(out, 'x', sizeof(out));
		assert_ptr_equal(clock_text(row[i].ms, out), out);
		assert_string_equal(out, row[i].want);
	}
	/* Whatever the number, it ends within its array. */
	assert_true(strlen(clock_text(UINT64_MAX, out)) < CLOCK_TEXT);
	assert_true(clock_ms() > 1700000000000);
	uint64_t a = clock_mono_ms(), b = clock_mono_ms();
	assert_true(b >= a && b - a < 10000);
}

/* What stderr gets while `write` runs. */
static void capture(void (*write)(void), char out[4096])
{
	int kept = dup(STDERR_FILENO), pipes[2];
	ssize_t n;

	assert_true(kept >= 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
	write();
	assert_true(dup2(kept, STDERR_FILENO) >= 0);
	(void)close(kept);
	(void)close(pipes[1]);
	n = read(pipes[0], out, 4095);
	out[n > 0 ? n : 0] = '\0';
	(void)close(pipes[0]);
}

static void log_all(void)
{
	errno = EDOM;
	log_error("object: what: %s", "why");
	assert_int_equal(errno, EDOM);
	log_warn("w");
	log_info("i");
	log_debug("d");
}

static void log_long(void)
{
	char text[3000];

	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	log_info("next");
}

static void test_log_levels(void **state)
{
	static const struct {
		enum log_level max;
		const char *want; /* without times */
	} row[] = {
		{ LOG_LEVEL_ERROR, "n error: object: what: why\n" },
		{ LOG_LEVEL_WARN, "n error: object: what: why\nn warn: w\n" },
		{ LOG_LEVEL_INFO, "n error: object: what: why\nn warn: w\nn info: i\n" },
		{ LOG_LEVEL_DEBUG,
			"n error: object: what: why\nn warn: w\nn info: i\nn debug: d\n" },
	};
	char out[4096], bare[4096];

	(void)state;
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	for (size_t i = 0; i < COUNT(row); i++) {
		char *to = bare;
		log_init("n", row[i].max);
		capture(log_all, out);
		/* "2026-11-21T18:56:00.123Z " stands before each line. */
		for (const char *line = out; *line != '\0';) {
			const char *end = strchr(line, '\n');
			assert_non_null(end);
			assert_true(end - line > CLOCK_TEXT && line[23] == 'Z');
			memcpy(to, line + CLOCK_TEXT, (size_t)(end + 1 - line) - CLOCK_TEXT);
			to += end + 1 - line - CLOCK_TEXT;
			line = end + 1;
		}
		*to = '\0';
		assert_string_equal(bare, row[i].want);
	}
}

static void test_log_in_journal(void **state)
{
	char out[4096];

	(void)state;
	assert_int_equal(setenv("JOURNAL_STREAM", "8:1", 1), 0);
	log_init("huidud", LOG_LEVEL_DEBUG);
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	capture(log_all, out);
	assert_string_equal(out,
		"<3>huidud: object: what: why\n<4>huidud: w\n"
		"<6>huidud: i\n<7>huidud: d\n");
}

static void test_log_long_line(void **state)
{
	char out[4096], *end;

	(void)state;
	log_init("n", LOG_LEVEL_INFO);
	capture(log_long, out);
	end = strchr(out, '\n');
	assert_non_null(end);
	assert_true(end - out < 1024);
	assert_non_null(strstr(end, "next"));
}

static void test_files(void **state)
{
	char *path = tmpdir_path("file");
	struct buf b = { 0 };
	struct stat st;
	mode_t old = umask(077);

	(void)state;
	assert_int_equal(file_read(path, 100, &b), -ENOENT);
	assert_int_equal(file_create(path, bytes_str("one"), 0644), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644); /* whatever the umask */
	assert_int_equal(file_create(path, bytes_str("two"), 0644), -EEXIST);
	assert_int_equal(file_read(path, 3, &b), 0);
	assert_string_equal(buf_text(&b), "one");
	/* It adds. */
	assert_int_equal(file_replace(path, bytes_str("three"), 0600), 0);
	assert_int_equal(file_read(path, 5, &b), 0);
	assert_string_equal(buf_text(&b), "onethree");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	b.len = 0;
	assert_int_equal(file_read(path, 4, &b), ERR_TOO_BIG);
	assert_int_equal(access(tmpdir_path("file.new"), F_OK), -1);
	(void)umask(old);
	buf_release(&b);
}

static void test_file_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 300000 };
	static uint8_t data[300000];
	struct rng r = { 18 };

	(void)state;
	rng_fill(&r, data, sizeof(data));
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char *path = tmpdir_path("file");
		struct buf b = { 0 };
		assert_int_equal(file_replace(path, bytes_of(data, sizes[i]), 0600), 0);
		assert_int_equal(file_read(path, sizes[i], &b), 0);
		assert_true(bytes_eq(buf_bytes(&b), bytes_of(data, sizes[i])));
		if (sizes[i] > 0)
			assert_int_equal(file_read(path, sizes[i] - 1, &b), ERR_TOO_BIG);
		buf_release(&b);
	}
}

static void test_file_errors(void **state)
{
	struct buf b = { 0 };
	char *folder = tmpdir_path("folder"), *inside = tmpdir_path("none/file");

	(void)state;
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(file_read(folder, 100, &b), -EISDIR);
	assert_int_equal(file_create(inside, bytes_str("x"), 0600), -ENOENT);
	assert_int_equal(file_replace(inside, bytes_str("x"), 0600), -ENOENT);
	/* A folder is in the way: it stays, and nothing is left beside it. */
	assert_int_equal(file_replace(folder, bytes_str("x"), 0600), -EISDIR);
	assert_int_equal(access(tmpdir_path("folder.new"), F_OK), -1);
	buf_release(&b);
}

/* One that was killed left its half behind; the next is not stopped by it. */
static void test_replace_after_a_crash(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(file_create(tmpdir_path("f"), bytes_str("old"), 0600), 0);
	assert_int_equal(file_create(tmpdir_path("f.new"), bytes_str("ha"), 0600), 0);
	assert_int_equal(file_replace(tmpdir_path("f"), bytes_str("new"), 0600), 0);
	assert_int_equal(file_read(tmpdir_path("f"), 10, &b), 0);
	assert_string_equal(buf_text(&b), "new");
	assert_int_equal(access(tmpdir_path("f.new"), F_OK), -1);
	buf_release(&b);
}

/* No room: the old file is as it was, and no half of the new one stays. */
static void test_replace_without_room(void **state)
{
	static uint8_t data[65536];
	struct rlimit old, small;
	struct buf b = { 0 };
	int err;

	(void)state;
	assert_int_equal(file_create(tmpdir_path("f"), bytes_str("old"), 0600), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ 4096, old.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	err = file_replace(tmpdir_path("f"), bytes_of(data, sizeof(data)), 0600);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(err, -EFBIG);
	assert_int_equal(file_read(tmpdir_path("f"), 10, &b), 0);
	assert_string_equal(buf_text(&b), "old");
	assert_int_equal(access(tmpdir_path("f.new"), F_OK), -1);
	buf_release(&b);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_buf_grows),
		cmocka_unit_test(test_buf_printf_at_the_edge),
		cmocka_unit_test(test_mem),
		cmocka_unit_test(test_clock_text),
		cmocka_unit_test(test_log_levels),
		cmocka_unit_test(test_log_in_journal),
		cmocka_unit_test(test_log_long_line),
		IN_TMPDIR(test_files),
		IN_TMPDIR(test_file_sizes),
		IN_TMPDIR(test_file_errors),
		IN_TMPDIR(test_replace_after_a_crash),
		IN_TMPDIR(test_replace_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
