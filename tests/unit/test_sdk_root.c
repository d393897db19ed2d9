/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of roots on a phone: followed step by step, never skipped, and a key that was replaced
 * takes what was signed with it along.
 */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"
#include "proto/root.h"

#define DAY      86400u
#define BIT(t)   (1u << ENVELOPE_##t)
#define NEW_KEYS 0x3u /* the first signatures of a rotation are by the new root keys */
#define OLD_KEYS 0xcu

static uint64_t version(const struct phone *p)
{
	return phone_status(p).root_version;
}

static void offer(struct honest *s)
{
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
}

/* How far one run of polls gets, and how many it takes. */
static void steps(void **state)
{
	static const struct {
		unsigned rotations;
		uint64_t reached;
		unsigned polls;
	} rows[] = { { 0, 1, 1 }, { 1, 2, 2 }, { 7, 8, 2 }, { 8, 9, 2 }, { 9, 10, 3 },
		{ 31, 32, 5 }, { 32, 33, 4 }, { 33, 33, 4 }, { 70, 33, 4 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct phone *p;
		void *at;
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		phone_settle(p);
		for (unsigned k = 0; k < rows[i].rotations; k++)
			honest_rotate(p->server, k % 3 == 0 ? BIT(ROOT) : BIT(TIMESTAMP));
		honest_publish(p->server);
		p->server->polls = 0;
		phone_poll(p);
		assert_int_equal(version(p), rows[i].reached);
		assert_int_equal(p->server->polls, rows[i].polls);
		phone_restart(p);
		assert_int_equal(version(p), rows[i].reached);
		/* The rest comes with the next polls. */
		offer(p->server);
		honest_publish(p->server);
		phone_run(p, 8 * 3600000);
		assert_int_equal(version(p), rows[i].rotations + 1);
		assert_string_equal(p->slot.build_id, "b2");
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* A step on the way may have expired, the last may not. */
static void expired(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	s->root_for_s = 60;
	honest_rotate(s, 0);
	honest_rotate(s, BIT(ROOT));
	s->root_for_s = 365 * DAY;
	honest_rotate(s, 0);
	offer(s);
	s->answer = PB__ANSWER__ANSWER_PAUSED;
	phone_sleep(p, 3600000);
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_int_equal(version(p), 4);
	assert_string_equal(phone_status(p).build_id, "b2");
	s->root_for_s = 0;
	honest_rotate(s, 0);
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
	assert_int_equal(version(p), 5);
	s->root_for_s = DAY;
	honest_rotate(s, 0);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_int_equal(version(p), 6);
}

#define ON(name, change)                                                                           \
	static void name(struct honest *s, enum envelope_type type, void *message)                 \
	{                                                                                          \
		Pb__Root *m = message;                                                             \
		(void)s;                                                                           \
		if (type == ENVELOPE_ROOT) {                                                       \
			change;                                                                    \
		}                                                                                  \
	}
ON(skips, m->version++)
ON(stays, m->version--)
ON(to_the_end, m->version = UINT64_MAX)
ON(other_repository, m->repository = "another")
ON(no_threshold, m->timestamp->threshold = 0)
ON(high_threshold, m->timestamp->threshold = 2)
ON(key_in_two_roles, m->snapshot->keyids[0] = m->timestamp->keyids[0])
ON(unknown_key, m->snapshot->keyids[0].data[0] ^= 1)
ON(key_twice, m->keys[m->n_keys - 1] = m->keys[0])
ON(other_spec, m->spec_version = 2)

static void cut_short(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	if (r->n_roots > 0)
		r->roots[0].len--;
}

static void too_big(struct honest *s, Pb__PollReply *r)
{
	static uint8_t big[ROOT_MAX + 1];

	(void)s;
	if (r->n_roots > 0)
		r->roots[0] = wire_data(big, sizeof(big));
}

static void not_a_root(struct honest *s, Pb__PollReply *r)
{
	if (r->n_roots > 0)
		r->roots[0] = wire_data(s->timestamp.p, s->timestamp.n);
}

static void the_first_again(struct honest *s, Pb__PollReply *r)
{
	if (r->n_roots > 0)
		r->roots[0] = wire_data(s->root.p, s->root.n);
}

static const struct bad {
	const char *why;
	void (*edit)(struct honest *s, enum envelope_type type, void *message);
	void (*edit_reply)(struct honest *s, Pb__PollReply *r);
	unsigned keep; /* signatures of a rotation of root's keys; 0: all */
	int want;
} bad[] = {
	{ "skips a version", skips, NULL, 0, ERR_ROOT_VERSION },
	{ "the same version", stays, NULL, 0, ERR_ROOT_VERSION },
	{ "the highest version", to_the_end, NULL, 0, ERR_ROOT_VERSION },
	{ "another repository", other_repository, NULL, 0, ERR_WRONG_REPOSITORY },
	{ "threshold 0", no_threshold, NULL, 0, ERR_BAD_ROOT },
	{ "threshold above the keys", high_threshold, NULL, 0, ERR_BAD_ROOT },
	{ "a key in two roles", key_in_two_roles, NULL, 0, ERR_BAD_ROOT },
	{ "a key that is not listed", unknown_key, NULL, 0, ERR_BAD_ROOT },
	{ "a key twice", key_twice, NULL, 0, ERR_BAD_ROOT },
	{ "another specification", other_spec, NULL, 0, ERR_BAD_ROOT },
	{ "cut short", NULL, cut_short, 0, ERR_TRUNCATED },
	{ "too big", NULL, too_big, 0, ERR_TOO_BIG },
	{ "not a root", NULL, not_a_root, 0, ERR_WRONG_TYPE },
	{ "the first again", NULL, the_first_again, 0, ERR_ROOT_VERSION },
	{ "by the new keys only", NULL, NULL, NEW_KEYS, ERR_BELOW_THRESHOLD },
	{ "by the old keys only", NULL, NULL, OLD_KEYS, ERR_BELOW_THRESHOLD },
	{ "by one new key", NULL, NULL, OLD_KEYS | 1u, ERR_BELOW_THRESHOLD },
	{ "by one old key", NULL, NULL, NEW_KEYS | 4u, ERR_BELOW_THRESHOLD },
};

/* The same envelope with some of its signatures. */
static struct bytes filter(struct bytes in, unsigned keep)
{
	static uint8_t memory[32768];
	struct arena a = { memory, sizeof(memory), 0 };
	struct bytes out;
	int err;
	Pb__Envelope *e = envelope_read(in, &a, &err);
	size_t n = 0;

	assert_non_null(e);
	for (size_t i = 0; i < e->n_signatures; i++)
		if (keep >> i & 1)
			e->signatures[n++] = e->signatures[i];
	e->n_signatures = n;
	assert_int_equal(wire_pack(e, &a, &out), 0);
	return out;
}

/* Nothing of it is kept, and the next honest one is taken (CVE-2020-15163). */
static void rejected(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct bad *row = &bad[i];
		static struct phone_flash before[2];
		struct phone *p;
		struct honest *s;
		struct bytes good;
		void *at;

		print_message("# %s\n", row->why);
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		s = p->server;
		phone_settle(p);
		memcpy(before, p->flash, sizeof(before));
		s->edit = row->edit;
		s->edit_reply = row->edit_reply;
		honest_rotate(s, row->keep != 0 ? BIT(ROOT) : BIT(SNAPSHOT));
		good = s->roots[0];
		if (row->keep != 0)
			s->roots[0] = filter(good, row->keep);
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, row->want);
		assert_int_equal(version(p), 1);
		assert_memory_equal(p->flash, before, sizeof(before));

		s->edit = NULL;
		s->edit_reply = NULL;
		s->roots[0] = good;
		if (row->edit != NULL) {
			s->root_version--;
			honest_rotate(s, 0);
		}
		offer(s);
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_int_equal(version(p), 2);
		assert_string_equal(phone_status(p).build_id, "b2");
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* Those before a bad one are good. */
static void second_is_bad(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	struct bytes good;

	phone_settle(p);
	honest_rotate(s, BIT(ROOT));
	honest_rotate(s, BIT(ROOT));
	good = s->roots[1];
	s->roots[1] = filter(good, NEW_KEYS);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_BELOW_THRESHOLD);
	assert_int_equal(version(p), 2);
	s->roots[1] = good;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_int_equal(version(p), 3);
}

/* What is online must be signed anew: the old key counts no more. */
static void old_key(void **state)
{
	static const unsigned roles[] = { BIT(TIMESTAMP), BIT(SNAPSHOT), BIT(DIRECTOR) };

	(void)state;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		struct phone *p;
		void *at;
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		phone_settle(p);
		honest_rotate(p->server, roles[i]);
		phone_poll(p);
		assert_int_equal(version(p), 2);
		assert_int_equal(phone_status(p).last_error, ERR_BELOW_THRESHOLD);
		offer(p->server);
		honest_publish(p->server);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_string_equal(phone_status(p).build_id, "b2");
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

static const struct theft {
	const char *why;
	unsigned rotated;
	bool recovers;
} thefts[] = {
	{ "timestamp", BIT(TIMESTAMP), true },
	{ "snapshot", BIT(SNAPSHOT), true },
	{ "director", BIT(DIRECTOR), true },
	{ "all online", BIT(TIMESTAMP) | BIT(SNAPSHOT) | BIT(DIRECTOR), true },
	{ "root", BIT(ROOT), false },
	{ "targets", BIT(TARGETS), false },
	{ "approver", BIT(PLAN), false },
};

/* Versions as high as they go, signed with stolen keys: over when those are replaced. */
static void fast_forward(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(thefts) / sizeof(thefts[0]); i++) {
		struct phone *p;
		struct honest *s;
		void *at;

		print_message("# %s\n", thefts[i].why);
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		s = p->server;
		phone_settle(p);
		s->timestamp_version += 1000000;
		s->snapshot_version += 1000000;
		for (unsigned r = 0; r < HONEST_RINGS; r++)
			s->director_version[r] += 1000000;
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		s->timestamp_version -= 1000000;
		s->snapshot_version -= 1000000;
		for (unsigned r = 0; r < HONEST_RINGS; r++)
			s->director_version[r] -= 1000000;
		offer(s);
		honest_publish(s);
		s->always_full = true;
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, ERR_ROLLBACK);
		honest_rotate(s, thefts[i].rotated);
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(version(p), 2);
		assert_int_equal(phone_status(p).last_error, thefts[i].recovers ? 0 : ERR_ROLLBACK);
		assert_string_equal(phone_status(p).build_id, thefts[i].recovers ? "b2" : "");
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* As far as the Root reaches: beyond that all of it has expired. */
static void far_future(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_TIMESTAMP)
		((Pb__Timestamp *)message)->issued_at += 200 * DAY;
	if (type == ENVELOPE_TIMESTAMP || type == ENVELOPE_SNAPSHOT || type == ENVELOPE_DIRECTOR)
		*honest_fields(type, message).expires += 200 * DAY;
}

/* So is a time that has not come: when the key that said so is replaced, not another. */
static void time_floor(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	s->edit = far_future;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	s->edit = NULL;
	honest_rotate(s, BIT(DIRECTOR));
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(version(p), 2);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
	assert_true(phone_status(p).unsync);
	honest_rotate(s, BIT(TIMESTAMP));
	offer(s);
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_false(phone_status(p).unsync);
	assert_string_equal(phone_status(p).build_id, "b2");
}

/* A build brings the Root it was made with: the newer of the two counts. */
static void factory(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	for (unsigned i = 0; i < 4; i++)
		honest_rotate(s, BIT(ROOT) | BIT(TIMESTAMP));
	p->config.root = s->roots[1].p;
	p->config.root_len = s->roots[1].n;
	phone_restart(p);
	assert_int_equal(version(p), 3);
	honest_publish(s);
	phone_settle(p);
	assert_int_equal(version(p), 5);
	phone_restart(p);
	assert_int_equal(version(p), 5);
	assert_int_equal(phone_status(p).last_error, 0);
	/* The next build is one that was not told of the rotation. */
	p->config.root = s->root.p;
	p->config.root_len = s->root.n;
	phone_restart(p);
	assert_int_equal(version(p), 5);
	honest_tick(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
}

/* A new factory Root recovers from a fast-forward, too. */
static void factory_recovers(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	s->timestamp_version += 1000;
	honest_tick(s);
	phone_poll(p);
	s->timestamp_version -= 1000;
	honest_rotate(s, BIT(TIMESTAMP));
	honest_publish(s);
	p->config.root = s->roots[0].p;
	p->config.root_len = s->roots[0].n;
	phone_restart(p);
	phone_poll(p);
	assert_int_equal(version(p), 2);
	assert_int_equal(phone_status(p).last_error, 0);
}

/* A build under way when the keys change is installed all the same. */
static void under_way(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	offer(s);
	honest_publish(s);
	p->apply_later = true;
	phone_settle(p);
	assert_int_equal(phone_status(p).phase, HUIDU_APPLYING);
	honest_rotate(s, BIT(ROOT) | BIT(TIMESTAMP) | BIT(SNAPSHOT) | BIT(DIRECTOR) | BIT(PLAN));
	honest_publish(s);
	phone_poll(p);
	phone_apply_ends(p, 0);
	phone_run(p, 3600000);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(version(p), 2);
	assert_int_equal(s->fetches, 1);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps),
		ON_PHONE(expired),
		cmocka_unit_test(rejected),
		ON_PHONE(second_is_bad),
		cmocka_unit_test(old_key),
		cmocka_unit_test(fast_forward),
		ON_PHONE(time_floor),
		ON_PHONE(factory),
		ON_PHONE(factory_recovers),
		ON_PHONE(under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
