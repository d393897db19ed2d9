/* SPDX-License-Identifier: Apache-2.0 */
/* Which stages collect evidence, in which slots, and how many devices they take in. */
#include <assert.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/core/admit.h"
#include "server/service/control_private.h"
#include "server/store/device.h"

/* ---- on the writer's thread ---- */

struct open_job {
	struct job job;
	struct writer *writer;
	struct stage_key key;
	struct stage *stage;
	const struct fleet *fleet;
};

/* After a restart, devices that are in an arm get their bit back. */
static void mark_devices(struct open_job *j, struct writer *w)
{
	struct store_cursor c;
	uint8_t prefix[5];

	put_be32(prefix, j->stage->key.rollout);
	prefix[4] = j->stage->key.step;
	store_foreach(&c, &w->txn, STORE_ARM, bytes_of(prefix, 5)) {
		struct evidence_device d;
		struct stage_key key;
		uint8_t id[ID_LEN];
		fleet_word *word;
		if (!arm_read(&c, &key, id, &d) || d.gone)
			continue;
		word = fleet_find(j->fleet, id);
		if (word != NULL && fleet_unpack(atomic_load(word)).ring == j->stage->ring)
			(void)fleet_enter(word, j->stage->slot);
	}
}

static void open_run(struct job *job, struct writer *w)
{
	struct open_job *j = (struct open_job *)job;

	j->writer = w;
	mark_devices(j, w);
	stages_add(&w->stages, j->stage, &w->txn, job->now_ms);
}

/* What was not committed is followed by nobody; the stage is the writer's from run() on. */
static void open_done(struct job *job)
{
	struct open_job *j = (struct open_job *)job;

	if (job->err != 0)
		stages_remove(&j->writer->stages, j->key);
}

struct close_job {
	struct job job;
	struct writer *writer;
	struct stage_key key;
};

static void close_run(struct job *job, struct writer *w)
{
	struct close_job *j = (struct close_job *)job;
	struct stage *stage = stages_find(&w->stages, j->key);

	if (stage == NULL)
		return;
	stages_close_batch(stage, &w->txn, job->now_ms);
	stages_save(&w->stages, &w->txn);
	j->writer = w;
}

/* It is there to be closed again when that was not committed. */
static void close_done(struct job *job)
{
	struct close_job *j = (struct close_job *)job;

	if (job->err == 0 && j->writer != NULL)
		stages_remove(&j->writer->stages, j->key);
}

struct group_job {
	struct job job;
	struct stage_key key;
	uint32_t group;
};

static void group_run(struct job *job, struct writer *w)
{
	struct group_job *j = (struct group_job *)job;
	struct stage *stage = stages_find(&w->stages, j->key);

	if (stage == NULL)
		return;
	/* What the group did is still compared with itself in the risk set. */
	stages_close_batch(stage, &w->txn, job->now_ms);
	for (size_t i = 0; i < stage->n_strata; i++) {
		evidence_close_group(&stage->strata[i].evidence, j->group);
		stage->strata[i].dirty = true;
	}
}

/* ---- opening and closing ---- */

struct follow *follow_find(struct control *c, struct stage_key key)
{
	for (size_t i = 0; i < c->n_follows; i++)
		if (c->follows[i].key.rollout == key.rollout && c->follows[i].key.step == key.step)
			return &c->follows[i];
	return NULL;
}

static int close_follow(struct control *c, size_t i, uint64_t now_ms)
{
	struct close_job j = { .job = { .now_ms = now_ms, .run = close_run, .done = close_done },
		.key = c->follows[i].key };
	int err = writer_call(&c->server->writer, &j.job);

	if (err == 0)
		c->follows[i] = c->follows[--c->n_follows];
	return err;
}

/* A slot nobody of this line and ring uses; the oldest watched stage makes room if need be. */
static int find_slot(
	struct control *c, size_t line, enum ring ring, uint64_t now_ms, unsigned *slot)
{
	unsigned used = 0;
	size_t oldest = SIZE_MAX;

	for (size_t i = 0; i < c->n_follows; i++) {
		const struct follow *f = &c->follows[i];
		if (f->line != line || f->ring != ring)
			continue;
		used |= 1u << f->slot;
		if (f->until_ms != UINT64_MAX &&
			(oldest == SIZE_MAX || f->until_ms < c->follows[oldest].until_ms))
			oldest = i;
	}
	for (*slot = 0; *slot < FLEET_SLOTS; (*slot)++)
		if ((used & 1u << *slot) == 0)
			return 0;
	assert(oldest != SIZE_MAX); /* a ring has one open stage */
	*slot = c->follows[oldest].slot;
	log_warn("%s: watched no longer: too many stages in one ring", ring_str(ring));
	return close_follow(c, oldest, now_ms);
}

