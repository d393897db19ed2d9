/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and their answers: one at a time, described by one table. */
#include "client-sdk/src/private.h"

#include <assert.h>

#define HTTP_OK           200
#define HTTP_UNAUTHORIZED 401
#define POLL_REPLY_MAX    (64 * 1024 + 8 * ROOT_MAX)
/* Who is not welcome need not ask every minute. */
#define CLOSED_S 3600u

struct exchange {
	const char *path; /* NULL: the file */
	bool sealed;      /* the body goes into a Sealed */
	size_t max_response;
	size_t pace; /* offset of its struct pace */
	int (*body)(huidu_t *h, struct arena *a, struct bytes *out);
	int (*done)(huidu_t *h, int status, struct bytes body);
};

static const struct exchange exchanges[EXCHANGE__COUNT] = {
	[EXCHANGE_ENROL] = { "/v1/enroll", false, 4 * 1024, offsetof(huidu_t, work), enroll_body,
		enroll_done },
	[EXCHANGE_POLL] = { "/v1/poll", true, POLL_REPLY_MAX, offsetof(huidu_t, poll), poll_body,
		poll_done },
	[EXCHANGE_REPORT] = { "/v1/report", true, 4 * 1024, offsetof(huidu_t, work), events_body,
		events_done },
	[EXCHANGE_GRANT] = { "/v1/grant", true, 4 * 1024, offsetof(huidu_t, grant), grant_body,
		grant_done },
	[EXCHANGE_TIME] = { "/v1/time", false, 8 * 1024, offsetof(huidu_t, work), time_body,
		time_done },
	[EXCHANGE_FETCH] = { NULL, false, 0, offsetof(huidu_t, work), NULL, fetch_done },
};

/* HMAC-SHA256(report key, path || 0 || body)[0..16] */
static int seal_mac(huidu_t *h, struct arena *a, struct bytes body, uint8_t *mac)
{
	size_t n = strlen(h->request.path) + 1;
	uint8_t *text = arena_alloc(a, n + body.n), full[SHA256_LEN];
	int err;

	if (text == NULL)
		return ERR_NO_ROOM;
	memcpy(text, h->request.path, n);
	memcpy(text + n, body.p, body.n);
	err = h->crypto.hmac(h->crypto.ctx, bytes_of(h->state.report_key, SHA256_LEN),
		bytes_of(text, n + body.n), full);
	memcpy(mac, full, MAC_LEN);
	return err;
}

static int seal(huidu_t *h, struct arena *a, struct bytes *body)
{
	Pb__Sealed s = PB__SEALED__INIT;
	uint8_t mac[MAC_LEN];

	s.body = wire_data(body->p, body->n);
	if (h->state.enrolled) {
		int err = seal_mac(h, a, *body, mac);
		if (err != 0)
			return err;
		s.has_device_id = s.has_epoch = s.has_mac = 1;
		s.device_id = wire_data(h->state.device_id, ID_LEN);
		s.epoch = h->state.epoch;
		s.mac = wire_data(mac, MAC_LEN);
	}
	return wire_pack(&s, a, body);
}

static int prepare(huidu_t *h, const struct exchange *x)
{
	struct arena a = sdk_arena(h);
	struct bytes body;
	int err;

	if (x->body == NULL) {
		fetch_request(h);
		return 0;
	}
	h->request = (struct huidu_request){
		.method = "POST", .path = x->path, .body = h->body, .max_response = x->max_response
	};
	err = x->body(h, &a, &body);
	if (err == 0 && x->sealed)
		err = seal(h, &a, &body);
	if (err == 0 && body.n > sizeof(h->body))
		err = ERR_NO_ROOM;
	if (err != 0)
		return err;
	memcpy(h->body, body.p, body.n);
	h->request.body_len = body.n;
	return 0;
}

void exchange_start(huidu_t *h, enum exchange_kind kind)
{
	int err;

	assert(h->in_flight == EXCHANGE_NONE);
	h->in_flight = kind;
	h->sent_seq = 0;
	err = prepare(h, &exchanges[kind]);
	if (err == 0)
		err = h->platform.http(h->platform.ctx, &h->request);
	/* A hook that answered and then failed has answered. */
	if (err != 0 && h->in_flight == kind)
		huidu_response(h, err, 0, NULL, 0);
}

int exchange_error(huidu_t *h, int status)
{
	if (status < 0)
		return status;
	if (status == HTTP_OK)
		return 0;
	if (status == HTTP_UNAUTHORIZED && h->state.enrolled)
		return enroll_again(h);
	return ERR_UNREACHABLE;
}

void huidu_response(huidu_t *h, int status, uint32_t retry_after_s, const void *body, size_t len)
{
	const struct exchange *x = &exchanges[h->in_flight];
	struct pace *pace = (struct pace *)((uint8_t *)h + x->pace);
	int err;

	if (h->in_flight == EXCHANGE_NONE)
		return;
	h->in_flight = EXCHANGE_NONE;
	h->last_error = 0;
	if (x->body != NULL && len > x->max_response)
		status = ERR_TOO_BIG;
	err = x->done(h, status, bytes_of(body != NULL ? body : "", len));
	if (err != 0) {
		(void)sdk_note(h, err, h->request.path);
		if (err == ERR_CLOSED && retry_after_s < CLOSED_S)
			retry_after_s = CLOSED_S;
		pace_fail(h, pace, retry_after_s);
	} else if (pace == &h->work) {
		pace_now(pace);
	}
}
