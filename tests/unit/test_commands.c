/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what, asked of a whole deployment: every refusal is one an insider would try. */
#include "unit.h"

#include <stdlib.h>

#include "authority_world.h"
#include "server/base/mem.h"

#define HOUR 3600000ull
#define DAY  (24 * HOUR)

static const char *const phone_a[] = { "phone-a" };
static const struct plan_stage ladder[] = { { RING_CORE, 1000000, 0 } };

static const char two_products[] = "lines:\n  - products: [phone-a, phone-b]\n"
				   "    rings: {core: 2, honour: 3, dev: 5}\n"
				   "    fill: invite\n";

static void open_as(struct deployment *d, const char *profile)
{
	struct deployment_options o = { .profile = profile, .lines = two_products };

	deployment_open(d, &o);
}

static void propose(struct deployment *d, const char *release)
{
	struct test_plan p;

	assert_int_equal(0, deployment_publish(d, "phone-a", release, 1, "one"));
	assert_int_equal(
		0, deployment_propose(d, release, phone_a, 1, plan_of(&p, ladder, 1, HOUR, 0)));
}

/* Outlives what the arena is used for next. */
static struct bytes kept(struct bytes b)
{
	return bytes_of(mem_dup(b.p, b.n), b.n);
}

static void forget(struct bytes b)
{
	union {
		const uint8_t *in;
		uint8_t *out; /* ours */
	} u = { b.p };

	free(u.out);
}

static void set_act(Pb__AdminCommand *m, Pb__RolloutAct *a, const struct rollout *r, Pb__Act act)
{
	*m = (Pb__AdminCommand)PB__ADMIN_COMMAND__INIT;
	*a = (Pb__RolloutAct)PB__ROLLOUT_ACT__INIT;
	a->act = act;
	a->rollout_id = wire_data(r->id, ID_LEN);
	m->act = a;
}

/* ---- stopping and going on ---- */

static void one_person_halts_and_two_lift_it(void **state)
{
	struct deployment d;
	Pb__AdminCommand m;
	Pb__RolloutAct act;
	const struct rollout *r;

	(void)state;
	open_as(&d, "team");
	propose(&d, "1.0");
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(0, deployment_approve(&d, "1.0", 1));
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_START));
	r = deployment_rollout(&d, "1.0");
	d.arena.used = 0;
	set_act(&m, &act, r, PB__ACT__ACT_HALT);
	assert_int_equal(0, world_do(&d, &m, 2, KEY_APPROVER));
	assert_int_equal(ROLLOUT_HALTED, r->state);
	assert_int_equal(ERR_WRONG_STATE, deployment_act(&d, "1.0", PB__ACT__ACT_START));
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(ROLLOUT_HALTED, r->state);
	/* The same one again is not the second. */
	(void)deployment_approve(&d, "1.0", 0);
	assert_int_equal(ROLLOUT_HALTED, r->state);
	assert_int_equal(0, deployment_approve(&d, "1.0", 1));
	assert_int_equal(ROLLOUT_RUNNING, r->state);
	deployment_close(&d);
}

/* Who signed to go on did not know of the halt that came then. */
static void signatures_before_a_halt_do_not_lift_it(void **state)
{
	struct deployment d;
	const struct rollout *r;

	(void)state;
	open_as(&d, "team");
	propose(&d, "1.0");
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(0, deployment_approve(&d, "1.0", 1));
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_START));
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_PAUSE));
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_HALT));
	assert_int_equal(0, deployment_approve(&d, "1.0", 1));
	r = deployment_rollout(&d, "1.0");
	assert_int_equal(ROLLOUT_HALTED, r->state);
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(ROLLOUT_RUNNING, r->state);
	assert_false(rollout_is_refused(r));
	deployment_restart(&d);
	r = deployment_rollout(&d, "1.0");
	assert_int_equal(ROLLOUT_RUNNING, r->state);
	assert_false(rollout_is_refused(r));
	deployment_close(&d);
}

