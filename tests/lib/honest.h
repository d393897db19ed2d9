/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server for one device, in memory: real keys (profile team), real signatures, real
 * MACs.  It is honest until a test gives it an `edit` or a wrong signer.  Ends the
 * process on misuse.
 */
#pragma once

#include "proto/bucket.h"
#include "proto/bytes.h"
#include "proto/checkpoint.h"
#include "proto/device.pb-c.h"
#include "proto/envelope.h"
#include "proto/merkle.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"

#define HONEST_REPOSITORY "example"
#define HONEST_PRODUCT    "phone1"
#define HONEST_RINGS      4u
#define HONEST_KEYS       3u /* of a role, at most */
#define HONEST_MAX        8u
#define HONEST_HALTED     32u
#define HONEST_EVENTS     256u
#define HONEST_ROOTS      80u /* after the first */
#define HONEST_ORIGIN     "example/log"
#define HONEST_ROOTS_EACH 8u /* in one reply */

struct honest_role {
	unsigned n, threshold;
	struct crypto_key *key[HONEST_KEYS];
	uint8_t keyid[HONEST_KEYS][SHA256_LEN];
};

/* Every director is an entry, and every Root after the first. */
struct honest_log {
	struct honest_role key;
	uint8_t (*leaf)[SHA256_LEN];
	uint64_t n, room;
};

/* Where an entry stands. */
struct honest_entry {
	uint64_t index, time_ms;
};

struct honest_build {
	const char *build_id;
	uint64_t release_counter, rollback_index;
	const char *rollback_from; /* NULL: nobody may go back to it */
	uint64_t version, expires_s;
	uint8_t *file;
	size_t length;
	uint8_t sha256[SHA256_LEN];
	struct bytes targets; /* Envelope */
};

struct honest_offer {
	struct honest_build *build;
	uint32_t action; /* 1 install, 2 rollback */
	uint32_t ring, lower, upper;
	uint32_t approved_upper; /* in the plan */
	uint64_t not_before_s;
	uint64_t plan_version, plan_expires_s;
	const char *from_build_id; /* NULL: by bucket */
	uint8_t rollout_id[ID_LEN];
	struct bytes plan; /* Envelope */
};

struct honest_event {
	uint32_t seq;
	Pb__EventKind kind;
	uint32_t code;
	char build_id[64];
	uint8_t signature0; /* first byte of a crash's */
};

struct honest {
	uint64_t now_s;
	struct honest_role roles[ENVELOPE__COUNT];
	struct bytes root; /* Envelope of the first, which phones are made with */
	struct bytes roots[HONEST_ROOTS];
	uint64_t root_version, root_for_s;
	struct honest_log log;
	struct honest_entry logged[HONEST_RINGS]; /* the directors */
	uint64_t timestamp_version, snapshot_version, director_version[HONEST_RINGS];
	uint64_t offers_for_s, timestamp_for_s, snapshot_for_s, director_for_s;

	struct honest_build builds[HONEST_MAX];
	struct honest_offer offers[HONEST_MAX];
	const char *halted[HONEST_HALTED];
	unsigned n_builds, n_offers, n_halted;

	/* What it tells this device. */
	Pb__Ring ring, director_ring;
	Pb__RingWhy ring_why;
	Pb__Answer answer;
	uint32_t next_poll_s;
	bool always_full; /* send everything whatever the device holds */
	uint64_t grant_for_s;
	bool closed; /* enrolment: 403 without `token` */
	const char *token;

	/* What it knows of it. */
	uint8_t device_id[ID_LEN], report_key[SHA256_LEN], challenge[SHA256_LEN];
	unsigned enrolments;
	bool known;          /* cleared: 401 */
	uint32_t unreadable; /* not 0: what has an event of this code is answered 400 */
	uint32_t last_seq;
	struct honest_event events[HONEST_EVENTS];
	unsigned n_events;
	unsigned polls, anonymous_polls, reports, fetches, full_polls, grants, times;
	uint64_t range_from; /* of the last fetch */
	struct {
		char build_id[64];
		uint64_t release_counter, rollback_index, root_version, snapshot_version;
		uint64_t log_size;
		uint32_t seq, enrol_wish, wish;
		bool urgent;
	} asked; /* by the last poll */
	struct {
		char token[128];
		uint8_t voucher[SIG_LEN];
		size_t voucher_len, attestation_len;
		uint8_t attestation[3072];
	} shown; /* by the last enrolment */

