/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device does not believe.  Each rejection leaves the saved state as it was, and
 * the next honest answer is taken.
 */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

/* The row under test, for the edits. */
static const struct row {
	const char *why;
	enum envelope_type type;
	void (*edit)(struct honest *s, enum envelope_type type, void *message);
	void (*edit_reply)(struct honest *s, Pb__PollReply *reply);
	void (*arrange)(struct honest *s);
	int want;
} * row;

static void on_type(struct honest *s, enum envelope_type type, void *message)
{
	if (type == row->type)
		row->edit(s, type, message);
}

static void other_repository(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	*honest_fields(type, m).repository = "another";
}

static void other_product(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	*honest_fields(type, m).product = "phone2";
}

static void other_spec(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	*honest_fields(type, m).spec_version = 2;
}

static void old(struct honest *s, enum envelope_type type, void *m)
{
	*honest_fields(type, m).expires = s->now_s;
}

static void first_version(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	*honest_fields(type, m).version = 1;
}

static void top_version(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	*honest_fields(type, m).version = UINT64_MAX;
}

static void nothing(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	(void)m;
}

/* The signer is what is wrong. */
static void by_wrong_role(struct honest *s)
{
	s->signed_as[row->type] = ENVELOPE_ROOT;
}

static void by_other_online_role(struct honest *s)
{
	s->signed_as[row->type] = row->type == ENVELOPE_TIMESTAMP ? ENVELOPE_SNAPSHOT
								  : ENVELOPE_TIMESTAMP;
}

static void as_other_type(struct honest *s)
{
	s->typed_as[row->type] = row->type == ENVELOPE_TIMESTAMP ? ENVELOPE_SNAPSHOT
								 : ENVELOPE_TIMESTAMP;
}

/* Timestamp. */
static void snapshot_name(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Timestamp *)m)->snapshot->name = "snapshot/phone2";
}

static void snapshot_older(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Timestamp *)m)->snapshot->version = 1;
}

static void snapshot_replaced(struct honest *s, enum envelope_type type, void *m)
{
	(void)type;
	((Pb__Timestamp *)m)->snapshot->version = s->snapshot_version - 1;
}

static void snapshot_length(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Timestamp *)m)->snapshot->length++;
}

static void snapshot_hash(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Timestamp *)m)->snapshot->sha256.data[31] ^= 1;
}

static void snapshot_hash_short(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Timestamp *)m)->snapshot->sha256.len = 31;
}

static void snapshot_hash_empty(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Timestamp *)m)->snapshot->sha256.len = 0;
}

/* Snapshot. */
static void three_directors(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Snapshot *)m)->n_directors = 3;
}

static void directors_swapped(struct honest *s, enum envelope_type type, void *m)
{
	Pb__MetaFile **d = ((Pb__Snapshot *)m)->directors, *first = d[0];

	(void)s;
	(void)type;
	d[0] = d[3];
	d[3] = first;
}

static void director_older(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Snapshot *)m)->directors[1]->version = 1;
}

static void director_hash(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Snapshot *)m)->directors[3]->sha256.data[0] ^= 1;
}

/* Director. */
static void ring_other(struct honest *s, enum envelope_type type, void *m)
{
	Pb__Director *d = m;

	(void)s;
	(void)type;
	/* Without another difference it would be the other ring's director, bit for
	 * bit. */
	d->expires += d->ring;
	d->ring = 2;
}

static void ring_none(struct honest *s, enum envelope_type type, void *m)
{
	(void)s;
	(void)type;
	((Pb__Director *)m)->expires += ((Pb__Director *)m)->ring;
	((Pb__Director *)m)->ring = 4;
}

/* The reply. */
static void no_timestamp(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	r->has_timestamp = 0;
}

static void no_snapshot(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	r->has_snapshot = 0;
}

static void no_director(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	r->has_director = 0;
}

static void inner_director(struct honest *s, Pb__PollReply *r)
{
	r->director = wire_data(s->director[2].p, s->director[2].n);
}

static void director_for_snapshot(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	r->snapshot = r->director;
}

static void empty_timestamp(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	r->timestamp.len = 0;
}

static void short_timestamp(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	r->timestamp.len--;
}

static void huge_timestamp(struct honest *s, Pb__PollReply *r)
{
	static uint8_t huge[2049];

	(void)s;
	r->timestamp = wire_data(huge, sizeof(huge));
}

