/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository for attacks: it signs what it is told to, with whose keys it is told to, and serves
 * what it is told to serve.  It shares nothing with the server; the wire is all they have in common.
 * Ends the process when it is misused.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/checkpoint.h"
#include "proto/device.pb-c.h"
#include "proto/envelope.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"

#define REPO_NAME    "example"
#define REPO_PRODUCT "phone1"
#define REPO_LOG     "example/log"
#define REPO_KEYS    128u
#define REPO_P256    120u /* keys from here on are P-256, others Ed25519 */
#define REPO_ROLE    16u
#define REPO_ROOTS   64u
#define REPO_BUILDS  128u
#define REPO_OFFERS  8u
#define REPO_LEAVES  4096u
#define REPO_RINGS   4u

struct repo_key {
	struct crypto_key *key; /* NULL: not made yet */
	const char *name;       /* of the person; NULL: none */
	Pb__Key pb;
	uint8_t public_key[PUBLIC_MAX], id[SHA256_LEN];
};

/* Keys by their place in repo.keys. */
struct repo_role {
	unsigned n, threshold, key[REPO_ROLE];
	unsigned n_signers, signer[REPO_ROLE]; /* who signs, whoever should */
};

struct repo_build {
	const char *id, *path;
	uint64_t release_counter, rollback_index, version, expires_s;
	const char *rollback_from; /* NULL: nobody may go back to it */
	uint8_t *file;
	size_t length;
	uint8_t sha256[SHA256_LEN];
	struct bytes targets; /* Envelope */
};

struct repo_offer {
	struct repo_build *build;
	uint32_t action; /* 1 install, 2 rollback */
	uint32_t ring, lower, upper, approved_upper, step;
	uint64_t plan_version, not_before_s, expires_s;
	const char *from_build_id; /* NULL: by bucket */
	uint8_t rollout_id[ID_LEN], seed[SEED_LEN];
	struct bytes plan; /* Envelope */
};

/* What a poll is answered with; a case puts older pieces back to mix and to match. */
struct repo_served {
	struct bytes timestamp, snapshot, director[REPO_RINGS];
	struct bytes plan[REPO_OFFERS], targets[REPO_OFFERS];
	uint64_t snapshot_version; /* as the snapshot says */
	unsigned n_offers;
	uint64_t entry[REPO_RINGS], time_ms[REPO_RINGS]; /* of each director in the log */
	struct bytes checkpoint;
	uint64_t log_size;
};

struct repo {
	uint64_t now_s;
	struct repo_key keys[REPO_KEYS];
	struct repo_role role[ENVELOPE__COUNT]; /* root, timestamp ... director */
	unsigned log_key;
	uint64_t version[ENVELOPE__COUNT]; /* last published; the next is one more */
	uint64_t highest[ENVELOPE__COUNT]; /* ever published */
	uint64_t lives_s[ENVELOPE__COUNT]; /* from now to its expiry */
	uint64_t offers_for_s;

	struct bytes roots[REPO_ROOTS]; /* [version - 1] */
	struct repo_role roles_of[REPO_ROOTS][ENVELOPE__COUNT];
	unsigned n_roots;

	struct repo_build builds[REPO_BUILDS];
	struct repo_offer offers[REPO_OFFERS]; /* newest first */
	const char *halted[16];
	unsigned n_builds, n_offers, n_halted;
	uint8_t leaves[REPO_LEAVES][SHA256_LEN];
	uint64_t n_leaves;
	struct repo_served served;

	/* What it tells this device. */
	Pb__Ring ring, director_ring;
	Pb__Answer answer;
	uint32_t next_poll_s;
	bool always_full;
	bool never_full;
	bool no_log; /* proofs are left out */

	/* Dishonesty: before it is signed; after; in the answer. */
	enum envelope_type signing; /* what the first two are called for */
	void (*edit[ENVELOPE__COUNT])(struct repo *r, void *message);
	void (*forge[ENVELOPE__COUNT])(struct repo *r, Pb__Envelope *e);
	enum envelope_type typed_as[ENVELOPE__COUNT];
	void (*edit_reply)(struct repo *r, Pb__PollReply *reply);
	void (*edit_proof)(struct repo *r, Pb__LogProof *proof);
	void (*edit_time)(struct repo *r, Pb__TimeProof *proof);
	void (*edit_grant)(struct repo *r, Pb__GrantReply *reply);
	struct bytes grant; /* n > 0: this, in place of the one it would sign */
	uint8_t spoil_file; /* XORed into what is fetched */

	/* What it knows of the device, and heard. */
	uint8_t device_id[ID_LEN], report_key[SHA256_LEN], challenge[SHA256_LEN];
	bool known;
	unsigned polls, full_polls, fetches, grants, times, events;
	uint32_t last_seq;
	unsigned heard[32]; /* events by kind */
	uint32_t last_refusal;
	uint64_t asked_root, asked_snapshot,
		asked_log; /* asked_log: UINT64_MAX when it kept none */

	struct arena kept, reply;
};

/* With one build to come: keys of profile team, root 1 and everything below it published. */
struct repo *repo_new(uint64_t now_s);
void repo_free(struct repo *r);

/* The key of this number, made when first asked for. */
const struct repo_key *repo_key(struct repo *r, unsigned number);
/* A role of keys first .. first + n - 1, the first `threshold` of which sign. */
void repo_set_role(
	struct repo *r, enum envelope_type type, unsigned first, unsigned n, unsigned threshold);
/* The same role with keys nobody had before. */
void repo_rotate(struct repo *r, enum envelope_type type);

struct repo_build *repo_add_build(struct repo *r, const char *id, uint64_t release_counter);
/* To all buckets of `ring`, approved; it becomes the newest. */
struct repo_offer *repo_add_offer(struct repo *r, struct repo_build *build, uint32_t ring);
void repo_withdraw(struct repo *r);
/* The next root, signed by the root role's signers. */
void repo_publish_root(struct repo *r);
/* All below, each one version up. */
void repo_publish(struct repo *r);
/* A Timestamp alone, one version up. */
void repo_tick(struct repo *r);
/* No dishonesty; the roles are those of root `trusted`, and what came after it never was. */
void repo_be_honest(struct repo *r, uint64_t trusted);

/* What all messages below root have, of the one that is edited. */
struct repo_common {
	uint32_t *spec_version;
	uint64_t *version, *expires;
	const char **repository, **product;
};
struct repo_common repo_common(const struct repo *r, void *message);

/* `message` in an Envelope, signed by `role`'s signers; hooks are honoured. */
struct bytes repo_sign(struct repo *r, enum envelope_type type, void *message, struct arena *a);
/* Adds an entry; returns its number. */
uint64_t repo_log(struct repo *r, struct bytes envelope, uint64_t time_ms);
/* A checkpoint over the first `size` leaves. */
struct bytes repo_checkpoint(struct repo *r, uint64_t size);
/* The root over leaves [from, to). */
void repo_subtree(const struct repo *r, uint64_t from, uint64_t to, uint8_t out[SHA256_LEN]);
/* Zeroed memory, and text, that live as long as the arena. */
void *repo_take(struct arena *a, size_t n);
const char *repo_text(struct arena *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void repo_must(int err);

/* HTTP status, with the body in `*out` until the next. */
int repo_post(struct repo *r, const char *path, struct bytes body, struct bytes *out);
int repo_file(struct repo *r, const char *path, uint64_t from, struct bytes *out);
