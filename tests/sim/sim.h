/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world: the real server with its signer and its store, hundreds of phones with the real SDK,
 * people who make mistakes, and a network, clocks, disks and power that fail.  All of it in one process
 * (and the signer's) on a virtual clock, and all chance from one seed: a seed does the same each time,
 * which its trace hash shows.
 *
 * What must always be so is looked at all the time; what is not ends the world with a line.  In the end
 * the faults stop, and everything must come right by itself.
 */
#pragma once

#include <huidu/huidu.h>

#include "tests/lib/authority_world.h"
#include "tests/sim/defect.h"
#include "tests/sim/inside.h"

#define MINUTE_MS   60000ull
#define SIM_HOUR_MS 3600000ull
#define SIM_DAY_MS  86400000ull

#define PHONES     220u
#define PRODUCTS   2u
#define RELEASES   96u
#define FILE_MAX   1024u
#define KEPT_MAX   3u
#define STRAYS_MAX 64u
#define SIM_PATH   96u
#define SIM_BODY   4096u
#define NEVER      UINT64_MAX

/* ---- chance.c ---- */

struct chance {
	uint64_t state;
};
uint64_t chance_next(struct chance *c);
/* 0 .. n - 1 */
uint64_t chance_below(struct chance *c, uint64_t n);
/* from .. to */
uint64_t chance_within(struct chance *c, uint64_t from, uint64_t to);
bool chance_hit(struct chance *c, unsigned ppm);
void chance_fill(struct chance *c, void *out, size_t n);

/* ---- what can go wrong, and how often it did ---- */

enum fault {
#define FAULT(id, name) FAULT_##id,
#include "tests/sim/fault.def"
#undef FAULT
	FAULT__COUNT
};

/* ---- phones ---- */

struct release;

struct reply {
	uint8_t *p;
	size_t n;
};

/* A request on its way, or its answer on the way back. */
struct exchange_sim {
	bool open;
	char path[SIM_PATH];
	uint8_t body[SIM_BODY];
	size_t body_len;
	uint64_t range_from;
	bool stream;
	bool asked;         /* the server has it */
	uint64_t at_ms;     /* when it arrives there, then here */
	uint64_t back_ms;   /* how long the answer takes */
	uint64_t served_ms; /* when the server answered */
	bool lost_answer, honest;
	int status;
	uint32_t retry_after_s;
	struct reply answer;
};

enum boot { BOOT_FINE, BOOT_FALLS_BACK, BOOT_SILENT };

struct sim_phone {
	unsigned no;
	struct chance chance;
	huidu_t *h;
	struct huidu_config config;
	struct huidu_platform platform;
	bool reports, forges, has_rtc, has_boot_clock, clock_is_wrong;
	enum huidu_ring wish;
	const char *product;
	uint8_t point[P256_PUBLIC_LEN];

	/* Clock: what it adds to the true time, at `set_ms`, and how much it gains. */
	int64_t skew_ms;
	int64_t drift_ppm;
	uint64_t set_ms, booted_ms;

	/* Power. */
	uint64_t wake_ms, off_until_ms; /* off_until_ms 0: it is on */
	int die_in;                     /* writes until the battery dies; 0: it does not */
	bool died;

	/* Flash, file and slots. */
	uint8_t flash[2][HUIDU_SLOT];
	size_t flash_len[2];
	uint8_t file[FILE_MAX];
	const struct release *runs, *other; /* NULL: as it left the factory */
	uint64_t applied_ms, boot_ok_ms;
	bool restarting, applying, came_up, to_other;
	uint64_t crash_ms, next_ms;

	struct exchange_sim net;
	struct reply kept[KEPT_MAX]; /* answers to polls of before */
	bool cut_off;                /* on the wrong side of a partition */

	/* What the judge knows of it. */
	bool has_id;
	uint8_t id[ID_LEN];
	unsigned inner;       /* the innermost ring it had */
	uint64_t answered_ms; /* when it took an answer to a poll, */
	uint64_t polled_ms;   /* and when the server gave the last that was one */
	uint32_t taken;       /* highest event the server acknowledged */
	uint32_t maybe;       /* that it may have taken: it died while it was at it */
	uint64_t seen_root, seen_timestamp, seen_log, seen_floor;
	uint64_t seen_director[RING__COUNT];
	uint32_t seen_seq;
	uint64_t last_change_ms;
	uint64_t installs;
	_Alignas(16) uint8_t memory[HUIDU_MEMORY];
	uint8_t fence[64];
};

/* ---- builds and their rollouts, as people know them ---- */

enum kind { KIND_GOOD, KIND_CRASHES, KIND_BRICKS, KIND_SILENT, KIND_SLOW, KIND__COUNT };

struct release {
	char name[16];
	enum kind kind;
	uint64_t counter, version; /* of its Targets */
	char content[PRODUCTS][48];
	bool published, proposed, started;
	unsigned approvals; /* people who did, since it was proposed, halted or paused */
	uint64_t halted_ms; /* since when it is; 0: it is not */
	bool was_halted;
	bool completed;
	bool aged;                   /* its devices' records may be gone */
	uint32_t upper[RING__COUNT]; /* the most that was opened for a ring */
	uint64_t installs;
};

/* ---- the server ---- */

struct signed_log {
	uint64_t size;
	uint8_t root[SHA256_LEN];
};

struct sim_host {
	struct deployment d;
	struct rootfile *first_root; /* that phones are made with */
	bool up, disk_full, sealed;  /* sealed: down until a person comes */
	uint64_t down_until_ms, full_until_ms;
	int64_t skew_ms; /* of its wall clock */
	bool clock_is_wrong;
	uint64_t clock_until_ms;
	unsigned crash_in; /* calls at which it may die until it does; 0: it does not */
	bool guarded;      /* inside host_do() */
	bool halting;
	uint64_t backup_size; /* of the log in the backup */
	uint64_t acked_size;  /* of the log, when somebody was last told that something is in it */
	struct signed_log acked[8];
	unsigned n_acked;
	uint64_t floor[64]; /* versions served: see judge_image */
	const struct image *image;
	uint64_t events[16]; /* that were counted before it died */
};

struct stray {
	uint64_t at_ms;
	unsigned phone;
	char path[SIM_PATH];
	uint8_t body[SIM_BODY];
	size_t len;
};

struct world_sim {
	uint64_t seed;
	struct chance chance, weather, crypto, host_chance, people;
	uint64_t now_ms, start_ms, end_ms;
	unsigned rate[FAULT__COUNT]; /* ppm, of this seed and this weather */
	bool calm;                   /* the faults have stopped */
	uint64_t weather_ms, tick_ms, people_ms, power_ms;
	uint64_t partition_until_ms;
	struct sim_host host;
	struct sim_phone *phones;
	unsigned n_phones;
	struct release releases[RELEASES];
	unsigned n_releases;
	struct stray strays[STRAYS_MAX];
	unsigned n_strays;
	uint64_t hash;
	uint64_t polls, installs, reports, commands, refused, restarts, enrolled;
	uint64_t faults[FAULT__COUNT];
	uint64_t model_events[16];
	uint64_t good_halted, bad_caught, checks;
	enum defect planted;
	uint8_t *scratch;
	struct bytes old_command;
};
extern struct world_sim world_sim;

/* Ends the world: what must not be is. */
_Noreturn __attribute__((format(printf, 1, 2))) void sim_fail(const char *format, ...);
/* Into the trace: everything that happens, and what the bytes of an answer are. */
void trace(const char *what, uint64_t a, uint64_t b);
void trace_bytes(const void *p, size_t n);
/* True when a fault of this kind happens now; it is counted. */
bool fault_hits(struct chance *c, enum fault f);

/* ---- host.c ---- */

void host_open(void);
void host_close(void);
/* Runs f(arg) in the server: false when the server died of it. */
bool host_do(void (*f)(void *arg), void *arg);
void host_clock(void);
void host_tick(void);
/* What was queued and not committed is lost, if it died. */
void host_stop(bool died);
/* The line for a person in `error` when it does not start, or not with what was restored. */
int host_try_start(bool restored, char error[256]);
void host_must_start(void);
char *host_path(const char *name);

/* ---- trouble.c ---- */

/* Power, disk and clock of the server: what is due. */
void host_suffers(void);
/* All is well again. */
void host_heals(void);

/* ---- router.c ---- */

/* What the server answers to a request, in x->status, x->retry_after_s and x->answer. */
void router_serve(struct exchange_sim *x, struct sim_phone *from);
/* The same to a copy of a request, whose answer nobody hears. */
void router_stray(const struct stray *s);

/* ---- net.c ---- */

/* The phone has asked for something. */
void net_take(struct sim_phone *p, const struct huidu_request *q);
/* What arrives now. */
void net_run(struct sim_phone *p);
void net_strays(void);
uint64_t net_stray_due(void);

/* ---- phone.c ---- */

void phone_make(struct sim_phone *p, unsigned no);
void phone_run_now(struct sim_phone *p);
uint64_t phone_clock(const struct sim_phone *p);
/* Whatever kept it down is over: its clock is set, it is switched on. */
void phone_heals(struct sim_phone *p);
void phone_release(struct sim_phone *p);

/* ---- phone_hooks.c ---- */

void phone_platform(struct sim_phone *p, struct huidu_platform *out);
void phone_crypto(struct sim_phone *p, struct huidu_crypto *out);

/* ---- people.c ---- */

void people_act(void);
/* A good build for everybody, at once. */
bool people_finish(void);
struct release *release_find(const char *name);

/* ---- judge.c ---- */

/* After anything the server did. */
void judge_server(void);
/* After a start: what was acknowledged is there. */
void judge_start(bool restored);
/* The dear ones: everything is counted again. */
void judge_store(void);
/* In the end. */
void judge_waiting(void);
void judge_install(struct sim_phone *p, const struct huidu_offer *offer);
void judge_phone(struct sim_phone *p);
void judge_taken(struct sim_phone *p, uint32_t first, size_t n, const struct report *r);
/* Somebody was told that a command is in the log. */
void judge_acked(void);
