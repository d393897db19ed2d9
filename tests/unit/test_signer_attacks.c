/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile huidud and hostile people, against the signer: who may what, when, and how often. */
#include "unit.h"

#include "signer_world.h"

#define HOUR_MS 3600000ull

static struct bytes targets_envelope, plan_envelope;

/* Proposed by Alice, and not approved yet. */
static void propose(void)
{
	signer_world_make();
	targets_envelope = signer_world_targets(ALICE | BOB);
	assert_int_equal(signer_world_propose(ALICE), 0);
}

static int approve(unsigned who)
{
	plan_envelope = signer_world_plan(who);
	return signer_world_approve(plan_envelope, who & 1 ? ALICE : who & 2 ? BOB : CAROL);
}

static int admit(void)
{
	return signer_admit(w.signer, plan_envelope, targets_envelope);
}

/* ---- commands ---- */

static Pb__AdminCommand command;
static Pb__RolloutAct act;
static Pb__SeatAct seat;
static Pb__Confirm confirm;
static Pb__Withdraw withdraw;
static uint8_t device[2][ID_LEN];
static ProtobufCBinaryData devices[] = { { ID_LEN, device[0] }, { ID_LEN, device[1] } };

/* A halt of the rollout, to be spoilt. */
static void make_halt(void)
{
	signer_world_head(&command);
	act = (Pb__RolloutAct)PB__ROLLOUT_ACT__INIT;
	act.act = PB__ACT__ACT_HALT;
	act.rollout_id = wire_data(w.rollout_id, ID_LEN);
	command.act = &act;
}

static void as_it_is(void)
{
}

static void expired(void)
{
	command.issued_at -= 700;
	command.expires = signer_now_s() - 1;
}

static void from_the_future(void)
{
	command.issued_at += 61;
}

static void lives_too_long(void)
{
	command.expires = command.issued_at + 901;
}

static void ends_before_it_begins(void)
{
	command.issued_at += 20;
	command.expires = signer_now_s() + 10;
}

static void other_repository(void)
{
	command.repository = "other";
}

static void short_nonce(void)
{
	command.nonce.len = ID_LEN - 1;
}

static void newer_form(void)
{
	command.spec_version = 2;
}

static void other_rollout(void)
{
	static uint8_t id[ID_LEN];

	act.rollout_id = wire_data(id, ID_LEN);
}

static void no_log(void)
{
	command.audit_size = 0;
}

static void log_of_the_future(void)
{
	command.audit_size = w.log.size + 1;
}

static void two_things(void)
{
	confirm = (Pb__Confirm)PB__CONFIRM__INIT;
	confirm.what = PB__CONFIRM_WHAT__CONFIRM_CLOCK;
	command.confirm = &confirm;
}

static void nothing(void)
{
	command.act = NULL;
}

static const struct {
	const char *why;
	void (*spoil)(void);
	int want;
} spoilt[] = {
	{ "expired", expired, ERR_STALE },
	{ "from the future", from_the_future, ERR_STALE },
	{ "lives too long for one person", lives_too_long, ERR_STALE },
	{ "ends before it begins", ends_before_it_begins, ERR_STALE },
	{ "another deployment's", other_repository, ERR_WRONG_REPOSITORY },
	{ "a short nonce", short_nonce, ERR_BAD_RANGE },
	{ "a newer form", newer_form, ERR_BAD_RANGE },
	{ "another rollout", other_rollout, ERR_NOT_FOUND },
	{ "of no log", no_log, ERR_CONFLICT },
	{ "of a log that is not there yet", log_of_the_future, ERR_CONFLICT },
	{ "two things at once", two_things, ERR_MALFORMED },
	{ "nothing", nothing, ERR_MALFORMED },
	{ "as it is", as_it_is, 0 },
};

