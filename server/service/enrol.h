/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment: a device shows that it holds a key, and gets an id, chosen here, and a report key.  The
 * same key gets the same id again, so a lost answer costs nothing.
 */
#pragma once

#include "server/service/request.h"

#define ENROL_REPLY_MAX 256u

struct enrol {
	struct job job; /* caller sets job.done */
	struct server *server;
	uint8_t key_hash[SHA256_LEN];
	uint8_t public_key[33];
	uint16_t product;
	enum ring wish;
	/* Results of the job. */
	uint8_t id[ID_LEN];
	enum ring ring;
	bool is_new;
};

/*
 * Reads an EnrollRequest.  Returns 0 with `*reply_len` > 0 when the answer is a challenge, now in
 * `reply`; 0 with *reply_len 0 when the proof is good and `out->job` is to be submitted.
 * ERR_BAD_SIGNATURE, ERR_STALE (the challenge is older than five minutes), ERR_NOT_FOUND (product),
 * or what lint() says.
 */
WARN_UNUSED int enrol_open(struct desk *d, struct bytes body, uint64_t now_ms, struct enrol *out,
	uint8_t reply[ENROL_REPLY_MAX], size_t *reply_len);
/* To be called by done() when the enrolment is committed: the fleet learns of the device. */
void enrol_taken(const struct enrol *e);
/* The answer to a committed job. */
WARN_UNUSED int enrol_reply(
	struct desk *d, const struct enrol *e, uint8_t reply[ENROL_REPLY_MAX], size_t *reply_len);
