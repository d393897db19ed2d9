/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated phone: the real SDK, with a model of what its builds do to it. */
#pragma once

#include "bench/fleet/crypto.h"
#include "bench/fleet/model.h"
#include "bench/fleet/net.h"

#define PHONE_STATE_MAX 12288
#define PHONE_POLL_MAX  512

enum phone_life { PHONE_ON, PHONE_RESTARTING, PHONE_BRICKED };

/* What all phones share. */
struct fleet {
	struct model model;
	struct net *net;
	struct fleet_crypto *crypto;
	const char *repository, *product;
	const void *root;
	size_t root_len;
	uint32_t poll_min_s;
	void *scratch;
	const char *save_poll;      /* file for the body of the newest poll; NULL: none */
	bool keep_polls;            /* each phone its first and its newest */
	unsigned long long refused; /* things the SDK did not believe */
	int verbose;
};

/* What happened on one build. */
struct phone_past {
	bool ran, crashed;
};

/* A slot of the flash; n 0: never written. */
struct phone_state {
	uint8_t bytes[PHONE_STATE_MAX];
	size_t n;
};

/* The body of a poll; n 0: none yet. */
struct phone_poll {
	uint8_t bytes[PHONE_POLL_MAX];
	size_t n;
};

struct phone {
	struct fleet *fleet;
	huidu_t *device;
	void *memory;
	struct phone_crypto *crypto; /* its keystore: outlives restarts */
	enum phone_life life;
	enum huidu_ring wish;
	char build[64], next[64]; /* what runs; what it restarts into */
	uint64_t counter, next_counter;
	double frailty;
	uint64_t due_ms;                           /* the SDK's */
	uint64_t restart_ms, boot_ok_ms, crash_ms; /* 0: nothing of it is to come */
	bool boot_failed;
	bool offered;                         /* was told "offer" at least once */
	uint64_t fetched;                     /* bytes of builds' files */
	struct phone_past past[MODEL_BUILDS]; /* by the model's builds */
	struct phone_state state[2];
	struct phone_poll first, newest; /* when the fleet keeps them */
};

void phone_init(struct phone *p, struct fleet *f, enum huidu_ring wish);
/* Does what is due. */
void phone_step(struct phone *p, uint64_t now_ms);
void phone_release(struct phone *p);
uint64_t phone_now_ms(void);
