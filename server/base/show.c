/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/show.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"

struct shown show_count(uint64_t n)
{
	char digits[24];
	struct shown out;
	size_t len, k = 0;

	len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out.s[k++] = ',';
		out.s[k++] = digits[i];
	}
	out.s[k] = '\0';
	return out;
}

/* A percentage without zeros at its end. */
static void percent(char *out, size_t size, uint32_t ppm)
{
	int n = snprintf(out, size, "%u.%04u", ppm / 10000, ppm % 10000);

	while (out[n - 1] == '0')
		out[--n] = '\0';
	if (out[n - 1] == '.')
		out[--n] = '\0';
}

struct shown show_share(uint32_t ppm)
{
	struct shown out;

	percent(out.s, sizeof(out.s) - 2, ppm);
	(void)strcat(out.s, " %");
	return out;
}

struct shown show_range(uint32_t lower, uint32_t upper)
{
	char from[16], to[16];
	struct shown out;

	percent(from, sizeof(from), lower);
	percent(to, sizeof(to), upper);
	(void)snprintf(out.s, sizeof(out.s), "%s to %s %%", from, to);
	return out;
}

struct shown show_age(uint64_t ms)
{
	static const struct {
		uint64_t s;
		const char *big, *small;
		uint64_t small_s;
	} unit[] = {
		{ 10 * 86400, "d", NULL, 86400 },
		{ 86400, "d", "h", 3600 },
		{ 3600, "h", "m", 60 },
		{ 60, "m", NULL, 60 },
	};
	uint64_t s = ms / 1000;
	struct shown out;

	for (size_t i = 0; i < sizeof(unit) / sizeof(unit[0]); i++) {
		uint64_t big_s = i == 0 ? 86400 : unit[i].s, big = s / big_s;
		uint64_t small = s % big_s / unit[i].small_s;
		if (s < unit[i].s)
			continue;
		if (unit[i].small != NULL && small > 0)
			(void)snprintf(out.s, sizeof(out.s), "%llu%s%llu%s",
				(unsigned long long)big, unit[i].big, (unsigned long long)small,
				unit[i].small);
		else
			(void)snprintf(out.s, sizeof(out.s), "%llu%s", (unsigned long long)big,
				unit[i].big);
		return out;
	}
	(void)snprintf(out.s, sizeof(out.s), "%llus", (unsigned long long)s);
	return out;
}

struct shown show_size(uint64_t bytes)
{
	static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	struct shown out;
	size_t i = 0;

	if (bytes < 1024) {
		(void)snprintf(out.s, sizeof(out.s), "%u B", (unsigned)bytes);
		return out;
	}
	for (v /= 1024; v >= 1023.95 && i < 3; i++)
		v /= 1024;
	(void)snprintf(out.s, sizeof(out.s), "%.1f %s", v, unit[i]);
	return out;
}

struct shown show_ratio(double ratio)
{
	struct shown out;

	if (isfinite(ratio) && ratio < 1e6)
		(void)snprintf(out.s, sizeof(out.s), "%.2fx", ratio);
	else
		(void)snprintf(out.s, sizeof(out.s), "-");
	return out;
}

struct shown show_odds(double log_k)
{
	struct shown out;
	double k = exp(log_k);

	if (k >= 1e6)
		(void)snprintf(out.s, sizeof(out.s), "over 1,000,000 : 1");
	else if (k >= 1000)
		(void)snprintf(out.s, sizeof(out.s), "%u,%03u : 1", (unsigned)k / 1000,
			(unsigned)k % 1000);
	else if (k >= 100)
		(void)snprintf(out.s, sizeof(out.s), "%.0f : 1", k);
	else if (k >= 0.1)
		(void)snprintf(out.s, sizeof(out.s), "%.1f : 1", k);
	else if (k >= 0.005)
		(void)snprintf(out.s, sizeof(out.s), "%.2f : 1", k);
	else
		(void)snprintf(out.s, sizeof(out.s), "under 0.01 : 1");
	return out;
}

struct shown show_minute(uint64_t unix_ms)
{
	char text[CLOCK_TEXT];
	struct shown out;

	(void)clock_text(unix_ms, text);
	(void)snprintf(out.s, sizeof(out.s), "%.10s %.5s", text, text + 11);
	return out;
}
