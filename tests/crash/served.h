/* SPDX-License-Identifier: Apache-2.0 */
/* What a phone was shown, read with the phone's distrust. */
#pragma once

#include "tests/lib/deployment.h"

#define SERVED_OFFERS 8u
#define SERVED_TEXT   200u

struct served_offer {
	char build_id[64];
	uint8_t sha256[SHA256_LEN]; /* of the file */
	uint64_t length;
};

struct served {
	uint64_t root, timestamp, snapshot, director, log_size;
	uint8_t log_root[SHA256_LEN];
	uint32_t ring;
	struct served_offer offer[SERVED_OFFERS];
	size_t n_offers;
};

/*
 * A whole answer to a phone that holds nothing but the first root: every signature, hash, version and
 * proof in it belongs together.  What does not is said in `why`, and then it is false.
 */
bool served_read(struct deployment *d, struct bytes body, const char *product, struct served *out,
	char why[SERVED_TEXT]);
