/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/src/private.h"

#define HTTP_FORBIDDEN 403

/* Signed: this, its NUL, the challenge, the product. */
static const char domain[] = "huidu/enroll/v1";

static int sign(huidu_t *h, uint8_t sig[SIG_LEN])
{
	uint8_t text[sizeof(domain) + CHALLENGE_LEN + TEXT_LEN];
	size_t n = strlen(h->product);

	memcpy(text, domain, sizeof(domain));
	memcpy(text + sizeof(domain), h->challenge, CHALLENGE_LEN);
	memcpy(text + sizeof(domain) + CHALLENGE_LEN, h->product, n);
	return h->hooks.device_sign(h->hooks.ctx, text, sizeof(domain) + CHALLENGE_LEN + n, sig);
}

static int attest(huidu_t *h, struct arena *a, Pb__EnrollRequest *r)
{
	size_t n = ATTEST_MAX;
	uint8_t *p;
	int err;

	if (h->platform.attest == NULL)
		return 0;
	p = arena_alloc(a, n);
	if (p == NULL)
		return ERR_NO_ROOM;
	err = h->platform.attest(h->platform.ctx, h->challenge, p, &n);
	if (err == 0 && n > ATTEST_MAX)
		err = ERR_TOO_BIG;
	r->has_attestation = n > 0;
	r->attestation = wire_data(p, n);
	return err;
}

int enroll_body(huidu_t *h, struct arena *a, struct bytes *out)
{
	Pb__EnrollRequest r = PB__ENROLL_REQUEST__INIT;
	uint8_t point[P256_PUBLIC_LEN], sig[SIG_LEN];
	int err = h->hooks.device_key(h->hooks.ctx, point);

	r.token = h->config.token;
	r.has_voucher = h->config.voucher != NULL;
	r.voucher = wire_data(h->voucher, SIG_LEN);
	r.public_key = wire_data(point, sizeof(point));
	r.product = h->product;
	r.has_wish = 1;
	r.wish = (Pb__Ring)h->config.wish;
	if (err == 0 && h->challenged) {
		err = sign(h, sig);
		r.has_challenge = r.has_signature = 1;
		r.challenge = wire_data(h->challenge, CHALLENGE_LEN);
		r.signature = wire_data(sig, SIG_LEN);
	}
	if (err == 0 && h->challenged)
		err = attest(h, a, &r);
	return err != 0 ? err : wire_pack(&r, a, out);
}

static int take_id(huidu_t *h, const Pb__EnrollReply *r)
{
	struct state *next = state_begin(h);
	int err;

	if (!r->has_device_id || !r->has_report_key || !r->has_epoch)
		return ERR_MISSING_FIELD;
	if (r->device_id.len != ID_LEN || r->report_key.len != SHA256_LEN)
		return ERR_BAD_RANGE;
	next->enrolled = 1;
	next->enrolled_at_ms = sdk_clock_ms(h);
	next->epoch = r->epoch;
	memcpy(next->device_id, r->device_id.data, ID_LEN);
	memcpy(next->report_key, r->report_key.data, SHA256_LEN);
	next->ring = r->has_ring ? (uint8_t)r->ring : HUIDU_STABLE;
	next->ring_why = r->has_ring_why ? (uint8_t)r->ring_why : 0;
	if (r->has_last_seq)
		events_go_on(next, r->last_seq);
	/* Another id is another bucket, and has no seat. */
	next->held = 0;
	next->grant_expires_s = 0;
	err = state_commit(h);
	if (err != 0)
		return err;
	if (r->next_poll_s > 0)
		pace_set(h, &h->poll, pace_interval_ms(h, r->next_poll_s));
	else
		pace_now(&h->poll);
	return 0;
}

static int take_challenge(huidu_t *h, const Pb__EnrollReply *r)
{
	if (!r->has_challenge)
		return ERR_MISSING_FIELD;
	if (r->challenge.len != CHALLENGE_LEN)
		return ERR_BAD_RANGE;
	memcpy(h->challenge, r->challenge.data, CHALLENGE_LEN);
	h->challenged = true;
	return 0;
}

int enroll_done(huidu_t *h, int status, struct bytes body)
{
	struct arena a = sdk_arena(h);
	bool proved = h->challenged;
	int err = status == HTTP_FORBIDDEN ? ERR_CLOSED : exchange_error(h, status);
	const Pb__EnrollReply *r;

	/* Good for one try. */
	h->challenged = false;
	if (err != 0)
		return err;
	r = wire_read(&pb__enroll_reply__descriptor, body, &wire_device, &a, &err);
	if (r == NULL)
		return err;
	return proved ? take_id(h, r) : take_challenge(h, r);
}

int enroll_again(huidu_t *h)
{
	struct state *next = state_begin(h);
	int err;

	next->enrolled = 0;
	next->grant_expires_s = 0;
	memset(next->device_id, 0, sizeof(next->device_id));
	memset(next->report_key, 0, sizeof(next->report_key));
	err = state_commit(h);
	return err != 0 ? err : ERR_BAD_MAC;
}

uint64_t enroll_due_ms(const huidu_t *h)
{
	uint64_t interval = h->interval_ms, last = h->state.enrolled_at_ms;

	if (interval == 0)
		interval = (uint64_t)h->config.poll_min_s * 1000;
	if (last == 0 || last > sdk_clock_ms(h) || last + interval < h->work.at_ms)
		return h->work.at_ms;
	return last + interval;
}

int enroll_step(huidu_t *h)
{
	exchange_start(h, EXCHANGE_ENROL);
	return 0;
}
