/* SPDX-License-Identifier: Apache-2.0 */
/* A store that a fleet has lived on is whole; each kind of damage to it is found, and named. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deployment.h"
#include "proto/bucket.h"
#include "rng.h"
#include "server/base/buf.h"
#include "server/store/check.h"
#include "server/store/entry.h"
#include "server/store/foreign.h"
#include "server/store/novel.h"

#define HOUR  3600000ull
#define FLEET 120
#define FLIPS 600u

static const char *const products[] = { "phone-a", "phone-b" };
static const struct plan_stage ladder[] = {
	{ RING_HONOUR, 500000, 0 },
	{ RING_HONOUR, 1000000, 0 },
	{ RING_STABLE, 1000000, 0 },
};

static struct deployment d;
static struct test_device device[FLEET];
static struct rng rng = { 7 };
static struct buf said;
static uint8_t signatures[7][SHA256_LEN];

static void note(void *ctx, const struct store_finding *f)
{
	char hex[2 * 64 + 1];

	(void)ctx;
	buf_printf(&said, "%s %s %s\n", store_table_str(f->table),
		hex_encode(hex, f->key.p, f->key.n < 64 ? f->key.n : 64), f->says);
}

static int check(struct store_txn *t, struct store_check *c)
{
	*c = (struct store_check){ .found = note, .at = 3 };
	said.len = 0;
	return store_check(t, c);
}

static void assert_whole(void)
{
	struct store_check c;
	struct store_txn t;

	store_begin(d.server.store, &t, false);
	if (check(&t, &c) != 0)
		fail_msg("%s", buf_text(&said));
	assert_int_equal(c.findings, 0);
	assert_int_equal(c.log_size, entry_count(&t));
	assert_memory_equal(c.log_root, state_root(control_state(&d.server)), SHA256_LEN);
	assert_true(c.has_at);
	store_abort(&t);
}

static void report_something(struct test_device *t)
{
	static const Pb__EventKind kinds[] = { PB__EVENT_KIND__EVENT_CRASH,
		PB__EVENT_KIND__EVENT_CRASH, PB__EVENT_KIND__EVENT_SYMPTOM,
		PB__EVENT_KIND__EVENT_CRASH_LOOP, PB__EVENT_KIND__EVENT_LEAVE,
		PB__EVENT_KIND__EVENT_BOOT_FAILED, PB__EVENT_KIND__EVENT_ROLLED_BACK };
	/* What stops a stage comes when the first one has passed. */
	size_t n = COUNT(kinds) - (deployment_rollout(&d, "2.0")->step > 0 ? 0 : 3);

	t->signature = signatures[rng_below(&rng, COUNT(signatures))];
	t->symptom = (uint32_t)rng_below(&rng, 3);
	assert_int_equal(0, device_report_one(&d, t, t->build_id, kinds[rng_below(&rng, n)]));
}

static void live(unsigned hours, const char *build, uint64_t counter)
{
	for (unsigned h = 0; h < hours; h++) {
		for (size_t i = 0; i < FLEET; i++) {
			struct test_device *t = &device[i];
			if (rng_below(&rng, 4) == 0)
				continue; /* it is off */
			if (rng_below(&rng, 40) == 0)
				t->wish = (enum ring)rng_below(&rng, RING__COUNT);
			assert_int_equal(0, device_poll(&d, t));
			if (t->answer == ANSWER_OFFER && rng_below(&rng, 3) > 0)
				assert_int_equal(0, device_install(&d, t, build, counter));
			if (rng_below(&rng, 30) == 0)
				report_something(t);
		}
		deployment_run(&d, HOUR, 600000);
		assert_whole();
	}
}

static int open_world(void **state)
{
	struct deployment_options o = { .profile = "solo",
		.lines = "lines:\n  - products: [phone-a, phone-b]\n"
			 "    rings: {core: 5, honour: 60, dev: 10}\n"
			 "    fill_every: 1m\n" };
	static struct test_plan plan;

	(void)state;
	for (size_t i = 0; i < COUNT(signatures); i++)
		rng_fill(&rng, signatures[i], SHA256_LEN);
	deployment_open(&d, &o);
	for (size_t i = 0; i < FLEET; i++)
		assert_int_equal(0,
			device_enrol(&d, &device[i], products[i % 2],
				i % 3 > 0 ? RING_HONOUR : RING_STABLE));
	deployment_run(&d, 120000, 60000);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(0, deployment_publish(&d, products[i], "2.0", 2, products[i]));
	assert_int_equal(0,
		deployment_roll_out(
			&d, "2.0", products, 2, plan_of(&plan, ladder, 3, 6 * HOUR, 100000)));
	for (unsigned h = 0; h < 100 && deployment_rollout(&d, "2.0")->step == 0; h++)
		live(1, "2.0", 2);
	live(8, "2.0", 2);
	deployment_restart(&d);
	assert_whole();
	live(4, "2.0", 2);
	/* A control group has left, and a stage is over; nothing was removed yet. */
	return deployment_rollout(&d, "2.0")->step > 0 ? 0 : -1;
}

