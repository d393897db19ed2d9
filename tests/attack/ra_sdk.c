/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on a staged rollout, as far as a phone meets them: the server is the attacker. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#include "proto/bucket.h"

#define HOUR_S  3600u
#define DAY_S   86400u
#define HOUR_MS 3600000u

static bool runs(const struct lab *l, const char *build_id)
{
	return strcmp(l->phone.slot.build_id, build_id) == 0;
}

/* ---- selector and plan ---- */

static void selector_excludes_me(struct lab *l, const struct attack *a)
{
	struct repo_offer *o;
	uint32_t bucket;

	(void)a;
	lab_start(l);
	o = lab_offer(l);
	bucket = bucket_of(o->seed, l->repo->device_id, REPO_PRODUCT);
	o->upper = bucket; /* all below me */
	repo_publish(l->repo);
	lab_holds(l);
	o->lower = bucket + 1; /* all above me */
	o->upper = 1000000;
	repo_publish(l->repo);
	lab_holds(l);
	o->from_build_id = "b0"; /* others' builds */
	repo_publish(l->repo);
	lab_holds(l);
	o->from_build_id = NULL;
	o->lower = bucket;
	repo_publish(l->repo);
	lab_installs(l, o->build->id);
}

static void plan_of_dev(struct repo *r, void *message)
{
	((Pb__RolloutPlan *)message)->steps[0]->ring = PB__RING__RING_DEV;
	(void)r;
}

static void plan_of_one_percent(struct repo *r, void *message)
{
	((Pb__RolloutPlan *)message)->steps[0]->upper = 10000;
	(void)r;
}

static void seed_of_the_director(struct repo *r, void *message)
{
	Pb__Director *d = message;

	if (d->n_offers > 0)
		d->offers[0]->selector->seed = wire_data(r->report_key, SEED_LEN);
}

/* Open to all now, by the director; approved for tomorrow. */
static void before_not_before(struct lab *l, const struct attack *a)
{
	struct repo_offer *o;

	(void)a;
	lab_start(l);
	o = lab_offer(l);
	o->not_before_s = l->repo->now_s + DAY_S;
	repo_publish(l->repo);
	lab_refuses(l, ERR_TOO_EARLY);
	device_live(&l->phone, 20 * HOUR_MS);
	CHECK(runs(l, "b1"));
	device_live(&l->phone, 6 * HOUR_MS);
	CHECK(runs(l, o->build->id));
}

/* ---- halts and going back ---- */

/* Staged, then halted, then served again as if nothing had been. */
static struct repo_offer *halt_staged(struct lab *l)
{
	struct repo_offer *o;

	lab_start(l);
	o = lab_offer(l);
	repo_publish(l->repo);
	l->phone.holds_apply = true;
	CHECK_ERR(device_refresh(&l->phone), 0);
	CHECK_EQ(l->phone.applies, 1);
	l->repo->halted[0] = o->build->id;
	l->repo->n_halted = 1;
	repo_publish(l->repo);
	CHECK_ERR(device_refresh(&l->phone), ERR_BUILD_HALTED);
	huidu_applied(l->phone.h, 0); /* too late */
	l->phone.holds_apply = false;
	device_live(&l->phone, HOUR_MS);
	CHECK_EQ(l->phone.activations, 0);
	l->repo->n_halted = 0;
	return o;
}

static void halt_then_same_plan(struct lab *l, const struct attack *a)
{
	(void)a;
	(void)halt_staged(l);
	repo_publish(l->repo);
	lab_refuses(l, ERR_BUILD_HALTED);
	device_restart(&l->phone);
	CHECK_ERR(device_refresh(&l->phone), ERR_BUILD_HALTED);
}

static void halt_then_new_plan(struct lab *l, const struct attack *a)
{
	struct repo_offer *o = halt_staged(l);

	(void)a;
	o->plan_version = 2;
	repo_publish(l->repo);
	lab_installs(l, o->build->id);
}

/* The phone runs b3; b2 is signed, approved, older, and "to be gone back to". */
static struct repo_offer *go_back_to(struct lab *l, uint64_t index_of_b3, uint64_t index_of_b2)
{
	struct repo_build *b2;
	struct repo_offer *o;

	lab_start(l);
	b2 = repo_add_build(l->repo, "b2", 2);
	b2->rollback_index = index_of_b2;
	o = lab_offer(l);
	o->build->rollback_index = index_of_b3;
	repo_publish(l->repo);
	lab_installs(l, "b3");
	repo_withdraw(l->repo);
	o = repo_add_offer(l->repo, b2, PB__RING__RING_STABLE);
	o->action = 2;
	return o;
}

