/* SPDX-License-Identifier: Apache-2.0 */
/* What happens next; the weather; and the end, when all must come right. */
#include <stdlib.h>

#include "tests/sim/world.h"

#define TICK_MS    (15 * MINUTE_MS)
#define SETTLE_MAX (25 * SIM_DAY_MS)

/* How often each fault may be, at the worst: ppm of the times it could happen. */
static const unsigned worst[FAULT__COUNT] = {
	[FAULT_LOST] = 80000,
	[FAULT_LOST_ANSWER] = 80000,
	[FAULT_DELAYED] = 50000,
	[FAULT_DOUBLED] = 30000,
	[FAULT_REPLAYED] = 40000,
	[FAULT_CUT] = 30000,
	[FAULT_FLIPPED] = 30000,
	[FAULT_FILE_CUT] = 300000,
	[FAULT_FILE_FLIPPED] = 100000,
	[FAULT_NO_RANGE] = 200000,
	[FAULT_PARTITION] = 200000,
	[FAULT_BATTERY] = 1500,
	[FAULT_REBOOT] = 6000,
	[FAULT_PHONE_CLOCK] = 800,
	[FAULT_RESET] = 20000,
	[FAULT_FORGED] = 200000,
	[FAULT_CRASH] = 60000,
	[FAULT_RESTART] = 4000,
	[FAULT_DOWN] = 3000,
	[FAULT_DISK] = 4000,
	[FAULT_STEP] = 2000,
	[FAULT_RESTORE] = 20000,
};

/* Some faults, not all: each alone is to be seen too. */
static void change_weather(void)
{
	struct chance *c = &world_sim.weather;
	bool fair = chance_hit(c, 350000);

	for (unsigned f = 0; f < FAULT__COUNT; f++)
		world_sim.rate[f] =
			fair || chance_hit(c, 500000) ? 0 : (unsigned)chance_below(c, worst[f] + 1);
	world_sim.weather_ms = world_sim.now_ms + chance_within(c, 6 * SIM_HOUR_MS, 6 * SIM_DAY_MS);
	if (world_sim.partition_until_ms == 0 && fault_hits(c, FAULT_PARTITION)) {
		world_sim.partition_until_ms =
			world_sim.now_ms + chance_within(c, SIM_HOUR_MS, 5 * SIM_DAY_MS);
		for (unsigned i = 0; i < world_sim.n_phones; i++)
			world_sim.phones[i].cut_off = chance_hit(c, 500000);
	}
}

static void end_partition(void)
{
	if (world_sim.partition_until_ms == 0 || world_sim.now_ms < world_sim.partition_until_ms)
		return;
	world_sim.partition_until_ms = 0;
	for (unsigned i = 0; i < world_sim.n_phones; i++)
		world_sim.phones[i].cut_off = false;
}

/* ---- one thing after the other ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void tick(void)
{
	host_tick();
	world_sim.tick_ms = world_sim.now_ms + TICK_MS;
}

static void be_people(void)
{
	host_clock();
	if (!world_sim.calm)
		people_act();
	world_sim.people_ms = world_sim.now_ms +
		chance_within(&world_sim.people, 10 * MINUTE_MS, 4 * SIM_HOUR_MS);
}

static void look(void)
{
	if (!world_sim.calm)
		host_suffers();
	end_partition();
	if (chance_hit(&world_sim.weather, 100000))
		judge_store();
	world_sim.power_ms = world_sim.now_ms + 30 * MINUTE_MS;
}

static void go_on(uint64_t until_ms)
{
	while (world_sim.now_ms < until_ms) {
		struct sim_phone *next = NULL;
		uint64_t at = earlier(earlier(world_sim.tick_ms, world_sim.people_ms),
			earlier(earlier(world_sim.power_ms, world_sim.weather_ms),
				net_stray_due()));
		for (unsigned i = 0; i < world_sim.n_phones; i++)
			if (world_sim.phones[i].wake_ms < at) {
				next = &world_sim.phones[i];
				at = next->wake_ms;
			}
		world_sim.now_ms = at > world_sim.now_ms ? at : world_sim.now_ms;
		host_clock();
		if (next != NULL)
			phone_run_now(next);
		else if (at == world_sim.tick_ms)
			tick();
		else if (at == world_sim.people_ms)
			be_people();
		else if (at == world_sim.power_ms)
			look();
		else if (at == world_sim.weather_ms)
			change_weather();
		else
			net_strays();
	}
}

/* ---- the end ---- */

