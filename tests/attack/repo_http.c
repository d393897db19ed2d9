/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/attack/repo.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/merkle.h"

#define EPOCH    1u
#define ROOTS_AT 8u /* in one answer */

static int reply_with(struct repo *r, const void *message, struct bytes *out)
{
	int err = wire_pack(message, &r->reply, out);

	assert(err == 0);
	return 200;
}

static void *read_body(struct repo *r, const ProtobufCMessageDescriptor *type, struct bytes body)
{
	int err;

	return wire_read(type, body, &wire_device, &r->reply, &err);
}

static int enroll(struct repo *r, struct bytes body, struct bytes *out)
{
	Pb__EnrollReply reply = PB__ENROLL_REPLY__INIT;
	const Pb__EnrollRequest *q = read_body(r, &pb__enroll_request__descriptor, body);
	int err;

	if (q == NULL)
		return 400;
	if (!q->has_challenge) {
		err = crypto_random(r->challenge, SHA256_LEN);
		reply.has_challenge = 1;
		reply.challenge = wire_data(r->challenge, SHA256_LEN);
	} else {
		err = crypto_random(r->device_id, ID_LEN) |
			crypto_random(r->report_key, SHA256_LEN);
		r->known = true;
		r->last_seq = 0;
		reply.has_device_id = reply.has_epoch = reply.has_report_key = 1;
		reply.device_id = wire_data(r->device_id, ID_LEN);
		reply.epoch = EPOCH;
		reply.report_key = wire_data(r->report_key, SHA256_LEN);
		reply.has_ring = reply.has_ring_why = 1;
		reply.ring = r->ring;
		reply.ring_why = PB__RING_WHY__RING_WHY_OPEN;
	}
	assert(err == 0);
	return reply_with(r, &reply, out);
}

/* 200 with what was sealed by the device it enrolled. */
static int unseal(struct repo *r, const char *path, struct bytes in, struct bytes *body)
{
	const Pb__Sealed *s = read_body(r, &pb__sealed__descriptor, in);
	uint8_t text[8192], mac[SHA256_LEN];
	size_t n = strlen(path) + 1;
	const struct crypto *c = crypto_openssl();
	int err;

	if (s == NULL)
		return 400;
	*body = wire_bytes(s->body);
	assert(n + body->n <= sizeof(text));
	memcpy(text, path, n);
	memcpy(text + n, body->p, body->n);
	err = c->hmac(
		c->ctx, bytes_of(r->report_key, SHA256_LEN), bytes_of(text, n + body->n), mac);
	assert(err == 0);
	return r->known && s->has_device_id && bytes_eq(wire_bytes(s->mac), bytes_of(mac, MAC_LEN))
		? 200
		: 401;
}

static void hear(struct repo *r, const Pb__ReportRequest *q)
{
	for (size_t i = 0; i < q->n_events; i++) {
		const Pb__Event *e = q->events[i];
		uint32_t seq = q->first_seq + (uint32_t)i;
		if (seq <= r->last_seq)
			continue;
		r->last_seq = seq;
		r->events++;
		assert((unsigned)e->kind < 32);
		r->heard[e->kind]++;
		if (e->kind == PB__EVENT_KIND__EVENT_REFUSED)
			r->last_refusal = e->code;
	}
}

static void fill_roots(struct repo *r, const Pb__PollRequest *q, Pb__PollReply *reply)
{
	uint64_t have = q->root_version;

	reply->roots = repo_take(&r->reply, ROOTS_AT * sizeof(*reply->roots));
	for (; have < r->n_roots && reply->n_roots < ROOTS_AT; have++)
		reply->roots[reply->n_roots++] = wire_data(r->roots[have].p, r->roots[have].n);
}

static void fill_files(struct repo *r, Pb__PollReply *reply)
{
	const struct repo_served *s = &r->served;
	struct bytes director = s->director[r->director_ring];

	reply->has_snapshot = reply->has_director = 1;
	reply->snapshot = wire_data(s->snapshot.p, s->snapshot.n);
	reply->director = wire_data(director.p, director.n);
	reply->plans = repo_take(&r->reply, 2 * REPO_OFFERS * sizeof(*reply->plans));
	reply->targets = repo_take(&r->reply, 2 * REPO_OFFERS * sizeof(*reply->targets));
	for (unsigned i = 0; i < s->n_offers; i++) {
		reply->plans[reply->n_plans++] = wire_data(s->plan[i].p, s->plan[i].n);
		reply->targets[reply->n_targets++] = wire_data(s->targets[i].p, s->targets[i].n);
	}
	r->full_polls++;
}

