/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/enrol.h"

#include <assert.h>

#include "server/base/json.h"
#include "server/metrics/metrics.h"
#include "server/store/device.h"

#define CHALLENGE_LEN     32u
#define CHALLENGE_LIFE_MS (5 * 60 * 1000ull)
#define DAY_MS            86400000ull
#define ATTESTATION_MAX   3072u

/*
 * A challenge is its time and a MAC over time, key and product: nothing is kept for a device that
 * does not come back.
 */
static int make_challenge(
	struct desk *d, const Pb__EnrollRequest *m, uint64_t time_ms, uint8_t out[CHALLENGE_LEN])
{
	static const char domain[] = "huidu/challenge/v1"; /* its NUL is part of it */
	const struct epoch *epoch = epochs_newest(&d->server->epochs);
	uint8_t mac[SHA256_LEN];
	int err;

	put_be64(out, time_ms);
	struct bytes part[] = { bytes_of(domain, sizeof(domain)), bytes_of(out, 8),
		wire_bytes(m->public_key), bytes_str(m->product) };
	err = crypto_mac_sign(d->mac, bytes_of(epoch->secret, sizeof(epoch->secret)), part, 4, mac);
	memcpy(out + 8, mac, CHALLENGE_LEN - 8);
	return err;
}

static int check_challenge(struct desk *d, const Pb__EnrollRequest *m, uint64_t now_ms)
{
	uint8_t want[CHALLENGE_LEN];
	uint64_t time_ms;
	int err;

	if (m->challenge.len != CHALLENGE_LEN)
		return ERR_BAD_SIGNATURE;
	time_ms = get_be64(m->challenge.data);
	err = make_challenge(d, m, time_ms, want);
	if (err == 0 && !crypto_equal(want, m->challenge.data, CHALLENGE_LEN))
		err = ERR_BAD_SIGNATURE;
	if (err == 0 && (time_ms > now_ms || now_ms - time_ms > CHALLENGE_LIFE_MS))
		err = ERR_STALE;
	return err;
}

static int check_signature(struct desk *d, const Pb__EnrollRequest *m)
{
	static const char domain[] = "huidu/enroll/v1"; /* its NUL is part of it */
	size_t n = sizeof(domain) + CHALLENGE_LEN + strlen(m->product);
	uint8_t *text = arena_alloc(&d->arena, n);

	if (text == NULL)
		return ERR_NO_ROOM;
	if (!m->has_signature || m->signature.len != SIG_LEN)
		return ERR_BAD_SIGNATURE;
	memcpy(text, domain, sizeof(domain));
	memcpy(text + sizeof(domain), m->challenge.data, CHALLENGE_LEN);
	memcpy(text + sizeof(domain) + CHALLENGE_LEN, m->product, strlen(m->product));
	return crypto_key_verify(
		KEY_P256, wire_bytes(m->public_key), bytes_of(text, n), m->signature.data);
}

static int write_reply(const Pb__EnrollReply *reply, uint8_t out[ENROL_REPLY_MAX], size_t *len)
{
	assert(wire_size(reply) <= ENROL_REPLY_MAX);
	*len = wire_write(reply, out);
	return 0;
}

/* ---- in the transaction ---- */

/* Random, and with a first half that no other device has. */
static bool draw_id(struct writer *w, uint8_t id[ID_LEN])
{
	for (unsigned tries = 0; tries < 8; tries++) {
		struct bytes unused;
		if (crypto_random(id, ID_LEN) != 0)
			return false;
		if (fleet_find(w->fleet, id) == NULL &&
			!store_get(&w->txn, STORE_DEVICE, bytes_of(id, ID_LEN), &unused))
			return true;
	}
	return false;
}

static void enrol_new(struct enrol *e, struct writer *w)
{
	const struct product *p = registry_number(w->registry, e->product);
	struct device d = {
		.product = e->product,
		.ring = RING_STABLE,
		.wish = e->wish,
		.enrolled_day = (uint32_t)(e->job.now_ms / DAY_MS),
	};

	assert(p != NULL); /* the image named it */
	if (!draw_id(w, d.id)) {
		e->job.err = ERR_CRYPTO;
		return;
	}
	memcpy(d.public_key, e->public_key, sizeof(d.public_key));
	device_put(&w->txn, &d);
	device_key_put(&w->txn, e->key_hash, d.id);
	if (d.wish < d.ring)
		waiting_put(&w->txn, w->registry->lines[p->line].number, d.id, d.wish);
	memcpy(e->id, d.id, ID_LEN);
	e->ring = d.ring;
	e->is_new = true;
}

