/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/garbage.h"

#include <stdlib.h>

#include "server/base/mem.h"

struct look {
	const struct state *s;
	uint64_t now_s;
	struct arena *arena;
	struct garbage *out;
};

/* The first reason found is the one that is told. */
static void keep(
	struct look *l, struct bytes sha256, enum garbage_need need, const struct build *build)
{
	struct garbage *g = l->out;

	if (sha256.n != SHA256_LEN || garbage_find(g, sha256.p) != NULL)
		return;
	g->keep = mem_resize(g->keep, g->n + 1, sizeof(*g->keep));
	g->keep[g->n] = (struct garbage_keep){ .need = need, .build = build };
	memcpy(g->keep[g->n++].sha256, sha256.p, SHA256_LEN);
}

static const Pb__Targets *targets_of(struct look *l, const struct build *b, int *err)
{
	const Pb__Envelope *e = envelope_read(buf_bytes(&b->targets), l->arena, err);

	return e == NULL ? NULL
			 : wire_read(&pb__targets__descriptor, wire_bytes(e->payload), &wire_signed,
				   l->arena, err);
}

/* ---- who needs a build ---- */

static bool same_build(const struct build *a, const struct build *b)
{
	return strcmp(a->product, b->product) == 0 && strcmp(a->build_id, b->build_id) == 0;
}

static bool rollout_names(const struct rollout *r, const struct build *b)
{
	for (size_t i = 0; i < r->n_builds; i++)
		if (same_build(r->builds[i].build, b))
			return true;
	return false;
}

/*
 * A halted one may be approved and go on; a superseded one does not come back, nor does a complete one
 * that newer builds have passed everywhere.
 */
static bool goes_on(const struct state *s, const struct rollout *r)
{
	return r->state != ROLLOUT_SUPERSEDED &&
		(r->state != ROLLOUT_COMPLETE || !rollout_is_behind(s, r));
}

static bool is_needed(const struct look *l, const struct build *b, enum garbage_need *need)
{
	*need = NEED_SIGNED;
	if (b->expires > l->now_s)
		return true;
	*need = NEED_ROLLOUT;
	for (size_t i = 0; i < l->s->n_rollouts; i++)
		if (goes_on(l->s, l->s->rollouts[i]) && rollout_names(l->s->rollouts[i], b))
			return true;
	return false;
}

/* ---- what it needs ---- */

static int keep_files(struct look *l, const struct build *b, enum garbage_need need)
{
	int err;
	const Pb__Targets *t;

	l->arena->used = 0;
	t = targets_of(l, b, &err);
	for (size_t i = 0; t != NULL && i < t->n_targets; i++)
		keep(l, wire_bytes(t->targets[i]->sha256), need, b);
	return t == NULL ? err : 0;
}

static void keep_named(struct look *l, const char *product, const char *build_id)
{
	const struct build *b = state_build(l->s, product, build_id);

	if (b != NULL)
		keep(l, bytes_of(b->sha256, SHA256_LEN), NEED_NAMED, b);
}

static int keep_build(struct look *l, const struct build *b)
{
	enum garbage_need need;
	const Pb__Targets *t;
	int err;

	if (!is_needed(l, b, &need))
		return 0;
	err = keep_files(l, b, need);
	l->arena->used = 0;
	t = err == 0 ? targets_of(l, b, &err) : NULL;
	for (size_t i = 0; err == 0 && i < t->n_rollback_from; i++)
		keep_named(l, b->product, t->rollback_from[i]);
	for (size_t i = 0; err == 0 && i < t->n_targets; i++)
		if (t->targets[i]->base_build_id != NULL)
			keep_named(l, b->product, t->targets[i]->base_build_id);
	return err;
}

/* Devices on these come first: they may be offered what leads to it. */
static void keep_fixes(struct look *l, const struct rollout *r)
{
	for (size_t i = 0; i < r->n_builds; i++)
		for (size_t f = 0; f < r->spec->n_fixes; f++)
			keep_named(l, r->builds[i].build->product, r->spec->fixes[f]);
}

static void keep_refs(struct look *l, const Pb__Propose *m)
{
	for (size_t i = 0; i < m->n_builds; i++) {
		const struct build *b =
			state_build(l->s, m->builds[i]->product, m->builds[i]->build_id);
		if (b != NULL)
			keep(l, bytes_of(b->sha256, SHA256_LEN), NEED_WAITING, b);
	}
}

static int keep_published(struct look *l, struct bytes envelope)
{
	int err;
	const Pb__Envelope *e = envelope_read(envelope, l->arena, &err);
	const Pb__Targets *t = e == NULL
		? NULL
		: wire_read(&pb__targets__descriptor, wire_bytes(e->payload), &wire_signed,
			  l->arena, &err);

	for (size_t i = 0; t != NULL && i < t->n_targets; i++)
		keep(l, wire_bytes(t->targets[i]->sha256), NEED_WAITING, NULL);
	return t == NULL ? err : 0;
}

static int keep_waiting(struct look *l, const struct pending *p)
{
	const Pb__AdminCommand *m = NULL;
	const Pb__Envelope *e;
	int err;

	if (p->expires_s <= l->now_s)
		return 0;
	l->arena->used = 0;
	e = envelope_read(buf_bytes(&p->envelope), l->arena, &err);
	if (e != NULL)
		m = wire_read(&pb__admin_command__descriptor, wire_bytes(e->payload), &wire_signed,
			l->arena, &err);
	if (m == NULL)
		return err;
	if (m->publish != NULL)
		return keep_published(l, wire_bytes(m->publish->targets));
	if (m->propose != NULL)
		keep_refs(l, m->propose);
	return 0;
}

/* ---- all of it ---- */

int garbage_look(const struct state *s, uint64_t now_ms, struct arena *a, struct garbage *out)
{
	struct look l = { s, now_ms / 1000, a, out };
	int err = 0;

	*out = (struct garbage){ 0 };
	for (size_t i = 0; err == 0 && i < s->n_builds; i++)
		err = keep_build(&l, s->builds[i]);
	for (size_t i = 0; err == 0 && i < s->n_older; i++)
		err = keep_build(&l, s->older[i]);
	for (size_t i = 0; err == 0 && i < s->n_rollouts; i++)
		if (goes_on(s, s->rollouts[i]))
			keep_fixes(&l, s->rollouts[i]);
	for (size_t i = 0; err == 0 && i < s->n_pending; i++)
		err = keep_waiting(&l, &s->pending[i]);
	if (err != 0)
		garbage_release(out);
	return err;
}

void garbage_release(struct garbage *g)
{
	free(g->keep);
	*g = (struct garbage){ 0 };
}

const struct garbage_keep *garbage_find(const struct garbage *g, const uint8_t sha256[SHA256_LEN])
{
	for (size_t i = 0; i < g->n; i++)
		if (memcmp(g->keep[i].sha256, sha256, SHA256_LEN) == 0)
			return &g->keep[i];
	return NULL;
}

uint64_t garbage_due_ms(const struct garbage *g, const struct artifact_file *f)
{
	if (f->unfinished)
		return f->since_ms + GARBAGE_UPLOAD_MS;
	return garbage_find(g, f->sha256) != NULL ? UINT64_MAX : f->since_ms + GARBAGE_FILE_MS;
}
