/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/honest.h"

#include <assert.h>
#include <stdio.h>

#define DOMAIN "huidu/enroll/v1"

int honest_reply(struct honest *s, const void *message, struct bytes *out)
{
	int err = wire_pack(message, &s->reply, out);

	assert(err == 0);
	return 200;
}

static bool proves(const struct honest *s, const Pb__EnrollRequest *r)
{
	uint8_t message[sizeof(DOMAIN) + SHA256_LEN + 64];
	size_t n = strlen(r->product);

	if (!r->has_challenge || !r->has_signature || r->signature.len != SIG_LEN ||
		!bytes_eq(wire_bytes(r->challenge), bytes_of(s->challenge, SHA256_LEN)))
		return false;
	memcpy(message, DOMAIN, sizeof(DOMAIN));
	memcpy(message + sizeof(DOMAIN), s->challenge, SHA256_LEN);
	memcpy(message + sizeof(DOMAIN) + SHA256_LEN, r->product, n);
	return crypto_key_verify(KEY_P256, wire_bytes(r->public_key),
		       bytes_of(message, sizeof(DOMAIN) + SHA256_LEN + n), r->signature.data) == 0;
}

static void note_shown(struct honest *s, const Pb__EnrollRequest *r)
{
	memset(&s->shown, 0, sizeof(s->shown));
	if (r->token != NULL)
		(void)snprintf(s->shown.token, sizeof(s->shown.token), "%s", r->token);
	if (r->has_voucher && r->voucher.len == SIG_LEN)
		memcpy(s->shown.voucher, r->voucher.data, SIG_LEN);
	s->shown.voucher_len = r->has_voucher ? r->voucher.len : 0;
	s->shown.attestation_len = r->has_attestation ? r->attestation.len : 0;
	if (s->shown.attestation_len > 0 &&
		s->shown.attestation_len <= sizeof(s->shown.attestation))
		memcpy(s->shown.attestation, r->attestation.data, r->attestation.len);
}

int honest_enroll(struct honest *s, struct bytes body, struct bytes *out)
{
	Pb__EnrollReply reply = PB__ENROLL_REPLY__INIT;
	int err;
	const Pb__EnrollRequest *r =
		wire_read(&pb__enroll_request__descriptor, body, &wire_device, &s->reply, &err);

	if (r == NULL || strcmp(r->product, HONEST_PRODUCT) != 0)
		return 400;
	s->asked.enrol_wish = r->has_wish ? r->wish : PB__RING__RING_STABLE;
	note_shown(s, r);
	if (s->closed && (r->token == NULL || s->token == NULL || strcmp(r->token, s->token) != 0))
		return 403;
	if (!r->has_challenge) {
		err = crypto_random(s->challenge, SHA256_LEN);
		reply.has_challenge = 1;
		reply.challenge = wire_data(s->challenge, SHA256_LEN);
	} else if (!proves(s, r)) {
		return 403;
	} else {
		err = crypto_random(s->device_id, ID_LEN) |
			crypto_random(s->report_key, SHA256_LEN);
		s->known = true;
		s->last_seq = 0;
		s->enrolments++;
		reply.has_device_id = reply.has_epoch = reply.has_report_key = 1;
		reply.device_id = wire_data(s->device_id, ID_LEN);
		reply.epoch = 7;
		reply.report_key = wire_data(s->report_key, SHA256_LEN);
		reply.has_ring = reply.has_ring_why = 1;
		reply.ring = s->ring;
		reply.ring_why = s->ring_why;
	}
	assert(err == 0);
	if (s->edit_enrol != NULL)
		s->edit_enrol(s, &reply);
	return honest_reply(s, &reply, out);
}

/* 200 with the body that was sealed; `known` tells whether by our device. */
int honest_unseal(struct honest *s, const char *path, struct bytes in, struct bytes *body)
{
	int err;
	const Pb__Sealed *sealed =
		wire_read(&pb__sealed__descriptor, in, &wire_device, &s->reply, &err);
	uint8_t text[8192], mac[SHA256_LEN];
	size_t n = strlen(path) + 1;
	const struct crypto *c = crypto_openssl();

	if (sealed == NULL)
		return 400;
	*body = wire_bytes(sealed->body);
	if (!sealed->has_device_id) {
		s->anonymous_polls++;
		return sealed->has_mac || sealed->has_epoch ? 400 : 200;
	}
	assert(n + body->n <= sizeof(text));
	memcpy(text, path, n);
	memcpy(text + n, body->p, body->n);
	err = c->hmac(
		c->ctx, bytes_of(s->report_key, SHA256_LEN), bytes_of(text, n + body->n), mac);
	assert(err == 0);
	if (!s->known || sealed->epoch != 7 ||
		!bytes_eq(wire_bytes(sealed->device_id), bytes_of(s->device_id, ID_LEN)) ||
		!bytes_eq(wire_bytes(sealed->mac), bytes_of(mac, MAC_LEN)))
		return 401;
	return 200;
}

