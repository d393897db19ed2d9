/* SPDX-License-Identifier: Apache-2.0 */
/* One server, a hundred phones and a build, for attacks on the server's judgement. */
#pragma once

#include "tests/attack/suite.h"
#include "tests/lib/deployment.h"

#define HOUR          3600000ull
#define SCENE_DEVICES 120u
#define SCENE_BUILD   "1.0"

struct scene {
	struct deployment d;
	struct test_device device[2 * SCENE_DEVICES];
	size_t n;
	struct test_plan plan;
};

/* SCENE_DEVICES phones that wait, and SCENE_BUILD published.  `min_id_age` NULL: none. */
struct scene *scene_new(const char *profile, const char *min_id_age);
/* And its rollout started: a third of stable, then all of it. */
struct scene *scene_rolling_out(const char *min_id_age);
void scene_free(struct scene *s);
const Pb__PlanSpec *scene_spec(struct scene *s);

/* So many phones more. */
void scene_enrol(struct scene *s, size_t n);
/*
 * Everybody polls, hour by hour, until the stage has let in all it takes; who is offered the build is in
 * the canary arm, and takes it.
 */
void scene_everybody_polls(struct scene *s);
bool scene_is_canary(const struct test_device *t);
/* An hour passes. */
void scene_settle(struct scene *s);
/* What people are shown of a stage: the arms and what counts in them. */
Pb__StageView scene_stage(struct scene *s, size_t step);