/* Neither checked nor appended, whatever huidud says; and the honest one is, afterwards. */
static void test_commands(void **state)
{
	(void)state;
	signer_world_roll_out();
	for (size_t i = 0; i < COUNT(spoilt); i++) {
		struct bytes e;
		int err;
		make_halt();
		spoilt[i].spoil();
		e = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, BOB);
		err = signer_world_check(e);
		if (err != spoilt[i].want)
			fail_msg("%s: %s (%s)", spoilt[i].why, err_name(err), w.text);
		err = signer_world_append(e);
		if (err != spoilt[i].want)
			fail_msg("%s, appended: %s", spoilt[i].why, err_name(err));
		assert_int_equal(signer_world_direct(), spoilt[i].want == 0 ? ERR_BUILD_HALTED : 0);
	}
}

/* Nobody's, a stranger's, an online key's: none is a person's command. */
static void test_strangers(void **state)
{
	struct bytes e;
	struct signer_item item;
	struct buf out = { 0 };

	(void)state;
	signer_world_roll_out();
	make_halt();
	e = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, 0);
	assert_int_equal(signer_world_check(e), ERR_BELOW_THRESHOLD);
	assert_int_equal(signer_world_append(e), ERR_BELOW_THRESHOLD);
	e = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_ROOT, ALICE | BOB | CAROL);
	assert_int_equal(signer_world_check(e), ERR_BELOW_THRESHOLD);
	/* The signer does not sign commands for huidud. */
	item = signer_world_item(ENVELOPE_COMMAND, &command);
	assert_int_equal(signer_sign(w.signer, &item, 1, &out), ERR_WRONG_TYPE);
	/* Nor is a decision taken for a command, or a query. */
	e = signer_world_sign(ENVELOPE_QUERY, &command, KEY_RELEASE, ALICE);
	assert_int_equal(signer_world_check(e), ERR_WRONG_TYPE);
	assert_int_equal(signer_world_append(e), ERR_WRONG_TYPE);
	e = signer_world_sign(ENVELOPE_DECISION, &command, KEY_RELEASE, ALICE);
	assert_true(signer_world_append(e) < 0);
	e = signer_world_sign(ENVELOPE_DIRECTOR, &w.director, KEY_RELEASE, ALICE);
	assert_int_equal(signer_world_append(e), ERR_BELOW_THRESHOLD);
}

/* The same command counts once, in this life and the next. */
static void test_replay(void **state)
{
	struct bytes e, other;

	(void)state;
	signer_world_roll_out();
	make_halt();
	act.act = PB__ACT__ACT_PAUSE;
	e = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, ALICE);
	assert_int_equal(signer_world_append(e), 0);
	assert_int_equal(signer_world_check(e), ERR_REPLAYED);
	assert_int_equal(signer_world_append(e), ERR_REPLAYED);
	/* With another signature it is the same command; with its nonce another is none. */
	other = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, BOB);
	assert_int_equal(signer_world_append(other), ERR_REPLAYED);
	act.act = PB__ACT__ACT_HALT;
	other = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, ALICE);
	assert_int_equal(signer_world_append(other), ERR_REPLAYED);
	signer_world_restart();
	assert_int_equal(signer_world_append(e), ERR_REPLAYED);
	/* As long as an entry may say that it was in time, it is known. */
	uint64_t in_time = signer_time->wall_ms + 599000;
	signer_time_passes(500000);
	assert_int_equal(signer_world_act(PB__ACT__ACT_PAUSE, KEY_RELEASE, BOB), 0);
	assert_int_equal(signer_world_append(e), ERR_REPLAYED);
	signer_time_passes(150000);
	assert_int_equal(signer_world_act(PB__ACT__ACT_PAUSE, KEY_RELEASE, BOB), 0);
	assert_int_equal(signer_world_append_at(e, in_time), ERR_REPLAYED);
	/* Afterwards it has expired, at whatever time it is brought. */
	signer_time_passes(601000);
	assert_int_equal(signer_world_act(PB__ACT__ACT_PAUSE, KEY_RELEASE, BOB), 0);
	assert_int_equal(signer_world_append(e), ERR_STALE);
	signer_time_passes(HOUR_MS);
	assert_int_equal(signer_world_decide(PB__DECISION_KIND__DECISION_PAUSE, 0), 0);
	assert_int_equal(signer_world_append(e), ERR_STALE);
}

