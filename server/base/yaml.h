/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML files straight into structs, by a table.  The only user of libyaml.
 *
 * Every key is in the table or an error; every value is checked by its type and range; the error
 * names file, line and key.  What a key means when absent is a text in the table, read by the same
 * code as the file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"

enum yaml_type {
	YAML_STRING,   /* char *, owned by the struct */
	YAML_U32,      /* uint32_t */
	YAML_U64,      /* uint64_t */
	YAML_BOOL,     /* bool */
	YAML_DURATION, /* uint64_t, ms */
	YAML_PPM,      /* uint32_t; "1 %" or parts per million */
	YAML_RATIO,    /* uint32_t, millionths; "1.5", or "none" for 0 */
	YAML_SIZE,     /* uint64_t, bytes */
	YAML_WORD,     /* uint32_t, index into `words` */
	YAML_MAP,      /* a struct in place, by `of` */
	YAML_WORD_MAP, /* the same; a word in its place is for the first key, which is no string */
	YAML_LIST,     /* pointer to structs by `of`, or to char * when `of` is NULL */
	YAML_LINE,     /* uint32_t: the line the enclosing map starts at; has no key */
};

struct yaml_schema;

struct yaml_field {
	const char *key;
	enum yaml_type type;
	size_t at;       /* offset in the struct */
	size_t count_at; /* YAML_LIST: offset of its size_t count */
	const struct yaml_schema *of;
	const char *const *words; /* YAML_WORD: NULL at the end */
	const char *def;          /* NULL: the key must be there.  "" for an empty map or list */
	uint64_t min, max;        /* of numbers, in the stored unit; max 0: no limit */
};

struct yaml_schema {
	const struct yaml_field *fields;
	size_t n;
	size_t size; /* of the struct */
};

#define YAML_ERROR_MAX 256

/*
 * Fills `out`, whose strings and lists are then given back by yaml_release.  On ERR_CONFIG (or -errno
 * from opening) `error` holds the line for a person, and nothing is to be freed.
 */
WARN_UNUSED int yaml_read_file(
	const char *path, const struct yaml_schema *schema, void *out, char error[YAML_ERROR_MAX]);
void yaml_release(const struct yaml_schema *schema, void *out);