static void one_approver_twice_is_one(void **state)
{
	struct deployment d;

	(void)state;
	open_as(&d, "team");
	propose(&d, "1.0");
	assert_int_equal(0, deployment_approve(&d, "1.0", 1));
	assert_string_equal("rollout 1.0: signed by 1 of 2", d.text);
	(void)deployment_approve(&d, "1.0", 1);
	assert_int_equal(ROLLOUT_PROPOSED, deployment_rollout(&d, "1.0")->state);
	deployment_restart(&d);
	assert_int_equal(ROLLOUT_PROPOSED, deployment_rollout(&d, "1.0")->state);
	assert_int_equal(0, deployment_approve(&d, "1.0", 2));
	assert_int_equal(ROLLOUT_APPROVED, deployment_rollout(&d, "1.0")->state);
	deployment_close(&d);
}

/* Signs the rollout's plan with a key that the test made, and sends it as the same. */
static int approve_with(struct deployment *d, const char *release, const struct world_key *k)
{
	const struct rollout *r = deployment_rollout(d, release);
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__Approve a = PB__APPROVE__INIT;
	ProtobufCBinaryData plan;
	struct bytes e;

	d->arena.used = 0;
	assert_int_equal(
		0, envelope_wrap(ENVELOPE_PLAN, buf_bytes(&r->builds[0].payload), &d->arena, &e));
	e = world_sign(d, e, k->key, k->id);
	plan = wire_data(e.p, e.n);
	a.rollout_id = wire_data(r->id, ID_LEN);
	a.plans = &plan;
	a.n_plans = 1;
	m.approve = &a;
	return world_send(d, world_sign(d, world_command(d, &m), k->key, k->id));
}

/* Alice proposes; the root then gives her an approver's key, and carol a second one. */
static void people_count_not_keys(void **state)
{
	struct deployment d;
	struct world_root r;
	struct world_key alice, carol;

	(void)state;
	open_as(&d, "maker");
	propose(&d, "1.0");
	world_key_make(&alice, "alice", false);
	world_key_make(&carol, "carol", false);
	d.arena.used = 0;
	world_root_next(&d, &r);
	world_root_add(&r, WORLD_APPROVER, &alice);
	world_root_add(&r, WORLD_APPROVER, &carol);
	assert_int_equal(0, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	assert_int_equal(ERR_NOT_AUTHORISED, approve_with(&d, "1.0", &alice));
	assert_int_equal(0, deployment_approve(&d, "1.0", 2));
	(void)approve_with(&d, "1.0", &carol);
	assert_int_equal(ROLLOUT_PROPOSED, deployment_rollout(&d, "1.0")->state);
	assert_int_equal(0, deployment_approve(&d, "1.0", 3));
	assert_int_equal(ROLLOUT_APPROVED, deployment_rollout(&d, "1.0")->state);
	world_key_free(&alice);
	world_key_free(&carol);
	deployment_close(&d);
}

/* A second signature, never made, says that somebody else proposed it. */
static void nobody_proposes_in_anothers_name(void **state)
{
	struct deployment d;
	struct test_plan p;
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__Propose propose_ = PB__PROPOSE__INIT;
	Pb__BuildRef ref = PB__BUILD_REF__INIT, *refs[] = { &ref };
	Pb__Signature fake = PB__SIGNATURE__INIT, *list[2];
	uint8_t sig[SIG_LEN] = { 1 };
	struct held_key bob;
	struct bytes spec, e;
	Pb__Envelope *env;
	int err;

	(void)state;
	open_as(&d, "maker");
	assert_int_equal(0, deployment_publish(&d, "phone-a", "1.0", 1, "one"));
	d.arena.used = 0;
	assert_int_equal(0, wire_pack(plan_of(&p, ladder, 1, HOUR, 0), &d.arena, &spec));
	ref.product = "phone-a";
	ref.build_id = propose_.release = "1.0";
	propose_.builds = refs;
	propose_.n_builds = 1;
	propose_.spec = wire_data(spec.p, spec.n);
	m.propose = &propose_;
	world_load(&d, 1, KEY_RELEASE, &bob);
	env = envelope_read(
		world_sign_as(&d, world_command(&d, &m), 0, KEY_RELEASE), &d.arena, &err);
	fake.sig = wire_data(sig, SIG_LEN);
	fake.keyid = wire_data(bob.id, SHA256_LEN);
	list[0] = &fake;
	list[1] = env->signatures[0];
	env->signatures = list;
	env->n_signatures = 2;
	assert_int_equal(0, wire_pack(env, &d.arena, &e));
	assert_int_equal(0, world_send(&d, e));
	assert_string_equal("alice", deployment_rollout(&d, "1.0")->proposer);
	key_release(&bob);
	deployment_close(&d);
}

/* ---- replay, and other logs ---- */

static void a_command_counts_once(void **state)
{
	struct deployment d;
	Pb__AdminCommand m;
	Pb__RolloutAct act;
	struct bytes e;

	(void)state;
	open_as(&d, "solo");
	propose(&d, "1.0");
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_START));
	d.arena.used = 0;
	set_act(&m, &act, deployment_rollout(&d, "1.0"), PB__ACT__ACT_HALT);
	e = world_sign_as(&d, world_command(&d, &m), 0, KEY_RELEASE);
	e = kept(e);
	assert_int_equal(0, world_send(&d, e));
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(ROLLOUT_RUNNING, deployment_rollout(&d, "1.0")->state);
	assert_int_equal(ERR_REPLAYED, world_send(&d, e));
	deployment_restart(&d);
	assert_int_equal(ERR_REPLAYED, world_send(&d, e));
	assert_int_equal(ROLLOUT_RUNNING, deployment_rollout(&d, "1.0")->state);
	forget(e);
	deployment_close(&d);
}

