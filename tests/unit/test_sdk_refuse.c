/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offers that go beyond what was signed: refused, reported once, and the device holds.
 */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

#define HOUR 3600000u

static const struct row {
	const char *why;
	enum envelope_type type;
	void (*edit)(struct honest *s, void *message);
	void (*arrange)(struct honest *s, struct honest_offer *o);
	void (*edit_reply)(struct honest *s, Pb__PollReply *reply);
	int want;
} * row;

static void on_type(struct honest *s, enum envelope_type type, void *message)
{
	if (row->edit != NULL && type == row->type)
		row->edit(s, message);
}

/* A change to a message before it is signed, to the offer, or to the reply. */
#define ON(name, Type, change)                                                                     \
	static void name(struct honest *s, void *message)                                          \
	{                                                                                          \
		Type *m = message;                                                                 \
		(void)s;                                                                           \
		change;                                                                            \
	}
#define ON_OFFER(name, change)                                                                     \
	static void name(struct honest *s, struct honest_offer *o)                                 \
	{                                                                                          \
		(void)s;                                                                           \
		(void)o;                                                                           \
		change;                                                                            \
	}
#define ON_REPLY(name, change)                                                                     \
	static void name(struct honest *s, Pb__PollReply *r)                                       \
	{                                                                                          \
		(void)s;                                                                           \
		change;                                                                            \
	}

static uint8_t other_bytes[33];
static Pb__MetaFile other_file;
static Pb__Target *twice[2];
static const char *own_build[] = { "b1" };

/* What all metadata has. */
ON(repository, void, *honest_fields(row->type, m).repository = "another")
ON(product, void, *honest_fields(row->type, m).product = "phone2")
ON(spec, void, *honest_fields(row->type, m).spec_version = 2)
ON(expires, void, *honest_fields(row->type, m).expires = s->now_s)
ON(version, void, *honest_fields(row->type, m).version = 9)
ON_OFFER(one_signature, s->signatures[row->type] = 1)
ON_OFFER(director_signs, s->signed_as[row->type] = ENVELOPE_DIRECTOR)
ON_OFFER(typed, s->typed_as[row->type] = ENVELOPE_DIRECTOR)
ON_OFFER(crosswise,
	s->signed_as[row->type] = row->type == ENVELOPE_PLAN ? ENVELOPE_TARGETS : ENVELOPE_PLAN)

ON(plan_rollout, Pb__RolloutPlan, m->rollout_id = wire_data(other_bytes, ID_LEN))
ON(plan_seed, Pb__RolloutPlan, m->seed = wire_data(other_bytes, SEED_LEN))
ON(plan_ring, Pb__RolloutPlan, m->steps[0]->ring = 2)
ON(plan_no_steps, Pb__RolloutPlan, m->n_steps = 0)
ON(plan_other_build, Pb__RolloutPlan, other_file = *m->targets;
	other_file.name = "targets/phone1/b3"; m->targets = &other_file)
ON_OFFER(plan_narrow, o->approved_upper = PPM - 1)
ON_OFFER(plan_later, o->not_before_s = s->now_s + 7200)

ON(other_build, Pb__Targets, m->build_id = "b3")
ON(other_counter, Pb__Targets, m->release_counter++)
ON(no_file, Pb__Targets, m->n_targets = 0)
ON(two_files, Pb__Targets, twice[0] = twice[1] = m->targets[0]; m->targets = twice;
	m->n_targets = 2)
ON(only_delta, Pb__Targets, m->targets[0]->base_build_id = "b1")
ON(short_hash, Pb__Targets, m->targets[0]->sha256.len = 16)
ON(long_hash, Pb__Targets, m->targets[0]->sha256 = wire_data(other_bytes, 33))
ON(empty_file, Pb__Targets, m->targets[0]->length = 0)
ON(payload_hash, Pb__Targets, m->targets[0]->payload->file_hash.len = 0)
ON(metadata_hash, Pb__Targets, m->targets[0]->payload->metadata_hash.len = 31)
ON(lower_index, Pb__Targets, m->rollback_index = 4) /* the phone's is 5 */

ON(step_beyond, Pb__Director, m->offers[0]->step = 1)
ON(wider, Pb__Director, m->offers[0]->selector->upper = PPM + 1)
ON(inside_out, Pb__Director, m->offers[0]->selector->from_build_ids = own_build;
	m->offers[0]->selector->n_from_build_ids = 1)
ON(plan_name, Pb__Director, m->offers[0]->plan->name = "plan/00/phone1")
ON(targets_name, Pb__Director, m->offers[0]->targets->name = "targets/phone2/b2")
ON(rollout_short, Pb__Director, m->offers[0]->rollout_id.len = 15)
ON(offer_counter, Pb__Director, m->offers[0]->release_counter = 99)

ON_REPLY(no_plans, r->n_plans = 0)
ON_REPLY(no_targets, r->n_targets = 0)
ON_REPLY(plan_for_targets, r->targets = r->plans)

/* clang-format off */
#define EDIT(type, edit, want)                                                            \
	{                                                                                 \
#		type ": " #                edit, ENVELOPE_##type, edit, NULL, NULL, want \
	}
#define MAKE(type, make, want)                                                            \
	{                                                                                 \
#		type ": " #                make, ENVELOPE_##type, NULL, make, NULL, want \
	}
#define SEND(send, want)                                                               \
	{                                                                              \
#		send, ENVELOPE_PLAN, NULL, NULL, send, want                           \
	}
#define BOTH(macro, what, want) macro(PLAN, what, want), macro(TARGETS, what, want)

