/* SPDX-License-Identifier: Apache-2.0 */
/* A phone: flash that tears, a clock that is wrong, a battery that dies, two slots, a user. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define FENCE 0xa5

static void start(struct sim_phone *p);

uint64_t phone_clock(const struct sim_phone *p)
{
	int64_t ran = (int64_t)(world_sim.now_ms - p->set_ms);
	int64_t now = (int64_t)world_sim.now_ms + p->skew_ms + ran / 1000 * p->drift_ppm / 1000;

	return now > 0 ? (uint64_t)now : 0;
}

static void set_clock(struct sim_phone *p, int64_t skew_ms)
{
	p->skew_ms = skew_ms;
	p->set_ms = world_sim.now_ms;
	p->clock_is_wrong = skew_ms > 60000 || skew_ms < -60000;
}

/* ---- life ---- */

static void start(struct sim_phone *p)
{
	struct huidu_crypto crypto;
	int err;

	p->config.build_id = p->runs != NULL ? p->runs->name : "factory";
	p->config.release_counter = p->runs != NULL ? p->runs->counter : 0;
	p->booted_ms = world_sim.now_ms;
	p->came_up = false;
	p->boot_ok_ms = world_sim.now_ms + chance_within(&p->chance, 10000, 10 * MINUTE_MS);
	p->crash_ms = world_sim.now_ms; /* drawn when it is due */
	p->next_ms = world_sim.now_ms;
	phone_crypto(p, &crypto);
	p->h = huidu_init(p->memory, world_sim.scratch, &p->platform, &crypto, &p->config, &err);
	if (p->h == NULL && !p->died)
		sim_fail("phone %u: the SDK does not start: %s", p->no, err_name(err));
}

static void turn_on(struct sim_phone *p)
{
	struct chance *c = &p->chance;

	p->off_until_ms = 0;
	p->died = p->restarting = p->applying = false;
	p->net.open = false;
	if (!p->has_rtc) /* it begins at the epoch until somebody tells it */
		set_clock(p, -(int64_t)world_sim.now_ms);
	if (fault_hits(c, FAULT_RESET)) {
		p->flash_len[0] = p->flash_len[1] = 0;
		memset(p->flash, 0, sizeof(p->flash));
		p->seen_root = p->seen_timestamp = p->seen_log = p->seen_floor = p->seen_seq = 0;
		memset(p->seen_director, 0, sizeof(p->seen_director));
	}
	start(p);
	if (p->died) { /* again, at its first write */
		p->off_until_ms = world_sim.now_ms + MINUTE_MS;
		return;
	}
	judge_phone(p);
}

static void turn_off(struct sim_phone *p, uint64_t for_ms)
{
	trace("off", p->no, for_ms);
	huidu_fini(p->h);
	p->h = NULL;
	p->net.open = false;
	p->off_until_ms = world_sim.now_ms + for_ms;
}

/* Into the other slot, or not, as its build is. */
static void restart(struct sim_phone *p)
{
	enum kind kind = p->to_other && p->other != NULL ? p->other->kind : KIND_GOOD;
	const struct release *other = p->other;
	uint64_t down_ms = chance_within(&p->chance, 20000, 3 * MINUTE_MS);
	bool fails = chance_hit(&p->chance, 960000) && !world_sim.calm;

	if (p->to_other && !(fails && (kind == KIND_BRICKS || kind == KIND_SILENT))) {
		p->other = p->runs;
		p->runs = other;
	}
	if (kind == KIND_BRICKS)
		down_ms += 15 * MINUTE_MS;
	if (fails && kind == KIND_SILENT)
		down_ms += chance_within(&p->chance, 3 * SIM_DAY_MS, 20 * SIM_DAY_MS);
	p->to_other = p->restarting = false;
	turn_off(p, down_ms);
}

void phone_make(struct sim_phone *p, unsigned no)
{
	struct chance *c = &p->chance;
	static const char *const products[PRODUCTS] = { "phone-a", "phone-b" };

	memset(p, 0, sizeof(*p));
	p->no = no;
	c->state = world_sim.seed * 1000003 + no * 7919 + 17;
	p->product = products[chance_below(c, 4) == 0];
	p->reports = !chance_hit(c, 80000);
	p->forges = chance_hit(c, 50000);
	p->has_rtc = !chance_hit(c, 100000);
	p->has_boot_clock = !chance_hit(c, 200000);
	p->wish = chance_hit(c, 100000) ? HUIDU_CORE
		: chance_hit(c, 150000) ? HUIDU_HONOUR
		: chance_hit(c, 250000) ? HUIDU_DEV
					: HUIDU_STABLE;
	p->drift_ppm = (int64_t)chance_below(c, 401) - 200;
	p->set_ms = world_sim.now_ms;
	chance_fill(c, p->point, sizeof(p->point));
	p->point[0] = 4;
	p->inner = RING_STABLE;
	memset(p->fence, FENCE, sizeof(p->fence));
	phone_platform(p, &p->platform);
	p->config = (struct huidu_config){ .size = sizeof(p->config),
		.repository = "test",
		.product = p->product,
		.root = world_sim.host.first_root->envelope.p,
		.root_len = world_sim.host.first_root->envelope.n,
		.wish = p->wish,
		.reports = p->reports,
		.build_time_s = world_sim.start_ms / 1000 };
	/* It is bought within the first days. */
	p->off_until_ms = world_sim.now_ms + chance_below(c, 3 * SIM_DAY_MS) + 1;
	p->wake_ms = p->off_until_ms;
}