static void a_command_names_this_log(void **state)
{
	struct deployment d;
	Pb__AdminCommand m;
	Pb__RolloutAct act;
	uint8_t root[SHA256_LEN] = { 7 };

	(void)state;
	open_as(&d, "solo");
	propose(&d, "1.0");
	d.arena.used = 0;
	set_act(&m, &act, deployment_rollout(&d, "1.0"), PB__ACT__ACT_HALT);
	m.audit_size = control_state(&d.server)->log.size;
	m.audit_root = wire_data(root, SHA256_LEN);
	assert_int_equal(ERR_CONFLICT, world_do(&d, &m, 0, KEY_RELEASE));
	set_act(&m, &act, deployment_rollout(&d, "1.0"), PB__ACT__ACT_HALT);
	m.audit_size = control_state(&d.server)->log.size + 1;
	m.audit_root = wire_data(state_root(control_state(&d.server)), SHA256_LEN);
	assert_int_equal(ERR_CONFLICT, world_do(&d, &m, 0, KEY_RELEASE));
	assert_int_equal(ROLLOUT_PROPOSED, deployment_rollout(&d, "1.0")->state);
	deployment_close(&d);
}

/* ---- withdrawing ---- */

static int withdraw(struct deployment *d, const struct rollout *r, const uint8_t *command,
	unsigned who, enum key_role role)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__Withdraw w = PB__WITHDRAW__INIT;

	d->arena.used = 0;
	w.has_rollout_id = r != NULL;
	if (r != NULL)
		w.rollout_id = wire_data(r->id, ID_LEN);
	w.has_command = command != NULL;
	if (command != NULL)
		w.command = wire_data(command, SHA256_LEN);
	m.withdraw = &w;
	return world_do(d, &m, who, role);
}

static void roll_out(struct deployment *d, const char *release)
{
	struct test_plan p;

	assert_int_equal(
		0, deployment_roll_out(d, release, phone_a, 1, plan_of(&p, ladder, 1, HOUR, 0)));
}

