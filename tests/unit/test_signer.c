/* SPDX-License-Identifier: Apache-2.0 */
/* The signer as it runs: a process of its own, its floors, and its end. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "rng.h"
#include "server/base/file.h"
#include "server/trust/signer.pb-c.h"
#include "server/trust/signer_proc.h"
#include "signer_world.h"

static int ask_timestamp(uint64_t version)
{
	Pb__Timestamp t = signer_world_timestamp(version);

	return signer_world_ask(ENVELOPE_TIMESTAMP, &t);
}

/* One request, all four kinds; each envelope is what the root says it must be. */
static void test_all_kinds(void **state)
{
	static const enum envelope_type types[] = { ENVELOPE_DIRECTOR, ENVELOPE_TIMESTAMP,
		ENVELOPE_SNAPSHOT, ENVELOPE_DECISION };
	Pb__Timestamp timestamp;
	Pb__Decision decision = PB__DECISION__INIT;
	struct signer_item item[4];
	struct buf out[4];

	(void)state;
	signer_world_files();
	timestamp = signer_world_timestamp(1);
	w.director.version = 2;
	decision.repository = "demo";
	decision.kind = PB__DECISION_KIND__DECISION_HALT;
	item[0] = signer_world_item(types[0], &w.director);
	item[1] = signer_world_item(types[1], &timestamp);
	w.snapshot.version = 2;
	item[2] = signer_world_item(types[2], &w.snapshot);
	item[3] = signer_world_item(types[3], &decision);
	assert_int_equal(signer_sign(w.signer, item, 4, out), 0);
	for (size_t i = 0; i < 4; i++) {
		struct bytes payload;
		assert_int_equal(envelope_open(crypto_openssl(), buf_bytes(&out[i]), types[i],
					 w.root->root, &w.arena, &payload),
			0);
		assert_true(bytes_eq(payload, item[i].payload));
		buf_release(&out[i]);
	}
	assert_int_equal(signer_world_floor("timestamp/phone-a"), 1);
	assert_int_equal(signer_world_floor("snapshot/phone-a"), 2);
	assert_int_equal(signer_world_floor("director/phone-a/core"), 2);
	assert_int_equal(signer_world_floor("director/phone-a/honour"), 1);
	assert_int_equal(signer_world_floor("nothing"), 0);
}

static void restart(void)
{
	signer_stop(w.signer);
	assert_int_equal(signer_world_start(), 0);
}

/* No version is signed twice, whatever is restarted in between. */
static void test_floors(void **state)
{
	static const struct {
		const char *why;
		bool restart;
		uint64_t version;
		int want;
		uint64_t floor;
	} row[] = {
		{ "0 is below everything", false, 0, ERR_FLOOR, 0 },
		{ "the first", false, 5, 0, 5 },
		{ "again", false, 5, ERR_FLOOR, 5 },
		{ "an older one", false, 4, ERR_FLOOR, 5 },
		{ "again after a restart", true, 5, ERR_FLOOR, 5 },
		{ "an older one after a restart", true, 1, ERR_FLOOR, 5 },
		{ "the next after a restart", true, 6, 0, 6 },
		{ "far ahead", false, UINT64_MAX - 1, 0, UINT64_MAX - 1 },
		{ "nothing comes back from there", true, 7, ERR_FLOOR, UINT64_MAX - 1 },
		{ "the last there is", true, UINT64_MAX, 0, UINT64_MAX },
		{ "the end", true, UINT64_MAX, ERR_FLOOR, UINT64_MAX },
	};

	(void)state;
	signer_world_files();
	for (size_t i = 0; i < COUNT(row); i++) {
		int err;
		if (row[i].restart)
			restart();
		err = ask_timestamp(row[i].version);
		if (err != row[i].want)
			fail_msg("%s: %s", row[i].why, err_name(err));
		assert_int_equal(signer_world_floor("timestamp/phone-a"), row[i].floor);
	}
	/* Each name has its own. */
	w.director.version = 2;
	assert_int_equal(signer_world_ask(ENVELOPE_DIRECTOR, &w.director), 0);
}

/* Decisions are entries of a log: they have no version. */
static void test_decisions_have_no_floor(void **state)
{
	Pb__Decision d = PB__DECISION__INIT;

	(void)state;
	d.repository = "demo";
	d.kind = PB__DECISION_KIND__DECISION_PAUSE;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(signer_world_ask(ENVELOPE_DECISION, &d), 0);
}

