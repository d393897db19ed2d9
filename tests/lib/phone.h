/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A phone around libhuidu, in memory: clock, flash, file, two slots, and a network to
 * an honest server.  Each can be made to fail.  It restarts, and dies at a chosen save,
 * like a phone.
 */
#pragma once

#include <huidu/huidu.h>

#include "tests/lib/honest.h"

#define PHONE_FILE (256u * 1024)
#define PHONE_T0   1790000000000u /* ms */

/* Of the saved state; len 0: never written. */
struct phone_flash {
	uint8_t bytes[HUIDU_SLOT];
	size_t len;
};

struct phone_slot {
	char build_id[64];
	uint64_t release_counter, rollback_index;
};

struct phone {
	struct honest *server;
	huidu_t *h;
	struct huidu_platform platform;
	struct huidu_crypto *crypto; /* NULL */
	struct huidu_config config;
	uint64_t clock_ms, next_ms; /* the true time */
	int64_t skew_ms;            /* what its clock adds to that */
	uint64_t booted_ms;
	uint32_t random; /* state of its generator */
	bool fixed_random;
	int init_error, step_error;

	/* Flash. */
	struct phone_flash flash[2];
	unsigned saves;   /* that were asked for */
	unsigned die_at;  /* 0: never; at this save, which is done when `die_after` */
	size_t die_bytes; /* so much of it is written, else */
	bool die_after, dead;
	int save_error, load_error;

	/* The file and the slots. */
	uint8_t file[PHONE_FILE];
	uint64_t file_len;
	int file_error, read_error;
	struct phone_slot slot, other; /* runs; was applied */
	unsigned applies, activations;
	int apply_error, activate_error;
	bool apply_later;    /* applied by phone_apply_ends() */
	bool restarting;     /* activate was called: phone_run() restarts */
	bool never_comes_up; /* the bootloader falls back */
	bool sick;           /* the new build never says boot_ok */

	/* The network. */
	unsigned requests;
	int status; /* 0: as the server says; else this, with no body */
	uint32_t retry_after_s;
	struct bytes body;  /* n > 0: this, in place of the server's (status 200) */
	const char *only;   /* NULL: the two above are for every path, else for this */
	size_t piece;       /* bytes of a file at a time */
	size_t cut_after;   /* 0: never; bytes of a file until the connection breaks */
	bool ignores_range; /* a server that always answers 200 */
	size_t extra;       /* bytes it sends beyond the end */
	bool hold;          /* answers wait for phone_answer() */
	struct huidu_request pending;
	bool is_pending;
	char last_path[128];

	char log[512]; /* the last line */
	int last_logged;

	_Alignas(16) uint8_t memory[HUIDU_MEMORY];
	_Alignas(16) uint8_t scratch[HUIDU_SCRATCH];
};

/* On build "b1", counter 1, with reports, wishing for dev. */
struct phone *phone_new(struct honest *server);
void phone_free(struct phone *p);
/* Starts the library on what runs; false when it refuses. */
bool phone_start(struct phone *p);
void phone_stop(struct phone *p);
void phone_restart(struct phone *p);
void phone_answer(struct phone *p);
void phone_apply_ends(struct phone *p, int err);

/* One huidu_step at the present time. */
int phone_step(struct phone *p);
/*
 * Steps, moving the clock to what the library asks for, restarting where the phone
 * restarts, signing a Timestamp each hour; for `ms` of the phone's time, or until
 * nothing is due sooner.
 */
void phone_run(struct phone *p, uint64_t ms);
/* Steps as long as something is due now. */
void phone_settle(struct phone *p);
/* Polls now and does what follows at once. */
void phone_poll(struct phone *p);
struct huidu_status phone_status(const struct phone *p);
/* cmocka's setup and teardown: *state is a phone that is started, and has a server. */
int phone_set_up(void **state);
int phone_tear_down(void **state);
/* The slot that counts; only a test that damages one needs to know. */
struct phone_flash *phone_saved(struct phone *p);
void phone_sleep(struct phone *p, uint64_t ms);