/* An entry's time cannot be chosen. */
static void test_entry_times(void **state)
{
	struct bytes e;

	(void)state;
	signer_world_roll_out();
	assert_int_equal(signer_world_direct(), 0);
	make_halt();
	act.act = PB__ACT__ACT_HALT;
	e = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, ALICE);
	assert_int_equal(signer_world_append_at(e, signer_time->wall_ms + 61000), ERR_CLOCK);
	/* A start that was held back comes too late, though nothing was logged since. */
	propose();
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), 0);
	make_halt();
	act.act = PB__ACT__ACT_START;
	e = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, ALICE);
	uint64_t then = signer_time->wall_ms;
	assert_int_equal(signer_world_check(e), 0);
	signer_time_passes(HOUR_MS);
	assert_int_equal(signer_world_append(e), ERR_STALE);
	w.director.n_offers = 0;
	assert_int_equal(signer_world_direct(), 0);
	assert_int_equal(signer_world_append_at(e, then), ERR_CLOCK);
}

/* Entries that nobody checked before are checked all the same; all or none. */
static void test_all_or_none(void **state)
{
	struct signer_log before, after;
	struct bytes entry[2];

	(void)state;
	signer_world_roll_out();
	make_halt();
	assert_int_equal(signer_log(w.signer, &before), 0);
	entry[0] = signer_world_entry(
		signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, ALICE),
		signer_time->wall_ms);
	command.repository = "other";
	entry[1] = signer_world_entry(
		signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, ALICE),
		signer_time->wall_ms);
	assert_int_equal(signer_append(w.signer, entry, 2, NULL), ERR_WRONG_REPOSITORY);
	assert_int_equal(signer_log(w.signer, &after), 0);
	assert_int_equal(after.size, before.size);
	assert_memory_equal(after.root, before.root, SHA256_LEN);
	assert_int_equal(signer_world_direct(), 0); /* nothing was halted */
	assert_int_equal(signer_append(w.signer, entry, 1, NULL), 0);
	assert_int_equal(signer_world_direct(), ERR_BUILD_HALTED);
	/* None is the log as it is, signed. */
	assert_int_equal(signer_append(w.signer, NULL, 0, &w.note), 0);
}

static void test_size(void **state)
{
	uint8_t big[65536] = { 0 };
	struct bytes entry = bytes_of(big, sizeof(big));

	(void)state;
	assert_int_equal(signer_append(w.signer, &entry, 1, NULL), ERR_TOO_BIG);
}

/* ---- the log is one ---- */

/* After a restart with the same ledger another history cannot be signed. */
static void test_fork(void **state)
{
	struct signer_log log;
	struct bytes e;

	(void)state;
	signer_world_roll_out();
	/* From the beginning again: the root is entry 0 and no other. */
	signer_world_restart();
	assert_int_equal(signer_log(w.signer, &log), 0);
	assert_int_equal(log.size, w.log.size);
	assert_memory_equal(log.root, w.log_root, SHA256_LEN);
	e = w.root->envelope;
	assert_int_equal(signer_world_append(e), ERR_ROOT_VERSION);
	/* Whatever comes is behind what was. */
	signer_world_make();
	w.spec.name = "other";
	assert_int_equal(signer_world_propose(BOB), 0);
	assert_int_equal(signer_log(w.signer, &log), 0);
	assert_int_equal(log.size, w.log.size);
	assert_memory_equal(log.root, w.log_root, SHA256_LEN);
}

