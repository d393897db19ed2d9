/* SPDX-License-Identifier: Apache-2.0 */
/* The log: leaf hashes only, and every proof by the definition of RFC 6962. */
#include "tests/lib/honest.h"

#include <assert.h>
#include <stdlib.h>

struct honest_entry honest_log(struct honest *s, struct bytes envelope)
{
	struct honest_log *l = &s->log;
	struct honest_entry at = { .index = l->n, .time_ms = s->now_s * 1000 + l->n };
	Pb__LogEntry entry = PB__LOG_ENTRY__INIT;
	size_t used = s->kept.used;
	struct bytes wire;

	if (l->n == l->room) {
		l->room = l->room == 0 ? 64 : 2 * l->room;
		l->leaf = realloc(l->leaf, l->room * SHA256_LEN);
		assert(l->leaf != NULL);
	}
	entry.time_ms = at.time_ms;
	entry.envelope = wire_data(envelope.p, envelope.n);
	honest_must(wire_pack(&entry, &s->kept, &wire));
	honest_must(merkle_leaf(crypto_openssl(), wire, &s->kept, l->leaf[l->n++]));
	s->kept.used = used;
	return at;
}

void honest_forget_log(struct honest *s)
{
	s->log.n = 0;
	(void)honest_log(s, s->root);
}

/* The root of the entries from `first` to before `end`. */
static void hash_range(
	const struct honest_log *l, uint64_t first, uint64_t end, uint8_t out[SHA256_LEN])
{
	uint8_t left[SHA256_LEN], right[SHA256_LEN];
	uint64_t half = 1;

	if (end - first == 1) {
		memcpy(out, l->leaf[first], SHA256_LEN);
		return;
	}
	while (2 * half < end - first)
		half *= 2;
	hash_range(l, first, first + half, left);
	hash_range(l, first + half, end, right);
	honest_must(merkle_node(crypto_openssl(), left, right, out));
}

/* The siblings of entry `at`, from the leaf up; returns how many. */
static size_t path(struct honest *s, uint64_t at, ProtobufCBinaryData *out)
{
	uint64_t first = 0, end = s->log.n, pair[64][2];
	size_t n = 0;

	while (end - first > 1) {
		uint64_t half = 1;
		while (2 * half < end - first)
			half *= 2;
		bool left = at < first + half;
		pair[n][0] = left ? first + half : first;
		pair[n++][1] = left ? end : first + half;
		*(left ? &end : &first) = first + half;
	}
	for (size_t i = 0; i < n; i++) {
		uint8_t *hash = honest_take(&s->reply, SHA256_LEN);
		hash_range(&s->log, pair[n - 1 - i][0], pair[n - 1 - i][1], hash);
		out[i] = wire_data(hash, SHA256_LEN);
	}
	return n;
}

struct bytes honest_log_proof(struct honest *s, uint32_t ring)
{
	Pb__LogProof *proof = honest_take(&s->reply, sizeof(*proof));
	struct checkpoint c = { .size = s->log.n };
	struct bytes note, out;

	hash_range(&s->log, 0, s->log.n, c.root);
	honest_must(checkpoint_sign(HONEST_ORIGIN, &c, s->log.key.key[0], &s->reply, &note));
	*proof = (Pb__LogProof)PB__LOG_PROOF__INIT;
	proof->checkpoint = wire_data(note.p, note.n);
	proof->index = s->logged[ring].index;
	proof->time_ms = s->logged[ring].time_ms;
	proof->hashes = honest_take(&s->reply, 64 * sizeof(*proof->hashes));
	proof->n_hashes = path(s, proof->index, proof->hashes);
	if (s->edit_proof != NULL)
		s->edit_proof(s, proof);
	honest_must(wire_pack(proof, &s->reply, &out));
	return out;
}

struct bytes honest_log_extension(struct honest *s, uint64_t held)
{
	uint8_t *hashes = honest_take(&s->reply, 128 * SHA256_LEN);
	size_t n = 0;

	while (held < s->log.n) {
		uint64_t end = held + (1ull << merkle_step(held, s->log.n));
		hash_range(&s->log, held, end, hashes + n++ * SHA256_LEN);
		held = end;
	}
	return bytes_of(hashes, n * SHA256_LEN);
}

int honest_grant(struct honest *s, struct bytes in, struct bytes *out)
{
	Pb__GrantReply reply = PB__GRANT_REPLY__INIT;
	Pb__RingGrant grant = PB__RING_GRANT__INIT;
	uint8_t id[ID_LEN];
	struct bytes body, envelope;
	int status = honest_unseal(s, "/v1/grant", in, &body);

	if (status != 200)
		return status;
	s->grants++;
	reply.ring = s->ring;
	grant.spec_version = 1;
	grant.repository = HONEST_REPOSITORY;
	grant.product = HONEST_PRODUCT;
	memcpy(id, s->device_id, ID_LEN); /* to be edited */
	grant.device_id = wire_data(id, ID_LEN);
	grant.ring = (uint32_t)s->ring;
	grant.issued_at = s->now_s;
	grant.expires = s->now_s + s->grant_for_s;
	if (s->ring != PB__RING__RING_STABLE) {
		envelope = honest_sign(s, ENVELOPE_GRANT, &grant, &s->reply);
		reply.has_grant = 1;
		reply.grant = wire_data(envelope.p, envelope.n);
	}
	if (s->edit_grant != NULL)
		s->edit_grant(s, &reply);
	return honest_reply(s, &reply, out);
}

/* The nonce of this device between those of two others. */
int honest_time(struct honest *s, struct bytes in, struct bytes *out)
{
	int err;
	const Pb__TimeRequest *r =
		wire_read(&pb__time_request__descriptor, in, &wire_device, &s->reply, &err);
	Pb__TimeStatement statement = PB__TIME_STATEMENT__INIT;
	Pb__TimeProof proof = PB__TIME_PROOF__INIT;
	uint8_t leaf[3][SHA256_LEN] = { { 1 }, { 0 }, { 3 } }, pair[SHA256_LEN], root[SHA256_LEN];
	ProtobufCBinaryData hashes[2];
	struct bytes envelope;

	if (r == NULL || r->nonce.len != SHA256_LEN)
		return 400;
	s->times++;
	honest_must(merkle_leaf(crypto_openssl(), wire_bytes(r->nonce), &s->reply, leaf[1]));
	honest_must(merkle_node(crypto_openssl(), leaf[0], leaf[1], pair));
	honest_must(merkle_node(crypto_openssl(), pair, leaf[2], root));
	statement.spec_version = 1;
	statement.repository = HONEST_REPOSITORY;
	statement.time_s = s->now_s;
	statement.root = wire_data(root, SHA256_LEN);
	envelope = honest_sign(s, ENVELOPE_TIME, &statement, &s->reply);
	hashes[0] = wire_data(leaf[0], SHA256_LEN);
	hashes[1] = wire_data(leaf[2], SHA256_LEN);
	proof.statement = wire_data(envelope.p, envelope.n);
	proof.size = 3;
	proof.index = 1;
	proof.hashes = hashes;
	proof.n_hashes = 2;
	if (s->edit_time != NULL)
		s->edit_time(s, &proof);
	return honest_reply(s, &proof, out);
}
