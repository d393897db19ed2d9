/* SPDX-License-Identifier: Apache-2.0 */
/* Which offer a device takes, passes over, or refuses. */
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

/* What all metadata has. */
static void repository(struct honest *s, void *m)
{
	(void)s;
	*honest_fields(row->type, m).repository = "another";
}

static void product(struct honest *s, void *m)
{
	(void)s;
	*honest_fields(row->type, m).product = "phone2";
}

static void spec(struct honest *s, void *m)
{
	(void)s;
	*honest_fields(row->type, m).spec_version = 2;
}

static void expires(struct honest *s, void *m)
{
	*honest_fields(row->type, m).expires = s->now_s;
}

static void version(struct honest *s, void *m)
{
	(void)s;
	*honest_fields(row->type, m).version = 9;
}

static void one_signature(struct honest *s, struct honest_offer *o)
{
	(void)o;
	s->signatures[row->type] = 1;
}

static void director_signs(struct honest *s, struct honest_offer *o)
{
	(void)o;
	s->signed_as[row->type] = ENVELOPE_DIRECTOR;
}

static void crosswise(struct honest *s, struct honest_offer *o)
{
	(void)o;
	s->signed_as[row->type] =
		row->type == ENVELOPE_PLAN ? ENVELOPE_TARGETS : ENVELOPE_PLAN;
}

static void typed(struct honest *s, struct honest_offer *o)
{
	(void)o;
	s->typed_as[row->type] = ENVELOPE_DIRECTOR;
}

/* Plan. */
static void plan_rollout(struct honest *s, void *m)
{
	static uint8_t other[ID_LEN];

	(void)s;
	((Pb__RolloutPlan *)m)->rollout_id = wire_data(other, ID_LEN);
}

static void plan_seed(struct honest *s, void *m)
{
	((Pb__RolloutPlan *)m)->seed = wire_data(s->report_key, SEED_LEN);
}

static void plan_ring(struct honest *s, void *m)
{
	(void)s;
	((Pb__RolloutPlan *)m)->steps[0]->ring = 2;
}

static void plan_no_steps(struct honest *s, void *m)
{
	(void)s;
	((Pb__RolloutPlan *)m)->n_steps = 0;
}

static void plan_other_build(struct honest *s, void *m)
{
	static Pb__MetaFile other;

	(void)s;
	other = *((Pb__RolloutPlan *)m)->targets;
	other.name = "targets/phone1/b3";
	((Pb__RolloutPlan *)m)->targets = &other;
}

static void plan_narrow(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->approved_upper = PPM - 1;
}

static void plan_later(struct honest *s, struct honest_offer *o)
{
	o->not_before_s = s->now_s + 7200;
}

/* Targets. */
static void other_build(struct honest *s, void *m)
{
	(void)s;
	((Pb__Targets *)m)->build_id = "b3";
}

static void other_counter(struct honest *s, void *m)
{
	(void)s;
	((Pb__Targets *)m)->release_counter++;
}

static void no_file(struct honest *s, void *m)
{
	(void)s;
	((Pb__Targets *)m)->n_targets = 0;
}

static void two_files(struct honest *s, void *m)
{
	static Pb__Target *twice[2];

	(void)s;
	twice[0] = twice[1] = ((Pb__Targets *)m)->targets[0];
	((Pb__Targets *)m)->targets = twice;
	((Pb__Targets *)m)->n_targets = 2;
}

static void only_delta(struct honest *s, void *m)
{
	(void)s;
	((Pb__Targets *)m)->targets[0]->base_build_id = "b1";
}

static void short_hash(struct honest *s, void *m)
{
	(void)s;
	((Pb__Targets *)m)->targets[0]->sha256.len = 16;
}

static void long_hash(struct honest *s, void *m)
{
	static uint8_t hash[33];

	(void)s;
	((Pb__Targets *)m)->targets[0]->sha256 = wire_data(hash, sizeof(hash));
}

static void empty_file(struct honest *s, void *m)
{
	(void)s;
	((Pb__Targets *)m)->targets[0]->length = 0;
}

static void payload_hash(struct honest *s, void *m)
{
	(void)s;
	((Pb__Targets *)m)->targets[0]->payload->file_hash.len = 0;
}

