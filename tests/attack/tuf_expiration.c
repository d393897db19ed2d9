/* SPDX-License-Identifier: Apache-2.0 */
/* test_expiration.py, and what of test_basic.py is about the clock. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define DAY_S 86400u

/* The clock is ours to set: what is good today has expired in two days. */
static void faketime(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	device_sleep(&l->phone, 2 * DAY_S);
	lab_rejects(l, ERR_EXPIRED);
	repo_tick(l->repo);
	lab_accepts(l);
}

/* The new root counts though it has expired; nothing is taken under it. */
static void root_expired(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_accepts(l);
	l->repo->lives_s[ENVELOPE_ROOT] = 0;
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_rejects(l, ERR_EXPIRED);
	CHECK_EQ(device_root(&l->phone), 3);
}

static void expired(struct lab *l, const struct attack *a)
{
	lab_start(l);
	l->repo->lives_s[a->type] = 0;
	repo_publish(l->repo);
	lab_rejects(l, ERR_EXPIRED);
}

static void targets_expired(struct lab *l, const struct attack *a)
{
	expired(l, a);
	repo_be_honest(l->repo, 1);
	lab_offer(l)->build->expires_s = l->repo->now_s;
	repo_publish(l->repo);
	lab_refuses(l, ERR_EXPIRED);
}

static void expired_local_root(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	device_sleep(&l->phone, 366 * DAY_S);
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_accepts(l);
	CHECK_EQ(device_root(&l->phone), 2);
}

static void expired_local_timestamp(struct lab *l, const struct attack *a)
{
	(void)a;
	l->repo->lives_s[ENVELOPE_TIMESTAMP] = 7 * DAY_S;
	repo_tick(l->repo);
	lab_start(l);
	device_sleep(&l->phone, 18 * DAY_S);
	repo_publish(l->repo);
	lab_accepts(l);
}

static const struct attack attacks[] = {
	CASE("test_faketime", faketime),
	CASE("test_root_expired", root_expired),
	CASE_OF("test_timestamp_expired", expired, ENVELOPE_TIMESTAMP),
	CASE_OF("test_snapshot_expired", expired, ENVELOPE_SNAPSHOT),
	CASE_OF("test_targets_expired", targets_expired, ENVELOPE_DIRECTOR),
	CASE("test_expired_local_root", expired_local_root),
	CASE("test_expired_local_timestamp", expired_local_timestamp),
};
const struct attack_group tuf_expiration = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
