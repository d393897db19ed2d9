/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/feed.h"

#include "proto/bucket.h"

static bool is_for_all(const struct image_ring *r, size_t i, uint64_t now_s)
{
	const struct offer_rule *o = &r->rules.offers[i];
	bool has_stage = r->rules.has_stage && r->rules.stage.offer == i;

	return o->from_builds == NULL && o->lower == 0 && o->upper == PPM && o->for_young &&
		!o->paused && !has_stage && now_s < r->expires_s[i];
}

static const struct image_build *find_build(const struct image_product *p, struct bytes name)
{
	for (size_t i = 0; i < p->n_builds; i++)
		if (strlen(p->builds[i].name) == name.n &&
			memcmp(p->builds[i].name, name.p, name.n) == 0)
			return &p->builds[i];
	return NULL;
}

size_t feed_choose(const struct image_product *p, const struct feed_ask *ask,
	const struct image_build *out[OFFERS_MAX])
{
	const struct image_ring *r = &p->ring[ask->ring];
	const struct image_build *runs = find_build(p, ask->runs);
	size_t n = 0;

	for (size_t i = 0; i < r->rules.n; i++) {
		const struct image_build *b = image_counted(p, r->rules.offers[i].release_counter);
		if (b != NULL && !b->stopped && (runs == NULL || b->counter > runs->counter) &&
			is_for_all(r, i, ask->now_s))
			out[n++] = b;
	}
	return n;
}
