/* SPDX-License-Identifier: Apache-2.0 */
/* When to try, and when to try again. */
#include "client-sdk/src/private.h"

#define JITTER_PERCENT 20u
#define DOUBLINGS_MAX  20u

static uint64_t max_ms(const huidu_t *h)
{
	return (uint64_t)h->config.poll_max_s * 1000;
}

/* `percent` of `ms`, times a random number of [0, 1). */
static uint64_t random_part(huidu_t *h, uint64_t ms, unsigned percent)
{
	uint32_t r = 0;

	if (h->platform.random(h->platform.ctx, &r, sizeof(r)) != 0)
		r = 0; /* devices without it come in step, no worse */
	return (ms * percent / 100 * r) >> 32;
}

static uint64_t jitter(huidu_t *h, uint64_t ms)
{
	return ms - ms * JITTER_PERCENT / 100 + random_part(h, ms, 2 * JITTER_PERCENT);
}

uint64_t pace_interval_ms(const huidu_t *h, uint32_t seconds)
{
	if (seconds < h->config.poll_min_s)
		seconds = h->config.poll_min_s;
	if (seconds > h->config.poll_max_s)
		seconds = h->config.poll_max_s;
	return (uint64_t)seconds * 1000;
}

void pace_set(huidu_t *h, struct pace *p, uint64_t in_ms)
{
	p->failures = 0;
	p->at_ms = sdk_clock_ms(h) + jitter(h, in_ms);
}

void pace_now(struct pace *p)
{
	*p = (struct pace){ 0 };
}

void pace_fail(huidu_t *h, struct pace *p, uint32_t retry_after_s)
{
	uint64_t ms = (uint64_t)h->config.poll_min_s * 1000, asked;
	unsigned doublings = p->failures < DOUBLINGS_MAX ? p->failures : DOUBLINGS_MAX;

	p->failures++;
	ms <<= doublings;
	ms = jitter(h, ms < max_ms(h) ? ms : max_ms(h));
	/* Not sooner than the server asked for; but it cannot silence us for ever. */
	asked = (uint64_t)retry_after_s * 1000;
	asked = asked < max_ms(h) ? asked : max_ms(h);
	asked += random_part(h, asked, JITTER_PERCENT);
	p->at_ms = sdk_clock_ms(h) + (ms > asked ? ms : asked);
}

void pace_slow(struct pace *p)
{
	p->failures = DOUBLINGS_MAX;
}

void pace_check(huidu_t *h, struct pace *p)
{
	uint64_t farthest = max_ms(h) + max_ms(h) * JITTER_PERCENT / 100;

	if (p->at_ms > sdk_clock_ms(h) + farthest)
		p->at_ms = 0;
}
