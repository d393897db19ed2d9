/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/control.h"

#include <stdio.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/service/control_private.h"
#include "server/service/seat.h"
#include "server/store/entry.h"

#define ARENA_SIZE ((size_t)32 * 1024 * 1024)
#define ERROR_MAX  256

const struct state *control_state(const struct server *s)
{
	return &s->control->state;
}

/* ---- the log ---- */

struct append_job {
	struct job job;
	uint64_t index;
	struct bytes entry;
};

static void append_run(struct job *job, struct writer *w)
{
	struct append_job *j = (struct append_job *)job;

	entry_append(&w->txn, j->index, j->entry);
}

int control_entry(struct control *c, struct bytes envelope, uint64_t now_ms, struct bytes *out)
{
	Pb__LogEntry m = PB__LOG_ENTRY__INIT;

	m.time_ms = now_ms;
	m.envelope = wire_data(envelope.p, envelope.n);
	return wire_pack(&m, &c->arena, out);
}

/* Durable first, then true. */
static int append(struct control *c, struct bytes envelope, uint64_t now_ms)
{
	struct append_job j = { .job = { .run = append_run }, .index = c->state.log.size };
	int err = control_entry(c, envelope, now_ms, &j.entry);

	if (err == 0)
		err = writer_call(&c->server->writer, &j.job);
	return err != 0 ? err : state_apply(&c->state, j.entry, &c->arena);
}

int control_sign_decision(struct control *c, Pb__Decision *d, struct buf *out)
{
	struct signer_item item = { .type = ENVELOPE_DECISION };
	int err;

	d->spec_version = 1;
	d->repository = c->state.root->repository;
	err = wire_pack(d, &c->arena, &item.payload);
	return err != 0 ? err : signer_sign(c->signer, &item, 1, out);
}

int control_decide(struct control *c, Pb__Decision *decision, uint64_t now_ms)
{
	struct buf envelope = { 0 };
	int err;

	c->arena.used = 0;
	err = control_sign_decision(c, decision, &envelope);
	if (err == 0)
		err = append(c, buf_bytes(&envelope), now_ms);
	if (err != 0)
		log_error("decision: cannot be taken: %s", err_str(err));
	buf_release(&envelope);
	return err;
}

static void show_gauges(struct control *c)
{
	uint64_t devices[RING__COUNT] = { 0 }, rollouts[ROLLOUT__COUNT] = { 0 };

	for (size_t l = 0; l < c->server->registry.n_lines; l++)
		for (unsigned r = 0; r < RING__COUNT; r++)
			devices[r] += c->server->registry.lines[l].devices[r];
	for (size_t i = 0; i < c->state.n_rollouts; i++)
		rollouts[c->state.rollouts[i]->state]++;
	for (unsigned r = 0; r < RING__COUNT; r++)
		metric_set(METRIC_DEVICES_CORE + (enum metric)r, devices[r]);
	for (unsigned i = 0; i < ROLLOUT__COUNT; i++)
		metric_set(METRIC_ROLLOUTS_PROPOSED + (enum metric)i, rollouts[i]);
	metric_set(METRIC_LOG_INDEX, c->state.log.size);
	metric_set(METRIC_WRITER_QUEUE, atomic_load(&c->server->writer.queued));
	metric_set(METRIC_IMAGE, c->generation);
	metric_set(METRIC_TRANSACTIONS, store_transactions(c->server->store));
	metric_set(METRIC_SIGNER, signer_requests(c->signer));
}

/* ---- start ---- */

static bool has_file(void *ctx, const uint8_t sha256[SHA256_LEN])
{
	return artifact_exists(((struct server *)ctx)->artifacts, sha256);
}

/* Is this a product of the line?  `line` NULL: of any. */
static bool knows_product(void *ctx, const char *line, const char *product)
{
	const struct registry *r = &((struct server *)ctx)->registry;
	const struct product *p = registry_product(r, product);

	return p != NULL && (line == NULL || strcmp(r->lines[p->line].config->name, line) == 0);
}

