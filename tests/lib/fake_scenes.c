/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "fake_scenes.h"
#include "proto/wire.h"

#define HOUR     3600000ull
#define DAY      (24 * HOUR)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const uint8_t rollout_id[16] = { 0x5e, 0xed, 1, 2, 3 };
static const char *builds[] = { "2.4.1-a", "2.4.1-b" };
static const char *products[] = { "phone-a", "phone-b" };
static const char *approvers[] = { "alice", "bob" };

/* clang-format off */
static const struct {
	uint32_t ring, lower, upper;
	Pb__StageState state;
	uint64_t age_ms, soak_ms;
	uint32_t tolerance;
	uint64_t ring_devices, offered, installed, boot_ok, failed, control, crashed;
	double expected;
	bool holdback;
} running[] = {
	{ 0, 0, 500000, PB__STAGE_STATE__STAGE_DONE, 6 * DAY, DAY, 0, 100, 50, 50, 50, 0, 0, 0, 0, 0 },
	{ 0, 500000, 1000000, PB__STAGE_STATE__STAGE_DONE, 5 * DAY, 6 * HOUR, 0, 100, 50, 50, 49, 1, 0, 1, 0, 0 },
	{ 1, 0, 300000, PB__STAGE_STATE__STAGE_WATCHED, 4 * DAY, DAY, 5000000, 1000, 300, 299, 299, 0, 700, 2, 1.8, 0 },
	{ 1, 300000, 990000, PB__STAGE_STATE__STAGE_WATCHED, 3 * DAY, 12 * HOUR, 0, 1000, 690, 688, 687, 1, 0, 4, 0, 0 },
	{ 2, 0, 10000, PB__STAGE_STATE__STAGE_WATCHED, 27 * HOUR, DAY, 2000000, 100000, 1000, 997, 995, 2, 99000, 7, 6.3, 0 },
	{ 2, 10000, 100000, PB__STAGE_STATE__STAGE_OPEN, 3 * HOUR + 12 * 60000, 6 * HOUR, 1500000, 100000, 9000, 8411, 8240, 11, 89000, 31, 28.4, 0 },
	{ 2, 100000, 990000, PB__STAGE_STATE__STAGE_WAITING, 0, DAY, 0, 100000, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 1, 990000, 1000000, PB__STAGE_STATE__STAGE_WAITING, 0, 0, 0, 1000, 0, 0, 0, 0, 0, 0, 0, 1 },
	{ 2, 990000, 1000000, PB__STAGE_STATE__STAGE_WAITING, 0, 0, 0, 100000, 0, 0, 0, 0, 0, 0, 0, 1 },
};
/* clang-format on */

struct story {
	Pb__RolloutView view;
	Pb__StageView stage[COUNT(running)], *list[COUNT(running)];
};

static void fill_stage(Pb__StageView *s, size_t i, uint64_t now_ms)
{
	*s = (Pb__StageView)PB__STAGE_VIEW__INIT;
	s->ring = running[i].ring;
	s->lower = running[i].lower;
	s->upper = running[i].upper;
	s->state = running[i].state;
	s->opened_ms = running[i].age_ms > 0 ? now_ms - running[i].age_ms : 0;
	s->soak_ms = running[i].soak_ms;
	s->tolerance_ppm = running[i].tolerance;
	s->ring_devices = running[i].ring_devices;
	s->offered = running[i].offered;
	s->installed = running[i].installed;
	s->boot_ok = running[i].boot_ok;
	s->failed = running[i].failed;
	s->control = running[i].control;
	s->crashed = running[i].crashed;
	s->control_crashed = 10 * running[i].crashed;
	s->expected = running[i].expected;
	s->has_expected = s->control > 0;
	s->holdback = running[i].holdback;
	s->has_ratio = s->control > 0;
	s->ratio = s->has_ratio ? (double)s->crashed / s->expected : 0;
	s->has_ratio_low = s->has_ratio_high = s->has_ratio;
	s->ratio_low = s->ratio * 0.7;
	s->ratio_high = s->ratio * 1.5;
	s->log_e = 0.3;
}

static void tell_running(struct story *y, uint64_t now_ms)
{
	Pb__RolloutView *v = &y->view;

	*v = (Pb__RolloutView)PB__ROLLOUT_VIEW__INIT;
	for (size_t i = 0; i < COUNT(running); i++) {
		fill_stage(&y->stage[i], i, now_ms);
		y->list[i] = &y->stage[i];
	}
	v->release = "2.4.1";
	v->rollout_id = wire_data(rollout_id, sizeof(rollout_id));
	v->state = PB__ROLLOUT_STATE__ROLLOUT_RUNNING;
	v->plan = "weekly";
	v->line = "default";
	v->build_ids = builds;
	v->products = products;
	v->n_build_ids = v->n_products = 2;
	v->step = 5;
	v->since_ms = now_ms - 6 * DAY;
	v->log_k = 1.4816045409242156; /* 4.4 */
	v->gate = "soaking: 3 h 12 m of 6 h 0 m";
	v->stages = y->list;
	v->n_stages = COUNT(running);
	v->approved_by = approvers;
	v->n_approved_by = v->threshold = 2;
}

static void halt_it(struct story *y, uint64_t now_ms)
{
	y->view.state = PB__ROLLOUT_STATE__ROLLOUT_HALTED;
	y->view.since_ms = now_ms - 40000;
	y->view.log_k = 5.2;
	y->view.gate = "crashes in dev: evidence 181 : 1 against it, halt at 100 : 1";
	y->stage[5].state = PB__STAGE_STATE__STAGE_STOPPED;
	y->stage[5].crashed = 96;
	y->stage[5].ratio = 3.38;
}