/*
 * The device that was brought with this token is whoever shows it first.  With another key it is
 * worth nothing afterwards, whatever the door says.
 */
static void bind(struct enrol *e, struct writer *w)
{
	struct device d;

	if (!device_get(&w->txn, e->id, &d) || device_has_key(&d)) {
		e->job.err = w->txn.err != 0 ? w->txn.err : ERR_CLOSED;
		return;
	}
	if (d.product != e->product) {
		e->job.err = ERR_WRONG_PRODUCT;
		return;
	}
	memcpy(d.public_key, e->public_key, sizeof(d.public_key));
	device_put(&w->txn, &d);
	device_key_put(&w->txn, e->key_hash, d.id);
	e->ring = d.ring;
	e->last_seq = d.last_seq;
}

static void run(struct job *job, struct writer *w)
{
	struct enrol *e = (struct enrol *)job;
	struct device d;

	e->is_new = false;
	e->last_seq = 0;
	if (device_of_key(&w->txn, e->key_hash, e->id)) {
		if (!device_get(&w->txn, e->id, &d) || d.product != e->product)
			job->err = w->txn.err != 0 ? w->txn.err : ERR_WRONG_PRODUCT;
		e->ring = d.ring;
		e->last_seq = d.last_seq;
	} else if (e->has_token && device_of_token(&w->txn, e->token, e->id)) {
		bind(e, w);
	} else if (e->let_in) {
		enrol_new(e, w);
	} else {
		job->err = ERR_CLOSED;
	}
}

/* ---- before ---- */

/* What the doorman is told: nothing of where the device is. */
static void write_question(const Pb__EnrollRequest *m, struct buf *out)
{
	struct json j = { .out = out };

	json_object(&j, NULL);
	json_str(&j, "product", m->product);
	json_hex(&j, "public_key", wire_bytes(m->public_key));
	if (m->token != NULL)
		json_str(&j, "token", m->token);
	if (m->has_voucher)
		json_hex(&j, "voucher", wire_bytes(m->voucher));
	if (m->has_attestation)
		json_hex(&j, "attestation", wire_bytes(m->attestation));
	json_end_object(&j);
	buf_str(out, "\n");
}

static void answered(struct question *q)
{
	struct enrol *e = q->asker;
	int err;

	buf_release(&q->line);
	e->let_in = q->yes;
	err = writer_submit(&e->server->writer, &e->job);
	if (err == 0)
		return;
	e->job.err = err;
	e->job.done(&e->job);
}

/*
 * At the door.  Who is not let in costs only its own network's rate, not everybody's: whether it is
 * known already, only the writer can tell.
 */
static int knock(struct desk *d, const Pb__EnrollRequest *m, uint64_t mono_ms, struct enrol *e)
{
	enum door_answer answer = door_ask(d->image->settings.door, m);

	if (answer != DOOR_SHUT && !flood_take(d->server->flood, mono_ms))
		return ERR_TOO_MANY;
	e->let_in = answer == DOOR_OPEN;
	if (answer != DOOR_ASK)
		return 0;
	e->doorman = d->image->settings.doorman;
	e->question.asker = e;
	e->question.answered = answered;
	write_question(m, &e->question.line);
	return 0;
}

static int hash_token(const char *token, struct enrol *e)
{
	struct bytes text = bytes_str(token);
	uint8_t hash[SHA256_LEN];
	int err = crypto_sha256(&text, 1, hash);

	e->has_token = true;
	memcpy(e->token, hash, TOKEN_LEN);
	return err;
}

/* The proof, cheapest check first. */
static int check_proof(struct desk *d, const Pb__EnrollRequest *m, const struct enrol_ask *ask)
{
	int err = check_challenge(d, m, ask->now_ms);

	if (err == 0 && m->has_attestation && m->attestation.len > ATTESTATION_MAX)
		err = ERR_TOO_BIG;
	if (err == 0 && !flood_take_from(d->server->flood, ask->network, ask->mono_ms))
		err = ERR_TOO_MANY;
	return err != 0 ? err : check_signature(d, m);
}