static void rollback_not_allowed(struct lab *l, const struct attack *a)
{
	struct repo_offer *o = go_back_to(l, 0, 0);

	(void)a;
	repo_publish(l->repo);
	lab_holds(l);
	o->build->rollback_from = "b9"; /* from another build */
	repo_publish(l->repo);
	lab_holds(l);
	o->build->rollback_from = "b3";
	repo_publish(l->repo);
	lab_installs(l, "b2");
}

static void rollback_index_lower(struct lab *l, const struct attack *a)
{
	struct repo_offer *o = go_back_to(l, 5, 4);

	(void)a;
	o->build->rollback_from = "b3";
	repo_publish(l->repo);
	lab_refuses(l, ERR_ROLLBACK);
	o = lab_offer(l); /* newer, and under an index from before */
	o->build->rollback_index = 4;
	repo_publish(l->repo);
	lab_refuses(l, ERR_ROLLBACK);
	CHECK_EQ(device_state(&l->phone).rollback_index, 5);
}

/* ---- rings, products, repositories ---- */

/* One counter for all rings of a product: another ring's metadata is newer, or it is a lie. */
static void ring_hop(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;

	(void)a;
	repo_publish(r);
	lab_start(l);
	r->ring = r->director_ring = PB__RING__RING_DEV;
	(void)lab_offer(l);
	r->version[ENVELOPE_SNAPSHOT]--;
	r->version[ENVELOPE_DIRECTOR]--;
	repo_publish(r);
	r->always_full = true;
	lab_rejects(l, ERR_MISMATCH);
}

/* The innermost ring's directive, for a phone that has no seat there: neither its offers nor its holds. */
static void replayed_from_other_ring(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;
	struct repo_offer *o;

	(void)a;
	lab_start(l);
	o = lab_offer(l);
	o->ring = PB__RING__RING_CORE; /* listed in core's alone */
	repo_publish(r);
	r->director_ring = PB__RING__RING_CORE;
	(void)device_refresh(&l->phone);
	device_live(&l->phone, 3 * HOUR_MS);
	CHECK(runs(l, "b1"));
	CHECK_EQ(r->fetches, 0);
	/* It says it holds nothing, and takes its own ring's. */
	CHECK_EQ(r->asked_snapshot, 0);
	o = lab_offer(l);
	repo_publish(r);
	r->director_ring = PB__RING__RING_STABLE;
	lab_installs(l, o->build->id);
}

/* A seat that was never granted: for another phone, by another key, or said and not signed. */
static void for_another_phone(struct repo *r, void *message)
{
	((Pb__RingGrant *)message)->device_id = wire_data(r->report_key, ID_LEN);
}

static void seat_not_granted(struct lab *l)
{
	struct repo *r = l->repo;

	(void)lab_offer(l);
	r->offers[0].ring = PB__RING__RING_CORE;
	r->ring = r->director_ring = PB__RING__RING_CORE;
	r->edit[ENVELOPE_GRANT] = for_another_phone;
	repo_publish(r);
	(void)device_refresh(&l->phone);
	device_live(&l->phone, 3 * HOUR_MS);
	CHECK(r->grants > 0);
	CHECK(runs(l, "b1"));
	CHECK_EQ(device_status(&l->phone).ring, HUIDU_STABLE);
	r->edit[ENVELOPE_GRANT] = NULL;
}

static void hold_replayed(struct lab *l, const struct attack *a)
{
	replayed_from_other_ring(l, a);
	l->phone.slot = (struct device_slot){ "b1", 1, 0 };
	device_restart(&l->phone);
	seat_not_granted(l);
}

static void other_product(struct repo *r, void *message)
{
	*repo_common(r, message).product = "phone2";
}

static void other_repository(struct repo *r, void *message)
{
	*repo_common(r, message).repository = "another";
}

/* All of it is in order, signed by these keys, and meant for others. */
static void cross(struct lab *l, const struct attack *a)
{
	static const enum envelope_type all[] = { ENVELOPE_TIMESTAMP, ENVELOPE_SNAPSHOT,
		ENVELOPE_DIRECTOR, ENVELOPE_PLAN, ENVELOPE_TARGETS };

	lab_start(l);
	(void)lab_offer(l);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		l->repo->edit[all[i]] = a->edit;
	repo_publish(l->repo);
	lab_rejects(l, a->want);
}

/* ---- the log ---- */

