/* SPDX-License-Identifier: Apache-2.0 */
/* What the signer must never forget, through every power failure. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "proto/wire.h"
#include "rng.h"
#include "server/base/file.h"
#include "server/trust/floor.h"
#include "server/trust/ledger.h"
#include "tmpdir.h"

static struct ledger *open_it(void)
{
	struct ledger *l;

	assert_int_equal(ledger_open(tmpdir_path("ledger"), &l), 0);
	return l;
}

static void add_entries(struct ledger *l, unsigned n)
{
	uint8_t leaf[SHA256_LEN];

	for (unsigned i = 0; i < n; i++) {
		memset(leaf, (int)(l->log.size & 255), sizeof(leaf));
		assert_int_equal(merkle_add(crypto_openssl(), &l->log, leaf), 0);
	}
}

/* Something of every kind. */
static void fill(struct ledger *l)
{
	static const uint8_t some_id[ID_LEN] = { 1, 2, 3 }, sha[SHA256_LEN] = { 9 };
	Pb__LedgerRollout *r;
	Pb__LedgerNonce *n;

	ledger_set_root(l, bytes_str("a root"));
	add_entries(l, 13);
	ledger_set_floor(l, "timestamp/phone-a", 7);
	ledger_set_floor(l, "snapshot/phone-a", UINT64_MAX);
	ledger_set_floor(l, "timestamp/phone-a", 8);
	r = ledger_add_rollout(l, some_id);
	ledger_set_text(&r->proposer, "alice");
	ledger_set_bytes(&r->audit_root, sha, SHA256_LEN);
	ledger_set_bytes(&r->spec_sha256, sha, SHA256_LEN);
	ledger_add_build(r, "phone-a", "1.0");
	ledger_add_approver(r, "bob");
	ledger_add_approver(r, "bob");
	ledger_add_approver(r, "carol");
	r->step = 3;
	n = ledger_add_nonce(l, bytes_of(some_id, ID_LEN));
	ledger_set_bytes(&n->payload_sha256, sha, SHA256_LEN);
	ledger_set_text(&n->by, "alice");
	n->expires = 1000;
	n->pending = 1;
	l->m->signed_ms = 5;
	l->m->entry_ms = 6;
}

static void check(const struct ledger *l, const struct merkle *log)
{
	static const uint8_t some_id[ID_LEN] = { 1, 2, 3 }, sha[SHA256_LEN] = { 9 };
	const Pb__LedgerRollout *r = ledger_rollout(l, bytes_of(some_id, ID_LEN));
	const Pb__LedgerNonce *n = ledger_nonce(l, bytes_of(some_id, ID_LEN));
	uint8_t root[2][SHA256_LEN];

	assert_int_equal(ledger_floor(l, "timestamp/phone-a"), 8);
	assert_true(ledger_floor(l, "snapshot/phone-a") == UINT64_MAX);
	assert_int_equal(ledger_floor(l, "nothing"), 0);
	assert_true(bytes_eq(wire_bytes(l->m->root), bytes_str("a root")));
	assert_int_equal(l->log.size, 13);
	assert_int_equal(merkle_root(crypto_openssl(), &l->log, root[0]), 0);
	assert_int_equal(merkle_root(crypto_openssl(), log, root[1]), 0);
	assert_memory_equal(root[0], root[1], SHA256_LEN);
	assert_non_null(r);
	assert_string_equal(r->proposer, "alice");
	assert_int_equal(r->n_builds, 1);
	assert_string_equal(r->builds[0]->build_id, "1.0");
	assert_int_equal(r->n_approvers, 2);
	assert_int_equal(r->step, 3);
	assert_non_null(n);
	assert_ptr_equal(ledger_pending(l, bytes_of(sha, SHA256_LEN)), n);
	assert_int_equal(l->m->signed_ms, 5);
	assert_int_equal(l->m->entry_ms, 6);
}

static void test_keeps_all(void **state)
{
	struct ledger *l = open_it();
	struct merkle log;

	(void)state;
	assert_int_equal(l->log.size, 0);
	fill(l);
	log = l->log;
	check(l, &log);
	assert_int_equal(ledger_save(l), 0);
	ledger_close(l);
	l = open_it();
	check(l, &log);
	/* What is not saved is gone. */
	ledger_set_floor(l, "timestamp/phone-a", 99);
	ledger_set_floor(l, "new", 1);
	ledger_clear_approvers(l->m->rollouts[0]);
	ledger_forget_nonces(l, 1001);
	add_entries(l, 3);
	assert_null(ledger_nonce(l, wire_bytes(l->m->rollouts[0]->id)));
	ledger_revert(l);
	check(l, &log);
	ledger_forget_nonces(l, 1000);
	check(l, &log);
	ledger_close(l);
	l = open_it();
	check(l, &log);
	ledger_close(l);
}