/* A new ledger takes the root it was started with, and nothing before it. */
static void test_first_entry(void **state)
{
	struct bytes e;

	(void)state;
	make_halt();
	signer_stop(w.signer);
	w.signer = NULL;
	assert_int_equal(unlink(tmpdir_path("ledger")), 0);
	assert_int_equal(signer_world_start(), 0);
	w.log = (struct merkle){ .size = 0 };
	e = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, ALICE);
	assert_int_equal(signer_world_check(e), ERR_CONFLICT);
	assert_int_equal(signer_world_append(e), ERR_BAD_ROOT);
	assert_int_equal(signer_world_append(w.root->envelope), 0);
}

/* ---- approvals ---- */

static void test_start_needs_approval(void **state)
{
	(void)state;
	propose();
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), ERR_WRONG_STATE);
	assert_int_equal(approve(ALICE), 0);
	assert_int_equal(admit(), ERR_BELOW_THRESHOLD);
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), ERR_WRONG_STATE);
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), 0);
	/* Approved is not started. */
	signer_world_offer();
	assert_int_equal(signer_world_direct(), ERR_PLAN_EXCEEDED);
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), 0);
	assert_int_equal(signer_world_direct(), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), ERR_WRONG_STATE);
}

/* The machine may open what people approved, step after step, and not when it was stopped. */
static void test_promote(void **state)
{
	static const Pb__DecisionKind promote = PB__DECISION_KIND__DECISION_PROMOTE;

	(void)state;
	propose();
	assert_int_equal(signer_world_decide(promote, 0), ERR_WRONG_STATE);
	signer_world_roll_out();
	assert_int_equal(signer_world_decide(promote, 1), ERR_WRONG_STATE);
	assert_int_equal(signer_world_decide(promote, 0), 0);
	assert_int_equal(signer_world_decide(promote, 0), ERR_WRONG_STATE);
	/* Further than the ladder goes, no directive goes; and none before its time. */
	for (uint32_t step = 1; step < 4; step++)
		assert_int_equal(signer_world_decide(promote, step), 0);
	w.offer.step = 1;
	w.director.ring = 2;
	w.selector.upper = 10000;
	assert_int_equal(signer_world_direct(), ERR_TOO_EARLY);
	w.offer.step = 2;
	assert_int_equal(signer_world_direct(), ERR_PLAN_EXCEEDED);
	signer_world_offer();
	w.director.ring = 0;
	assert_int_equal(signer_world_direct(), 0);
	assert_int_equal(signer_world_decide(PB__DECISION_KIND__DECISION_PAUSE, 4), 0);
	assert_int_equal(signer_world_decide(promote, 4), ERR_WRONG_STATE);
	assert_int_equal(signer_world_direct(), 0); /* paused, not halted */
}

/* A halt is lifted by a version that was approved after it, and by nothing else. */
static void halted_and_lifted(bool by_person)
{
	struct bytes old_targets, old_plan, held_back;

	signer_world_roll_out();
	old_targets = targets_envelope = signer_world_targets(ALICE | BOB);
	old_plan = signer_world_plan(ALICE | BOB);
	/* Approvers would go on, and huidud holds that back until after the halt. */
	w.plan.version = 2;
	held_back = signer_world_plan(ALICE | BOB);
	if (by_person)
		assert_int_equal(signer_world_act(PB__ACT__ACT_HALT, KEY_APPROVER, CAROL), 0);
	else
		assert_int_equal(signer_world_decide(PB__DECISION_KIND__DECISION_HALT, 0), 0);
	w.plan.version = 1;
	(void)signer_world_plan(ALICE | BOB);
	signer_world_offer();
	assert_int_equal(signer_world_direct(), ERR_BUILD_HALTED);
	signer_world_restart();
	assert_int_equal(signer_admit(w.signer, old_plan, old_targets), 0);
	assert_int_equal(signer_world_direct(), ERR_BUILD_HALTED);
	assert_int_equal(signer_admit(w.signer, held_back, old_targets), ERR_BELOW_THRESHOLD);
	assert_int_equal(
		signer_world_decide(PB__DECISION_KIND__DECISION_PROMOTE, 0), ERR_WRONG_STATE);
	/* The old version again lifts nothing. */
	assert_int_equal(signer_world_approve(old_plan, ALICE), ERR_CONFLICT);
	w.plan.version = 2;
	assert_int_equal(approve(ALICE | CAROL), 0);
	assert_int_equal(admit(), 0);
	signer_world_offer();
	assert_int_equal(signer_world_direct(), 0);
	assert_int_equal(signer_world_decide(PB__DECISION_KIND__DECISION_PROMOTE, 0), 0);
}

