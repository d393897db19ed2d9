/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/phone.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS_MAX 20000

static int on_state_read(void *ctx, unsigned slot, void *out, size_t *len)
{
	struct phone *p = ctx;
	const struct phone_flash *f = &p->flash[slot];

	if (p->load_error != 0)
		return p->load_error;
	if (f->len == 0)
		return -ENOENT;
	assert(*len >= f->len);
	memcpy(out, f->bytes, f->len);
	*len = f->len;
	return 0;
}

static void overwrite(struct phone_flash *f, const void *data, size_t len)
{
	memcpy(f->bytes, data, len);
	if (f->len < len)
		f->len = len;
}

static int on_state_write(void *ctx, unsigned slot, const void *data, size_t len)
{
	struct phone *p = ctx;

	assert(slot < 2 && len <= HUIDU_SLOT);
	p->saves++;
	if (p->dead)
		return -EIO;
	if (p->save_error != 0)
		return p->save_error;
	if (p->saves == p->die_at)
		p->dead = true;
	if (p->dead && !p->die_after)
		len = p->die_bytes < len ? p->die_bytes : len;
	overwrite(&p->flash[slot], data, len);
	return p->dead ? -EIO : 0;
}

static int on_file_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct phone *p = ctx;

	if (p->dead)
		return -EIO;
	if (p->file_error != 0)
		return p->file_error;
	if (offset == 0)
		p->file_len = 0;
	assert(offset <= p->file_len && offset + len <= PHONE_FILE);
	memcpy(p->file + offset, data, len);
	p->file_len = offset + len;
	return 0;
}

static int on_file_read(void *ctx, uint64_t offset, void *data, size_t *len)
{
	struct phone *p = ctx;
	size_t left = offset < p->file_len ? (size_t)(p->file_len - offset) : 0;

	if (p->read_error != 0)
		return p->read_error;
	if (*len > left)
		*len = left;
	memcpy(data, p->file + (left > 0 ? offset : 0), *len);
	return 0;
}

static int on_apply(void *ctx, const struct huidu_offer *offer)
{
	struct phone *p = ctx;

	if (p->dead)
		return 0;
	p->applies++;
	assert(p->file_len >= offer->length);
	assert(offer->payload_offset == 7 && offer->payload_size == offer->length - 7 &&
		offer->metadata_size == 99);
	if (p->apply_error != 0)
		return p->apply_error;
	(void)snprintf(p->other.build_id, sizeof(p->other.build_id), "%s", offer->build_id);
	p->other.release_counter = offer->release_counter;
	p->other.rollback_index = offer->rollback_index;
	if (!p->apply_later)
		huidu_applied(p->h, 0);
	return 0;
}

void phone_apply_ends(struct phone *p, int err)
{
	huidu_applied(p->h, err);
}

static int on_activate(void *ctx, const struct huidu_offer *offer)
{
	struct phone *p = ctx;

	if (p->dead)
		return 0;
	p->activations++;
	assert(strcmp(p->other.build_id, offer->build_id) == 0);
	if (p->activate_error != 0)
		return p->activate_error;
	p->restarting = true;
	return 0;
}

static uint64_t on_now(void *ctx)
{
	const struct phone *p = ctx;

	return p->clock_ms + (uint64_t)p->skew_ms;
}

static uint64_t on_boot(void *ctx)
{
	const struct phone *p = ctx;

	return p->clock_ms - p->booted_ms;
}

static int on_random(void *ctx, void *out, size_t len)
{
	struct phone *p = ctx;

	for (size_t i = 0; i < len; i++) {
		if (!p->fixed_random)
			p->random = p->random * 1664525u + 1013904223u;
		((uint8_t *)out)[i] = (uint8_t)(p->random >> 24);
	}
	return 0;
}

static void on_log(void *ctx, int err, const char *what)
{
	struct phone *p = ctx;

	p->last_logged = err;
	(void)snprintf(p->log, sizeof(p->log), "%s: %s", what, huidu_strerror(err));
}

/* A file in pieces, until the connection breaks. */
static void answer_file(struct phone *p, const struct huidu_request *r)
{
	struct bytes body;
	uint64_t from = p->ignores_range ? 0 : r->range_from;
	int status = honest_file(p->server, r->path, from, &body), err = 0;
	uint8_t piece[4096];
	size_t sent = 0, limit = p->cut_after > 0 ? p->cut_after : SIZE_MAX;

	while (err == 0 && sent < body.n + p->extra && sent < limit) {
		size_t n = p->piece < sizeof(piece) ? p->piece : sizeof(piece);
		if (n > body.n + p->extra - sent)
			n = body.n + p->extra - sent;
		if (n > limit - sent)
			n = limit - sent;
		for (size_t i = 0; i < n; i++)
			piece[i] = sent + i < body.n ? body.p[sent + i] ^ p->server->flip_file : 0;
		err = huidu_data(p->h, status, piece, n);
		sent += n;
	}
	if (err != 0)
		huidu_response(p->h, err, 0, NULL, 0);
	else if (sent < body.n)
		huidu_response(p->h, -ECONNRESET, 0, NULL, 0);
	else
		huidu_response(p->h, status, 0, NULL, 0);
}

void phone_answer(struct phone *p)
{
	const struct huidu_request r = p->pending;
	struct bytes body;
	int status;
	bool hit = p->only == NULL || strncmp(p->only, r.path, strlen(p->only)) == 0;

	assert(p->is_pending);
	p->is_pending = false;
	if (hit && p->status != 0) {
		huidu_response(p->h, p->status, p->retry_after_s, NULL, 0);
	} else if (r.stream) {
		answer_file(p, &r);
	} else {
		status = honest_post(p->server, r.path, bytes_of(r.body, r.body_len), &body);
		if (hit && p->body.n > 0)
			body = p->body;
		huidu_response(p->h, status, 0, body.p, body.n);
	}
}

