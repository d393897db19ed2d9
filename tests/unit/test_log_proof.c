/* SPDX-License-Identifier: Apache-2.0 */
/* What a phone is given to see that its directive stands in the log, and what it makes of it. */
#include "unit.h"

#include <stdio.h>

#include "deployment.h"
#include "proto/checkpoint.h"
#include "proto/root.h"
#include "rng.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/service/timeproof.h"

#define MINUTE 60000ull
#define HOUR   (60 * MINUTE)

static const char *const phone_a[] = { "phone-a" };

/* Eleven steps: as many as the plans that are shipped have. */
static const struct plan_stage ladder[] = {
	{ RING_CORE, 500000, 0 },
	{ RING_CORE, 1000000, 0 },
	{ RING_HONOUR, 300000, 0 },
	{ RING_HONOUR, 1000000, 0 },
	{ RING_DEV, 200000, 0 },
	{ RING_DEV, 1000000, 0 },
	{ RING_STABLE, 10000, 0 },
	{ RING_STABLE, 50000, 0 },
	{ RING_STABLE, 200000, 0 },
	{ RING_STABLE, 500000, 0 },
	{ RING_STABLE, 1000000, 0 },
};

static const struct crypto *c;

/* A phone's side of it: what it keeps, and its last answer. */
struct phone {
	struct test_device t;
	struct merkle log;
	struct buf body;
	struct arena arena;
	const Pb__PollReply *reply;
	const Pb__LogProof *proof;
	struct checkpoint checkpoint;
};

static void open_phone(struct deployment *d, struct phone *p, enum ring wish)
{
	c = crypto_openssl();
	*p = (struct phone){ 0 };
	p->arena = (struct arena){ mem_alloc(1 << 20), 1 << 20, 0 };
	assert_int_equal(0, device_enrol(d, &p->t, "phone-a", wish));
}

static void close_phone(struct phone *p)
{
	device_forget(&p->t);
	buf_release(&p->body);
	free(p->arena.base);
}

static void poll(struct deployment *d, struct phone *p)
{
	int err;

	p->t.log_size = p->log.size;
	assert_int_equal(0, device_poll_body(d, &p->t, &p->body));
	p->arena.used = 0;
	p->reply = wire_read(
		&pb__poll_reply__descriptor, buf_bytes(&p->body), &wire_admin, &p->arena, &err);
	assert_non_null(p->reply);
	p->proof = NULL;
	if (!p->reply->has_log_proof)
		return;
	p->proof = wire_read(&pb__log_proof__descriptor, wire_bytes(p->reply->log_proof),
		&wire_admin, &p->arena, &err);
	assert_non_null(p->proof);
}

/* The leaf, as the phone makes it from what it was served. */
static void leaf_of(struct phone *p, uint8_t leaf[SHA256_LEN])
{
	Pb__LogEntry m = PB__LOG_ENTRY__INIT;
	struct bytes entry;

	m.time_ms = p->proof->time_ms;
	m.envelope = p->reply->director;
	assert_int_equal(0, wire_pack(&m, &p->arena, &entry));
	assert_int_equal(0, merkle_leaf(c, entry, &p->arena, leaf));
}

static int check(struct deployment *d, struct phone *p)
{
	const uint8_t *hash[LOGTREE_PATH_MAX];
	struct merkle_path path = { .index = p->proof->index, .hash = hash };
	struct merkle next = p->log;
	uint8_t leaf[SHA256_LEN], root[SHA256_LEN];
	int err = checkpoint_read(
		c, wire_bytes(p->proof->checkpoint), d->root->root, &p->arena, &p->checkpoint);

	if (err != 0)
		return err;
	leaf_of(p, leaf);
	path.size = p->checkpoint.size;
	path.n = p->proof->n_hashes;
	for (size_t i = 0; i < path.n; i++) {
		assert_int_equal(SHA256_LEN, p->proof->hashes[i].len);
		hash[i] = p->proof->hashes[i].data;
	}
	err = merkle_included(c, leaf, &path, p->checkpoint.root);
	if (err == 0)
		err = merkle_extend(
			c, &next, p->checkpoint.size, wire_bytes(p->reply->log_extension));
	if (err == 0)
		err = merkle_root(c, &next, root);
	if (err == 0 && memcmp(root, p->checkpoint.root, SHA256_LEN) != 0)
		err = ERR_FORKED;
	if (err == 0)
		p->log = next;
	return err;
}

