/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON from devices that huidu's makers did not write: a reader on jansson, bounded in bytes, depth and
 * number of values, and accessors that take anything for an answer.  (server/base/json.h writes JSON.)
 *
 * Any thread; a document by one thread at a time.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"
#include "server/base/buf.h"

#define JSON_BYTES_MAX  (128u << 10)
#define JSON_DEPTH_MAX  16u
#define JSON_VALUES_MAX 8192u

/* A document, or a value in it: borrowed from it.  Every accessor takes NULL for one. */
struct json_value;

/*
 * `body` is one object or array and nothing else, in UTF-8, and at most `max` bytes of it, which is at
 * most JSON_BYTES_MAX.  Of members of one name the last counts.  On 0 free with json_free.
 * ERR_TOO_BIG: beyond a bound; ERR_MALFORMED: no JSON.
 */
WARN_UNUSED int json_read(struct bytes body, size_t max, struct json_value **out);
void json_free(struct json_value *document);

/*
 * What is at `path`, names with a dot between them, "status.result.finished"; a number is a place in
 * an array, "details.0".  NULL when there is no such thing.
 */
const struct json_value *json_at(const struct json_value *v, const char *path);
/* The text there, without escapes and with no NUL in it; `p` is NULL when no text is there. */
struct bytes json_text(const struct json_value *v, const char *path);
/* The whole number there, or the one that is written out in a text there. */
bool json_whole(const struct json_value *v, const char *path, int64_t *out);
/* Whether `true` is there. */
bool json_yes(const struct json_value *v, const char *path);

/* Begins as { 0 }. */
struct json_walk {
	struct bytes key; /* of a member; of an item its `p` is NULL */
	const struct json_value *value;
	void *iter;
	size_t at;
};

/* The next member of an object or item of an array; false behind the last, and for other things. */
bool json_next(const struct json_value *v, struct json_walk *w);

/* Appends the value without blanks, members sorted by name: one text for all texts of it. */
void json_sorted(struct buf *out, const struct json_value *v);

/* What a feedback says at the least.  Borrowed from the body; `p` is NULL when it was not found. */
struct json_feedback {
	struct bytes execution, finished;
};

/*
 * For a feedback that json_read refuses, with whatever error: swupdate 2022.12 leaves line ends and quotation marks in its
 * error texts as they are.  Takes the first "execution" and the first "finished" with a word of small
 * letters behind it, which stand before those texts.  True when both were found.
 */
bool json_scan(struct bytes body, struct json_feedback *out);