static int fold_log(struct control *c)
{
	struct store_txn t;
	struct bytes entry;
	int err = 0;

	store_begin(c->server->store, &t, false);
	for (uint64_t i = 0; err == 0 && entry_get(&t, i, &entry); i++) {
		c->arena.used = 0;
		err = state_apply(&c->state, entry, &c->arena);
		if (err != 0)
			log_error("log: entry %llu cannot be applied: %s", (unsigned long long)i,
				err_str(err));
	}
	err = err != 0 ? err : t.err;
	store_abort(&t);
	return err;
}

/* The signer learns again what was approved: it keeps nothing but its floors. */
static int admit_plans(struct control *c, const struct rollout *r)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < r->n_builds; i++)
		if (r->builds[i].plan.len > 0)
			err = signer_admit(c->signer, buf_bytes(&r->builds[i].plan),
				buf_bytes(&r->builds[i].build->targets));
	return err;
}

static int start(struct control *c, struct bytes root, uint64_t now_ms)
{
	int err = fold_log(c);

	if (err == 0 && c->state.log.size == 0) {
		c->arena.used = 0;
		err = append(c, root, now_ms);
	}
	for (size_t i = 0; err == 0 && i < c->state.n_rollouts; i++)
		err = admit_plans(c, c->state.rollouts[i]);
	if (err == 0)
		err = publish_open(c);
	if (err == 0)
		err = follow_update(c, now_ms);
	return err != 0 ? err : publish(c, now_ms, true);
}

int control_open(struct server *s, struct signer *signer, const struct rootfile *root,
	uint64_t now_ms, char *error)
{
	struct control *c = mem_zalloc(sizeof(*c));
	int err;

	c->server = s;
	c->signer = signer;
	c->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	c->next_fill_ms = mem_zalloc(s->registry.n_lines * sizeof(uint64_t));
	state_init(&c->state, root->root, root->envelope);
	c->state.has_file = has_file;
	c->state.knows_product = knows_product;
	c->state.ctx = s;
	s->control = c;
	err = start(c, root->envelope, now_ms);
	if (err != 0) {
		(void)snprintf(error, ERROR_MAX, "log: %s", err_str(err));
		control_close(s);
		return err;
	}
	show_gauges(c);
	return 0;
}

void control_close(struct server *s)
{
	struct control *c = s->control;

	if (c == NULL)
		return;
	publish_close(c);
	state_release(&c->state);
	for (size_t i = 0; i < c->n_lives; i++)
		free(c->lives[i]);
	free(c->lives);
	free(c->follows);
	gates_release(c);
	free(c->next_fill_ms);
	free(c->arena.base);
	free(c);
	s->control = NULL;
}

/* ---- commands ---- */

/* After a change of the state: stages, signatures, image.  The change itself stands. */
static void take_effect(struct control *c, uint64_t now_ms)
{
	if (follow_update(c, now_ms) != 0)
		log_error("evidence: stages cannot be opened or closed");
	publish(c, now_ms, false);
}

static int take(struct control *c, struct bytes envelope, uint64_t now_ms, char *text)
{
	struct command command;
	struct rollout *r = NULL;
	int err;

	c->arena.used = 0;
	err = command_open(&c->state, envelope, now_ms, &c->arena, &command, text);
	if (err == 0)
		err = command_check(&c->state, &command, &c->arena, text);
	if (err != 0)
		return err;
	err = append(c, envelope, now_ms);
	if (err != 0) {
		(void)snprintf(text, STATE_TEXT, "log: %s", err_str(err));
		return err;
	}
	if (command.message->approve != NULL)
		r = state_rollout_id(&c->state, command.message->approve->rollout_id.data);
	if (r != NULL && admit_plans(c, r) != 0)
		log_error("rollout %s: the signer does not take its plan", r->release);
	if (command.message->act != NULL && command.message->act->act == PB__ACT__ACT_HALT)
		metric_add(METRIC_HALTS_PERSON, 1);
	if (command.message->act != NULL && command.message->act->act == PB__ACT__ACT_PAUSE)
		metric_add(METRIC_PAUSES_PERSON, 1);
	take_effect(c, now_ms);
	return 0;
}

