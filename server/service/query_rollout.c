/* SPDX-License-Identifier: Apache-2.0 */
/* Rollouts, their stages, and what is to be approved. */
#include <math.h>
#include <stdio.h>

#include "server/base/mem.h"
#include "server/service/query.h"
#include "server/service/sentence.h"

#define RATIO_ALPHA 0.05
/* Crashes in the control, before anything is predicted from them. */
#define COMPARABLE 5

/* ---- stages ---- */

/* What the devices of a stage did, over its strata. */
static void count(struct query *q, const struct rollout *r, size_t step, Pb__StageView *v)
{
	struct store_txn t;

	store_begin(q->server->store, &t, false);
	for (size_t i = 0; i < r->n_builds; i++) {
		const struct product *p =
			registry_product(&q->server->registry, r->builds[i].build->product);
		struct evidence e;
		if (p == NULL ||
			!stage_get(&t, (struct stage_key){ r->no, (uint8_t)step }, p->number, &e))
			continue;
		v->offered += e.entered[ARM_CANARY];
		v->control += e.entered[ARM_CONTROL];
		v->installed += e.total[ARM_CANARY][STREAM_INSTALLED];
		v->boot_ok += e.total[ARM_CANARY][STREAM_BOOT_OK];
		v->failed += e.total[ARM_CANARY][STREAM_BOOT] +
			e.total[ARM_CANARY][STREAM_INSTALL] + e.total[ARM_CANARY][STREAM_ROLLBACK];
		v->crashed += e.total[ARM_CANARY][STREAM_CRASH];
		v->control_crashed += e.total[ARM_CONTROL][STREAM_CRASH];
	}
	store_abort(&t);
}

struct crash_rows {
	struct batch *list;
	size_t n, cap;
};

static void read_crashes(
	struct query *q, const struct rollout *r, size_t step, struct crash_rows *out)
{
	struct store_cursor c;
	struct store_txn t;
	uint8_t prefix[4];

	put_be32(prefix, r->no);
	store_begin(q->server->store, &t, false);
	store_foreach(&c, &t, STORE_ROW, bytes_of(prefix, 4)) {
		struct stored_row row;
		uint64_t number;
		if (!row_read(&c, &number, &row) || row.stage.step != step ||
			row.row.stream != STREAM_CRASH || row.row.age != AGE_STEADY)
			continue;
		if (out->n == out->cap) {
			out->cap = out->cap > 0 ? 2 * out->cap : 64;
			out->list = mem_resize(out->list, out->cap, sizeof(*out->list));
		}
		out->list[out->n++] =
			(struct batch){ row.row.xc, row.row.xk, row.row.ec, row.row.ek };
	}
	store_abort(&t);
}

/* For the eye only: a control of a few crashes predicts anything, and says so by
 * silence. */
static void compare(struct query *q, const struct rollout *r, size_t step, Pb__StageView *v)
{
	struct crash_rows rows = { 0 };
	struct eproc_interval ratio;
	double control = 0;

	read_crashes(q, r, step, &rows);
	for (size_t i = 0; i < rows.n; i++) {
		control += rows.list[i].xk;
		if (rows.list[i].ek > 0)
			v->expected += rows.list[i].xk * rows.list[i].ec / rows.list[i].ek;
	}
	if (control >= COMPARABLE) {
		ratio = eproc_cs_interval(rows.list, rows.n, RATIO_ALPHA);
		v->has_expected = v->has_ratio = 1;
		v->has_ratio_low = v->has_ratio_high = 1;
		v->ratio = ratio.mle;
		v->ratio_low = ratio.lower;
		v->ratio_high = ratio.upper;
	}
	free(rows.list);
}

static Pb__StageState stage_state(struct query *q, const struct rollout *r, size_t step)
{
	struct control *c = q->server->control;
	bool stopped = r->state == ROLLOUT_HALTED || r->state == ROLLOUT_SUPERSEDED;

	if (r->opened_ms[step] == 0)
		return PB__STAGE_STATE__STAGE_WAITING;
	if (stopped && step == r->step)
		return PB__STAGE_STATE__STAGE_STOPPED;
	if (step == r->step && r->state != ROLLOUT_COMPLETE)
		return PB__STAGE_STATE__STAGE_OPEN;
	if (follow_find(c, (struct stage_key){ r->no, (uint8_t)step }) != NULL)
		return PB__STAGE_STATE__STAGE_WATCHED;
	return PB__STAGE_STATE__STAGE_DONE;
}