static void lower_index(struct honest *s, void *m)
{
	(void)s;
	((Pb__Targets *)m)->rollback_index = 4; /* the phone's is 5 */
}

/* Director. */
static void step_beyond(struct honest *s, void *m)
{
	(void)s;
	((Pb__Director *)m)->offers[0]->step = 1;
}

static void wider(struct honest *s, void *m)
{
	(void)s;
	((Pb__Director *)m)->offers[0]->selector->upper = PPM + 1;
}

static void inside_out(struct honest *s, void *m)
{
	(void)s;
	((Pb__Director *)m)->offers[0]->selector->from_build_ids = s->halted;
	((Pb__Director *)m)->offers[0]->selector->n_from_build_ids = 1;
	s->halted[0] = "b1";
}

static void plan_name(struct honest *s, void *m)
{
	(void)s;
	((Pb__Director *)m)->offers[0]->plan->name = "plan/00/phone1";
}

static void targets_name(struct honest *s, void *m)
{
	(void)s;
	((Pb__Director *)m)->offers[0]->targets->name = "targets/phone2/b2";
}

static void rollout_short(struct honest *s, void *m)
{
	(void)s;
	((Pb__Director *)m)->offers[0]->rollout_id.len = 15;
}

static void offer_counter(struct honest *s, void *m)
{
	(void)s;
	((Pb__Director *)m)->offers[0]->release_counter = 99;
}

/* Reply. */
static void no_plans(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	r->n_plans = 0;
}

static void no_targets(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	r->n_targets = 0;
}

static void plan_for_targets(struct honest *s, Pb__PollReply *r)
{
	(void)s;
	r->targets = r->plans;
}

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

/* A step that the phone's clock finds early is taken when its time has come, unasked.
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

/* Not for this device: a hold, and no error. */
static void by_bucket(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->upper = 0;
}

static void by_lower(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->lower = o->upper = PPM;
}

static void by_build(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->from_build_id = "b0";
}

static void by_counter(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->build->release_counter = 1;
}

static void by_name(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->build->build_id = "b1";
}

static void by_action(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->action = 3;
}

static void by_halt(struct honest *s, struct honest_offer *o)
{
	s->halted[s->n_halted++] = o->build->build_id;
}

static void by_no_way_back(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->action = 2;
	o->build->release_counter = 0;
}

static void by_index_changed(struct honest *s, struct honest_offer *o)
{
	by_no_way_back(s, o);
	o->build->rollback_from = "b1";
	o->build->rollback_index = 6;
}

static void by_way_back_forward(struct honest *s, struct honest_offer *o)
{
	(void)s;
	o->action = 2;
	o->build->rollback_from = "b1";
}

static void each_hold(void **state)
{
	static void (*const holds[])(struct honest *, struct honest_offer *) = {
		by_bucket, by_lower, by_build, by_counter, by_name, by_action, by_halt,
		by_no_way_back, by_index_changed, by_way_back_forward
	};

	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		struct phone *p = start();
		struct honest *s = p->server;
		struct honest_offer *o = honest_add_offer(s, new_build(s), 3, PPM);
		print_message("# hold %zu\n", i);
		holds[i](s, o);
		s->answer = PB__ANSWER__ANSWER_OFFER;
		honest_publish(s);
		phone_run(p, 3 * HOUR);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_int_equal(phone_status(p).answer, HUIDU_STAGED_OUT);
		assert_string_equal(p->slot.build_id, "b1");
		assert_int_equal(s->n_events, 0);
		end(p);
	}
	(void)state;
}

static void first_that_fits(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_build *b4 = honest_add_build(s, "b4", 4, 3000);

	(void)state;
	b4->rollback_index = 5;
	honest_add_offer(s, new_build(s), 3, PPM);
	honest_add_offer(s, honest_add_build(s, "b3", 3, 3000), 3, PPM)
		->build->rollback_index = 5;
	honest_add_offer(s, b4, 3, 0);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_publish(s);
	phone_poll(p);
	assert_string_equal(phone_status(p).build_id, "b3");
	end(p);
}