static int on_http(void *ctx, const struct huidu_request *request)
{
	struct phone *p = ctx;

	if (p->dead)
		return -EIO;
	p->requests++;
	p->pending = *request;
	p->is_pending = true;
	(void)snprintf(p->last_path, sizeof(p->last_path), "%s", request->path);
	p->server->now_s = p->clock_ms / 1000;
	if (!p->hold)
		phone_answer(p);
	return 0;
}

struct phone *phone_new(struct honest *server)
{
	struct phone *p = calloc(1, sizeof(*p));

	assert(p != NULL);
	p->server = server;
	p->clock_ms = PHONE_T0;
	p->piece = 1000;
	p->slot = (struct phone_slot){ "b1", 1, 0 };
	p->platform = (struct huidu_platform){ .size = sizeof(p->platform),
		.ctx = p,
		.http = on_http,
		.state_read = on_state_read,
		.state_write = on_state_write,
		.file_write = on_file_write,
		.file_read = on_file_read,
		.apply = on_apply,
		.activate = on_activate,
		.now_ms = on_now,
		.random = on_random,
		.log = on_log,
		.boot_ms = on_boot };
	p->config = (struct huidu_config){ .size = sizeof(p->config),
		.repository = HONEST_REPOSITORY,
		.product = HONEST_PRODUCT,
		.root = server->root.p,
		.root_len = server->root.n,
		.wish = HUIDU_DEV,
		.reports = 1 };
	return p;
}

bool phone_start(struct phone *p)
{
	p->config.build_id = p->slot.build_id;
	p->config.release_counter = p->slot.release_counter;
	p->config.rollback_index = p->slot.rollback_index;
	p->dead = p->restarting = p->is_pending = false;
	p->booted_ms = p->clock_ms;
	memset(p->memory, 0xa5, sizeof(p->memory));
	memset(p->scratch, 0xa5, sizeof(p->scratch));
	p->h = huidu_init(
		p->memory, p->scratch, &p->platform, p->crypto, &p->config, &p->init_error);
	return p->h != NULL;
}

void phone_stop(struct phone *p)
{
	huidu_fini(p->h);
	p->h = NULL;
}

void phone_restart(struct phone *p)
{
	if (p->restarting && !p->never_comes_up) {
		struct phone_slot old = p->slot;
		p->slot = p->other;
		p->other = old;
	}
	phone_stop(p);
	if (!phone_start(p))
		abort();
}

void phone_free(struct phone *p)
{
	phone_stop(p);
	free(p);
}

int phone_step(struct phone *p)
{
	/* Nothing in it may outlive a call. */
	memset(p->scratch, 0x5a, sizeof(p->scratch));
	p->step_error = huidu_step(p->h, &p->next_ms);
	p->next_ms -= (uint64_t)p->skew_ms;
	return p->step_error;
}

/* What the phone does by itself after a step; true when there is more to do now. */
static bool live(struct phone *p)
{
	bool restarts = p->dead || p->restarting;

	if (restarts)
		phone_restart(p);
	if (phone_status(p).phase != HUIDU_PROVING || p->sick)
		return restarts;
	(void)huidu_boot_ok(p->h); /* asked again at the next step */
	return true;
}

void phone_settle(struct phone *p)
{
	for (unsigned i = 0; i < STEPS_MAX; i++) {
		(void)phone_step(p); /* kept in step_error */
		if (p->dead || p->restarting || p->is_pending || p->next_ms > p->clock_ms)
			return;
	}
	(void)fputs("the device is busy for ever\n", stderr);
	abort();
}

void phone_run(struct phone *p, uint64_t ms)
{
	uint64_t end = p->clock_ms + ms, tick = p->clock_ms;

	for (unsigned i = 0; i < STEPS_MAX; i++) {
		phone_settle(p);
		if (live(p))
			continue;
		if (p->next_ms > end)
			break;
		if (p->next_ms > p->clock_ms)
			p->clock_ms = p->next_ms;
		if (p->clock_ms - tick >= 3600000) {
			tick = p->clock_ms;
			p->server->now_s = p->clock_ms / 1000;
			honest_tick(p->server);
		}
	}
	assert(p->next_ms > end);
	p->clock_ms = end;
}

void phone_poll(struct phone *p)
{
	huidu_poll_now(p->h);
	phone_settle(p);
}

struct huidu_status phone_status(const struct phone *p)
{
	struct huidu_status s;

	huidu_status(p->h, &s);
	return s;
}

static uint64_t generation(const struct phone_flash *f)
{
	return f->len == 0 ? 0 : get_be64(f->bytes + 16);
}

struct phone_flash *phone_saved(struct phone *p)
{
	return &p->flash[generation(&p->flash[1]) > generation(&p->flash[0])];
}

void phone_sleep(struct phone *p, uint64_t ms)
{
	p->clock_ms += ms;
	p->server->now_s = p->clock_ms / 1000;
}

int phone_set_up(void **state)
{
	struct phone *p = phone_new(honest_new(PHONE_T0 / 1000));

	*state = p;
	return phone_start(p) ? 0 : -1;
}

int phone_tear_down(void **state)
{
	struct phone *p = *state;
	struct honest *s = p->server;

	phone_free(p);
	honest_free(s);
	return 0;
}