static Pb__StageView *view_stage(struct query *q, const struct rollout *r, size_t step)
{
	const struct line *line = registry_line(&q->server->registry, r->line);
	const struct gate_run *g = gates_of(q->server->control, r);
	struct gate_rules rules = rollout_rules(r, step);
	double streams[GATE_STREAM__COUNT];
	Pb__StageView *v = query_alloc(q, sizeof(*v));

	*v = (Pb__StageView)PB__STAGE_VIEW__INIT;
	v->ring = r->steps[step].ring;
	v->lower = r->steps[step].lower;
	v->upper = r->steps[step].upper;
	v->state = stage_state(q, r, step);
	v->opened_ms = r->opened_ms[step];
	v->has_resumed_ms = v->state == PB__STAGE_STATE__STAGE_OPEN &&
		gate_resumed(v->opened_ms, r->resumed_ms);
	v->resumed_ms = v->has_resumed_ms ? r->resumed_ms : 0;
	v->soak_ms = rules.soak_ms;
	v->tolerance_ppm = (uint32_t)lround(rules.tolerance * 1e6);
	v->ring_devices = line == NULL ? 0 : atomic_load(&line->devices[v->ring]);
	v->holdback = r->steps[step].stage < 0;
	v->log_e = gate_stage_log(&g->capital->stage[step], &rules, streams);
	if (v->opened_ms == 0)
		return v;
	count(q, r, step, v);
	compare(q, r, step, v);
	return v;
}

/* ---- rollouts ---- */

size_t query_names(struct query *q, const struct signers *who, const char ***out)
{
	const Pb__Root *root = control_state(q->server)->root;
	const char **list = query_alloc(q, (who->n + 1) * sizeof(*list));

	for (unsigned i = 0; i < who->n; i++) {
		const char *name = root->keys[who->key[i]]->name;
		list[i] = name != NULL ? name : "?";
	}
	*out = list;
	return who->n;
}

static void add_builds(struct query *q, const struct rollout *r, Pb__RolloutView *v)
{
	v->n_build_ids = v->n_products = r->n_builds;
	v->build_ids = query_alloc(q, r->n_builds * sizeof(char *));
	v->products = query_alloc(q, r->n_builds * sizeof(char *));
	for (size_t i = 0; i < r->n_builds; i++) {
		v->build_ids[i] = r->builds[i].build->build_id;
		v->products[i] = r->builds[i].build->product;
	}
}

/* Who approved what is in force, or what is being approved. */
static void add_approvers(struct query *q, const struct rollout *r, Pb__RolloutView *v)
{
	const struct state *s = control_state(q->server);
	const struct rollout_build *b = &r->builds[0];
	struct bytes plan = buf_bytes(b->plan.len > 0 ? &b->plan : &b->pending);
	struct signers who = rollout_approvers(s, r, b, plan, q->arena);

	v->n_approved_by = query_names(q, &who, &v->approved_by);
	v->threshold = s->root->approver->threshold;
}

static char *mute_text(struct query *q, const struct rollout *r)
{
	char *text = query_alloc(q, STATE_TEXT);

	gates_mute(q->server->control, r, text);
	return text;
}

static const char *gate_text(struct query *q, const struct rollout *r, const char *mute)
{
	struct control *c = q->server->control;
	const struct gate_run *g = gates_of(c, r);
	char *text = query_alloc(q, STATE_TEXT);

	if (rollout_is_refused(r) && rollout_is_live(r)) {
		(void)snprintf(text, STATE_TEXT,
			"must be approved anew: what was signed of it has expired, or is not of "
			"root %llu; offered to nobody",
			(unsigned long long)control_state(q->server)->root->version);
	} else if (r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_PAUSED) {
		struct gate_judgement j = gates_judge(c, g, r, q->now_ms);
		sentence_gate(r, g, &j, mute, text);
	} else {
		memcpy(text, r->why, STATE_TEXT);
	}
	return text;
}

