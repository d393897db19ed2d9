/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log says: builds and rollouts.  The state is a fold over the log's entries and nothing
 * else; commands are checked against it before they become an entry, and applying an entry cannot
 * fail.  Owned by the control thread.
 */
#pragma once

#include "proto/checkpoint.h"
#include "proto/envelope.h"
#include "server/base/buf.h"
#include "server/core/capital.h"
#include "server/core/ring.h"
#include "server/core/rollout.h"
#include "server/trust/logtree.h"
#include "server/trust/rootfile.h"

#define STATE_TEXT 256 /* a line for a person */
/* A plan in force may be renewed when it has no longer than this to live. */
#define RENEW_S (60ull * 86400)

/*
 * A build as one Targets envelope describes it.  Publishing it again makes another of these: the
 * plan that pins the older envelope goes on until the next version of it is approved.
 */
struct build {
	char *product, *build_id, *release;
	uint64_t release_counter, rollback_index;
	struct buf targets; /* Envelope */
	uint8_t targets_sha256[SHA256_LEN];
	uint64_t targets_version, expires;
	uint8_t sha256[SHA256_LEN]; /* of the file */
	uint64_t length;
	uint64_t published_ms; /* the first time */
	uint64_t signed_ms;    /* when this envelope came */
	uint8_t tag;           /* 1..255, for a device to remember which build failed on it */
};

/* A build in a rollout: its product's stratum. */
struct rollout_build {
	const struct build *build; /* that the plan in force pins */
	const struct build *next;  /* that its next version will; mostly the same */
	uint8_t seed[SEED_LEN];
	struct buf plan; /* Envelope of the RolloutPlan in force; empty: not approved yet */
	uint8_t plan_sha256[SHA256_LEN];
	struct buf payload; /* of the next version: what approvers sign */
	struct buf pending; /* its Envelope with the signatures so far */
	bool refused;       /* the signer does not take the plan: it cannot be offered */
};

struct rollout {
	uint32_t no; /* log index of the proposal */
	uint8_t id[ID_LEN];
	char *release, *line, *proposer;
	struct buf spec_bytes;
	struct arena spec_arena;
	const Pb__PlanSpec *spec;
	uint64_t proposed_ms;
	uint8_t audit_root[SHA256_LEN]; /* of the log with the proposal in it */
	struct plan_step steps[LADDER_STEPS_MAX];
	size_t n_steps;
	struct rollout_build *builds;
	size_t n_builds;
	uint64_t plan_version; /* in force; 0: none */
	uint64_t expires_s;    /* of the plans in force */
	uint64_t last_entry;   /* of the log that touched it */
	enum rollout_state state;
	uint64_t since_ms;
	uint32_t step; /* the open one, or the last that was */
	uint64_t opened_ms[LADDER_STEPS_MAX];
	uint64_t resumed_ms; /* evidence closed before does not count against it; 0: never */
	uint64_t *resumes;   /* log indexes of all times it was */
	size_t n_resumes;
	char why[STATE_TEXT]; /* of the last change */
};

/* A command that waits for more signatures. */
struct pending {
	uint8_t id[SHA256_LEN]; /* of its payload */
	struct buf envelope;    /* with those it has */
	char *by;               /* who asked first */
	uint64_t expires_s;
};

/* The newest Director of (product, ring) in the log. */
struct logged {
	char *product;
	uint32_t ring;
	uint8_t sha256[SHA256_LEN]; /* of its Envelope */
	uint64_t index, time_ms;    /* of its entry */
};

struct state {
	const Pb__Root *root;    /* in force: that of the last in the chain */
	struct rootfile **chain; /* all roots of the log, versions rising */
	size_t n_chain;
	struct checkpoint log; /* as it is now */
	struct logtree *tree;  /* of it; read by workers too */
	struct logged *directors;
	size_t n_directors;
	struct build **builds; /* by release_counter within a product, oldest first */
	size_t n_builds;
	struct build **older; /* of builds that were published again */
	size_t n_older;
	struct rollout **rollouts; /* oldest first */
	size_t n_rollouts;
	struct pending *pending; /* oldest first; some may have expired */
	size_t n_pending;
	bool production; /* no keys made for trying out */
	bool (*has_file)(void *ctx, const uint8_t sha256[SHA256_LEN]);
	bool (*knows_product)(void *ctx, const char *line, const char *product);
	/* The counter of the product's floor, 0 when it has none, and what the build is called. */
	uint64_t (*floor)(void *ctx, const char *product, const char **build);
	void *ctx;
};

