/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/names.h"

#include <assert.h>
#include <stdio.h>

static const char *const ring_name[] = { "core", "honour", "dev", "stable" };

static char *join(char *out, const char *kind, const char *a, const char *b)
{
	int n = snprintf(out, METADATA_NAME_MAX, "%s/%s%s%s", kind, a, b != NULL ? "/" : "",
		b != NULL ? b : "");

	assert(n > 0 && (unsigned)n < METADATA_NAME_MAX); /* name_ok() was asked */
	return out;
}

char *metadata_timestamp(char out[METADATA_NAME_MAX], const char *product)
{
	return join(out, "timestamp", product, NULL);
}

char *metadata_snapshot(char out[METADATA_NAME_MAX], const char *product)
{
	return join(out, "snapshot", product, NULL);
}

char *metadata_director(char out[METADATA_NAME_MAX], const char *product, uint32_t ring)
{
	assert(ring < 4);
	return join(out, "director", product, ring_name[ring]);
}

char *metadata_plan(
	char out[METADATA_NAME_MAX], const uint8_t rollout_id[ID_LEN], const char *product)
{
	char hex[2 * ID_LEN + 1];

	return join(out, "plan", hex_encode(hex, rollout_id, ID_LEN), product);
}

char *metadata_targets(char out[METADATA_NAME_MAX], const char *product, const char *build_id)
{
	return join(out, "targets", product, build_id);
}

bool name_ok(const char *s)
{
	size_t n = strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789._-");

	return n > 0 && n < 64 && s[n] == '\0' && s[0] != '.' && s[0] != '-';
}