static uint64_t offers_until(struct phone *p)
{
	int err;
	const Pb__Envelope *e = envelope_read(wire_bytes(p->reply->timestamp), &p->arena, &err);
	const Pb__Timestamp *t = wire_read(
		&pb__timestamp__descriptor, wire_bytes(e->payload), &wire_signed, &p->arena, &err);

	assert_non_null(t);
	return t->offers_until;
}

static void roll_out(struct deployment *d, const char *release, uint64_t counter)
{
	struct test_plan p;

	assert_int_equal(0, deployment_publish(d, "phone-a", release, counter, release));
	assert_int_equal(0,
		deployment_roll_out(
			d, release, phone_a, 1, plan_of(&p, ladder, COUNT(ladder), 2 * HOUR, 0)));
}

/* Directors that are renewed are entries, and nobody's command is out of date for them. */
static void renewal_touches_no_rollout(void **state)
{
	static const struct deployment_options o = { .profile = "solo" };
	static struct deployment d;
	struct phone p;
	uint64_t touched, size;

	(void)state;
	deployment_open(&d, &o);
	open_phone(&d, &p, RING_STABLE);
	roll_out(&d, "1.0", 1);
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_PAUSE));
	touched = deployment_rollout(&d, "1.0")->last_entry;
	size = control_state(&d.server)->log.size;
	poll(&d, &p);
	assert_int_equal(0, check(&d, &p));
	deployment_run(&d, 4 * 24 * HOUR, 30 * MINUTE);
	assert_true(control_state(&d.server)->log.size >= size + RING__COUNT);
	assert_int_equal(touched, deployment_rollout(&d, "1.0")->last_entry);
	poll(&d, &p);
	assert_int_equal(0, check(&d, &p));
	close_phone(&p);
	deployment_close(&d);
}

/* From nothing, then from what it keeps, through restarts: each time from the one to the other. */
static void directive_is_logged(void **state)
{
	static const struct deployment_options o = { .profile = "team" };
	static struct deployment d;
	struct phone p;

	(void)state;
	deployment_open(&d, &o);
	open_phone(&d, &p, RING_STABLE);
	for (unsigned round = 1; round < 6; round++) {
		char release[8];
		uint64_t before = p.log.size;
		(void)snprintf(release, sizeof(release), "%u.0", round);
		poll(&d, &p);
		assert_non_null(p.proof);
		assert_int_equal(0, check(&d, &p));
		assert_true(p.log.size > before);
		assert_int_equal(p.log.size, control_state(&d.server)->log.size);
		/* As much as there is: nothing to add. */
		poll(&d, &p);
		assert_false(p.reply->has_log_extension);
		assert_int_equal(0, check(&d, &p));
		if (round == 3)
			deployment_restart(&d);
		roll_out(&d, release, round);
	}
	close_phone(&p);
	deployment_close(&d);
}

static void wrong_proofs_fail(void **state)
{
	static const struct deployment_options o = { .profile = "solo" };
	static struct deployment d;
	struct phone p, other;

	(void)state;
	deployment_open(&d, &o);
	open_phone(&d, &p, RING_STABLE);
	open_phone(&d, &other, RING_STABLE);
	poll(&d, &p);
	assert_int_equal(0, check(&d, &p));
	other.log = p.log;
	roll_out(&d, "1.0", 1);
	poll(&d, &p);
	((Pb__LogProof *)(uintptr_t)p.proof)->time_ms++;
	assert_int_equal(ERR_NOT_LOGGED, check(&d, &p));
	poll(&d, &p);
	((Pb__LogProof *)(uintptr_t)p.proof)->index--;
	assert_int_equal(ERR_NOT_LOGGED, check(&d, &p));
	poll(&d, &p);
	p.proof->checkpoint.data[p.proof->checkpoint.len / 2] ^= 1;
	assert_int_not_equal(0, check(&d, &p));
	poll(&d, &p);
	p.reply->log_extension.data[5] ^= 1;
	assert_int_equal(ERR_FORKED, check(&d, &p));
	/* Who keeps another log of the same length cannot be brought to this one. */
	other.log.subtree[__builtin_ctzll(other.log.size)][0] ^= 1;
	poll(&d, &other);
	assert_int_equal(ERR_FORKED, check(&d, &other));
	/* Who keeps a longer one is not told how to go on. */
	other.log.size += 1000;
	poll(&d, &other);
	assert_false(other.reply->has_log_extension);
	assert_int_equal(ERR_MALFORMED, check(&d, &other));
	poll(&d, &p);
	assert_int_equal(0, check(&d, &p));
	close_phone(&p);
	close_phone(&other);
	deployment_close(&d);
}