/* The share that is open is the device's bucket, to the part in a million. */
static void own_bucket(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_offer *o = honest_add_offer(s, new_build(s), 3, PPM);
	uint32_t bucket = bucket_of(
		s->roles[ENVELOPE_ROOT].keyid[0], s->device_id, HONEST_PRODUCT);
	const struct {
		uint32_t lower, upper;
		const char *want;
	} cases[] = {
		{ 0, bucket, "" },
		{ 0, bucket + 1, "b2" },
		{ bucket, bucket + 1, "b2" },
		{ bucket + 1, PPM, "" },
	};

	(void)state;
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		o->lower = cases[i].lower;
		o->upper = o->approved_upper = cases[i].upper;
		honest_publish(s);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_string_equal(phone_status(p).build_id, cases[i].want);
	}
	end(p);
}

/* Who polls without an id is in the last bucket. */
static void anonymous(void **state)
{
	struct honest *s = honest_new(PHONE_T0 / 1000);
	struct phone *p = phone_new(s);
	struct honest_offer *o;

	(void)state;
	p->config.reports = 0;
	s->ring_why = PB__RING_WHY__RING_WHY_ANONYMOUS;
	assert_true(phone_start(p));
	o = honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	o->upper = o->approved_upper = PPM - 1;
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b1");
	assert_int_equal(phone_status(p).ring_why, HUIDU_RING_ANONYMOUS);
	o->upper = o->approved_upper = PPM;
	honest_publish(s);
	assert_int_equal(huidu_report(p->h, HUIDU_EVENT_ALIVE, NULL, 0), 0);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(s->enrolments, 0);
	assert_int_equal(s->n_events, 0);
	assert_int_equal(s->reports, 0);
	assert_int_equal(s->anonymous_polls, s->polls);
	end(p);
}

/* A fix goes to those on the build it names, whatever their bucket. */
static void fix(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_offer *o = honest_add_offer(s, new_build(s), 3, 0);

	(void)state;
	o->upper = PPM;
	o->from_build_id = "b1";
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	end(p);
}

static void way_back(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_build *b0 = honest_add_build(s, "b0", 0, 3000);
	struct honest_offer *o = honest_add_offer(s, b0, 3, PPM);

	(void)state;
	o->action = 2;
	b0->rollback_index = 5;
	b0->rollback_from = "b1";
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b0");
	assert_int_equal(honest_count(s, PB__EVENT_KIND__EVENT_BOOT_OK, "b0"), 1);
	end(p);
}

/* A way back whose Targets cannot be trusted is refused like any other. */
static void way_back_forged(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_build *b0 = honest_add_build(s, "b0", 0, 3000);
	struct honest_offer *o = honest_add_offer(s, b0, 3, PPM);

	(void)state;
	o->action = 2;
	b0->rollback_index = 5;
	b0->rollback_from = "b1";
	s->signatures[ENVELOPE_TARGETS] = 1;
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_BELOW_THRESHOLD);
	phone_run(p, 3 * HOUR);
	assert_string_equal(p->slot.build_id, "b1");
	end(p);
}

/* A newer offer takes the place of one that was chosen; withdrawing it leaves none. */
static void superseded(void **state)
{
	struct phone *p = start();
	struct honest *s = p->server;
	struct honest_build *b3 = honest_add_build(s, "b3", 3, 4000);

	(void)state;
	b3->rollback_index = 5;
	honest_add_offer(s, new_build(s), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_publish(s);
	phone_poll(p);
	assert_string_equal(phone_status(p).build_id, "b2");
	honest_add_offer(s, b3, 3, PPM);
	honest_publish(s);
	phone_poll(p);
	assert_string_equal(phone_status(p).build_id, "b3");
	honest_withdraw(s);
	honest_publish(s);
	phone_poll(p);
	assert_string_equal(phone_status(p).build_id, "");
	end(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_refusal),
		cmocka_unit_test(early),
		cmocka_unit_test(each_hold),
		cmocka_unit_test(first_that_fits),
		cmocka_unit_test(own_bucket),
		cmocka_unit_test(anonymous),
		cmocka_unit_test(fix),
		cmocka_unit_test(way_back),
		cmocka_unit_test(way_back_forged),
		cmocka_unit_test(superseded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
