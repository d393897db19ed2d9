/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that other update clients had: names that lead elsewhere, versions that go back. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define HOUR_MS 3600000u

/* tough CVE-2026-6968: names that lead out of the folder. */
static void names_lead_nowhere(struct lab *l, const struct attack *a)
{
	static const char *const names[] = { "/etc/passwd", "../../outside", "a/../../b", "~/x" };

	(void)a;
	lab_boot(l);
	for (unsigned i = 0; i < 4; i++) {
		struct repo_offer *o = lab_offer(l);
		o->build->path = names[i];
		repo_publish(l->repo);
		lab_installs(l, o->build->id);
	}
	CHECK_EQ(l->wire.odd_paths, 0);
}

/* tough CVE-2025-2885: any newer root would do. */
static void root_is_the_next(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->version[ENVELOPE_ROOT] = 2;
	repo_publish_root(l->repo); /* 3, in the place of 2 */
	lab_rejects(l, ERR_ROOT_VERSION);
	CHECK_EQ(device_root(&l->phone), 1);
}

/* tough CVE-2025-2888: a Timestamp that was refused was kept, and the next was "older". */
static void refused_timestamp_is_forgotten(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;

	(void)a;
	lab_start(l);
	r->version[ENVELOPE_TIMESTAMP] = 1ull << 40;
	r->role[ENVELOPE_TIMESTAMP].signer[0] = r->role[ENVELOPE_SNAPSHOT].key[0];
	repo_tick(r);
	lab_rejects(l, ERR_BELOW_THRESHOLD);
	device_restart(&l->phone);
	r->version[ENVELOPE_TIMESTAMP] = r->highest[ENVELOPE_TIMESTAMP] = 5;
	repo_be_honest(r, 1);
	repo_publish(r);
	lab_accepts(l);
}

/* go-tuf CVE-2022-29173: what was stored did not count. */
static void rollback_after_restart(struct lab *l, const struct attack *a)
{
	struct repo_served old = l->repo->served;

	(void)a;
	for (unsigned i = 0; i < 4; i++)
		repo_publish(l->repo);
	lab_start(l);
	device_restart(&l->phone);
	l->repo->served = old;
	lab_rejects(l, ERR_ROLLBACK);
}

/* The same: saved before it was verified.  The power goes at each save of an update in turn. */
static void power_goes_at_each_save(struct lab *l, const struct attack *a)
{
	unsigned cuts = 0;
	bool cut = true;

	(void)a;
	lab_start(l);
	for (unsigned at = 1; cut; at++) {
		const char *id = lab_offer(l)->build->id;
		repo_publish_root(l->repo);
		repo_publish(l->repo);
		l->phone.saves = 0;
		l->phone.die_at = at;
		l->phone.die_after = at % 2 == 0;
		lab_installs(l, id);
		cut = l->phone.saves >= at;
		cuts += cut;
		l->phone.die_at = 0;
		CHECK_EQ(device_root(&l->phone), l->repo->n_roots);
		lab_accepts(l);
	}
	CHECK(cuts > 4);
	suite_note("%u power cuts", cuts);
}

static void climbing_director(struct repo *r, void *message)
{
	((Pb__Snapshot *)message)->directors[3]->name = "director/phone1/../../stable";
	(void)r;
}

static void climbing_snapshot(struct repo *r, void *message)
{
	((Pb__Timestamp *)message)->snapshot->name = "../snapshot/phone1";
	(void)r;
}

static void climbing_plan(struct repo *r, void *message)
{
	Pb__Director *d = message;

	if (d->n_offers > 0)
		d->offers[0]->plan->name = "plan/../phone1";
	(void)r;
}

/* python-tuf GHSA-wjw6-2cqr-j4qr: a role's name was a file's name. */
static void role_names(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;

	(void)a;
	lab_start(l);
	r->edit[ENVELOPE_SNAPSHOT] = climbing_director;
	repo_publish(r);
	lab_rejects(l, ERR_MISMATCH);
	repo_be_honest(r, 1);
	r->edit[ENVELOPE_TIMESTAMP] = climbing_snapshot;
	repo_publish(r);
	lab_rejects(l, ERR_MISMATCH);
	repo_be_honest(r, 1);
	(void)lab_offer(l);
	r->edit[ENVELOPE_DIRECTOR] = climbing_plan;
	repo_publish(r);
	lab_refuses(l, ERR_MISMATCH);
	CHECK_EQ(l->wire.odd_paths, 0);
}

static void for_phone2(struct repo *r, void *message)
{
	((Pb__Targets *)message)->product = "phone2";
	(void)r;
}

/* tuf-conformance, failed by two clients: what was verified for A is not verified for B. */
static void other_products_targets(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;
	const char *id;

	(void)a;
	lab_start(l);
	id = lab_offer(l)->build->id;
	r->edit[ENVELOPE_TARGETS] = for_phone2; /* good and signed, for the other phone */
	repo_publish(r);
	lab_refuses(l, ERR_WRONG_PRODUCT);
	device_restart(&l->phone);
	device_live(&l->phone, 6 * HOUR_MS);
	CHECK(strcmp(l->phone.slot.build_id, id) != 0);
}

static const struct attack attacks[] = {
	CASE("cr_06_names_lead_nowhere", names_lead_nowhere),
	CASE("cr_07_root_is_the_next", root_is_the_next),
	CASE("cr_08_refused_timestamp_is_forgotten", refused_timestamp_is_forgotten),
	CASE("cr_09_rollback_after_restart", rollback_after_restart),
	CASE("cr_10_power_goes_at_each_save", power_goes_at_each_save),
	CASE("cr_11_role_names_are_no_file_names", role_names),
	CASE("cr_12_other_products_targets", other_products_targets),
};
const struct attack_group cr_names = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
