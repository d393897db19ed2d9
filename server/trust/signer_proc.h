/* SPDX-License-Identifier: Apache-2.0 */
/* The child's side of signer.h, and what both sides share.  Private to this folder. */
#pragma once

#include "proto/admin.pb-c.h"
#include "proto/names.h"
#include "server/trust/authority.h"
#include "server/trust/guard.h"
#include "server/trust/keys.h"
#include "server/trust/ledger.h"
#include "server/trust/signer.h"

#define SIGNER_MESSAGE_MAX ((size_t)8 * 1024 * 1024)
#define SIGNER_SKEW_MS     60000ull
#define ROLLOUT_KEEP_S     (180ull * 86400) /* after its plan's end */
#define SIGNER_LATE_MS     30000ull         /* what was checked now is logged no later than this */

/* A u32 length and so many bytes over a stream socket; -ECONNRESET at its end. */
WARN_UNUSED int signer_write(int fd, struct bytes message);
WARN_UNUSED int signer_read(int fd, struct buf *message);

/* Serves requests until the socket is closed; returns the exit status. */
int signer_proc_run(int fd, const struct signer_config *config);

/* A plan that enough approvers signed, and the build it is for. */
struct admitted {
	uint8_t plan_sha256[SHA256_LEN], targets_sha256[SHA256_LEN];
	struct arena arena; /* of its own, for both envelopes and the messages in them */
	struct bytes plan_envelope, targets_envelope;
	const Pb__RolloutPlan *plan;
	const Pb__Targets *targets;
};

struct proc {
	struct signer_clock clock;
	struct crypto_key **keys; /* all there are in the online directory */
	size_t n_keys;
	struct ledger *ledger;
	struct bytes first_root; /* Envelope */
	const Pb__Root *root;    /* in force */
	struct arena root_arena, arena;
	struct admitted *admitted;
	size_t n_admitted;
	struct guard guard;
	char text[SIGNER_TEXT]; /* of the refusal under way */
};

/* Notes the line for a person and returns `err`. */
__attribute__((format(printf, 3, 4))) int proc_refuse(
	struct proc *p, int err, const char *format, ...);
uint64_t proc_now_ms(const struct proc *p);
/* When something was signed or logged last. */
uint64_t proc_last_ms(const struct proc *p);
bool proc_clock_is_good(const struct proc *p);
/* The root that the ledger has, or the first, becomes the one in force. */
WARN_UNUSED int proc_use_root(struct proc *p);

/* ---- signer_keys.c ---- */

WARN_UNUSED int proc_load_keys(struct proc *p, const char *dir);
/* ERR_NOT_AUTHORISED when the keys here are not enough for the root's online roles. */
WARN_UNUSED int proc_has_keys(struct proc *p, const Pb__Root *root);
/* Signs with as many keys of the role as its threshold asks for. */
WARN_UNUSED int proc_sign(
	struct proc *p, enum envelope_type type, struct bytes payload, struct bytes *out);
WARN_UNUSED int proc_checkpoint(struct proc *p, struct bytes *note);

/* ---- signer_command.c ---- */

/* A command of people, or the next Root, that may be taken. */
struct order {
	const Pb__AdminCommand *m; /* NULL: a Root */
	uint8_t payload_sha256[SHA256_LEN];
	struct authority_ask ask;
	struct signers who; /* whose signatures count */
	unsigned people, needed;
	Pb__LedgerRollout *rollout; /* that it is about */
	Pb__LedgerNonce *nonce;     /* the same, when fewer had signed it */
	Pb__LedgerNonce *pending;   /* that is to be withdrawn */
};

/* Checks an Envelope as of `now_s`; `o` lives in the arena. */
WARN_UNUSED int order_open(struct proc *p, struct bytes envelope, uint64_t now_s, struct order *o);
/* Pause or halt. */
bool order_stops(const struct order *o);
bool order_confirms_clock(const struct order *o);
/* Which products and rings of a rollout: the lists are in the arena. */
WARN_UNUSED int rollout_ask(struct proc *p, const Pb__LedgerRollout *r, struct authority_ask *ask);
/*
 * Opens a plan and finds those whose approval counts: approvers with the right for all of the
 * rollout, without the proposer where the profile says so.  `*plan` is in the arena.
 */
WARN_UNUSED int plan_open(struct proc *p, const Pb__LedgerRollout *r, struct bytes envelope,
	const Pb__RolloutPlan **plan, struct signers *who);

/* ---- signer_orders.c ---- */

struct order_kind {
	const char *name;
	enum authority_op op;
	int (*prepare)(struct proc *p, struct order *o); /* fills ask */
	int (*narrow)(struct proc *p, struct order *o);  /* takes away from who; may be NULL */
};

/* Of the one thing that the command asks for; NULL when it asks for none, or for more. */
const struct order_kind *order_kind_of(const Pb__AdminCommand *m);

/* ---- signer_apply.c ---- */

/* One entry on its way in. */
struct entry {
	uint64_t index, time_ms;
	struct bytes envelope;
	uint8_t leaf[SHA256_LEN], root[SHA256_LEN]; /* of the log with it */
	bool confirms_clock;
};

/* A command that order_open() took; signed by too few it waits. */
void proc_apply_command(struct proc *p, const struct entry *e, const struct order *o);
/*
 * What the log would refuse must not be signed, either: it would be durable in the store, and nothing
 * could ever be appended after it.
 */
WARN_UNUSED int proc_check_decision(struct proc *p, const Pb__Decision *d);
/* Of one that was checked. */
void proc_apply_decision(struct proc *p, const struct entry *e, const Pb__Decision *d);

/* ---- signer_entry.c ---- */

WARN_UNUSED int proc_append(
	struct proc *p, const ProtobufCBinaryData *entries, size_t n, Pb__SignerReply *reply);

/* ---- signer_admit.c ---- */

WARN_UNUSED int proc_admit(struct proc *p, struct bytes plan, struct bytes targets);
/* After a change of the root: what it does not approve is not admitted any more. */
void proc_admit_again(struct proc *p);
/* May a directive offer it now? */
WARN_UNUSED int proc_check_offer(const struct proc *p, const Pb__Director *d, const Pb__Offer *o);

/* ---- signer_sign.c ---- */

WARN_UNUSED int proc_sign_items(struct proc *p, const Pb__SignerRequest *m, Pb__SignerReply *reply);
