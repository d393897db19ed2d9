/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/attack/lab.h"

#include <stdio.h>
#include <stdlib.h>

#define HOUR_MS 3600000u

void lab_boot(struct lab *l)
{
	if (l->phone.h != NULL)
		return;
	if (!device_open(&l->phone, l->repo, &l->wire, l->repo->roots[0]))
		suite_fail(__FILE__, __LINE__, "the SDK does not start: %s",
			err_name(l->phone.init_error));
}

void lab_accepts(struct lab *l)
{
	struct state s;

	lab_boot(l);
	CHECK_ERR(device_refresh(&l->phone), 0);
	s = device_state(&l->phone);
	CHECK_EQ(s.timestamp_version, l->repo->version[ENVELOPE_TIMESTAMP]);
	CHECK_EQ(s.snapshot.version, l->repo->served.snapshot_version);
}

void lab_start(struct lab *l)
{
	lab_accepts(l);
}

struct repo_offer *lab_offer(struct lab *l)
{
	struct repo *r = l->repo;
	char *id = repo_take(&r->kept, 16);
	struct repo_offer *o;

	(void)snprintf(id, 16, "b%u", r->n_builds + 2);
	repo_withdraw(r);
	o = repo_add_offer(r, repo_add_build(r, id, r->n_builds + 2), PB__RING__RING_STABLE);
	o->build->rollback_index = device_state(&l->phone).rollback_index;
	return o;
}

/* What a poll moves.  A new root may make it forget: then it counts from nothing. */
static void check_same_chain(const struct state *a, const struct state *b)
{
	struct state fresh = *a;

	if (b->root_version > a->root_version && b->timestamp_version == 0) {
		fresh.timestamp_version = fresh.timestamp_expires_s = fresh.offers_until_s = 0;
		memset(&fresh.snapshot, 0, sizeof(fresh.snapshot));
		memset(fresh.director_version, 0, sizeof(fresh.director_version));
	}
	a = &fresh;
	CHECK_EQ(b->timestamp_version, a->timestamp_version);
	CHECK_EQ(b->timestamp_expires_s, a->timestamp_expires_s);
	CHECK_EQ(b->offers_until_s, a->offers_until_s);
	CHECK_EQ(b->snapshot.version, a->snapshot.version);
	CHECK(memcmp(b->snapshot.sha256, a->snapshot.sha256, SHA256_LEN) == 0);
	CHECK(memcmp(b->director_version, a->director_version, sizeof(a->director_version)) == 0);
	CHECK_EQ(b->rollback_index, a->rollback_index);
	CHECK_EQ(b->last_fresh_ms, a->last_fresh_ms);
	CHECK(b->floor_s == a->floor_s || (b->root_version > a->root_version && b->floor_s == 0));
}

static void check_untouched(struct lab *l, unsigned fetches, unsigned applies)
{
	CHECK_EQ(l->repo->fetches, fetches);
	CHECK_EQ(l->phone.applies, applies);
	CHECK(l->phone.activations == 0 || !l->phone.restarting);
}

void lab_rejects(struct lab *l, int want)
{
	unsigned fetches = l->repo->fetches, applies = l->phone.applies;
	struct state before, after;

	lab_boot(l);
	before = device_state(&l->phone);
	CHECK_ERR(device_refresh(&l->phone), want);
	after = device_state(&l->phone);
	check_same_chain(&before, &after);
	CHECK(strcmp(after.candidate.build_id, before.candidate.build_id) == 0 ||
		after.candidate.build_id[0] == '\0');
	check_untouched(l, fetches, applies);
}

void lab_refuses(struct lab *l, int want)
{
	unsigned fetches = l->repo->fetches, applies = l->phone.applies;
	unsigned told = l->repo->heard[PB__EVENT_KIND__EVENT_REFUSED];

	lab_boot(l);
	CHECK_ERR(device_refresh(&l->phone), want);
	CHECK(device_state(&l->phone).candidate.build_id[0] == '\0');
	(void)device_refresh(&l->phone); /* the same again; it carries the report */
	(void)device_refresh(&l->phone);
	CHECK_EQ(l->repo->heard[PB__EVENT_KIND__EVENT_REFUSED], told + 1);
	CHECK_ERR(-(int)l->repo->last_refusal, want);
	check_untouched(l, fetches, applies);
}

void lab_holds(struct lab *l)
{
	unsigned fetches = l->repo->fetches, applies = l->phone.applies;

	lab_accepts(l);
	CHECK(device_state(&l->phone).candidate.build_id[0] == '\0');
	check_untouched(l, fetches, applies);
}

void lab_installs(struct lab *l, const char *build_id)
{
	lab_boot(l);
	huidu_poll_now(l->phone.h);
	for (unsigned i = 0; i < 4 && strcmp(l->phone.slot.build_id, build_id) != 0; i++)
		device_live(&l->phone, HOUR_MS);
	if (strcmp(l->phone.slot.build_id, build_id) != 0)
		suite_fail(__FILE__, __LINE__, "runs %s, not %s; last error %s",
			l->phone.slot.build_id, build_id, err_name(l->phone.first_error));
	CHECK_EQ(device_state(&l->phone).trial.stage, TRIAL_PROVED);
}

void lab_recovers(struct lab *l)
{
	struct repo *r = l->repo;
	struct repo_build *b;

	wire_be_honest(&l->wire);
	l->phone.skew_ms = 0;
	l->phone.die_at = 0;
	if (l->phone.dead)
		device_restart(&l->phone);
	repo_be_honest(r, device_root(&l->phone));
	repo_withdraw(r);
	repo_publish_root(r);
	b = repo_add_build(r, "honest", 1000000);
	b->rollback_index = device_state(&l->phone).rollback_index;
	(void)repo_add_offer(r, b, PB__RING__RING_STABLE);
	repo_publish(r);
	lab_installs(l, "honest");
	CHECK_EQ(device_root(&l->phone), r->n_roots);
}

void lab_stage(const struct attack *a)
{
	struct lab *l = calloc(1, sizeof(*l));

	CHECK(l != NULL);
	l->repo = repo_new(WORLD_T0_S);
	wire_start(&l->wire, l->repo);
	a->run(l, a);
	if (l->phone.h != NULL) {
		lab_recovers(l);
		device_close(&l->phone);
	}
	wire_stop(&l->wire);
	repo_free(l->repo);
	free(l);
}

void lab_run_rejected(struct lab *l, const struct attack *a)
{
	lab_start(l);
	l->repo->edit[a->type] = a->edit;
	repo_publish(l->repo);
	lab_rejects(l, a->want);
}

void lab_run_refused(struct lab *l, const struct attack *a)
{
	lab_start(l);
	(void)lab_offer(l);
	l->repo->edit[a->type] = a->edit;
	repo_publish(l->repo);
	lab_refuses(l, a->want);
}
