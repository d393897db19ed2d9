/* SPDX-License-Identifier: Apache-2.0 */
/* Commands and roots: checked against the state, then by the signer, then in the log. */
#include <errno.h>
#include <stdio.h>

#include "server/base/log.h"
#include "server/metrics/metrics.h"
#include "server/service/control_private.h"
#include "server/service/import.h"
#include "server/service/seat_act.h"
#include "server/store/entry.h"

/* The first digits of a pending command's id: what people call it by. */
#define PENDING_SHOWN 8u

static void say_pending(const struct command *command, unsigned needed, char *text)
{
	char name[2 * PENDING_SHOWN + 1];

	for (size_t i = 0; i < PENDING_SHOWN; i++)
		(void)snprintf(&name[2 * i], 3, "%02x", command->id[i]);
	(void)snprintf(text, STATE_TEXT, "waits for %u more signature%s: huiductl countersign %s",
		needed, needed == 1 ? "" : "s", name);
}

static void say_approved(
	const struct state *s, const struct rollout *r, struct arena *a, char *text)
{
	const struct rollout_build *b = &r->builds[0];
	unsigned have = rollout_approvers(s, r, b, buf_bytes(&b->pending), a).n;

	if (have > 0)
		(void)snprintf(text, STATE_TEXT, "rollout %s: signed by %u of %u", r->release, have,
			s->root->approver->threshold);
}

static int check(struct control *c, struct bytes envelope, uint64_t now_ms, struct command *command,
	char *text)
{
	int err = command_open(&c->state, envelope, now_ms, &c->arena, command, text);

	if (err == 0)
		err = command_check(&c->state, command, &c->arena, text);
	if (err == 0 && command->message->seat != NULL)
		err = seat_act_check(c->server, command->message->seat, text);
	if (err == 0 && command->message->import != NULL)
		err = import_check(c->server, command->message->import, text);
	return err;
}

struct import_job {
	struct job job;
	const Pb__Import *command;
	struct bytes entry;
	uint64_t index;
};

static void import_run(struct job *job, struct writer *w)
{
	struct import_job *j = (struct import_job *)job;

	entry_append(&w->txn, j->index, j->entry);
	import_put(&w->txn, j->command, job->now_ms);
}

/* From the entry's commit on nothing but time is between the rows and the fleet. */
static int log_import(
	struct control *c, const Pb__Import *m, struct bytes envelope, uint64_t now_ms)
{
	struct import_job j = { .job = { .now_ms = now_ms, .run = import_run },
		.command = m,
		.index = c->state.log.size };
	int err = append_pack(c, envelope, now_ms, &j.entry);

	if (err == 0)
		err = writer_call(&c->server->writer, &j.job);
	if (err == 0)
		err = append_follow(c);
	if (err == 0)
		err = import_resume(c->server);
	if (err == 0)
		import_tick(c->server);
	return err;
}

/* The entry, and with it the seats or devices it is about. */
static int log_command(
	struct control *c, const struct command *command, unsigned needed, uint64_t now_ms)
{
	const Pb__SeatAct *seat = command->message->seat;

	if (seat != NULL && needed == 0)
		return seat_act_take(c, seat, command->envelope, now_ms);
	if (command->message->import != NULL && needed == 0)
		return log_import(c, command->message->import, command->envelope, now_ms);
	return append_envelope(c, command->envelope, now_ms);
}

static void count_stops(const Pb__AdminCommand *m)
{
	if (m->act != NULL && m->act->act == PB__ACT__ACT_HALT)
		metric_add(METRIC_HALTS_PERSON, 1);
	if (m->act != NULL && m->act->act == PB__ACT__ACT_PAUSE)
		metric_add(METRIC_PAUSES_PERSON, 1);
}

static void unlogged(struct control *c, int err, char *text)
{
	if (err == -ENOSPC) {
		(void)snprintf(text, STATE_TEXT,
			"the store's disk is full: nothing was changed; free some space and repeat");
		return;
	}
	(void)snprintf(text, STATE_TEXT, "log: %s", err_str(err));
	/* It may be in the store all the same, and is followed with the next tick then. */
	c->admit_again = c->follow_due = true;
}