/* Of every size, the tree goes on where it was. */
static void test_tree(void **state)
{
	struct merkle whole = { .size = 0 };
	uint8_t leaf[SHA256_LEN];

	(void)state;
	for (unsigned i = 0; i < 70; i++) {
		struct ledger *l = open_it();
		assert_memory_equal(&l->log, &whole, sizeof(whole));
		memset(leaf, (int)i, sizeof(leaf));
		assert_int_equal(merkle_add(crypto_openssl(), &whole, leaf), 0);
		add_entries(l, 1);
		ledger_set_root(l, bytes_str("r"));
		assert_int_equal(ledger_save(l), 0);
		/* What a subtree of the past held does not matter. */
		for (unsigned b = 0; b < MERKLE_LEVELS; b++)
			if ((whole.size >> b & 1) == 0)
				memset(whole.subtree[b], 0, SHA256_LEN);
		ledger_close(l);
	}
}

/* ---- power failures ---- */

static uint64_t floor_after(int *err)
{
	struct ledger *l;
	uint64_t version = 0;

	*err = ledger_open(tmpdir_path("ledger"), &l);
	if (*err != 0)
		return 0;
	version = ledger_floor(l, "timestamp/phone-a");
	ledger_close(l);
	return version;
}

#define SLOT_READ 4096

static void read_slot(unsigned slot, uint8_t out[SLOT_READ])
{
	int fd = open(tmpdir_path("ledger"), O_RDONLY | O_CLOEXEC);

	memset(out, 0, SLOT_READ);
	assert_true(fd >= 0);
	assert_true(pread(fd, out, SLOT_READ, (off_t)(slot * SLOT_SIZE)) >= 0);
	assert_int_equal(close(fd), 0);
}

static void write_slot(unsigned slot, const uint8_t *data, size_t n)
{
	int fd = open(tmpdir_path("ledger"), O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, n, (off_t)(slot * SLOT_SIZE)), n);
	assert_int_equal(close(fd), 0);
}

static void expect_one_of(uint64_t before, uint64_t after, bool whole, const char *why, size_t at)
{
	int err;
	uint64_t version = floor_after(&err);

	if (err != 0 || (version != before && version != after) || (whole && version != after))
		fail_msg("%s %zu: %s, floor %llu", why, at, err_name(err),
			(unsigned long long)version);
}

/* Every prefix and every set of sectors of a write that reached the disk: the old or the new. */
static void test_torn(void **state)
{
	static uint8_t before[SLOT_READ], after[SLOT_READ], torn[SLOT_READ];
	char name[64];

	(void)state;
	for (unsigned save = 1; save <= 4; save++) {
		struct ledger *l = open_it();
		unsigned slot;
		size_t n;
		if (save == 1)
			fill(l);
		ledger_set_floor(l, "timestamp/phone-a", 100 + save);
		/* It grows, so that slots of one length do not hide anything. */
		for (unsigned i = 0; i < 8; i++) {
			(void)snprintf(
				name, sizeof(name), "director/phone-%u/honour", 8 * save + i);
			ledger_set_floor(l, name, 1);
		}
		slot = (l->slots.generation + 1) % 2 == 1 ? 0 : 1;
		read_slot(slot, before);
		assert_int_equal(ledger_save(l), 0);
		n = l->saved.len + 52;
		assert_true(n < SLOT_READ);
		ledger_close(l);
		read_slot(slot, after);
		for (size_t k = 0; save > 1 && k <= n; k++) {
			memcpy(torn, before, SLOT_READ);
			memcpy(torn, after, k);
			write_slot(slot, torn, SLOT_READ);
			expect_one_of(99 + save, 100 + save, k == n, "prefix", k);
		}
		for (unsigned set = 0; save > 1 && set < 1u << (n / 512 + 1); set++) {
			memcpy(torn, before, SLOT_READ);
			for (unsigned s = 0; s <= n / 512; s++)
				if ((set >> s & 1) != 0)
					memcpy(torn + 512 * s, after + 512 * s, 512);
			write_slot(slot, torn, SLOT_READ);
			expect_one_of(99 + save, 100 + save, false, "sectors", set);
		}
		write_slot(slot, after, SLOT_READ);
	}
}

/* After a torn write the next one goes on from what is whole, and is the newest. */
static void test_goes_on(void **state)
{
	struct ledger *l = open_it();
	uint8_t zeros[64] = { 0 };
	int err;

	(void)state;
	for (uint64_t v = 1; v <= 20; v++) {
		ledger_set_floor(l, "timestamp/phone-a", v);
		assert_int_equal(ledger_save(l), 0);
		unsigned newest = l->slots.generation % 2 == 1 ? 0 : 1;
		ledger_close(l);
		assert_int_equal(floor_after(&err), v);
		if (v % 3 == 0) {
			write_slot(newest, zeros, sizeof(zeros));
			assert_int_equal(floor_after(&err), v - 1);
			assert_int_equal(err, 0);
		}
		l = open_it();
	}
	ledger_close(l);
}

