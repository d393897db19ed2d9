/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/attack/device.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS_MAX 5000
#define HOUR_MS   3600000u

static int on_http(void *ctx, const struct huidu_request *request)
{
	struct device *d = ctx;

	if (d->dead)
		return -EIO;
	return huidu_curl_http(d->curl, d->h, request);
}

static int on_state_read(void *ctx, unsigned slot, void *out, size_t *len)
{
	const struct device_flash *f = &((struct device *)ctx)->flash;

	if (f->len[slot] == 0)
		return -ENOENT;
	assert(*len >= f->len[slot]);
	memcpy(out, f->slot[slot], f->len[slot]);
	*len = f->len[slot];
	return 0;
}

static int on_state_write(void *ctx, unsigned slot, const void *data, size_t len)
{
	struct device *d = ctx;

	assert(slot < 2 && len <= HUIDU_SLOT);
	if (d->dead)
		return -EIO;
	d->dead = ++d->saves == d->die_at;
	memcpy(d->flash.slot[slot], data, d->dead && !d->die_after ? len / 2 : len);
	if (d->flash.len[slot] < len)
		d->flash.len[slot] = len; /* what was behind stays there */
	return d->dead ? -EIO : 0;
}

static int on_file_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct device *d = ctx;

	if (d->dead)
		return -EIO;
	assert(offset == 0 || offset == d->file_len);
	if (offset + len > sizeof(d->file))
		return -ENOSPC;
	memcpy(d->file + offset, data, len);
	d->file_len = offset + len;
	return 0;
}

static int on_file_read(void *ctx, uint64_t offset, void *data, size_t *len)
{
	struct device *d = ctx;
	size_t left = offset < d->file_len ? d->file_len - offset : 0;

	*len = *len < left ? *len : left;
	memcpy(data, d->file + (left > 0 ? offset : 0), *len);
	return 0;
}

static int on_apply(void *ctx, const struct huidu_offer *offer)
{
	struct device *d = ctx;

	if (d->dead)
		return 0;
	d->applies++;
	assert(d->file_len >= offer->length);
	(void)snprintf(d->other.build_id, sizeof(d->other.build_id), "%s", offer->build_id);
	d->other.release_counter = offer->release_counter;
	d->other.rollback_index = offer->rollback_index;
	if (!d->holds_apply)
		huidu_applied(d->h, 0);
	return 0;
}

static int on_activate(void *ctx, const struct huidu_offer *offer)
{
	struct device *d = ctx;

	if (d->dead)
		return 0;
	assert(strcmp(d->other.build_id, offer->build_id) == 0);
	d->activations++;
	d->restarting = true;
	return 0;
}

static uint64_t on_now(void *ctx)
{
	const struct device *d = ctx;

	return (uint64_t)((int64_t)d->world_ms + d->skew_ms);
}

/* Its clock may be wrong, but it counts. */
static uint64_t on_boot(void *ctx)
{
	const struct device *d = ctx;

	return d->world_ms - d->booted_ms;
}

static int on_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	return crypto_random(out, len);
}

static void on_log(void *ctx, int err, const char *what)
{
	struct device *d = ctx;

	if (getenv("ATTACK_VERBOSE") != NULL)
		(void)fprintf(stderr, "# phone: %s: %s\n", what, huidu_strerror(err));
	if (d->first_error == 0)
		d->first_error = err;
}

static bool start(struct device *d)
{
	d->config.build_id = d->slot.build_id;
	d->config.release_counter = d->slot.release_counter;
	d->config.rollback_index = d->slot.rollback_index;
	d->dead = d->restarting = false;
	d->booted_ms = d->world_ms;
	d->h = huidu_init(d->memory, d->scratch, &d->platform, NULL, &d->config, &d->init_error);
	return d->h != NULL;
}

