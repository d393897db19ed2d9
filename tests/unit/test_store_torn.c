/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meta pages of which the disk kept some bytes and not the others: what is opened is the state before
 * the commit or the state after it, or it is refused.
 */
#include "unit.h"

#include <sys/wait.h>

#include "rng.h"
#include "server/base/file.h"
#include "store_world.h"

#define META_AT    16u /* in its page */
#define META_BYTES 136u
#define META_FREE  24u /* in it: the list of free pages, and where the number of the commit stands */
#define META_LAST  120u

static char *data_path(void)
{
	return tmpdir_path("store/data.mdb");
}

static struct buf load(void)
{
	struct buf b = { 0 };

	assert_int_equal(file_read(data_path(), 64u << 20, &b), 0);
	return b;
}

/* Of all records of all tables. */
static bool digest(struct store *s, uint64_t *out)
{
	struct store_cursor c;
	struct store_txn t;
	bool ok;

	*out = 14695981039346656037ull;
	store_begin(s, &t, false);
	for (unsigned table = 0; table < STORE__COUNT; table++)
		store_foreach(&c, &t, (enum store_table)table, bytes_of(NULL, 0)) {
			struct bytes part[] = { bytes_of(&table, 1), c.key, c.value };
			for (unsigned p = 0; p < COUNT(part); p++)
				for (size_t i = 0; i < part[p].n; i++)
					*out = (*out ^ part[p].p[i]) * 1099511628211ull;
		}
	ok = t.err == 0;
	store_abort(&t);
	return ok;
}

/* A history: commit `n` of it, from 0 on. */
struct history {
	const char *why;
	unsigned commits;
	void (*step)(struct store *s, struct store_txn *t, unsigned n);
};

static void put_some(struct store_txn *t, unsigned from, unsigned n, size_t size)
{
	static uint8_t value[5000];
	uint8_t key[4];

	for (unsigned i = from; i < from + n; i++) {
		put_be32(key, i * 2654435761u);
		memset(value, (int)(from + i), sizeof(value));
		store_put(t, STORE_KEY, bytes_of(key, 4), bytes_of(value, size));
	}
}

static void step_small(struct store *s, struct store_txn *t, unsigned n)
{
	(void)s;
	put_some(t, n % 5, 1, 20);
}

static void step_grow(struct store *s, struct store_txn *t, unsigned n)
{
	(void)s;
	put_some(t, 40 * n, 40, 60);
}

/* Much is freed at once: the list has pages of its own. */
static void step_drop(struct store *s, struct store_txn *t, unsigned n)
{
	uint8_t key[4];

	(void)s;
	if (n % 4 != 3) {
		put_some(t, 0, 900, 3000 + n);
		return;
	}
	for (unsigned i = 0; i < 900; i++) {
		put_be32(key, i * 2654435761u);
		store_delete(t, STORE_KEY, bytes_of(key, 4));
	}
}

/* Somebody reads all the time: nothing is used again, and the list gets long. */
static struct store_txn pin;
static void step_pinned(struct store *s, struct store_txn *t, unsigned n)
{
	if (n == 2)
		store_begin(s, &pin, false);
	put_some(t, n % 50, 20, 30);
	if (n % 97 == 96)
		put_some(t, 1000, 20, 4000);
}

static const struct history histories[] = {
	{ "the second commit", 1, step_small },
	{ "small ones", 30, step_small },
	/* The number of the commit gets a byte more, or carries. */
	{ "up to 256", 255, step_small },
	{ "up to 257", 256, step_small },
	{ "growing", 40, step_grow },
	{ "dropped", 8, step_drop },
	{ "after it was dropped", 9, step_drop },
	{ "a long list", 600, step_pinned },
};

/* The file after all commits but one, and after all; what is in them. */
static struct buf before, after;
static uint64_t had, has_now, number;

static void live(const struct history *h)
{
	struct store *s = open_store(MAP);
	struct store_info info;
	struct store_txn t;

	pin = (struct store_txn){ 0 };
	for (unsigned n = 0; n < h->commits; n++) {
		if (n == h->commits - 1) {
			before = load();
			assert_true(digest(s, &had));
		}
		store_begin(s, &t, true);
		h->step(s, &t, n);
		assert_int_equal(store_commit(&t), 0);
	}
	after = load();
	assert_true(digest(s, &has_now));
	assert_true(had != has_now);
	store_begin(s, &t, false);
	assert_int_equal(store_info(&t, &info), 0);
	number = info.last_commit;
	store_abort(&t);
	store_abort(&pin);
	store_close(s);
}

