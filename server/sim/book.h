/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phones of one stage and one model, by the number: who entered when, who has not crashed yet,
 * what will become of them.  It stands in for evidence.c and a million polls, and closes the rows
 * that these would close.
 */
#pragma once

#include "server/core/evidence.h"
#include "server/sim/chance.h"
#include "server/sim/world.h"

#define BOOK_SIDES  (1 + EVIDENCE_GROUPS) /* the canary, then the control's groups */
#define BOOK_CELLS  7u /* SIM_CLASSES of crashes, crash loops, a symptom, the build's own crash */
#define BOOK_AGES   2u /* phones the fault does not concern, and those it does */
#define BOOK_PHASES 64u
#define BOOK_NEW    256u /* new signatures of a stage */

/* Times of a run, in looks. */
struct book_clock {
	double look_h;
	uint32_t poll;      /* between polls of a phone */
	uint32_t milestone; /* from offer to the first judgement of silence */
	uint32_t again;     /* and between later ones */
	uint32_t s1;
	uint32_t span;    /* from here on phones are all alike */
	uint32_t horizon; /* nothing is planned further ahead; a power of two */
	uint64_t look_ms, settle_ms;
};

/* What the build adds to phones by age in looks; the last holds for all older ones. */
struct book_effect {
	double *ratio[2]; /* of crashes; [1] phones it concerns */
	double *acting;   /* share of them on which the fault acts */
	double *told;     /* share of reports that still come */
};

/* Phones that entered in one batch; the first pool of a side: all those older than span. */
struct pool {
	uint32_t batch;
	uint32_t risk[2][BOOK_CELLS]; /* [1] the fault concerns them */
};

struct side {
	struct pool *pool;
	size_t n_pools;
	uint32_t unasked[BOOK_PHASES], asked[BOOK_PHASES]; /* not entered, by hour of their poll */
	uint32_t followed;                                 /* entered before the open batch */
	uint32_t *judged_in;                               /* heard of, by phase of judgement */
	bool closed;
};

/* What is due at one look. */
struct due {
	uint32_t boot_ok, boot, install, rollback, s1, s1_due, bricks;
	uint32_t judged[BOOK_SIDES], silent[BOOK_SIDES];
	uint32_t vanished; /* canaries heard of before */
};

struct sim_hurt {
	uint32_t crashed, looped, symptoms; /* beyond what the old build would have */
	uint32_t bricked, failed;           /* boots, installs and rollbacks, the usual ones too */
};

/* What happened, for whoever keeps books of single devices beside it. */
enum book_kind { BOOK_ENTER, BOOK_EVENT, BOOK_JUDGE, BOOK_JUDGE_AGAIN, BOOK_S1, BOOK_CLOSED };
struct book_event {
	enum book_kind kind;
	uint32_t side;  /* 0: the canary */
	uint32_t batch; /* BOOK_EVENT of a compared stream: when the devices entered, or earlier */
	bool old;       /* or earlier */
	enum stream stream;
	uint32_t n, bad; /* bad: silent, or without boot_ok in time */
};

struct book_sink {
	void (*row)(void *to, uint32_t book, const struct evidence_row *row);
	void (*event)(void *to, uint32_t book, const struct book_event *e); /* may be NULL */
	void *to;
};

struct book {
	const struct sim_world *world;
	const struct book_clock *clock;
	const struct book_effect *effect;
	const struct book_sink *sink;
	uint32_t number;
	bool faulty;     /* the model the fault concerns */
	double began_h;  /* of the rollout */
	uint32_t batch;  /* the open one */
	uint64_t now_ms; /* when it closes */
	uint32_t sides;
	struct side side[BOOK_SIDES];
	struct due *due; /* a ring of clock->horizon */
	struct evidence_row compared[STREAM_COMPARED][AGE__COUNT];
	struct evidence_row silence;     /* of the open batch */
	uint32_t judged_now[ARM__COUNT]; /* the first time */
	uint32_t n_new,
		own_signature; /* signatures seen; the build's own, one more than it, or 0 */
	uint32_t offered, control, resolved, boot_ok, judged, silent; /* ever */
	struct sim_hurt hurt;
};

/* Phones that can come, by side; control groups in the order in which they leave. */
void book_init(struct book *b, struct chance *r, const uint32_t *phones, uint32_t sides);
void book_release(struct book *b);
/* The control group's step has opened. */
void book_close_side(struct book *b, uint32_t side);

/* The open batch, in this order. */
void book_events(struct book *b, struct chance *r, uint64_t closes_ms);
/* Phones polling now are asked with this share of their arm, as admit_ppm rose. */
void book_ask(struct book *b, struct chance *r, double before, double now);
uint32_t book_waiting(const struct book *b); /* canaries that poll now and may come */
/* Takes in so many of them, and of the control the same part of those that may. */
void book_enter(struct book *b, struct chance *r, uint32_t canaries, double part);
uint32_t book_held(const struct book *b);
void book_due(struct book *b, struct chance *r);
/* `held` as of the stage. */
void book_close(struct book *b, uint32_t held);
