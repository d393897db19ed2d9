/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the server's judgement: devices that lie. */
#include "tests/attack/cases.h"
#include "tests/attack/scene.h"

#include <stdio.h>

static const char *const phone_a[] = { "phone-a" };

static struct test_device *a_canary(struct scene *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (scene_is_canary(&s->device[i]))
			return &s->device[i];
	suite_fail(__FILE__, __LINE__, "there is no canary");
}

static void crash(struct scene *s, struct test_device *t, unsigned times)
{
	while (times-- > 0)
		CHECK_ERR(device_report_one(&s->d, t, SCENE_BUILD, PB__EVENT_KIND__EVENT_CRASH), 0);
}

/* Of phones the stage does not follow: enrolled and never polled, or in no share that is open. */
static void vote_outside_selector(struct lab *l, const struct attack *a)
{
	struct scene *s = scene_rolling_out(NULL);
	size_t followed;
	Pb__StageView v;

	(void)l, (void)a;
	scene_everybody_polls(s);
	followed = s->n;
	v = scene_stage(s, 0);
	CHECK(v.offered > 0 && v.control > 0);
	CHECK_EQ(v.offered + v.control, followed);
	scene_enrol(s, SCENE_DEVICES); /* an army that has not been let in anywhere */
	for (size_t i = 0; i < s->n; i++)
		if (i >= followed || !scene_is_canary(&s->device[i]))
			crash(s, &s->device[i], 1);
	scene_settle(s);
	CHECK_EQ(scene_stage(s, 0).crashed, 0);
	CHECK(scene_stage(s, 0).control_crashed <= v.control);
	CHECK_EQ(deployment_rollout(&s->d, SCENE_BUILD)->state, ROLLOUT_RUNNING);
	scene_free(s);
}

static void vote_twice(struct lab *l, const struct attack *a)
{
	struct scene *s = scene_rolling_out(NULL);

	(void)l, (void)a;
	scene_everybody_polls(s);
	crash(s, a_canary(s), 30);
	scene_settle(s);
	CHECK_EQ(scene_stage(s, 0).crashed, 1);
	CHECK_EQ(deployment_rollout(&s->d, SCENE_BUILD)->state, ROLLOUT_RUNNING);
	scene_free(s);
}

/* The same numbers again, whatever is in them; and in another's name. */
static void vote_replay(struct lab *l, const struct attack *a)
{
	struct scene *s = scene_rolling_out(NULL);
	struct test_device *t, forger;
	Pb__StageView before, after;

	(void)l, (void)a;
	scene_everybody_polls(s);
	t = a_canary(s);
	crash(s, t, 1);
	scene_settle(s);
	before = scene_stage(s, 0);
	for (unsigned i = 0; i < 20; i++) {
		t->seq--;
		CHECK_ERR(
			device_report_one(&s->d, t, SCENE_BUILD, PB__EVENT_KIND__EVENT_BOOT_FAILED),
			0);
	}
	forger = *t;
	forger.report_key[0] ^= 1;
	CHECK_ERR(device_report_one(&s->d, &forger, SCENE_BUILD, PB__EVENT_KIND__EVENT_BOOT_FAILED),
		ERR_BAD_MAC);
	scene_settle(s);
	after = scene_stage(s, 0);
	CHECK_EQ(after.crashed, before.crashed);
	CHECK_EQ(after.failed, before.failed);
	CHECK_EQ(after.boot_ok, before.boot_ok);
	scene_free(s);
}

