/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the signer must never forget: the highest version it signed under each name, the log's tree
 * and root of trust, which rollouts people approved and how far they have come, and the commands it
 * took lately.  It lies outside the store, so that a restored backup rolls nothing back.
 *
 * Private to this folder.
 */
#pragma once

#include "proto/merkle.h"
#include "server/base/buf.h"
#include "server/trust/signer.pb-c.h"
#include "server/trust/slots.h"

struct ledger {
	Pb__Ledger *m; /* on the heap, to be changed in place; but for the log, which is: */
	struct merkle log;
	struct buf saved; /* `m` as it was last saved */
	struct slots slots;
};

/*
 * Reads the file, or makes an empty one (`log.size` 0) when there is none.  Only one process can have
 * it open.  ERR_CORRUPT when neither slot is whole: it is never taken for an empty one.  ERR_BUSY.
 */
WARN_UNUSED int ledger_open(const char *path, struct ledger **out);
/* Only the log's tree, beside a process that has it open. */
WARN_UNUSED int ledger_read(const char *path, struct merkle *log);
void ledger_close(struct ledger *l);

/* Durable when it returns 0; on an error the file is as it was, and so is `l` after a revert. */
WARN_UNUSED int ledger_save(struct ledger *l);
/* Back to what was last saved.  What was found in it before is gone. */
void ledger_revert(struct ledger *l);

uint64_t ledger_floor(const struct ledger *l, const char *name);
void ledger_set_floor(struct ledger *l, const char *name, uint64_t version);
/* Of what others may name: of a name that has a floor, 32 bytes; n 0: none yet. */
struct bytes ledger_pin(const struct ledger *l, const char *name);
void ledger_set_pin(struct ledger *l, const char *name, const uint8_t sha256[SHA256_LEN]);
void ledger_set_root(struct ledger *l, struct bytes envelope);

/* NULL when there is none. */
Pb__LedgerRollout *ledger_rollout(const struct ledger *l, struct bytes id);
/* New, all zero but for its id; belongs to the ledger. */
Pb__LedgerRollout *ledger_add_rollout(struct ledger *l, const uint8_t id[ID_LEN]);
void ledger_add_build(Pb__LedgerRollout *r, const char *product, const char *build_id);
/* NULL when the rollout has none for this product. */
Pb__LedgerBuild *ledger_build(const Pb__LedgerRollout *r, const char *product);
/* `name` has logged their approval; once is enough. */
void ledger_add_approver(Pb__LedgerRollout *r, const char *name);
void ledger_clear_approvers(Pb__LedgerRollout *r);

Pb__LedgerNonce *ledger_nonce(const struct ledger *l, struct bytes nonce);
Pb__LedgerNonce *ledger_pending(const struct ledger *l, struct bytes payload_sha256);
Pb__LedgerNonce *ledger_add_nonce(struct ledger *l, struct bytes nonce);
/* Forgets those that expired before `now_s`. */
void ledger_forget_nonces(struct ledger *l, uint64_t now_s);

/* There is room for some thousands: one that has had no plan in force for long is forgotten. */
void ledger_keep_rollout(Pb__LedgerRollout *r, uint64_t until_s);
void ledger_forget_rollouts(struct ledger *l, uint64_t now_s);

/* Own copies in place of what was there; `text` may be NULL. */
void ledger_set_bytes(ProtobufCBinaryData *field, const void *p, size_t n);
void ledger_set_text(const char **field, const char *text);