/* RFC 6962, 2.1.1: the path of leaf `m` in [from, to), from the leaf up. */
static void path(struct repo *r, uint64_t from, uint64_t to, uint64_t m, Pb__LogProof *out)
{
	uint8_t *hash = repo_take(&r->reply, SHA256_LEN);
	uint64_t k = 1;
	bool left;

	if (to - from == 1)
		return;
	while (2 * k < to - from)
		k *= 2;
	left = m < from + k;
	path(r, left ? from : from + k, left ? from + k : to, m, out);
	repo_subtree(r, left ? from + k : from, left ? to : from + k, hash);
	out->hashes[out->n_hashes++] = wire_data(hash, SHA256_LEN);
}

static void fill_extension(struct repo *r, uint64_t from, Pb__PollReply *reply)
{
	uint64_t size = r->served.log_size;
	uint8_t *p = repo_take(&r->reply, 128 * SHA256_LEN);
	size_t n = 0;

	while (from < size) {
		uint64_t step = 1ull << merkle_step(from, size);
		repo_subtree(r, from, from + step, p + n++ * SHA256_LEN);
		from += step;
	}
	reply->has_log_extension = 1;
	reply->log_extension = wire_data(p, n * SHA256_LEN);
}

static void fill_log(struct repo *r, const Pb__PollRequest *q, Pb__PollReply *reply)
{
	const struct repo_served *s = &r->served;
	Pb__LogProof p = PB__LOG_PROOF__INIT;
	struct bytes out;
	int err;

	p.checkpoint = wire_data(s->checkpoint.p, s->checkpoint.n);
	p.index = s->entry[r->director_ring];
	p.time_ms = s->time_ms[r->director_ring];
	p.hashes = repo_take(&r->reply, 64 * sizeof(*p.hashes));
	path(r, 0, s->log_size, p.index, &p);
	if (r->edit_proof != NULL)
		r->edit_proof(r, &p);
	err = wire_pack(&p, &r->reply, &out);
	assert(err == 0);
	reply->has_log_proof = 1;
	reply->log_proof = wire_data(out.p, out.n);
	fill_extension(r, q->has_log_size ? q->log_size : 0, reply);
}

static int poll(struct repo *r, struct bytes in, struct bytes *out)
{
	Pb__PollReply reply = PB__POLL_REPLY__INIT;
	struct bytes body;
	const Pb__PollRequest *q;
	int status = unseal(r, "/v1/poll", in, &body);

	if (status != 200)
		return status;
	q = read_body(r, &pb__poll_request__descriptor, body);
	if (q == NULL)
		return 400;
	r->polls++;
	r->asked_root = q->root_version;
	r->asked_snapshot = q->snapshot_version;
	r->asked_log = q->has_log_size ? q->log_size : UINT64_MAX;
	if (q->report != NULL)
		hear(r, q->report);
	reply.has_timestamp = 1;
	reply.timestamp = wire_data(r->served.timestamp.p, r->served.timestamp.n);
	reply.ring = r->ring;
	reply.ring_why = r->ring == PB__RING__RING_STABLE ? PB__RING_WHY__RING_WHY_OPEN
							  : PB__RING_WHY__RING_WHY_SEATED;
	reply.answer = r->answer;
	reply.next_poll_s = r->next_poll_s;
	fill_roots(r, q, &reply);
	if (!r->never_full &&
		(r->always_full || q->snapshot_version != r->served.snapshot_version)) {
		fill_files(r, &reply);
		if (!r->no_log)
			fill_log(r, q, &reply);
	}
	if (r->edit_reply != NULL)
		r->edit_reply(r, &reply);
	return reply_with(r, &reply, out);
}

