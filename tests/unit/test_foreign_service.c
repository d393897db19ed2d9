/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of other servers' protocols at the services: who is let in, what is read, what counts. */
#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#include "authority_world.h"
#include "rows.h"
#include "server/metrics/metrics.h"
#include "server/service/digest.h"
#include "server/service/foreign.h"

#define HOUR_MS 3600000ull

static const char *const phone_a[] = { "phone-a" };
static const char token[] = "cb115a721af28f781b493fa467819ef5";

static struct deployment d;
static struct foreign_exchange x;

static int open_it(void **state)
{
	struct deployment_options o = { .profile = "solo",
		.lines = "lines:\n  - products: [phone-a, phone-b]\n    fill_every: 1m\n"
			 "compat:\n  patience: 1h\n"
			 "  hawkbit: [{tenant: default, product: phone-a}]\n" };

	(void)state;
	deployment_open(&d, &o);
	return 0;
}

static int close_it(void **state)
{
	(void)state;
	deployment_close(&d);
	return 0;
}

/* ---- one exchange ---- */

static struct foreign_ask ask_of(const char *name, enum foreign_word word, uint32_t action)
{
	return (struct foreign_ask){ .protocol = FOREIGN_DDI,
		.product = image_find(d.desk.image, "phone-a"),
		.name = bytes_str(name),
		.enrols = true,
		.said = { .word = word, .action = action },
		.now_ms = d.now_ms,
		.mono_ms = d.now_ms };
}

static void done(struct job *job)
{
	if (job->err == 0)
		foreign_taken((struct foreign_exchange *)job);
}

/* As exchange.c: the writer's turn, if it must be. */
static int go(const struct foreign_ask *ask)
{
	bool write;
	int err = foreign_begin(&d.desk, ask, &x, &write);

	if (err != 0 || !write)
		return err;
	x.job.done = done;
	assert_int_equal(writer_submit(&d.server.writer, &x.job), 0);
	while (writer_drain(&d.server.writer))
		;
	return x.job.err;
}

static enum foreign_tell say(const char *name, enum foreign_word word, uint32_t action)
{
	struct foreign_ask ask = ask_of(name, word, action);

	assert_int_equal(go(&ask), 0);
	return x.turn.tell;
}

static enum foreign_tell poll(const char *name)
{
	return say(name, FOREIGN_POLL, 0);
}

/* It is in, and what it runs is not asked for any more. */
static void enrol(const char *name)
{
	assert_int_equal(poll(name), FOREIGN_NOTHING);
	assert_true(x.is_new);
	assert_int_equal(say(name, FOREIGN_ATTRIBUTES, 0), FOREIGN_NOTHING);
	assert_false(x.is_new);
}

static int shows(const char *name, const char *its, bool enrols)
{
	struct foreign_ask ask = ask_of(name, FOREIGN_POLL, 0);
	uint8_t kept[TOKEN_LEN];

	assert_int_equal(foreign_token(bytes_str(its), kept), 0);
	ask.token = kept;
	ask.enrols = enrols;
	return go(&ask);
}

static uint64_t transactions(void)
{
	return metric_get(METRIC_TRANSACTIONS);
}

/* ---- who is let in ---- */

static void test_enrol(void **state)
{
	uint64_t enrolled = metric_get(METRIC_ENROLLED), fleet = fleet_count(d.server.fleet);
	struct foreign_ask ask = ask_of("stranger", FOREIGN_POLL, 0);
	uint8_t id[ID_LEN];

	(void)state;
	ask.enrols = false;
	assert_int_equal(go(&ask), ERR_BAD_MAC);
	assert_int_equal(fleet_count(d.server.fleet), fleet);
	assert_int_equal(poll("board-1"), FOREIGN_NOTHING);
	assert_true(x.is_new);
	memcpy(id, x.id, ID_LEN);
	/* New once. */
	assert_int_equal(poll("board-1"), FOREIGN_NOTHING);
	assert_false(x.is_new);
	assert_true(x.turn.wants);
	assert_memory_equal(x.id, id, ID_LEN);
	assert_int_equal(metric_get(METRIC_ENROLLED), enrolled + 1);
	assert_int_equal(fleet_count(d.server.fleet), fleet + 1);
	/* Another product, another protocol, another name: others. */
	assert_int_equal(poll("board-2"), FOREIGN_NOTHING);
	assert_memory_not_equal(x.id, id, ID_LEN);
	assert_int_equal(
		foreign_id(&d.desk, FOREIGN_DDI, "phone-b", bytes_str("board-1"), x.id), 0);
	assert_memory_not_equal(x.id, id, ID_LEN);
	assert_int_equal(
		foreign_id(&d.desk, FOREIGN_MENDER, "phone-a", bytes_str("board-1"), x.id), 0);
	assert_memory_not_equal(x.id, id, ID_LEN);
	deployment_restart(&d);
	assert_int_equal(poll("board-1"), FOREIGN_NOTHING);
	assert_false(x.is_new);
	assert_memory_equal(x.id, id, ID_LEN);
}

