/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One story, message by message: the real server in this process, its clock set by hand, and forty phones
 * with the real SDK.  Their requests are handed over as they are; nothing in between understands them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bucket.h"
#include "tests/attack/story_phone.h"

#define HOUR 3600000ull

static const char *const products[] = { STORY_PRODUCT };

static void publish(struct story *s, const char *build, uint64_t counter)
{
	CHECK_ERR(deployment_publish(&s->d, STORY_PRODUCT, build, counter, build), 0);
}

static void roll_out(struct story *s, const char *build, const char *fixes)
{
	static const struct plan_stage ladder[] = {
		{ RING_STABLE, 250000, 0 },
		{ RING_STABLE, 650000, 0 },
		{ RING_STABLE, 1000000, 0 },
	};
	Pb__PlanSpec *spec = &s->plan.spec;

	(void)plan_of(&s->plan, ladder, 3, 12 * HOUR, 0);
	if (fixes != NULL) {
		spec->fixes = &fixes;
		spec->n_fixes = 1;
	}
	CHECK_ERR(deployment_roll_out(&s->d, build, products, 1, spec), 0);
}

/* Hours of everybody's life but `except`'s. */
static void hours_pass(struct story *s, unsigned hours, const struct phone *except)
{
	for (unsigned i = 0; i < hours; i++) {
		deployment_run(&s->d, HOUR, 60000);
		for (unsigned k = 0; k < STORY_PHONES; k++)
			if (&s->phone[k] != except)
				phone_settle(&s->phone[k]);
	}
}

static uint32_t bucket(const struct story *s, const struct phone *p, const char *release)
{
	const struct rollout *r = deployment_rollout(&s->d, release);

	return bucket_of(r->builds[0].seed, phone_status(p).device_id, STORY_PRODUCT);
}

/* The n-th phone that the second stage lets in and the first does not. */
static struct phone *second_stage(struct story *s, unsigned n)
{
	for (unsigned k = 0; k < STORY_PHONES; k++) {
		uint32_t b = bucket(s, &s->phone[k], "1.0");
		if (b >= 250000 && b < 650000 && n-- == 0)
			return &s->phone[k];
	}
	suite_fail(__FILE__, __LINE__, "no such phone among %u", STORY_PHONES);
}

static void says(struct phone *p, const char *want, int line)
{
	const char *got = phone_asks(p);

	if (strcmp(got, want) != 0)
		suite_fail(__FILE__, line, "\"%s\", not \"%s\"; %s", got, want,
			p->error == 0 ? "no error" : err_name(p->error));
}
#define SAYS(phone, want) says(phone, want, __LINE__)

static void open_story(struct story *s)
{
	const struct deployment_options o = { .profile = "solo" };

	deployment_open(&s->d, &o);
	for (unsigned k = 0; k < STORY_PHONES; k++) {
		struct phone *p = &s->phone[k];
		p->story = s;
		(void)snprintf(p->build_id, sizeof(p->build_id), "factory");
		phone_start(p);
	}
}

static void close_story(struct story *s)
{
	for (unsigned k = 0; k < STORY_PHONES; k++)
		huidu_fini(s->phone[k].h);
	deployment_close(&s->d);
	free(s);
}

static void is_answered(const struct phone *p, enum huidu_answer want)
{
	CHECK_EQ(phone_status(p).answer, want);
	CHECK_ERR(p->error, 0);
}

static void canary_crash_halt_fix(struct lab *l, const struct attack *a)
{
	struct story *s = calloc(1, sizeof(*s));
	struct phone *hero, *late;
	uint8_t signature[32] = { 7 };

	(void)l, (void)a;
	CHECK(s != NULL);
	open_story(s);
	/* Enrol, and a poll that matches nothing: there is nothing. */
	for (unsigned k = 0; k < STORY_PHONES; k++) {
		SAYS(&s->phone[k], "enrol enrol");
		SAYS(&s->phone[k], "poll");
		is_answered(&s->phone[k], HUIDU_UP_TO_DATE);
	}
	publish(s, "1.0", 1);
	roll_out(s, "1.0", NULL);
	hero = second_stage(s, 0);
	late = second_stage(s, 1);
	late->slow = true; /* writes to its other slot for hours */
	/* A poll as control: something is rolled out, to others. */
	SAYS(hero, "poll");
	is_answered(hero, HUIDU_STAGED_OUT);
	for (hours_pass(s, 1, hero); deployment_rollout(&s->d, "1.0")->step == 0;
		hours_pass(s, 1, hero)) {
		SAYS(hero, "poll");
		is_answered(hero, HUIDU_STAGED_OUT);
	}
	/* A poll as canary: offered, fetched, written, asked once more, announced, switched, running. */
	for (unsigned hour = 0;
		phone_status(hero).answer != HUIDU_OFFERED && phone_runs(hero, "factory"); hour++) {
		CHECK(hour < 24);
		hours_pass(s, 1, hero);
		(void)phone_asks(hero);
	}
	if (strstr(hero->log, "poll fetch apply poll report switch restart") == NULL)
		suite_fail(__FILE__, __LINE__, "\"%s\"", hero->log);
	CHECK(phone_runs(hero, "1.0"));
	/* It crashes; the others do. */
	for (unsigned hour = 0; strstr(late->log, "apply") == NULL; hour++) {
		CHECK(hour < 12);
		hours_pass(s, 1, NULL);
	}
	CHECK(phone_runs(late, "factory") && strstr(late->log, "apply") != NULL);
	for (unsigned k = 0; k < STORY_PHONES; k++)
		if (phone_runs(&s->phone[k], "1.0")) {
			s->phone[k].hurt = true;
			CHECK_ERR(huidu_report(s->phone[k].h, HUIDU_EVENT_CRASH, signature, 0), 0);
		}
	(void)phone_asks(hero);
	/* One person stops it. */
	CHECK_ERR(deployment_act(&s->d, "1.0", PB__ACT__ACT_HALT), 0);
	/* It is in the other slot already: the check before the switch drops it. */
	late->log[0] = '\0';
	late->error = 0;
	huidu_applied(late->h, 0);
	phone_settle(late);
	CHECK(strcmp(late->log, "poll") == 0);
	CHECK_ERR(late->error, ERR_BUILD_HALTED);
	CHECK(phone_status(late).build_id[0] == '\0');
	late->slow = false;
	/* The repair goes first to those who were hurt. */
	publish(s, "1.1", 2);
	roll_out(s, "1.1", "1.0");
	(void)phone_asks(hero);
	hours_pass(s, 2, NULL);
	for (unsigned k = 0; k < STORY_PHONES; k++) {
		const struct phone *p = &s->phone[k];
		CHECK(!p->hurt || phone_runs(p, "1.1"));
		CHECK(p->hurt || !phone_runs(p, "1.1") || bucket(s, p, "1.1") < 250000);
	}
	/* And then to all. */
	for (unsigned hour = 0; !phone_runs(late, "1.1"); hour++) {
		CHECK(hour < 200);
		hours_pass(s, 1, NULL);
	}
	close_story(s);
}

static void stage(const struct attack *a)
{
	a->run(NULL, a);
}

int main(int argc, char **argv)
{
	static const struct attack attacks[] = {
		CASE("story_canary_crash_halt_fix", canary_crash_halt_fix),
	};
	const struct attack_group group = { attacks, 1 };
	const struct suite suite = { .groups = &group, .n_groups = 1, .stage = stage };

	return suite_main(&suite, argc, argv);
}
