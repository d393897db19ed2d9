/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that reads a request before a handler sees it. */
#include <assert.h>
#include <stdlib.h>

#include "server/http/chunks.h"
#include "server/http/head.h"

#define BODY_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void inside(struct head_span span, size_t n)
{
	assert(span.at <= n && span.n <= n - span.at);
}

/* In place, and in pieces whose size the input chooses. */
static void read_body(uint8_t *p, size_t n)
{
	struct chunks c = { .to = p, .max = BODY_MAX };
	size_t step = n > 0 ? p[0] % 16u + 1 : 1;

	for (size_t at = 0; at < n && !c.done; at += step) {
		size_t piece = step < n - at ? step : n - at;
		ssize_t used = chunks_read(&c, p + at, piece);
		if (used < 0)
			return;
		assert(c.done ? (size_t)used <= piece : (size_t)used == piece);
		assert(c.n <= BODY_MAX && c.n <= at + piece);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);
	struct head h;
	size_t line = 0;

	assert(copy != NULL);
	memcpy(copy, data, n);
	if (head_scan(bytes_of(copy, n), &line) == 1 && head_read(bytes_of(copy, line), &h) == 0) {
		inside(h.path, line);
		inside(h.query, line);
		assert(h.minor == 0 || h.hosts == 1);
		assert(!h.chunked || (h.minor == 1 && h.length == 0));
		(void)head_find(bytes_of(copy, line), "Host");
		read_body(copy + line, n - line);
	}
	free(copy);
	return 0;
}
