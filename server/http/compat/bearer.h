/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device that has authenticated once shows from then on: it says who it is and since when, with a
 * MAC under a secret of this server.  Nothing of it is kept here.
 */
#pragma once

#include "proto/base64.h"
#include "server/service/server.h"

#define BEARER_BYTES  (ID_LEN + 6 + SHA256_LEN)
#define BEARER_LEN    BASE64_LEN(BEARER_BYTES)
#define BEARER_LIFE_S 604800u /* 7 days; then the device authenticates again */

struct bearer {
	uint8_t id[ID_LEN];
	uint16_t product;
	uint32_t issued_s; /* unix */
};

/* Any thread with a desk.  BEARER_LEN characters and a NUL.  ERR_CRYPTO. */
WARN_UNUSED int bearer_write(struct desk *d, const struct bearer *b, char out[BEARER_LEN + 1]);
/* False: it is none of this server's, or is too old at `now_s`, or from after it. */
WARN_UNUSED bool bearer_read(struct desk *d, struct bytes text, uint64_t now_s, struct bearer *out);