static int close_world(void **state)
{
	(void)state;
	for (size_t i = 0; i < FLEET; i++)
		device_forget(&device[i]);
	deployment_close(&d);
	buf_release(&said);
	return 0;
}

/* ---- the first record of a table, and what can be done to it ---- */

struct record {
	uint8_t key[256], value[70000];
	size_t key_n, value_n;
};

static void first(struct store_txn *t, enum store_table table, struct record *out)
{
	struct store_cursor c;

	store_seek(&c, t, table, bytes_of(NULL, 0));
	if (!store_next(&c))
		fail_msg("nothing in %s", store_table_str(table));
	memcpy(out->key, c.key.p, c.key.n);
	memcpy(out->value, c.value.p, c.value.n);
	out->key_n = c.key.n;
	out->value_n = c.value.n;
	store_cursor_close(&c);
}

static void put_back(struct store_txn *t, enum store_table table, const struct record *r)
{
	store_put(t, table, bytes_of(r->key, r->key_n), bytes_of(r->value, r->value_n));
}

static void cut_short(struct store_txn *t, enum store_table table, struct record *r)
{
	first(t, table, r);
	r->value_n--;
	put_back(t, table, r);
}

static void lose(struct store_txn *t, enum store_table table, struct record *r)
{
	first(t, table, r);
	store_delete(t, table, bytes_of(r->key, r->key_n));
}

static void add_to(struct store_txn *t, enum store_table table, size_t byte, struct record *r)
{
	first(t, table, r);
	r->value[byte]++;
	put_back(t, table, r);
}

static void short_device(struct store_txn *t, struct record *r)
{
	cut_short(t, STORE_DEVICE, r);
}

static void lost_device(struct store_txn *t, struct record *r)
{
	first(t, STORE_KEY, r);
	store_delete(t, STORE_DEVICE, bytes_of(r->value, ID_LEN));
}

static void strange_product(struct store_txn *t, struct record *r)
{
	add_to(t, STORE_DEVICE, 38, r);
}

static void other_wish(struct store_txn *t, struct record *r)
{
	first(t, STORE_WAITING, r);
	r->value[0] ^= 1;
	put_back(t, STORE_WAITING, r);
}

static void lost_waiter(struct store_txn *t, struct record *r)
{
	first(t, STORE_WAITING, r);
	r->key[2] ^= 0xff;
	put_back(t, STORE_WAITING, r);
}

static void token_of_nobody(struct store_txn *t, struct record *r)
{
	memset(r->key, 7, sizeof(r->key));
	store_put(t, STORE_TOKEN, bytes_of(r->key, 16), bytes_of(r->key, ID_LEN));
}

static void foreign_of_nobody(struct store_txn *t, struct record *r)
{
	static const struct stored_foreign f = { .state = { .protocol = FOREIGN_DDI },
		.name = "board" };

	memset(r->key, 7, sizeof(r->key));
	foreign_put(t, r->key, &f);
}

static void strange_foreign(struct store_txn *t, struct record *r)
{
	first(t, STORE_DEVICE, r);
	store_put(t, STORE_FOREIGN, bytes_of(r->key, ID_LEN), bytes_str("board"));
}

static void lost_entry(struct store_txn *t, struct record *r)
{
	put_be64(r->key, 3);
	store_delete(t, STORE_LOG, bytes_of(r->key, 8));
}

static void lost_first_entry(struct store_txn *t, struct record *r)
{
	lose(t, STORE_LOG, r);
}

static void other_entry(struct store_txn *t, struct record *r)
{
	struct bytes entry;

	assert_true(entry_get(t, 1, &entry));
	memcpy(r->value, entry.p, entry.n);
	put_be64(r->key, 2);
	store_put(t, STORE_LOG, bytes_of(r->key, 8), bytes_of(r->value, entry.n));
}

