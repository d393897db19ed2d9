/* SPDX-License-Identifier: Apache-2.0 */
/* rollout create, rollout approve: what people sign before anything is offered. */
#include "server/base/clock.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/planfile.h"
#include "server/ctl/proposal.h"
#include "server/ctl/sign.h"

#define BUILDS_MAX PROPOSAL_BUILDS_MAX

/* What is proposed: one build per product. */
struct chosen {
	Pb__BuildRef ref[BUILDS_MAX], *list[BUILDS_MAX];
	size_t n;
};

static int choose(struct chosen *c, const Pb__BuildView *b, const char *release)
{
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->ref[i].product, b->product) != 0)
			continue;
		if (strcmp(c->ref[i].build_id, b->build_id) == 0)
			return 0;
		return fail(EXIT_CONFLICT, "huiductl rollout create ... --build ID",
			"'%s' has %s and %s for %s: say which", release, c->ref[i].build_id,
			b->build_id, b->product);
	}
	if (c->n == BUILDS_MAX)
		return fail(EXIT_USAGE, "huiductl rollout create ... --build ID",
			"'%s' has more than %u builds", release, BUILDS_MAX);
	c->list[c->n] = &c->ref[c->n];
	c->ref[c->n] = (Pb__BuildRef)PB__BUILD_REF__INIT;
	c->ref[c->n].product = b->product;
	c->ref[c->n++].build_id = b->build_id;
	return 0;
}

/* All builds whose release, or whose own name, is `name`. */
static int choose_by(struct chosen *c, const Pb__AdminReply *m, const char *name, bool by_release)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < m->n_builds; i++) {
		const Pb__BuildView *b = m->builds[i];
		const char *is = by_release ? b->release : b->build_id;
		if (is != NULL && strcmp(is, name) == 0)
			err = choose(c, b, name);
	}
	return err;
}

static int choose_builds(const struct args *a, const Pb__AdminReply *m, struct chosen *out)
{
	const char *name = a->words.v[0];
	int err = 0;

	for (size_t i = 0; err == 0 && i < a->builds.n; i++) {
		size_t before = out->n;
		err = choose_by(out, m, a->builds.v[i], false);
		if (err == 0 && out->n == before)
			err = fail(EXIT_NOT_FOUND, "huiductl build list",
				"no build '%s' was published", a->builds.v[i]);
	}
	if (err != 0 || a->builds.n > 0)
		return err;
	err = choose_by(out, m, name, true);
	if (err == 0 && out->n == 0)
		err = choose_by(out, m, name, false);
	if (err == 0 && out->n == 0)
		err = fail(EXIT_NOT_FOUND, "huiductl build list",
			"no release or build '%s' was published", name);
	return err;
}

static int send_propose(
	struct ctl *c, Pb__Propose *propose, const struct held_key *key, const Pb__Checkpoint *seen)
{
	Pb__AdminCommand command = PB__ADMIN_COMMAND__INIT;
	struct buf out = { 0 };
	struct reply r;
	int err;

	command.propose = propose;
	err = ctl_command(c, &command, key, seen, &r);
	if (err != 0)
		return err;
	put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
	buf_printf(&out, " %s proposed by %s\n", propose->release,
		key->entry->name != NULL ? key->entry->name : "you");
	buf_printf(&out, "Next: huiductl rollout approve %s\n", propose->release);
	reply_release(&r);
	return ctl_print(&out);
}

static int propose(struct ctl *c, const Pb__PlanSpec *spec)
{
	Pb__Propose p = PB__PROPOSE__INIT;
	struct chosen chosen = { .n = 0 };
	size_t size = wire_size(spec);
	uint8_t *packed;
	struct hand hand;
	struct reply r;
	int err = hand_take(c, HAND(RELEASE), 1, &hand);

	if (err != 0)
		return err;
	packed = mem_alloc(size);
	p.release = c->args.words.v[0];
	p.spec = wire_data(packed, wire_write(spec, packed));
	err = ctl_query(c, PB__QUERY_KIND__QUERY_BUILDS, NULL, &r);
	if (err == 0)
		err = choose_builds(&c->args, r.m, &chosen);
	p.builds = chosen.list;
	p.n_builds = chosen.n;
	if (err == 0)
		err = send_propose(c, &p, &hand.key[0], r.m->checkpoint);
	free(packed);
	reply_release(&r);
	hand_release(&hand);
	return err;
}

