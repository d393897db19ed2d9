/* SPDX-License-Identifier: Apache-2.0 */
/* test_file_download.py, test_quoting_issues.py, test_rollback.py, and two of the delegation graphs. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define HOUR_MS 3600000u

static bool has_file(const struct lab *l, const struct repo_build *b)
{
	return l->phone.file_len == b->length && memcmp(l->phone.file, b->file, b->length) == 0;
}

static void downloads(struct lab *l, const struct attack *a)
{
	struct repo_offer *o;

	lab_boot(l);
	o = lab_offer(l);
	if (a->more != NULL)
		o->build->path = a->more;
	repo_publish(l->repo);
	CHECK_EQ(l->repo->fetches, 0);
	lab_installs(l, o->build->id);
	CHECK_EQ(l->repo->fetches, 1);
	CHECK(has_file(l, o->build));
	CHECK_EQ(l->wire.odd_paths, 0);
}

/* The same build again, other bytes: neither applied nor believed for a moment. */
static void substitutes(struct lab *l, const struct attack *a)
{
	struct repo_offer *o;

	(void)a;
	lab_boot(l);
	o = lab_offer(l);
	l->repo->spoil_file = 0x20;
	repo_publish(l->repo);
	CHECK_ERR(device_refresh(&l->phone), ERR_BAD_HASH);
	CHECK_EQ(l->phone.applies, 0);
	l->repo->spoil_file = 0;
	lab_installs(l, o->build->id);
	(void)lab_offer(l);
	l->repo->spoil_file = 1;
	repo_publish(l->repo);
	device_live(&l->phone, 6 * HOUR_MS);
	CHECK_ERR(l->phone.first_error, ERR_BAD_HASH);
	CHECK_EQ(l->phone.applies, 1);
	CHECK_EQ(l->repo->fetches, 4); /* a second time, and no more */
}

/* Of eleven builds the phone sees each fifth; behind each of these comes a false one. */
static void multiple_changes(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_boot(l);
	for (unsigned i = 0; i < 11; i++) {
		const char *id = lab_offer(l)->build->id;
		unsigned applies = l->phone.applies;
		repo_publish(l->repo);
		if (i % 5 != 0)
			continue;
		lab_installs(l, id);
		CHECK_EQ(l->phone.applies, ++applies);
		(void)lab_offer(l);
		l->repo->spoil_file = 4;
		repo_publish(l->repo);
		device_live(&l->phone, 3 * HOUR_MS);
		CHECK_EQ(l->phone.applies, applies);
		CHECK(strcmp(l->phone.slot.build_id, id) == 0);
		l->repo->spoil_file = 0;
	}
}

/* As long as SHA-512 would be: the one hash of the format is of another length. */
static void other_hash(struct repo *r, void *message)
{
	static uint8_t sha512[64];

	((Pb__Targets *)message)->targets[0]->sha256 = wire_data(sha512, sizeof(sha512));
	(void)r;
}

/* What was fetched is not fetched again, but hashed again. */
static void artifact_cache(struct lab *l, const struct attack *a)
{
	const char *id;

	(void)a;
	lab_boot(l);
	id = lab_offer(l)->build->id;
	repo_publish(l->repo);
	l->phone.holds_apply = true;
	CHECK_ERR(device_refresh(&l->phone), 0);
	CHECK_EQ(l->phone.applies, 1);
	l->phone.holds_apply = false;
	device_restart(&l->phone);
	lab_installs(l, id);
	CHECK_EQ(l->repo->fetches, 1);
	CHECK_EQ(l->phone.applies, 2);
}

/* A build may be called anything: names are not asked for, nor written to. */
static void unusual_name(struct lab *l, const struct attack *a)
{
	struct repo_offer *o;

	lab_boot(l);
	o = lab_offer(l);
	o->build->id = a->more;
	repo_publish(l->repo);
	lab_installs(l, a->more);
	CHECK_EQ(l->wire.odd_paths, 0);
}

