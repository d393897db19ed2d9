/* SPDX-License-Identifier: Apache-2.0 */
/* A phone that lay in a drawer for two years, and whose clock has stopped meanwhile. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define DAY_S 86400u

/* The next root has other root keys; both signed it. */
static void rotate_root(struct repo *r)
{
	struct repo_role *role = &r->role[ENVELOPE_ROOT], old = *role;

	repo_rotate(r, ENVELOPE_ROOT);
	for (unsigned i = 0; i < old.threshold; i++)
		role->signer[role->n_signers++] = old.key[i];
	repo_publish_root(r);
	role->n_signers = role->threshold;
}

/* Every two months a root, each year all keys; and builds that nobody who is awake misses. */
static void two_years_of_a_repository(struct lab *l)
{
	static const enum envelope_type yearly[] = { ENVELOPE_TIMESTAMP, ENVELOPE_SNAPSHOT,
		ENVELOPE_DIRECTOR, ENVELOPE_TARGETS, ENVELOPE_PLAN };

	for (unsigned month = 2; month <= 24; month += 2) {
		device_sleep(&l->phone, 61 * DAY_S);
		for (unsigned i = 0; month % 12 == 0 && i < 5; i++)
			repo_rotate(l->repo, yearly[i]);
		if (month % 12 == 0)
			rotate_root(l->repo);
		else
			repo_publish_root(l->repo);
		(void)lab_offer(l);
		repo_publish(l->repo);
	}
}

static void two_years_in_a_drawer(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;
	const char *newest;

	(void)a;
	lab_start(l);
	(void)lab_offer(l);
	repo_publish(r);
	lab_installs(l, "b2");
	two_years_of_a_repository(l);
	newest = r->offers[0].build->id;
	r->known = false; /* who says nothing for so long is forgotten */
	l->phone.skew_ms = DEVICE_1970(&l->phone);
	device_restart(&l->phone);
	r->polls = 0;
	(void)device_refresh(&l->phone); /* "who are you?" */
	lab_installs(l, newest);
	CHECK_EQ(r->n_roots, 13);
	CHECK_EQ(device_root(&l->phone), 13);
	CHECK(r->times > 0);
	CHECK(!device_status(&l->phone).stale);
}

static const struct attack attacks[] = {
	CASE("story_two_years_in_a_drawer", two_years_in_a_drawer),
};
const struct attack_group drawer_sdk = { attacks, 1 };