int enrol_open(struct desk *d, const struct enrol_ask *ask, struct enrol *out,
	uint8_t reply[ENROL_REPLY_MAX], size_t *reply_len)
{
	Pb__EnrollReply answer = PB__ENROLL_REPLY__INIT;
	const struct image_product *p;
	const Pb__EnrollRequest *m;
	uint8_t challenge[CHALLENGE_LEN];
	struct bytes key;
	int err;

	*reply_len = 0;
	d->arena.used = 0;
	m = wire_read(&pb__enroll_request__descriptor, ask->body, &wire_device, &d->arena, &err);
	if (m == NULL)
		return err;
	key = wire_bytes(m->public_key);
	p = image_find(d->image, m->product);
	if (p == NULL || key.n != P256_PUBLIC_LEN || key.p[0] != 4)
		return p == NULL ? ERR_NOT_FOUND : ERR_BAD_KEY;
	if (!m->has_challenge) {
		err = make_challenge(d, m, ask->now_ms, challenge);
		answer.has_challenge = 1;
		answer.challenge = wire_data(challenge, CHALLENGE_LEN);
		return err != 0 ? err : write_reply(&answer, reply, reply_len);
	}
	assert(ask->network.n <= NETWORK_MAX);
	*out = (struct enrol){
		.job = { .now_ms = ask->now_ms, .run = run },
		.server = d->server,
		.network_len = ask->network.n,
		.product = p->number,
		.wish = m->has_wish ? (enum ring)m->wish : RING_STABLE,
	};
	if (ask->network.n > 0)
		memcpy(out->network, ask->network.p, ask->network.n);
	/* The compressed point: the sign of y, then x. */
	out->public_key[0] = (uint8_t)(2 + (key.p[64] & 1));
	memcpy(out->public_key + 1, key.p + 1, 32);
	err = check_proof(d, m, ask);
	if (err == 0)
		err = device_key_hash(out->public_key, out->key_hash);
	if (err == 0 && m->token != NULL)
		err = hash_token(m->token, out);
	return err != 0 ? err : knock(d, m, ask->mono_ms, out);
}

int enrol_submit(struct enrol *e)
{
	int err;

	if (e->question.line.len == 0)
		return writer_submit(&e->server->writer, &e->job);
	err = doorman_ask(e->doorman, &e->question);
	if (err != 0)
		buf_release(&e->question.line);
	return err;
}

/* ---- after ---- */

/* The table in memory learns of a new device when it is durable. */
static void add_to_fleet(const struct enrol *e)
{
	struct fleet_device f = {
		.product = e->product,
		.ring = RING_STABLE,
		.wish = e->wish,
		.enrolled_day = (uint32_t)(e->job.now_ms / DAY_MS),
	};
	const struct product *p = registry_number(&e->server->registry, e->product);

	if (!fleet_add(e->server->fleet, e->id, &f) || p == NULL)
		return;
	e->server->registry.lines[p->line].devices[RING_STABLE]++;
	if (e->wish < RING_STABLE)
		e->server->registry.lines[p->line].waiting++;
}

void enrol_taken(const struct enrol *e)
{
	if (!e->is_new) {
		/* The whole fleet comes again when an epoch ends: that is no flood. */
		flood_give_back_from(e->server->flood, bytes_of(e->network, e->network_len));
		if (e->let_in)
			flood_give_back(e->server->flood);
		return;
	}
	metric_add(METRIC_ENROLLED, 1);
	add_to_fleet(e);
}

int enrol_reply(
	struct desk *d, const struct enrol *e, uint8_t reply[ENROL_REPLY_MAX], size_t *reply_len)
{
	Pb__EnrollReply answer = PB__ENROLL_REPLY__INIT;
	uint8_t key[SHA256_LEN];
	const struct epoch *epoch = epochs_newest(&d->server->epochs);
	int err = request_report_key(d, epoch, e->id, key);

	answer.has_device_id = 1;
	answer.device_id = wire_data(e->id, ID_LEN);
	answer.has_epoch = 1;
	answer.epoch = epoch->number;
	answer.has_report_key = 1;
	answer.report_key = wire_data(key, sizeof(key));
	answer.has_ring = 1;
	answer.ring = (Pb__Ring)e->ring;
	answer.has_ring_why = 1;
	answer.ring_why =
		e->wish < e->ring ? PB__RING_WHY__RING_WHY_WAITING : PB__RING_WHY__RING_WHY_OPEN;
	answer.has_next_poll_s = 1;
	answer.next_poll_s = 1; /* the first poll tells the rest */
	answer.has_last_seq = e->last_seq > 0;
	answer.last_seq = e->last_seq;
	if (err == 0)
		err = write_reply(&answer, reply, reply_len);
	crypto_wipe(key, sizeof(key));
	return err;
}
