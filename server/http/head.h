/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request's header block says: strict, without memory of its own, and the only
 * user of llhttp.  llhttp reads the grammar; what it lets through and a proxy might
 * read in another way is refused here: bare CR and LF, folded lines, more than one
 * space, HTTP/0.9, empty names, transfer codings other than one "chunked".
 */
#pragma once

#include "server/http/range.h"

/* Offsets, because the buffer may move while the body is awaited. */
struct head_span {
	uint32_t at, n;
};

struct head {
	uint8_t method; /* as head_method */
	uint8_t minor;  /* of HTTP/1 */
	uint8_t hosts;  /* Host headers seen */
	bool keep_alive;
	bool chunked;
	bool expect;     /* Expect: 100-continue */
	bool encoded;    /* Content-Encoding: the caller answers 415 */
	bool if_range;   /* there are no validators to compare, so Range does not hold */
	uint64_t length; /* of the body as announced; 0 when chunked */
	struct head_span path, query;
	struct range range;
};

/*
 * Looks for the end of the header block in what has arrived of a request.  `*line` (0
 * at the start) remembers how far it got.  Returns 1 with `*line` the length of the
 * block, 0 when more is needed, ERR_MALFORMED when this cannot become a request. A
 * block of two bytes is an empty line before a request, to be skipped.
 */
WARN_UNUSED int head_scan(struct bytes in, size_t *line);

/*
 * Reads a block that head_scan found.  Returns 0 with `*out` filled, or the status to
 * refuse with.
 */
WARN_UNUSED unsigned head_read(struct bytes block, struct head *out);

/* The number of the method "GET", or -1; and back. */
int head_method(const char *name);
const char *head_method_str(unsigned method);
/*
 * The value of the header `name` in a block that head_read took, without spaces; n 0 if
 * absent.
 */
struct bytes head_find(struct bytes block, const char *name);