static void test_halt_by_person(void **state)
{
	(void)state;
	halted_and_lifted(true);
}

static void test_halt_by_gate(void **state)
{
	(void)state;
	halted_and_lifted(false);
}

/* An approval that was given before a halt, and held back, does not count after it. */
static void test_approval_held_back(void **state)
{
	Pb__Approve m = PB__APPROVE__INIT;
	ProtobufCBinaryData plans[1];
	struct bytes first, second, held[2];

	(void)state;
	signer_world_roll_out();
	w.plan.version = 2;
	first = signer_world_plan(ALICE);
	second = signer_world_plan(BOB);
	for (unsigned i = 0; i < 2; i++) {
		struct bytes plan = i == 0 ? first : second;
		plans[0] = wire_data(plan.p, plan.n);
		m.rollout_id = wire_data(w.rollout_id, ID_LEN);
		m.plans = plans;
		m.n_plans = 1;
		signer_world_head(&command);
		command.approve = &m;
		command.expires = command.issued_at + 72 * 3600;
		held[i] = signer_world_sign(
			ENVELOPE_COMMAND, &command, KEY_APPROVER, i == 0 ? ALICE : BOB);
		command.approve = NULL;
	}
	assert_int_equal(signer_world_append(held[0]), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_HALT, KEY_APPROVER, CAROL), 0);
	assert_int_equal(signer_world_append(held[1]), ERR_CONFLICT);
	/* Nor does the one that is in the log, from before. */
	assert_int_equal(approve(BOB), 0);
	plan_envelope = signer_world_plan(ALICE | BOB);
	targets_envelope = signer_world_targets(ALICE | BOB);
	assert_int_equal(admit(), ERR_BELOW_THRESHOLD);
	assert_int_equal(approve(CAROL), 0);
	plan_envelope = signer_world_plan(BOB | CAROL);
	assert_int_equal(admit(), 0);
}

/* Halted before its start: approved anew, and then started. */
static void test_halt_before_start(void **state)
{
	(void)state;
	propose();
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_HALT, KEY_RELEASE, BOB), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), ERR_WRONG_STATE);
	w.plan.version = 2;
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), 0);
	signer_world_offer();
	assert_int_equal(signer_world_direct(), 0);
	/* And halted before it was approved at all. */
	propose();
	assert_int_equal(signer_world_act(PB__ACT__ACT_HALT, KEY_RELEASE, BOB), 0);
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), 0);
}

/* The plan names builds whose devices come first: the whole ring, and only those it names. */
static void test_fixes(void **state)
{
	static const char *hurt[] = { "0.9" }, *others[] = { "0.8" };

	(void)state;
	signer_world_make();
	w.plan.from_build_ids = hurt;
	w.plan.n_from_build_ids = 1;
	targets_envelope = signer_world_targets(ALICE | BOB);
	assert_int_equal(signer_world_propose(ALICE), 0);
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), 0);
	signer_world_offer();
	w.selector.upper = 1000000;
	assert_int_equal(signer_world_direct(), ERR_PLAN_EXCEEDED);
	w.selector.n_from_build_ids = 1;
	w.selector.from_build_ids = others;
	assert_int_equal(signer_world_direct(), ERR_PLAN_EXCEEDED);
	w.selector.from_build_ids = hurt;
	assert_int_equal(signer_world_direct(), 0);
}

