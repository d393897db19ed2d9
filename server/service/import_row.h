/* SPDX-License-Identifier: Apache-2.0 */
/* One row of an import against what is there.  The writer's. */
#pragma once

#include "proto/admin.pb-c.h"
#include "server/service/server.h"
#include "server/store/foreign.h"

enum row_end {
	ROW_ADDED,
	ROW_KNOWN,
	/* It contradicts what is there, or itself: nothing is done. */
	ROW_UNREADABLE,
	ROW_NOT_LISTED,
	ROW_NO_PRODUCT,
	ROW_OTHER_PRODUCT,
	ROW_OTHER_KEY,
	ROW_KEY_TAKEN,
	ROW_TOKEN_TAKEN,
	ROW_ID_TAKEN,
	ROW_NOT_SPOKEN,
	ROW__COUNT
};
const char *row_end_str(enum row_end end);

/* Derives ids of those that bring none. */
struct row_taker {
	const struct server *server;
	struct crypto_mac *mac;
	uint8_t secret[SHA256_LEN]; /* of this store, and random */
};
WARN_UNUSED int row_taker_init(struct row_taker *t, const struct server *server);
void row_taker_release(struct row_taker *t);

/* A device that is to be added. */
struct row_device {
	struct device device;
	uint8_t key_hash[SHA256_LEN], token[TOKEN_LEN];
	bool has_token;
	size_t line; /* in the registry */
	bool is_foreign;
	struct stored_foreign foreign;
};

/* With ROW_ADDED `out` is the device, with the ring that the row names; nothing is written yet. */
enum row_end row_look(
	struct row_taker *t, struct writer *w, const Pb__FleetRow *m, struct row_device *out);
bool row_waits(const struct row_device *d);
void row_put_device(struct writer *w, uint16_t line_number, const struct row_device *d);
/* After the commit: the fleet and the counts learn of it. */
void row_show(struct server *s, const struct row_device *d);
