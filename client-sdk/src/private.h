/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a huidu_t, and what its files offer each other.
 *
 * Nothing changes the state but a transaction: state_begin(), changes to the copy it
 * returns, state_commit(), which saves the copy before it counts.  What fails in
 * between never was.
 */
#pragma once

#include <huidu/huidu.h>

#include "client-sdk/src/state.h"
#include "proto/device.pb-c.h"
#include "proto/envelope.h"
#include "proto/names.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"

#define HTTP_BAD_REQUEST 400

#define BODY_MAX      4096u /* a poll with 32 events of the largest kind takes 3.9 KiB */
#define PATH_MAX_LEN  96u
#define CHALLENGE_LEN 32u
#define NONCE_LEN     32u
#define TOKEN_LEN     128u /* with its NUL */
#define ATTEST_MAX    3072u

enum exchange_kind {
	EXCHANGE_NONE,
	EXCHANGE_ENROL,
	EXCHANGE_POLL,
	EXCHANGE_REPORT,
	EXCHANGE_GRANT,
	EXCHANGE_TIME,
	EXCHANGE_FETCH,
	EXCHANGE__COUNT
};

/* When something may be tried, by the platform's clock. */
struct pace {
	uint64_t at_ms; /* 0: at once */
	unsigned failures;
};

/*
 * The file under way; all of it is lost with the process, and found again by hashing.
 */
struct fetch {
	uint8_t sha256[SHA256_LEN]; /* whose running hash it is, */
	uint64_t length;            /* and how long that is to be */
	bool hashing;               /* the hash holds the file's first `have` bytes */
	bool rehash;                /* the file may hold more */
	bool verified;
	uint64_t have;
	/* Of the request: */
	uint64_t from;
	bool moved; /* it brought something */
	int error;  /* why huidu_data() stopped it */
};

/* The default cryptography's objects. */
struct own_crypto {
	struct crypto_hash *hash;
	struct crypto_key *key;
};

/* The one buffer nothing of which outlives a call. */
#define ARENA_SIZE (HUIDU_SCRATCH - sizeof(struct scratch))
struct scratch {
	struct state next, check;
	uint8_t packed[STATE_MAX];
	_Alignas(16) uint8_t arena[];
};

struct huidu {
	struct huidu_platform platform;
	struct huidu_crypto hooks;
	struct crypto crypto; /* the same, as proto/ wants it */
	struct own_crypto own;
	struct huidu_config config; /* its texts are these: */
	char repository[TEXT_LEN], product[TEXT_LEN], build_id[TEXT_LEN];
	char token[TOKEN_LEN];
	uint8_t voucher[SIG_LEN];
	struct scratch *scratch;

	struct state state;
	unsigned slot; /* to be written next */
	uint64_t generation;
	bool settled; /* what this start means is in the state */

	enum exchange_kind in_flight;
	struct huidu_request request;
	uint32_t sent_seq;      /* newest event in it */
	bool one_by_one;        /* the server could not read what came together */
	struct pace poll, work; /* work: everything but polls and grants */
	struct pace grant;
	unsigned root_steps;   /* in the polls that followed on each other at once */
	uint64_t interval_ms;  /* between polls, as the server last said */
	bool asked;            /* for a poll, by a person */
	bool confirmed;        /* the applied build was still on offer, */
	uint64_t confirmed_ms; /* then */
	bool challenged;
	uint8_t challenge[CHALLENGE_LEN];
	uint64_t mark_s, mark_boot_ms; /* when the time was last told, by the boot clock */
	bool time_proved;              /* then, by the server */
	uint8_t nonce[NONCE_LEN];
	bool hold_told;
	struct fetch fetch;
	bool applying; /* huidu_applied() is awaited */
	uint8_t applying_sha256[SHA256_LEN];

	int last_error;
	bool tried; /* last_error is of this step */

	char path[PATH_MAX_LEN];
	uint8_t body[BODY_MAX];
};

/* client.c */
/* Makes `err` the last error, and tells the log when it is one; returns it. */
int sdk_note(huidu_t *h, int err, const char *what);
uint64_t sdk_clock_ms(const huidu_t *h);
struct arena sdk_arena(huidu_t *h);
enum huidu_phase sdk_phase(const huidu_t *h);
/* Draws the consequences of this start, once. */
int client_settle(huidu_t *h);

/* save.c */
struct state *state_begin(huidu_t *h);
WARN_UNUSED int state_commit(huidu_t *h);
/* A state that is damaged beyond both slots is as new, and noted. */
WARN_UNUSED int state_load(huidu_t *h);

