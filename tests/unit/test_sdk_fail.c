/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While a phone takes an answer, cryptography, memory, randomness or flash fails, at each call in turn:
 * nothing is believed that was not checked, and the next honest answer is.
 */
#include "tests/lib/phone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "proto/err.h"

#define DAY_MS 86400000ll

static struct {
	bool on;
	bool for_good; /* what fails goes on failing */
	unsigned left; /* calls that work */
	unsigned failed;
	int (*random)(void *ctx, void *out, size_t len);
} faults;

static bool fails(void)
{
	if (!faults.on || (faults.failed > 0 && !faults.for_good))
		return false;
	if (faults.left > 0) {
		faults.left--;
		return false;
	}
	faults.failed++;
	return true;
}

/* ---- in place of the library's (--wrap) ---- */

int __real_EVP_Digest(const void *p, size_t n, unsigned char *out, unsigned int *len,
	const EVP_MD *md, ENGINE *e);
int __wrap_EVP_Digest(const void *p, size_t n, unsigned char *out, unsigned int *len,
	const EVP_MD *md, ENGINE *e);
int __wrap_EVP_Digest(
	const void *p, size_t n, unsigned char *out, unsigned int *len, const EVP_MD *md, ENGINE *e)
{
	return fails() ? 0 : __real_EVP_Digest(p, n, out, len, md, e);
}

int __real_EVP_DigestVerify(
	EVP_MD_CTX *c, const unsigned char *sig, size_t n, const unsigned char *p, size_t len);
int __wrap_EVP_DigestVerify(
	EVP_MD_CTX *c, const unsigned char *sig, size_t n, const unsigned char *p, size_t len);
int __wrap_EVP_DigestVerify(
	EVP_MD_CTX *c, const unsigned char *sig, size_t n, const unsigned char *p, size_t len)
{
	return fails() ? -1 : __real_EVP_DigestVerify(c, sig, n, p, len);
}

void *__real_wire_read(const ProtobufCMessageDescriptor *type, struct bytes in,
	const struct lint_rules *rules, struct arena *a, int *err);
void *__wrap_wire_read(const ProtobufCMessageDescriptor *type, struct bytes in,
	const struct lint_rules *rules, struct arena *a, int *err);
void *__wrap_wire_read(const ProtobufCMessageDescriptor *type, struct bytes in,
	const struct lint_rules *rules, struct arena *a, int *err)
{
	*err = ERR_NO_ROOM;
	return fails() ? NULL : __real_wire_read(type, in, rules, a, err);
}

int __real_wire_pack(const void *message, struct arena *a, struct bytes *out);
int __wrap_wire_pack(const void *message, struct arena *a, struct bytes *out);
int __wrap_wire_pack(const void *message, struct arena *a, struct bytes *out)
{
	return fails() ? ERR_NO_ROOM : __real_wire_pack(message, a, out);
}

/* A nonce; that a poll comes at a time everybody knows harms nobody. */
static int on_random(void *ctx, void *out, size_t len)
{
	return len == SHA256_LEN && fails() ? -EIO : faults.random(ctx, out, len);
}

/* ---- exchanges ---- */

static void offer(struct honest *s)
{
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
}

static void full_answer(struct phone *p)
{
	offer(p->server);
}

/* An offer to this phone that goes beyond its plan: it is refused, and reported. */
static void refused_offer(struct phone *p)
{
	offer(p->server);
	p->server->offers[0].approved_upper = 0;
	honest_publish(p->server);
}

/* Signed, and not in the log. */
static void unlogged(struct phone *p)
{
	struct honest *s = p->server;

	offer(s);
	memset(s->log.leaf[s->log.n - HONEST_RINGS], 0xee, HONEST_RINGS * SHA256_LEN);
}

static void new_roots(struct phone *p)
{
	offer(p->server);
	honest_rotate(p->server, 1u << ENVELOPE_TIMESTAMP);
	honest_rotate(p->server, 1u << ENVELOPE_ROOT);
	honest_publish(p->server);
}

static void seat(struct phone *p)
{
	p->server->ring = p->server->director_ring = PB__RING__RING_DEV;
	offer(p->server);
	p->server->offers[0].ring = PB__RING__RING_DEV;
	honest_publish(p->server);
	phone_sleep(p, 1);
	p->only = "/v1/grant";
	p->status = -ETIMEDOUT;
	phone_poll(p);
	p->status = 0;
	p->only = NULL;
	phone_sleep(p, 12 * 3600000u);
	honest_tick(p->server);
}

static void wrong_clock(struct phone *p)
{
	offer(p->server);
	p->skew_ms = 27000 * DAY_MS;
	p->only = "/v1/time";
	p->status = -ETIMEDOUT;
	phone_restart(p);
	phone_poll(p);
	p->status = 0;
	p->only = NULL;
	phone_sleep(p, 3600000u);
	honest_tick(p->server);
}

static const struct {
	const char *path;
	void (*prepare)(struct phone *p);
	unsigned calls; /* at least, so that something was tried */
} exchanges[] = {
	{ "/v1/poll", full_answer, 30 },
	{ "/v1/poll", refused_offer, 25 },
	{ "/v1/poll", unlogged, 15 },
	{ "/v1/poll", new_roots, 10 },
	{ "/v1/grant", seat, 5 },
	{ "/v1/time", wrong_clock, 8 },
};