/* The next roots come in order, at most eight; who has the newest gets none. */
static void roots_come_in_order(void **state)
{
	static const struct {
		uint64_t held;
		unsigned first, n;
	} cases[] = { { 1, 4, 8 }, { 3, 4, 8 }, { 4, 5, 8 }, { 8, 9, 8 }, { 9, 10, 7 },
		{ 15, 16, 1 }, { 16, 0, 0 }, { 99, 0, 0 } };
	/* ring, ring_why, answer, next_poll_s */
	static const uint8_t required[] = { 8 << 3, 0, 9 << 3, 1, 10 << 3, 1, 11 << 3, 1 };
	struct image *image = image_new(0);

	(void)state;
	assert_int_equal(0, image_roots_after(image, 0).n);
	for (uint64_t v = 4; v <= 16; v++) {
		uint8_t envelope[200];
		memset(envelope, (int)v, sizeof(envelope));
		image_add_root(image, v, bytes_of(envelope, sizeof(envelope)));
	}
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bytes fields = image_roots_after(image, cases[i].held);
		struct buf body = { 0 };
		Pb__PollReply *m;
		buf_add(&body, required, sizeof(required));
		buf_add(&body, fields.p, fields.n);
		assert_int_equal(
			0, lint(&pb__poll_reply__descriptor, buf_bytes(&body), &wire_admin));
		m = (Pb__PollReply *)protobuf_c_message_unpack(
			&pb__poll_reply__descriptor, NULL, body.len, body.data);
		assert_non_null(m);
		assert_int_equal(cases[i].n, m->n_roots);
		for (unsigned k = 0; k < m->n_roots; k++)
			assert_int_equal(cases[i].first + k, m->roots[k].data[199]);
		protobuf_c_message_free_unpacked(&m->base, NULL);
		buf_release(&body);
	}
	image_free(image);
}

/* ---- how large an answer is ---- */

static size_t longest_extension(uint64_t size)
{
	struct logtree *t = logtree_new();
	uint8_t hash[LOGTREE_EXTENSION_MAX][SHA256_LEN], leaf[SHA256_LEN] = { 0 };
	size_t most = 0;

	for (uint64_t i = 0; i < size; i++)
		assert_int_equal(0, logtree_add(t, leaf));
	for (uint64_t from = 0; from < size; from++) {
		size_t n = logtree_extension(t, from, size, hash);
		most = n > most ? n : most;
	}
	logtree_free(t);
	return most;
}

static void answers_are_small(void **state)
{
	static const struct deployment_options o = { .profile = "team" };
	static struct deployment d;
	static uint8_t zeros[LOGTREE_EXTENSION_MAX * SHA256_LEN];
	ProtobufCBinaryData path[17];
	Pb__PollReply m;
	Pb__LogProof proof;
	struct phone p;
	struct bytes packed;
	size_t large;

	(void)state;
	deployment_open(&d, &o);
	open_phone(&d, &p, RING_CORE);
	deployment_run(&d, 2 * MINUTE, MINUTE);
	roll_out(&d, "1.0", 1);
	poll(&d, &p);
	assert_int_equal(RING_CORE, p.t.ring);
	assert_int_equal(1, p.reply->n_plans);
	/* The same in a log of 100 000 entries: 17 hashes to the root, and the longest way there. */
	proof = *p.proof;
	for (size_t i = 0; i < COUNT(path); i++)
		path[i] = wire_data(zeros, SHA256_LEN);
	proof.index = 99999;
	proof.hashes = path;
	proof.n_hashes = COUNT(path);
	assert_int_equal(0, wire_pack(&proof, &p.arena, &packed));
	m = *p.reply;
	m.log_proof = wire_data(packed.p, packed.n);
	m.has_log_extension = 1;
	m.log_extension = wire_data(zeros, longest_extension(100000) * SHA256_LEN);
	large = wire_size(&m) + strlen("100000");
	print_message(
		"# full %zu bytes here, %zu in a log of 100 000 entries\n", p.body.len, large);
	assert_true(large <= 4096);
	/* Who has all of it gets a timestamp. */
	p.t.snapshot_version = d.desk.image->product[0].snapshot_version;
	poll(&d, &p);
	print_message("# fresh %zu bytes\n", p.body.len);
	assert_null(p.proof);
	assert_true(p.body.len <= 260);
	close_phone(&p);
	deployment_close(&d);
}

