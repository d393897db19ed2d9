/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directive that is not in the log, or a log that contradicts itself, installs nothing; what it
 * halts is halted.
 */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

#define REFUSED PB__EVENT_KIND__EVENT_REFUSED

#define ON_PROOF(name, change)                                                                     \
	static void name(struct honest *s, Pb__LogProof *p)                                        \
	{                                                                                          \
		(void)s;                                                                           \
		change;                                                                            \
	}
ON_PROOF(other_index, p->index ^= 1)
ON_PROOF(index_beyond, p->index = s->log.n)
ON_PROOF(other_time, p->time_ms++)
ON_PROOF(other_hash, p->hashes[0].data[31] ^= 1)
ON_PROOF(short_hash, p->hashes[0].len = 31)
ON_PROOF(no_hashes, p->n_hashes = 0)
ON_PROOF(one_hash_less, p->n_hashes--)
ON_PROOF(one_hash_more, p->hashes[p->n_hashes] = p->hashes[0]; p->n_hashes++)
ON_PROOF(empty_checkpoint, p->checkpoint.len = 0)
ON_PROOF(cut_checkpoint, p->checkpoint.len--)
ON_PROOF(other_origin, p->checkpoint.data[0] ^= 1)

static struct bytes signed_by(
	struct honest *s, const char *origin, uint64_t size, const struct crypto_key *key)
{
	struct checkpoint c = { .size = size };
	struct bytes note;

	memset(c.root, 7, sizeof(c.root));
	honest_must(checkpoint_sign(origin, &c, key, &s->reply, &note));
	return note;
}

static void stranger(struct honest *s, Pb__LogProof *p)
{
	struct bytes note =
		signed_by(s, HONEST_ORIGIN, s->log.n, s->roles[ENVELOPE_TIMESTAMP].key[0]);

	p->checkpoint = wire_data(note.p, note.n);
}

static void another_log(struct honest *s, Pb__LogProof *p)
{
	struct bytes note = signed_by(s, "another/log", s->log.n, s->log.key.key[0]);

	p->checkpoint = wire_data(note.p, note.n);
}

/* By the right key: a fork. */
static void other_root(struct honest *s, Pb__LogProof *p)
{
	struct bytes note = signed_by(s, HONEST_ORIGIN, s->log.n, s->log.key.key[0]);

	p->checkpoint = wire_data(note.p, note.n);
}

static void smaller(struct honest *s, Pb__LogProof *p)
{
	struct bytes note = signed_by(s, HONEST_ORIGIN, 2, s->log.key.key[0]);

	p->checkpoint = wire_data(note.p, note.n);
}

static void empty_log(struct honest *s, Pb__LogProof *p)
{
	struct bytes note = signed_by(s, HONEST_ORIGIN, 0, s->log.key.key[0]);

	p->checkpoint = wire_data(note.p, note.n);
}

#define ON_REPLY(name, change)                                                                     \
	static void name(struct honest *s, Pb__PollReply *r)                                       \
	{                                                                                          \
		(void)s;                                                                           \
		change;                                                                            \
	}
ON_REPLY(no_proof, r->has_log_proof = 0)
ON_REPLY(not_a_proof, r->log_proof.len = 20)
ON_REPLY(no_extension, r->has_log_extension = 0)
ON_REPLY(short_extension, r->log_extension.len -= 32)
ON_REPLY(odd_extension, r->log_extension.len -= 1)
ON_REPLY(other_extension, r->log_extension.data[5] ^= 1)
ON_REPLY(long_extension, r->log_extension.len += 32)

static void other_ring(struct honest *s, Pb__PollReply *r)
{
	struct bytes proof = honest_log_proof(s, PB__RING__RING_DEV);

	r->log_proof = wire_data(proof.p, proof.n);
}

static void from_nothing(struct honest *s, Pb__PollReply *r)
{
	struct bytes extension = honest_log_extension(s, 0);

	r->log_extension = wire_data(extension.p, extension.n);
}

static const struct row {
	const char *why;
	void (*edit_proof)(struct honest *s, Pb__LogProof *p);
	void (*edit_reply)(struct honest *s, Pb__PollReply *r);
	int want;
} rows[] = {
	{ "no proof", NULL, no_proof, ERR_NOT_LOGGED },
	{ "half a proof", NULL, not_a_proof, ERR_TRUNCATED },
	{ "of another ring", NULL, other_ring, ERR_NOT_LOGGED },
	{ "another index", other_index, NULL, ERR_NOT_LOGGED },
	{ "an index beyond the log", index_beyond, NULL, ERR_NOT_LOGGED },
	{ "another time", other_time, NULL, ERR_NOT_LOGGED },
	{ "another hash", other_hash, NULL, ERR_NOT_LOGGED },
	{ "a hash of 31 bytes", short_hash, NULL, ERR_NOT_LOGGED },
	{ "no hashes", no_hashes, NULL, ERR_NOT_LOGGED },
	{ "a hash too few", one_hash_less, NULL, ERR_NOT_LOGGED },
	{ "a hash too many", one_hash_more, NULL, ERR_NOT_LOGGED },
	{ "no checkpoint", empty_checkpoint, NULL, ERR_MALFORMED },
	{ "half a checkpoint", cut_checkpoint, NULL, ERR_MALFORMED },
	{ "a changed checkpoint", other_origin, NULL, ERR_BAD_SIGNATURE },
	{ "signed by another key", stranger, NULL, ERR_BAD_SIGNATURE },
	{ "another log's", another_log, NULL, ERR_BAD_SIGNATURE },
	{ "another root", other_root, NULL, ERR_FORKED },
	{ "a smaller log", smaller, NULL, ERR_FORKED },
	{ "an empty log", empty_log, NULL, ERR_FORKED },
	{ "no extension", NULL, no_extension, ERR_FORKED },
	{ "a shorter extension", NULL, short_extension, ERR_FORKED },
	{ "an odd extension", NULL, odd_extension, ERR_FORKED },
	{ "another extension", NULL, other_extension, ERR_FORKED },
	{ "a longer extension", NULL, long_extension, ERR_FORKED },
	{ "an extension from nothing", NULL, from_nothing, ERR_FORKED },
};

