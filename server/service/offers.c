/* SPDX-License-Identifier: Apache-2.0 */
/* From the state of all rollouts to the directive of one (product, ring). */
#include "server/core/gate.h"
#include "server/service/control_private.h"

static const struct rollout_build *build_for(const struct rollout *r, const char *product)
{
	for (size_t i = 0; i < r->n_builds; i++)
		if (strcmp(r->builds[i].build->product, product) == 0)
			return &r->builds[i];
	return NULL;
}

bool offers_has_build(const struct rollout *r, const struct build *b)
{
	const struct rollout_build *in = build_for(r, b->product);

	return in != NULL && strcmp(in->build->build_id, b->build_id) == 0;
}

/*
 * The open step that reaches furthest in this ring: its own, or one of an outer ring, for an inner
 * ring sees what an outer one sees.
 */
static bool furthest_step(const struct rollout *r, enum ring ring, size_t *out)
{
	bool found = false;

	for (size_t i = 0; i <= r->step && i < r->n_steps; i++) {
		if (r->opened_ms[i] == 0 || r->steps[i].ring < (uint32_t)ring)
			continue;
		if (!found || r->steps[i].upper > r->steps[*out].upper)
			*out = i;
		found = true;
	}
	return found;
}

/* Newest first, and a fix before the share it belongs to; what falls off the end is old. */
static size_t insert(struct chosen *list, size_t n, const struct chosen *c)
{
	uint64_t counter = c->build->build->release_counter;
	size_t at = n;

	while (at > 0 && list[at - 1].build->build->release_counter < counter + c->fix)
		at--;
	if (at == OFFERS_MAX)
		return n;
	if (n == OFFERS_MAX)
		n--;
	memmove(&list[at + 1], &list[at], (n - at) * sizeof(*list));
	list[at] = *c;
	return n + 1;
}

/* Behind an offer to everybody nothing is ever looked at. */
static size_t cut(const struct chosen *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!list[i].fix && list[i].rollout->steps[list[i].step].upper == 1000000)
			return i + 1;
	return n;
}

size_t offers_choose(
	const struct state *s, const char *product, enum ring ring, struct chosen out[OFFERS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_rollouts; i++) {
		const struct rollout *r = s->rollouts[i];
		struct chosen c = { .rollout = r, .build = build_for(r, product) };
		if (!rollout_is_live(r) || c.build == NULL || c.build->refused ||
			state_is_below_floor(s, product, c.build->build->release_counter) ||
			!furthest_step(r, ring, &c.step))
			continue;
		n = insert(out, n, &c);
		c.fix = true;
		if (r->spec->n_fixes > 0)
			n = insert(out, n, &c);
	}
	return cut(out, n);
}

size_t offers_halted(const struct state *s, const char *product, const char **out, size_t max)
{
	size_t n = 0;

	for (size_t i = s->n_rollouts; i > 0 && n < max; i--) {
		const struct rollout *r = s->rollouts[i - 1];
		const struct rollout_build *b = build_for(r, product);
		if (r->state == ROLLOUT_HALTED && b != NULL)
			out[n++] = b->build->build_id;
	}
	return n;
}

uint64_t offers_halted_counter(const struct state *s, const char *product)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < s->n_rollouts; i++) {
		const struct rollout *r = s->rollouts[i];
		const struct rollout_build *b = build_for(r, product);
		if (r->state == ROLLOUT_HALTED && b != NULL && b->build->release_counter > newest)
			newest = b->build->release_counter;
	}
	return newest;
}