static void no_entry(struct store_txn *t, struct record *r)
{
	put_be64(r->key, 2);
	store_put(t, STORE_LOG, bytes_of(r->key, 8), bytes_str("nothing of the kind"));
}

/* All that came behind the checkpoint, and more. */
static void shorter_log(struct store_txn *t, struct record *r)
{
	for (uint64_t i = entry_count(t); i-- > 5;) {
		put_be64(r->key, i);
		store_delete(t, STORE_LOG, bytes_of(r->key, 8));
	}
}

static void lost_director(struct store_txn *t, struct record *r)
{
	(void)r;
	store_delete(t, STORE_ENVELOPE, bytes_str("director/phone-a/honour"));
}

static void older_director(struct store_txn *t, struct record *r)
{
	struct bytes v;

	assert_true(envelope_get(t, "director/phone-b/honour", &v));
	memcpy(r->value, v.p, v.n);
	envelope_put(t, "director/phone-a/honour", bytes_of(r->value, v.n));
}

static void lost_snapshot(struct store_txn *t, struct record *r)
{
	(void)r;
	store_delete(t, STORE_ENVELOPE, bytes_str("snapshot/phone-a"));
}

static void other_snapshot(struct store_txn *t, struct record *r)
{
	struct bytes v;

	assert_true(envelope_get(t, "snapshot/phone-a", &v));
	memcpy(r->value, v.p, v.n);
	r->value[v.n - 1] ^= 1; /* in the signature */
	envelope_put(t, "snapshot/phone-a", bytes_of(r->value, v.n));
}

static void strange_envelope(struct store_txn *t, struct record *r)
{
	(void)r;
	envelope_put(t, "snapshot/phone-c", bytes_str("not signed"));
}

static void bad_note(struct store_txn *t, struct record *r)
{
	(void)r;
	envelope_put(t, "checkpoint", bytes_str("one\ntwo\nthree\n"));
}

static void lost_arm(struct store_txn *t, struct record *r)
{
	lose(t, STORE_ARM, r);
}

static void one_more_event(struct store_txn *t, struct record *r)
{
	first(t, STORE_ARM, r);
	r->value[13] ^= 4; /* boot_ok, bit 18 */
	put_back(t, STORE_ARM, r);
}

static void made_up_arm(struct store_txn *t, struct record *r)
{
	first(t, STORE_ARM, r);
	r->key[5] ^= 0xff;
	r->value[2] = 0;
	put_back(t, STORE_ARM, r);
}

/* The same, and gone, as one that was erased. */
static void made_up_ghost(struct store_txn *t, struct record *r)
{
	made_up_arm(t, r);
	r->value[2] = 1;
	put_back(t, STORE_ARM, r);
}

static void other_arm(struct store_txn *t, struct record *r)
{
	first(t, STORE_ARM, r);
	r->value[0] ^= 1;
	put_back(t, STORE_ARM, r);
}

static void lost_stage(struct store_txn *t, struct record *r)
{
	lose(t, STORE_STAGE, r);
}

static void other_sum(struct store_txn *t, struct record *r)
{
	add_to(t, STORE_STAGE, 43, r); /* entered[0] */
}

static void lost_row(struct store_txn *t, struct record *r)
{
	lose(t, STORE_ROW, r);
}

static void other_row(struct store_txn *t, struct record *r)
{
	struct store_cursor c;

	store_foreach(&c, t, STORE_ROW, bytes_of(NULL, 0)) {
		if (c.value.p[1] != STREAM_BOOT_OK)
			continue;
		memcpy(r->key, c.key.p, c.key.n);
		memcpy(r->value, c.value.p, c.value.n);
		r->key_n = c.key.n;
		r->value_n = c.value.n;
	}
	r->value[19]++;
	put_back(t, STORE_ROW, r);
}

static void short_seen(struct store_txn *t, struct record *r)
{
	cut_short(t, STORE_SEEN, r);
}

static void other_novel(struct store_txn *t, struct record *r)
{
	add_to(t, STORE_NOVEL, 21, r); /* total[0] */
}

static void lost_novel(struct store_txn *t, struct record *r)
{
	lose(t, STORE_NOVEL, r);
}

static void lost_hit(struct store_txn *t, struct record *r)
{
	lose(t, STORE_HIT, r);
}

