/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry of the log changes in the ledger. */
#include <assert.h>

#include "server/trust/signer_proc.h"

/* ---- people ---- */

static void apply_propose(struct proc *p, const struct entry *e, const struct order *o)
{
	const Pb__Propose *m = o->m->propose;
	Pb__LedgerRollout *r = ledger_add_rollout(p->ledger, e->leaf);
	struct bytes spec = wire_bytes(m->spec);
	uint8_t sha256[SHA256_LEN];
	int err = crypto_sha256(&spec, 1, sha256);

	assert(err == 0);
	ledger_set_text(&r->proposer, authority_name(p->root, o->who.key[0]));
	for (size_t i = 0; i < m->n_builds; i++)
		ledger_add_build(r, m->builds[i]->product, m->builds[i]->build_id);
	r->rings = o->ask.rings;
	ledger_set_bytes(&r->audit_root, e->root, SHA256_LEN);
	ledger_set_bytes(&r->spec_sha256, sha256, SHA256_LEN);
	r->last_entry = e->index;
	/* As long as a plan may live, too. */
	ledger_keep_rollout(r, e->time_ms / 1000 + 2 * ROLLOUT_KEEP_S);
}

static bool pins_another(const Pb__LedgerRollout *r, const Pb__RolloutPlan *plan)
{
	const Pb__LedgerBuild *b = ledger_build(r, plan->product);

	return b != NULL && b->has_targets_sha256 &&
		!bytes_eq(wire_bytes(b->targets_sha256), wire_bytes(plan->targets->sha256));
}

/* Who signed all of the rollout's plans has approved this version of them. */
static void apply_approve(struct proc *p, const struct order *o)
{
	const Pb__Approve *m = o->m->approve;
	Pb__LedgerRollout *r = o->rollout;
	const char *name[ENVELOPE_SIGNATURES_MAX];
	unsigned n = 0;

	for (size_t i = 0; i < m->n_plans; i++) {
		const Pb__RolloutPlan *plan;
		struct signers who;
		unsigned kept = 0;
		int err = plan_open(p, r, wire_bytes(m->plans[i]), &plan, &who);
		assert(err == 0); /* order_open did the same */
		for (unsigned k = 0; i == 0 && k < who.n; k++)
			name[n++] = authority_name(p->root, who.key[k]);
		for (unsigned k = 0; k < n; k++)
			if (authority_names(p->root, &who, name[k]))
				name[kept++] = name[k];
		n = kept;
		if (plan->version != r->asked) {
			ledger_clear_approvers(r);
			r->renews = 0;
		}
		r->asked = plan->version;
		r->has_renews = 1;
		r->renews |= pins_another(r, plan);
	}
	for (unsigned k = 0; k < n; k++)
		ledger_add_approver(r, name[k]);
}

/*
 * What was approved so far opens nothing more, nor does what approvers signed before they knew; a halt
 * also takes back what was open.
 */
static void stop(Pb__LedgerRollout *r, bool halt)
{
	ledger_clear_approvers(r);
	r->asked = 0;
	r->promotes_from = r->approved + 1;
	if (halt)
		r->offers_from = r->approved + 1;
}

static void apply_act(const struct order *o)
{
	Pb__Act act = o->m->act->act;

	if (act == PB__ACT__ACT_START)
		o->rollout->started = 1;
	else
		stop(o->rollout, act == PB__ACT__ACT_HALT);
}

static void note_nonce(struct proc *p, const struct order *o, bool pending)
{
	Pb__LedgerNonce *n = o->nonce;

	if (n == NULL) {
		n = ledger_add_nonce(p->ledger, wire_bytes(o->m->nonce));
		ledger_set_bytes(&n->payload_sha256, o->payload_sha256, SHA256_LEN);
		ledger_set_text(&n->by, authority_name(p->root, o->who.key[0]));
		n->expires = o->m->expires;
	}
	n->people = o->people;
	n->pending = pending;
}

void proc_apply_command(struct proc *p, const struct entry *e, const struct order *o)
{
	bool pending = o->people < o->needed;

	note_nonce(p, o, pending);
	if (pending)
		return;
	if (o->rollout != NULL)
		o->rollout->last_entry = e->index;
	if (o->m->propose != NULL)
		apply_propose(p, e, o);
	if (o->m->approve != NULL)
		apply_approve(p, o);
	if (o->m->act != NULL)
		apply_act(o);
	if (o->m->withdraw != NULL && o->rollout != NULL)
		o->rollout->withdrawn = 1;
	if (o->pending != NULL)
		o->pending->pending = 0;
}

/* ---- the server ---- */

int proc_check_decision(struct proc *p, const Pb__Decision *d)
{
	const Pb__LedgerRollout *r = ledger_rollout(p->ledger, wire_bytes(d->rollout_id));

	if (d->kind != PB__DECISION_KIND__DECISION_PROMOTE)
		return 0;
	if (r == NULL)
		return proc_refuse(p, ERR_NOT_FOUND, "decision: there is no such rollout");
	if (!r->started || r->approved < r->promotes_from || d->step != r->step)
		return proc_refuse(p, ERR_WRONG_STATE, "decision: step %u is not open", d->step);
	return 0;
}

void proc_apply_decision(struct proc *p, const struct entry *e, const Pb__Decision *d)
{
	Pb__LedgerRollout *r = ledger_rollout(p->ledger, wire_bytes(d->rollout_id));

	/* Nothing is signed for a rollout that is not known: it needs no stopping. */
	if (d->kind == PB__DECISION_KIND__DECISION_FILL || r == NULL)
		return;
	r->last_entry = e->index;
	if (d->kind == PB__DECISION_KIND__DECISION_PROMOTE)
		r->step++;
	else if (d->kind != PB__DECISION_KIND__DECISION_COMPLETE)
		stop(r, d->kind == PB__DECISION_KIND__DECISION_HALT);
}