static const struct row refused[] = {
	BOTH(EDIT, repository, ERR_WRONG_REPOSITORY),
	BOTH(EDIT, product, ERR_WRONG_PRODUCT),
	BOTH(EDIT, spec, ERR_BAD_RANGE),
	BOTH(EDIT, expires, ERR_EXPIRED),
	BOTH(EDIT, version, ERR_MISMATCH),
	BOTH(MAKE, one_signature, ERR_BELOW_THRESHOLD),
	BOTH(MAKE, director_signs, ERR_BELOW_THRESHOLD),
	BOTH(MAKE, crosswise, ERR_BELOW_THRESHOLD),
	BOTH(MAKE, typed, ERR_WRONG_TYPE),
	EDIT(PLAN, plan_rollout, ERR_PLAN_EXCEEDED),
	EDIT(PLAN, plan_seed, ERR_PLAN_EXCEEDED),
	EDIT(PLAN, plan_ring, ERR_PLAN_EXCEEDED),
	EDIT(PLAN, plan_no_steps, ERR_PLAN_EXCEEDED),
	EDIT(PLAN, plan_other_build, ERR_PLAN_EXCEEDED),
	MAKE(PLAN, plan_narrow, ERR_PLAN_EXCEEDED),
	MAKE(PLAN, plan_later, ERR_TOO_EARLY),
	EDIT(TARGETS, other_build, ERR_MISMATCH),
	EDIT(TARGETS, other_counter, ERR_MISMATCH),
	EDIT(TARGETS, no_file, ERR_MISMATCH),
	EDIT(TARGETS, two_files, ERR_MISMATCH),
	EDIT(TARGETS, only_delta, ERR_MISMATCH),
	EDIT(TARGETS, short_hash, ERR_MISMATCH),
	EDIT(TARGETS, long_hash, ERR_MISMATCH),
	EDIT(TARGETS, empty_file, ERR_MISMATCH),
	EDIT(TARGETS, payload_hash, ERR_MISMATCH),
	EDIT(TARGETS, metadata_hash, ERR_MISMATCH),
	EDIT(TARGETS, lower_index, ERR_ROLLBACK),
	EDIT(DIRECTOR, step_beyond, ERR_PLAN_EXCEEDED),
	EDIT(DIRECTOR, wider, ERR_PLAN_EXCEEDED),
	EDIT(DIRECTOR, inside_out, ERR_PLAN_EXCEEDED),
	EDIT(DIRECTOR, plan_name, ERR_MISMATCH),
	EDIT(DIRECTOR, targets_name, ERR_PLAN_EXCEEDED),
	EDIT(DIRECTOR, rollout_short, ERR_MISMATCH),
	EDIT(DIRECTOR, offer_counter, ERR_MISMATCH),
	SEND(no_plans, ERR_MISMATCH),
	SEND(no_targets, ERR_MISMATCH),
	SEND(plan_for_targets, ERR_MISMATCH),
};
/* clang-format on */

static struct phone *start(void)
{
	struct phone *p = phone_new(honest_new(PHONE_T0 / 1000));

	p->slot.rollback_index = 5;
	assert_true(phone_start(p));
	phone_settle(p);
	return p;
}

static void end(struct phone *p)
{
	void *state = p;

	(void)phone_tear_down(&state);
}

static struct honest_build *new_build(struct honest *s)
{
	struct honest_build *b = honest_add_build(s, "b2", 2, 3000);

	b->rollback_index = 5;
	return b;
}

static void be_honest(struct honest *s)
{
	s->edit = NULL;
	s->edit_reply = NULL;
	memset(s->signatures, 0, sizeof(s->signatures));
	for (unsigned t = 0; t < ENVELOPE__COUNT; t++)
		s->signed_as[t] = s->typed_as[t] = (enum envelope_type)t;
}

static void refuses(struct phone *p, struct honest_offer *o)
{
	struct honest *s = p->server;
	const struct honest_event *e;

	s->edit = on_type;
	s->edit_reply = row->edit_reply;
	if (row->arrange != NULL)
		row->arrange(s, o);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, row->want);
	assert_string_equal(phone_status(p).build_id, "");
	assert_int_equal(phone_status(p).phase, HUIDU_IDLE);
	/* The same again is refused again, and reported once. */
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, row->want);
	phone_poll(p);
	e = honest_last(s, PB__EVENT_KIND__EVENT_REFUSED);
	assert_non_null(e);
	assert_int_equal(e->code, -row->want);
	assert_int_equal(s->n_events, 1);
	assert_int_equal(s->fetches, 0);
}

static void each_refusal(void **state)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct phone *p = start();
		struct honest *s = p->server;
		struct honest_offer *o = honest_add_offer(s, new_build(s), 3, PPM);
		row = &refused[i];
		print_message("# %s\n", row->why);
		refuses(p, o);
		be_honest(s);
		o->approved_upper = PPM;
		o->not_before_s = 0;
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_string_equal(p->other.build_id, "b2");
		end(p);
	}
	(void)state;
}

/*
 * A step that the phone's clock finds early is taken when its time has come, unasked.
 */
static void early(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_offer *o = honest_add_offer(s, new_build(s), 3, PPM);

	(void)state;
	o->not_before_s = s->now_s + 3 * 3600;
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_TOO_EARLY);
	phone_run(p, 6 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(honest_count(s, PB__EVENT_KIND__EVENT_REFUSED, NULL), 1);
	end(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_refusal),
		cmocka_unit_test(early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