static bool can_read(const struct honest *s, const Pb__ReportRequest *r)
{
	for (size_t i = 0; i < r->n_events; i++)
		if (s->unreadable != 0 && r->events[i]->code == s->unreadable)
			return false;
	return true;
}

static void take_events(struct honest *s, const Pb__ReportRequest *r)
{
	for (size_t i = 0; i < r->n_events; i++) {
		const Pb__Event *e = r->events[i];
		struct honest_event *to = &s->events[s->n_events];
		uint32_t seq = r->first_seq + (uint32_t)i;
		if (seq <= s->last_seq)
			continue;
		assert(s->n_events < HONEST_EVENTS);
		s->n_events++;
		s->last_seq = seq;
		*to = (struct honest_event){ .seq = seq, .kind = e->kind, .code = e->code };
		(void)snprintf(to->build_id, sizeof(to->build_id), "%s", e->build_id);
		if (e->has_signature)
			to->signature0 = e->signature.data[0];
	}
}

static void fill_roots(struct honest *s, uint64_t held, Pb__PollReply *reply)
{
	static ProtobufCBinaryData roots[HONEST_ROOTS_EACH];

	reply->roots = roots;
	for (uint64_t v = held; v < s->root_version && reply->n_roots < HONEST_ROOTS_EACH; v++)
		roots[reply->n_roots++] = wire_data(s->roots[v - 1].p, s->roots[v - 1].n);
}

static void fill_log(
	struct honest *s, uint32_t ring, const Pb__PollRequest *r, Pb__PollReply *reply)
{
	uint64_t held = r->has_log_size && r->log_size <= s->log.n ? r->log_size : 0;
	struct bytes proof = honest_log_proof(s, ring), extension = honest_log_extension(s, held);

	reply->has_log_proof = 1;
	reply->log_proof = wire_data(proof.p, proof.n);
	reply->has_log_extension = extension.n > 0;
	reply->log_extension = wire_data(extension.p, extension.n);
}

static void fill_files(struct honest *s, const Pb__PollRequest *r, Pb__PollReply *reply)
{
	static ProtobufCBinaryData plans[HONEST_MAX], targets[HONEST_MAX];
	uint32_t wish = r->has_wish ? (uint32_t)r->wish : (uint32_t)PB__RING__RING_STABLE;
	uint32_t ring = s->director_ring > wish ? (uint32_t)s->director_ring : wish;
	const struct bytes director = s->director[ring];

	reply->has_snapshot = reply->has_director = 1;
	reply->snapshot = wire_data(s->snapshot.p, s->snapshot.n);
	reply->director = wire_data(director.p, director.n);
	reply->plans = plans;
	reply->targets = targets;
	for (unsigned i = 0; i < s->n_offers; i++) {
		struct bytes t = s->offers[i].build->targets, p = s->offers[i].plan;
		plans[reply->n_plans++] = wire_data(p.p, p.n);
		targets[reply->n_targets++] = wire_data(t.p, t.n);
	}
	fill_log(s, ring, r, reply);
	s->full_polls++;
}

int honest_poll(struct honest *s, struct bytes in, struct bytes *out)
{
	Pb__PollReply reply = PB__POLL_REPLY__INIT;
	struct bytes body;
	const Pb__PollRequest *r;
	int err, status = honest_unseal(s, "/v1/poll", in, &body);

	if (status != 200)
		return status;
	r = wire_read(&pb__poll_request__descriptor, body, &wire_device, &s->reply, &err);
	if (r == NULL || strcmp(r->product, HONEST_PRODUCT) != 0 ||
		(r->report != NULL && !can_read(s, r->report)))
		return 400;
	s->polls++;
	(void)snprintf(s->asked.build_id, sizeof(s->asked.build_id), "%s", r->build_id);
	s->asked.release_counter = r->release_counter;
	s->asked.rollback_index = r->rollback_index;
	s->asked.root_version = r->root_version;
	s->asked.snapshot_version = r->snapshot_version;
	s->asked.log_size = r->has_log_size ? r->log_size : 0;
	s->asked.seq = r->seq;
	s->asked.urgent = r->has_urgent && r->urgent;
	s->asked.wish = r->has_wish ? r->wish : PB__RING__RING_STABLE;
	if (r->report != NULL)
		take_events(s, r->report);
	reply.has_timestamp = 1;
	reply.timestamp = wire_data(s->timestamp.p, s->timestamp.n);
	reply.ring = s->ring;
	reply.ring_why = s->ring_why;
	reply.answer = s->answer;
	reply.next_poll_s = s->next_poll_s;
	fill_roots(s, r->root_version, &reply);
	if (s->always_full || r->snapshot_version < s->snapshot_version)
		fill_files(s, r, &reply);
	if (s->edit_reply != NULL)
		s->edit_reply(s, &reply);
	return honest_reply(s, &reply, out);
}