/* time.c */
/* Unix seconds, never before metadata that was accepted. */
uint64_t sdk_now_s(const huidu_t *h);
/* True when something may be installed by it. */
bool time_is_known(const huidu_t *h);
/* Nothing was proved since the start. */
void time_start(huidu_t *h);
/* A newer Timestamp was accepted. */
void time_risen(huidu_t *h);
/* To be told of it when `next` is to be saved. */
void time_agrees(const huidu_t *h, struct state *next, uint64_t issued_s);
/* `now_s`, or earlier: for what must not be done before a day that people have signed. */
uint64_t time_at_most(const huidu_t *h, uint64_t now_s);
uint64_t time_due_ms(const huidu_t *h);
WARN_UNUSED int time_body(huidu_t *h, struct arena *a, struct bytes *out);
WARN_UNUSED int time_done(huidu_t *h, int status, struct bytes body);

/* hold.c */
/* To be called when `next` has the answer and the candidate of a poll. */
void hold_see(const huidu_t *h, struct state *next);
bool hold_is_long(const huidu_t *h);
/* Tells the log, once. */
void hold_tell(huidu_t *h);

/* pace.c */
/* A poll interval within the bounds of the configuration. */
uint64_t pace_interval_ms(const huidu_t *h, uint32_t seconds);
/* In `in_ms`, give or take a fifth. */
void pace_set(huidu_t *h, struct pace *p, uint64_t in_ms);
void pace_now(struct pace *p);
/* Later than the last time, or when the server's Retry-After (0: none) says. */
void pace_fail(huidu_t *h, struct pace *p, uint32_t retry_after_s);
/* What fails next has failed so often that it waits as long as anything may. */
void pace_slow(struct pace *p);
/*
 * A deadline farther off than any we set was set before the clock went back: it is now.
 */
void pace_check(huidu_t *h, struct pace *p);

/* exchange.c */
/*
 * Sends a request; the answer, or that there is none, comes through huidu_response().
 */
void exchange_start(huidu_t *h, enum exchange_kind kind);
/* 0 for 200, the error otherwise. */
WARN_UNUSED int exchange_error(huidu_t *h, int status);

/* enroll.c */
WARN_UNUSED int enroll_step(huidu_t *h);
WARN_UNUSED int enroll_body(huidu_t *h, struct arena *a, struct bytes *out);
WARN_UNUSED int enroll_done(huidu_t *h, int status, struct bytes body);
/*
 * The server does not know us: forgets the id.  Returns ERR_BAD_MAC, or why that
 * failed.
 */
WARN_UNUSED int enroll_again(huidu_t *h);
/* Not twice within a poll interval. */
uint64_t enroll_due_ms(const huidu_t *h);

/* poll.c */
WARN_UNUSED int poll_body(huidu_t *h, struct arena *a, struct bytes *out);
WARN_UNUSED int poll_done(huidu_t *h, int status, struct bytes body);
/* True when what we hold is for the ring that counts. */
bool poll_is_held(const huidu_t *h);
/* True when the chosen build is on offer and nothing has expired. */
bool poll_offers(const huidu_t *h);
/* True when it may be fetched or installed now: it is also known what time it is. */
bool poll_allows(const huidu_t *h);

/* root.c */
/* Takes the Root the device was made with, unless a newer one was saved. */
WARN_UNUSED int root_start(huidu_t *h);
/* The Root in force; at most 16 KiB of Envelope in the arena. */
WARN_UNUSED int root_now(const huidu_t *h, struct arena *a, const Pb__Root **out);

/* metadata.c */
/* One reply's metadata: the first four are given, the rest is what was verified. */
struct chain {
	huidu_t *h;
	const Pb__PollReply *reply;
	struct arena *a;
	/* Fixed while a reply is looked at (TUF 5.1), but not before its Timestamp. */
	uint64_t now_s;

	const Pb__Root *root;
	bool newer; /* the Timestamp is; if not, the next five are the state's */
	uint64_t version, expires_s, offers_until_s, issued_s;
	struct pin snapshot;
	const Pb__Director *director; /* NULL: the snapshot is the one we hold */
	unsigned ring;                /* whose it is */
	uint64_t director_version[RINGS];
	uint64_t files_expire_s; /* the earlier of snapshot and director */
	bool expired;            /* something is, all else was checked */
	int unlogged;            /* why the director is not in the log; 0: it is, and */
	struct merkle log;       /* this is the log */
};
/* The roots that come first.  Those taken before an error stay taken. */
WARN_UNUSED int root_take(struct chain *c, unsigned *taken);
/* True when to ask again at once after so many. */
bool root_again(huidu_t *h, unsigned taken);
/* 0 with c->log set, or why the director may not be acted on. */
WARN_UNUSED int logproof_check(struct chain *c);

