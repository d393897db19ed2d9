/* SPDX-License-Identifier: Apache-2.0 */
/* Which plans people approved, and what a directive may therefore offer. */
#include "proto/ladder.h"
#include "server/base/mem.h"
#include "server/trust/signer_proc.h"

static void release(struct admitted *a)
{
	free(a->arena.base);
}

/* The messages outlive this request: they move to an arena that does too. */
static int keep(struct admitted *a, struct bytes plan, struct bytes targets)
{
	struct bytes in[] = { plan, targets }, *own[] = { &a->plan_envelope, &a->targets_envelope };
	uint8_t *sha256[] = { a->plan_sha256, a->targets_sha256 };
	const Pb__Envelope *e[2];
	int err = 0;

	a->arena.size = 32 * (plan.n + targets.n) + 16384;
	a->arena.base = mem_alloc(a->arena.size);
	for (size_t i = 0; i < 2; i++) {
		uint8_t *p = arena_alloc(&a->arena, in[i].n);
		if (p == NULL)
			return ERR_NO_ROOM;
		if (in[i].n > 0)
			memcpy(p, in[i].p, in[i].n);
		*own[i] = bytes_of(p, in[i].n);
		err = crypto_sha256(&in[i], 1, sha256[i]);
		if (err == 0)
			e[i] = envelope_read(*own[i], &a->arena, &err);
		if (err != 0)
			return err;
	}
	a->plan = wire_read(&pb__rollout_plan__descriptor, wire_bytes(e[0]->payload), &wire_signed,
		&a->arena, &err);
	if (err == 0)
		a->targets = wire_read(&pb__targets__descriptor, wire_bytes(e[1]->payload),
			&wire_signed, &a->arena, &err);
	return err;
}

/* Those of `who` who have logged their approval. */
static void keep_logged(const struct proc *p, const Pb__LedgerRollout *r, struct signers *who)
{
	struct signers all = *who;

	who->n = 0;
	for (unsigned i = 0; i < all.n; i++)
		for (size_t k = 0; k < r->n_approvers; k++)
			if (strcmp(authority_name(p->root, all.key[i]), r->approvers[k]) == 0)
				who->key[who->n++] = all.key[i];
}

/*
 * As many people as the root asks for; of a version that was never in force, each must have logged it:
 * else what was signed before a halt, and held back, could lift it.
 */
static int check_approved(struct proc *p, const Pb__LedgerRollout *r, const struct admitted *a)
{
	uint32_t threshold = p->root->approver->threshold;
	const Pb__RolloutPlan *plan;
	struct signers who;
	struct bytes payload;
	int err = envelope_open(
		crypto_openssl(), a->plan_envelope, ENVELOPE_PLAN, p->root, &p->arena, &payload);

	if (err == 0)
		err = plan_open(p, r, a->plan_envelope, &plan, &who);
	if (err == 0 && plan->version > r->approved && plan->version != r->asked)
		err = ERR_BELOW_THRESHOLD;
	if (err == 0 && plan->version > r->approved)
		keep_logged(p, r, &who);
	if (err == 0 && authority_persons(p->root, &who) < threshold)
		err = ERR_BELOW_THRESHOLD;
	return err;
}

/* Release keys signed the build, and as many people as their threshold says. */
static int check_released(struct proc *p, const struct admitted *a)
{
	struct signers who;
	struct bytes payload;
	int err = envelope_verify(crypto_openssl(), a->targets_envelope, ENVELOPE_TARGETS, p->root,
		p->root->targets, &p->arena, &payload, &who);

	if (err == 0 && authority_persons(p->root, &who) < p->root->targets->threshold)
		err = ERR_BELOW_THRESHOLD;
	return err;
}

/* Drawn from the log and the build as it was when its first plan was approved: nobody chose it. */
static int check_seed(
	const Pb__LedgerRollout *r, const Pb__LedgerBuild *b, const struct admitted *a)
{
	struct bytes seed = wire_bytes(a->plan->seed);
	uint8_t drawn[SEED_LEN];
	int err;

	if (b->has_seed)
		return bytes_eq(seed, wire_bytes(b->seed)) ? 0 : ERR_MISMATCH;
	err = ladder_seed(r->audit_root.data, a->targets_sha256, drawn);
	if (err == 0 && !bytes_eq(seed, bytes_of(drawn, SEED_LEN)))
		err = ERR_MISMATCH;
	return err;
}

/* The plan is for what was proposed. */
static int check_proposed(const Pb__LedgerRollout *r, const struct admitted *a)
{
	const Pb__LedgerBuild *b = ledger_build(r, a->plan->product);

	if (b == NULL || strcmp(a->targets->product, b->product) != 0 ||
		strcmp(a->targets->build_id, b->build_id) != 0 ||
		!bytes_eq(wire_bytes(a->plan->targets->sha256),
			bytes_of(a->targets_sha256, SHA256_LEN)) ||
		!bytes_eq(wire_bytes(a->plan->spec_sha256), wire_bytes(r->spec_sha256)))
		return ERR_MISMATCH;
	return check_seed(r, b, a);
}

static int check(struct proc *p, const struct admitted *a)
{
	const Pb__LedgerRollout *r = ledger_rollout(p->ledger, wire_bytes(a->plan->rollout_id));
	uint64_t now_s = proc_now_ms(p) / 1000;
	int err = 0;

	if (strcmp(a->plan->repository, p->root->repository) != 0 ||
		strcmp(a->targets->repository, p->root->repository) != 0)
		return ERR_WRONG_REPOSITORY;
	if (r == NULL)
		return ERR_NOT_FOUND;
	err = check_released(p, a);
	if (err == 0)
		err = check_approved(p, r, a);
	if (err == 0)
		err = check_proposed(r, a);
	if (err == 0 && (a->plan->expires <= now_s || a->targets->expires <= now_s))
		err = ERR_EXPIRED;
	return err;
}

