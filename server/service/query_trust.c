/* SPDX-License-Identifier: Apache-2.0 */
/* What is trusted and until when, what waits for signatures, and the log itself. */
#include <stdio.h>
#include <stdlib.h>

#include "server/service/proposal.h"
#include "server/service/tell.h"
#include "server/store/entry.h"

#define ROOTS_MAX   64u
#define LOG_BYTES   (900u * 1024) /* so that an answer fits its frame */
#define LOG_ENTRIES 4000u
#define NAME_BYTES  8u

/* ---- what waits ---- */

static bool waits(struct query *q, const struct rollout *r)
{
	/* A halted one is on nobody's desk until somebody wants to lift the halt. */
	return rollout_is_pending(r, q->now_ms) &&
		!rollout_is_behind(control_state(q->server), r) &&
		(r->state != ROLLOUT_HALTED || r->builds[0].pending.len > 0);
}

static const char *what_for(struct query *q, const struct rollout *r)
{
	const char *to = r->state == ROLLOUT_PROPOSED ? "approve"
		: rollout_is_renewal(r)               ? "renew the signatures of"
		: r->state == ROLLOUT_HALTED          ? "lift the halt of"
						      : "resume";

	return query_printf(q, "%s rollout %s, plan %s", to, r->release, r->spec->name);
}

static Pb__PendingView *view_waiting(struct query *q, const struct rollout *r)
{
	const struct state *s = control_state(q->server);
	const struct rollout_build *b = &r->builds[0];
	struct signers who = rollout_approvers(s, r, b, buf_bytes(&b->pending), q->arena);
	Pb__PendingView *v = query_alloc(q, sizeof(*v));

	*v = (Pb__PendingView)PB__PENDING_VIEW__INIT;
	v->name = r->release;
	v->id = wire_data(r->id, ID_LEN);
	v->what = what_for(q, r);
	v->by = r->proposer;
	v->n_signed_by = query_names(q, &who, &v->signed_by);
	v->needed = s->root->approver->threshold;
	v->expires = proposal_expires_s(r);
	return v;
}

static Pb__PendingView *view_command(struct query *q, const struct pending *p)
{
	const struct state *s = control_state(q->server);
	Pb__PendingView *v = query_alloc(q, sizeof(*v));
	const Pb__AdminCommand *m;
	struct signers who = { 0 };
	unsigned missing = 0;
	char *name = query_alloc(q, 2 * NAME_BYTES + 1);

	for (size_t i = 0; i < NAME_BYTES; i++)
		(void)snprintf(&name[2 * i], 3, "%02x", p->id[i]);
	m = tell_read(q, buf_bytes(&p->envelope));
	if (m != NULL && command_signers(s->root, buf_bytes(&p->envelope), q->arena, &who) == 0 &&
		command_missing(s->root, m, &who, &missing) != 0)
		missing = 0;
	*v = (Pb__PendingView)PB__PENDING_VIEW__INIT;
	v->name = name;
	v->id = wire_data(p->id, SHA256_LEN);
	v->what = m != NULL ? tell_what(q, m) : "?";
	v->by = p->by;
	v->n_signed_by = query_names(q, &who, &v->signed_by);
	v->needed = missing + (unsigned)v->n_signed_by;
	v->expires = p->expires_s;
	v->has_envelope = 1;
	v->envelope = wire_data(p->envelope.data, p->envelope.len);
	v->reason = m != NULL ? m->reason : NULL;
	return v;
}

int query_pending(struct query *q, Pb__AdminReply *reply)
{
	const struct state *s = control_state(q->server);

	reply->pending =
		query_alloc(q, (s->n_rollouts + s->n_pending + 1) * sizeof(*reply->pending));
	for (size_t i = 0; i < s->n_rollouts; i++)
		if (waits(q, s->rollouts[i]))
			reply->pending[reply->n_pending++] = view_waiting(q, s->rollouts[i]);
	for (size_t i = 0; i < s->n_pending; i++)
		if (s->pending[i].expires_s * 1000 >= q->now_ms)
			reply->pending[reply->n_pending++] = view_command(q, &s->pending[i]);
	return 0;
}

/* ---- the log ---- */

int query_log(struct query *q, Pb__AdminReply *reply)
{
	const struct control *c = q->server->control;
	Pb__LogView *v = query_alloc(q, sizeof(*v));
	struct store_txn t;
	struct bytes entry;
	size_t bytes = 0;
	int err;

	*v = (Pb__LogView)PB__LOG_VIEW__INIT;
	v->from = q->ask->has_from ? q->ask->from : 0;
	v->checkpoint = wire_data(c->checkpoint.data, c->checkpoint.len);
	v->entries = query_alloc(q, LOG_ENTRIES * sizeof(*v->entries));
	store_begin(q->server->store, &t, false);
	while (v->n_entries < LOG_ENTRIES && entry_get(&t, v->from + v->n_entries, &entry) &&
		bytes + entry.n <= LOG_BYTES) {
		/* The map's bytes are gone when the transaction is. */
		uint8_t *copy = query_alloc(q, entry.n);
		memcpy(copy, entry.p, entry.n);
		v->entries[v->n_entries++] = wire_data(copy, entry.n);
		bytes += entry.n + 8;
	}
	err = t.err;
	store_abort(&t);
	reply->log = v;
	return err;
}