/* While it was halted others may have opened its ring, which has one open stage. */
static void a_lifted_halt_finds_its_ring_taken(void **state)
{
	struct deployment d;

	(void)state;
	open_as(&d, "solo");
	assert_int_equal(0, deployment_publish(&d, "phone-a", "1.0", 1, "zero"));
	assert_int_equal(0, deployment_publish(&d, "phone-a", "1.1", 2, "one"));
	assert_int_equal(0, deployment_publish(&d, "phone-a", "1.2", 3, "two"));
	roll_out(&d, "1.0");
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_HALT));
	roll_out(&d, "1.2");
	assert_int_equal(0, deployment_act(&d, "1.2", PB__ACT__ACT_HALT));
	roll_out(&d, "1.1");
	/* The older one gives way, */
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(ROLLOUT_SUPERSEDED, deployment_rollout(&d, "1.0")->state);
	assert_string_equal(
		"1.1, which is newer, is open in core", deployment_rollout(&d, "1.0")->why);
	assert_int_equal(ROLLOUT_RUNNING, deployment_rollout(&d, "1.1")->state);
	/* the newer one takes the ring back. */
	assert_int_equal(0, deployment_approve(&d, "1.2", 0));
	assert_int_equal(ROLLOUT_RUNNING, deployment_rollout(&d, "1.2")->state);
	assert_int_equal(ROLLOUT_SUPERSEDED, deployment_rollout(&d, "1.1")->state);
	deployment_restart(&d);
	assert_int_equal(ROLLOUT_RUNNING, deployment_rollout(&d, "1.2")->state);
	deployment_close(&d);
}

static void what_has_not_started_can_be_withdrawn(void **state)
{
	struct deployment d;
	struct test_plan p;
	const struct rollout *r;
	const Pb__AdminReply *history;

	(void)state;
	open_as(&d, "team");
	propose(&d, "1.0");
	r = deployment_rollout(&d, "1.0");
	assert_int_equal(0, withdraw(&d, r, NULL, 0, KEY_RELEASE));
	assert_int_equal(ROLLOUT_SUPERSEDED, r->state);
	assert_string_equal("withdrawn by alice", r->why);
	d.arena.used = 0;
	history = world_ask(&d, PB__QUERY_KIND__QUERY_HISTORY, "1.0", 0);
	assert_string_equal("withdraw 1.0", history->history[history->n_history - 1]->what);
	assert_int_equal(ERR_WRONG_STATE, deployment_approve(&d, "1.0", 0));
	/* The build may be proposed again. */
	assert_int_equal(
		0, deployment_propose(&d, "1.0", phone_a, 1, plan_of(&p, ladder, 1, HOUR, 0)));
	assert_int_equal(0, deployment_approve(&d, "1.0", 0));
	assert_int_equal(0, deployment_approve(&d, "1.0", 1));
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_START));
	r = deployment_rollout(&d, "1.0");
	assert_int_equal(ERR_WRONG_STATE, withdraw(&d, r, NULL, 0, KEY_RELEASE));
	/* Nor is a halt lifted that way. */
	assert_int_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_HALT));
	assert_int_equal(ERR_WRONG_STATE, withdraw(&d, r, NULL, 0, KEY_RELEASE));
	deployment_restart(&d);
	assert_int_equal(ROLLOUT_HALTED, deployment_rollout(&d, "1.0")->state);
	deployment_close(&d);
}

/* ---- seats ---- */

struct seats {
	Pb__AdminCommand m;
	Pb__SeatAct act;
	ProtobufCBinaryData ids[8];
};

static void set_seats(struct seats *s, const char *product, enum ring ring,
	const struct test_device *devices, size_t n)
{
	s->m = (Pb__AdminCommand)PB__ADMIN_COMMAND__INIT;
	s->act = (Pb__SeatAct)PB__SEAT_ACT__INIT;
	s->act.product = product;
	s->act.ring = (Pb__Ring)ring;
	for (size_t i = 0; i < n; i++)
		s->ids[i] = wire_data(devices[i].id, ID_LEN);
	s->act.device_ids = s->ids;
	s->act.n_device_ids = n;
	s->m.seat = &s->act;
}

static enum ring ring_of(struct deployment *d, struct test_device *t)
{
	assert_int_equal(0, device_poll(d, t));
	return t->ring;
}