/* grant.c */
/* The innermost ring whose directives count. */
unsigned grant_ring(const huidu_t *h);
uint64_t grant_due_ms(const huidu_t *h);
WARN_UNUSED int grant_body(huidu_t *h, struct arena *a, struct bytes *out);
WARN_UNUSED int grant_done(huidu_t *h, int status, struct bytes body);

/* Changes nothing but the chain. */
WARN_UNUSED int metadata_verify(struct chain *c);
/* Verifies and unpacks one envelope; its content is checked by the caller. */
WARN_UNUSED int metadata_open(
	const struct chain *c, enum envelope_type type, struct bytes in, void **out);
/* The one of `list` that has the length and the hash of `file`. */
WARN_UNUSED int metadata_find(const struct chain *c, const ProtobufCBinaryData *list, size_t n,
	const Pb__MetaFile *file, struct bytes *out);
/* What all metadata says alike. */
WARN_UNUSED int metadata_is_ours(
	const huidu_t *h, uint32_t spec_version, const char *repository, const char *product);

/* offer.c */
/* One offer under consideration. */
struct choice {
	const struct chain *chain;
	struct state *next;
	const Pb__Offer *offer;
	const char *build_id; /* as its MetaFile names it; "" when it does not */
	const Pb__RolloutPlan *plan;
	const Pb__Targets *targets;
};
/* Verifies the Targets the offer names; on 0 they are c->targets. */
WARN_UNUSED int offer_open_targets(struct choice *c);
/* Verifies plan and Targets, and copies what they say of the build. */
WARN_UNUSED int offer_take(struct choice *c, struct candidate *out);

/* choose.c */
/* Remembers what the director halts, and drops it; false when that was known. */
bool choose_halted(huidu_t *h, struct state *next, const Pb__Director *director);
/* Reports that something was refused, once, and asks for everything again. */
WARN_UNUSED int choose_refuse(const struct chain *chain, struct state *next, struct bytes what,
	const char *build_id, int why);
/* Sets next->candidate to what the director offers this device, or to none. */
WARN_UNUSED int choose_offer(const struct chain *chain, struct state *next);

/* fetch.c */
WARN_UNUSED int fetch_step(huidu_t *h);
void fetch_request(huidu_t *h);
WARN_UNUSED int fetch_done(huidu_t *h, int status, struct bytes body);
/*
 * True when this process has seen all of the candidate's file and its hash was right.
 */
bool fetch_is_done(const huidu_t *h);
uint64_t fetch_have(const huidu_t *h);

/* install.c */
WARN_UNUSED int apply_step(huidu_t *h);
WARN_UNUSED int confirm_step(huidu_t *h);
uint64_t confirm_due_ms(const huidu_t *h);
/* What this start says about the last installation. */
WARN_UNUSED int install_settle(huidu_t *h);
/* Reports that a build did not work here; it is not taken again. */
void install_failed(
	huidu_t *h, struct state *next, const char *build_id, Pb__EventKind kind, int err);

/* events.c */
/*
 * The new event, to be filled in; NULL when nothing is reported, or 32 that matter more
 * wait.
 */
struct event *events_add(
	huidu_t *h, struct state *next, Pb__EventKind kind, const char *build_id, uint32_t code);
/* As many as one request may hold; h->sent_seq is the last of them. */
WARN_UNUSED int events_pack(huidu_t *h, struct arena *a, Pb__ReportRequest **out);
WARN_UNUSED int events_body(huidu_t *h, struct arena *a, struct bytes *out);
WARN_UNUSED int events_done(huidu_t *h, int status, struct bytes body);
/* Forgets what the last request held. */
WARN_UNUSED int events_taken(huidu_t *h);
bool events_waiting(const struct state *s, uint32_t seq);
/* The server has taken events up to this number, of which this device may know nothing: ours follow. */
void events_go_on(struct state *next, uint32_t taken);
bool events_urgent(const struct state *s);

/* crypto_default.c */
WARN_UNUSED int own_crypto_open(huidu_t *h);
void own_crypto_close(huidu_t *h);
/* Makes the device key at the first start; reads it from the state afterwards. */
WARN_UNUSED int own_crypto_key(huidu_t *h, struct state *next);
/* h->crypto on h->hooks. */
void crypto_adapt(huidu_t *h);
