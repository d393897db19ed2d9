/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state: it fits, comes back, and damage is seen. */
#include "client-sdk/src/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/phone.h"

#define HEAD 24u

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
	s->held_ring = s->grant_ring = 3;
	s->root_len = ROOT_MAX;
	s->log.size = MERKLE_SIZE_MAX - 1; /* 62 subtrees */
	memset(s->log.subtree[62], 0, SHA256_LEN);
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
	uint64_t generation;
	uint8_t blob[STATE_MAX], blob2[STATE_MAX];
	size_t n;

	(void)state;
	fill(&full);
	n = state_write(&full, 9, blob);
	assert_true(n < STATE_MAX);
	assert_int_equal(state_read(&again, bytes_of(blob, n), &generation), 0);
	assert_int_equal(state_write(&again, 9, blob2), n);
	assert_memory_equal(blob, blob2, n);
	assert_true(again.rollback_index == UINT64_MAX && again.n_events == 32);
	assert_int_equal(again.director_version[3], full.director_version[3]);
	n = state_write(&empty, 1, blob);
	assert_int_equal(state_read(&again, bytes_of(blob, n), &generation), 0);
	assert_memory_equal(&again, &empty, sizeof(empty));
}

/* No changed bit and no other length passes. */
static void damage(void **state)
{
	static struct state s;
	static uint8_t blob[STATE_MAX + 1];
	uint64_t generation;
	size_t n;

	(void)state;
	fill(&s);
	s.n_events = s.n_failed = s.n_halted = 1;
	s.root_len = 100;
	s.log.size = 5;
	n = state_write(&s, 3, blob);
	for (size_t bit = 0; bit < n * 8; bit++) {
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(state_read(&s, bytes_of(blob, n), &generation), ERR_CORRUPT);
		assert_int_equal(s.n_events, 0);
		blob[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < n; len++)
		assert_int_equal(state_read(&s, bytes_of(blob, len), &generation), ERR_CORRUPT);
	/* What the slot held behind it is no part of it. */
	blob[n] = 0x55;
	assert_int_equal(state_read(&s, bytes_of(blob, n + 1), &generation), 0);
	assert_int_equal(generation, 3);
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
	uint64_t generation;

	put_be32(blob + 12, (uint32_t)(n - HEAD));
	put_be32(blob + 8, crc32(blob + 12, n - 12));
	return state_read(s, bytes_of(blob, n), &generation);
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
	s.n_events = s.n_failed = s.n_halted = s.root_len = 0;
	n = state_write(&s, 3, blob);
	memset(blob + n, 0x77, 100);
	assert_int_equal(read_sealed(&back, blob, n + 100), 0);
	assert_int_equal(
		read_sealed(&back, blob, n - 8), 0); /* of before there was held_since_ms */
	assert_int_equal(back.last_seq, UINT32_MAX);
	put_be32(blob + 4, 3);
	assert_int_equal(read_sealed(&back, blob, n), ERR_CORRUPT);
	for (unsigned i = 0; i < 2000; i++) {
		size_t at;
		fill(&s);
		n = state_write(&s, 3, blob);
		random = random * 1664525u + 1013904223u;
		at = HEAD + (random >> 8) % (n - HEAD);
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
	for (unsigned i = 0; i < 2; i++)
		p->flash[i].bytes[p->flash[i].len / 2] ^= 1;
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