static struct stage_live *live_new(struct control *c)
{
	struct stage_live *live = mem_zalloc(sizeof(*live));

	c->lives = mem_resize(c->lives, c->n_lives + 1, sizeof(struct stage_live *));
	c->lives[c->n_lives++] = live;
	return live;
}

/* Devices were told the interval with its jitter, and may keep to the longest. */
static struct silence_rules silence_rules(const struct config *c, const Pb__PlanSpec *spec)
{
	uint64_t longest_ms =
		c->poll.interval_ms + c->poll.interval_ms * c->poll.jitter_ppm / 1000000;
	uint64_t window_ms = spec->silence_polls * longest_ms;

	return (struct silence_rules){
		.milestone_ms = spec->silence_ms + window_ms,
		.window_ms = window_ms,
		.s1_ms = spec->s1_ms,
	};
}

static struct stage *stage_new(
	const struct control *c, const struct rollout *r, const struct follow *f)
{
	struct stage *g = mem_zalloc(sizeof(*g) + r->n_builds * sizeof(g->strata[0]));

	g->key = f->key;
	g->line = f->line;
	g->ring = f->ring;
	g->slot = f->slot;
	g->live = f->live;
	g->batch_ms = r->spec->batch_ms;
	g->settle_ms = r->spec->settle_ms;
	g->novel_ms = r->opened_ms[0];
	g->line_number = c->server->registry.lines[f->line].number;
	g->silence.rules = silence_rules(c->server->config, r->spec);
	for (size_t i = 0; i < r->n_builds; i++) {
		const struct build *b = r->builds[i].build;
		const struct product *p = registry_product(&c->server->registry, b->product);
		if (p == NULL)
			continue; /* not configured any more: it has no devices here */
		g->strata[g->n_strata++] = (struct stratum){ .product = p->number,
			.build = device_build_hash(b->build_id) };
	}
	return g;
}

static int open_follow(
	struct control *c, const struct rollout *r, size_t step, uint64_t until_ms, uint64_t now_ms)
{
	const struct line *line = registry_line(&c->server->registry, r->line);
	struct follow f = { .key = { r->no, (uint8_t)step },
		.ring = (enum ring)r->steps[step].ring,
		.until_ms = until_ms };
	struct open_job j = { .job = { .now_ms = now_ms, .run = open_run, .done = open_done },
		.key = f.key,
		.fleet = c->server->fleet };
	int err;

	if (line == NULL)
		return 0; /* not configured any more */
	f.line = (size_t)(line - c->server->registry.lines);
	err = find_slot(c, f.line, f.ring, now_ms, &f.slot);
	if (err != 0)
		return err;
	f.live = live_new(c);
	fleet_clear_slot(c->server->fleet, f.slot, f.ring, &line->products);
	j.stage = stage_new(c, r, &f);
	err = writer_call(&c->server->writer, &j.job);
	if (err != 0) {
		free(c->lives[--c->n_lives]); /* no worker has seen it */
		return err;
	}
	c->follows = mem_resize(c->follows, c->n_follows + 1, sizeof(*c->follows));
	c->follows[c->n_follows++] = f;
	return 0;
}

/* How long the step is to be followed: 0, not at all. */
static uint64_t until(const struct rollout *r, size_t step, uint64_t now_ms)
{
	uint64_t passed_ms;
	bool open = (r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_PAUSED) && step == r->step;

	if (!rollout_is_live(r) || r->opened_ms[step] == 0 || step > r->step)
		return 0;
	if (open)
		return UINT64_MAX;
	passed_ms = step < r->step ? r->opened_ms[step + 1] : r->since_ms;
	return passed_ms + rollout_watch_ms(r) > now_ms ? passed_ms + rollout_watch_ms(r) : 0;
}

/* Control devices leave group by group, as the later steps of their ring open. */
static int close_groups(
	struct control *c, const struct rollout *r, struct follow *f, uint64_t now_ms)
{
	uint32_t group = 0;

	for (size_t step = f->key.step + 1u; step < r->n_steps; step++) {
		struct group_job j = {
			.job = { .now_ms = now_ms, .run = group_run }, .key = f->key, .group = group
		};
		int err;
		if (r->steps[step].ring != (uint32_t)f->ring)
			continue;
		if (r->opened_ms[step] == 0 || group == EVIDENCE_GROUPS)
			break;
		if (group++ < f->closed_groups)
			continue;
		err = writer_call(&c->server->writer, &j.job);
		if (err != 0)
			return err;
		f->closed_groups = group;
	}
	return 0;
}

