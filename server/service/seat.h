/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seats of the inner rings: exactly as many as the configuration says, at any concurrency, because
 * only the writer gives them out.  Among those who opted in the lowest hash under a seed drawn from
 * the log gets the seat, so neither speed nor choice of id helps.
 */
#pragma once

#include "server/service/server.h"

/*
 * The device changed the ring it opts in to; written without waiting for it.  Whose wish lies
 * outside its seat gives the seat up, and waits for another if it wishes for one.
 */
void seat_wish(struct server *s, const uint8_t id[ID_LEN], enum ring wish, uint64_t now_ms);

/* Devices that get a seat of one ring; stable: that lose theirs. */
struct seat_fill {
	struct job job;
	struct server *server;
	size_t line;
	enum ring ring;
	uint8_t seed[SEED_LEN];
	uint8_t (*ids)[ID_LEN]; /* rising; owned */
	size_t n;
	uint8_t digest[SHA256_LEN]; /* over the ids */
	bool granted;               /* counted in line.granting */
	struct bytes entry;         /* the log entry that records it, and its index */
	uint64_t index;
};

/* Seats of this ring that are free, and could be filled. */
uint64_t seat_free(const struct server *s, size_t line, enum ring ring);
/* The same for the writer, in the middle of a transaction. */
uint64_t seat_left(const struct line *l, enum ring ring);
/* SHA-256("huidu/fill/v1\0" || log root) */
WARN_UNUSED int seat_seed(const uint8_t log_root[SHA256_LEN], uint8_t out[SEED_LEN]);
/* Chooses; with no seat free or nobody waiting, fill->n is 0.  Blocks for the writer. */
WARN_UNUSED int seat_choose(struct server *s, struct seat_fill *fill);
/*
 * Gives the seats and appends the entry, in one transaction; ERR_WRONG_STATE when not so many are
 * free.  Blocks for the writer.
 */
WARN_UNUSED int seat_give(struct server *s, struct seat_fill *fill);
void seat_fill_release(struct seat_fill *fill);