/* In the store it would be durable, and no entry after it could ever be signed. */
static void test_what_the_log_refuses_is_not_signed(void **state)
{
	static const uint8_t unknown[ID_LEN] = { 1 };
	const struct {
		const uint8_t *rollout;
		Pb__DecisionKind kind;
		uint32_t step;
		int want;
	} row[] = {
		{ w.rollout_id, PB__DECISION_KIND__DECISION_PROMOTE, 0, 0 },
		{ w.rollout_id, PB__DECISION_KIND__DECISION_PROMOTE, 1, ERR_WRONG_STATE },
		{ unknown, PB__DECISION_KIND__DECISION_PROMOTE, 0, ERR_NOT_FOUND },
		{ unknown, PB__DECISION_KIND__DECISION_PAUSE, 0, 0 },
		{ unknown, PB__DECISION_KIND__DECISION_HALT, 0, 0 },
		{ unknown, PB__DECISION_KIND__DECISION_COMPLETE, 0, 0 },
	};

	(void)state;
	signer_world_roll_out();
	for (size_t i = 0; i < COUNT(row); i++) {
		Pb__Decision d = PB__DECISION__INIT;
		struct bytes e;

		d.repository = "demo";
		d.kind = row[i].kind;
		d.has_rollout_id = d.has_step = 1;
		d.rollout_id = wire_data(row[i].rollout, ID_LEN);
		d.step = row[i].step;
		assert_int_equal(signer_world_get(ENVELOPE_DECISION, &d, &e), row[i].want);
		if (row[i].want == 0 && i > 0)
			assert_int_equal(signer_world_append(e), 0);
	}
}

/* One that is refused takes the others with it, and no floor has moved. */
static void test_all_or_none(void **state)
{
	Pb__Timestamp good = signer_world_timestamp(10), again = signer_world_timestamp(10),
		      foreign = signer_world_timestamp(11);
	const Pb__Timestamp *second[] = { &again, &foreign };
	static const int want[] = { ERR_FLOOR, ERR_WRONG_REPOSITORY };

	(void)state;
	signer_world_files();
	foreign.repository = "other";
	assert_int_equal(ask_timestamp(9), 0);
	for (size_t i = 0; i < 2; i++) {
		struct signer_item item[] = {
			signer_world_item(ENVELOPE_TIMESTAMP, &good),
			signer_world_item(ENVELOPE_TIMESTAMP, second[i]),
		};
		struct buf out[2];
		assert_int_equal(signer_sign(w.signer, item, 2, out), want[i]);
		assert_int_equal(signer_world_floor("timestamp/phone-a"), 9);
	}
	assert_int_equal(ask_timestamp(10), 0);
}