static void seats_are_given_and_taken(void **state)
{
	struct deployment d;
	struct test_device t[6];
	struct seats s;

	(void)state;
	open_as(&d, "solo");
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(0, device_enrol(&d, &t[i], "phone-a", RING_CORE));
	assert_int_equal(0, device_enrol(&d, &t[5], "phone-b", RING_CORE));
	d.arena.used = 0;
	set_seats(&s, "phone-a", RING_CORE, t, 3);
	assert_int_equal(ERR_WRONG_STATE, world_do(&d, &s.m, 0, KEY_RELEASE)); /* 2 seats */
	set_seats(&s, "phone-a", RING_CORE, t, 2);
	assert_int_equal(0, world_do(&d, &s.m, 0, KEY_RELEASE));
	assert_int_equal(RING_CORE, ring_of(&d, &t[0]));
	assert_int_equal(RING_CORE, ring_of(&d, &t[1]));
	assert_int_equal(RING_STABLE, ring_of(&d, &t[2]));
	d.arena.used = 0;
	set_seats(&s, "phone-a", RING_CORE, &t[2], 1);
	assert_int_equal(ERR_WRONG_STATE, world_do(&d, &s.m, 0, KEY_RELEASE));
	set_seats(&s, "phone-a", RING_CORE, t, 1);
	assert_int_equal(ERR_EXISTS, world_do(&d, &s.m, 0, KEY_RELEASE));
	set_seats(&s, "phone-a", RING_HONOUR, &t[5], 1); /* is a phone-b */
	assert_int_equal(ERR_NOT_FOUND, world_do(&d, &s.m, 0, KEY_RELEASE));
	set_seats(&s, "phone-a", RING_CORE, t, 1);
	s.act.has_remove = s.act.remove = 1;
	assert_int_equal(0, world_do(&d, &s.m, 0, KEY_RELEASE));
	assert_int_equal(RING_STABLE, ring_of(&d, &t[0]));
	d.arena.used = 0;
	/* From one ring to another. */
	set_seats(&s, "phone-a", RING_HONOUR, &t[1], 1);
	assert_int_equal(0, world_do(&d, &s.m, 0, KEY_RELEASE));
	deployment_restart(&d);
	assert_int_equal(RING_STABLE, ring_of(&d, &t[0]));
	assert_int_equal(RING_HONOUR, ring_of(&d, &t[1]));
	assert_int_equal(0, d.server.registry.lines[0].devices[RING_CORE]);
	assert_int_equal(1, d.server.registry.lines[0].devices[RING_HONOUR]);
	for (size_t i = 0; i < 6; i++)
		device_forget(&t[i]);
	deployment_close(&d);
}

/* Who has not opted in would lose the seat at the next poll. */
static void a_seat_needs_a_wish(void **state)
{
	struct deployment d;
	struct test_device t;
	struct seats s;

	(void)state;
	open_as(&d, "solo");
	assert_int_equal(0, device_enrol(&d, &t, "phone-a", RING_STABLE));
	d.arena.used = 0;
	set_seats(&s, "phone-a", RING_DEV, &t, 1);
	assert_int_equal(ERR_WRONG_STATE, world_do(&d, &s.m, 0, KEY_RELEASE));
	assert_non_null(strstr(d.text, "opted in"));
	device_forget(&t);
	deployment_close(&d);
}

/* The two entries of a command that took two people, in words. */
static void check_history(struct deployment *d)
{
	const Pb__AdminReply *r = world_ask(d, PB__QUERY_KIND__QUERY_HISTORY, "", 0);
	const Pb__HistoryView *told[2];
	size_t n = 0;

	for (size_t i = 0; i < r->n_history; i++) {
		assert_null(strstr(r->history[i]->what, "?"));
		if (strncmp(r->history[i]->what, "invite", 6) != 0)
			continue;
		assert_true(n < 2);
		told[n++] = r->history[i];
	}
	assert_int_equal(2, n);
	assert_string_equal("alice", told[0]->who);
	assert_string_equal(
		"invite 1 device of phone-a to core: waits for 1 more signature", told[0]->what);
	assert_string_equal("alice, bob", told[1]->who);
	assert_string_equal("invite 1 device of phone-a to core", told[1]->what);
}

static void check_pending(struct deployment *d)
{
	const Pb__AdminReply *r = world_ask(d, PB__QUERY_KIND__QUERY_PENDING, "", 0);
	const Pb__PendingView *v = r->pending[0];

	assert_int_equal(1, r->n_pending);
	assert_int_equal(16, strlen(v->name));
	assert_int_equal(SHA256_LEN, v->id.len);
	assert_string_equal("invite 1 device of phone-a to core", v->what);
	assert_string_equal("alice", v->by);
	assert_int_equal(1, v->n_signed_by);
	assert_string_equal("alice", v->signed_by[0]);
	assert_int_equal(2, v->needed);
	assert_int_equal(d->now_ms / 1000 + 600, v->expires);
	assert_true(v->envelope.len > 0);
}