/* ---- roots and ends ---- */

static const char *const by_itself = "by itself";

static void add_expiry(struct query *q, Pb__TrustView *v, const char *what, uint64_t expires_s,
	const char *renewed)
{
	Pb__ExpiryView *e = query_alloc(q, sizeof(*e));

	*e = (Pb__ExpiryView)PB__EXPIRY_VIEW__INIT;
	e->what = what;
	e->expires = expires_s;
	e->renewed = renewed;
	v->expiries[v->n_expiries++] = e;
}

static void add_files(struct query *q, Pb__TrustView *v, const struct product_files *f)
{
	const char *product = f->product->name;

	add_expiry(
		q, v, query_printf(q, "timestamp %s", product), f->timestamp.expires_s, by_itself);
	add_expiry(q, v, query_printf(q, "snapshot %s", product), f->snapshot.expires_s, by_itself);
	for (unsigned g = 0; g < RING__COUNT; g++)
		add_expiry(q, v, query_printf(q, "director %s %s", product, ring_str((enum ring)g)),
			f->director[g].expires_s, by_itself);
}

/* What phones are held to: that of rollouts that were approved, and are not over. */
static bool is_in_force(const struct state *s, const struct rollout *r)
{
	return r->plan_version > 0 && r->state != ROLLOUT_SUPERSEDED &&
		r->state != ROLLOUT_HALTED && !rollout_is_behind(s, r);
}

static void add_rollout(struct query *q, Pb__TrustView *v, const struct rollout *r)
{
	for (size_t i = 0; i < r->n_builds; i++) {
		const struct build *b = r->builds[i].build;
		const char *anew = r->builds[i].refused ? ", must be approved anew" : "";
		add_expiry(q, v, query_printf(q, "targets %s %s%s", b->build_id, b->product, anew),
			b->expires,
			query_printf(q, "huiductl build renew %s --product %s", b->build_id,
				b->product));
		add_expiry(q, v, query_printf(q, "plan %s %s%s", r->release, b->product, anew),
			r->expires_s, query_printf(q, "huiductl rollout approve %s", r->release));
	}
}

static int by_expiry(const void *a, const void *b)
{
	const Pb__ExpiryView *x = *(Pb__ExpiryView *const *)a, *y = *(Pb__ExpiryView *const *)b;

	if (x->expires != y->expires)
		return x->expires < y->expires ? -1 : 1;
	return strcmp(x->what, y->what);
}

static size_t count_expiries(const struct control *c)
{
	size_t n = 1 + c->n_files * (2 + RING__COUNT);

	for (size_t i = 0; i < c->state.n_rollouts; i++)
		n += 2 * c->state.rollouts[i]->n_builds;
	return n;
}

/* How devices fare, when there is something to say. */
static char *load_text(struct query *q)
{
	unsigned stretch = atomic_load(&q->server->stretch);

	if (atomic_load(&q->server->was_deaf))
		return query_printf(q, "more phones come than can be served: some are turned away");
	return stretch == 0
		? NULL
		: query_printf(q, "much to do: phones are told to poll %u times less often",
			  1u << stretch);
}

int query_trust(struct query *q, Pb__AdminReply *reply)
{
	const struct control *c = q->server->control;
	const struct state *s = &c->state;
	uint64_t from = q->ask->has_from ? q->ask->from : 0;
	Pb__TrustView *v = query_alloc(q, sizeof(*v));

	*v = (Pb__TrustView)PB__TRUST_VIEW__INIT;
	v->roots = query_alloc(q, ROOTS_MAX * sizeof(*v->roots));
	for (size_t i = 0; i < s->n_chain && v->n_roots < ROOTS_MAX; i++)
		if (s->chain[i]->root->version > from)
			v->roots[v->n_roots++] =
				wire_data(s->chain[i]->envelope.p, s->chain[i]->envelope.n);
	v->root_version = s->root->version;
	v->expiries = query_alloc(q, count_expiries(c) * sizeof(*v->expiries));
	add_expiry(q, v, "root", s->root->expires, "huiductl root renew");
	for (size_t i = 0; i < c->n_files; i++)
		add_files(q, v, &c->files[i]);
	for (size_t i = 0; i < s->n_rollouts; i++)
		if (is_in_force(s, s->rollouts[i]))
			add_rollout(q, v, s->rollouts[i]);
	qsort(v->expiries, v->n_expiries, sizeof(*v->expiries), by_expiry);
	reply->trust = v;
	reply->text = load_text(q);
	return 0;
}
