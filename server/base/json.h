/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A streaming JSON writer: no tree, commas and escapes taken care of.  `key` is NULL inside arrays
 * and for the outermost value.
 */
#pragma once

#include "server/base/buf.h"

struct json {
	struct buf *out;
	bool comma; /* the next value needs one before it */
};

void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_str(struct json *j, const char *key, const char *value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_double(struct json *j, const char *key, double value); /* not finite: null */
void json_bool(struct json *j, const char *key, bool value);
void json_hex(struct json *j, const char *key, struct bytes value);
void json_time(struct json *j, const char *key, uint64_t unix_ms); /* 0: null */
