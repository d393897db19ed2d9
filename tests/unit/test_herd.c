/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phones that came together come apart: forty thousand with the SDK's own pace, and a server that
 * tells them its interval with its jitter, as it does.
 */
#include "unit.h"

#include <stdlib.h>

#include "client-sdk/src/private.h"

#define PHONES     40000u
#define MINUTE     60000ull
#define HOUR       (60 * MINUTE)
#define INTERVAL_S 14400u /* 4 h */
#define HOURS      30u
#define MEAN       (PHONES * MINUTE / (INTERVAL_S * 1000ull)) /* polls a minute: 166 */

static struct pace *phones;
static unsigned polls[HOURS * 60]; /* answered, a minute each */
static huidu_t h;
static uint64_t clock_ms, draws;

static uint64_t draw(void)
{
	draws ^= draws << 13;
	draws ^= draws >> 7;
	draws ^= draws << 17;
	return draws;
}

static int random_bytes(void *ctx, void *out, size_t n)
{
	uint64_t r = draw();

	(void)ctx;
	assert_true(n <= sizeof(r));
	memcpy(out, &r, n);
	return 0;
}

static uint64_t now_ms(void *ctx)
{
	(void)ctx;
	return clock_ms;
}

/* The server's part: a fifth more or less. */
static uint32_t next_poll_s(void)
{
	return INTERVAL_S - INTERVAL_S / 5 + (uint32_t)(draw() % (2 * INTERVAL_S / 5 + 1));
}

/* A time in which nobody answers, or everybody is told 503 with Retry-After. */
struct trouble {
	const char *why;
	uint64_t from_ms, until_ms;
	bool refuses;
	bool together; /* all phones come within the first minute */
};

static void poll_one(struct pace *p, const struct trouble *t)
{
	bool down = clock_ms >= t->from_ms && clock_ms < t->until_ms;

	if (down) {
		/* As later_s() in server/http/device_shed.c: an eighth of the interval, to twice it. */
		uint32_t retry_s = INTERVAL_S / 8 + (uint32_t)(draw() % (INTERVAL_S / 8 + 1));
		pace_fail(&h, p, t->refuses ? retry_s : 0);
		return;
	}
	polls[clock_ms / MINUTE]++;
	pace_set(&h, p, pace_interval_ms(&h, next_poll_s()));
}

static void run(const struct trouble *t)
{
	memset(polls, 0, sizeof(polls));
	phones = calloc(PHONES, sizeof(*phones));
	assert_non_null(phones);
	for (unsigned i = 0; i < PHONES; i++)
		phones[i].at_ms = draw() % (t->together ? MINUTE : INTERVAL_S * 1000ull);
	for (clock_ms = 0; clock_ms < HOURS * HOUR; clock_ms += 15000)
		for (unsigned i = 0; i < PHONES; i++)
			if (phones[i].at_ms <= clock_ms)
				poll_one(&phones[i], t);
	free(phones);
}

static unsigned peak(uint64_t from_ms, uint64_t to_ms)
{
	unsigned most = 0;

	for (uint64_t m = from_ms / MINUTE; m < to_ms / MINUTE; m++)
		most = polls[m] > most ? polls[m] : most;
	return most;
}

/* The highest rate of any minute right after the trouble, one interval later, and two. */
static const struct {
	struct trouble trouble;
	unsigned first, after_one, after_two; /* in tenths of the mean, at most */
} cases[] = {
	{ { "nothing at all", 0, 0, false, false }, 20, 20, 20 },
	{ { "down for a minute", 5 * HOUR, 5 * HOUR + MINUTE, false, false }, 25, 20, 20 },
	{ { "down for an hour", 5 * HOUR, 6 * HOUR, false, false }, 75, 20, 20 },
	{ { "down for a night", 5 * HOUR, 13 * HOUR, false, false }, 20, 20, 20 },
	{ { "refused for an hour", 5 * HOUR, 6 * HOUR, true, false }, 30, 20, 20 },
	{ { "all at once, and answered", 0, 0, false, true }, 2500, 30, 20 },
	{ { "all at once, and refused", 0, 2 * MINUTE, true, true }, 100, 30, 20 },
};

static void test_herds(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct trouble *t = &cases[i].trouble;
		uint64_t end = t->until_ms;
		unsigned got[3];
		draws = 88172645463325252ull + i;
		run(t);
		got[0] = peak(end, end + 2 * HOUR) * 10 / MEAN;
		got[1] = peak(end + 2 * HOUR, end + 7 * HOUR) * 10 / MEAN;
		got[2] = peak(end + 7 * HOUR, end + 17 * HOUR) * 10 / MEAN;
		if (got[0] > cases[i].first || got[1] > cases[i].after_one ||
			got[2] > cases[i].after_two)
			fail_msg("%s: %u %u %u tenths of the mean", t->why, got[0], got[1], got[2]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_herds),
	};

	h.config.poll_min_s = 60;
	h.config.poll_max_s = 86400;
	h.platform.random = random_bytes;
	h.platform.now_ms = now_ms;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
