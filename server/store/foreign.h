/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a device that speaks another server's protocol, besides its struct device. */
#pragma once

#include "server/core/foreign.h"
#include "server/store/device.h"

struct stored_foreign {
	struct foreign state;
	bool has_token;
	uint8_t token[TOKEN_LEN]; /* first half of SHA-256 of its own token */
	char name[FOREIGN_NAME_MAX + 1];
};

bool foreign_get(struct store_txn *t, const uint8_t id[ID_LEN], struct stored_foreign *out);
void foreign_put(struct store_txn *t, const uint8_t id[ID_LEN], const struct stored_foreign *f);
/* No error when there is none. */
void foreign_delete(struct store_txn *t, const uint8_t id[ID_LEN]);
/* Reads what store_foreach over STORE_FOREIGN found. */
bool foreign_read(const struct store_cursor *c, uint8_t id[ID_LEN], struct stored_foreign *out);