/* ---- offers end when nobody could stop them ---- */

struct poison {
	struct job job; /* first */
	struct deployment *d;
	bool on;
};

static void poison_run(struct job *job, struct writer *w)
{
	(void)job;
	w->txn.err = ERR_STORE;
}

/* In every transaction from now on. */
static void poison_done(struct job *job)
{
	struct poison *p = (struct poison *)job;

	if (p->on)
		assert_int_equal(0, writer_submit(&p->d->server.writer, &p->job));
}

/* Not deployment_run(), which would drain the poison for ever. */
static uint64_t promised_after(struct deployment *d, struct phone *p, unsigned minutes)
{
	for (unsigned i = 0; i < minutes; i++)
		deployment_tick(d, MINUTE);
	poll(d, p);
	return offers_until(p);
}

static void offers_end_with_the_store(void **state)
{
	static const struct deployment_options o = { .profile = "solo" };
	static struct deployment d;
	struct poison poison = {
		.job = { .run = poison_run, .done = poison_done }, .d = &d, .on = true
	};
	struct phone p;
	uint64_t good_ms, until;

	(void)state;
	deployment_open(&d, &o);
	open_phone(&d, &p, RING_STABLE);
	until = promised_after(&d, &p, 2);
	assert_int_equal((d.now_ms + 6 * HOUR) / 1000, until);
	good_ms = d.now_ms;
	poison_done(&poison.job);
	for (unsigned i = 0; i < 60; i++)
		deployment_tick(&d, MINUTE);
	poison.on = false;
	assert_true(writer_drain(&d.server.writer));
	poll(&d, &p);
	/* A few minutes may have been a hiccup; an hour is not. */
	until = offers_until(&p);
	assert_in_range(
		until, (good_ms + 6 * HOUR) / 1000, (good_ms + 5 * MINUTE + 6 * HOUR) / 1000);
	assert_in_range(d.now_ms / 1000, until - 6 * 3600 + 54 * 60, until);
	until = promised_after(&d, &p, 2);
	assert_int_equal((d.now_ms + 6 * HOUR) / 1000, until);
	close_phone(&p);
	deployment_close(&d);
}

/* ---- grants and time ---- */

static const Pb__RingGrant *open_grant(
	struct deployment *d, struct phone *p, struct buf *body, const Pb__GrantReply **reply)
{
	struct bytes payload;
	int err;

	p->arena.used = 0;
	*reply = wire_read(
		&pb__grant_reply__descriptor, buf_bytes(body), &wire_device, &p->arena, &err);
	assert_non_null(*reply);
	if (!(*reply)->has_grant)
		return NULL;
	assert_int_equal(0,
		envelope_open(c, wire_bytes((*reply)->grant), ENVELOPE_GRANT, d->root->root,
			&p->arena, &payload));
	return wire_read(&pb__ring_grant__descriptor, payload, &wire_signed, &p->arena, &err);
}

static void grants_follow_seats(void **state)
{
	static const struct deployment_options o = { .profile = "solo" };
	static struct deployment d;
	struct buf body = { 0 };
	struct phone p;
	const Pb__GrantReply *reply;
	const Pb__RingGrant *grant;

	(void)state;
	deployment_open(&d, &o);
	open_phone(&d, &p, RING_CORE);
	assert_int_equal(0, device_grant_body(&d, &p.t, &body));
	assert_null(open_grant(&d, &p, &body, &reply)); /* waiting: no seat yet */
	assert_int_equal(PB__RING__RING_STABLE, reply->ring);
	deployment_run(&d, 2 * MINUTE, MINUTE);
	assert_int_equal(0, device_grant_body(&d, &p.t, &body));
	grant = open_grant(&d, &p, &body, &reply);
	assert_non_null(grant);
	assert_int_equal(PB__RING__RING_CORE, reply->ring);
	assert_int_equal(RING_CORE, grant->ring);
	assert_string_equal("test", grant->repository);
	assert_string_equal("phone-a", grant->product);
	assert_true(bytes_eq(wire_bytes(grant->device_id), bytes_of(p.t.id, ID_LEN)));
	assert_int_equal(d.now_ms / 1000, grant->issued_at);
	assert_int_equal(90 * 86400, grant->expires - grant->issued_at);
	p.t.wish = RING_DEV;
	poll(&d, &p);
	assert_int_equal(0, device_grant_body(&d, &p.t, &body));
	assert_null(open_grant(&d, &p, &body, &reply));
	p.t.report_key[0] ^= 1;
	assert_int_equal(ERR_BAD_MAC, device_grant_body(&d, &p.t, &body));
	p.t.product = "phone-z";
	p.t.report_key[0] ^= 1;
	assert_int_equal(ERR_NOT_FOUND, device_grant_body(&d, &p.t, &body));
	buf_release(&body);
	close_phone(&p);
	deployment_close(&d);
}

