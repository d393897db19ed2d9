/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state: it fits, comes back, and damage is seen. */
#include "client-sdk/src/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/phone.h"

/* Every field at its largest, every list full. */
static void fill(struct state *s)
{
	static const char longest[TEXT_LEN] =
		"012345678901234567890123456789012345678901234567890123456789012";

	memset(s, 0xff, sizeof(*s));
	memcpy(s->own_build, longest, TEXT_LEN);
	memcpy(s->candidate.build_id, longest, TEXT_LEN);
	memcpy(s->trial.build_id, longest, TEXT_LEN);
	memcpy(s->trial.from, longest, TEXT_LEN);
	s->key_len = KEY_DER_MAX;
	s->enrolled = s->held = s->candidate.started = 1;
	s->ring = 3;
	s->ring_why = 4;
	s->answer = 8;
	s->candidate.stage = STAGE__COUNT - 1;
	s->trial.stage = TRIAL__COUNT - 1;
	s->n_failed = FAILED_MAX;
	s->n_halted = HALTED_MAX;
	s->n_events = EVENTS_MAX;
	for (unsigned i = 0; i < FAILED_MAX; i++)
		memcpy(s->failed[i].build_id, longest, TEXT_LEN);
	for (unsigned i = 0; i < HALTED_MAX; i++)
		memcpy(s->halted[i].build_id, longest, TEXT_LEN);
	for (unsigned i = 0; i < EVENTS_MAX; i++) {
		memcpy(s->events[i].build_id, longest, TEXT_LEN);
		s->events[i].kind = 15;
		s->events[i].has_signature = 1;
	}
}

static void round_trip(void **state)
{
	static struct state full, again, empty;
	uint8_t blob[STATE_MAX], blob2[STATE_MAX];
	size_t n;

	(void)state;
	fill(&full);
	n = state_write(&full, blob);
	assert_true(n < STATE_MAX);
	assert_int_equal(state_read(&again, bytes_of(blob, n)), 0);
	assert_int_equal(state_write(&again, blob2), n);
	assert_memory_equal(blob, blob2, n);
	assert_true(again.rollback_index == UINT64_MAX && again.n_events == 32);
	assert_int_equal(again.director_version[3], full.director_version[3]);
	n = state_write(&empty, blob);
	assert_int_equal(state_read(&again, bytes_of(blob, n)), 0);
	assert_memory_equal(&again, &empty, sizeof(empty));
}

/* No changed bit and no other length passes. */
static void damage(void **state)
{
	static struct state s;
	uint8_t blob[STATE_MAX + 1];
	size_t n;

	(void)state;
	fill(&s);
	s.n_events = s.n_failed = s.n_halted = 1;
	n = state_write(&s, blob);
	for (size_t bit = 0; bit < n * 8; bit++) {
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(state_read(&s, bytes_of(blob, n)), ERR_CORRUPT);
		assert_int_equal(s.n_events, 0);
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < n; len++)
		assert_int_equal(state_read(&s, bytes_of(blob, len)), ERR_CORRUPT);
	blob[n] = 0;
	assert_int_equal(state_read(&s, bytes_of(blob, n + 1)), ERR_CORRUPT);
}

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n * 8; i++) {
		if (i % 8 == 0)
			crc ^= p[i / 8];
		crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static int read_sealed(struct state *s, uint8_t *blob, size_t n)
{
	put_be32(blob + 8, crc32(blob + 12, n - 12));
	return state_read(s, bytes_of(blob, n));
}

/*
 * Under a right CRC too: an older library's shorter state is read, a newer one's
 * longer; garbage is refused or harmless.
 */
static void other_contents(void **state)
{
	static struct state s, back;
	uint8_t blob[STATE_MAX];
	size_t n;
	uint32_t random = 1;

	(void)state;
	fill(&s);
	s.n_events = s.n_failed = s.n_halted = 0;
	n = state_write(&s, blob);
	memset(blob + n, 0x77, 100);
	assert_int_equal(read_sealed(&back, blob, n + 100), 0);
	assert_int_equal(read_sealed(&back, blob, n - 1), 0); /* no list of events yet */
	assert_int_equal(back.last_seq, UINT32_MAX);
	put_be32(blob + 4, 2);
	assert_int_equal(read_sealed(&back, blob, n), ERR_CORRUPT);
	for (unsigned i = 0; i < 2000; i++) {
		size_t at;
		fill(&s);
		n = state_write(&s, blob);
		random = random * 1664525u + 1013904223u;
		at = 12 + (random >> 8) % (n - 12);
		blob[at] = (uint8_t)random;
		if (read_sealed(&back, blob, n) != 0)
			continue;
		assert_true(back.n_events <= EVENTS_MAX && back.n_halted <= HALTED_MAX);
		assert_true(strnlen(back.candidate.build_id, TEXT_LEN) < TEXT_LEN);
		assert_true(back.candidate.stage < STAGE__COUNT);
	}
}

/* On a phone: begins as new, says so, and enrols again. */
static void damaged_phone(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	assert_int_equal(p->server->enrolments, 1);
	p->state[p->state_len / 2] ^= 1;
	p->last_logged = 0;
	phone_restart(p);
	assert_int_equal(p->last_logged, ERR_CORRUPT);
	assert_false(phone_status(p).enrolled);
	phone_settle(p);
	assert_int_equal(p->server->enrolments, 2);
	assert_int_equal(phone_status(p).last_error, 0);
}

/* The state of another product is not this device's. */
static void other_product(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	p->config.product = "phone2";
	phone_restart(p);
	assert_false(phone_status(p).enrolled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(damage),
		cmocka_unit_test(other_contents),
		cmocka_unit_test_setup_teardown(damaged_phone, phone_set_up, phone_tear_down),
		cmocka_unit_test_setup_teardown(other_product, phone_set_up, phone_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
