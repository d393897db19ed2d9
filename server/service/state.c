/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/state.h"

#include <assert.h>

#include "proto/bucket.h"
#include "proto/names.h"
#include "server/base/mem.h"
#include "server/service/fold.h"

void state_init(struct state *s, const Pb__Root *root)
{
	*s = (struct state){ .root = root, .tree = logtree_new() };
}

static void build_free(struct build *b)
{
	buf_release(&b->targets);
	free(b->product);
	free(b->build_id);
	free(b->release);
	free(b);
}

static void rollout_free(struct rollout *r)
{
	for (size_t i = 0; i < r->n_builds; i++) {
		buf_release(&r->builds[i].plan);
		buf_release(&r->builds[i].payload);
		buf_release(&r->builds[i].pending);
	}
	free(r->builds);
	buf_release(&r->spec_bytes);
	free(r->spec_arena.base);
	free(r->resumes);
	free(r->release);
	free(r->line);
	free(r->proposer);
	free(r);
}

void state_release(struct state *s)
{
	for (size_t i = 0; i < s->n_builds; i++)
		build_free(s->builds[i]);
	for (size_t i = 0; i < s->n_older; i++)
		build_free(s->older[i]);
	for (size_t i = 0; i < s->n_rollouts; i++)
		rollout_free(s->rollouts[i]);
	for (size_t i = 0; i < s->n_chain; i++)
		rootfile_free(s->chain[i]);
	for (size_t i = 0; i < s->n_pending; i++)
		pending_free(&s->pending[i]);
	free(s->builds);
	free(s->older);
	free(s->rollouts);
	free(s->chain);
	free(s->pending);
	for (size_t i = 0; i < s->n_directors; i++)
		free(s->directors[i].product);
	free(s->directors);
	logtree_free(s->tree);
}

const uint8_t *state_root(const struct state *s)
{
	assert(s->log.size > 0);
	return s->log.root;
}

const struct logged *state_logged(
	const struct state *s, const char *product, uint32_t ring, const uint8_t sha256[SHA256_LEN])
{
	for (size_t i = 0; i < s->n_directors; i++) {
		const struct logged *l = &s->directors[i];
		if (l->ring == ring && strcmp(l->product, product) == 0)
			return memcmp(l->sha256, sha256, SHA256_LEN) == 0 ? l : NULL;
	}
	return NULL;
}

struct build *state_build(const struct state *s, const char *product, const char *build_id)
{
	for (size_t i = 0; i < s->n_builds; i++)
		if (strcmp(s->builds[i]->product, product) == 0 &&
			strcmp(s->builds[i]->build_id, build_id) == 0)
			return s->builds[i];
	return NULL;
}

static bool is_named(const struct rollout *r, const char *name)
{
	if (strcmp(r->release, name) == 0)
		return true;
	for (size_t i = 0; i < r->n_builds; i++)
		if (strcmp(r->builds[i].build->build_id, name) == 0)
			return true;
	return false;
}

struct rollout *state_rollout(const struct state *s, const char *name)
{
	for (size_t i = s->n_rollouts; i > 0; i--)
		if (is_named(s->rollouts[i - 1], name))
			return s->rollouts[i - 1];
	return NULL;
}

struct rollout *state_rollout_of(const struct state *s, const struct build *b)
{
	for (size_t i = s->n_rollouts; i > 0; i--) {
		struct rollout *r = s->rollouts[i - 1];
		for (size_t k = 0; k < r->n_builds; k++)
			if (strcmp(r->builds[k].build->product, b->product) == 0 &&
				strcmp(r->builds[k].build->build_id, b->build_id) == 0)
				return r;
	}
	return NULL;
}

bool state_is_below_floor(const struct state *s, const char *product, uint64_t counter)
{
	const char *unused;

	return counter <= s->floor(s->ctx, product, &unused);
}

struct rollout *state_rollout_id(const struct state *s, const uint8_t id[ID_LEN])
{
	for (size_t i = 0; i < s->n_rollouts; i++)
		if (memcmp(s->rollouts[i]->id, id, ID_LEN) == 0)
			return s->rollouts[i];
	return NULL;
}

enum ring rollout_ring(const struct rollout *r)
{
	return (enum ring)r->steps[r->step].ring;
}

bool rollout_is_live(const struct rollout *r)
{
	return r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_PAUSED ||
		r->state == ROLLOUT_COMPLETE;
}

static enum ring outermost(const struct rollout *r)
{
	uint32_t ring = RING_CORE;

	for (size_t i = 0; i < r->n_steps; i++)
		if (r->steps[i].ring > ring)
			ring = r->steps[i].ring;
	return (enum ring)ring;
}

/* It is complete, and everybody of the ring, and so of those inside it, has been offered it. */
static bool has_reached(const struct rollout *r, enum ring ring)
{
	for (size_t i = 0; r->state == ROLLOUT_COMPLETE && i < r->n_steps; i++)
		if (r->steps[i].ring >= (uint32_t)ring && r->steps[i].upper == PPM)
			return true;
	return false;
}

static const struct rollout *complete_above(
	const struct state *s, const struct build *b, enum ring ring)
{
	for (size_t i = 0; i < s->n_rollouts; i++) {
		const struct rollout *r = s->rollouts[i];
		if (!has_reached(r, ring))
			continue;
		for (size_t k = 0; k < r->n_builds; k++)
			if (strcmp(r->builds[k].build->product, b->product) == 0 &&
				r->builds[k].build->release_counter > b->release_counter)
				return r;
	}
	return NULL;
}

bool rollout_is_behind(const struct state *s, const struct rollout *r)
{
	for (size_t i = 0; i < r->n_builds; i++)
		if (complete_above(s, r->builds[i].build, outermost(r)) == NULL)
			return false;
	return true;
}

bool rollout_is_renewed(const struct rollout *r)
{
	for (size_t i = 0; i < r->n_builds; i++)
		if (r->builds[i].next != r->builds[i].build)
			return true;
	return false;
}

bool rollout_is_renewal(const struct rollout *r)
{
	return r->state == ROLLOUT_APPROVED || r->state == ROLLOUT_RUNNING ||
		r->state == ROLLOUT_COMPLETE ||
		(r->state == ROLLOUT_PAUSED && rollout_is_renewed(r));
}

bool rollout_is_pending(const struct rollout *r, uint64_t now_ms)
{
	if (r->state == ROLLOUT_PROPOSED || r->state == ROLLOUT_PAUSED ||
		r->state == ROLLOUT_HALTED)
		return true;
	return rollout_is_renewal(r) &&
		(rollout_is_refused(r) || rollout_is_renewed(r) ||
			now_ms / 1000 + RENEW_S > r->expires_s);
}

bool rollout_is_refused(const struct rollout *r)
{
	for (size_t i = 0; i < r->n_builds; i++)
		if (r->builds[i].refused)
			return true;
	return false;
}

uint64_t rollout_watch_ms(const struct rollout *r)
{
	return r->spec->watch_ms;
}

struct gate_rules rollout_rules(const struct rollout *r, size_t step)
{
	return capital_rules(r->spec, &r->steps[step]);
}