#define NONCES 300u

static void time_is_proved(void **state)
{
	static const struct deployment_options o = { .profile = "solo" };
	static struct deployment d;
	static uint8_t nonce[NONCES][TIME_NONCE_LEN];
	static struct buf out[NONCES];
	struct rng r = { 3 };
	struct phone p;

	(void)state;
	deployment_open(&d, &o);
	open_phone(&d, &p, RING_STABLE);
	rng_fill(&r, nonce, sizeof(nonce));
	assert_int_equal(0,
		timeproof_sign(
			&d.server, (const uint8_t(*)[TIME_NONCE_LEN])nonce, NONCES, d.now_ms, out));
	for (size_t i = 0; i < NONCES; i++) {
		const uint8_t *hash[LOGTREE_PATH_MAX];
		uint8_t leaf[SHA256_LEN];
		struct bytes payload;
		const Pb__TimeStatement *s;
		const Pb__TimeProof *m;
		int err;
		p.arena.used = 0;
		m = wire_read(&pb__time_proof__descriptor, buf_bytes(&out[i]), &wire_device,
			&p.arena, &err);
		assert_non_null(m);
		assert_int_equal(0,
			envelope_open(c, wire_bytes(m->statement), ENVELOPE_TIME, d.root->root,
				&p.arena, &payload));
		s = wire_read(
			&pb__time_statement__descriptor, payload, &wire_signed, &p.arena, &err);
		assert_int_equal(d.now_ms / 1000, s->time_s);
		struct merkle_path path = { m->index, m->size, hash, m->n_hashes };
		for (size_t k = 0; k < m->n_hashes; k++)
			hash[k] = m->hashes[k].data;
		assert_int_equal(
			0, merkle_leaf(c, bytes_of(nonce[i], TIME_NONCE_LEN), &p.arena, leaf));
		assert_int_equal(0, merkle_included(c, leaf, &path, s->root.data));
		leaf[0] ^= 1;
		assert_int_equal(ERR_NOT_LOGGED, merkle_included(c, leaf, &path, s->root.data));
		buf_release(&out[i]);
	}
	close_phone(&p);
	deployment_close(&d);
}

/*
 * A start with an entry that the signer does not take now, as its time is ahead of the clock: what was
 * signed before is served, with the log up to there.
 */
static void what_was_signed_is_served(void **state)
{
	static const struct deployment_options o = { .profile = "solo" };
	static struct deployment d;
	char *path;
	struct buf ledger = { 0 };
	uint64_t size;

	(void)state;
	deployment_open(&d, &o);
	path = mem_printf("%s/ledger", d.dir);
	deployment_run(&d, 60000, 1000);
	assert_int_equal(0, file_read(path, 64 << 20, &ledger));
	size = d.desk.image->log.size;
	assert_true(size > 0);
	deployment_run(&d, 3600000, 60000);
	assert_int_equal(0, deployment_publish(&d, "phone-a", "b1", 1, "one"));
	deployment_stop(&d);
	assert_int_equal(0, file_replace(path, buf_bytes(&ledger), 0600));
	d.now_ms -= 3600000;
	deployment_must(deployment_start(&d, d.text), "start", d.text);
	deployment_run(&d, 1000, 1000);
	assert_int_equal(size, d.desk.image->log.size);
	assert_true(d.desk.image->log.checkpoint.len > 0);
	buf_release(&ledger);
	free(path);
	deployment_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_signed_is_served),
		cmocka_unit_test(directive_is_logged),
		cmocka_unit_test(renewal_touches_no_rollout),
		cmocka_unit_test(wrong_proofs_fail),
		cmocka_unit_test(roots_come_in_order),
		cmocka_unit_test(answers_are_small),
		cmocka_unit_test(offers_end_with_the_store),
		cmocka_unit_test(grants_follow_seats),
		cmocka_unit_test(time_is_proved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
