/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/range.h"

#include <strings.h>

#define UNIT "bytes="

/*
 * Digits at *at, which moves behind them; what does not fit 64 bits is beyond every
 * end.
 */
static bool number(struct bytes in, size_t *at, uint64_t *out)
{
	size_t start = *at;

	*out = 0;
	for (; *at < in.n && in.p[*at] >= '0' && in.p[*at] <= '9'; ++*at) {
		unsigned digit = (unsigned)(in.p[*at] - '0');
		if (*out > (UINT64_MAX - digit) / 10)
			*out = UINT64_MAX;
		else
			*out = *out * 10 + digit;
	}
	return *at > start;
}

static bool parse(struct bytes in, struct range *r)
{
	size_t at = strlen(UNIT);

	if (in.n < at || strncasecmp((const char *)in.p, UNIT, at) != 0)
		return false;
	r->suffix = !number(in, &at, &r->first);
	if (at == in.n || in.p[at++] != '-')
		return false;
	if (!number(in, &at, &r->last)) {
		if (r->suffix)
			return false;
		r->last = UINT64_MAX;
	}
	return at == in.n && (r->suffix || r->first <= r->last);
}

bool range_read(struct bytes value, struct range *out)
{
	*out = (struct range){ .set = true };
	if (!parse(value, out))
		*out = (struct range){ 0 };
	return out->set;
}

int range_resolve(const struct range *r, uint64_t length, uint64_t *at, uint64_t *n)
{
	if (r->suffix) {
		*n = r->last < length ? r->last : length;
		*at = length - *n;
		return *n > 0 ? 0 : ERR_BAD_RANGE;
	}
	if (r->first >= length)
		return ERR_BAD_RANGE;
	*at = r->first;
	*n = (r->last < length ? r->last + 1 : length) - r->first;
	return 0;
}