int query_find(struct query *q, const struct rollout **out)
{
	const char *name = q->ask->name != NULL ? q->ask->name : "";

	*out = state_rollout(control_state(q->server), name);
	if (*out != NULL)
		return 0;
	q->text = query_printf(q, "rollout %s: there is none of this name", name);
	return ERR_NOT_FOUND;
}

Pb__RolloutView *query_rollout_view(struct query *q, const struct rollout *r)
{
	Pb__RolloutView *v = query_alloc(q, sizeof(*v));
	char *mute;

	*v = (Pb__RolloutView)PB__ROLLOUT_VIEW__INIT;
	v->release = r->release;
	v->rollout_id = wire_data(r->id, ID_LEN);
	v->state = (Pb__RolloutState)r->state;
	v->plan = r->spec->name;
	v->line = r->line;
	v->step = r->step;
	v->since_ms = r->since_ms;
	v->log_k = gates_of(q->server->control, r)->log_k;
	mute = mute_text(q, r);
	v->gate = gate_text(q, r, mute);
	v->mute = mute[0] != '\0' ? mute : NULL;
	add_builds(q, r, v);
	add_approvers(q, r, v);
	v->stages = query_alloc(q, r->n_steps * sizeof(*v->stages));
	for (size_t i = 0; i < r->n_steps; i++)
		v->stages[v->n_stages++] = view_stage(q, r, i);
	return v;
}

int query_rollouts(struct query *q, Pb__AdminReply *reply)
{
	const struct state *s = control_state(q->server);
	const struct rollout *one = NULL;
	bool named = q->ask->name != NULL && q->ask->name[0] != '\0';
	int err = named ? query_find(q, &one) : 0;

	if (err != 0)
		return err;
	reply->rollouts = query_alloc(q, (s->n_rollouts + 1) * sizeof(*reply->rollouts));
	/* Newest first: what somebody looks for at three in the morning. */
	for (size_t i = s->n_rollouts; i > 0; i--)
		if (one == NULL || one == s->rollouts[i - 1])
			reply->rollouts[reply->n_rollouts++] =
				query_rollout_view(q, s->rollouts[i - 1]);
	return 0;
}

/* ---- proposals ---- */

static Pb__ProposalBuild *view_proposed(struct query *q, const struct rollout_build *b)
{
	Pb__ProposalBuild *v = query_alloc(q, sizeof(*v));

	*v = (Pb__ProposalBuild)PB__PROPOSAL_BUILD__INIT;
	v->product = b->build->product;
	v->build_id = b->build->build_id;
	v->targets = wire_data(b->next->targets.data, b->next->targets.len);
	v->plan = wire_data(b->payload.data, b->payload.len);
	v->has_in_force = b->plan.len > 0;
	v->in_force = wire_data(b->plan.data, b->plan.len);
	return v;
}

int query_proposal(struct query *q, Pb__AdminReply *reply)
{
	const struct state *s = control_state(q->server);
	const struct rollout *r;
	Pb__Proposal *p;
	struct signers who;
	int err = query_find(q, &r);

	if (err != 0)
		return err;
	if (!rollout_is_pending(r, q->now_ms)) {
		q->text = query_printf(q, "rollout %s: is %s; there is nothing to approve",
			r->release, rollout_str(r->state));
		return ERR_WRONG_STATE;
	}
	p = query_alloc(q, sizeof(*p));
	*p = (Pb__Proposal)PB__PROPOSAL__INIT;
	p->rollout_id = wire_data(r->id, ID_LEN);
	p->release = r->release;
	p->spec = wire_data(r->spec_bytes.data, r->spec_bytes.len);
	p->proposed_at = r->proposed_ms / 1000;
	p->audit_root = wire_data(r->audit_root, SHA256_LEN);
	p->proposer = r->proposer;
	p->threshold = s->root->approver->threshold;
	who = rollout_approvers(s, r, &r->builds[0], buf_bytes(&r->builds[0].pending), q->arena);
	p->n_approved_by = query_names(q, &who, &p->approved_by);
	p->builds = query_alloc(q, r->n_builds * sizeof(*p->builds));
	for (size_t i = 0; i < r->n_builds; i++)
		p->builds[p->n_builds++] = view_proposed(q, &r->builds[i]);
	reply->proposal = p;
	return 0;
}
