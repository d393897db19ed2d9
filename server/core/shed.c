/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/shed.h"

#include "proto/bucket.h"

#define RISE_PPM     125000u /* in a look that is just late; more when later */
#define FALL_PPM     62500u
#define SMOOTH_MS    10000u
#define BUSY_PPM     800000u /* from here on phones are asked to come later */
#define IDLE_PPM     500000u /* and from here on sooner again */
#define LATE_MS      5000u   /* a shorter time is a stall: a machine that stood still, or paged */
#define STRETCH_MS   15000u
#define UNSTRETCH_MS 60000u

static uint32_t least(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

static void press(struct shed *s, uint32_t lag_ms)
{
	/* All polls go before the first enrolment does. */
	uint32_t most = s->pressure_ppm < PPM ? PPM : SHED__COUNT * PPM;

	if (lag_ms >= SHED_STALL_MS || (s->was_late && lag_ms >= SHED_LATE_MS))
		s->pressure_ppm =
			least(s->pressure_ppm + (uint64_t)RISE_PPM * lag_ms / SHED_LATE_MS, most);
	else if (lag_ms < SHED_LATE_MS / 2)
		s->pressure_ppm -= least(s->pressure_ppm, FALL_PPM);
	s->was_late = lag_ms >= SHED_LATE_MS;
}

static void smooth(struct shed *s, const struct shed_look *look)
{
	uint64_t passed = least(look->now_ms - s->looked_ms, SMOOTH_MS);
	uint64_t seen = least(look->seen_ms, (uint32_t)passed);

	s->busy_ppm = (uint32_t)((look->busy_ppm * seen + s->busy_ppm * (SMOOTH_MS - passed)) /
		SMOOTH_MS);
}

static void stretch(struct shed *s, const struct shed_look *look)
{
	uint64_t since_ms = look->now_ms - s->stretched_ms;
	bool late = s->pressure_ppm > 0 || look->turned_away;
	bool long_late = s->pressure_ppm > 0 && look->now_ms - s->in_time_ms >= LATE_MS;
	bool much = long_late || look->turned_away || s->busy_ppm >= BUSY_PPM;

	if (much && s->stretch < SHED_STRETCH && since_ms >= STRETCH_MS) {
		s->stretch++;
		s->stretched_ms = look->now_ms;
	} else if (!late && s->busy_ppm < IDLE_PPM && s->stretch > 0 && since_ms >= UNSTRETCH_MS) {
		s->stretch--;
		s->stretched_ms = look->now_ms;
	}
}

void shed_look(struct shed *s, const struct shed_look *look)
{
	if (s->pressure_ppm == 0)
		s->in_time_ms = look->now_ms;
	press(s, look->lag_ms);
	smooth(s, look);
	stretch(s, look);
	s->looked_ms = look->now_ms;
}

bool shed_refuses(const struct shed *s, enum shed_class what, uint32_t dice)
{
	return s->pressure_ppm > what * PPM + dice;
}

unsigned shed_stretch(const struct shed *s, uint64_t interval_ms)
{
	unsigned n = s->stretch;

	while (n > 0 && interval_ms << n > SHED_LONGEST_MS)
		n--;
	return n;
}

bool shed_is_calm(const struct shed *s)
{
	return s->pressure_ppm == 0 && s->stretch == 0 && s->busy_ppm < IDLE_PPM;
}