/* ---- test_rollback.py ---- */

static void timestamp_rollback(struct lab *l, const struct attack *a)
{
	struct bytes old = l->repo->served.timestamp;

	(void)a;
	repo_tick(l->repo);
	lab_start(l);
	l->repo->served.timestamp = old;
	lab_rejects(l, ERR_ROLLBACK);
}

/* A newer Timestamp for an older snapshot: alone, and with the snapshot along. */
static void snapshot_rollback(struct lab *l, const struct attack *a)
{
	repo_publish(l->repo);
	lab_start(l);
	l->repo->version[ENVELOPE_SNAPSHOT] = 0;
	repo_publish(l->repo);
	l->repo->always_full = a->more != NULL;
	l->repo->never_full = a->more == NULL;
	lab_rejects(l, ERR_ROLLBACK);
}

static void three_directors(struct repo *r, void *message)
{
	((Pb__Snapshot *)message)->n_directors = 3;
	(void)r;
}

static void one_older(struct repo *r, void *message)
{
	((Pb__Snapshot *)message)->directors[0]->version = 1; /* of another ring than ours */
	(void)r;
}

static void all_older(struct lab *l, const struct attack *a)
{
	(void)a;
	repo_publish(l->repo);
	lab_start(l);
	l->repo->version[ENVELOPE_DIRECTOR] = 0;
	repo_publish(l->repo);
	lab_rejects(l, ERR_ROLLBACK);
}

static void some_older(struct lab *l, const struct attack *a)
{
	repo_publish(l->repo);
	lab_run_rejected(l, a);
}

/* Versions were driven up with a stolen key; a new root makes them worth nothing. */
static void recovers_from(struct lab *l, const struct attack *a)
{
	const enum envelope_type *stolen = a->more;
	struct repo *r = l->repo;
	const char *id;

	lab_start(l);
	r->version[a->type] = 99999;
	if (a->type == ENVELOPE_TIMESTAMP)
		repo_tick(r);
	else
		repo_publish(r);
	lab_accepts(l);
	r->version[a->type] = 0;
	repo_publish(r);
	lab_rejects(l, ERR_ROLLBACK); /* still the old keys */
	for (; *stolen != ENVELOPE__COUNT; stolen++)
		repo_rotate(r, *stolen);
	id = lab_offer(l)->build->id;
	repo_publish_root(r);
	r->version[a->type] = 0;
	r->highest[a->type] = 0;
	repo_publish(r);
	lab_accepts(l);
	CHECK_EQ(device_root(&l->phone), 2);
	lab_installs(l, id);
}

/* ---- test_updater_delegation_graphs.py ---- */

static void other_product(struct repo *r, void *message)
{
	((Pb__Targets *)message)->product = "phone2";
	(void)r;
}

/*
 * What release keys signed before they were revoked was verified then; now it is not.  Neither is
 * what was verified for one product good for another.
 */
static void current_delegator(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;
	struct repo_offer *o;
	struct bytes by_old_keys;

	(void)a;
	lab_start(l);
	o = lab_offer(l);
	repo_publish(r);
	l->phone.holds_apply = true;
	CHECK_ERR(device_refresh(&l->phone), 0); /* fetched, verified, on its way to the slot */
	CHECK_EQ(l->phone.applies, 1);
	by_old_keys = o->build->targets;
	repo_rotate(r, ENVELOPE_TARGETS);
	repo_publish_root(r);
	repo_tick(r);
	/* The same snapshot, or all of it again: the build of the old keys is not taken. */
	for (unsigned full = 0; full < 2; full++) {
		r->always_full = full;
		(void)device_refresh(&l->phone);
		huidu_applied(l->phone.h, 0);
		device_live(&l->phone, 2 * HOUR_MS);
		CHECK_EQ(l->phone.activations, 0);
		CHECK(device_state(&l->phone).candidate.build_id[0] == '\0');
	}
	CHECK(bytes_eq(r->served.targets[0], by_old_keys));
	CHECK_EQ(device_root(&l->phone), 2);
	l->phone.holds_apply = false;
	(void)lab_offer(l);
	r->edit[ENVELOPE_TARGETS] = other_product;
	repo_publish(r);
	lab_refuses(l, ERR_WRONG_PRODUCT);
}

