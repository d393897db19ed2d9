/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet as people write it: CSV with a header (RFC 4180, but a row is a line), or a JSON object a
 * line; the first character tells which.  Read row by row: a file of any length takes no more memory than its longest
 * line, which has a limit.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"
#include "server/core/foreign.h"
#include "server/core/ring.h"

#define FLEET_NAME_MAX  64u
#define FLEET_TOKEN_LEN 16u
#define FLEET_WHY_MAX   160u

/* A row whose every word makes sense by itself. */
struct fleet_row {
	uint32_t line; /* of the file */
	bool has_id, has_serial, has_key, has_token, has_day;
	uint8_t id[ID_LEN];
	uint8_t serial[SHA256_LEN];
	uint8_t key[33];                /* P-256, compressed */
	uint8_t token[FLEET_TOKEN_LEN]; /* of its SHA-256, the first half */
	char product[FLEET_NAME_MAX];
	char build[FLEET_NAME_MAX]; /* name, or # and 16 hex digits of its hash; "": not told */
	enum ring ring, wish;
	uint32_t enrolled_day; /* days since 1970 */
	uint32_t last_seq;
	bool left;
	/* Of a device that speaks another server's protocol: enum foreign_protocol, and its name there. */
	uint32_t protocol; /* 0: it is none of these */
	char name[FOREIGN_NAME_MAX + 1];
};

struct fleetfile;

/* "FILE:1: why" in `error` (at least 256 bytes), for a header too. */
WARN_UNUSED int fleetfile_open(const char *path, struct fleetfile **out, char *error);
void fleetfile_close(struct fleetfile *f);

enum fleetfile_end { FLEETFILE_END, FLEETFILE_ROW, FLEETFILE_BAD };
/* The next row; FLEETFILE_BAD: out->line is set, and `why` says what is wrong with it. */
enum fleetfile_end fleetfile_next(
	struct fleetfile *f, struct fleet_row *out, char why[FLEET_WHY_MAX]);
/* Of the file that were read. */
uint64_t fleetfile_bytes(const struct fleetfile *f);
/* Reading failed: -errno; 0. */
int fleetfile_error(const struct fleetfile *f);

/* Days since 1970 of "2026-11-22"; false when it is no day of the years 1970 to 2148. */
bool fleet_day_read(const char *s, uint32_t *day);
void fleet_day_write(uint32_t day, char out[16]);

/* Names of the columns, in the order of an export; NULL at the end. */
extern const char *const fleet_columns[];
