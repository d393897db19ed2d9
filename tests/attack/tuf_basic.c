/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_basic.py, first half: requests, roots to begin with, signatures, versions.  TUF's top-level targets role is two here: the Director (online,
 * per ring, through the snapshot) and Targets (offline, per build); such cases try both.
 */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

static void requests(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_boot(l);
	CHECK_EQ(l->wire.requests, 0);
	lab_accepts(l);
	CHECK_EQ(l->wire.requests, 3); /* twice to enrol, once to poll: all metadata at once */
	CHECK_EQ(l->repo->full_polls, 1);
	lab_accepts(l);
	CHECK_EQ(l->wire.requests, 4);
	CHECK_EQ(l->repo->full_polls, 1); /* what is known does not travel again */
}

static void trusted_data(struct lab *l, const struct attack *a)
{
	struct state s;
	uint8_t sha256[SHA256_LEN];

	(void)a;
	lab_start(l);
	s = device_state(&l->phone);
	CHECK(crypto_sha256(&l->repo->served.snapshot, 1, sha256) == 0);
	CHECK(memcmp(s.snapshot.sha256, sha256, SHA256_LEN) == 0);
	CHECK_EQ(device_root(&l->phone), 1);
	for (unsigned i = 0; i < REPO_RINGS; i++)
		CHECK_EQ(s.director_version[i], l->repo->version[ENVELOPE_DIRECTOR]);
}

/* The file is missing; what is said of it is taken all the same, and before it is asked for. */
static void implicit_refresh(struct lab *l, const struct attack *a)
{
	(void)a;
	(void)lab_offer(l);
	repo_publish(l->repo);
	lab_boot(l);
	l->wire.only = "/v1/artifact";
	l->wire.status = 404;
	CHECK_ERR(device_refresh(&l->phone), ERR_UNREACHABLE);
	CHECK_EQ(device_state(&l->phone).snapshot.version, l->repo->served.snapshot_version);
	CHECK_EQ(l->repo->polls, 1);
	CHECK_EQ(l->phone.applies, 0);
}

/* A phone is not made with a root that cannot be trusted; it asks nobody anything. */
static void does_not_start(struct lab *l, struct bytes root, int want)
{
	struct wire wire = l->wire;

	CHECK(!device_open(&l->phone, l->repo, &l->wire, root));
	CHECK_ERR(l->phone.init_error, want);
	CHECK_EQ(l->wire.requests, wire.requests);
	huidu_curl_free(l->phone.curl);
	lab_boot(l); /* with the good one */
}

static struct bytes new_root(struct lab *l)
{
	struct bytes root;

	repo_publish_root(l->repo);
	root = l->repo->roots[--l->repo->n_roots];
	l->repo->version[ENVELOPE_ROOT]--;
	return root;
}

/* No version: its two bytes are cut out of the payload, which is signed then. */
static void without_version(struct repo *r, Pb__Envelope *e)
{
	uint8_t *p = e->payload.data;

	CHECK(p[2] == 0x10);
	memmove(p + 2, p + 4, e->payload.len - 4);
	e->payload.len -= 2;
	(void)r;
}

static void invalid_initial_root(struct lab *l, const struct attack *a)
{
	(void)a;
	l->repo->forge[ENVELOPE_ROOT] = without_version;
	does_not_start(l, new_root(l), ERR_MISSING_FIELD);
}

static void spoil_first_signature(struct repo *r, Pb__Envelope *e)
{
	e->signatures[0]->sig.data[7] ^= 1;
	(void)r;
}

static void unsigned_initial_root(struct lab *l, const struct attack *a)
{
	(void)a;
	l->repo->forge[ENVELOPE_ROOT] = spoil_first_signature;
	does_not_start(l, new_root(l), ERR_BELOW_THRESHOLD);
}

/* One signature fewer than the role asks for, in a repository that is else all new. */
static void unsigned_metadata(struct lab *l, const struct attack *a)
{
	lab_start(l);
	l->repo->role[a->type].n_signers--;
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_rejects(l, ERR_BELOW_THRESHOLD);
	CHECK_EQ(device_root(&l->phone), a->type == ENVELOPE_ROOT ? 1 : 2);
}

static void unsigned_targets(struct lab *l, const struct attack *a)
{
	struct attack director = *a;

	director.type = ENVELOPE_DIRECTOR;
	unsigned_metadata(l, &director);
	repo_be_honest(l->repo, 2);
	(void)lab_offer(l);
	l->repo->role[ENVELOPE_TARGETS].n_signers--;
	repo_publish(l->repo);
	lab_refuses(l, ERR_BELOW_THRESHOLD);
}

static void root_ahead(struct repo *r, void *message)
{
	((Pb__Root *)message)->version++;
	(void)r;
}

static void snapshot_ahead(struct repo *r, void *message)
{
	((Pb__Snapshot *)message)->version++;
	(void)r;
}

static void director_ahead(struct repo *r, void *message)
{
	((Pb__Director *)message)->version++;
	(void)r;
}

static void targets_ahead(struct repo *r, void *message)
{
	((Pb__Targets *)message)->version++;
	(void)r;
}

static void version_mismatch(struct lab *l, const struct attack *a)
{
	lab_start(l);
	l->repo->edit[a->type] = a->edit;
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_rejects(l, a->want);
	CHECK_EQ(device_root(&l->phone), a->type == ENVELOPE_ROOT ? 1 : 2);
}

static void targets_version_mismatch(struct lab *l, const struct attack *a)
{
	version_mismatch(l, a);
	repo_be_honest(l->repo, 2);
	(void)lab_offer(l);
	l->repo->edit[ENVELOPE_TARGETS] = targets_ahead;
	repo_publish(l->repo);
	lab_refuses(l, ERR_MISMATCH);
}

static const struct attack attacks[] = {
	CASE("test_basic_refresh_requests", requests),
	CASE("test_basic_refresh_trusted_data", trusted_data),
	CASE("test_implicit_refresh", implicit_refresh),
	CASE("test_invalid_initial_root", invalid_initial_root),
	CASE("test_unsigned_initial_root", unsigned_initial_root),
	CASE_OF("test_unsigned_metadata[root]", unsigned_metadata, ENVELOPE_ROOT),
	CASE_OF("test_unsigned_metadata[timestamp]", unsigned_metadata, ENVELOPE_TIMESTAMP),
	CASE_OF("test_unsigned_metadata[snapshot]", unsigned_metadata, ENVELOPE_SNAPSHOT),
	CASE("test_unsigned_metadata[targets]", unsigned_targets),
	CASE_EDIT("test_url_and_metadata_version_mismatch[root]", version_mismatch, ENVELOPE_ROOT,
		root_ahead, ERR_ROOT_VERSION),
	CASE_EDIT("test_url_and_metadata_version_mismatch[snapshot]", version_mismatch,
		ENVELOPE_SNAPSHOT, snapshot_ahead, ERR_MISMATCH),
	CASE_EDIT("test_url_and_metadata_version_mismatch[targets]", targets_version_mismatch,
		ENVELOPE_DIRECTOR, director_ahead, ERR_MISMATCH),
};
const struct attack_group tuf_basic = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
