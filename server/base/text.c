/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool text_u64(const char *s, uint64_t *out)
{
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*out = strtoull(s, &end, 10);
	return errno == 0 && *end == '\0';
}

struct unit {
	const char *name;
	double factor;
};

/* A decimal number, spaces, a unit of the list: value * factor, to the nearest whole. */
static bool with_unit(const char *s, const struct unit *units, uint64_t *out)
{
	char *end;
	double v;

	if (*s < '0' || *s > '9' || strspn(s, "0123456789.") > 18)
		return false;
	v = strtod(s, &end);
	/* strtod reads more than people write: hex, exponents. */
	if (strspn(s, "0123456789.") != (size_t)(end - s))
		return false;
	end += strspn(end, " ");
	for (; units->name != NULL; units++) {
		if (strcmp(end, units->name) != 0)
			continue;
		v = round(v * units->factor);
		if (v >= 9.0e15)
			return false;
		*out = (uint64_t)v;
		return true;
	}
	return false;
}

bool text_duration(const char *s, uint64_t *ms)
{
	static const struct unit units[] = {
		{ "ms", 1 },
		{ "s", 1e3 },
		{ "m", 60e3 },
		{ "h", 3600e3 },
		{ "d", 86400e3 },
		{ NULL, 0 },
	};

	return with_unit(s, units, ms);
}

bool text_ppm(const char *s, uint32_t *ppm)
{
	static const struct unit percent[] = { { "%", 1e4 }, { NULL, 0 } };
	uint64_t v;

	if (!text_u64(s, &v) && !with_unit(s, percent, &v))
		return false;
	if (v > UINT32_MAX)
		return false;
	*ppm = (uint32_t)v;
	return true;
}

bool text_size(const char *s, uint64_t *bytes)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "B", 1 },
		{ "KiB", 1024 },
		{ "MiB", 1048576 },
		{ "GiB", 1073741824 },
		{ "TiB", 1099511627776.0 },
		{ NULL, 0 },
	};

	return with_unit(s, units, bytes);
}

/* Levenshtein distance, one row at a time; words longer than the row are far from anything. */
static size_t distance(const char *a, const char *b)
{
	enum { MAX = 32 };
	size_t row[MAX + 1], n = strlen(b);

	if (n > MAX || strlen(a) > MAX)
		return MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

const char *text_nearest(const char *s, const char *const *words)
{
	const char *best = NULL;
	size_t least = 3;

	for (; *words != NULL; words++) {
		size_t d = distance(s, *words);
		if (d < least && d < strlen(*words)) {
			least = d;
			best = *words;
		}
	}
	return best;
}

bool text_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}