/* Published again, its plan goes on with the seed it had. */
static void test_published_again(void **state)
{
	(void)state;
	signer_world_roll_out();
	w.targets.version = 2;
	targets_envelope = signer_world_targets(ALICE | CAROL);
	w.plan.version = 2;
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), 0);
	signer_world_offer();
	assert_int_equal(signer_world_direct(), 0);
	w.seed[0] ^= 1;
	w.plan.version = 3;
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), ERR_MISMATCH);
}

/* The server says that a rollout stays paused when its build is published again: it has no choice. */
static void test_paused_and_renewed(void **state)
{
	(void)state;
	signer_world_roll_out();
	assert_int_equal(signer_world_act(PB__ACT__ACT_PAUSE, KEY_RELEASE, BOB), 0);
	w.targets.version = 2;
	targets_envelope = signer_world_targets(ALICE | CAROL);
	w.plan.version = 2;
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), 0);
	signer_world_offer();
	assert_int_equal(signer_world_direct(), 0);
	signer_world_restart();
	assert_int_equal(
		signer_world_decide(PB__DECISION_KIND__DECISION_PROMOTE, 0), ERR_WRONG_STATE);
	w.plan.version = 3;
	assert_int_equal(approve(ALICE | BOB), 0);
	assert_int_equal(admit(), 0);
	assert_int_equal(signer_world_decide(PB__DECISION_KIND__DECISION_PROMOTE, 0), 0);
}

/* Profile maker: who proposed does not approve, whatever else they hold. */
static void test_proposer(void **state)
{
	(void)state;
	signer_world_make();
	targets_envelope = signer_world_targets(ALICE | BOB);
	assert_int_equal(signer_world_propose(BOB), 0);
	assert_int_equal(approve(BOB), ERR_NOT_AUTHORISED);
	plan_envelope = signer_world_plan(BOB | CAROL);
	assert_int_equal(signer_world_approve(plan_envelope, CAROL), 0);
	assert_int_equal(admit(), ERR_BELOW_THRESHOLD);
	plan_envelope = signer_world_plan(BOB | CAROL | DAVE);
	assert_int_equal(signer_world_approve(plan_envelope, DAVE), 0);
	assert_int_equal(admit(), 0);
}

/* ---- seats, withdrawing ---- */

static void make_seat(uint32_t ring)
{
	signer_world_head(&command);
	seat = (Pb__SeatAct)PB__SEAT_ACT__INIT;
	seat.product = "phone-a";
	seat.ring = (Pb__Ring)ring;
	seat.device_ids = devices;
	seat.n_device_ids = 2;
	command.act = NULL;
	command.seat = &seat;
}

static int send_seat(unsigned who)
{
	struct bytes e = signer_world_sign(ENVELOPE_COMMAND, &command, KEY_RELEASE, who);
	int needed = signer_world_check(e);
	int err = needed < 0 ? needed : signer_world_append(e);

	return err != 0 ? err : needed;
}

/* Seats in core take two people: the first signature waits, and is no second one. */
static void test_two_people(void **state)
{
	(void)state;
	make_seat(1);
	assert_int_equal(send_seat(ALICE), 0);
	make_seat(0);
	command.expires = command.issued_at + 72 * 3600;
	assert_int_equal(send_seat(ALICE), 1);
	assert_int_equal(send_seat(ALICE), ERR_EXISTS);
	signer_time_passes(71 * HOUR_MS);
	assert_int_equal(send_seat(ALICE | BOB), 0);
	assert_int_equal(send_seat(ALICE | BOB), ERR_REPLAYED);
	assert_int_equal(send_seat(ALICE | BOB | CAROL), ERR_REPLAYED);
	make_seat(0);
	command.expires = command.issued_at + 72 * 3600 + 1;
	assert_int_equal(send_seat(ALICE | BOB), ERR_STALE);
	make_seat(3);
	assert_int_equal(send_seat(ALICE), ERR_BAD_RANGE);
	make_seat(1);
	devices[1].len = 15;
	assert_int_equal(send_seat(ALICE), ERR_BAD_RANGE);
	devices[1].len = ID_LEN;
}

