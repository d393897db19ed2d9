/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A phone whose clock is wrong: it holds and halts as ever, and installs when the server has proved
 * what time it is.
 */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

#define DAY_MS 86400000ll
#define T0_S   (PHONE_T0 / 1000)

static void offer(struct honest *s)
{
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
}

static struct phone *skewed(void **at, int64_t days)
{
	struct phone *p;

	assert_int_equal(phone_set_up(at), 0);
	p = *at;
	p->config.build_time_s = T0_S - 100 * 86400;
	p->skew_ms = days * DAY_MS;
	phone_restart(p);
	return p;
}

/* Which clocks are believed, and that each phone gets its build at last. */
static void clocks(void **state)
{
	static const struct {
		const char *why;
		int64_t days; /* the clock is off by */
		unsigned proofs;
		bool installs;
	} rows[] = {
		{ "right", 0, 0, true },
		{ "1970", -(int64_t)(T0_S / 86400), 1, true },
		{ "before the build was made", -200, 1, true },
		/* The first Timestamp shows it. */
		{ "after the build was made, but behind", -50, 1, true },
		{ "2100", 27000, 1, true },
		{ "a little ahead", 3, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *at;
		struct phone *p = skewed(&at, rows[i].days);
		print_message("# %s\n", rows[i].why);
		offer(p->server);
		phone_run(p, 2 * DAY_MS);
		assert_string_equal(p->slot.build_id, rows[i].installs ? "b2" : "b1");
		/* One for each start: the build that was installed makes a second. */
		assert_in_range(p->server->times, rows[i].proofs, 2 * rows[i].proofs);
		assert_int_equal(honest_count(p->server, PB__EVENT_KIND__EVENT_REFUSED, NULL), 0);
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

static void no_answer(struct phone *p)
{
	p->only = "/v1/time";
	p->status = 503;
}

#define ON_TIME(name, change)                                                                      \
	static void name(struct honest *s, enum envelope_type type, void *message)                 \
	{                                                                                          \
		Pb__TimeStatement *m = message;                                                    \
		(void)s;                                                                           \
		if (type == ENVELOPE_TIME) {                                                       \
			change;                                                                    \
		}                                                                                  \
	}
ON_TIME(other_repository, m->repository = "another")
ON_TIME(other_spec, m->spec_version = 2)
ON_TIME(other_root, m->root.data[0] ^= 1)
ON_TIME(short_root, m->root.len = 31)

#define ON_PROOF(name, change)                                                                     \
	static void name(struct honest *s, Pb__TimeProof *p)                                       \
	{                                                                                          \
		(void)s;                                                                           \
		change;                                                                            \
	}
ON_PROOF(other_hash, p->hashes[1].data[3] ^= 1)
ON_PROOF(short_hash, p->hashes[0].len = 31)
ON_PROOF(no_hashes, p->n_hashes = 0)
ON_PROOF(other_index, p->index = 0)
ON_PROOF(other_size, p->size = 2)
ON_PROOF(index_beyond, p->index = 3)
ON_PROOF(changed, p->statement.data[p->statement.len - 1] ^= 1)

/* An answer to somebody else, or to an earlier question. */
static void replayed(struct honest *s, Pb__TimeProof *p)
{
	static uint8_t memory[1024];
	static size_t n;

	(void)s;
	if (n == 0) {
		n = p->statement.len;
		memcpy(memory, p->statement.data, n);
		p->statement.data[p->statement.len - 1] ^= 1;
		return;
	}
	p->statement = wire_data(memory, n);
}

static const struct row {
	const char *why;
	void (*arrange)(struct phone *p);
	void (*edit)(struct honest *s, enum envelope_type type, void *message);
	void (*edit_time)(struct honest *s, Pb__TimeProof *p);
	enum envelope_type signer;
	int want;
} rows[] = {
	{ "no answer", no_answer, NULL, NULL, ENVELOPE_TIMESTAMP, ERR_UNREACHABLE },
	{ "another repository", NULL, other_repository, NULL, ENVELOPE_TIMESTAMP,
		ERR_WRONG_REPOSITORY },
	{ "another kind", NULL, other_spec, NULL, ENVELOPE_TIMESTAMP, ERR_BAD_RANGE },
	{ "another root", NULL, other_root, NULL, ENVELOPE_TIMESTAMP, ERR_NO_TIME },
	{ "a short root", NULL, short_root, NULL, ENVELOPE_TIMESTAMP, ERR_NO_TIME },
	{ "another hash", NULL, NULL, other_hash, ENVELOPE_TIMESTAMP, ERR_NO_TIME },
	{ "a short hash", NULL, NULL, short_hash, ENVELOPE_TIMESTAMP, ERR_NO_TIME },
	{ "no hashes", NULL, NULL, no_hashes, ENVELOPE_TIMESTAMP, ERR_NO_TIME },
	{ "another index", NULL, NULL, other_index, ENVELOPE_TIMESTAMP, ERR_NO_TIME },
	{ "another size", NULL, NULL, other_size, ENVELOPE_TIMESTAMP, ERR_NO_TIME },
	{ "an index beyond", NULL, NULL, index_beyond, ENVELOPE_TIMESTAMP, ERR_NO_TIME },
	{ "a changed statement", NULL, NULL, changed, ENVELOPE_TIMESTAMP, ERR_BELOW_THRESHOLD },
	{ "an old answer", NULL, NULL, replayed, ENVELOPE_TIMESTAMP, ERR_NO_TIME },
	{ "signed by the director", NULL, NULL, NULL, ENVELOPE_DIRECTOR, ERR_BELOW_THRESHOLD },
};

/* Nothing is installed, but what is halted is dropped; the right answer is taken. */
static void unproved(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *at;
		struct phone *p = skewed(&at, -5000);
		struct honest *s = p->server;

		print_message("# %s\n", rows[i].why);
		offer(s);
		s->edit = rows[i].edit;
		s->edit_time = rows[i].edit_time;
		s->signed_as[ENVELOPE_TIME] = rows[i].signer;
		if (rows[i].arrange != NULL)
			rows[i].arrange(p);
		phone_run(p, 3600000);
		assert_int_equal(p->last_logged, rows[i].want);
		assert_true(phone_status(p).unsync);
		assert_string_equal(phone_status(p).build_id, "b2");
		assert_int_equal(s->fetches, 0);
		s->halted[s->n_halted++] = "b2";
		honest_publish(s);
		phone_poll(p);
		assert_string_equal(phone_status(p).build_id, "");
		s->n_halted = 0;
		s->offers[0].plan_version++;
		s->edit = NULL;
		s->edit_time = NULL;
		s->signed_as[ENVELOPE_TIME] = ENVELOPE_TIMESTAMP;
		p->only = NULL;
		p->status = 0;
		honest_publish(s);
		phone_run(p, 86400000);
		assert_string_equal(p->slot.build_id, "b2");
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* Once proved it goes on with the boot clock: what expires by it has expired. */
static void counts_on(void **state)
{
	void *at;
	struct phone *p = skewed(&at, -5000);
	struct honest *s = p->server;

	(void)state;
	offer(s);
	p->apply_later = true;
	phone_settle(p);
	assert_int_equal(phone_status(p).phase, HUIDU_APPLYING);
	assert_false(phone_status(p).unsync);
	phone_sleep(p, s->offers_for_s * 1000 - 1000);
	assert_int_equal(phone_status(p).phase, HUIDU_APPLYING);
	phone_sleep(p, 1000);
	assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
	assert_int_equal(phone_tear_down(&at), 0);
}

/* A restart forgets the proof, not how late it was. */
static void restarts(void **state)
{
	void *at;
	struct phone *p = skewed(&at, -5000);
	struct honest *s = p->server;

	(void)state;
	offer(s);
	p->apply_later = true;
	phone_settle(p);
	assert_int_equal(s->times, 1);
	phone_restart(p);
	assert_true(phone_status(p).unsync);
	phone_settle(p);
	assert_int_equal(s->times, 2);
	assert_false(phone_status(p).unsync);
	/* Metadata from before the proof. */
	phone_sleep(p, 2 * DAY_MS);
	phone_restart(p);
	phone_poll(p);
	assert_int_equal(phone_tear_down(&at), 0);
}

/* A device without the hook has no more than the floor, and is served all the same. */
static void without_boot_clock(void **state)
{
	void *at;
	struct phone *p = skewed(&at, -5000);

	(void)state;
	p->platform.boot_ms = NULL;
	phone_restart(p);
	offer(p->server);
	phone_run(p, 86400000);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(phone_tear_down(&at), 0);
}

/* A phone that lay in a drawer for two years, with a clock that went on. */
static void drawer(void **state)
{
	void *at;
	struct phone *p = skewed(&at, 0);
	struct honest *s = p->server;

	(void)state;
	s->root_for_s = 2000 * 86400;
	honest_rotate(s, 0);
	phone_settle(p);
	phone_sleep(p, 730 * DAY_MS);
	assert_true(phone_status(p).unsync);
	offer(s);
	phone_run(p, 86400000);
	assert_false(phone_status(p).unsync);
	assert_int_equal(s->times, 0);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(phone_tear_down(&at), 0);
}

/* Nothing was told to it yet: its own clock is what it has, against old answers replayed. */
static void first_contact(void **state)
{
	void *at;
	struct phone *p;

	(void)state;
	assert_int_equal(phone_set_up(&at), 0);
	p = at;
	phone_sleep(p, 2 * DAY_MS);
	phone_settle(p);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
	honest_publish(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_int_equal(phone_tear_down(&at), 0);
}

#define AHEAD_S (30 * 86400ull)

/* Who has every online key, and lives a month ahead. */
static void from_the_future(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_TIME) {
		((Pb__TimeStatement *)message)->time_s += AHEAD_S;
		return;
	}
	if (type == ENVELOPE_TIMESTAMP) {
		Pb__Timestamp *t = message;
		t->issued_at += AHEAD_S;
		t->offers_until += AHEAD_S;
	}
	if (type != ENVELOPE_TARGETS && type != ENVELOPE_PLAN)
		*honest_fields(type, message).expires += AHEAD_S;
}

/*
 * A month from now the approvers let everybody have the build: who sends the phones there today
 * gets nothing, unless a phone's clock has stopped and it has no other time than his.
 */
static void dates_are_not_outrun(void **state)
{
	static const struct {
		const char *why;
		int64_t days;
		bool outrun;
	} phones[] = {
		{ "right", 0, false },
		{ "1970", -(int64_t)(T0_S / 86400), true },
		{ "after the build was made, but behind", -50, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(phones) / sizeof(phones[0]); i++) {
		void *at;
		struct phone *p = skewed(&at, phones[i].days);
		struct honest *s = p->server;
		print_message("# %s\n", phones[i].why);
		honest_publish(s);
		phone_poll(p); /* once, before he came */
		assert_int_equal(phone_status(p).last_error, 0);
		honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM)->not_before_s =
			T0_S + AHEAD_S - 86400;
		s->answer = PB__ANSWER__ANSWER_OFFER;
		s->edit = from_the_future;
		honest_publish(s);
		phone_run(p, 3 * DAY_MS);
		assert_string_equal(p->slot.build_id, phones[i].outrun ? "b2" : "b1");
		s->edit = NULL;
		for (unsigned day = 0; day < 34; day++) {
			honest_publish(s);
			phone_run(p, DAY_MS);
		}
		/* When its day has come, and what he said has been overtaken, it comes. */
		assert_string_equal(p->slot.build_id, "b2");
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* A clock that was right once and was then set back: the server is believed again. */
static void clock_set_back(void **state)
{
	void *at;
	struct phone *p = skewed(&at, 0);
	struct honest *s = p->server;

	(void)state;
	phone_run(p, DAY_MS);
	p->skew_ms = -50 * DAY_MS;
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM)->not_before_s = T0_S;
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_run(p, 2 * DAY_MS);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(phone_tear_down(&at), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks),
		cmocka_unit_test(unproved),
		cmocka_unit_test(counts_on),
		cmocka_unit_test(restarts),
		cmocka_unit_test(without_boot_clock),
		cmocka_unit_test(drawer),
		cmocka_unit_test(first_contact),
		cmocka_unit_test(dates_are_not_outrun),
		cmocka_unit_test(clock_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