static void fork_checkpoint(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;
	struct repo_served now;

	(void)a;
	repo_publish(r);
	lab_start(l);
	/* One entry was another: nothing else in the log can show it. */
	(void)lab_offer(l);
	r->leaves[1][0] ^= 1;
	repo_publish(r);
	lab_rejects(l, ERR_FORKED);
	r->leaves[1][0] ^= 1;
	/* The log has become shorter than it was. */
	repo_withdraw(r);
	repo_publish(r);
	lab_accepts(l);
	now = r->served;
	repo_publish(r);
	r->served.log_size = now.log_size - 1;
	r->served.checkpoint = repo_checkpoint(r, r->served.log_size);
	r->served.entry[PB__RING__RING_STABLE] = 0;
	lab_rejects(l, ERR_FORKED);
	repo_be_honest(r, 1);
	repo_publish(r);
	lab_accepts(l);
}

static void wrong_index(struct repo *r, Pb__LogProof *p)
{
	p->index ^= 1;
	(void)r;
}

static void wrong_hour(struct repo *r, Pb__LogProof *p)
{
	p->time_ms++;
	(void)r;
}

static void short_path(struct repo *r, Pb__LogProof *p)
{
	p->n_hashes--;
	(void)r;
}

/* A directive for one phone, signed by the stolen key, and shown to nobody else. */
static void missing_inclusion(struct lab *l, const struct attack *a)
{
	static void (*const edits[])(
		struct repo * r, Pb__LogProof * p) = { NULL, wrong_index, wrong_hour, short_path };

	(void)a;
	for (unsigned i = 0; i < 3; i++)
		repo_publish(l->repo);
	lab_start(l);
	for (unsigned i = 0; i < 4; i++) {
		(void)lab_offer(l);
		l->repo->no_log = edits[i] == NULL;
		l->repo->edit_proof = edits[i];
		repo_publish(l->repo);
		lab_rejects(l, ERR_NOT_LOGGED);
	}
}

static void one_witness(struct repo *r, void *message)
{
	static Pb__Witness witness = PB__WITNESS__INIT, *list[] = { &witness };
	Pb__Root *root = message;

	witness.name = "witness.example";
	witness.public_key = repo_key(r, 30)->pb.public_key;
	root->log->witnesses = list;
	root->log->n_witnesses = 1;
	root->log->witness_threshold = 1;
}

static void witness_below_k(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	(void)lab_offer(l);
	l->repo->edit[ENVELOPE_ROOT] = one_witness;
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_rejects(l, ERR_BELOW_WITNESSES);
	CHECK_EQ(device_root(&l->phone), 2);
}

/* ---- time ---- */

static struct bytes proof_for_another(struct repo *r)
{
	Pb__TimeRequest q = PB__TIME_REQUEST__INIT;
	struct bytes body, proof;
	uint8_t nonce[SHA256_LEN] = { 1 }, *copy;

	q.nonce = wire_data(nonce, sizeof(nonce));
	CHECK_ERR(wire_pack(&q, &r->kept, &body), 0);
	CHECK_EQ(repo_post(r, "/v1/time", body, &proof), 200);
	copy = repo_take(&r->kept, proof.n);
	memcpy(copy, proof.p, proof.n);
	r->times = 0;
	return bytes_of(copy, proof.n);
}

/* It does not install on a clock it cannot believe; it does when the server proves the time. */
static void installs_only_with_proof(struct lab *l)
{
	const char *id = lab_offer(l)->build->id;
	const struct bytes old_proof = proof_for_another(l->repo);

	repo_publish(l->repo);
	l->wire.only = "/v1/time";
	l->wire.status = 404;
	(void)device_refresh(&l->phone);
	device_live(&l->phone, 3 * HOUR_MS);
	CHECK(device_status(&l->phone).unsync);
	CHECK(l->repo->times > 0);
	CHECK_EQ(l->phone.applies, 0);
	CHECK(runs(l, "b1"));
	/* An old proof, of a nonce that is another's. */
	l->wire.status = 0;
	l->wire.body = old_proof;
	CHECK_ERR(device_refresh(&l->phone), ERR_NO_TIME);
	CHECK(device_status(&l->phone).unsync);
	wire_be_honest(&l->wire);
	lab_installs(l, id);
}

static void rtc_1970(struct lab *l, const struct attack *a)
{
	(void)a;
	l->repo->now_s = WORLD_T0_S;
	lab_boot(l);
	l->phone.skew_ms = DEVICE_1970(&l->phone);
	device_restart(&l->phone);
	installs_only_with_proof(l);
}

static void rtc_2100(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->phone.skew_ms = (int64_t)74 * 365 * DAY_S * 1000;
	device_restart(&l->phone);
	installs_only_with_proof(l);
}