static void bad_meta(struct store_txn *t, struct record *r)
{
	(void)r;
	store_put(t, STORE_META, bytes_str("product/phone-a"), bytes_str("one"));
}

static const struct {
	const char *why;
	void (*damage)(struct store_txn *t, struct record *r);
	const char *table, *says;
} cases[] = {
	{ "a device cut short", short_device, "device ", "no record of a device" },
	{ "a device lost", lost_device, "key ", "names a device that is not there" },
	{ "a device's product", strange_product, "device ", "has no name here" },
	{ "what a device waits for", other_wish, "waiting ", "another ring" },
	{ "who waits", lost_waiter, "waiting ", "names a device that is not there" },
	{ "whose token", token_of_nobody, "token ", "names a device that is not there" },
	{ "of whom another protocol tells", foreign_of_nobody, "foreign ",
		"names a device that is not there" },
	{ "what another protocol tells", strange_foreign, "foreign ", "is no record" },
	{ "an entry lost", lost_entry, "log ", "entry 3 is missing" },
	{ "the first entry lost", lost_first_entry, "log ", "entry 0 is missing" },
	{ "another entry in its place", other_entry, "log ", "not those of the checkpoint" },
	{ "no entry at all", no_entry, "log ", "is no entry of a log" },
	{ "a log cut off", shorter_log, "envelope ", "and the log has 5" },
	{ "a director lost", lost_director, "log ",
		"director/phone-a/honour, which is not stored" },
	{ "a director that was replaced", older_director, "envelope ", "not what the log has" },
	{ "a snapshot lost", lost_snapshot, "envelope ", "names snapshot/phone-a, which is not" },
	{ "a snapshot's bytes", other_snapshot, "envelope ", "names other bytes" },
	{ "no envelope", strange_envelope, "envelope ", "is no metadata" },
	{ "no checkpoint", bad_note, "envelope ", "is no checkpoint" },
	{ "a device's evidence lost", lost_arm, "stage ", "the records say" },
	{ "an event too many", one_more_event, "stage ", "the records say" },
	{ "evidence of nobody", made_up_arm, "arm ", "names a device that is not there" },
	{ "evidence of nobody, gone", made_up_ghost, "stage ", "devices entered" },
	{ "the other arm", other_arm, "stage ", "devices entered" },
	{ "a stage lost", lost_stage, "arm ", "is of a stage that is not there" },
	{ "a stage's sum", other_sum, "stage ", "devices entered" },
	{ "a row lost", lost_row, "row ", "does not follow" },
	{ "a row's number", other_row, "stage ", "events in rows" },
	{ "a signature's first time", short_seen, "seen ", "wrong size" },
	{ "how many had a signature", other_novel, "novel ", "devices of the canary had it" },
	{ "a signature lost", lost_novel, "hit ", "is of a signature that is not there" },
	{ "who had a signature", lost_hit, "novel ", "the records say" },
	{ "a name's number", bad_meta, "meta ", "wrong size" },
};

static void test_damage(void **state)
{
	static struct record r;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct store_check c;
		struct store_txn t;
		store_begin(d.server.store, &t, true);
		cases[i].damage(&t, &r);
		assert_int_equal(t.err, 0);
		if (check(&t, &c) != ERR_CORRUPT || c.findings == 0)
			fail_msg("%s: not found", cases[i].why);
		if (strstr(buf_text(&said), cases[i].table) == NULL ||
			strstr(buf_text(&said), cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].why, buf_text(&said));
		assert_int_equal(t.err, 0);
		store_abort(&t);
	}
	assert_whole();
}

/* Its evidence stays under a name that nobody has: sums hold, and who it was is not to be seen. */
static void test_erased(void **state)
{
	struct evidence_device e;
	struct store_check c;
	struct store_txn t;
	struct record r;
	uint8_t id[ID_LEN];

	(void)state;
	store_begin(d.server.store, &t, true);
	first(&t, STORE_ARM, &r);
	memcpy(id, r.key + 5, ID_LEN);
	assert_true(arm_get(&t, (struct stage_key){ get_be32(r.key), r.key[4] }, id, &e));
	store_delete(&t, STORE_ARM, bytes_of(r.key, r.key_n));
	e.gone = true;
	memset(id, 0x5a, ID_LEN);
	arm_put(&t, (struct stage_key){ get_be32(r.key), r.key[4] }, id, &e);
	if (check(&t, &c) != 0 && strstr(buf_text(&said), "stage ") != NULL)
		fail_msg("%s", buf_text(&said));
	store_abort(&t);
}