/* Its ledger is not for anybody's eyes, and never mistaken for an empty one. */
static void test_ledger_file(void **state)
{
	static const struct {
		const char *why;
		size_t n;
		int want;
	} row[] = {
		{ "empty", 0, ERR_CORRUPT },
		{ "one byte", 1, ERR_CORRUPT },
		{ "a slot and a half, of nothing", 12000, ERR_CORRUPT },
	};
	struct stat st;
	uint8_t *zeros = calloc(1, 12000);

	(void)state;
	signer_world_files();
	assert_non_null(zeros);
	assert_int_equal(ask_timestamp(7), 0);
	assert_int_equal(stat(tmpdir_path("ledger"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	signer_stop(w.signer);
	w.signer = NULL;
	assert_int_equal(rename(tmpdir_path("ledger"), tmpdir_path("good")), 0);
	for (size_t i = 0; i < COUNT(row); i++) {
		int err;
		assert_int_equal(
			file_replace(tmpdir_path("ledger"), bytes_of(zeros, row[i].n), 0600), 0);
		err = signer_world_start();
		if (err != row[i].want)
			fail_msg("%s: %s", row[i].why, err_name(err));
		assert_non_null(strstr(w.error, "neither of its two copies is whole"));
	}
	assert_int_equal(rename(tmpdir_path("good"), tmpdir_path("ledger")), 0);
	assert_int_equal(signer_world_start(), 0);
	assert_int_equal(ask_timestamp(7), ERR_FLOOR);
	free(zeros);
}

/* One ledger, one signer: two would sign two logs. */
static void test_one_at_a_time(void **state)
{
	struct signer *first = w.signer;

	(void)state;
	signer_world_files();
	w.signer = NULL;
	assert_int_equal(signer_world_start(), ERR_BUSY);
	w.signer = first;
	assert_int_equal(ask_timestamp(1), 0);
}

static void check_start_fails(const char *why, int want, const char *text)
{
	int err = signer_world_start();

	if (err != want || strstr(w.error, text) == NULL)
		fail_msg("%s: %s, %s", why, err_name(err), w.error);
}

static void test_start_refused(void **state)
{
	uint8_t damaged[65536];
	struct bytes good = w.root->envelope;

	(void)state;
	signer_stop(w.signer);
	w.signer = NULL;
	memcpy(damaged, good.p, good.n);
	damaged[good.n / 2] ^= 1;
	w.root->envelope = bytes_of(damaged, good.n);
	assert_int_not_equal(signer_world_start(), 0);
	w.root->envelope = good;
	assert_int_equal(rename(tmpdir_path("online/director.pem"), tmpdir_path("online/d")), 0);
	check_start_fails("no key", ERR_NOT_AUTHORISED, "director key");
	/* Another's key in its place. */
	assert_int_equal(
		link(tmpdir_path("online/snapshot.pem"), tmpdir_path("online/director.pem")), 0);
	check_start_fails("wrong key", ERR_NOT_AUTHORISED, "director key");
	assert_int_equal(unlink(tmpdir_path("online/director.pem")), 0);
	assert_int_equal(
		file_create(tmpdir_path("online/director.pem"), bytes_str("rubbish"), 0600), 0);
	check_start_fails("no key at all", ERR_BAD_KEY, "director.pem");
	assert_int_equal(rename(tmpdir_path("online/d"), tmpdir_path("online/director.pem")), 0);
	assert_int_equal(signer_world_start(), 0);
}

/* What no huidud sends: answered with an error, and the next request is served. */
static void test_garbage(void **state)
{
	struct rng r = { 27 };
	struct buf reply = { 0 };

	(void)state;
	signer_world_files();
	for (unsigned i = 0; i < 300; i++) {
		uint8_t bytes[200];
		size_t n = rng_below(&r, sizeof(bytes));
		const Pb__SignerReply *m;
		int err;
		rng_fill(&r, bytes, sizeof(bytes));
		w.arena.used = 0;
		assert_int_equal(signer_write(signer_fd(w.signer), bytes_of(bytes, n)), 0);
		assert_int_equal(signer_read(signer_fd(w.signer), &reply), 0);
		m = wire_read(&pb__signer_reply__descriptor, buf_bytes(&reply), &wire_admin,
			&w.arena, &err);
		assert_non_null(m);
		assert_int_equal(m->n_envelopes, 0);
		assert_true(m->code < 0 && m->text != NULL);
	}
	buf_release(&reply);
	assert_int_equal(ask_timestamp(1), 0);
}

static bool is_dead(int timeout_ms)
{
	struct pollfd p = { .fd = signer_fd(w.signer), .events = POLLIN };
	int n = poll(&p, 1, timeout_ms);

	assert_true(n >= 0);
	return n == 1;
}

/* A frame that is longer than any request: it ends, as huidud must then. */
static void test_endless_frame(void **state)
{
	uint8_t head[4];

	(void)state;
	signer_world_files();
	assert_false(is_dead(0));
	put_be32(head, SIGNER_MESSAGE_MAX + 1);
	assert_int_equal(send(signer_fd(w.signer), head, 4, MSG_NOSIGNAL), 4);
	assert_true(is_dead(10000));
	assert_int_equal(ask_timestamp(1), ERR_SIGNER);
}

static pid_t child(void)
{
	char path[64];
	struct buf text = { 0 };
	pid_t pid;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	assert_int_equal(file_read(path, 100, &text), 0);
	pid = (pid_t)strtol(buf_text(&text), NULL, 10);
	assert_true(pid > 1);
	buf_release(&text);
	return pid;
}

static void test_its_death_is_seen(void **state)
{
	(void)state;
	signer_world_files();
	/* Not from a key that was pressed for huidud. */
	assert_int_equal(kill(child(), SIGINT), 0);
	assert_int_equal(kill(child(), SIGTERM), 0);
	assert_int_equal(kill(child(), SIGHUP), 0);
	assert_int_equal(ask_timestamp(1), 0);
	assert_false(is_dead(0));
	assert_int_equal(kill(child(), SIGKILL), 0);
	assert_true(is_dead(10000));
	assert_int_equal(ask_timestamp(2), ERR_SIGNER);
	assert_int_equal(ask_timestamp(2), ERR_SIGNER);
	/* What it had signed before, it does not sign again after. */
	restart();
	assert_int_equal(ask_timestamp(1), ERR_FLOOR);
	assert_int_equal(ask_timestamp(2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_all_kinds),
		IN_WORLD(test_floors),
		IN_WORLD(test_decisions_have_no_floor),
		IN_WORLD(test_what_the_log_refuses_is_not_signed),
		IN_WORLD(test_all_or_none),
		IN_WORLD(test_ledger_file),
		IN_WORLD(test_one_at_a_time),
		IN_WORLD(test_start_refused),
		IN_WORLD(test_garbage),
		IN_WORLD(test_endless_frame),
		IN_WORLD(test_its_death_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