static void test_solo(void **state)
{
	(void)state;
	make_seat(0);
	assert_int_equal(send_seat(ALICE), 0);
}

static int send_withdraw(enum key_role role, unsigned who)
{
	int err;

	signer_world_head(&command);
	command.seat = NULL;
	command.withdraw = &withdraw;
	err = signer_world_send(&command, role, who);
	command.withdraw = NULL;
	return err;
}

static void test_withdraw(void **state)
{
	struct bytes payload;
	uint8_t sha256[SHA256_LEN];

	(void)state;
	/* A command that waits: by who asked for it, or any approver. */
	make_seat(0);
	assert_int_equal(send_seat(BOB), 1);
	assert_int_equal(wire_pack(&command, &w.arena, &payload), 0);
	assert_int_equal(crypto_sha256(&payload, 1, sha256), 0);
	Pb__AdminCommand waiting = command;
	withdraw = (Pb__Withdraw)PB__WITHDRAW__INIT;
	withdraw.has_command = 1;
	withdraw.command = wire_data(sha256, SHA256_LEN);
	assert_int_equal(send_withdraw(KEY_RELEASE, ALICE), ERR_NOT_AUTHORISED);
	assert_int_equal(send_withdraw(KEY_RELEASE, BOB), 0);
	assert_int_equal(send_withdraw(KEY_RELEASE, BOB), ERR_NOT_FOUND);
	command = waiting;
	assert_int_equal(send_seat(ALICE | BOB), ERR_REPLAYED);
	/* A rollout: it is not approved, admitted or started any more. */
	propose();
	assert_int_equal(approve(ALICE | BOB), 0);
	withdraw = (Pb__Withdraw)PB__WITHDRAW__INIT;
	withdraw.has_rollout_id = 1;
	withdraw.rollout_id = wire_data(w.rollout_id, ID_LEN);
	assert_int_equal(send_withdraw(KEY_RELEASE, CAROL), ERR_NOT_AUTHORISED);
	assert_int_equal(send_withdraw(KEY_APPROVER, CAROL), 0);
	assert_int_equal(approve(ALICE | BOB), ERR_WRONG_STATE);
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), ERR_WRONG_STATE);
	signer_world_roll_out();
	withdraw.rollout_id = wire_data(w.rollout_id, ID_LEN);
	assert_int_equal(send_withdraw(KEY_APPROVER, CAROL), ERR_WRONG_STATE);
}

/* ---- publishing ---- */

static void test_publish(void **state)
{
	(void)state;
	assert_int_equal(signer_world_publish(signer_world_targets(ALICE | BOB), ALICE), 0);
	assert_int_equal(
		signer_world_publish(signer_world_targets(ALICE), ALICE), ERR_BELOW_THRESHOLD);
	w.targets.repository = "other";
	assert_int_equal(signer_world_publish(signer_world_targets(ALICE | BOB), ALICE),
		ERR_WRONG_REPOSITORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_commands),
		IN_WORLD(test_strangers),
		IN_WORLD(test_replay),
		IN_WORLD(test_entry_times),
		IN_WORLD(test_all_or_none),
		IN_WORLD(test_size),
		IN_WORLD(test_fork),
		IN_WORLD(test_first_entry),
		IN_WORLD(test_start_needs_approval),
		IN_WORLD(test_promote),
		IN_WORLD(test_halt_by_person),
		IN_WORLD(test_halt_by_gate),
		IN_WORLD(test_approval_held_back),
		IN_WORLD(test_halt_before_start),
		IN_WORLD(test_fixes),
		IN_WORLD(test_published_again),
		IN_WORLD(test_paused_and_renewed),
		IN_MAKER(test_proposer),
		IN_WORLD(test_two_people),
		IN_SOLO(test_solo),
		IN_WORLD(test_withdraw),
		IN_WORLD(test_publish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