/* Has something to say that the server does not know. */
static bool is_silent(const struct sim_phone *p)
{
	struct inside in;

	inside_read(p->h, &in);
	return p->reports && (!in.enrolled || in.n_events > 0);
}

static const struct sim_phone *straggler(void)
{
	const struct release *last = &world_sim.releases[world_sim.n_releases - 1];

	for (unsigned i = 0; i < world_sim.n_phones; i++) {
		const struct sim_phone *p = &world_sim.phones[i];
		if (p->off_until_ms != 0 || p->runs != last || !p->came_up || is_silent(p))
			return p;
	}
	return NULL;
}

static _Noreturn void say_straggler(const struct sim_phone *p)
{
	struct inside in = { 0 };

	if (p->h != NULL)
		inside_read(p->h, &in);
	sim_fail(
		"phone %u is not done: on %s, %s, answer %u, error %s, %u events, %s, clock %+.1f d, "
		"\"%s\"",
		p->no, p->runs == NULL ? "factory" : p->runs->name, p->h == NULL ? "off" : "on",
		in.answer, in.last_error == 0 ? "none" : err_name(in.last_error), in.n_events,
		in.enrolled ? "enrolled" : "not enrolled",
		((double)phone_clock(p) - (double)world_sim.now_ms) / (double)SIM_DAY_MS,
		in.candidate);
}

static void must_settle(void)
{
	uint64_t limit_ms = world_sim.now_ms + SETTLE_MAX;
	const struct sim_phone *p;

	world_sim.calm = true;
	world_sim.partition_until_ms = 0;
	host_heals();
	for (unsigned i = 0; i < world_sim.n_phones; i++)
		phone_heals(&world_sim.phones[i]);
	while (!people_finish()) {
		if (world_sim.now_ms > limit_ms)
			sim_fail("the last build cannot be rolled out: %s", world_sim.host.d.text);
		go_on(world_sim.now_ms + SIM_HOUR_MS);
	}
	while ((p = straggler()) != NULL) {
		if (world_sim.now_ms > limit_ms)
			say_straggler(p);
		go_on(world_sim.now_ms + SIM_HOUR_MS);
	}
	judge_store();
	judge_waiting();
}

static void seed_with(struct chance *c, uint64_t seed, uint64_t salt)
{
	c->state = seed ^ salt * 0x9e3779b97f4a7c15ull;
	(void)chance_next(c);
}

void world_live(uint64_t seed, unsigned days, enum defect planted)
{
	struct world_sim *w = &world_sim;

	*w = (struct world_sim){ .seed = seed, .planted = planted };
	seed_with(&w->chance, seed, 1);
	seed_with(&w->weather, seed, 2);
	seed_with(&w->crypto, seed, 3);
	seed_with(&w->host_chance, seed, 4);
	seed_with(&w->people, seed, 5);
	w->scratch = aligned_alloc(64, (HUIDU_SCRATCH + 63) / 64 * 64);
	w->phones = calloc(PHONES, sizeof(*w->phones));
	host_open();
	w->n_phones = (unsigned)chance_within(&w->chance, 200, PHONES);
	for (unsigned i = 0; i < w->n_phones; i++)
		phone_make(&w->phones[i], i);
	w->tick_ms = w->people_ms = w->power_ms = w->now_ms + 1;
	change_weather();
	go_on(w->now_ms + (days != 0 ? days : chance_within(&w->chance, 30, 100)) * SIM_DAY_MS);
	must_settle();
	for (unsigned i = 0; i < w->n_phones; i++)
		phone_release(&w->phones[i]);
	host_close();
	free(w->phones);
	free(w->scratch);
}
