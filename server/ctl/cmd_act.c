/* SPDX-License-Identifier: Apache-2.0 */
/* rollout start, pause, halt: one signed word about a rollout. */
#include <stdio.h>
#include <unistd.h>

#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/rollout_view.h"
#include "server/ctl/sign.h"

#define REASON_MAX 200

struct act {
	Pb__Act act;
	const char *done;
	enum icon icon;
	enum style style;
	const char *next, *next_end; /* what to type, the rollout's name between them */
};

static const struct act start = { PB__ACT__ACT_START, "started", ICON_RUNNING, STYLE_GOOD,
	"huiductl rollout get ", " -w" };
static const struct act pause_it = { PB__ACT__ACT_PAUSE, "paused", ICON_PAUSED, STYLE_WARN,
	"huiductl rollout approve ", ", to let it go on; or halt it" };
static const struct act halt = { PB__ACT__ACT_HALT, "halted", ICON_HALTED, STYLE_BAD,
	"huiductl rollout history ", ", then build publish one that mends it" };

/* The wire carries printable ASCII only: better said here than refused there. */
static int check_reason(const char *reason)
{
	for (const char *p = reason; p != NULL && *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			return fail(EXIT_USAGE, "--reason 'plain ASCII, one line'",
				"the reason holds something other than printable ASCII");
	return 0;
}

static uint64_t booted(const Pb__RolloutView *v)
{
	uint64_t n = 0;

	for (size_t i = 0; i < v->n_stages; i++)
		n += v->stages[i]->boot_ok;
	return n;
}

static int tell(struct ctl *c, const struct act *act, const Pb__RolloutView *v,
	const struct held_key *key, const struct reply *r)
{
	struct buf out = { 0 };

	put(&out, &c->term, act->style, "%s", icon(&c->term, act->icon));
	buf_printf(&out, " %s %s   log size %llu, signed by %s\n", v->release, act->done,
		(unsigned long long)r->m->checkpoint->size,
		key->entry->name != NULL ? key->entry->name : "you");
	if (r->m->text != NULL)
		buf_printf(&out, "  %s\n", r->m->text);
	if (act == &halt)
		buf_printf(&out, "  offers stopped; %s devices run it already\n",
			show_count(booted(v)).s);
	if (r->m->hint != NULL)
		buf_printf(&out, "Next: %s\n", r->m->hint);
	else
		buf_printf(&out, "Next: %s%s%s\n", act->next, v->release, act->next_end);
	return ctl_print(&out);
}

/* Should the server refuse: by the state the rollout is in.  Who stops is not told to let it go on. */
static char *next_by_state(const struct act *act, const Pb__RolloutView *v)
{
	const char *verb = "get";

	if (act != &start)
		verb = "history";
	else if (v->state == PB__ROLLOUT_STATE__ROLLOUT_PROPOSED ||
		v->state == PB__ROLLOUT_STATE__ROLLOUT_PAUSED ||
		v->state == PB__ROLLOUT_STATE__ROLLOUT_HALTED)
		verb = "approve";
	return mem_printf("huiductl rollout %s %s", verb, v->release);
}

static int send_act(
	struct ctl *c, const struct act *act, const char *reason, const struct held_key *key)
{
	Pb__AdminCommand command = PB__ADMIN_COMMAND__INIT;
	Pb__RolloutAct rollout_act = PB__ROLLOUT_ACT__INIT;
	const Pb__RolloutView *v;
	struct reply seen, r;
	char *next;
	int err = rollout_find(c, c->args.words.v[0], &seen, &v);

	if (err != 0)
		return err;
	c->next = next = next_by_state(act, v);
	rollout_act.act = act->act;
	rollout_act.rollout_id = v->rollout_id;
	command.reason = reason;
	command.act = &rollout_act;
	err = ctl_command(c, &command, key, seen.m->checkpoint, &r);
	if (err == 0) {
		err = tell(c, act, v, key, &r);
		reply_release(&r);
	}
	reply_release(&seen);
	c->next = NULL;
	free(next);
	return err;
}

static int act_on(struct ctl *c, const struct act *act, unsigned roles, const char *reason)
{
	struct hand hand;
	int err = check_reason(reason);

	if (err == 0)
		err = hand_take(c, roles, 1, &hand);
	if (err != 0)
		return err;
	err = send_act(c, act, reason, &hand.key[0]);
	hand_release(&hand);
	return err;
}

int cmd_rollout_start(struct ctl *c)
{
	return act_on(c, &start, HAND(RELEASE) | HAND(APPROVER), c->args.reason);
}

int cmd_rollout_pause(struct ctl *c)
{
	return act_on(c, &pause_it, HAND_PEOPLE, c->args.reason);
}

/*
 * Never "are you sure".  Why is asked once, since those it wakes will read it; no answer is one too,
 * and what is typed badly at night is left out rather than refused.
 */
int cmd_rollout_halt(struct ctl *c)
{
	char typed[REASON_MAX] = "";

	if (c->args.reason != NULL)
		return act_on(c, &halt, HAND_PEOPLE, c->args.reason);
	if (isatty(STDIN_FILENO) == 1) {
		(void)fputs("Reason (or Enter): ", stderr); /* the answer tells if it was seen */
		if (fgets(typed, sizeof(typed), stdin) != NULL)
			typed[strcspn(typed, "\n")] = '\0';
	}
	for (char *p = typed; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return act_on(c, &halt, HAND_PEOPLE, typed[0] != '\0' ? typed : "(none given)");
}