/* `root`, which must outlive the state, is in force until the log has one: entry 0. */
void state_init(struct state *s, const Pb__Root *root);
void state_release(struct state *s);

/* Somebody's signed wish. */
struct command {
	const Pb__AdminCommand *message;
	struct bytes envelope;  /* with the signatures that came before, if it waited for more */
	uint8_t id[SHA256_LEN]; /* of the payload */
	struct signers who;     /* people of the root who signed it */
	uint64_t now_s;
};

/*
 * Opens a command's envelope: that people of the root signed it.  What they may, is for the signer to
 * say.  `text` (at least STATE_TEXT) gets the line for a person when it is refused.
 */
WARN_UNUSED int command_open(const struct state *s, struct bytes envelope, uint64_t now_ms,
	struct arena *a, struct command *out, char *text);
/* 0 when the state allows it: what is named is there, and it can be done to it now. */
WARN_UNUSED int command_check(
	const struct state *s, const struct command *c, struct arena *a, char *text);
/* The next root: signed by the one in force too, and not expired. */
WARN_UNUSED int command_check_root(
	const struct state *s, struct bytes envelope, uint64_t now_ms, struct arena *a, char *text);

/*
 * Takes the entry at index s->log.size.  Entries come from the log, or have passed command_check:
 * one that cannot be applied is ERR_CORRUPT.
 */
WARN_UNUSED int state_apply(struct state *s, struct bytes entry, struct arena *a);

/* Those of the root who signed a command, whatever they may. */
WARN_UNUSED int command_signers(
	const Pb__Root *root, struct bytes envelope, struct arena *a, struct signers *out);
/* So many more people must sign a command that they did, before it takes effect. */
WARN_UNUSED int command_missing(
	const Pb__Root *root, const Pb__AdminCommand *m, const struct signers *who, unsigned *out);
/* The command waiting under this id; NULL when there is none. */
struct pending *state_pending(const struct state *s, const uint8_t id[SHA256_LEN]);

/* The log's root now. */
const uint8_t *state_root(const struct state *s);

/* Where that Director stands; NULL when the log has another, or none. */
const struct logged *state_logged(const struct state *s, const char *product, uint32_t ring,
	const uint8_t sha256[SHA256_LEN]);

/* NULL when there is none.  A rollout is named by its release or one of its builds: the newest. */
struct build *state_build(const struct state *s, const char *product, const char *build_id);
struct rollout *state_rollout(const struct state *s, const char *name);
/* At or below its product's floor: not to be offered. */
bool state_is_below_floor(const struct state *s, const char *product, uint64_t counter);
/* The newest rollout of a build. */
struct rollout *state_rollout_of(const struct state *s, const struct build *b);
struct rollout *state_rollout_id(const struct state *s, const uint8_t id[ID_LEN]);

/* The ring of the rollout's open step. */
enum ring rollout_ring(const struct rollout *r);
/* Opens something to phones: running, paused or complete. */
bool rollout_is_live(const struct rollout *r);
/* Newer builds have reached everybody: nobody is offered these, and they may expire. */
bool rollout_is_behind(const struct state *s, const struct rollout *r);
/* A build of it was published again, and its plans pin the older envelope. */
bool rollout_is_renewed(const struct rollout *r);
/*
 * May be approved now: a proposal, one that was paused or halted and is to go on, and one whose
 * signatures must be renewed.
 */
bool rollout_is_pending(const struct rollout *r, uint64_t now_ms);
/* Approving renews its signatures, and changes nothing else. */
bool rollout_is_renewal(const struct rollout *r);
/* The signer does not take a plan of it: offered to nobody until it is approved anew. */
bool rollout_is_refused(const struct rollout *r);
/* Who approved a build's plan: keys of the root in force, one a person, each of them counted. */
struct signers rollout_approvers(const struct state *s, const struct rollout *r,
	const struct rollout_build *b, struct bytes plan, struct arena *a);
/* What the plan says of a step's gate. */
struct gate_rules rollout_rules(const struct rollout *r, size_t step);
/* Evidence of a step is collected until it has been passed for so long. */
uint64_t rollout_watch_ms(const struct rollout *r);
