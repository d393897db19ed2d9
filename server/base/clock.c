/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;
	int rc = clock_gettime(id, &t);

	assert(rc == 0);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t clock_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t clock_mono_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_boot_ms(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

const char *clock_text(uint64_t unix_ms, char out[CLOCK_TEXT])
{
	time_t s = (time_t)(unix_ms / 1000);
	struct tm tm;
	char date[32];

	(void)gmtime_r(&s, &tm);
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out, CLOCK_TEXT, "%.19s.%03uZ", date, (unsigned)(unix_ms % 1000));
	return out;
}