/* Neither is whole: that is said, and nothing is made up. */
static void test_both_bad(void **state)
{
	uint8_t slot[2][SLOT_READ];
	struct ledger *l = open_it();
	struct rng r = { 3 };
	size_t n;
	int err;

	(void)state;
	fill(l);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ledger_save(l), 0);
	n = l->saved.len + 52;
	ledger_close(l);
	read_slot(0, slot[0]);
	read_slot(1, slot[1]);
	for (unsigned i = 0; i < 500; i++) {
		for (unsigned k = 0; k < 2; k++) {
			uint8_t bad[SLOT_READ];
			memcpy(bad, slot[k], SLOT_READ);
			bad[i < n && k == 0 ? i : rng_below(&r, n)] ^=
				(uint8_t)(1u << rng_below(&r, 8));
			write_slot(k, bad, SLOT_READ);
		}
		(void)floor_after(&err);
		assert_int_equal(err, ERR_CORRUPT);
	}
	write_slot(1, slot[1], SLOT_READ);
	assert_int_equal(floor_after(&err), 8);
	/* Each in the other's place: nothing wrote that. */
	write_slot(0, slot[1], SLOT_READ);
	write_slot(1, slot[0], SLOT_READ);
	(void)floor_after(&err);
	assert_int_equal(err, ERR_CORRUPT);
	assert_int_equal(truncate(tmpdir_path("ledger"), 0), 0);
	(void)floor_after(&err);
	assert_int_equal(err, ERR_CORRUPT);
}

/* The disk is full: what was there stays, and the next save succeeds. */
static void test_cannot_save(void **state)
{
	struct ledger *l = open_it();
	struct rlimit old, none;
	int err;

	(void)state;
	ledger_set_floor(l, "timestamp/phone-a", 1);
	assert_int_equal(ledger_save(l), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = (struct rlimit){ 10, old.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	for (unsigned i = 0; i < 3; i++) {
		ledger_set_floor(l, "timestamp/phone-a", 2);
		assert_int_equal(ledger_save(l), -EFBIG);
		ledger_revert(l);
		assert_int_equal(ledger_floor(l, "timestamp/phone-a"), 1);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, SIG_DFL);
	ledger_set_floor(l, "timestamp/phone-a", 3);
	assert_int_equal(ledger_save(l), 0);
	ledger_close(l);
	assert_int_equal(floor_after(&err), 3);
}

static void test_one_owner(void **state)
{
	struct ledger *l = open_it(), *other;

	(void)state;
	assert_int_equal(ledger_open(tmpdir_path("ledger"), &other), ERR_BUSY);
	ledger_close(l);
	ledger_close(open_it());
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

/* Who brings a store back holds it; who only looks needs nothing of it. */
static void test_floor(void **state)
{
	struct signer_log held, seen;
	struct floor *floor, *again;
	uint8_t root[SHA256_LEN];
	struct ledger *l;

	(void)state;
	assert_int_equal(floor_peek(tmpdir_path("none"), &seen), -ENOENT);
	assert_int_equal(floor_hold(tmpdir_path("none"), &floor, &held), -ENOENT);
	assert_int_not_equal(access(tmpdir_path("none"), F_OK), 0);
	l = open_it();
	fill(l);
	assert_int_equal(ledger_save(l), 0);
	assert_int_equal(merkle_root(crypto_openssl(), &l->log, root), 0);
	assert_int_equal(floor_peek(tmpdir_path("ledger"), &seen), 0);
	assert_int_equal(seen.size, 13);
	assert_memory_equal(seen.root, root, SHA256_LEN);
	assert_int_equal(floor_hold(tmpdir_path("ledger"), &floor, &held), ERR_BUSY);
	ledger_close(l);
	assert_int_equal(floor_hold(tmpdir_path("ledger"), &floor, &held), 0);
	assert_int_equal(held.size, 13);
	assert_memory_equal(held.root, root, SHA256_LEN);
	assert_int_equal(floor_hold(tmpdir_path("ledger"), &again, &held), ERR_BUSY);
	floor_release(floor);
	floor_release(NULL);
	ledger_close(open_it());
	assert_int_equal(file_replace(tmpdir_path("bad"), bytes_str("nothing"), 0600), 0);
	assert_int_equal(floor_peek(tmpdir_path("bad"), &seen), ERR_CORRUPT);
	assert_int_equal(floor_hold(tmpdir_path("bad"), &floor, &held), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_keeps_all),
		IN_TMPDIR(test_tree),
		IN_TMPDIR(test_torn),
		IN_TMPDIR(test_goes_on),
		IN_TMPDIR(test_both_bad),
		IN_TMPDIR(test_cannot_save),
		IN_TMPDIR(test_one_owner),
		IN_TMPDIR(test_floor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
