/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment: a device shows that it holds a key, and gets an id, chosen here, and a report key.  The
 * same key gets the same id again, so a lost answer costs nothing.
 */
#pragma once

#include "server/service/request.h"
#include "server/store/device.h"

#define ENROL_REPLY_MAX 256u

/* A request as it came. */
struct enrol_ask {
	struct bytes body;
	struct bytes network; /* the part of the address it came from that is limited; n 0: none */
	uint64_t now_ms, mono_ms;
};

#define NETWORK_MAX 8u

struct enrol {
	struct job job; /* caller sets job.done */
	struct server *server;
	struct doorman *doorman;
	struct question question; /* to the doorman; line.len 0: there is none */
	bool let_in;              /* if it is new */
	uint8_t network[NETWORK_MAX];
	size_t network_len;
	uint8_t key_hash[SHA256_LEN];
	uint8_t public_key[33];
	bool has_token;
	uint8_t token[TOKEN_LEN]; /* may be that of a device which was brought */
	uint16_t product;
	enum ring wish;
	/* Results of the job. */
	uint8_t id[ID_LEN];
	enum ring ring;
	uint32_t last_seq;
	bool is_new;
};

/*
 * Reads an EnrollRequest.  Returns 0 with `*reply_len` > 0 when the answer is a challenge, now in
 * `reply`; 0 with *reply_len 0 when the proof is good and `out` is to be submitted.
 * ERR_BAD_SIGNATURE, ERR_STALE (the challenge is older than five minutes), ERR_NOT_FOUND (product),
 * ERR_TOO_MANY (at once), or what lint() says.
 */
WARN_UNUSED int enrol_open(struct desk *d, const struct enrol_ask *ask, struct enrol *out,
	uint8_t reply[ENROL_REPLY_MAX], size_t *reply_len);
/*
 * Hands it to the doorman, if it is to be asked, and the writer; job.done() tells the end, which is
 * ERR_CLOSED for a device that is new and not let in.  One that is known, or shows the token that it
 * was brought with, gets its id in every mode: it has proved its key.  ERR_BUSY: nothing was handed over.
 */
WARN_UNUSED int enrol_submit(struct enrol *e);
/* To be called by done() when the enrolment is committed: the fleet learns of the device. */
void enrol_taken(const struct enrol *e);
/* The answer to a committed job. */
WARN_UNUSED int enrol_reply(
	struct desk *d, const struct enrol *e, uint8_t reply[ENROL_REPLY_MAX], size_t *reply_len);