int cmd_rollout_create(struct ctl *c)
{
	char error[YAML_ERROR_MAX];
	struct planfile *plan;
	struct buf text = { 0 };
	int err;

	if (c->args.plan == NULL)
		return fail(EXIT_USAGE, "huiductl rollout create NAME --plan plans/weekly.yaml",
			"--plan is missing");
	err = planfile_load(c->args.plan, &plan, error);
	if (err != 0)
		return fail(err == ERR_CONFIG ? EXIT_USAGE : exit_of(err),
			"huiductl rollout create NAME --plan FILE --dry-run", "%s", error);
	put(&text, &c->term, STYLE_BOLD, "Plan %s, line %s", planfile_spec(plan)->name,
		planfile_spec(plan)->line);
	buf_str(&text, "\n");
	ladder_show(&text, &c->term, planfile_spec(plan), 0);
	if (planfile_trade(plan) != NULL)
		ladder_show_trade(&text, &c->term, planfile_spec(plan), planfile_trade(plan));
	err = ctl_print(&text);
	if (err == 0 && c->args.dry_run != FLAG_YES)
		err = propose(c, planfile_spec(plan));
	planfile_free(plan);
	return err;
}

static void show_age_of(struct buf *out, const struct proposal *p, uint64_t now_ms)
{
	uint64_t at_ms = p->m->proposed_at * 1000;

	buf_printf(out, ", proposed by %s %s ago\n", p->m->proposer,
		show_age(now_ms > at_ms ? now_ms - at_ms : 0).s);
}

static void show_proposal(struct buf *out, const struct ctl *c, const struct proposal *p)
{
	put(out, &c->errors, STYLE_BOLD, "Rollout %s", p->m->release);
	buf_printf(out, ": plan %s, line %s", p->spec->name, p->spec->line);
	show_age_of(out, p, clock_ms());
	for (size_t i = 0; i < p->m->n_builds; i++) {
		const Pb__Targets *t = p->build[i].targets;
		buf_printf(out, "  %s: build %s, counter %llu, rollback index %llu, signed by ",
			t->product, t->build_id, (unsigned long long)t->release_counter,
			(unsigned long long)t->rollback_index);
		put_signers(out, c->root->root, &p->build[i].signers);
		buf_printf(out, "\n    approval %llu, valid until %s UTC\n",
			(unsigned long long)p->build[i].version,
			show_minute(p->build[i].expires * 1000).s);
	}
	ladder_show(out, &c->errors, p->spec, p->m->proposed_at);
	buf_printf(
		out, "Approved so far by %u of %u", (unsigned)p->m->n_approved_by, p->m->threshold);
	for (size_t i = 0; i < p->m->n_approved_by; i++)
		buf_printf(out, "%s%s", i == 0 ? ": " : ", ", p->m->approved_by[i]);
	buf_str(out, ".\nSeed, builds, steps and limits are what this machine computes.\n");
	if (p->build[0].renewed)
		buf_str(out,
			"Approved before, and its build signed anew: nothing but dates changes.\n");
	else if (p->build[0].version > 1)
		put(out, &c->errors, STYLE_WARN,
			"%s Approved before: if it is paused or halted, this lets it go on.\n",
			icon(&c->errors, ICON_WARNING));
}

static int sign_plan(const Pb__ProposalBuild *b, const struct held_key *key, struct arena *a,
	ProtobufCBinaryData *out)
{
	struct bytes envelope;
	int err = envelope_wrap(ENVELOPE_PLAN, wire_bytes(b->plan), a, &envelope);

	if (err == 0)
		err = envelope_sign(envelope, key->key, key->id, a, &envelope);
	*out = wire_data(envelope.p, envelope.n);
	return err;
}