static void core_takes_two(void **state)
{
	struct deployment d;
	struct test_device t;
	const struct state *st;
	struct seats s;
	struct bytes bare, copy;

	(void)state;
	open_as(&d, "team");
	assert_int_equal(0, device_enrol(&d, &t, "phone-a", RING_CORE));
	d.arena.used = 0;
	set_seats(&s, "phone-a", RING_CORE, &t, 1);
	bare = world_command(&d, &s.m);
	copy = kept(bare);
	assert_int_equal(0, world_send(&d, world_sign_as(&d, copy, 0, KEY_RELEASE)));
	assert_non_null(strstr(d.text, "waits for 1 more signature: huiductl countersign "));
	assert_int_equal(RING_STABLE, ring_of(&d, &t));
	st = control_state(&d.server);
	assert_int_equal(1, st->n_pending);
	assert_string_equal("alice", st->pending[0].by);
	d.arena.used = 0;
	assert_int_equal(ERR_EXISTS, world_send(&d, world_sign_as(&d, copy, 0, KEY_RELEASE)));
	deployment_restart(&d);
	d.arena.used = 0;
	assert_int_equal(1, control_state(&d.server)->n_pending);
	check_pending(&d);
	d.arena.used = 0;
	/* Bob sends his own signature, and no other. */
	assert_int_equal(0, world_send(&d, world_sign_as(&d, copy, 1, KEY_RELEASE)));
	assert_int_equal(0, control_state(&d.server)->n_pending);
	assert_int_equal(RING_CORE, ring_of(&d, &t));
	d.arena.used = 0;
	d.arena.used = 0;
	check_history(&d);
	/* Carol comes too late: it has happened. */
	assert_int_equal(ERR_EXISTS, world_send(&d, world_sign_as(&d, copy, 2, KEY_RELEASE)));
	forget(copy);
	device_forget(&t);
	deployment_close(&d);
}

static void what_waits_ends(void **state)
{
	struct deployment d;
	struct test_device t;
	struct seats s;
	uint8_t id[SHA256_LEN];

	(void)state;
	open_as(&d, "team");
	assert_int_equal(0, device_enrol(&d, &t, "phone-a", RING_CORE));
	d.arena.used = 0;
	set_seats(&s, "phone-a", RING_CORE, &t, 1);
	s.m.expires = d.now_ms / 1000 + 73 * 3600;
	assert_int_equal(ERR_STALE, world_do(&d, &s.m, 0, KEY_RELEASE));
	set_seats(&s, "phone-a", RING_CORE, &t, 1);
	s.m.expires = d.now_ms / 1000 + 72 * 3600;
	assert_int_equal(0, world_do(&d, &s.m, 0, KEY_RELEASE));
	memcpy(id, control_state(&d.server)->pending[0].id, SHA256_LEN);
	assert_int_equal(0, withdraw(&d, NULL, id, 0, KEY_RELEASE));
	assert_int_equal(0, control_state(&d.server)->n_pending);
	assert_int_equal(ERR_NOT_FOUND, withdraw(&d, NULL, id, 0, KEY_RELEASE));
	d.arena.used = 0;
	set_seats(&s, "phone-a", RING_CORE, &t, 1);
	s.m.expires = d.now_ms / 1000 + 72 * 3600;
	assert_int_equal(0, world_do(&d, &s.m, 0, KEY_RELEASE));
	assert_int_equal(1, world_ask(&d, PB__QUERY_KIND__QUERY_PENDING, "", 0)->n_pending);
	deployment_run(&d, 72 * HOUR + 60000, HOUR);
	d.arena.used = 0;
	assert_int_equal(0, world_ask(&d, PB__QUERY_KIND__QUERY_PENDING, "", 0)->n_pending);
	device_forget(&t);
	deployment_close(&d);
}