/* What had expired does not live again when somebody turns the clock back. */
static void time_goes_back(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;
	struct repo_offer *o;

	(void)a;
	lab_start(l);
	o = lab_offer(l);
	o->expires_s = r->now_s + 2 * DAY_S;
	device_sleep(&l->phone, 3 * DAY_S);
	repo_publish(r);
	lab_refuses(l, ERR_EXPIRED);
	l->phone.skew_ms = -(int64_t)(3 * DAY_S) * 1000;
	device_restart(&l->phone);
	(void)device_refresh(&l->phone);
	CHECK_ERR(l->phone.first_error, ERR_EXPIRED);
	device_live(&l->phone, 2 * HOUR_MS);
	CHECK_EQ(l->phone.applies, 0);
}

/* Applied; then the attacker keeps the phone from hearing anything newer. */
static void stale_at_apply(struct lab *l, const struct attack *a)
{
	struct bytes old;

	(void)a;
	lab_start(l);
	(void)lab_offer(l);
	repo_publish(l->repo);
	old = l->repo->served.timestamp;
	l->phone.holds_apply = true;
	CHECK_ERR(device_refresh(&l->phone), 0);
	device_sleep(&l->phone, 7 * HOUR_S); /* past offers_until */
	huidu_applied(l->phone.h, 0);
	l->phone.holds_apply = false;
	for (unsigned i = 0; i < 10; i++) {
		l->repo->served.timestamp = old;
		(void)device_refresh(&l->phone);
		device_sleep(&l->phone, HOUR_S);
	}
	l->wire.status = 503;
	device_live(&l->phone, 5 * HOUR_MS);
	CHECK_EQ(l->phone.activations, 0);
}

static void same_answer_forever(struct lab *l, const struct attack *a)
{
	uint64_t fresh;

	(void)a;
	lab_start(l);
	fresh = device_status(&l->phone).last_fresh_ms;
	for (unsigned hour = 1; hour < 24; hour++) {
		device_sleep(&l->phone, HOUR_S);
		CHECK_ERR(device_refresh(&l->phone), 0);
		CHECK_EQ(device_status(&l->phone).last_fresh_ms, fresh);
	}
	device_sleep(&l->phone, HOUR_S);
	lab_rejects(l, ERR_EXPIRED);
	device_sleep(&l->phone, 3 * DAY_S);
	lab_rejects(l, ERR_EXPIRED);
	CHECK(device_status(&l->phone).stale);
}

static void one_byte_per_second(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->wire.pause_ms = 1000;
	repo_publish(l->repo);
	lab_rejects(l, HUIDU_ESLOW);
}

static const struct attack attacks[] = {
	CASE("ra_selector_excludes_me", selector_excludes_me),
	CASE_EDIT("ra_plan_exceeded_ring", lab_run_refused, ENVELOPE_PLAN, plan_of_dev,
		ERR_PLAN_EXCEEDED),
	CASE_EDIT("ra_plan_exceeded_ppm", lab_run_refused, ENVELOPE_PLAN, plan_of_one_percent,
		ERR_PLAN_EXCEEDED),
	CASE("ra_step_before_not_before", before_not_before),
	CASE("ra_halt_then_same_plan", halt_then_same_plan),
	CASE("ra_halt_then_resume_new_plan", halt_then_new_plan),
	CASE("ra_rollback_without_rollback_from", rollback_not_allowed),
	CASE("ra_rollback_index_lower", rollback_index_lower),
	CASE("ra_ring_hop_same_version", ring_hop),
	CASE("ra_hold_replayed_from_other_ring", hold_replayed),
	CASE_EDIT("ra_cross_product", cross, ENVELOPE__COUNT, other_product, ERR_WRONG_PRODUCT),
	CASE_EDIT("ra_cross_repository", cross, ENVELOPE__COUNT, other_repository,
		ERR_WRONG_REPOSITORY),
	CASE_EDIT("ra_seed_not_from_log", lab_run_refused, ENVELOPE_DIRECTOR, seed_of_the_director,
		ERR_PLAN_EXCEEDED),
	CASE("ra_fork_checkpoint", fork_checkpoint),
	CASE("ra_missing_inclusion", missing_inclusion),
	CASE("ra_witness_below_k", witness_below_k),
	CASE("ra_rtc_1970", rtc_1970),
	CASE("ra_rtc_2100", rtc_2100),
	CASE("ra_time_goes_back", time_goes_back),
	CASE("ra_apply_with_stale_timestamp", stale_at_apply),
	CASE("ra_304_forever", same_answer_forever),
};
const struct attack_group ra_sdk = { attacks, sizeof(attacks) / sizeof(attacks[0]) };

/* Takes its minute: begun first. */
static const struct attack slow[] = { CASE("ra_one_byte_per_second", one_byte_per_second) };
const struct attack_group slow_sdk = { slow, 1 };