static struct phone *start(size_t i)
{
	struct phone *p = phone_new(honest_new(PHONE_T0 / 1000));

	faults.random = p->platform.random;
	p->platform.random = on_random;
	assert_true(phone_start(p));
	phone_settle(p);
	exchanges[i].prepare(p);
	return p;
}

/* Has it ask for `path`, and answers it, while things fail; false when it never asked. */
static bool answer(struct phone *p, const char *path, unsigned calls)
{
	struct bytes body;
	int status;

	p->hold = true;
	for (unsigned k = 0; k < 20; k++) {
		if (strcmp(path, "/v1/poll") == 0)
			huidu_poll_now(p->h);
		faults.on = true;
		(void)phone_step(p); /* kept in step_error */
		faults.on = false;
		if (!p->is_pending && faults.failed > 0)
			break;
		if (!p->is_pending)
			continue;
		status = honest_post(p->server, p->pending.path,
			bytes_of(p->pending.body, p->pending.body_len), &body);
		faults.on = strcmp(p->pending.path, path) == 0;
		p->is_pending = false;
		if (faults.on) {
			unsigned before = faults.failed;
			huidu_response(p->h, status, 0, body.p, body.n);
			faults.on = false;
			p->hold = false;
			/* Once only, it may have been a key that was not the one looked for. */
			if (faults.for_good && faults.failed > before &&
				phone_status(p).last_error == 0)
				fail_msg("%s: call %u: %s", path, calls, p->log);
			return true;
		}
		huidu_response(p->h, status, 0, body.p, body.n);
	}
	p->hold = false;
	return false;
}

/* It has the build; what else it asks for, it needs to install it. */
static bool is_there(const struct phone *p, const char *path)
{
	return strcmp(p->slot.build_id, "b2") == 0 ||
		(strcmp(path, "/v1/poll") == 0 && phone_status(p).last_error == 0 &&
			strcmp(phone_status(p).build_id, "b2") == 0);
}

/* With no more failures it gets there. */
static void gets_there(struct phone *p, size_t i)
{
	struct honest *s = p->server;

	p->save_error = 0;
	if (p->is_pending)
		phone_answer(p);
	if (exchanges[i].prepare == refused_offer || exchanges[i].prepare == unlogged) {
		assert_string_equal(p->slot.build_id, "b1");
		s->offers[0].approved_upper = PPM;
		honest_publish(s);
	}
	for (unsigned k = 0; k < 60 && !is_there(p, exchanges[i].path); k++) {
		phone_sleep(p, 3600000);
		honest_tick(s);
		phone_run(p, 1000);
	}
	if (!is_there(p, exchanges[i].path))
		fail_msg("%s: stays on %s: %s", exchanges[i].path, p->slot.build_id, p->log);
}

static void end(struct phone *p)
{
	void *state = p;

	(void)phone_tear_down(&state);
}

/* Each `step`-th call; returns how many there are, give or take a step. */
static unsigned try_each(size_t i, unsigned step)
{
	unsigned calls = 0;
	bool failed = true;

	for (; failed; calls += step) {
		struct phone *p = start(i);
		bool asked;
		faults.left = calls;
		faults.failed = 0;
		asked = answer(p, exchanges[i].path, calls);
		failed = faults.failed > 0;
		assert_true(asked || failed);
		gets_there(p, i);
		end(p);
	}
	return calls;
}

static void each_call(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		for (unsigned k = 0; k < 2; k++) {
			faults.for_good = k;
			assert_true(try_each(i, k ? 4 : 1) >= exchanges[i].calls);
		}
	}
}

/* Nothing counts that was not saved. */
static void flash_fails(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		struct phone *p = start(i);
		faults.left = UINT32_MAX; /* nothing else does */
		p->save_error = -EIO;
		assert_true(answer(p, exchanges[i].path, 0));
		assert_int_equal(phone_status(p).last_error, -EIO);
		gets_there(p, i);
		end(p);
	}
}

/* A server in trouble, and an answer that is none. */
static void no_answer(void **state)
{
	static const struct {
		int status;
		struct bytes body;
	} bad[] = {
		{ 500, { NULL, 0 } },
		{ 503, { NULL, 0 } },
		{ 404, { NULL, 0 } },
		{ 200, { (const uint8_t *)"\xff\xff\xff", 3 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			struct phone *p = start(i);
			p->only = exchanges[i].path;
			p->status = bad[k].status == 200 ? 0 : bad[k].status;
			p->body = bad[k].body;
			huidu_poll_now(p->h);
			phone_settle(p);
			/* What it did since may have worked. */
			if (strcmp(p->last_path, exchanges[i].path) == 0)
				assert_int_not_equal(phone_status(p).last_error, 0);
			p->status = 0;
			p->only = NULL;
			p->body = bytes_of(NULL, 0);
			gets_there(p, i);
			end(p);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call),
		cmocka_unit_test(flash_fails),
		cmocka_unit_test(no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