int honest_report(struct honest *s, struct bytes in, struct bytes *out)
{
	struct bytes body;
	const Pb__ReportRequest *r;
	int err, status = honest_unseal(s, "/v1/report", in, &body);

	*out = bytes_of("", 0);
	if (status != 200)
		return status;
	r = wire_read(&pb__report_request__descriptor, body, &wire_device, &s->reply, &err);
	if (r == NULL || !can_read(s, r))
		return 400;
	s->reports++;
	take_events(s, r);
	return 200;
}

int honest_post(struct honest *s, const char *path, struct bytes body, struct bytes *out)
{
	static const struct {
		const char *path;
		int (*answer)(struct honest *s, struct bytes body, struct bytes *out);
	} routes[] = {
		{ "/v1/enroll", honest_enroll },
		{ "/v1/poll", honest_poll },
		{ "/v1/report", honest_report },
		{ "/v1/grant", honest_grant },
		{ "/v1/time", honest_time },
	};

	s->reply.used = 0;
	*out = bytes_of("", 0);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(path, routes[i].path) == 0)
			return routes[i].answer(s, body, out);
	return 404;
}

int honest_file(struct honest *s, const char *path, uint64_t from, struct bytes *out)
{
	static const char folder[] = "/v1/artifact/";
	uint8_t sha256[SHA256_LEN];

	*out = bytes_of("", 0);
	s->fetches++;
	s->range_from = from;
	if (strncmp(path, folder, sizeof(folder) - 1) != 0 ||
		!hex_decode(sha256, SHA256_LEN, path + sizeof(folder) - 1))
		return 404;
	for (unsigned i = 0; i < s->n_builds; i++) {
		const struct honest_build *b = &s->builds[i];
		if (memcmp(b->sha256, sha256, SHA256_LEN) != 0)
			continue;
		if (from >= b->length)
			return 416;
		*out = bytes_of(b->file + from, b->length - from);
		return from > 0 ? 206 : 200;
	}
	return 404;
}

/* All five, in the struct's order. */
#define FIELDS(m)                                                                                  \
	{                                                                                          \
		&(m)->spec_version, &(m)->version, &(m)->expires, &(m)->repository, &(m)->product  \
	}

struct honest_fields honest_fields(enum envelope_type type, void *message)
{
	union {
		void *any;
		Pb__Timestamp *timestamp;
		Pb__Snapshot *snapshot;
		Pb__Director *director;
		Pb__RolloutPlan *plan;
		Pb__Targets *targets;
	} m = { message };

	if (type == ENVELOPE_TIMESTAMP)
		return (struct honest_fields)FIELDS(m.timestamp);
	if (type == ENVELOPE_SNAPSHOT)
		return (struct honest_fields)FIELDS(m.snapshot);
	if (type == ENVELOPE_DIRECTOR)
		return (struct honest_fields)FIELDS(m.director);
	if (type == ENVELOPE_PLAN)
		return (struct honest_fields)FIELDS(m.plan);
	assert(type == ENVELOPE_TARGETS);
	return (struct honest_fields)FIELDS(m.targets);
}

unsigned honest_count(const struct honest *s, Pb__EventKind kind, const char *build_id)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_events; i++)
		n += s->events[i].kind == kind &&
			(build_id == NULL || strcmp(s->events[i].build_id, build_id) == 0);
	return n;
}

const struct honest_event *honest_last(const struct honest *s, Pb__EventKind kind)
{
	for (unsigned i = s->n_events; i > 0; i--)
		if (s->events[i - 1].kind == kind)
			return &s->events[i - 1];
	return NULL;
}