/* Told to be well again, a phone has crashed all the same: the first event stands. */
static void vote_downgrade(struct lab *l, const struct attack *a)
{
	static const Pb__EventKind well[] = { PB__EVENT_KIND__EVENT_BOOT_OK,
		PB__EVENT_KIND__EVENT_ALIVE, PB__EVENT_KIND__EVENT_INSTALLED };
	struct scene *s = scene_rolling_out(NULL);
	struct test_device *t;

	(void)l, (void)a;
	scene_everybody_polls(s);
	t = a_canary(s);
	CHECK_ERR(device_report_one(&s->d, t, SCENE_BUILD, PB__EVENT_KIND__EVENT_ROLLED_BACK), 0);
	crash(s, t, 1);
	for (unsigned i = 0; i < 5; i++)
		CHECK_ERR(device_report(&s->d, t, SCENE_BUILD, well, 3), 0);
	scene_settle(s);
	CHECK_EQ(scene_stage(s, 0).crashed, 1);
	CHECK_EQ(scene_stage(s, 0).failed, 1);
	scene_free(s);
}

/* All canaries take the build and are never heard of again. */
static void silent_canary(struct lab *l, const struct attack *a)
{
	static const Pb__EventKind last[] = { PB__EVENT_KIND__EVENT_DOWNLOADED,
		PB__EVENT_KIND__EVENT_INSTALLING };
	struct scene *s = scene_rolling_out(NULL);

	(void)l, (void)a;
	for (unsigned hour = 0; hour < 100; hour++) {
		for (size_t i = 0; i < s->n; i++) {
			struct test_device *t = &s->device[i];
			if (scene_is_canary(t))
				continue;
			CHECK_ERR(device_poll(&s->d, t), 0);
			if (t->answer != ANSWER_OFFER)
				continue;
			CHECK_ERR(device_report(&s->d, t, SCENE_BUILD, last, 2), 0);
			(void)snprintf(t->build_id, sizeof(t->build_id), SCENE_BUILD);
		}
		scene_settle(s);
	}
	CHECK(scene_stage(s, 0).offered > 0);
	CHECK_EQ(deployment_rollout(&s->d, SCENE_BUILD)->step, 0);
	CHECK(deployment_rollout(&s->d, SCENE_BUILD)->state != ROLLOUT_COMPLETE);
	scene_free(s);
}

/* Ids that were made after the plan: not offered, not counted, whatever they say. */
static void young_ids(struct lab *l, const struct attack *a)
{
	struct scene *s = scene_new("solo", "1d");
	size_t old = s->n;
	uint64_t offered;

	(void)l, (void)a;
	deployment_run(&s->d, 75 * HOUR, HOUR); /* whole days count */
	CHECK_ERR(deployment_roll_out(&s->d, SCENE_BUILD, phone_a, 1, scene_spec(s)), 0);
	scene_enrol(s, SCENE_DEVICES);
	for (size_t i = old; i < s->n; i++) {
		CHECK_ERR(device_poll(&s->d, &s->device[i]), 0);
		CHECK(s->device[i].answer != ANSWER_OFFER);
	}
	for (size_t i = old; i < s->n; i++)
		crash(s, &s->device[i], 3);
	scene_settle(s);
	CHECK_EQ(scene_stage(s, 0).offered, 0);
	CHECK_EQ(scene_stage(s, 0).control, 0);
	scene_everybody_polls(s);
	offered = scene_stage(s, 0).offered;
	CHECK(offered > 0 && offered + scene_stage(s, 0).control <= old);
	for (size_t i = old; i < s->n; i++)
		crash(s, &s->device[i], 3);
	scene_settle(s);
	CHECK_EQ(scene_stage(s, 0).crashed, 0);
	CHECK_EQ(scene_stage(s, 0).control_crashed, 0);
	CHECK_EQ(deployment_rollout(&s->d, SCENE_BUILD)->state, ROLLOUT_RUNNING);
	scene_free(s);
}

static const struct attack attacks[] = {
	CASE("ra_vote_outside_selector", vote_outside_selector),
	CASE("ra_vote_twice", vote_twice),
	CASE("ra_vote_replay", vote_replay),
	CASE("ra_vote_downgrade", vote_downgrade),
	CASE("ra_silent_canary_not_promoted", silent_canary),
	CASE("ra_young_ids_are_in_no_arm", young_ids),
};
const struct attack_group ra_votes = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
