/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/fleet/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARETO_SHAPE 2.0

double model_random(struct model *m)
{
	m->state ^= m->state >> 12;
	m->state ^= m->state << 25;
	m->state ^= m->state >> 27;
	return (double)((m->state * 2685821657736338717ull) >> 11) / 9007199254740992.0;
}

double model_frailty(struct model *m)
{
	double scale = (PARETO_SHAPE - 1) / PARETO_SHAPE;

	return scale * pow(1 - model_random(m), -1 / PARETO_SHAPE);
}

double model_next_crash_ms(struct model *m, double frailty, const char *build)
{
	double rate = m->crashes_per_day * frailty * model_build(m, build)->crash_ratio;

	if (rate <= 0)
		return INFINITY;
	return -log(1 - model_random(m)) / rate * m->day_ms;
}

const struct model_build *model_build(const struct model *m, const char *id)
{
	static const struct model_build base = { "", 1, 0, 0 };

	for (unsigned i = 0; i < m->n_builds; i++)
		if (strcmp(m->builds[i].id, id) == 0)
			return &m->builds[i];
	return &base;
}

void model_signature(struct model *m, const char *build, uint8_t out[MODEL_SIGNATURE])
{
	double ratio = model_build(m, build)->crash_ratio, u = model_random(m);
	bool own = ratio > 1 && model_random(m) > 1 / ratio;
	unsigned place = u > 1e-3 ? (unsigned)(1 / u) : 1000;

	memset(out, 0, MODEL_SIGNATURE);
	if (own)
		(void)snprintf((char *)out, MODEL_SIGNATURE, "%.20s/%u", build, (unsigned)(3 * u));
	else
		(void)snprintf((char *)out, MODEL_SIGNATURE, "shared/%u", place);
}

static bool parse_field(struct model_build *b, char *field)
{
	char *value = strchr(field, '='), *end;
	double v;

	if (value == NULL)
		return false;
	*value++ = '\0';
	v = strtod(value, &end);
	if (*end != '\0' || end == value || !(v >= 0))
		return false;
	if (strcmp(field, "crash") == 0)
		b->crash_ratio = v;
	else if (strcmp(field, "boot_fail") == 0)
		b->boot_failure = v;
	else if (strcmp(field, "brick") == 0)
		b->brick = v;
	else
		return false;
	return true;
}

bool model_parse(struct model *m, const char *text)
{
	struct model_build b = { .crash_ratio = 1 };
	char copy[256], *save = NULL, *part;

	if (m->n_builds == MODEL_BUILDS ||
		snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return false;
	part = strtok_r(copy, ":", &save);
	if (part == NULL || snprintf(b.id, sizeof(b.id), "%s", part) >= (int)sizeof(b.id))
		return false;
	while ((part = strtok_r(NULL, ",", &save)) != NULL)
		if (!parse_field(&b, part))
			return false;
	m->builds[m->n_builds++] = b;
	return true;
}