/* A director that is newer than the snapshot, and one for another product's device. */
static void not_in_snapshot(struct lab *l, const struct attack *a)
{
	struct repo_served now;

	(void)a;
	lab_start(l);
	repo_publish(l->repo);
	now = l->repo->served;
	(void)lab_offer(l);
	repo_publish(l->repo);
	memcpy(now.director, l->repo->served.director, sizeof(now.director));
	memcpy(now.entry, l->repo->served.entry, sizeof(now.entry));
	now.checkpoint = l->repo->served.checkpoint;
	now.log_size = l->repo->served.log_size;
	l->repo->served = now;
	lab_rejects(l, ERR_MISMATCH);
}

#define STOLEN(...)                                                                                \
	(const enum envelope_type[])                                                               \
	{                                                                                          \
		__VA_ARGS__, ENVELOPE__COUNT                                                       \
	}
static const struct attack attacks[] = {
	CASE("test_client_downloads_expected_file", downloads),
	CASE_MORE("test_client_downloads_expected_file_in_sub_dir", downloads, ENVELOPE__COUNT,
		"path/to/a/target_file.zip"),
	CASE("test_repository_substitutes_target_file", substitutes),
	CASE("test_multiple_changes_to_target", multiple_changes),
	CASE("test_download_with_hash_algorithms[sha256]", downloads),
	CASE_EDIT("test_download_with_unknown_hash_algorithm", lab_run_refused, ENVELOPE_TARGETS,
		other_hash, ERR_MISMATCH),
	CASE("test_artifact_cache", artifact_cache),

	CASE_MORE("test_unusual_role_name[?]", unusual_name, ENVELOPE__COUNT, "?"),
	CASE_MORE("test_unusual_role_name[#]", unusual_name, ENVELOPE__COUNT, "#"),
	CASE_MORE("test_unusual_role_name[/delegatedrole]", unusual_name, ENVELOPE__COUNT,
		"/delegatedrole"),
	CASE_MORE("test_unusual_role_name[../delegatedrole]", unusual_name, ENVELOPE__COUNT,
		"../delegatedrole"),

	CASE("test_new_timestamp_version_rollback", timestamp_rollback),
	CASE("test_snapshot_rollback[basic]", snapshot_rollback),
	CASE_MORE("test_snapshot_rollback[with hashes]", snapshot_rollback, ENVELOPE__COUNT, ""),
	CASE_EDIT("test_targets_role_removal", lab_run_rejected, ENVELOPE_SNAPSHOT, three_directors,
		ERR_MISMATCH),
	CASE_MORE("test_targets_fast_forward_recovery", recovers_from, ENVELOPE_DIRECTOR,
		STOLEN(ENVELOPE_SNAPSHOT, ENVELOPE_DIRECTOR)),
	CASE_MORE("test_new_snapshot_fast_forward_recovery", recovers_from, ENVELOPE_SNAPSHOT,
		STOLEN(ENVELOPE_SNAPSHOT, ENVELOPE_TIMESTAMP)),
	CASE_MORE("test_new_timestamp_fast_forward_recovery", recovers_from, ENVELOPE_TIMESTAMP,
		STOLEN(ENVELOPE_TIMESTAMP)),
	CASE("test_targets_rollback[basic]", all_older),
	CASE_EDIT("test_targets_rollback[with hashes]", some_older, ENVELOPE_SNAPSHOT, one_older,
		ERR_ROLLBACK),

	CASE("test_cached_role_is_verified_against_current_delegator", current_delegator),
	CASE("test_delegation_not_in_snapshot", not_in_snapshot),
};
const struct attack_group tuf_files = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
