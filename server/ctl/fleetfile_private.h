/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of fleetfile share: words of a row, and what they mean. */
#pragma once

#include "server/ctl/fleetfile.h"

/* In the order of fleet_columns[]. */
enum fleet_column {
	FLEET_ID,
	FLEET_SERIAL,
	FLEET_PRODUCT,
	FLEET_BUILD,
	FLEET_RING,
	FLEET_WISH,
	FLEET_KEY,
	FLEET_TOKEN,
	FLEET_TOKEN_SHA256,
	FLEET_ENROLLED,
	FLEET_LAST_SEQ,
	FLEET_LEFT,
	FLEET_PROTOCOL,
	FLEET_NAME,
	FLEET_COLUMNS
};
/* FLEET_COLUMNS when there is none of this name. */
enum fleet_column fleet_column_of(const char *name);

/* Borrowed; NULL: absent. */
struct fleet_values {
	const char *of[FLEET_COLUMNS];
	char number[24]; /* a JSON number, as text */
};

/* The words of a JSON object live in `*js`.  NULL, or what is wrong. */
struct fleet_json;
const char *fleet_json_values(struct bytes line, struct fleet_values *v, struct fleet_json **js);
void fleet_json_free(struct fleet_json *js);

/* False with `why`. */
bool fleet_row_read(const struct fleet_values *v, struct fleet_row *out, char why[FLEET_WHY_MAX]);