static void set_state(struct story *y, Pb__RolloutState state, const char *gate)
{
	y->view.state = state;
	y->view.gate = gate;
}

static void complete_it(struct story *y, uint64_t now_ms)
{
	set_state(y, PB__ROLLOUT_STATE__ROLLOUT_COMPLETE, "");
	y->view.step = COUNT(running) - 1;
	y->view.log_k = -3;
	for (size_t i = 0; i < COUNT(running); i++) {
		y->stage[i].state = PB__STAGE_STATE__STAGE_DONE;
		if (y->stage[i].opened_ms == 0)
			y->stage[i].opened_ms = now_ms - HOUR;
	}
}

static void resume_it(struct story *y, uint64_t now_ms)
{
	y->stage[5].has_resumed_ms = 1;
	y->stage[5].resumed_ms = now_ms - HOUR;
	y->view.gate = "soaking: 1 h 0 m of 6 h 0 m";
}

static void add(Pb__AdminReply *out, struct story *y, Pb__RolloutView **list)
{
	list[out->n_rollouts++] = &y->view;
	out->rollouts = list;
}

bool scene_fill(const char *name, unsigned look, uint64_t now_ms, Pb__AdminReply *out)
{
	static struct story first, second;
	static Pb__RolloutView *list[2];
	static uint64_t begun_ms;

	/* What happened, happened at one time. */
	begun_ms = begun_ms == 0 ? now_ms : begun_ms;
	now_ms = begun_ms;
	if (strcmp(name, "empty") == 0)
		return true;
	tell_running(&first, now_ms);
	if (strcmp(name, "halted") == 0)
		halt_it(&first, now_ms);
	else if (strcmp(name, "paused") == 0)
		set_state(&first, PB__ROLLOUT_STATE__ROLLOUT_PAUSED, "a person must look");
	else if (strcmp(name, "resumed") == 0)
		resume_it(&first, now_ms);
	else if (strcmp(name, "complete") == 0)
		complete_it(&first, now_ms);
	else if (strcmp(name, "superseded") == 0)
		set_state(&first, PB__ROLLOUT_STATE__ROLLOUT_SUPERSEDED, "2.4.2 took dev");
	else if (strcmp(name, "ticking") == 0)
		first.view.gate = look % 2 ? "soaking: 91 s of 6 h" : "soaking: 90 s of 6 h";
	else if (strcmp(name, "growing") == 0)
		first.stage[5].boot_ok += 10 * look;
	else if (strcmp(name, "running") != 0 && strcmp(name, "two") != 0)
		return false;
	add(out, &first, list);
	if (strcmp(name, "two") == 0) {
		tell_running(&second, now_ms);
		halt_it(&second, now_ms);
		second.view.release = "2.4.0";
		add(out, &second, list);
	}
	return true;
}

/* Two a page. */
void scene_history(const Pb__AdminQuery *q, uint64_t now_ms, Pb__AdminReply *out)
{
	static Pb__HistoryView entry[3], *list[3];
	static const struct {
		const char *who, *what, *why;
	} text[] = {
		{ "alice", "proposed 2.4.1 with plan weekly", NULL },
		{ "director", "opened dev 0 to 1 %", "987 of 990 offers resolved" },
		{ "bob", "paused 2.4.1", "heat on phone-c" },
	};
	const uint64_t first = 4698;
	size_t end = COUNT(text);

	if (q->has_from && q->from < first + COUNT(text))
		end = q->from > first ? (size_t)(q->from - first) : 0;
	for (size_t i = 0; i < end; i++) {
		entry[i] = (Pb__HistoryView)PB__HISTORY_VIEW__INIT;
		entry[i].index = first + i;
		entry[i].time_ms = now_ms - (3 - i) * DAY;
		entry[i].who = text[i].who;
		entry[i].what = text[i].what;
		entry[i].why = text[i].why;
		list[i] = &entry[i];
	}
	out->n_history = end < 2 ? end : 2;
	out->history = list + end - out->n_history;
}

void scene_device(Pb__AdminReply *out, const uint8_t id[16])
{
	static Pb__DeviceView d;
	static Pb__DeviceOffer offer, *list[] = { &offer };
	static uint8_t kept[16];

	memcpy(kept, id, sizeof(kept));
	offer = (Pb__DeviceOffer)PB__DEVICE_OFFER__INIT;
	offer.release = "2.4.1";
	offer.bucket = 721300;
	offer.upper = 10000;
	offer.arm = "none";
	offer.why = "not reached: stable is open to 1 %, this device comes at 72.13 %";
	d = (Pb__DeviceView)PB__DEVICE_VIEW__INIT;
	d.device_id = wire_data(kept, sizeof(kept));
	d.product = "phone-a";
	d.ring = 3;
	d.wish = 1;
	d.enrolled_day = 20700;
	d.last_seq = 41;
	d.last_build = "2.4.0-a";
	d.offers = list;
	d.n_offers = 1;
	out->device = &d;
}

void scene_rings(Pb__AdminReply *out)
{
	static Pb__RingView ring[4], *list[4];
	static const uint64_t seats[] = { 100, 1000, 100000, 0 };
	static const uint64_t taken[] = { 100, 987, 64123, 1810904 };

	for (uint32_t i = 0; i < 4; i++) {
		ring[i] = (Pb__RingView)PB__RING_VIEW__INIT;
		ring[i].line = "default";
		ring[i].ring = i;
		ring[i].seats = seats[i];
		ring[i].taken = taken[i];
		ring[i].waiting = i == 0 ? 31 : 0;
		list[i] = &ring[i];
	}
	out->rings = list;
	out->n_rings = 4;
}
