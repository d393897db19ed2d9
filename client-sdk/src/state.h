/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device keeps across restarts.  A slot holds it in the order of the tables in
 * state.c: big-endian, "HDST", format, CRC-32 of all that follows, length of the fields,
 * generation, fields.  Fields are only ever added at the end, so that an older and a newer
 * library can read each other's.
 *
 * Two slots, written in turns: the one of the higher generation counts.  A write that is cut
 * off leaves a CRC that is wrong and the other slot as it was.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/merkle.h"
#include "proto/root.h"

#define TEXT_LEN   64u /* of a build id, with its NUL */
#define RINGS      4u
#define EVENTS_MAX 32u
#define FAILED_MAX 8u
#define HALTED_MAX 16u
#define STATE_MAX  (28u * 1024)

/*
 * Something that happened, until the server has it.  The queue's numbers rise; a
 * dropped event leaves a gap.
 */
struct event {
	uint32_t seq;
	uint32_t at_s;
	uint32_t code; /* 0: none */
	uint8_t kind;  /* Pb__EventKind */
	uint8_t has_signature;
	char build_id[TEXT_LEN];
	uint8_t signature[SHA256_LEN];
};

struct failed_build {
	char build_id[TEXT_LEN];
};

/* To be taken only with an approval newer than `plan_version`. */
struct halted_build {
	uint64_t plan_version;
	char build_id[TEXT_LEN];
};

enum stage {
	STAGE_FETCH,
	STAGE_FETCHED,   /* the server was told */
	STAGE_APPLIED,   /* it is in the inactive slot */
	STAGE_ANNOUNCED, /* INSTALLING is queued as `installing_seq` */
	STAGE__COUNT
};

/* The build this device chose; build_id is "" when there is none. */
struct candidate {
	uint64_t release_counter, rollback_index, plan_version;
	uint64_t expires_s; /* the earlier of Targets and plan */
	uint64_t length;
	uint64_t payload_offset, payload_size, metadata_size;
	uint32_t installing_seq;
	uint8_t stage;
	uint8_t started; /* the file holds the first bytes of this build, not of another
			  */
	uint8_t spoilt;  /* how often it was fetched and had the wrong hash */
	uint8_t sha256[SHA256_LEN];
	uint8_t payload_hash[SHA256_LEN], metadata_hash[SHA256_LEN];
	uint8_t rollout_id[ID_LEN];
	char build_id[TEXT_LEN];
};

enum trial_stage {
	TRIAL_NONE,
	TRIAL_ACTIVATED, /* the platform was told to switch slots */
	TRIAL_INSTALLED, /* it started; huidu_boot_ok() is awaited */
	TRIAL_PROVED,
	TRIAL__COUNT
};

/* The last switch of slots: from which build to which. */
struct trial {
	uint8_t stage;
	char build_id[TEXT_LEN], from[TEXT_LEN];
};

/* What a MetaFile pins, but for its name. */
struct pin {
	uint64_t version;
	uint32_t length;
	uint8_t sha256[SHA256_LEN];
};

struct state {
	uint8_t scope[SHA256_LEN]; /* of repository and product: whose state this is */
	char own_build[TEXT_LEN];  /* that ran when this was saved */
	uint64_t rollback_index;
	uint64_t floor_s; /* newest issued_at: it is not earlier than that */
	uint64_t last_fresh_ms;

	uint8_t key[KEY_DER_MAX]; /* of the built-in cryptography; key_len 0: none */
	uint32_t key_len;
	uint8_t enrolled;
	uint64_t enrolled_at_ms;
	uint8_t device_id[ID_LEN];
	uint32_t epoch;
	uint8_t report_key[SHA256_LEN];

	/* Metadata accepted. */
	uint64_t timestamp_version, timestamp_expires_s, offers_until_s;
	struct pin snapshot;
	uint64_t director_version[RINGS];
	uint64_t chain_expires_s; /* the earlier of snapshot and director */
	uint8_t held;             /* `candidate` is what `snapshot` means for this device */
	uint8_t held_ring;        /* whose director that was */
	uint8_t ring, ring_why, answer;
	uint8_t refused[SHA256_LEN]; /* the offer last refused, which was reported */

	/* The newest Root, as its Envelope; what is signed is judged by it. */
	uint64_t root_version;
	uint32_t root_len;
	uint8_t root[ROOT_MAX];
	/* The log as last seen: what it says next must go on from there. */
	struct merkle log;
	/* The seat that was proved; grant_expires_s 0: none. */
	uint64_t grant_expires_s;
	uint8_t grant_ring;
	uint64_t held_since_ms; /* 0: nothing is withheld */
	uint64_t agreed_s; /* newest issued_at that this device's own clock had come to; 0: none */

	struct candidate candidate;
	struct trial trial;
	uint32_t n_failed, n_halted, n_events;
	uint32_t last_seq;
	struct failed_build failed[FAILED_MAX]; /* oldest first, as the two below */
	struct halted_build halted[HALTED_MAX];
	struct event events[EVENTS_MAX];
};

/* Writes `s` into `out`; returns the length. */
size_t state_write(const struct state *s, uint64_t generation, uint8_t out[STATE_MAX]);
/*
 * What stands behind the state in `in` does not matter.  ERR_CORRUPT when the bytes are not a
 * state; then `s` is as new.
 */
WARN_UNUSED int state_read(struct state *s, struct bytes in, uint64_t *generation);

/* `text` is known to fit. */
void state_set_text(char to[TEXT_LEN], const char *text);
bool state_has_failed(const struct state *s, const char *build_id);
void state_add_failed(struct state *s, const char *build_id);