	/*
	 * Dishonesty: changes a message before it is signed, the reply before it is
	 * sent.
	 */
	void (*edit)(struct honest *s, enum envelope_type type, void *message);
	void (*edit_reply)(struct honest *s, Pb__PollReply *reply);
	void (*edit_enrol)(struct honest *s, Pb__EnrollReply *reply);
	void (*edit_proof)(struct honest *s, Pb__LogProof *proof);
	void (*edit_grant)(struct honest *s, Pb__GrantReply *reply);
	void (*edit_time)(struct honest *s, Pb__TimeProof *proof);
	unsigned signatures[ENVELOPE__COUNT];          /* 0: the threshold */
	enum envelope_type signed_as[ENVELOPE__COUNT]; /* whose keys; itself at first */
	enum envelope_type typed_as[ENVELOPE__COUNT];  /* payload type; itself at first */
	uint8_t flip_file;                             /* XORed into the files it serves */

	struct bytes timestamp, snapshot, director[HONEST_RINGS];
	struct arena kept, now; /* memory of builds; of what publish makes */
	struct arena reply;
};

struct honest *honest_new(uint64_t now_s);
void honest_free(struct honest *s);

/* A build whose file is `length` bytes; signed at the next publish. */
struct honest_build *honest_add_build(
	struct honest *s, const char *build_id, uint64_t release_counter, size_t length);
/* An offer of it to everyone up to `ring`, approved as it is; newest first. */
struct honest_offer *honest_add_offer(
	struct honest *s, struct honest_build *build, uint32_t ring, uint32_t upper);
void honest_withdraw(struct honest *s);
/* Signs everything anew, one version higher. */
void honest_publish(struct honest *s);
/* Signs a Timestamp, as it does every minute. */
void honest_tick(struct honest *s);

/*
 * Another Root, one version higher, in which the roles of `changed` (bits 1 << enum envelope_type,
 * and HONEST_LOG_KEY) have new keys.  What is online is signed anew at the next publish.
 */
#define HONEST_LOG_KEY (1u << 31)
void honest_rotate(struct honest *s, unsigned changed);
/* The log begins again, empty, as after a loss: what it said before is contradicted. */
void honest_forget_log(struct honest *s);

/* Answers a request; the body lives until the next. */
int honest_enroll(struct honest *s, struct bytes body, struct bytes *out);
int honest_poll(struct honest *s, struct bytes body, struct bytes *out);
int honest_report(struct honest *s, struct bytes body, struct bytes *out);
int honest_grant(struct honest *s, struct bytes body, struct bytes *out);
int honest_time(struct honest *s, struct bytes body, struct bytes *out);
int honest_file(struct honest *s, const char *path, uint64_t from, struct bytes *out);
int honest_post(struct honest *s, const char *path, struct bytes body, struct bytes *out);

/* The fields all signed messages but Root have. */
struct honest_fields {
	uint32_t *spec_version;
	uint64_t *version, *expires;
	const char **repository, **product;
};
struct honest_fields honest_fields(enum envelope_type type, void *message);

/* How many events of this kind it took for this build; NULL: for any. */
unsigned honest_count(const struct honest *s, Pb__EventKind kind, const char *build_id);
const struct honest_event *honest_last(const struct honest *s, Pb__EventKind kind);

/* ---- between the files of this server ---- */

void honest_must(int err);
void *honest_take(struct arena *a, size_t n); /* zeroed */
/* Packs and signs, after `edit`. */
struct bytes honest_sign(struct honest *s, enum envelope_type type, void *message, struct arena *a);
void honest_make_root(struct honest *s);
void honest_drop_keys(struct honest_role *r);
struct honest_entry honest_log(struct honest *s, struct bytes envelope);
/* LogProof of a director, and what leads from `held` entries to it; both live in s->reply. */
struct bytes honest_log_proof(struct honest *s, uint32_t ring);
struct bytes honest_log_extension(struct honest *s, uint64_t held);
/* 200, with the body that was sealed for `path`. */
int honest_unseal(struct honest *s, const char *path, struct bytes in, struct bytes *body);
int honest_reply(struct honest *s, const void *message, struct bytes *out);
