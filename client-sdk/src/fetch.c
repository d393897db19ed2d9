/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The build's file: fetched, hashed on the way, gone on with after every kind of
 * interruption.
 */
#include "client-sdk/src/private.h"

#include <errno.h>
#include <stdio.h>

#define HTTP_OK         200
#define HTTP_PARTIAL    206
#define HTTP_BEYOND     416
#define REHASH_PER_STEP (16u << 20)
#define SPOILT_MAX      2u

/* Nothing of the file is known to be good. */
static int restart(huidu_t *h)
{
	int err = h->hooks.hash_start(h->hooks.ctx);

	h->fetch.hashing = err == 0;
	h->fetch.have = 0;
	h->fetch.rehash = false;
	return err;
}

/* Takes up the candidate's file: what a former process wrote is hashed first. */
static int begin(huidu_t *h)
{
	const struct candidate *c = &h->state.candidate;

	memset(&h->fetch, 0, sizeof(h->fetch));
	memcpy(h->fetch.sha256, c->sha256, SHA256_LEN);
	h->fetch.length = c->length;
	int err = restart(h);
	h->fetch.rehash = c->started;
	return err;
}

static int rehash_piece(huidu_t *h, size_t room, size_t *n)
{
	uint64_t left = h->state.candidate.length - h->fetch.have;
	int err;

	*n = left < room ? (size_t)left : room;
	if (*n == 0)
		return 0;
	err = h->platform.file_read(h->platform.ctx, h->fetch.have, h->scratch->arena, n);
	if (err != 0 || *n == 0)
		return err;
	if (*n > room || *n > left)
		return ERR_TOO_BIG;
	err = h->hooks.hash_add(h->hooks.ctx, h->scratch->arena, *n);
	h->fetch.have += *n;
	return err;
}

/* A bounded part of it, so that a step is never long. */
static int rehash(huidu_t *h)
{
	size_t n = 1;

	for (size_t done = 0; n > 0 && done < REHASH_PER_STEP; done += n) {
		int err = rehash_piece(h, ARENA_SIZE, &n);
		if (err != 0) {
			/* Not readable: all of it again. */
			int again = restart(h);
			return again != 0 ? again : sdk_note(h, err, "file_read");
		}
	}
	h->fetch.rehash = n > 0;
	return 0;
}

/*
 * The file is not what was signed.  That says nothing about the build, for anybody on the way can
 * bring it about: it is told after the second time, and tried again, but seldom.
 */
static int spoilt(huidu_t *h, int why)
{
	struct state *next = state_begin(h);
	struct candidate *c = &next->candidate;
	int err;

	c->started = 0;
	if (c->spoilt < SPOILT_MAX && ++c->spoilt == SPOILT_MAX)
		(void)events_add(h, next, PB__EVENT_KIND__EVENT_REFUSED, c->build_id,
			(uint32_t)-why); /* a full queue holds what matters more */
	if (c->spoilt == SPOILT_MAX)
		pace_slow(&h->work);
	err = state_commit(h);
	memset(&h->fetch, 0, sizeof(h->fetch));
	return err != 0 ? err : why;
}

static int finish(huidu_t *h)
{
	uint8_t sha256[SHA256_LEN];
	struct state *next;
	int err = h->hooks.hash_end(h->hooks.ctx, sha256);

	h->fetch.hashing = false;
	if (err != 0)
		return err;
	if (memcmp(sha256, h->state.candidate.sha256, SHA256_LEN) != 0)
		return spoilt(h, ERR_BAD_HASH);
	next = state_begin(h);
	if (next->candidate.stage == STAGE_FETCH) {
		next->candidate.stage = STAGE_FETCHED;
		(void)events_add(h, next, PB__EVENT_KIND__EVENT_DOWNLOADED,
			next->candidate.build_id, 0); /* a full queue holds more */
	}
	err = state_commit(h);
	h->fetch.verified = err == 0;
	return err;
}

static bool is_candidates(const huidu_t *h)
{
	return h->fetch.length == h->state.candidate.length &&
		memcmp(h->fetch.sha256, h->state.candidate.sha256, SHA256_LEN) == 0;
}

bool fetch_is_done(const huidu_t *h)
{
	return h->fetch.verified && is_candidates(h);
}

uint64_t fetch_have(const huidu_t *h)
{
	return is_candidates(h) ? h->fetch.have : 0;
}

int fetch_step(huidu_t *h)
{
	int err = 0;

	if (!h->fetch.hashing || !is_candidates(h))
		err = begin(h);
	if (err == 0 && h->fetch.rehash)
		return rehash(h);
	if (err == 0 && h->fetch.have == h->state.candidate.length)
		return finish(h);
	if (err == 0)
		exchange_start(h, EXCHANGE_FETCH);
	return err;
}

void fetch_request(huidu_t *h)
{
	const struct candidate *c = &h->state.candidate;
	char hex[2 * SHA256_LEN + 1];

	(void)snprintf(h->path, sizeof(h->path), "/v1/artifact/%s",
		hex_encode(hex, c->sha256, SHA256_LEN));
	h->request = (struct huidu_request){ .method = "GET",
		.path = h->path,
		.range_from = h->fetch.have,
		.max_response = c->length < SIZE_MAX ? (size_t)c->length : SIZE_MAX,
		.stream = 1 };
	h->fetch.from = h->fetch.have;
	h->fetch.moved = false;
	h->fetch.error = 0;
}

/* From the first byte on, the file is of this build and no other. */
static int mark_started(huidu_t *h)
{
	struct state *next = state_begin(h);

	next->candidate.started = 1;
	return state_commit(h);
}

static int add(huidu_t *h, const void *data, size_t len)
{
	struct fetch *f = &h->fetch;
	int err;

	if (len > h->state.candidate.length - f->have)
		return ERR_TOO_BIG;
	err = h->platform.file_write(h->platform.ctx, f->have, data, len);
	if (err == 0 && !h->state.candidate.started)
		err = mark_started(h);
	if (err != 0)
		return err;
	err = h->hooks.hash_add(h->hooks.ctx, data, len);
	f->hashing = err == 0;
	if (err != 0)
		return err;
	f->have += len;
	f->moved = true;
	/* Long downloads make room for the polls that may halt them. */
	return h->poll.at_ms <= sdk_clock_ms(h) && f->have < h->state.candidate.length ? -EINTR : 0;
}

int huidu_data(huidu_t *h, int status, const void *data, size_t len)
{
	struct fetch *f = &h->fetch;

	if (h->in_flight != EXCHANGE_FETCH)
		return -EINVAL;
	if ((status != HTTP_OK && status != HTTP_PARTIAL) || len == 0)
		return 0;
	if (f->error == 0 && status == HTTP_OK && f->from > 0 && !f->moved)
		f->error = restart(h);
	if (f->error == 0)
		f->error = add(h, data, len);
	return f->error;
}

int fetch_done(huidu_t *h, int status, struct bytes body)
{
	struct fetch *f = &h->fetch;

	(void)body; /* it came through huidu_data() */
	if (f->error == ERR_TOO_BIG || status == ERR_TOO_BIG)
		return spoilt(h, ERR_TOO_BIG);
	if (f->moved)
		h->work.failures = 0;
	if (f->error == -EINTR)
		return 0;
	if (f->error != 0)
		return f->error;
	if (f->have == h->state.candidate.length)
		return finish(h);
	if (status == HTTP_BEYOND) {
		int err = restart(h);
		return err != 0 ? err : ERR_UNREACHABLE;
	}
	return status < 0 ? status : ERR_UNREACHABLE;
}