static void offer(struct honest *s)
{
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
}

/* Nothing is chosen, it is said once, and the next honest answer is taken. */
static void refused(struct phone *p, const struct row *row)
{
	struct honest *s = p->server;
	uint64_t size = phone_status(p).log_size;

	assert_int_equal(size, s->log.n);
	s->edit_proof = row->edit_proof;
	s->edit_reply = row->edit_reply;
	offer(s);
	for (unsigned i = 0; i < 3; i++) {
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, row->want);
		assert_string_equal(phone_status(p).build_id, "");
		assert_int_equal(phone_status(p).log_size, size);
		phone_restart(p);
	}
	assert_int_equal(honest_count(s, REFUSED, NULL), 1);
	assert_int_equal(honest_last(s, REFUSED)->code, -row->want);
	s->edit_proof = NULL;
	s->edit_reply = NULL;
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_string_equal(phone_status(p).build_id, "b2");
	assert_int_equal(phone_status(p).log_size, s->log.n);
}

static void each(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct phone *p;
		void *at;
		print_message("# %s\n", rows[i].why);
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		phone_settle(p);
		refused(p, &rows[i]);
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* A halt is obeyed whether it is public or not; a build under way is not installed. */
static void halts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct phone *p;
		struct honest *s;
		void *at;
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		s = p->server;
		p->apply_later = true;
		offer(s);
		phone_settle(p);
		assert_int_equal(phone_status(p).phase, HUIDU_APPLYING);
		s->edit_proof = rows[i].edit_proof;
		s->edit_reply = rows[i].edit_reply;
		s->halted[s->n_halted++] = "b2";
		honest_publish(s);
		phone_poll(p);
		assert_string_equal(phone_status(p).build_id, "");
		phone_apply_ends(p, 0);
		phone_run(p, 3600000);
		assert_string_equal(p->slot.build_id, "b1");
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* Without a halt it waits, and goes on where it was. */
static void interrupted(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	p->apply_later = true;
	offer(s);
	phone_settle(p);
	s->edit_reply = no_proof;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
	phone_apply_ends(p, 0);
	phone_settle(p);
	assert_string_equal(p->slot.build_id, "b1");
	s->edit_reply = NULL;
	phone_poll(p);
	phone_run(p, 3600000);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(s->fetches, 1);
}

/* However it grows between the polls, and over restarts. */
static void grows(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_settle(p);
	for (unsigned i = 0; i < 60; i++) {
		for (unsigned k = 0; k < i * i % 7; k++)
			(void)honest_log(s, s->root);
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_int_equal(phone_status(p).log_size, s->log.n);
		phone_restart(p);
		assert_int_equal(phone_status(p).log_size, s->log.n);
	}
	assert_true(s->asked.log_size > 100);
}

/* A log that was begun anew is a fork, of whatever size; a new key of the log is a new log. */
static void begun_anew(void **state)
{
	static const unsigned more[] = { 0, 1, 40 };
	struct phone *p = *state;
	struct honest *s = p->server;

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		phone_settle(p);
		honest_forget_log(s);
		for (unsigned k = 0; k < more[i]; k++)
			(void)honest_log(s, s->timestamp);
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, ERR_FORKED);
		honest_rotate(s, 1u << ENVELOPE_TARGETS);
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, ERR_FORKED);
		honest_rotate(s, HONEST_LOG_KEY);
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_int_equal(phone_status(p).log_size, s->log.n);
	}
}

static void without_log(struct honest *s, enum envelope_type type, void *message)
{
	(void)s;
	if (type == ENVELOPE_ROOT)
		((Pb__Root *)message)->log = NULL;
}

static void with_witness(struct honest *s, enum envelope_type type, void *message)
{
	static uint8_t public_key[ED25519_PUBLIC_LEN] = { 9 };
	static Pb__Witness witness;
	static Pb__Witness *list[] = { &witness };
	Pb__Root *root = message;

	(void)s;
	if (type != ENVELOPE_ROOT)
		return;
	witness = (Pb__Witness)PB__WITNESS__INIT;
	witness.name = "witness.example";
	witness.public_key = wire_data(public_key, sizeof(public_key));
	root->log->witnesses = list;
	root->log->n_witnesses = root->log->witness_threshold = 1;
}

/* A Root that names no log, or a witness who did not sign. */
static void policies(void **state)
{
	static const struct {
		void (*edit)(struct honest *s, enum envelope_type type, void *message);
		int want;
	} policy[] = { { without_log, ERR_NOT_LOGGED }, { with_witness, ERR_BELOW_WITNESSES } };

	(void)state;
	for (size_t i = 0; i < sizeof(policy) / sizeof(policy[0]); i++) {
		struct phone *p;
		void *at;
		assert_int_equal(phone_set_up(&at), 0);
		p = at;
		phone_settle(p);
		p->server->edit = policy[i].edit;
		honest_rotate(p->server, 0);
		p->server->edit = NULL;
		offer(p->server);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, policy[i].want);
		assert_string_equal(phone_status(p).build_id, "");
		honest_rotate(p->server, 0);
		honest_publish(p->server);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_string_equal(phone_status(p).build_id, "b2");
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each),
		cmocka_unit_test(halts),
		ON_PHONE(interrupted),
		ON_PHONE(grows),
		ON_PHONE(begun_anew),
		cmocka_unit_test(policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