static int update_rollout(struct control *c, const struct rollout *r, uint64_t now_ms)
{
	int err = 0;

	for (size_t step = 0; err == 0 && step < r->n_steps; step++) {
		struct stage_key key = { r->no, (uint8_t)step };
		uint64_t until_ms = until(r, step, now_ms);
		struct follow *f = follow_find(c, key);
		if (f == NULL && until_ms != 0)
			err = open_follow(c, r, step, until_ms, now_ms);
		else if (f != NULL && until_ms == 0)
			err = close_follow(c, (size_t)(f - c->follows), now_ms);
		else if (f != NULL)
			f->until_ms = until_ms;
		f = follow_find(c, key);
		if (err == 0 && f != NULL)
			err = close_groups(c, r, f, now_ms);
	}
	return err;
}

int follow_update(struct control *c, uint64_t now_ms)
{
	int err = 0;

	/* What ends first: its slots may be needed by what begins. */
	for (size_t i = 0; err == 0 && i < c->state.n_rollouts; i++)
		if (!rollout_is_live(c->state.rollouts[i]))
			err = update_rollout(c, c->state.rollouts[i], now_ms);
	for (size_t i = 0; err == 0 && i < c->state.n_rollouts; i++)
		if (rollout_is_live(c->state.rollouts[i]))
			err = update_rollout(c, c->state.rollouts[i], now_ms);
	c->follow_due = err != 0;
	return err;
}

bool follow_is_over(const struct control *c, uint64_t now_ms)
{
	for (size_t i = 0; i < c->n_follows; i++)
		if (c->follows[i].until_ms <= now_ms)
			return true;
	return false;
}

static struct rollout *rollout_no(const struct control *c, uint32_t no)
{
	for (size_t i = 0; i < c->state.n_rollouts; i++)
		if (c->state.rollouts[i]->no == no)
			return c->state.rollouts[i];
	return NULL;
}

static void raise(uint64_t *to, uint64_t least)
{
	if (*to < least)
		*to = least;
}

void follow_slacken(struct control *c, const struct config *fresh)
{
	struct stages *stages = &c->server->writer.stages;

	for (size_t i = 0; i < c->n_follows; i++) {
		const struct rollout *r = rollout_no(c, c->follows[i].key.rollout);
		struct stage *g = stages_find(stages, c->follows[i].key);
		struct silence_rules rules;
		if (r == NULL || g == NULL)
			continue;
		rules = silence_rules(fresh, r->spec);
		raise(&g->silence.rules.milestone_ms, rules.milestone_ms);
		raise(&g->silence.rules.window_ms, rules.window_ms);
	}
}

/* ---- admission ---- */

uint64_t follow_expected(const struct control *c, const struct rollout *r, size_t step)
{
	const struct line *line = registry_line(&c->server->registry, r->line);
	const struct plan_step *p = &r->steps[step];

	if (line == NULL)
		return 0;
	return atomic_load(&line->devices[p->ring]) * (p->upper - p->lower) / 1000000;
}

static void admit(struct control *c, const struct rollout *r, struct follow *f, uint64_t now_ms)
{
	const struct plan_step *step = &r->steps[f->key.step];
	uint64_t expected = follow_expected(c, r, f->key.step);
	struct admit_facts facts = {
		.granted = atomic_load(&f->live->granted),
		.boot_ok = atomic_load(&f->live->boot_ok),
		.judged = atomic_load(&f->live->judged),
		.heard = atomic_load(&f->live->heard),
		.expected = expected > 0 ? (uint32_t)expected : 1,
		.admit_ppm = atomic_load(&f->live->admit_ppm),
	};
	struct admit next;

	if (step->stage >= 0 && r->spec->stages[step->stage]->has_devices)
		facts.cap = r->spec->stages[step->stage]->devices;
	if (facts.granted >= atomic_load(&f->live->allowed))
		f->idle_since_ms = now_ms;
	if (now_ms - f->idle_since_ms >= c->server->config->poll.interval_ms) {
		facts.idle = true;
		f->idle_since_ms = now_ms;
	}
	next = admit_next(&facts);
	atomic_store(&f->live->admit_ppm, next.admit_ppm);
	if (next.allowed > atomic_load(&f->live->allowed))
		atomic_store(&f->live->allowed, next.allowed);
}

void follow_admit(struct control *c, uint64_t now_ms)
{
	for (size_t i = 0; i < c->n_follows; i++) {
		struct follow *f = &c->follows[i];
		const struct rollout *r = rollout_no(c, f->key.rollout);
		if (f->until_ms == UINT64_MAX && r != NULL && r->state == ROLLOUT_RUNNING)
			admit(c, r, f, now_ms);
	}
}
