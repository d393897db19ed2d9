/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log for who wants to check it: the checkpoint and the hash tiles of c2sp.org/tlog-tiles.  The
 * entries name people and what they did: those are for the admin socket.
 */
#include "server/http/device_private.h"

static const struct http_header fresh[] = { { "Cache-Control", "no-cache" } };
/* A tile never changes; one that is not full yet goes by another name then. */
static const struct http_header for_ever[] = { { "Cache-Control",
	"public, max-age=31536000, immutable" } };

void device_checkpoint(struct http_call *call)
{
	const struct image *image = device_desk(call)->image;
	struct bytes note = image != NULL ? buf_bytes(&image->log.checkpoint) : bytes_of(NULL, 0);
	struct http_answer answer = { .status = 200,
		.type = "text/plain; charset=utf-8",
		.part = &note,
		.n_parts = 1,
		.header = fresh,
		.n_headers = 1 };

	if (note.n == 0)
		http_reply_error(call, 503);
	else
		http_reply(call, &answer);
}

/* ---- "<L>/<N>[.p/<W>]" ---- */

static bool skip(struct bytes *s, const char *word)
{
	size_t n = strlen(word);

	if (s->n < n || memcmp(s->p, word, n) != 0)
		return false;
	*s = bytes_of(s->p + n, s->n - n);
	return true;
}

/* A number as people write it, without leading zeros. */
static bool number(struct bytes *s, unsigned max, unsigned *out)
{
	size_t n = 0;

	*out = 0;
	for (; n < s->n && n < 3 && s->p[n] >= '0' && s->p[n] <= '9'; n++)
		*out = 10 * *out + (unsigned)(s->p[n] - '0');
	if (n == 0 || (n > 1 && s->p[0] == '0') || *out > max)
		return false;
	*s = bytes_of(s->p + n, s->n - n);
	return true;
}

static bool three_digits(struct bytes *s, uint64_t *n)
{
	for (size_t i = 0; i < 3; i++)
		if (i >= s->n || s->p[i] < '0' || s->p[i] > '9')
			return false;
	*n = 1000 * *n + 100 * (uint64_t)(s->p[0] - '0') + 10 * (uint64_t)(s->p[1] - '0') +
		(uint64_t)(s->p[2] - '0');
	*s = bytes_of(s->p + 3, s->n - 3);
	return true;
}

/* "x001/x234/067" is 1234067; there is one way to write a number. */
static bool tile_index(struct bytes *s, uint64_t *n)
{
	*n = 0;
	for (unsigned group = 0; group < 6; group++) {
		bool more = skip(s, "x");
		if (!three_digits(s, n) || (group == 0 && more && *n == 0))
			return false;
		if (!more)
			return true;
		if (!skip(s, "/"))
			return false;
	}
	return false;
}

bool device_tile_path(struct bytes path, struct tile *out)
{
	out->width = LOGTREE_TILE;
	if (!number(&path, 63, &out->level) || !skip(&path, "/") || !tile_index(&path, &out->index))
		return false;
	if (skip(&path, ".p/") &&
		(!number(&path, LOGTREE_TILE - 1, &out->width) || out->width == 0))
		return false;
	return path.n == 0;
}

void device_tile(struct http_call *call)
{
	const struct image *image = device_desk(call)->image;
	struct buf hashes = { 0 };
	struct tile t;

	if (image == NULL || !device_tile_path(call->rest, &t) ||
		!logtree_tile(
			image->log.tree, image->log.size, t.level, t.index, t.width, &hashes)) {
		device_missing(call);
		return;
	}
	struct bytes part = buf_bytes(&hashes);
	struct http_answer answer = { .status = 200,
		.type = "application/octet-stream",
		.part = &part,
		.n_parts = 1,
		.header = for_ever,
		.n_headers = 1 };
	http_reply(call, &answer);
	buf_release(&hashes);
}