bool device_open(struct device *d, struct repo *repo, struct wire *wire, struct bytes root)
{
	*d = (struct device){ .repo = repo, .wire = wire, .slot = { "b1", 1, 0 } };
	d->world_ms = repo->now_s * 1000;
	d->curl = huidu_curl_new(wire->url, NULL);
	assert(d->curl != NULL);
	d->platform = (struct huidu_platform){ .size = sizeof(d->platform),
		.ctx = d,
		.http = on_http,
		.state_read = on_state_read,
		.state_write = on_state_write,
		.file_write = on_file_write,
		.file_read = on_file_read,
		.apply = on_apply,
		.activate = on_activate,
		.now_ms = on_now,
		.boot_ms = on_boot,
		.random = on_random,
		.log = on_log };
	d->config = (struct huidu_config){ .size = sizeof(d->config),
		.repository = REPO_NAME,
		.product = REPO_PRODUCT,
		.root = root.p,
		.root_len = root.n,
		.wish = HUIDU_CORE,
		.reports = 1 };
	return start(d);
}

void device_close(struct device *d)
{
	huidu_fini(d->h);
	huidu_curl_free(d->curl);
	d->h = NULL;
	d->curl = NULL;
}

void device_restart(struct device *d)
{
	if (d->restarting) {
		struct device_slot old = d->slot;
		d->slot = d->other;
		d->other = old;
	}
	huidu_fini(d->h);
	if (!start(d)) {
		(void)fprintf(stderr, "the phone does not start: %s\n", err_name(d->init_error));
		abort();
	}
}

static void settle(struct device *d)
{
	for (unsigned i = 0; i < STEPS_MAX; i++) {
		d->repo->now_s = d->world_ms / 1000;
		(void)huidu_step(d->h, &d->next_ms); /* on_log has it */
		if (d->dead || d->restarting || d->next_ms > on_now(d))
			return;
	}
	(void)fputs("the phone is busy for ever\n", stderr);
	abort();
}

int device_refresh(struct device *d)
{
	d->first_error = 0;
	huidu_poll_now(d->h);
	settle(d);
	return d->first_error;
}

/* What it does by itself after a step; true when there is more to do now. */
static bool go_on(struct device *d)
{
	bool restarts = d->dead || d->restarting;

	if (restarts)
		device_restart(d);
	if (device_status(d).phase != HUIDU_PROVING)
		return restarts;
	(void)huidu_boot_ok(d->h); /* asked again at the next step */
	return true;
}

void device_live(struct device *d, uint64_t ms)
{
	uint64_t end = d->world_ms + ms, tick = d->world_ms;

	d->first_error = 0;
	for (unsigned i = 0; i < STEPS_MAX; i++) {
		uint64_t in_ms;
		settle(d);
		if (go_on(d))
			continue;
		in_ms = d->next_ms - on_now(d);
		if (in_ms > end - d->world_ms)
			break;
		d->world_ms += in_ms;
		if (d->world_ms - tick >= HOUR_MS) {
			tick = d->world_ms;
			d->repo->now_s = d->world_ms / 1000;
			repo_tick(d->repo);
		}
	}
	d->world_ms = end;
	d->repo->now_s = end / 1000;
}

void device_sleep(struct device *d, uint64_t s)
{
	d->world_ms += s * 1000;
	d->repo->now_s = d->world_ms / 1000;
}

struct state device_state(const struct device *d)
{
	struct state s = { 0 }, other;
	uint64_t newest = 0, generation;

	for (unsigned i = 0; i < 2; i++) {
		if (d->flash.len[i] == 0 ||
			state_read(&other, bytes_of(d->flash.slot[i], d->flash.len[i]),
				&generation) != 0 ||
			generation < newest)
			continue;
		s = other;
		newest = generation;
	}
	return s;
}

uint64_t device_root(struct device *d)
{
	const struct wire before = *d->wire;

	wire_be_honest(d->wire);
	d->wire->only = "/v1/poll";
	d->wire->status = 503;
	(void)device_refresh(d); /* is not answered */
	d->wire->only = before.only;
	d->wire->status = before.status;
	return d->repo->asked_root;
}

struct huidu_status device_status(const struct device *d)
{
	struct huidu_status s;

	huidu_status(d->h, &s);
	return s;
}
