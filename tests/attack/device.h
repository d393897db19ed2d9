/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A phone with the real SDK and its curl adapter, on a repository's address.  Flash, file and slots are
 * in memory, the clock is virtual; it restarts when it is told to switch slots.
 */
#pragma once

#include <huidu/huidu.h>

#include "client-sdk/curl/huidu_curl.h"
#include "client-sdk/src/state.h"
#include "tests/attack/wire.h"

#define WORLD_T0_S 1790000000u
/* The skew of a clock that has just begun to count. */
#define DEVICE_1970(d) (10000 - (int64_t)(d)->world_ms)

struct device_slot {
	char build_id[64];
	uint64_t release_counter, rollback_index;
};

/* The two slots of the state; len 0: never written. */
struct device_flash {
	uint8_t slot[2][HUIDU_SLOT];
	size_t len[2];
};

struct device {
	struct repo *repo;
	struct wire *wire;
	struct huidu_curl *curl;
	huidu_t *h;
	struct huidu_platform platform;
	struct huidu_config config;
	uint64_t world_ms; /* what time it is */
	int64_t skew_ms;   /* what the phone's clock is ahead of it */
	uint64_t next_ms, booted_ms;
	int init_error;
	int first_error; /* that the SDK named since the last refresh began */

	struct device_flash flash;
	unsigned saves, die_at; /* power is cut at this save; 0: never */
	bool die_after;         /* right after it; else half of it is there */
	bool dead;

	uint8_t file[8192];
	size_t file_len;
	struct device_slot slot, other; /* runs; was applied */
	unsigned applies, activations;
	bool holds_apply; /* the apply hook takes its time */
	bool restarting;

	_Alignas(16) uint8_t memory[HUIDU_MEMORY];
	_Alignas(16) uint8_t scratch[HUIDU_SCRATCH];
};

/* On build "b1", counter 1, made with `root`; false when the SDK does not start (init_error). */
bool device_open(struct device *d, struct repo *repo, struct wire *wire, struct bytes root);
void device_close(struct device *d);
/* Off and on again, on the slot that was activated if any. */
void device_restart(struct device *d);
/* Polls and does all that is due at once.  0, or the first error that was named. */
int device_refresh(struct device *d);
/* Lives on for so long, with restarts; the repository signs a Timestamp each hour. */
void device_live(struct device *d, uint64_t ms);
/* Time goes by, with the phone asleep. */
void device_sleep(struct device *d, uint64_t s);
/* What it has on flash. */
struct state device_state(const struct device *d);
/* Which root it trusts: it says so when it polls. */
uint64_t device_root(struct device *d);
struct huidu_status device_status(const struct device *d);
