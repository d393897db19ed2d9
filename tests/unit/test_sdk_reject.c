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

/* A change to a message before it is signed, to the signer, or to the reply. */
#define ON(name, Type, change)                                                                     \
	static void name(struct honest *s, enum envelope_type type, void *message)                 \
	{                                                                                          \
		Type *m = message;                                                                 \
		(void)s;                                                                           \
		(void)type;                                                                        \
		(void)m;                                                                           \
		change;                                                                            \
	}
#define ON_SIGNER(name, change)                                                                    \
	static void name(struct honest *s)                                                         \
	{                                                                                          \
		enum envelope_type other =                                                         \
			row->type == ENVELOPE_TIMESTAMP ? ENVELOPE_SNAPSHOT : ENVELOPE_TIMESTAMP;  \
		(void)other;                                                                       \
		change;                                                                            \
	}
#define ON_REPLY(name, change)                                                                     \
	static void name(struct honest *s, Pb__PollReply *r)                                       \
	{                                                                                          \
		(void)s;                                                                           \
		change;                                                                            \
	}

static uint8_t huge[2049];

/* What all metadata has. */
ON(nothing, void, )
ON(other_repository, void, *honest_fields(type, m).repository = "another")
ON(other_product, void, *honest_fields(type, m).product = "phone2")
ON(other_spec, void, *honest_fields(type, m).spec_version = 2)
ON(old, void, *honest_fields(type, m).expires = s->now_s)
ON(first_version, void, *honest_fields(type, m).version = 1)
ON(top_version, void, *honest_fields(type, m).version = UINT64_MAX)
ON_SIGNER(by_wrong_role, s->signed_as[row->type] = ENVELOPE_ROOT)
ON_SIGNER(by_other_online_role, s->signed_as[row->type] = other)
ON_SIGNER(as_other_type, s->typed_as[row->type] = other)

ON(snapshot_name, Pb__Timestamp, m->snapshot->name = "snapshot/phone2")
ON(snapshot_older, Pb__Timestamp, m->snapshot->version = 1)
ON(snapshot_replaced, Pb__Timestamp, m->snapshot->version = s->snapshot_version - 1)
ON(snapshot_length, Pb__Timestamp, m->snapshot->length++)
ON(snapshot_hash, Pb__Timestamp, m->snapshot->sha256.data[31] ^= 1)
ON(snapshot_hash_short, Pb__Timestamp, m->snapshot->sha256.len = 31)
ON(snapshot_hash_empty, Pb__Timestamp, m->snapshot->sha256.len = 0)

ON(three_directors, Pb__Snapshot, m->n_directors = 3)
ON(directors_swapped, Pb__Snapshot, Pb__MetaFile *first = m->directors[0];
	m->directors[0] = m->directors[3]; m->directors[3] = first)
ON(director_older, Pb__Snapshot, m->directors[1]->version = 1)
ON(director_hash, Pb__Snapshot, m->directors[3]->sha256.data[0] ^= 1)

/* Without another difference it would be the other ring's director, bit for bit. */
ON(ring_other, Pb__Director, m->expires += m->ring; m->ring = 2)
ON(ring_none, Pb__Director, m->expires += m->ring; m->ring = 4)

ON_REPLY(no_timestamp, r->has_timestamp = 0)
ON_REPLY(no_snapshot, r->has_snapshot = 0)
ON_REPLY(no_director, r->has_director = 0)
ON_REPLY(director_for_snapshot, r->snapshot = r->director)
ON_REPLY(empty_timestamp, r->timestamp.len = 0)
ON_REPLY(short_timestamp, r->timestamp.len--)
ON_REPLY(huge_timestamp, r->timestamp = wire_data(huge, sizeof(huge)))

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

/* clang-format off */
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
	REPLY("director in place of snapshot", director_for_snapshot, ERR_MISMATCH),
	REPLY("empty timestamp", empty_timestamp, ERR_MISSING_FIELD),
	REPLY("timestamp cut", short_timestamp, ERR_TRUNCATED),
	REPLY("timestamp huge", huge_timestamp, ERR_TOO_BIG),
	REPLY("signed twice by one key", double_signature, ERR_DUPLICATE_KEYID),
};
/* clang-format on */

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
	static struct phone_flash before[2];

	memcpy(before, p->flash, sizeof(before));
	phone_sleep(p, 60000);
	s->edit = on_type;
	s->edit_reply = row->edit_reply;
	if (row->arrange != NULL)
		row->arrange(s);
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, row->want);
	assert_string_equal(phone_status(p).build_id, "");
	assert_memory_equal(p->flash, before, sizeof(before));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rejection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
