/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of control share; nobody else includes it. */
#pragma once

#include "server/core/gate.h"
#include "server/service/control.h"
#include "server/service/retention.h"

#define DAY_MS             86400000ull
#define HOUR_MS            3600000ull
#define DIRECTOR_LIFE_MS   (7 * DAY_MS)
#define TIMESTAMP_LIFE_MS  DAY_MS
#define TIMESTAMP_EVERY_MS 60000ull
#define OFFERS_LIFE_MS     (6 * HOUR_MS)

/* One signed piece of metadata in force. */
struct signed_file {
	struct buf envelope;
	struct bytes payload; /* inside the envelope */
	uint64_t version, expires_s;
	uint64_t
		floor; /* the highest version signed under its name: more when that could not be kept */
	uint8_t sha256[SHA256_LEN]; /* of the envelope */
	bool behind; /* a director that does not say what the state says: it could not be signed */
};

struct product_files {
	const struct product *product;
	struct signed_file director[RING__COUNT], snapshot, timestamp;
};

/* A stage whose devices are followed: control's side of struct stage. */
struct follow {
	struct stage_key key;
	size_t line;
	enum ring ring;
	unsigned slot;
	uint64_t until_ms;      /* UINT64_MAX while the step is open */
	uint32_t closed_groups; /* of its control, the first so many have left */
	struct stage_live *live;
	uint64_t idle_since_ms; /* tokens have been left over since; 0: they are used up */
};

/* The gate of one rollout: all its closed rows, added up. */
struct gate_run {
	uint32_t rollout;
	uint64_t rows; /* read so far */
	struct capital *capital;
	struct gate_judgement last;
	double log_k;
};

struct control {
	struct server *server;
	struct signer *signer;
	struct state state;
	struct arena arena;      /* of what is under way */
	struct journal *journal; /* the log a second time; may be behind while its disk fails */
	bool journal_failed;     /* and somebody was told */
	struct buf checkpoint; /* the signed note; empty until the signer has all that is logged */
	uint64_t ledger_size;  /* entries the signer has taken: of the note, too */
	uint64_t stored_ms;    /* a commit that wrote something succeeded */
	uint64_t gates_ms;     /* the gates were looked at */
	uint64_t offers_until_s; /* as last promised */
	struct product_files *files;
	size_t n_files;
	struct follow *follows;
	size_t n_follows;
	bool follow_due; /* some stage could not be opened or closed: tried again with the next tick */
	struct stage_live **lives; /* all there ever were: workers may hold one until the end */
	size_t n_lives;
	struct stage_live nobody; /* of a stage that is not open yet: it takes none in */
	struct gate_run **gates;
	size_t n_gates;
	struct retention retention;
	uint64_t next_timestamp_ms;
	uint64_t next_tidy_ms;
	/* The signer had not the whole log when plans were shown to it, or was not shown one. */
	bool admit_again;
	uint64_t *next_fill_ms; /* by line */
	uint64_t generation;
};

/* ---- control.c ---- */

/* Signs a decision, appends it and applies it; the caller publishes. */
WARN_UNUSED int control_decide(struct control *c, Pb__Decision *decision, uint64_t now_ms);
/* A signed Decision as an Envelope. */
WARN_UNUSED int control_sign_decision(struct control *c, Pb__Decision *decision, struct buf *out);

/*
 * The signer takes the plans in force; if it does not, the rollout is offered to nobody.  One that has
 * not got the whole log is asked again when it has.
 */
void control_admit(struct control *c, struct rollout *r);
/* After a change of the state: stages, signatures, image.  The change itself stands. */
void control_take_effect(struct control *c, uint64_t now_ms, bool freshen);

/* ---- control_command.c ---- */

/* What the root in force does not count of the metadata is signed anew with the next publish. */
void control_distrust(struct control *c);

/* ---- append.c ---- */

/*
 * Folds the log, which begins with `root`, and compares it with the journal and the signer's ledger:
 * ERR_FLOOR, and the line for a person in `error`, when the store is older than they are.
 */
WARN_UNUSED int append_open(struct control *c, struct bytes root, uint64_t now_ms, char *error);
/* Packs a log entry; its bytes are in the arena. */
WARN_UNUSED int append_pack(
	struct control *c, struct bytes envelope, uint64_t now_ms, struct bytes *out);
/* Durable first, then true: the next entry of the log. */
WARN_UNUSED int append_envelope(struct control *c, struct bytes envelope, uint64_t now_ms);
/*
 * State and signer take the entries that are durable and that they do not have yet.  What is wrong
 * is the state's: that the signer did not is logged, and tried again with the next.
 */
WARN_UNUSED int append_follow(struct control *c);
/* The journal gets what it lacks; that it cannot is logged, and tried again. */
void append_keep(struct control *c);
/* The checkpoint covers the whole log. */
bool append_is_signed(const struct control *c);

/* ---- follow.c ---- */

/* Opens and closes what the state says should be followed. */
WARN_UNUSED int follow_update(struct control *c, uint64_t now_ms);
/* Silence in stages that are followed is judged by the longer poll interval of the two. */
void follow_slacken(struct control *c, const struct config *fresh);
/* The watch of some stage is over. */
bool follow_is_over(const struct control *c, uint64_t now_ms);
struct follow *follow_find(struct control *c, struct stage_key key);
/* Devices in the share that this step opens, as far as known. */
uint64_t follow_expected(const struct control *c, const struct rollout *r, size_t step);
/* More tokens for stages that have earned them. */
void follow_admit(struct control *c, uint64_t now_ms);

/* ---- offers.c ---- */

/* One offer of the directive for (product, ring), newest first. */
struct chosen {
	const struct rollout *rollout;
	const struct rollout_build *build;
	size_t step;
	bool fix; /* for the devices the plan names, whatever their bucket */
};

size_t offers_choose(
	const struct state *s, const char *product, enum ring ring, struct chosen out[OFFERS_MAX]);
/* The rollout is of this build, however often it was published. */
bool offers_has_build(const struct rollout *r, const struct build *b);
/* Builds of this product that were halted, newest first. */
size_t offers_halted(const struct state *s, const char *product, const char **out, size_t max);
/* The highest release counter of them; 0 when there are none. */
uint64_t offers_halted_counter(const struct state *s, const char *product);

/* ---- publish.c ---- */

WARN_UNUSED int publish_open(struct control *c);
void publish_close(struct control *c);
/*
 * Signs what changed (and always the timestamps when `freshen`), stores it and shows it.  What went
 * wrong is logged; the image follows the state even then, so only the start need look at it.
 */
int publish(struct control *c, uint64_t now_ms, bool freshen);

/* ---- image_make.c ---- */

struct image *image_make(struct control *c);

/* ---- gates.c ---- */

/* Reads the rows that closed since, and acts on what the gate says. */
void gates_run(struct control *c, uint64_t now_ms);
struct gate_run *gates_of(struct control *c, const struct rollout *r);
/* What it would say now, of the rows read so far. */
struct gate_judgement gates_judge(const struct control *c, const struct gate_run *g,
	const struct rollout *r, uint64_t now_ms);
void gates_release(struct control *c);
/*
 * Devices of the rollout's products have reported crashes, ever.  Never where some of them speak
 * another server's protocol, for those cannot, whatever the others of their product report.
 */
bool gates_crash_reports(const struct control *c, const struct rollout *r);
/* "board-a (hawkbit)": the products of such devices; "" when there are none. */
void gates_mute(const struct control *c, const struct rollout *r, char out[STATE_TEXT]);
