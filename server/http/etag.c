/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/etag.h"

#include <string.h>

bool etag_is_same(struct bytes value, const char *etag)
{
	return value.n == strlen(etag) && memcmp(value.p, etag, value.n) == 0;
}

/* The next tag of a list, behind which `*rest` begins; n 0 at the end, and where it is no list. */
static struct bytes next(struct bytes *rest)
{
	const uint8_t *p = rest->p, *end = p + rest->n, *quote = NULL;

	while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
		p++;
	if (end - p > 2 && memcmp(p, "W/", 2) == 0)
		p += 2;
	if (end - p > 1 && *p == '"')
		quote = memchr(p + 1, '"', (size_t)(end - p - 1));
	if (quote == NULL)
		return bytes_of(p, 0);
	*rest = bytes_of(quote + 1, (size_t)(end - quote - 1));
	return bytes_of(p, (size_t)(quote + 1 - p));
}

bool etag_is_listed(struct bytes value, const char *etag)
{
	struct bytes tag;

	if (etag_is_same(value, "*"))
		return true;
	while ((tag = next(&value)).n > 0)
		if (etag_is_same(tag, etag))
			return true;
	return false;
}
