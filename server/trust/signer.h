/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that holds the online keys.  It is forked before huidud opens a socket, talks over
 * one socketpair, and does not take huidud's word: it checks approvals against the root itself,
 * signs no directive beyond an approved plan, and no version at or below one it has signed before
 * (its floor file lies outside the store, so a restored backup cannot roll phones back).
 *
 * One thread of huidud talks to it, one request at a time; calls block until it answers.
 */
#pragma once

#include "proto/envelope.h"
#include "server/base/buf.h"

struct signer;

struct signer_config {
	const char *online_dir; /* director.pem, snapshot.pem, timestamp.pem */
	const char *floor_path;
	struct bytes root; /* Envelope of the Root, verified by the caller too */
};

/* Forks.  On failure `error` (at least 256 bytes) holds the line for a person. */
WARN_UNUSED int signer_start(const struct signer_config *config, struct signer **out, char *error);
/* Ends the child and waits for it. */
void signer_stop(struct signer *s);
/* Becomes readable when the child has died: then huidud must end. */
int signer_fd(const struct signer *s);
/* How often it was asked for anything since it started: nothing is signed otherwise. */
uint64_t signer_requests(const struct signer *s);

/*
 * ---- the log ----
 *
 * The signer keeps the log's tree itself (its ledger, beside the version floors), so that no two
 * checkpoints it ever signed contradict each other.  An entry goes: signer_check(), commit,
 * signer_append(); what was committed and not appended when the power went is appended at the next
 * start, and a store that has less than the ledger was restored from a backup.
 */
struct signer_log {
	uint64_t size;
	uint8_t root[SHA256_LEN];
};
WARN_UNUSED int signer_log(struct signer *s, struct signer_log *out);

/*
 * Would a person's command, or the next Root, be taken now?  Signatures, the signers' authority,
 * repository, time and nonce are checked here and nowhere else.  On 0, `*needed` more people must
 * sign the same bytes before it takes effect (0: it does at once).  On a refusal `text` (at least
 * 256 bytes) has the line for a person.
 */
WARN_UNUSED int signer_check(struct signer *s, struct bytes envelope, unsigned *needed, char *text);

/*
 * Takes LogEntries that are durable: each is checked once more, as of its own time, before it
 * counts.  `note` gets the signed checkpoint of the log with all of them.  All or none.
 */
WARN_UNUSED int signer_append(
	struct signer *s, const struct bytes *entries, size_t n, struct buf *note);

/* Checks both envelopes against the root, and that who approved is not who proposed; afterwards
 * directives may offer the build, once its rollout was started, up to the step it was promoted to. */
WARN_UNUSED int signer_admit(struct signer *s, struct bytes plan, struct bytes targets);

struct signer_item {
	enum envelope_type type; /* timestamp, snapshot, director, decision, grant or time */
	struct bytes payload;
};

/*
 * Signs all items or none; out[i] gets the Envelope of items[i], to be released by the caller.
 * Refusals: ERR_FLOOR, ERR_PLAN_EXCEEDED, ERR_TOO_EARLY, ERR_BUILD_HALTED, ERR_CLOCK, ERR_BUSY (too
 * many at a time), ERR_SIGNER.
 */
WARN_UNUSED int signer_sign(
	struct signer *s, const struct signer_item *items, size_t n, struct buf *out);

/* The highest version signed under a name, 0 when none was: see metadata_name(). */
WARN_UNUSED int signer_floor(struct signer *s, const char *name, uint64_t *version);
