/* SPDX-License-Identifier: Apache-2.0 */
/* test_basic.py, second half: content that is not what was named, or is not there. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

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
	static ProtobufCMessageUnknownField field = { .tag = 900,
		.wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED };
	static uint8_t data[] = { 6, 'c', 'u', 's', 't', 'o', 'm' };
	ProtobufCMessage *m = message;

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

static const struct attack attacks[] = {
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
};
const struct attack_group tuf_content = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