int control_command(struct server *s, struct bytes envelope, uint64_t now_ms, char *text)
{
	int err = take(s->control, envelope, now_ms, text);

	metric_add(err == 0 ? METRIC_COMMANDS : METRIC_COMMANDS_REFUSED, 1);
	if (err != 0)
		log_info("command refused: %s", text);
	return err;
}

/* ---- time ---- */

struct tick_job {
	struct job job;
};

static void tick_run(struct job *job, struct writer *w)
{
	stages_close_due(&w->stages, &w->txn, job->now_ms);
}

static int log_fill(struct control *c, struct seat_fill *fill, uint64_t now_ms)
{
	const struct line *line = &c->server->registry.lines[fill->line];
	Pb__Decision d = PB__DECISION__INIT;
	Pb__Fill f = PB__FILL__INIT;
	struct buf envelope = { 0 };
	int err;

	f.line = line->config->name;
	f.ring = (uint32_t)fill->ring;
	f.seats = (uint32_t)fill->n;
	f.seed = wire_data(fill->seed, SEED_LEN);
	f.devices = wire_data(fill->digest, SHA256_LEN);
	d.kind = PB__DECISION_KIND__DECISION_FILL;
	d.fill = &f;
	c->arena.used = 0;
	err = control_sign_decision(c, &d, &envelope);
	if (err == 0)
		err = control_entry(c, buf_bytes(&envelope), now_ms, &fill->entry);
	fill->index = c->state.log.size;
	if (err == 0)
		err = seat_give(c->server, fill);
	if (err == 0)
		err = state_apply(&c->state, fill->entry, &c->arena);
	buf_release(&envelope);
	return err;
}

static void fill_ring(struct control *c, size_t line, enum ring ring, uint64_t now_ms)
{
	struct seat_fill fill = { .line = line, .ring = ring };
	int err;

	if (seat_free(c->server, line, ring) == 0 ||
		atomic_load(&c->server->registry.lines[line].waiting) == 0)
		return;
	err = seat_seed(state_root(&c->state), fill.seed);
	if (err == 0)
		err = seat_choose(c->server, &fill);
	if (err == 0 && fill.n > 0)
		err = log_fill(c, &fill, now_ms);
	if (err != 0)
		log_error("ring %s: seats cannot be filled: %s", ring_str(ring), err_str(err));
	else if (fill.n > 0)
		log_info("ring %s: %zu seats filled", ring_str(ring), fill.n);
	seat_fill_release(&fill);
}

static void fill_lines(struct control *c, uint64_t now_ms)
{
	for (size_t l = 0; l < c->server->registry.n_lines; l++) {
		const struct config_line *config = c->server->registry.lines[l].config;
		if (config->fill != FILL_HASH || now_ms < c->next_fill_ms[l])
			continue;
		for (unsigned r = RING_CORE; r < RING_STABLE; r++)
			fill_ring(c, l, (enum ring)r, now_ms);
		c->next_fill_ms[l] = now_ms + config->fill_every_ms;
	}
}

void control_tick(struct server *s, uint64_t now_ms)
{
	struct control *c = s->control;
	struct tick_job j = { .job = { .now_ms = now_ms, .run = tick_run } };

	if (writer_call(&s->writer, &j.job) != 0)
		log_error("store: evidence batches cannot be closed");
	gates_run(c, now_ms);
	follow_admit(c, now_ms);
	fill_lines(c, now_ms);
	if (follow_is_over(c, now_ms))
		take_effect(c, now_ms);
	if (now_ms >= c->next_timestamp_ms)
		publish(c, now_ms, true);
	show_gauges(c);
}
