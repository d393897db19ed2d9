/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/offer.h"

#include <string.h>

#include "proto/bucket.h"

static uint32_t bucket_in(const struct offer_rule *r, const struct offer_device *d)
{
	return d->id == NULL ? BUCKET_ANONYMOUS : bucket_of(r->seed, d->id, d->product);
}

static bool selects(const struct offer_rule *r, const struct offer_device *d)
{
	uint32_t bucket;

	if (r->from_builds != NULL) {
		for (size_t i = 0; i < r->n_from_builds; i++)
			if (strcmp(r->from_builds[i], d->build_id) == 0)
				return true;
		return false;
	}
	bucket = bucket_in(r, d);
	return bucket >= r->lower && bucket < r->upper;
}

static bool is_young(const struct offer_rule *r, const struct offer_device *d)
{
	return r->last_day != 0 && d->id != NULL && d->enrolled_day > r->last_day;
}

static bool is_asked(const struct offer_rules *rules, const struct offer_device *d)
{
	const struct offer_rule *r = &rules->offers[rules->stage.offer];

	return bucket_admission(r->seed, d->id, d->product) < d->admit_ppm;
}

/* The arm of the open stage this device belongs to. */
static enum arm arm_of(const struct offer_rules *rules, const struct offer_device *d)
{
	const struct offer_stage *s = &rules->stage;
	const struct offer_rule *r;
	uint32_t bucket;

	if (!rules->has_stage || d->id == NULL)
		return ARM_NONE;
	r = &rules->offers[s->offer];
	/* A device that would not take the build cannot tell anything about it. */
	if (is_young(r, d) || r->paused || d->release_counter >= r->release_counter ||
		d->failed_tag == r->tag)
		return ARM_NONE;
	bucket = bucket_in(r, d);
	if (bucket >= s->lower && bucket < r->upper)
		return ARM_CANARY;
	return bucket >= s->control_from ? ARM_CONTROL : ARM_NONE;
}

static uint32_t group_of(const struct offer_rules *rules, const struct offer_device *d)
{
	const struct offer_stage *s = &rules->stage;
	uint32_t bucket = bucket_in(&rules->offers[s->offer], d), g = 0;

	while (g < s->n_groups && bucket >= s->group_upper[g])
		g++;
	return g < EVIDENCE_GROUPS ? g : EVIDENCE_GROUPS - 1;
}

/* The first offer that contains the device and is newer than what it runs, or n. */
static size_t first_offer(const struct offer_rules *rules, const struct offer_device *d)
{
	size_t i = 0;

	while (i < rules->n &&
		(rules->offers[i].release_counter <= d->release_counter ||
			!selects(&rules->offers[i], d)))
		i++;
	return i;
}

static enum answer why_nothing(const struct offer_rules *rules, const struct offer_device *d)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rules->offers[i].release_counter > d->release_counter)
			return ANSWER_STAGED_OUT;
	if (rules->halted_counter > 0 && rules->halted_counter >= d->release_counter)
		return ANSWER_HALTED;
	return ANSWER_UP_TO_DATE;
}

struct offer_decision offer_decide(const struct offer_rules *rules, const struct offer_device *d)
{
	struct offer_decision out = { .enters = ARM_NONE };
	const struct offer_rule *r;
	enum arm arm;

	/* 1. What the device will find in its directive. */
	out.offer = first_offer(rules, d);
	r = out.offer < rules->n ? &rules->offers[out.offer] : NULL;
	/* 2. Its arm; those a fix is for are outside both. */
	arm = r != NULL && r->from_builds != NULL ? ARM_NONE : arm_of(rules, d);
	if (arm == ARM_CONTROL && !d->entered && is_asked(rules, d)) {
		out.enters = ARM_CONTROL;
		out.group = group_of(rules, d);
	}
	/* 3. Nothing. */
	if (r == NULL) {
		out.answer = why_nothing(rules, d);
		return out;
	}
	/* 4. "Not now", for good reasons first. */
	out.answer = ANSWER_OFFER;
	if (d->failed_tag == r->tag && r->tag != 0)
		out.answer = ANSWER_FAILED_HERE;
	else if (r->paused)
		out.answer = ANSWER_PAUSED;
	else if (is_young(r, d) && !r->for_young)
		out.answer = ANSWER_YOUNG;
	if (out.answer != ANSWER_OFFER)
		return out;
	/* 5. The canary of the open stage is taken in slowly; all others may go. */
	if (arm != ARM_CANARY || out.offer != rules->stage.offer || d->entered)
		return out;
	if (!is_asked(rules, d)) {
		out.answer = ANSWER_ADMISSION;
		return out;
	}
	out.needs_token = true;
	out.enters = ARM_CANARY;
	return out;
}