static void test_tokens(void **state)
{
	static const struct {
		const char *why, *name, *token;
		int want;
	} rows[] = {
		{ "its own", "board-1", token, 0 },
		{ "another's", "board-1", "cb115a721af28f781b493fa467819ef6", ERR_BAD_MAC },
		{ "cut", "board-1", "cb115a721af28f781b493fa467819ef", ERR_BAD_MAC },
		{ "of who has none", "board-2", token, ERR_BAD_MAC },
		{ "of who is not there", "board-3", token, ERR_BAD_MAC },
	};

	(void)state;
	assert_int_equal(shows("board-1", token, true), 0);
	assert_true(x.is_new);
	enrol("board-2");
	for (int turn = 0; turn < 3; turn++) {
		for (size_t i = 0; i < COUNT(rows); i++) {
			int err = shows(rows[i].name, rows[i].token, false);
			if (err != rows[i].want)
				fail_msg("%d: %s: %s", turn, rows[i].why, err_str(err));
		}
		if (turn == 0)
			assert_int_equal(say("board-1", FOREIGN_ATTRIBUTES, 0), FOREIGN_NOTHING);
		else if (turn == 1)
			deployment_restart(&d);
	}
}

/* What says more than that it is there has all of its token compared. */
static void test_token_half_right(void **state)
{
	struct foreign_ask ask = ask_of("board-1", FOREIGN_POLL, 0);
	uint8_t kept[TOKEN_LEN];

	(void)state;
	assert_int_equal(shows("board-1", token, true), 0);
	assert_int_equal(say("board-1", FOREIGN_ATTRIBUTES, 0), FOREIGN_NOTHING);
	assert_int_equal(foreign_token(bytes_str(token), kept), 0);
	kept[TOKEN_LEN - 1] ^= 1;
	ask.token = kept;
	ask.said = (struct foreign_said){ .word = FOREIGN_ATTRIBUTES };
	assert_int_equal(go(&ask), ERR_BAD_MAC);
	/* Nor is it offered anything. */
	assert_int_equal(deployment_publish(&d, "phone-a", "2.0", 2, "content"), 0);
	struct test_plan p;
	const struct plan_stage all = { RING_STABLE, 1000000, 0 };
	assert_int_equal(
		deployment_roll_out(&d, "2.0", phone_a, 1, plan_of(&p, &all, 1, HOUR_MS, 0)), 0);
	deployment_run(&d, 120000, 60000);
	ask = ask_of("board-1", FOREIGN_POLL, 0);
	ask.token = kept;
	assert_int_equal(go(&ask), ERR_BAD_MAC);
	assert_int_equal(shows("board-1", token, false), 0);
}

/* A minute's worth may come at once, and then no more. */
static void test_flood(void **state)
{
	uint8_t network[4] = { 4, 192, 0, 2 };
	struct foreign_ask ask = ask_of("", FOREIGN_POLL, 0);
	char name[32];
	int err = 0;

	(void)state;
	flood_rates(d.server.flood, 100, 5);
	for (unsigned i = 0; i < 7; i++) {
		(void)snprintf(name, sizeof(name), "flood-%u", i);
		ask.name = bytes_str(name);
		ask.network = bytes_of(network, sizeof(network));
		err = go(&ask);
		assert_int_equal(err, i < 5 ? 0 : ERR_TOO_MANY);
	}
	/* Who is in comes in. */
	ask.name = bytes_str("flood-0");
	assert_int_equal(go(&ask), 0);
	ask.name = bytes_str("flood-6");
	ask.mono_ms += 61000;
	assert_int_equal(go(&ask), 0);
}

