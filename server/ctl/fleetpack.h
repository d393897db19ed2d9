/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a fleet as the server takes them: in one file of a fixed form, those with seats first as
 * they came, the others by id.  The same rows make the same bytes.
 */
#pragma once

#include "server/ctl/fleetfile.h"

struct fleetpack_sums {
	uint64_t rows, bad;
	uint64_t ring[RING__COUNT]; /* as the rows name them */
	uint64_t dated;             /* rows that say when the device enrolled */
	char **products;            /* by name */
	size_t n_products;
};

struct fleetpack;

/* Room for the rows is taken in $TMPDIR, or /tmp; -errno. */
WARN_UNUSED int fleetpack_new(struct fleetpack **out);
void fleetpack_free(struct fleetpack *p);

/* -errno of writing. */
WARN_UNUSED int fleetpack_add(struct fleetpack *p, const struct fleet_row *row);
/*
 * After the last row: finds those whose id, serial, key or token stands in an earlier one, drops them
 * and tells of each, lines rising.
 */
void fleetpack_drop_twins(
	struct fleetpack *p, void (*tell)(void *ctx, uint32_t line, const char *why), void *ctx);
/* Writes the file; its path, owned by the pack, which removes it in the end. */
WARN_UNUSED int fleetpack_write(struct fleetpack *p, const char **path);
/* Of the rows that are left. */
const struct fleetpack_sums *fleetpack_sums(const struct fleetpack *p);
