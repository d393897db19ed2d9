/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/fleet/phone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define RESTART_MS 200
#define PROVE_MS   100

uint64_t phone_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- hooks ---- */

/* For load generators, which cannot sign a poll of their own. */
static void save_poll(struct fleet *f, const struct huidu_request *request)
{
	FILE *file = fopen(f->save_poll, "w");

	if (file == NULL || fwrite(request->body, request->body_len, 1, file) != 1 ||
		fclose(file) != 0) {
		perror(f->save_poll);
		exit(2);
	}
}

static void keep_poll(struct phone *p, const struct huidu_request *request)
{
	if (request->body_len > PHONE_POLL_MAX)
		return; /* there are reports in it: it cannot be sent again and again */
	memcpy(p->newest.bytes, request->body, request->body_len);
	p->newest.n = request->body_len;
	if (p->first.n == 0)
		p->first = p->newest;
}

static int on_http(void *ctx, const struct huidu_request *request)
{
	struct phone *p = ctx;

	if (p->fleet->save_poll != NULL && strcmp(request->path, "/v1/poll") == 0)
		save_poll(p->fleet, request);
	if (p->fleet->keep_polls && strcmp(request->path, "/v1/poll") == 0)
		keep_poll(p, request);
	net_send(p->fleet->net, p->device, &p->due_ms, request);
	return 0;
}

static int on_state_read(void *ctx, unsigned slot, void *out, size_t *len)
{
	const struct phone *p = ctx;
	const struct phone_state *s = &p->state[slot];

	if (s->n == 0)
		return -ENOENT;
	if (*len < s->n)
		return -ENOSPC;
	memcpy(out, s->bytes, s->n);
	*len = s->n;
	return 0;
}

static int on_state_write(void *ctx, unsigned slot, const void *data, size_t len)
{
	struct phone *p = ctx;

	if (len > sizeof(p->state[slot].bytes))
		return -ENOSPC;
	memcpy(p->state[slot].bytes, data, len);
	p->state[slot].n = len;
	return 0;
}

/* The bytes were received and hashed; a thousand copies of them are of no use. */
static int on_file_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct phone *p = ctx;

	(void)offset;
	(void)data;
	p->fetched += len;
	return 0;
}

static int on_file_read(void *ctx, uint64_t offset, void *data, size_t *len)
{
	(void)ctx;
	(void)offset;
	(void)data;
	*len = 0; /* after a restart the file is fetched again */
	return 0;
}

static int on_apply(void *ctx, const struct huidu_offer *offer)
{
	struct phone *p = ctx;

	(void)offer;
	huidu_applied(p->device, 0);
	return 0;
}

static int on_activate(void *ctx, const struct huidu_offer *offer)
{
	struct phone *p = ctx;
	const struct model_build *b = model_build(&p->fleet->model, offer->build_id);
	double draw = model_random(&p->fleet->model);

	(void)snprintf(p->next, sizeof(p->next), "%s", offer->build_id);
	p->next_counter = offer->release_counter;
	p->boot_failed = draw >= b->brick && draw < b->brick + b->boot_failure;
	p->life = draw < b->brick ? PHONE_BRICKED : PHONE_RESTARTING;
	p->restart_ms = phone_now_ms() + RESTART_MS +
		(uint64_t)(model_random(&p->fleet->model) * RESTART_MS);
	return 0;
}

static uint64_t on_now_ms(void *ctx)
{
	(void)ctx;
	return phone_now_ms();
}

static int on_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : -EIO;
}

static void on_log(void *ctx, int err, const char *what)
{
	struct phone *p = ctx;

	if (err == 0 || err > -1000)
		return; /* the network's, and counted there */
	p->fleet->refused++;
	if (p->fleet->verbose)
		(void)fprintf(stderr, "phone on %s: %s: %s\n", p->build, what, huidu_strerror(err));
}

/* ---- life ---- */

static struct phone_past *past_of(struct phone *p)
{
	for (unsigned i = 0; i < p->fleet->model.n_builds; i++)
		if (strcmp(p->fleet->model.builds[i].id, p->build) == 0)
			return &p->past[i];
	return NULL;
}