/* The same signature twice must not count twice, nor be let by. */
static void double_signature(struct honest *s, Pb__PollReply *r)
{
	static uint8_t memory[16384];
	struct arena a = { memory, sizeof(memory), 0 };
	struct bytes out;
	int err;
	Pb__Envelope *e = envelope_read(wire_bytes(r->timestamp), &a, &err);
	Pb__Signature *twice[2];

	(void)s;
	assert_non_null(e);
	twice[0] = twice[1] = e->signatures[0];
	e->signatures = twice;
	e->n_signatures = 2;
	assert_int_equal(wire_pack(e, &a, &out), 0);
	r->timestamp = wire_data(out.p, out.n);
}

#define EACH(why, edit, error_timestamp, error_snapshot, error_director)               \
	{ "timestamp: " why, ENVELOPE_TIMESTAMP, edit, NULL, NULL, error_timestamp },  \
		{ "snapshot: " why, ENVELOPE_SNAPSHOT, edit, NULL, NULL,               \
			error_snapshot },                                              \
	{                                                                              \
		"director: " why, ENVELOPE_DIRECTOR, edit, NULL, NULL, error_director  \
	}
#define EACH_SIGNER(why, arrange, want)                                                \
	{ "timestamp: " why, ENVELOPE_TIMESTAMP, nothing, NULL, arrange, want },       \
		{ "snapshot: " why, ENVELOPE_SNAPSHOT, nothing, NULL, arrange, want }, \
	{                                                                              \
		"director: " why, ENVELOPE_DIRECTOR, nothing, NULL, arrange, want      \
	}
#define ONE(why, type, edit, want)                                                     \
	{                                                                              \
		why, ENVELOPE_##type, edit, NULL, NULL, want                           \
	}
#define REPLY(why, edit, want)                                                         \
	{                                                                              \
		why, ENVELOPE_TIMESTAMP, nothing, edit, NULL, want                     \
	}

static const struct row rows[] = {
	EACH("repository", other_repository, ERR_WRONG_REPOSITORY, ERR_WRONG_REPOSITORY,
		ERR_WRONG_REPOSITORY),
	EACH("product", other_product, ERR_WRONG_PRODUCT, ERR_WRONG_PRODUCT,
		ERR_WRONG_PRODUCT),
	EACH("spec version", other_spec, ERR_BAD_RANGE, ERR_BAD_RANGE, ERR_BAD_RANGE),
	EACH("expired", old, ERR_EXPIRED, ERR_EXPIRED, ERR_EXPIRED),
	EACH("older", first_version, ERR_ROLLBACK, ERR_MISMATCH, ERR_MISMATCH),
	EACH_SIGNER("signed by root's keys", by_wrong_role, ERR_BELOW_THRESHOLD),
	EACH_SIGNER(
		"signed by another role", by_other_online_role, ERR_BELOW_THRESHOLD),
	EACH_SIGNER("of another type", as_other_type, ERR_WRONG_TYPE),
	{ "timestamp: forged and of the highest version", ENVELOPE_TIMESTAMP,
		top_version, NULL, by_wrong_role, ERR_BELOW_THRESHOLD },
	ONE("snapshot: highest version", SNAPSHOT, top_version, ERR_MISMATCH),
	ONE("director: highest version", DIRECTOR, top_version, ERR_MISMATCH),

	ONE("snapshot name", TIMESTAMP, snapshot_name, ERR_MISMATCH),
	ONE("snapshot older", TIMESTAMP, snapshot_older, ERR_ROLLBACK),
	ONE("snapshot replaced", TIMESTAMP, snapshot_replaced, ERR_MISMATCH),
	ONE("snapshot length", TIMESTAMP, snapshot_length, ERR_MISMATCH),
	ONE("snapshot hash", TIMESTAMP, snapshot_hash, ERR_MISMATCH),
	ONE("snapshot hash short", TIMESTAMP, snapshot_hash_short, ERR_MISMATCH),
	ONE("snapshot hash empty", TIMESTAMP, snapshot_hash_empty, ERR_MISMATCH),
	ONE("three directors", SNAPSHOT, three_directors, ERR_MISMATCH),
	ONE("directors swapped", SNAPSHOT, directors_swapped, ERR_MISMATCH),
	ONE("another ring's director older", SNAPSHOT, director_older, ERR_ROLLBACK),
	ONE("director hash", SNAPSHOT, director_hash, ERR_MISMATCH),
	ONE("director says another ring", DIRECTOR, ring_other, ERR_MISMATCH),
	ONE("director of no ring", DIRECTOR, ring_none, ERR_MISMATCH),

	REPLY("no timestamp", no_timestamp, ERR_MISSING_FIELD),
	REPLY("newer snapshot not sent", no_snapshot, ERR_MISMATCH),
	REPLY("director not sent", no_director, ERR_MISMATCH),
	REPLY("director of an inner ring", inner_director, ERR_WRONG_RING),
	REPLY("director in place of snapshot", director_for_snapshot, ERR_MISMATCH),
	REPLY("empty timestamp", empty_timestamp, ERR_MISSING_FIELD),
	REPLY("timestamp cut", short_timestamp, ERR_TRUNCATED),
	REPLY("timestamp huge", huge_timestamp, ERR_TOO_BIG),
	REPLY("signed twice by one key", double_signature, ERR_DUPLICATE_KEYID),
};

