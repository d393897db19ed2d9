/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/attack/scene.h"

#include <stdlib.h>

#include "server/service/query.h"

static const char *const phone_a[] = { "phone-a" };

/* A third of stable, then all of it. */
static const struct plan_stage ladder[] = {
	{ RING_STABLE, 330000, 0 },
	{ RING_STABLE, 1000000, 0 },
};

void scene_enrol(struct scene *s, size_t n)
{
	while (n-- > 0)
		CHECK_ERR(device_enrol(&s->d, &s->device[s->n++], "phone-a", RING_STABLE), 0);
}

static void open_scene(struct scene *s, const char *profile, const char *min_id_age)
{
	struct deployment_options o = { .profile = profile, .min_id_age = min_id_age };

	deployment_open(&s->d, &o);
	scene_enrol(s, SCENE_DEVICES);
	deployment_run(&s->d, 120000, 60000);
}

void scene_free(struct scene *s)
{
	for (size_t i = 0; i < s->n; i++)
		device_forget(&s->device[i]);
	deployment_close(&s->d);
	free(s);
}

struct scene *scene_new(const char *profile, const char *min_id_age)
{
	struct scene *s = calloc(1, sizeof(*s));

	CHECK(s != NULL);
	open_scene(s, profile, min_id_age);
	CHECK_ERR(deployment_publish(&s->d, "phone-a", SCENE_BUILD, 1, "one"), 0);
	return s;
}

const Pb__PlanSpec *scene_spec(struct scene *s)
{
	return plan_of(&s->plan, ladder, 2, 48 * HOUR, 0);
}

struct scene *scene_rolling_out(const char *min_id_age)
{
	struct scene *s = scene_new("solo", min_id_age);

	CHECK_ERR(deployment_roll_out(&s->d, SCENE_BUILD, phone_a, 1, scene_spec(s)), 0);
	return s;
}

Pb__StageView scene_stage(struct scene *s, size_t step)
{
	const struct rollout *r = deployment_rollout(&s->d, SCENE_BUILD);
	struct query q = { .server = &s->d.server, .arena = &s->d.arena, .now_ms = s->d.now_ms };

	s->d.arena.used = 0;
	return *query_rollout_view(&q, r)->stages[step];
}

void scene_everybody_polls(struct scene *s)
{
	for (unsigned hour = 0; hour < 12; hour++) {
		for (size_t i = 0; i < s->n; i++) {
			struct test_device *t = &s->device[i];
			CHECK_ERR(device_poll(&s->d, t), 0);
			if (t->answer == ANSWER_OFFER)
				CHECK_ERR(device_install(&s->d, t, SCENE_BUILD, 1), 0);
		}
		deployment_run(&s->d, HOUR, 60000);
	}
}

bool scene_is_canary(const struct test_device *t)
{
	return strcmp(t->build_id, SCENE_BUILD) == 0;
}

void scene_settle(struct scene *s)
{
	deployment_run(&s->d, HOUR, 60000);
}
