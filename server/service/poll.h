/* SPDX-License-Identifier: Apache-2.0 */
/* What a poll is answered: from the image, with no lock, store or signature. */
#pragma once

#include "server/service/arm.h"
#include "server/service/request.h"

#define POLL_TAIL_MAX (32u + 8u + LOGTREE_EXTENSION_MAX * SHA256_LEN)
#define POLL_PARTS    3u

/* What of a poll matters for its answer; may outlive the request. */
struct poll_ask {
	bool anonymous;
	bool urgent; /* a person waits, or an update is under way */
	uint8_t id[ID_LEN];
	fleet_word *word;
	uint16_t product; /* number */
	char build_id[64];
	uint64_t release_counter, snapshot_version, root_version, log_size;
	uint32_t seq;
	enum ring wish;
};

struct poll_answer {
	/* The body: what the image has, the device's own fields (in `tail`), and roots, if any. */
	struct bytes part[POLL_PARTS];
	uint8_t tail[POLL_TAIL_MAX];
	enum answer answer;
};

/* ERR_NOT_FOUND: no such product; ERR_BAD_RANGE: an id that is too long. */
WARN_UNUSED int poll_ask_of(const struct request *r, struct poll_ask *out);

/* How often the interval that phones are told is doubled just now, because the worker is busy. */
unsigned poll_stretch(const struct desk *d);

/* In how many seconds to come again: the interval with its jitter, and longer while it is busy. */
uint32_t poll_next_s(struct desk *d);

/*
 * Whether this device, which is `f`, may have a build of the product, and which: and if it comes into
 * an arm by that, it is handed to the writer.  With POLL_SEQ_STORED its record says what its last
 * event was.
 */
#define POLL_SEQ_STORED ARM_SEQ_STORED
struct offer_decision poll_decide(struct desk *d, const struct poll_ask *ask,
	const struct image_product *product, const struct fleet_device *f, uint64_t now_ms);

/*
 * Decides and answers.  A device that enters an arm, or changed its wish, is handed to the writer;
 * the answer does not wait for it.  The answer lives as long as `out` and the desk's image.
 */
void poll_answer(
	struct desk *d, const struct poll_ask *ask, uint64_t now_ms, struct poll_answer *out);
