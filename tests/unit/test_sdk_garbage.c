/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are no answers: cut, huge, random, and honest ones with a bit changed.
 */
#include "tests/lib/phone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client-sdk/src/state.h"
#include "proto/err.h"

#define REPLY_MAX (64u * 1024 + 8 * 16384)

#define HOUR 3600000u

static uint32_t random32(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	return x ^= x << 5;
}

/* A phone that is enrolled and has polled; b2 is now on offer. */
static struct phone *ready(void)
{
	struct honest *s = honest_new(PHONE_T0 / 1000);
	struct phone *p = phone_new(s);

	assert_true(phone_start(p));
	phone_settle(p);
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_publish(s);
	return p;
}

static void end(struct phone *p)
{
	void *state = p;

	(void)phone_tear_down(&state);
}

/* Has it poll, and answers with `body`. */
static void answer_poll(struct phone *p, struct bytes body)
{
	p->hold = true;
	huidu_poll_now(p->h);
	(void)phone_step(p); /* kept in step_error */
	assert_true(p->is_pending);
	p->is_pending = false;
	huidu_response(p->h, 200, 0, body.p, body.n);
	p->hold = false;
}

/* The honest answer to its next poll. */
static size_t honest_answer(struct phone *p, uint8_t *out)
{
	struct bytes body;

	p->hold = true;
	huidu_poll_now(p->h);
	(void)phone_step(p); /* kept in step_error */
	assert_int_equal(honest_post(p->server, p->pending.path,
				 bytes_of(p->pending.body, p->pending.body_len), &body),
		200);
	memcpy(out, body.p, body.n);
	p->is_pending = false;
	huidu_response(p->h, -ETIMEDOUT, 0, NULL, 0);
	p->hold = false;
	return body.n;
}

static void believes_the_honest(struct phone *p)
{
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	assert_string_equal(phone_status(p).build_id, "b2");
}

static void undo(struct phone *p, const struct phone_flash before[2])
{
	memcpy(p->flash, before, sizeof(p->flash));
	phone_restart(p);
}

static void cut(void **state)
{
	struct phone *p = ready();
	static uint8_t reply[65536];
	static struct phone_flash before[2];
	size_t n = honest_answer(p, reply);

	(void)state;
	memcpy(before, p->flash, sizeof(before));
	for (size_t len = 0; len < n; len++) {
		answer_poll(p, bytes_of(reply, len));
		assert_int_not_equal(phone_status(p).last_error, 0);
		/* The extension of the log comes last: without it, it is refused and reported. */
		if (phone_status(p).last_error == ERR_FORKED)
			undo(p, before);
		assert_memory_equal(p->flash, before, sizeof(before));
	}
	believes_the_honest(p);
	end(p);
}

/* What the phone now holds is what was signed, or a refusal of it. */
static void is_honest(struct phone *p)
{
	const struct honest *s = p->server;
	static struct state held;

	uint64_t generation;
	const struct phone_flash *f = phone_saved(p);

	assert_int_equal(state_read(&held, bytes_of(f->bytes, f->len), &generation), 0);
	if (held.candidate.build_id[0] == '\0' && phone_status(p).last_error != 0)
		return;
	assert_int_equal(held.timestamp_version, s->timestamp_version);
	assert_int_equal(held.snapshot.version, s->snapshot_version);
	assert_int_equal(held.offers_until_s, s->now_s + s->offers_for_s);
	assert_string_equal(held.candidate.build_id, "b2");
	assert_int_equal(held.candidate.length, s->builds[0].length);
	assert_memory_equal(held.candidate.sha256, s->builds[0].sha256, SHA256_LEN);
}

/*
 * Every byte of an honest answer, changed: refused, or what was changed is unsigned,
 * and all that was signed is as it was.
 */
static void changed(void **state)
{
	struct phone *p = ready();
	static uint8_t reply[65536];
	static struct phone_flash before[2];
	size_t n = honest_answer(p, reply);
	unsigned taken = 0;

	(void)state;
	memcpy(before, p->flash, sizeof(before));
	for (size_t i = 0; i < n; i++) {
		uint8_t bit = (uint8_t)(1u << random32() % 8);
		reply[i] ^= bit;
		answer_poll(p, bytes_of(reply, n));
		reply[i] ^= bit;
		if (memcmp(p->flash, before, sizeof(before)) == 0)
			continue;
		taken += phone_status(p).last_error == 0;
		is_honest(p);
		undo(p, before);
	}
	assert_in_range(taken, 1, n / 2);
	believes_the_honest(p);
	end(p);
}

static void random_bytes(void **state)
{
	static uint8_t noise[2000];
	static struct phone_flash before[2];
	struct phone *p = ready();

	(void)state;
	memcpy(before, p->flash, sizeof(before));
	for (unsigned i = 0; i < 3000; i++) {
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)random32();
		if (i % 2 == 0) /* begins like a field of bytes */
			put_be16(noise, (uint16_t)(0x0a00u | random32() % 128));
		p->body = bytes_of(noise, 1 + random32() % sizeof(noise));
		phone_poll(p);
		assert_memory_equal(p->flash, before, sizeof(before));
	}
	p->body = bytes_of(NULL, 0);
	believes_the_honest(p);
	end(p);
}

static void random_enrolment(void **state)
{
	struct phone *p = *state;
	static uint8_t noise[300];

	p->only = "/v1/enroll";
	for (unsigned i = 0; i < 2000; i++) {
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)random32();
		noise[0] = (uint8_t)(i % 3 == 0 ? 0x0a : i % 3 == 1 ? 0x12 : noise[0]);
		noise[1] = (uint8_t)(i % 5 == 0 ? 32 : i % 5 == 1 ? 16 : noise[1]);
		p->body = bytes_of(noise, 1 + random32() % sizeof(noise));
		phone_poll(p);
		assert_false(phone_status(p).enrolled);
	}
	p->body = bytes_of(NULL, 0);
	phone_poll(p);
	assert_true(phone_status(p).enrolled);
}

static void huge(void **state)
{
	static uint8_t zeros[1 << 20];
	static const size_t sizes[] = { REPLY_MAX, REPLY_MAX + 1, sizeof(zeros) };
	struct phone *p = ready();

	(void)state;
	/* One field of bytes, well-formed, up to the cap and over it. */
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i] - 4;
		zeros[0] = 0x0a;
		zeros[1] = (uint8_t)(0x80 | (n & 0x7f));
		zeros[2] = (uint8_t)(0x80 | (n >> 7 & 0x7f));
		zeros[3] = (uint8_t)(n >> 14);
		answer_poll(p, bytes_of(zeros, sizes[i]));
		assert_int_equal(phone_status(p).last_error,
			sizes[i] > REPLY_MAX ? ERR_TOO_BIG : ERR_MISSING_FIELD);
	}
	believes_the_honest(p);
	end(p);
}

/*
 * A long list of tiny fields takes much memory unpacked: it ends in an error, not in
 * memory.
 */
static void bomb(void **state)
{
	static uint8_t tiny[60000];
	struct phone *p = ready();

	(void)state;
	for (size_t i = 0; i < sizeof(tiny); i += 2)
		tiny[i] = 0x22; /* plans: "" */
	answer_poll(p, bytes_of(tiny, sizeof(tiny)));
	assert_int_not_equal(phone_status(p).last_error, 0);
	believes_the_honest(p);
	end(p);
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut),
		cmocka_unit_test(changed),
		cmocka_unit_test(random_bytes),
		ON_PHONE(random_enrolment),
		cmocka_unit_test(huge),
		cmocka_unit_test(bomb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