static void honest_again(struct honest *s)
{
	s->edit = NULL;
	s->edit_reply = NULL;
	for (unsigned t = 0; t < ENVELOPE__COUNT; t++)
		s->signed_as[t] = s->typed_as[t] = (enum envelope_type)t;
}

static void rejects(struct phone *p)
{
	struct honest *s = p->server;
	uint8_t before[sizeof(p->state)];
	size_t n = p->state_len;

	memcpy(before, p->state, n);
	phone_sleep(p, 60000);
	s->edit = on_type;
	s->edit_reply = row->edit_reply;
	if (row->arrange != NULL)
		row->arrange(s);
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, row->want);
	assert_string_equal(phone_status(p).build_id, "");
	assert_int_equal(p->state_len, n);
	assert_memory_equal(p->state, before, n);
}

static void accepts(struct phone *p)
{
	honest_again(p->server);
	/* What was rejected was of this version; so is what is taken. */
	p->server->timestamp_version--;
	p->server->snapshot_version--;
	for (unsigned i = 0; i < HONEST_RINGS; i++)
		p->server->director_version[i]--;
	honest_publish(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_string_equal(phone_status(p).build_id, "b2");
}

static void each_rejection(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct honest *s = honest_new(PHONE_T0 / 1000);
		struct phone *p = phone_new(s);
		row = &rows[i];
		print_message("# %s\n", row->why);
		assert_true(phone_start(p));
		phone_settle(p);
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
		s->answer = PB__ANSWER__ANSWER_ADMISSION;
		rejects(p);
		accepts(p);
		phone_free(p);
		honest_free(s);
	}
	(void)state;
}

/* An old answer, every signature of which is good. */
static void replay(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;
	static uint8_t old_timestamp[1024];
	struct bytes kept = s->timestamp;

	phone_settle(p);
	memcpy(old_timestamp, kept.p, kept.n);
	honest_publish(s);
	phone_poll(p);
	s->timestamp = bytes_of(old_timestamp, kept.n);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_ROLLBACK);
	honest_tick(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
}

/* The same Timestamp again is no error, but no proof of freshness either. */
static void freeze(void **state)
{
	struct phone *p = *state;
	uint64_t fresh;

	phone_settle(p);
	fresh = phone_status(p).last_fresh_ms;
	assert_true(fresh == PHONE_T0);
	phone_sleep(p, 23 * 3600000u);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_true(phone_status(p).last_fresh_ms == fresh);
	phone_sleep(p, 2 * 3600000u);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
	assert_false(phone_status(p).stale);
	phone_sleep(p, 48 * 3600000u);
	assert_true(phone_status(p).stale);
	honest_tick(p->server);
	phone_poll(p);
	assert_false(phone_status(p).stale);
}

/* A Timestamp of the version we have, with other content, changes nothing. */
static void same_version_other_content(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	s->timestamp_version--;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_MISMATCH);
	assert_string_equal(phone_status(p).build_id, "");
	honest_tick(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_string_equal(phone_status(p).build_id, "b2");
}

/* The device's own ring and any outer one will do. */
static void rings(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	for (int own = 0; own < 4; own++) {
		for (int of = 0; of < 4; of++) {
			s->ring = (Pb__Ring)own;
			s->director_ring = (Pb__Ring)of;
			s->always_full = true;
			honest_tick(s);
			phone_poll(p);
			assert_int_equal(phone_status(p).last_error,
				of < own ? ERR_WRONG_RING : 0);
		}
	}
}

/* A clock in the past is not believed: metadata that expired before the newest is
 * expired. */
static void clock_back(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	phone_sleep(p, 30 * 86400000ull);
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	p->clock_ms = 0;
	s->now_s = PHONE_T0 / 1000 + 86400;
	honest_publish(s);
	huidu_poll_now(p->h);
	s->now_s = PHONE_T0 / 1000 + 86400;
	phone_settle(p);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rejection),
		cmocka_unit_test_setup_teardown(replay, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(freeze, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(
			same_version_other_content, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(rings, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(
			clock_back, phone_set_up, phone_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
