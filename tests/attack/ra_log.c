/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on a staged rollout, as far as a phone meets them: other rings' words, another log. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define HOUR_MS 3600000u

static bool runs(const struct lab *l, const char *build_id)
{
	return strcmp(l->phone.slot.build_id, build_id) == 0;
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

static void seed_of_the_director(struct repo *r, void *message)
{
	Pb__Director *d = message;

	if (d->n_offers > 0)
		d->offers[0]->selector->seed = wire_data(r->report_key, SEED_LEN);
}

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

static const struct attack attacks[] = {
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
};
const struct attack_group ra_log = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