static int report(struct repo *r, struct bytes in, struct bytes *out)
{
	struct bytes body;
	const Pb__ReportRequest *q;
	int status = unseal(r, "/v1/report", in, &body);

	*out = bytes_of("", 0);
	if (status != 200)
		return status;
	q = read_body(r, &pb__report_request__descriptor, body);
	if (q == NULL)
		return 400;
	hear(r, q);
	return 200;
}

static int give_grant(struct repo *r, struct bytes in, struct bytes *out)
{
	Pb__GrantReply reply = PB__GRANT_REPLY__INIT;
	Pb__RingGrant g = PB__RING_GRANT__INIT;
	struct bytes body, envelope;
	int status = unseal(r, "/v1/grant", in, &body);

	if (status != 200)
		return status;
	r->grants++;
	g.spec_version = 1;
	g.repository = REPO_NAME;
	g.product = REPO_PRODUCT;
	g.device_id = wire_data(r->device_id, ID_LEN);
	g.ring = r->ring;
	g.issued_at = r->now_s;
	g.expires = r->now_s + 90 * 86400;
	reply.ring = r->ring;
	if (r->ring != PB__RING__RING_STABLE) {
		envelope = r->grant.n > 0 ? r->grant : repo_sign(r, ENVELOPE_GRANT, &g, &r->reply);
		reply.has_grant = 1;
		reply.grant = wire_data(envelope.p, envelope.n);
	}
	if (r->edit_grant != NULL)
		r->edit_grant(r, &reply);
	return reply_with(r, &reply, out);
}

/* A tree of the one nonce: its leaf is its root. */
static int prove_time(struct repo *r, struct bytes in, struct bytes *out)
{
	Pb__TimeProof proof = PB__TIME_PROOF__INIT;
	Pb__TimeStatement t = PB__TIME_STATEMENT__INIT;
	const Pb__TimeRequest *q = read_body(r, &pb__time_request__descriptor, in);
	uint8_t root[SHA256_LEN];
	struct bytes envelope;
	int err;

	if (q == NULL || q->nonce.len != SHA256_LEN)
		return 400;
	r->times++;
	struct bytes part[] = { bytes_of("", 1), wire_bytes(q->nonce) };
	err = crypto_sha256(part, 2, root);
	assert(err == 0);
	t.spec_version = 1;
	t.repository = REPO_NAME;
	t.time_s = r->now_s;
	t.root = wire_data(root, SHA256_LEN);
	envelope = repo_sign(r, ENVELOPE_TIME, &t, &r->reply);
	proof.statement = wire_data(envelope.p, envelope.n);
	proof.size = 1;
	if (r->edit_time != NULL)
		r->edit_time(r, &proof);
	return reply_with(r, &proof, out);
}

int repo_post(struct repo *r, const char *where, struct bytes body, struct bytes *out)
{
	static const struct {
		const char *path;
		int (*answer)(struct repo *r, struct bytes body, struct bytes *out);
	} routes[] = {
		{ "/v1/enroll", enroll },
		{ "/v1/poll", poll },
		{ "/v1/report", report },
		{ "/v1/grant", give_grant },
		{ "/v1/time", prove_time },
	};

	r->reply.used = 0;
	*out = bytes_of("", 0);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(where, routes[i].path) == 0)
			return routes[i].answer(r, body, out);
	return 404;
}

int repo_file(struct repo *r, const char *where, uint64_t from, struct bytes *out)
{
	static const char folder[] = "/v1/artifact/";
	uint8_t sha256[SHA256_LEN];

	r->reply.used = 0;
	*out = bytes_of("", 0);
	r->fetches++;
	if (strncmp(where, folder, sizeof(folder) - 1) != 0 ||
		!hex_decode(sha256, SHA256_LEN, where + sizeof(folder) - 1))
		return 404;
	for (unsigned i = 0; i < r->n_builds; i++) {
		const struct repo_build *b = &r->builds[i];
		uint8_t *copy;
		if (memcmp(b->sha256, sha256, SHA256_LEN) != 0)
			continue;
		if (from >= b->length)
			return 416;
		copy = repo_take(&r->reply, b->length);
		for (size_t k = 0; k < b->length; k++)
			copy[k] = b->file[k] ^ r->spoil_file;
		*out = bytes_of(copy + from, b->length - from);
		return from > 0 ? 206 : 200;
	}
	return 404;
}