/* What is being removed because its rollout is over is not lost; without the mark it is. */
static void test_purged(void **state)
{
	static struct record r;
	struct store_check c;
	struct store_txn t;

	(void)state;
	store_begin(d.server.store, &t, true);
	while (store_count(&t, STORE_HIT) > 0)
		lose(&t, STORE_HIT, &r);
	for (unsigned i = 0; i < 3; i++)
		lose(&t, STORE_ARM, &r);
	assert_int_equal(check(&t, &c), ERR_CORRUPT);
	stage_purged_put(&t, get_be32(r.key));
	if (check(&t, &c) != 0)
		fail_msg("%s", buf_text(&said));
	store_abort(&t);
}

/* A store that was just made, and one that nothing can be read from. */
static void test_ends(void **state)
{
	struct store_check c;
	struct store_txn t;

	(void)state;
	store_begin(d.server.store, &t, false);
	t.err = ERR_STORE;
	assert_int_equal(check(&t, &c), ERR_STORE);
	store_abort(&t);
	store_begin(d.server.store, &t, false);
	c = (struct store_check){ .at = UINT64_MAX };
	assert_int_equal(store_check(&t, &c), 0);
	assert_false(c.has_at);
	store_abort(&t);
}

/* ---- bytes ---- */

/* All there is, as it is read: what a flipped byte did not change. */
static uint64_t read_all(struct store_txn *t)
{
	struct store_cursor c;
	uint64_t sum = 0;

	for (unsigned i = 0; i < STORE__COUNT; i++)
		store_foreach(&c, t, (enum store_table)i, bytes_of(NULL, 0))
			sum = sum * 31 + hash64(c.key.p, c.key.n) * 17 +
				hash64(c.value.p, c.value.n);
	return sum;
}

/* What becomes of who opens the copy; 0: it is whole, and `*sum` is what it has. */
static int open_copy(const char *path, uint64_t *sum)
{
	struct store_check c = { .found = NULL };
	struct store_txn t;
	struct store *s;
	char error[256];
	int err;

	if (store_open_read(path, &s, error) != 0)
		return 1;
	store_begin(s, &t, false);
	err = store_check(&t, &c) != 0;
	*sum = read_all(&t);
	store_abort(&t);
	store_close(s);
	return err;
}

/* In a child, whose end by a signal is an answer too. */
static bool is_found(const char *path, uint64_t want)
{
	static const int ends[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE };
	uint64_t sum = 0;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		(void)setrlimit(RLIMIT_CORE, &none);
		/* cmocka's would go on with the tests. */
		for (size_t i = 0; i < COUNT(ends); i++)
			(void)signal(ends[i], SIG_DFL);
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		_exit(open_copy(path, &sum) != 0 ? 1 : sum == want ? 0 : 77);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return !WIFEXITED(status) || WEXITSTATUS(status) < 77;
}

/* A byte that changed is found, or it changes nothing of what is read. */
static void test_flips(void **state)
{
	char path[96];
	uint64_t want = 0;
	struct stat st;
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/copy.mdb", d.dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(store_copy(d.server.store, fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(open_copy(path, &want), 0);
	for (unsigned i = 0; i < FLIPS; i++) {
		/* As many in the heads of pages as in all the rest. */
		uint64_t at = rng_below(&rng, (uint64_t)st.st_size);
		uint8_t was, now;
		if (i % 2 == 0)
			at = at / 4096 * 4096 + rng_below(&rng, 160);
		assert_int_equal(pread(fd, &was, 1, (off_t)at), 1);
		now = (uint8_t)(was ^ 1u << rng_below(&rng, 8));
		assert_int_equal(pwrite(fd, &now, 1, (off_t)at), 1);
		if (!is_found(path, want))
			fail_msg("byte %llu, %02x for %02x: not found", (unsigned long long)at, now,
				was);
		assert_int_equal(pwrite(fd, &was, 1, (off_t)at), 1);
	}
	assert_int_equal(open_copy(path, &want), 0);
	(void)close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_erased),
		cmocka_unit_test(test_purged),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_flips),
	};

	return cmocka_run_group_tests(tests, open_world, close_world);
}