void phone_release(struct sim_phone *p)
{
	huidu_fini(p->h);
	p->h = NULL;
	free(p->net.answer.p);
	for (unsigned i = 0; i < KEPT_MAX; i++)
		free(p->kept[i].p);
}

/* ---- what it does when ---- */

static void suffer(struct sim_phone *p)
{
	struct chance *c = &p->chance;

	if (fault_hits(c, FAULT_PHONE_CLOCK)) {
		static const int64_t days[] = { -20000, -30, -1, 0, 0, 1, 30, 1000 };
		int64_t day = days[chance_below(c, 8)];
		int64_t skew = day * (int64_t)SIM_DAY_MS +
			(int64_t)chance_below(c, 2 * SIM_HOUR_MS) - (int64_t)SIM_HOUR_MS;
		set_clock(p, skew < -(int64_t)world_sim.now_ms ? -(int64_t)world_sim.now_ms : skew);
	} else if (p->clock_is_wrong && chance_hit(c, 100000)) {
		set_clock(p, 0); /* it met a network that knows */
	}
	if (fault_hits(c, FAULT_REBOOT))
		p->restarting = true;
}

/* The user's apps crash; on some builds more often. */
static void crash(struct sim_phone *p)
{
	enum kind kind = p->runs != NULL ? p->runs->kind : KIND_GOOD;
	uint64_t mean_ms = kind == KIND_CRASHES ? 4 * SIM_DAY_MS : 60 * SIM_DAY_MS;
	uint8_t signature[SHA256_LEN];

	if (p->crash_ms > p->booted_ms && p->came_up) {
		memset(signature, (int)chance_below(&p->chance, 3) + 1, sizeof(signature));
		(void)huidu_report(p->h, HUIDU_EVENT_CRASH, signature, 0); /* may find no room */
	}
	p->crash_ms = world_sim.now_ms + 1 + chance_below(&p->chance, 2 * mean_ms);
}

/* A while by the phone's clock, as the true time. */
static uint64_t due(const struct sim_phone *p)
{
	uint64_t clock_ms = phone_clock(p), at = NEVER;
	uint64_t step = p->next_ms > clock_ms ? world_sim.now_ms + (p->next_ms - clock_ms)
					      : world_sim.now_ms + 1000;

	if (p->net.open)
		at = p->net.at_ms;
	else
		at = step;
	if (p->applying && p->applied_ms < at)
		at = p->applied_ms;
	if (!p->came_up && p->boot_ok_ms < at)
		at = p->boot_ok_ms;
	if (p->crash_ms < at)
		at = p->crash_ms;
	/* Nobody leaves a phone alone for longer. */
	if (at > world_sim.now_ms + 2 * SIM_DAY_MS)
		at = world_sim.now_ms + 2 * SIM_DAY_MS;
	return at > world_sim.now_ms ? at : world_sim.now_ms + 1;
}

static void live(struct sim_phone *p)
{
	if (p->net.open && p->net.at_ms <= world_sim.now_ms)
		net_run(p);
	if (!p->died && p->applying && p->applied_ms <= world_sim.now_ms) {
		p->applying = false;
		huidu_applied(p->h, 0);
	}
	if (!p->died && !p->came_up && p->boot_ok_ms <= world_sim.now_ms) {
		p->came_up = true;
		(void)huidu_boot_ok(p->h); /* tried again at the next start */
	}
	if (!p->died && p->crash_ms <= world_sim.now_ms)
		crash(p);
	if (!p->died && !p->restarting)
		(void)huidu_step(p->h, &p->next_ms); /* on_log has it */
}

void phone_run_now(struct sim_phone *p)
{
	if (p->off_until_ms != 0) {
		if (p->off_until_ms > world_sim.now_ms) {
			p->wake_ms = p->off_until_ms;
			return;
		}
		turn_on(p);
	} else {
		live(p);
		if (!p->died)
			judge_phone(p);
		if (!p->died && !p->net.open)
			suffer(p);
	}
	if (p->off_until_ms == 0 && p->died) {
		p->to_other = false;
		turn_off(p, chance_within(&p->chance, MINUTE_MS, 12 * SIM_HOUR_MS));
	} else if (p->off_until_ms == 0 && p->restarting) {
		restart(p);
	}
	p->wake_ms = p->off_until_ms != 0 ? p->off_until_ms : due(p);
}

void phone_heals(struct sim_phone *p)
{
	p->has_rtc = true;
	p->drift_ppm = 0;
	p->cut_off = false;
	p->die_in = 0;
	/*
	 * Some stay wrong, and must do with what the server proves; not those that are ahead by less
	 * than what the SDK disbelieves: to them all that is signed has expired.
	 */
	if (!p->has_boot_clock || !chance_hit(&p->chance, 500000) ||
		(p->skew_ms > -(int64_t)SIM_HOUR_MS && p->skew_ms < 500 * (int64_t)SIM_DAY_MS))
		set_clock(p, 0);
	if (p->off_until_ms > world_sim.now_ms + MINUTE_MS)
		p->off_until_ms = world_sim.now_ms + MINUTE_MS;
	p->wake_ms = world_sim.now_ms + 1;
}