/* Under a new root everybody asks anew: who signed first may have left. */
static void what_waits_ends_with_its_root(void **state)
{
	struct deployment d;
	struct test_device t;
	struct world_root r;
	struct seats s;
	struct bytes copy;

	(void)state;
	open_as(&d, "team");
	assert_int_equal(0, device_enrol(&d, &t, "phone-a", RING_CORE));
	d.arena.used = 0;
	set_seats(&s, "phone-a", RING_CORE, &t, 1);
	copy = kept(world_command(&d, &s.m));
	assert_int_equal(0, world_send(&d, world_sign_as(&d, copy, 0, KEY_RELEASE)));
	world_root_next(&d, &r);
	world_root_drop(&r, WORLD_TARGETS); /* alice */
	assert_int_equal(0, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	assert_int_equal(0, control_state(&d.server)->n_pending);
	d.arena.used = 0;
	assert_int_not_equal(0, world_send(&d, world_sign_as(&d, copy, 1, KEY_RELEASE)));
	assert_int_equal(RING_STABLE, ring_of(&d, &t));
	forget(copy);
	device_forget(&t);
	deployment_close(&d);
}

/* ---- one thing at a time ---- */

static void a_command_asks_for_one_thing(void **state)
{
	struct deployment d;
	Pb__AdminCommand m;
	Pb__RolloutAct act;
	Pb__Confirm confirm = PB__CONFIRM__INIT;
	uint64_t size;

	(void)state;
	open_as(&d, "solo");
	propose(&d, "1.0");
	d.arena.used = 0;
	confirm.what = PB__CONFIRM_WHAT__CONFIRM_CLOCK;
	set_act(&m, &act, deployment_rollout(&d, "1.0"), PB__ACT__ACT_HALT);
	m.confirm = &confirm;
	assert_int_equal(ERR_MALFORMED, world_do(&d, &m, 0, KEY_RELEASE));
	m = (Pb__AdminCommand)PB__ADMIN_COMMAND__INIT;
	assert_int_equal(ERR_MALFORMED, world_do(&d, &m, 0, KEY_RELEASE));
	size = control_state(&d.server)->log.size;
	m = (Pb__AdminCommand)PB__ADMIN_COMMAND__INIT;
	m.confirm = &confirm;
	assert_int_equal(0, world_do(&d, &m, 0, KEY_RELEASE));
	assert_int_equal(size + 1, control_state(&d.server)->log.size);
	assert_int_equal(ROLLOUT_PROPOSED, deployment_rollout(&d, "1.0")->state);
	deployment_close(&d);
}

/* ---- what a root grants ---- */

struct granted {
	struct deployment d;
	struct world_key observer, tester, mixed;
	struct test_device a, b;
};

/* Observer of everything; tester for phone-a; and one for (a, core) and (b, honour). */
static void open_granted(struct granted *g)
{
	struct world_root r;
	struct held_key release, approver;

	open_as(&g->d, "solo");
	world_key_make(&g->observer, "olga", false);
	world_key_make(&g->tester, "tom", false);
	world_key_make(&g->mixed, "mia", false);
	assert_int_equal(0, device_enrol(&g->d, &g->a, "phone-a", RING_CORE));
	assert_int_equal(0, device_enrol(&g->d, &g->b, "phone-b", RING_CORE));
	g->d.arena.used = 0;
	world_root_next(&g->d, &r);
	world_root_add(&r, -1, &g->observer);
	world_root_add(&r, -1, &g->tester);
	world_root_add(&r, -1, &g->mixed);
	world_root_grant(&r, PB__ADMIN_KIND__ADMIN_OBSERVER, g->observer.id, NULL, -1);
	world_root_grant(&r, PB__ADMIN_KIND__ADMIN_TESTER_MANAGER, g->tester.id, "phone-a", -1);
	world_root_grant(
		&r, PB__ADMIN_KIND__ADMIN_TESTER_MANAGER, g->mixed.id, "phone-a", RING_CORE);
	world_root_grant(
		&r, PB__ADMIN_KIND__ADMIN_TESTER_MANAGER, g->mixed.id, "phone-b", RING_HONOUR);
	world_load(&g->d, 0, KEY_RELEASE, &release);
	world_load(&g->d, 0, KEY_APPROVER, &approver);
	world_root_grant(&r, PB__ADMIN_KIND__ADMIN_RELEASE_ENGINEER, release.id, NULL, -1);
	world_root_grant(&r, PB__ADMIN_KIND__ADMIN_APPROVER, approver.id, NULL, -1);
	assert_int_equal(
		0, world_root_send(&g->d, world_root_sign(&g->d, world_root_wrap(&g->d, &r))));
	key_release(&release);
	key_release(&approver);
}

static void close_granted(struct granted *g)
{
	world_key_free(&g->observer);
	world_key_free(&g->tester);
	world_key_free(&g->mixed);
	device_forget(&g->a);
	device_forget(&g->b);
	deployment_close(&g->d);
}

static int seat_by(
	struct granted *g, const struct world_key *k, const char *product, enum ring ring)
{
	struct seats s;
	bool is_b = strcmp(product, "phone-b") == 0;

	g->d.arena.used = 0;
	set_seats(&s, product, ring, is_b ? &g->b : &g->a, 1);
	return world_send(&g->d, world_sign(&g->d, world_command(&g->d, &s.m), k->key, k->id));
}

static int halt_by(struct granted *g, const struct world_key *k)
{
	Pb__AdminCommand m;
	Pb__RolloutAct act;

	g->d.arena.used = 0;
	set_act(&m, &act, deployment_rollout(&g->d, "1.0"), PB__ACT__ACT_HALT);
	return world_send(&g->d, world_sign(&g->d, world_command(&g->d, &m), k->key, k->id));
}

static void grants_never_add_up(void **state)
{
	struct granted g;

	(void)state;
	open_granted(&g);
	assert_int_equal(ERR_NOT_AUTHORISED, seat_by(&g, &g.observer, "phone-a", RING_DEV));
	assert_int_equal(ERR_NOT_AUTHORISED, seat_by(&g, &g.tester, "phone-b", RING_DEV));
	assert_int_equal(ERR_NOT_AUTHORISED, seat_by(&g, &g.mixed, "phone-a", RING_HONOUR));
	assert_int_equal(ERR_NOT_AUTHORISED, seat_by(&g, &g.mixed, "phone-b", RING_CORE));
	assert_int_equal(0, seat_by(&g, &g.tester, "phone-a", RING_DEV));
	assert_int_equal(0, seat_by(&g, &g.mixed, "phone-a", RING_CORE));
	assert_int_equal(0, seat_by(&g, &g.mixed, "phone-b", RING_HONOUR));
	close_granted(&g);
}

static void observers_stop_nothing_testers_do(void **state)
{
	struct granted g;

	(void)state;
	open_granted(&g);
	propose(&g.d, "1.0");
	assert_int_equal(ERR_NOT_AUTHORISED, halt_by(&g, &g.observer));
	assert_int_equal(ROLLOUT_PROPOSED, deployment_rollout(&g.d, "1.0")->state);
	assert_int_equal(0, halt_by(&g, &g.tester));
	assert_int_equal(ROLLOUT_HALTED, deployment_rollout(&g.d, "1.0")->state);
	close_granted(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_person_halts_and_two_lift_it),
		cmocka_unit_test(signatures_before_a_halt_do_not_lift_it),
		cmocka_unit_test(one_approver_twice_is_one),
		cmocka_unit_test(people_count_not_keys),
		cmocka_unit_test(nobody_proposes_in_anothers_name),
		cmocka_unit_test(a_command_counts_once),
		cmocka_unit_test(a_command_names_this_log),
		cmocka_unit_test(a_lifted_halt_finds_its_ring_taken),
		cmocka_unit_test(what_has_not_started_can_be_withdrawn),
		cmocka_unit_test(seats_are_given_and_taken),
		cmocka_unit_test(a_seat_needs_a_wish),
		cmocka_unit_test(core_takes_two),
		cmocka_unit_test(what_waits_ends),
		cmocka_unit_test(what_waits_ends_with_its_root),
		cmocka_unit_test(a_command_asks_for_one_thing),
		cmocka_unit_test(grants_never_add_up),
		cmocka_unit_test(observers_stop_nothing_testers_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