static int take_command(struct control *c, struct bytes envelope, uint64_t now_ms, char *text)
{
	struct command command;
	unsigned needed = 0;
	struct rollout *r = NULL;
	int err;

	c->arena.used = 0;
	err = check(c, envelope, now_ms, &command, text);
	if (err == 0)
		err = signer_check(c->signer, command.envelope, &needed, text);
	if (err != 0)
		return err;
	err = log_command(c, &command, needed, now_ms);
	if (err != 0) {
		unlogged(c, err, text);
		return err;
	}
	text[0] = '\0';
	if (needed > 0) {
		say_pending(&command, needed, text);
		return 0;
	}
	if (command.message->approve != NULL)
		r = state_rollout_id(&c->state, command.message->approve->rollout_id.data);
	if (r != NULL) {
		control_admit(c, r);
		say_approved(&c->state, r, &c->arena, text);
	}
	count_stops(command.message);
	control_take_effect(c, now_ms, command.message->confirm != NULL);
	return 0;
}

/* ---- roots ---- */

/*
 * What the root in force does not count is as good as expired: it is signed anew.  Looked for rather
 * than remembered, for a start may have come between.
 */
void control_distrust(struct control *c)
{
	const struct state *s = &c->state;
	struct bytes payload;

	for (size_t i = 0; i < c->n_files; i++) {
		struct product_files *f = &c->files[i];
		for (unsigned g = 0; g < RING__COUNT; g++) {
			c->arena.used = 0;
			if (envelope_open(crypto_openssl(), buf_bytes(&f->director[g].envelope),
				    ENVELOPE_DIRECTOR, s->root, &c->arena, &payload) != 0)
				f->director[g].expires_s = 0;
		}
		if (envelope_open(crypto_openssl(), buf_bytes(&f->snapshot.envelope),
			    ENVELOPE_SNAPSHOT, s->root, &c->arena, &payload) != 0)
			f->snapshot.expires_s = 0;
	}
}

static void say_root(const struct state *s, char *text)
{
	size_t at = (size_t)snprintf(
		text, STATE_TEXT, "root %llu is in force", (unsigned long long)s->root->version);
	bool first = true;

	for (size_t i = 0; i < s->n_rollouts && at < STATE_TEXT; i++) {
		const struct rollout *r = s->rollouts[i];
		if (!rollout_is_refused(r) || r->state == ROLLOUT_SUPERSEDED)
			continue;
		at += (size_t)snprintf(text + at, STATE_TEXT - at, "%s%s",
			first ? "; must be approved anew: " : ", ", r->release);
		first = false;
	}
}

static int take_root(struct control *c, struct bytes envelope, uint64_t now_ms, char *text)
{
	unsigned needed = 0;
	int err;

	c->arena.used = 0;
	err = command_check_root(&c->state, envelope, now_ms, &c->arena, text);
	if (err == 0)
		err = signer_check(c->signer, envelope, &needed, text);
	if (err != 0)
		return err;
	err = append_envelope(c, envelope, now_ms);
	if (err != 0) {
		unlogged(c, err, text);
		return err;
	}
	for (size_t i = 0; i < c->state.n_rollouts; i++)
		control_admit(c, c->state.rollouts[i]);
	control_distrust(c);
	control_take_effect(c, now_ms, true);
	say_root(&c->state, text);
	log_info("%s", text);
	return 0;
}

/* ---- both ---- */

static int taken(int err, const char *text)
{
	metric_add(err == 0 ? METRIC_COMMANDS : METRIC_COMMANDS_REFUSED, 1);
	if (err != 0)
		log_info("command refused: %s", text);
	return err;
}

int control_command(struct server *s, struct bytes envelope, uint64_t now_ms, char *text)
{
	return taken(take_command(s->control, envelope, now_ms, text), text);
}

int control_root(struct server *s, struct bytes envelope, uint64_t now_ms, char *text)
{
	return taken(take_root(s->control, envelope, now_ms, text), text);
}