enum result { BEFORE, AFTER, REFUSED, WRONG, RESULTS };

/* It also takes the next commits, and is whole after them. */
static enum result go_on(struct store *s, enum result result)
{
	struct store_txn t;
	uint64_t then, now;
	char error[256];

	for (unsigned n = 0; n < 4; n++) {
		store_begin(s, &t, true);
		put_some(&t, 7 * n, 30, 40);
		if (store_commit(&t) != 0)
			return WRONG;
	}
	if (!digest(s, &then))
		return WRONG;
	store_close(s);
	if (store_open(tmpdir_path("store"), MAP, &s, error) != 0 || !digest(s, &now))
		return WRONG;
	store_close(s);
	return then == now ? result : WRONG;
}

static enum result open_torn(void)
{
	struct store *s;
	char error[256];
	uint64_t d;

	if (store_open_read(tmpdir_path("store"), &s, error) == 0)
		store_close(s);
	if (store_open(tmpdir_path("store"), MAP, &s, error) != 0)
		return strstr(error, "the last commit is damaged") != NULL &&
				strstr(error, "huiductl store restore") != NULL
			? REFUSED
			: WRONG;
	if (!digest(s, &d) || (d != had && d != has_now))
		return WRONG;
	return go_on(s, d == had ? BEFORE : AFTER);
}

/* In a process of its own: LMDB may fall over what it believes. */
static enum result try(const uint8_t meta[META_BYTES])
{
	struct buf file = { 0 };
	int status;
	pid_t pid;

	buf_add(&file, after.data, after.len);
	memcpy(file.data + (number & 1) * 4096 + META_AT, meta, META_BYTES);
	assert_int_equal(file_replace(data_path(), buf_bytes(&file), 0600), 0);
	buf_release(&file);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit((int)open_torn());
	assert_true(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) && WEXITSTATUS(status) < RESULTS ? (enum result)WEXITSTATUS(status)
								  : WRONG;
}

static void tear_one(const struct history *h)
{
	unsigned count[RESULTS] = { 0 };
	const uint8_t *was, *is;
	uint8_t meta[META_BYTES];
	struct rng r = { 30 };

	live(h);
	was = before.data + (number & 1) * 4096 + META_AT;
	is = after.data + (number & 1) * 4096 + META_AT;
	for (unsigned at = 0; at <= META_BYTES; at++) {
		/* The first bytes reached the disk: nothing shows before the last. */
		memcpy(meta, was, META_BYTES);
		memcpy(meta, is, at);
		enum result first = try(meta);
		if (first != (memcmp(meta, is, META_BYTES) == 0 ? AFTER : BEFORE))
			fail_msg("%s: the first %u bytes are new: %d", h->why, at, (int)first);
		/* Or the last ones did. */
		memcpy(meta, is, META_BYTES);
		memcpy(meta, was, at);
		enum result last = try(meta);
		if (last == WRONG || (last != AFTER && at <= META_FREE))
			fail_msg("%s: the first %u bytes are old: %d", h->why, at, (int)last);
		count[first]++;
		count[last]++;
	}
	/* Any words of it; where the file ends goes with the number, as the last two do. */
	for (unsigned i = 0; i < 30; i++) {
		uint64_t mask = rng_u64(&r);
		memcpy(meta, was, META_BYTES);
		for (unsigned w = 0; w < META_LAST / 8; w++)
			if (mask >> w & 1)
				memcpy(meta + 8 * w, is + 8 * w, 8);
		memcpy(meta + META_LAST, is + META_LAST, META_BYTES - META_LAST);
		enum result any = try(meta);
		if (any == WRONG || any == BEFORE)
			fail_msg("%s: words %llx are new: %d", h->why, (unsigned long long)mask,
				(int)any);
		count[any]++;
	}
	print_message("%s: before %u, after %u, refused %u\n", h->why, count[BEFORE], count[AFTER],
		count[REFUSED]);
	assert_true(count[BEFORE] > 0 && count[AFTER] > 0 && count[REFUSED] > 0);
	buf_release(&before);
	buf_release(&after);
}

static void test_torn(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(histories); i++) {
		tear_one(&histories[i]);
		assert_int_equal(tmpdir_drop(NULL), 0);
		assert_int_equal(tmpdir_make(NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