/* One person's approval: their signature on each plan, in a command they signed too. */
static int approve_as(struct ctl *c, const Pb__Proposal *m, const struct held_key *key,
	const Pb__Checkpoint *seen, struct reply *out)
{
	Pb__AdminCommand command = PB__ADMIN_COMMAND__INIT;
	ProtobufCBinaryData plans[PROPOSAL_BUILDS_MAX];
	Pb__Approve approve = PB__APPROVE__INIT;
	struct arena a = arena_new(PROPOSAL_ARENA);
	int err = 0;

	*out = (struct reply){ 0 };
	for (size_t i = 0; err == 0 && i < m->n_builds; i++)
		err = sign_plan(m->builds[i], key, &a, &plans[i]);
	approve.rollout_id = m->rollout_id;
	approve.plans = plans;
	approve.n_plans = m->n_builds;
	command.approve = &approve;
	if (err != 0)
		err = fail(exit_of(err), NULL, "signing the plan: %s", err_str(err));
	else
		err = ctl_command(c, &command, key, seen, out);
	free(a.base);
	return err;
}

static int tell_approved(struct ctl *c, const Pb__Proposal *m, const struct hand *hand, bool again)
{
	size_t n = m->n_approved_by + hand->n;
	struct buf out = { 0 };

	for (size_t i = 0; i < hand->n; i++) {
		put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
		buf_printf(&out, " %s approved by %s (%zu of %u)\n", m->release,
			hand->key[i].entry->name != NULL ? hand->key[i].entry->name : "you",
			m->n_approved_by + i + 1, m->threshold);
	}
	if (n < m->threshold)
		buf_printf(&out, "Next: huiductl rollout approve %s --key NEXT.pem\n", m->release);
	else if (again) /* it goes on by itself */
		buf_printf(&out, "Next: huiductl rollout get %s -w\n", m->release);
	else
		buf_printf(&out, "Next: huiductl rollout start %s\n", m->release);
	return ctl_print(&out);
}

/* Each approval is an entry of the log: the next one is signed against the log with it.
 */
static int approve_all(
	struct ctl *c, const Pb__AdminReply *seen, const struct hand *hand, bool again)
{
	const Pb__Checkpoint *at = seen->checkpoint;
	struct reply last = { 0 };
	int err = 0;

	for (size_t i = 0; err == 0 && i < hand->n; i++) {
		struct reply r;
		err = approve_as(c, seen->proposal, &hand->key[i], at, &r);
		reply_release(&last);
		last = r;
		at = err == 0 ? r.m->checkpoint : NULL;
	}
	reply_release(&last);
	return err != 0 ? err : tell_approved(c, seen->proposal, hand, again);
}

/* `*again`: it was approved before, and would go on. */
static int check_and_show(struct ctl *c, const Pb__Proposal *m, bool *again)
{
	char error[PROPOSAL_ERROR_MAX];
	struct arena a = arena_new(PROPOSAL_ARENA);
	struct proposal p;
	struct buf text = { 0 };
	int err = proposal_check(m, c->root->root, clock_ms() / 1000, &a, &p, error);

	if (err != 0) {
		err = fail(EXIT_REFUSED, "huiductl rollout history, and ask the proposer",
			"not signed: %s", error);
	} else {
		*again = p.build[0].version > 1;
		show_proposal(&text, c, &p);
		note_text(&text);
	}
	free(a.base);
	return err;
}

int cmd_rollout_approve(struct ctl *c)
{
	const char *name = c->args.words.v[0];
	struct hand hand = { 0 };
	struct reply r;
	bool again = false;
	size_t want;
	int err = ctl_root(c);

	if (err != 0)
		return err;
	err = ctl_query(c, PB__QUERY_KIND__QUERY_PROPOSAL, name, &r);
	if (err != 0)
		return err;
	if (r.m->proposal == NULL)
		err = fail(
			EXIT_NOT_FOUND, "huiductl rollout list", "'%s': nothing to approve", name);
	want = c->args.all == FLAG_YES ? c->root->root->approver->threshold : 1;
	if (err == 0)
		err = hand_take(c, HAND(APPROVER), want, &hand);
	if (err == 0)
		err = check_and_show(c, r.m->proposal, &again);
	if (err == 0 && ctl_confirm(c, "Sign this?", &err))
		err = approve_all(c, r.m, &hand, again);
	hand_release(&hand);
	reply_release(&r);
	return err;
}
