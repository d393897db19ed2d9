/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/control.h"

#include <stdio.h>
#include <sys/statvfs.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/service/control_private.h"
#include "server/service/import.h"
#include "server/service/seat.h"
#include "server/store/journal.h"

#define ARENA_SIZE    ((size_t)32 * 1024 * 1024)
#define ERROR_MAX     256
#define TIDY_EVERY_MS 60000u

const struct state *control_state(const struct server *s)
{
	return &s->control->state;
}

/* ---- decisions ---- */

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
		err = append_envelope(c, buf_bytes(&envelope), now_ms);
	if (err != 0)
		log_error("decision: cannot be taken: %s", err_str(err));
	buf_release(&envelope);
	return err;
}

static uint64_t free_bytes(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
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
	metric_set(METRIC_FLEET_BYTES, fleet_bytes(c->server->fleet));
	metric_set(METRIC_LOG_INDEX, c->state.log.size);
	metric_set(METRIC_WRITER_QUEUE, atomic_load(&c->server->writer.queued));
	metric_set(METRIC_IMAGE, c->generation);
	metric_set(METRIC_TRANSACTIONS, store_transactions(c->server->store));
	metric_set(METRIC_SIGNER, signer_requests(c->signer));
	metric_set(METRIC_STORE_WRITABLE, !atomic_load(&c->server->writer.failing));
	metric_set(METRIC_STORE_BYTES, store_bytes(c->server->store));
	metric_set(METRIC_STORE_FREE, free_bytes(c->server->config->data));
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

static uint64_t floor_of(void *ctx, const char *product, const char **build)
{
	const struct config_factory *f = config_floor(((struct server *)ctx)->config, product);

	*build = f != NULL ? f->build : "";
	return f != NULL ? f->counter : 0;
}

/*
 * What the signer does not take it would not sign for either: the plan has expired, or the root in
 * force does not count who signed it.
 */
void control_admit(struct control *c, struct rollout *r)
{
	for (size_t i = 0; i < r->n_builds; i++) {
		struct rollout_build *b = &r->builds[i];
		int err = b->plan.len == 0 ? 0
					   : signer_admit(c->signer, buf_bytes(&b->plan),
						     buf_bytes(&b->build->targets));
		b->refused = err != 0;
		/* Its disk may be full, or it has not got the approval yet. */
		c->admit_again |= err != 0 && (err > -1000 || !append_is_signed(c));
		if (err != 0)
			log_error("rollout %s: %s: the signer does not take its plan: %s",
				r->release, b->build->product, err_str(err));
	}
}

static bool chain_has(struct control *c, const Pb__Root *root)
{
	struct bytes want, have;
	bool found = false;

	c->arena.used = 0;
	for (size_t i = 0; !found && i < c->state.n_chain; i++)
		found = wire_pack(root, &c->arena, &want) == 0 &&
			wire_pack(c->state.chain[i]->root, &c->arena, &have) == 0 &&
			bytes_eq(want, have);
	return found;
}

/* The file is for the first start; later it tells that this is the right log. */
static int check_root(struct control *c, const struct rootfile *root, char *error)
{
	const struct state *s = &c->state;

	if (!chain_has(c, root->root)) {
		(void)snprintf(error, ERROR_MAX,
			"root: version %llu is none of the log's: put that of the log into the "
			"file; the next one is published with huiductl root publish",
			(unsigned long long)root->root->version);
		return ERR_BAD_ROOT;
	}
	for (size_t i = 0; s->production && i < s->root->n_keys; i++)
		if (s->root->keys[i]->has_demo && s->root->keys[i]->demo) {
			(void)snprintf(error, ERROR_MAX,
				"root %llu: %s: say `environment: trial`, or rotate it",
				(unsigned long long)s->root->version, err_str(ERR_DEMO_KEY));
			return ERR_DEMO_KEY;
		}
	return 0;
}

static int start(struct control *c, const struct rootfile *root, uint64_t now_ms, char *error)
{
	int err = append_open(c, root->envelope, now_ms, error);

	c->gates_ms = now_ms;
	if (err == 0)
		err = check_root(c, root, error);
	for (size_t i = 0; err == 0 && i < c->state.n_rollouts; i++)
		control_admit(c, c->state.rollouts[i]);
	if (err == 0)
		err = publish_open(c);
	if (err == 0)
		control_distrust(c);
	if (err == 0)
		err = follow_update(c, now_ms);
	if (err == 0)
		err = publish(c, now_ms, true);
	/* A person must be able to say that the clock is right. */
	return err == ERR_CLOCK ? 0 : err;
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
	state_init(&c->state, root->root);
	c->state.production = s->config->environment != ENVIRONMENT_TRIAL;
	c->state.has_file = has_file;
	c->state.knows_product = knows_product;
	c->state.floor = floor_of;
	c->state.ctx = s;
	s->control = c;
	error[0] = '\0';
	err = start(c, root, now_ms, error);
	if (err != 0) {
		if (error[0] == '\0')
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
	journal_close(c->journal);
	buf_release(&c->checkpoint);
	state_release(&c->state);
	for (size_t i = 0; i < c->n_lives; i++)
		free(c->lives[i]);
	free(c->lives);
	free(c->follows);
	gates_release(c);
	retention_release(&c->retention);
	free(c->next_fill_ms);
	free(c->arena.base);
	free(c);
	s->control = NULL;
}

void control_take_effect(struct control *c, uint64_t now_ms, bool freshen)
{
	if (follow_update(c, now_ms) != 0)
		log_error("evidence: stages cannot be opened or closed");
	publish(c, now_ms, freshen);
}

/* ---- time ---- */

struct tick_job {
	struct job job;
	struct server *server;
};

/* How well devices were heard since the last tick. */
static void hear(struct hearing *h, struct server *s, uint64_t now_ms)
{
	uint64_t interval_ms = s->config->poll.interval_ms;
	uint32_t stretches = atomic_exchange(&s->stretches, 0);
	struct hearing_tick tick = {
		.now_ms = now_ms,
		.stretch = stretches > 0 ? 31 - (unsigned)__builtin_clz(stretches) : 0,
		.interval_ms = interval_ms + interval_ms * s->config->poll.jitter_ppm / 1000000,
		.deaf = atomic_exchange(&s->deaf, false),
	};

	hearing_tick(h, &tick);
	atomic_store(&s->was_deaf, tick.deaf);
	atomic_store(&s->stretch, tick.stretch);
}

static void tick_run(struct job *job, struct writer *w)
{
	hear(&w->stages.hearing, ((struct tick_job *)job)->server, job->now_ms);
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
		err = append_pack(c, buf_bytes(&envelope), now_ms, &fill->entry);
	fill->index = c->state.log.size;
	if (err == 0)
		err = seat_give(c->server, fill);
	if (err == 0)
		err = append_follow(c);
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
	/* An import may have taken them meanwhile. */
	if (err != 0 && err != ERR_WRONG_STATE)
		log_error("ring %s: seats cannot be filled: %s", ring_str(ring), err_str(err));
	else if (err == 0 && fill.n > 0)
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
	struct tick_job j = { .job = { .now_ms = now_ms, .run = tick_run }, .server = s };

	/* The writer says when it cannot write, once. */
	if (writer_call(&s->writer, &j.job) != 0)
		log_debug("store: evidence batches cannot be closed");
	append_keep(c);
	gates_run(c, now_ms);
	c->gates_ms = now_ms;
	follow_admit(c, now_ms);
	import_tick(s);
	fill_lines(c, now_ms);
	if (c->follow_due || follow_is_over(c, now_ms))
		control_take_effect(c, now_ms, false);
	retention_run(c, now_ms);
	if (now_ms >= c->next_timestamp_ms)
		publish(c, now_ms, true);
	if (now_ms >= c->next_tidy_ms) {
		store_tidy(s->store);
		c->next_tidy_ms = now_ms + TIDY_EVERY_MS;
	}
	show_gauges(c);
}

void control_slacken(struct server *s, const struct config *fresh)
{
	follow_slacken(s->control, fresh);
}

void control_reloaded(struct server *s, uint64_t now_ms)
{
	struct control *c = s->control;

	for (size_t l = 0; l < s->registry.n_lines; l++) {
		uint64_t latest_ms = now_ms + s->registry.lines[l].config->fill_every_ms;
		if (c->next_fill_ms[l] > latest_ms)
			c->next_fill_ms[l] = latest_ms;
	}
	publish(c, now_ms, false);
}