/* ---- what a poll reads ---- */

static void test_idle(void **state)
{
	struct fleet_foreign m;
	uint64_t before;

	(void)state;
	enrol("board-1");
	assert_true(fleet_foreign_get(d.server.fleet, x.word, &m));
	assert_int_equal(m.state, FOREIGN_IDLE);
	assert_int_equal(m.token, 0);
	before = transactions();
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(poll("board-1"), FOREIGN_NOTHING);
	assert_int_equal(transactions(), before);
	/* With a token of its own, too. */
	assert_int_equal(shows("board-2", token, true), 0);
	assert_int_equal(say("board-2", FOREIGN_ATTRIBUTES, 0), FOREIGN_NOTHING);
	before = transactions();
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(shows("board-2", token, false), 0);
	assert_int_equal(transactions(), before);
	/* And it is heard. */
	assert_true(fleet_heard(atomic_load(x.word), 60000, d.now_ms));
}

/* ---- an update ---- */

static const struct image_build *roll_out(const char *build, uint64_t counter)
{
	const struct plan_stage all = { RING_STABLE, 1000000, 0 };
	struct test_plan p;
	const struct image_product *a;

	assert_int_equal(deployment_publish(&d, "phone-a", build, counter, build), 0);
	assert_int_equal(
		deployment_roll_out(&d, build, phone_a, 1, plan_of(&p, &all, 1, HOUR_MS, 0)), 0);
	deployment_run(&d, 120000, 60000);
	a = image_find(d.desk.image, "phone-a");
	return image_counted(a, counter);
}

/* The action's number; it is offered after that is on disk. */
static uint32_t offer(const char *name)
{
	uint64_t commits = metric_get(METRIC_COMMITS);

	(void)poll(name); /* written by now; it polls again in the same moment */
	assert_int_equal(metric_get(METRIC_COMMITS), commits + 1);
	assert_int_equal(poll(name), FOREIGN_DEPLOY);
	assert_int_equal(x.turn.next.state, FOREIGN_OFFERED);
	assert_true(x.turn.next.action > 0);
	return x.turn.next.action;
}

/* The events of an exchange are in it once; those of a repeat, never. */
static void expect_events(unsigned n)
{
	assert_int_equal(x.report.n, n);
}

static void test_update(void **state)
{
	uint32_t action;

	(void)state;
	enrol("board-1");
	assert_non_null(roll_out("2.0", 2));
	action = offer("board-1");
	assert_int_equal(say("board-1", FOREIGN_FETCH, action), FOREIGN_DEPLOY);
	assert_int_equal(say("board-1", FOREIGN_FETCH, action + 1), FOREIGN_UNKNOWN);
	(void)say("board-1", FOREIGN_DONE, action);
	expect_events(3);
	for (unsigned i = 0; i < 3; i++) {
		(void)say("board-1", FOREIGN_DONE, action);
		expect_events(0);
	}
	deployment_restart(&d);
	(void)say("board-1", FOREIGN_DONE, action);
	expect_events(0);
	assert_int_equal(x.turn.next.state, FOREIGN_INSTALLED);
	/* The new build says that it runs: once. */
	(void)say("board-1", FOREIGN_SUCCESS, action);
	expect_events(1);
	(void)say("board-1", FOREIGN_SUCCESS, action);
	expect_events(0);
	deployment_restart(&d);
	(void)say("board-1", FOREIGN_SUCCESS, action);
	expect_events(0);
	assert_int_equal(poll("board-1"), FOREIGN_NOTHING);
	assert_int_equal(x.world.answer, ANSWER_UP_TO_DATE);
}

