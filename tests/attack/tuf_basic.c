/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_basic.py, test_expiration.py.  TUF's top-level targets role is two here: the Director (online,
 * per ring, through the snapshot) and Targets (offline, per build); such cases try both.
 */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define DAY_S 86400u

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

static void names_snapshot_100(struct repo *r, void *message)
{
	((Pb__Timestamp *)message)->snapshot->version = 100;
	(void)r;
}

static void content_changes(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->version[ENVELOPE_TIMESTAMP]--;
	l->repo->edit[ENVELOPE_TIMESTAMP] = names_snapshot_100;
	repo_tick(l->repo);
	lab_accepts(l);
	CHECK_EQ(l->repo->full_polls, 1);
}

static void wrong_director_hash(struct repo *r, void *message)
{
	((Pb__Snapshot *)message)->directors[3]->sha256.data[0] ^= 1;
	(void)r;
}

static void wrong_snapshot_hash(struct repo *r, void *message)
{
	((Pb__Timestamp *)message)->snapshot->sha256.data[31] ^= 1;
	(void)r;
}

static void hash_support(struct lab *l, const struct attack *a)
{
	lab_start(l);
	(void)lab_offer(l);
	repo_publish(l->repo);
	lab_installs(l, "b2");
	lab_run_rejected(l, a);
}

/* Both are signed as they should be; they are not those that were named. */
static void targets_hash_mismatch(struct lab *l, const struct attack *a)
{
	struct repo_served old;
	struct repo_offer *o = lab_offer(l);

	(void)a;
	repo_publish(l->repo);
	lab_installs(l, "b2");
	old = l->repo->served;
	o->build->version++;
	repo_publish(l->repo);
	memcpy(l->repo->served.director, old.director, sizeof(old.director));
	lab_rejects(l, ERR_MISMATCH);
	(void)lab_offer(l);
	repo_publish(l->repo);
	l->repo->served.targets[0] = old.targets[0];
	lab_refuses(l, ERR_MISMATCH);
}

/* A field nobody knows: what counts are the bytes that came, not what we would make of them. */
static void strange_field(struct repo *r, void *message)
{
	static uint8_t text[] = "custom";
	static ProtobufCMessageUnknownField field = { .tag = 900,
		.wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED };
	static uint8_t data[] = { 6, 'c', 'u', 's', 't', 'o', 'm' };
	ProtobufCMessage *m = message;

	(void)text;
	field.len = sizeof(data);
	field.data = data;
	m->n_unknown_fields = 1;
	m->unknown_fields = &field;
	(void)r;
}

static void bytes_match(struct lab *l, const struct attack *a)
{
	uint8_t sha256[SHA256_LEN];

	(void)a;
	l->repo->edit[ENVELOPE_SNAPSHOT] = strange_field;
	repo_publish(l->repo);
	lab_start(l);
	CHECK(crypto_sha256(&l->repo->served.snapshot, 1, sha256) == 0);
	CHECK(memcmp(device_state(&l->phone).snapshot.sha256, sha256, SHA256_LEN) == 0);
	repo_tick(l->repo); /* names it by the same hash */
	lab_accepts(l);
	CHECK_EQ(l->repo->full_polls, 1);
}

static void custom_fields(struct lab *l, const struct attack *a)
{
	static const enum envelope_type all[] = { ENVELOPE_ROOT, ENVELOPE_TIMESTAMP,
		ENVELOPE_SNAPSHOT, ENVELOPE_DIRECTOR, ENVELOPE_PLAN, ENVELOPE_TARGETS };

	(void)a;
	lab_start(l);
	(void)lab_offer(l);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		l->repo->edit[all[i]] = strange_field;
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_installs(l, "b2");
	CHECK_EQ(device_root(&l->phone), 2);
}

/* What a key says of itself beside its bytes has no authority. */
static void misleading_key(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->keys[30].name = "keyid_hash_algorithms: md5";
	repo_set_role(l->repo, ENVELOPE_SNAPSHOT, 30, 1, 1);
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_accepts(l);
	CHECK_EQ(device_root(&l->phone), 2);
}

/* A Timestamp that names what is not there. */
static void snapshot_404(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->never_full = true;
	repo_publish(l->repo);
	lab_rejects(l, ERR_MISMATCH);
}

static void no_director(struct repo *r, Pb__PollReply *reply)
{
	reply->has_director = 0;
	(void)r;
}

static void no_targets(struct repo *r, Pb__PollReply *reply)
{
	reply->n_targets = 0;
	(void)r;
}

static void targets_404(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->edit_reply = no_director;
	repo_publish(l->repo);
	lab_rejects(l, ERR_MISMATCH);
	(void)lab_offer(l);
	l->repo->edit_reply = no_targets;
	repo_publish(l->repo);
	lab_refuses(l, ERR_MISMATCH);
}

static void no_timestamp(struct repo *r, Pb__PollReply *reply)
{
	reply->has_timestamp = 0;
	(void)r;
}

static void timestamp_404(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->edit_reply = no_timestamp;
	repo_publish(l->repo);
	lab_rejects(l, ERR_MISSING_FIELD);
}

/* Each envelope is good as what it is, and signed by the keys of what it is passed off as. */
static void snapshot_for_timestamp(struct repo *r, Pb__PollReply *reply)
{
	reply->timestamp = reply->snapshot;
	(void)r;
}

static void incorrect_type(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->role[ENVELOPE_SNAPSHOT].signer[0] = l->repo->role[ENVELOPE_TIMESTAMP].key[0];
	repo_publish(l->repo);
	l->repo->edit_reply = snapshot_for_timestamp;
	lab_rejects(l, ERR_WRONG_TYPE);
}

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

/* ---- test_expiration.py ---- */

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
	CASE("test_timestamp_content_changes", content_changes),
	CASE_EDIT("test_basic_metadata_hash_support", hash_support, ENVELOPE_SNAPSHOT,
		wrong_director_hash, ERR_MISMATCH),
	CASE("test_targets_hash_mismatch", targets_hash_mismatch),
	CASE_EDIT("test_snapshot_hash_mismatch", lab_run_rejected, ENVELOPE_TIMESTAMP,
		wrong_snapshot_hash, ERR_MISMATCH),
	CASE("test_metadata_bytes_match", bytes_match),
	CASE("test_custom_fields", custom_fields),
	CASE("test_deprecated_keyid_hash_algorithms", misleading_key),
	CASE("test_snapshot_404", snapshot_404),
	CASE("test_targets_404", targets_404),
	CASE("test_timestamp_404", timestamp_404),
	CASE("test_incorrect_metadata_type", incorrect_type),
	CASE("test_faketime", faketime),

	CASE("test_root_expired", root_expired),
	CASE_OF("test_timestamp_expired", expired, ENVELOPE_TIMESTAMP),
	CASE_OF("test_snapshot_expired", expired, ENVELOPE_SNAPSHOT),
	CASE_OF("test_targets_expired", targets_expired, ENVELOPE_DIRECTOR),
	CASE("test_expired_local_root", expired_local_root),
	CASE("test_expired_local_timestamp", expired_local_timestamp),
};
const struct attack_group tuf_basic = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