static void draw_crash(struct phone *p, uint64_t now_ms)
{
	double in_ms = model_next_crash_ms(&p->fleet->model, p->frailty, p->build);

	p->crash_ms = in_ms < 1e12 ? now_ms + 1 + (uint64_t)in_ms : 0;
}

static void switch_on(struct phone *p)
{
	struct fleet *f = p->fleet;
	struct huidu_platform platform = {
		.size = sizeof(platform),
		.ctx = p,
		.http = on_http,
		.state_read = on_state_read,
		.state_write = on_state_write,
		.file_write = on_file_write,
		.file_read = on_file_read,
		.apply = on_apply,
		.activate = on_activate,
		.now_ms = on_now_ms,
		.random = on_random,
		.log = on_log,
	};
	struct huidu_config config = {
		.size = sizeof(config),
		.repository = f->repository,
		.product = f->product,
		.build_id = p->build,
		.release_counter = p->counter,
		.root = f->root,
		.root_len = f->root_len,
		.wish = p->wish,
		.reports = 1,
		.poll_min_s = f->poll_min_s,
		.poll_max_s = 86400,
	};
	struct huidu_crypto crypto = phone_crypto_hooks(p->crypto);
	struct phone_past *past = past_of(p);
	int err;

	p->device = huidu_init(p->memory, f->scratch, &platform, &crypto, &config, &err);
	if (p->device == NULL) {
		(void)fprintf(stderr, "fleet: huidu_init: %s\n", huidu_strerror(err));
		exit(1);
	}
	p->life = PHONE_ON;
	p->due_ms = 0;
	if (past != NULL)
		past->ran = true;
	draw_crash(p, phone_now_ms());
}

void phone_init(struct phone *p, struct fleet *f, enum huidu_ring wish)
{
	*p = (struct phone){ .fleet = f, .wish = wish };
	p->memory = malloc(HUIDU_MEMORY);
	if (p->memory == NULL) {
		(void)fprintf(stderr, "fleet: out of memory\n");
		exit(1);
	}
	p->crypto = phone_crypto_new(f->crypto);
	(void)snprintf(p->build, sizeof(p->build), "factory");
	p->frailty = model_frailty(&f->model);
	switch_on(p);
}

static void switch_off(struct phone *p)
{
	net_forget(p->fleet->net, p->device);
	huidu_fini(p->device);
	p->device = NULL;
}

static void restart(struct phone *p, uint64_t now_ms)
{
	switch_off(p);
	if (!p->boot_failed) {
		(void)snprintf(p->build, sizeof(p->build), "%s", p->next);
		p->counter = p->next_counter;
		p->boot_ok_ms = now_ms + PROVE_MS;
	}
	p->restart_ms = 0;
	switch_on(p);
}

static void crash(struct phone *p, uint64_t now_ms)
{
	uint8_t signature[MODEL_SIGNATURE];
	struct phone_past *past = past_of(p);

	model_signature(&p->fleet->model, p->build, signature);
	if (past != NULL)
		past->crashed = true;
	(void)huidu_report(p->device, HUIDU_EVENT_CRASH, signature, 0); /* kept, or full */
	p->due_ms = 0;
	draw_crash(p, now_ms);
}

void phone_step(struct phone *p, uint64_t now_ms)
{
	struct huidu_status status;

	if (p->life == PHONE_RESTARTING && now_ms >= p->restart_ms)
		restart(p, now_ms);
	if (p->life != PHONE_ON)
		return;
	if (p->boot_ok_ms != 0 && now_ms >= p->boot_ok_ms) {
		p->boot_ok_ms = 0;
		(void)huidu_boot_ok(p->device); /* it tries again at its next start */
		p->due_ms = 0;
	}
	if (p->crash_ms != 0 && now_ms >= p->crash_ms)
		crash(p, now_ms);
	if (now_ms < p->due_ms)
		return;
	(void)huidu_step(p->device, &p->due_ms); /* counted by on_log */
	huidu_status(p->device, &status);
	p->offered |= status.answer == HUIDU_OFFERED;
}

void phone_release(struct phone *p)
{
	if (p->device != NULL)
		switch_off(p);
	phone_crypto_free(p->crypto);
	free(p->memory);
}
