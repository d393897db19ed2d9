/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that holds the online keys.  It is forked before huidud opens a socket, talks over
 * one socketpair, and does not take huidud's word: it checks approvals against the root itself,
 * signs no directive beyond an approved plan, and no version at or below one it has signed before
 * (its ledger lies outside the store, so a restored backup cannot roll phones back).
 *
 * One thread of huidud talks to it, one request at a time; calls block until it answers.
 */
#pragma once

#include "proto/envelope.h"
#include "server/base/buf.h"

struct signer;

/* For tests, which set them by hand in memory that both processes share. */
struct signer_clock {
	uint64_t (*wall_ms)(void); /* unix milliseconds */
	uint64_t (*boot_ms)(void); /* never steps, and counts sleep */
};

struct signer_config {
	const char *online_dir; /* all *.pem in it are loaded; those that the root names are used */
	const char *ledger_path;
	struct bytes root; /* Envelope of the first Root, verified by the caller too; later ones */
			   /* come through the log */
	const struct signer_clock *clock; /* NULL: the machine's */
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
 * repository, time and nonce are checked here and nowhere else; that the state allows it is for the
 * caller to say, but where the approved ladder depends on it.  On 0, `*needed` more people must
 * sign the same bytes before it takes effect (0: it does at once; an approval always does, whether
 * it is the last one or not).  On a refusal `text` (SIGNER_TEXT bytes) has the line for a person.
 *
 * While the clock is in doubt only what stops a rollout is taken, and CONFIRM_CLOCK, which must name
 * the log as it is at that moment: ERR_CLOCK, ERR_CONFLICT.
 */
#define SIGNER_TEXT 256
WARN_UNUSED int signer_check(struct signer *s, struct bytes envelope, unsigned *needed, char *text);

/*
 * Takes LogEntries that are durable: each is checked once more, as of its own time, before it
 * counts; that time may not go back behind what was signed before, nor lie ahead of the clock, by more
 * than a minute.  Entry 0 is the Root the signer was started with.  `note`, if not NULL, gets the
 * signed checkpoint of the log with all of them; no entries: of the log as it is.  All or none.
 */
WARN_UNUSED int signer_append(
	struct signer *s, const struct bytes *entries, size_t n, struct buf *note);
#define SIGNER_APPEND_MAX 1024u /* entries in one call, and 3 MiB of them */

/*
 * Checks both envelopes against the root, the rollout in the log and the people who logged their
 * approval of this version, of whom none may be the proposer where the profile says so; afterwards
 * directives may offer the build, once its rollout was started, up to the step it was promoted to.
 * ERR_EXPIRED is no reason to despair: the rollout is over, or must be proposed anew.
 */
WARN_UNUSED int signer_admit(struct signer *s, struct bytes plan, struct bytes targets);

struct signer_item {
	enum envelope_type type; /* timestamp, snapshot, director, decision, grant or time */
	struct bytes payload;
};

/*
 * Signs all items or none; out[i] gets the Envelope of items[i], to be released by the caller.  A
 * snapshot names the product's directors as they were logged last, a timestamp the snapshot as it was
 * signed last: ERR_MISMATCH.
 * Refusals: ERR_FLOOR, ERR_PLAN_EXCEEDED, ERR_TOO_EARLY, ERR_BUILD_HALTED, ERR_CLOCK, ERR_BUSY (too
 * many at a time), ERR_SIGNER.
 */
WARN_UNUSED int signer_sign(
	struct signer *s, const struct signer_item *items, size_t n, struct buf *out);

/* The highest version signed under a name, 0 when none was: see metadata_name(). */
WARN_UNUSED int signer_floor(struct signer *s, const char *name, uint64_t *version);