/* The rollout is halted while its answer is on the way, and after. */
static void test_halt(void **state)
{
	uint32_t action;

	(void)state;
	enrol("board-1");
	enrol("board-2");
	assert_non_null(roll_out("2.0", 2));
	action = offer("board-1");
	assert_int_equal(deployment_act(&d, "2.0", PB__ACT__ACT_HALT), 0);
	deployment_run(&d, 1000, 1000);
	assert_int_equal(poll("board-2"), FOREIGN_NOTHING);
	(void)poll("board-1");
	assert_int_equal(poll("board-1"), FOREIGN_CANCEL);
	assert_int_equal(x.turn.next.action, action);
	deployment_restart(&d);
	assert_int_equal(poll("board-1"), FOREIGN_CANCEL);
	(void)say("board-1", FOREIGN_CANCELLED, action);
	expect_events(0);
	assert_int_equal(poll("board-1"), FOREIGN_NOTHING);
	(void)say("board-1", FOREIGN_CANCELLED, action);
	expect_events(0);
}

/* What is new is told nothing, whatever there is for it. */
static void test_new_is_told_nothing(void **state)
{
	(void)state;
	assert_non_null(roll_out("2.0", 2));
	assert_int_equal(poll("board-1"), FOREIGN_NOTHING);
	assert_true(x.is_new);
	assert_int_equal(foreign_next_poll_s(&d.desk, &x), 10);
	(void)offer("board-1");
	assert_int_equal(foreign_next_poll_s(&d.desk, &x), 60);
}

/* Nothing is offered before the file's SHA-1 is known, which a thread computes. */
static void test_sha1_first(void **state)
{
	struct foreign_ask ask;
	uint8_t sha1[SHA1_LEN];
	const struct image_build *b;

	(void)state;
	enrol("board-1");
	b = roll_out("2.0", 2);
	assert_non_null(b);
	ask = ask_of("board-1", FOREIGN_POLL, 0);
	ask.needs_sha1 = true;
	for (unsigned i = 0; i < 2000 && !digests_sha1(d.server.digests, b->sha256, sha1); i++)
		(void)usleep(5000);
	assert_true(digests_sha1(d.server.digests, b->sha256, sha1));
	assert_int_equal(go(&ask), 0);
	assert_int_equal(go(&ask), 0);
	assert_int_equal(x.turn.tell, FOREIGN_DEPLOY);
}

/* ---- brought ---- */

static void test_import(void **state)
{
	struct rows r;
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__FleetRow row = PB__FLEET_ROW__INIT;
	uint8_t kept[TOKEN_LEN], id[ID_LEN];
	char product[] = "phone-a", name[] = "board-1";
	uint64_t fleet = fleet_count(d.server.fleet);

	(void)state;
	assert_int_equal(foreign_token(bytes_str(token), kept), 0);
	row.product = product;
	row.has_protocol = true;
	row.protocol = FOREIGN_DDI;
	row.name = name;
	row.has_token = true;
	row.token = wire_data(kept, TOKEN_LEN);
	rows_begin(&r);
	rows_add(&r, &row);
	rows_end(&r, &d);
	m.import = &r.import;
	assert_int_equal(world_do(&d, &m, 0, KEY_RELEASE), 0);
	while (writer_drain(&d.server.writer))
		;
	assert_int_equal(fleet_count(d.server.fleet), fleet + 1);
	assert_int_equal(foreign_id(&d.desk, FOREIGN_DDI, "phone-a", bytes_str(name), id), 0);
	assert_non_null(fleet_find(d.server.fleet, id));
	/* Its token is its own from the first poll on; another's is not. */
	assert_int_equal(shows(name, "cb115a721af28f781b493fa467819ef6", false), ERR_BAD_MAC);
	assert_int_equal(shows(name, token, false), 0);
	assert_false(x.is_new);
	assert_memory_equal(x.id, id, ID_LEN);
	buf_release(&r.file);
}

#define IN_DEPLOYMENT(test) cmocka_unit_test_setup_teardown(test, open_it, close_it)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DEPLOYMENT(test_enrol),
		IN_DEPLOYMENT(test_tokens),
		IN_DEPLOYMENT(test_token_half_right),
		IN_DEPLOYMENT(test_flood),
		IN_DEPLOYMENT(test_idle),
		IN_DEPLOYMENT(test_update),
		IN_DEPLOYMENT(test_halt),
		IN_DEPLOYMENT(test_new_is_told_nothing),
		IN_DEPLOYMENT(test_sha1_first),
		IN_DEPLOYMENT(test_import),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
