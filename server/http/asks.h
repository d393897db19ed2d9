/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only control can answer, because the signer must be asked: workers leave it here, control
 * takes what came within a tenth of a second and has it signed at one time.
 *
 * Bounded: a worker is told ERR_BUSY when too much is waiting.
 */
#pragma once

#include "server/http/inbox.h"
#include "server/service/grant.h"
#include "server/service/timeproof.h"

#define ASKS_EVERY_MS 100u

enum ask_kind { ASK_TIME, ASK_GRANT, ASK__COUNT };

/* One question; the caller's until asks_post() returned 0, and again when `done` is called. */
struct ask {
	struct inbox_task task;
	struct asks *asks;
	struct ask *next;
	enum ask_kind kind;
	uint8_t nonce[TIME_NONCE_LEN]; /* ASK_TIME */
	struct grant_ask grant;        /* ASK_GRANT */
	void (*done)(struct ask *ask); /* control's thread; must be quick */
	int err;
	struct buf reply; /* of 0: a TimeProof or a GrantReply; released by the caller */
};

struct asks;

/* All but asks_post() is for control's thread.  Asks are refused until asks_begin(). */
struct asks *asks_new(struct server *server);
/* On control's loop. */
void asks_begin(struct asks *a, struct event_base *base);
/* Answers what is there with ERR_BUSY; from here on nothing is taken, nor in anybody's hands. */
void asks_end(struct asks *a);
/* After asks_end(), and when no other thread that posts is left; the loop must still be there. */
void asks_close(struct asks *a);
void asks_free(struct asks *a);

/* Any thread: soon ask->done is called.  ERR_BUSY: it will not be. */
WARN_UNUSED int asks_post(struct asks *a, struct ask *ask);