/* To renew a rollout that is paused is not to let it go on: that is approved by itself. */
static void come_into_force(Pb__LedgerRollout *r, uint64_t version)
{
	bool paused = r->approved < r->promotes_from && r->approved >= r->offers_from;

	if (paused && r->has_renews && r->renews)
		r->promotes_from = version + 1;
	r->approved = version;
}

/* The version is in force from now on. */
static int note(struct proc *p, const struct admitted *a)
{
	Pb__LedgerRollout *r = ledger_rollout(p->ledger, wire_bytes(a->plan->rollout_id));
	Pb__LedgerBuild *b = ledger_build(r, a->plan->product);
	bool same =
		bytes_eq(wire_bytes(b->targets_sha256), bytes_of(a->targets_sha256, SHA256_LEN));
	int err;

	if (b->has_seed &&
		(a->plan->version < r->approved || (a->plan->version == r->approved && same)))
		return 0;
	ledger_keep_rollout(r, a->plan->expires + ROLLOUT_KEEP_S);
	if (a->plan->version > r->approved)
		come_into_force(r, a->plan->version);
	if (!b->has_seed)
		ledger_set_bytes(&b->seed, a->plan->seed.data, a->plan->seed.len);
	ledger_set_bytes(&b->targets_sha256, a->targets_sha256, SHA256_LEN);
	b->has_seed = b->has_targets_sha256 = 1;
	err = ledger_save(p->ledger);
	if (err != 0)
		ledger_revert(p->ledger);
	return err;
}

static const struct admitted *find(
	const struct proc *p, const uint8_t *plan_sha256, const uint8_t *targets_sha256)
{
	for (size_t i = 0; i < p->n_admitted; i++) {
		const struct admitted *a = &p->admitted[i];
		if (memcmp(plan_sha256, a->plan_sha256, SHA256_LEN) == 0 &&
			memcmp(targets_sha256, a->targets_sha256, SHA256_LEN) == 0)
			return a;
	}
	return NULL;
}

static int read_type(struct proc *p, struct bytes envelope, enum envelope_type type)
{
	int err;
	const Pb__Envelope *e = envelope_read(envelope, &p->arena, &err);

	if (e == NULL)
		return err;
	return strcmp(e->payload_type, envelope_type_str(type)) == 0 ? 0 : ERR_WRONG_TYPE;
}

int proc_admit(struct proc *p, struct bytes plan, struct bytes targets)
{
	struct admitted a = { .plan = NULL };
	int err = read_type(p, plan, ENVELOPE_PLAN);

	if (err == 0)
		err = read_type(p, targets, ENVELOPE_TARGETS);
	if (err == 0)
		err = keep(&a, plan, targets);
	if (err == 0)
		err = check(p, &a);
	if (err == 0)
		err = note(p, &a);
	if (err != 0 || find(p, a.plan_sha256, a.targets_sha256) != NULL) {
		release(&a);
		return err == 0 ? 0 : proc_refuse(p, err, "plan: %s", err_str(err));
	}
	p->admitted = mem_resize(p->admitted, p->n_admitted + 1, sizeof(*p->admitted));
	p->admitted[p->n_admitted++] = a;
	return 0;
}

void proc_admit_again(struct proc *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_admitted; i++)
		if (check(p, &p->admitted[i]) == 0)
			p->admitted[kept++] = p->admitted[i];
		else
			release(&p->admitted[i]);
	p->n_admitted = kept;
}

/* ---- offers ---- */

/* It was started and has come as far as that, and no halt since is older than its approval. */
static int check_rollout(const struct proc *p, const Pb__RolloutPlan *plan, uint32_t step)
{
	const Pb__LedgerRollout *r = ledger_rollout(p->ledger, wire_bytes(plan->rollout_id));

	if (r == NULL || !r->started || r->withdrawn || step > r->step)
		return ERR_PLAN_EXCEEDED;
	return plan->version < r->offers_from ? ERR_BUILD_HALTED : 0;
}

/*
 * Shares are offered whole, from the first bucket on: one cut small is aimed at somebody.  Nothing here
 * sends a phone back to an older build.
 */
static int check_form(const struct admitted *a, const Pb__Offer *o, uint64_t now_s)
{
	if (o->action != 1 || o->selector->lower != 0 || o->plan->version != a->plan->version ||
		o->release_counter != a->targets->release_counter)
		return ERR_PLAN_EXCEEDED;
	return a->plan->expires <= now_s || a->targets->expires <= now_s ? ERR_EXPIRED : 0;
}

int proc_check_offer(const struct proc *p, const Pb__Director *d, const Pb__Offer *o)
{
	uint64_t now_s = proc_now_ms(p) / 1000;
	const struct admitted *a;
	int err;

	if (o->plan->sha256.len != SHA256_LEN || o->targets->sha256.len != SHA256_LEN)
		return ERR_PLAN_EXCEEDED;
	a = find(p, o->plan->sha256.data, o->targets->sha256.data);
	if (a == NULL || strcmp(a->plan->product, d->product) != 0)
		return ERR_PLAN_EXCEEDED;
	for (size_t i = 0; i < d->n_halted_build_ids; i++)
		if (strcmp(d->halted_build_ids[i], a->targets->build_id) == 0)
			return ERR_BUILD_HALTED;
	err = check_form(a, o, now_s);
	if (err == 0)
		err = ladder_allows(a->plan, o, d->ring, now_s);
	return err != 0 ? err : check_rollout(p, a->plan, o->step);
}
