/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/sdk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/file.h"
#include "server/base/mem.h"

static char *slot_path(const struct sdk *p, unsigned slot)
{
	return mem_printf("%s/%u", p->dir, slot);
}

static int on_state_read(void *ctx, unsigned slot, void *out, size_t *len)
{
	char *path = slot_path(ctx, slot);
	struct buf b = { 0 };
	int err = file_read(path, *len, &b);

	free(path);
	if (err == 0 && b.len == 0)
		err = -ENOENT; /* made, and never written */
	if (err == 0) {
		memcpy(out, b.data, b.len);
		*len = b.len;
	}
	buf_release(&b);
	return err;
}

static int on_state_write(void *ctx, unsigned slot, const void *data, size_t len)
{
	char *path = slot_path(ctx, slot);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : file_write_at(fd, 0, bytes_of(data, len));

	if (err == 0 && fdatasync(fd) != 0)
		err = -errno;
	if (fd >= 0)
		(void)close(fd);
	free(path);
	return err;
}

static void fetch(struct sdk *p, const struct huidu_request *q)
{
	uint8_t sha256[SHA256_LEN], bytes[256];
	uint64_t length = 0;
	ssize_t n = 0;
	int fd = -1, err = ERR_NOT_FOUND;

	if (hex_decode(sha256, SHA256_LEN, q->path + strlen("/v1/artifact/")))
		err = artifact_open(p->d->server.artifacts, sha256, &fd, &length);
	if (err == 0)
		n = read(fd, bytes, sizeof(bytes));
	if (fd >= 0)
		(void)close(fd);
	if (err == 0)
		err = huidu_data(p->h, 200, bytes, (size_t)n);
	huidu_response(p->h, err == 0 ? 200 : 404, 0, NULL, 0);
}

static int on_http(void *ctx, const struct huidu_request *q)
{
	struct sdk *p = ctx;
	struct buf out = { 0 };
	int err;

	if (q->stream) {
		fetch(p, q);
		return 0;
	}
	err = deployment_answer(p->d, q->path, bytes_of(q->body, q->body_len), &out);
	huidu_response(p->h, err == 0 ? 200 : 400, 0, out.data, out.len);
	buf_release(&out);
	return 0;
}

/* Not synced: what a crash leaves of it is hashed before it is believed. */
static int on_file_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	char *path = mem_printf("%s/file", ((struct sdk *)ctx)->dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : file_write_at(fd, offset, bytes_of(data, len));

	if (fd >= 0)
		(void)close(fd);
	free(path);
	return err;
}

static int on_file_read(void *ctx, uint64_t offset, void *data, size_t *len)
{
	char *path = mem_printf("%s/file", ((struct sdk *)ctx)->dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : pread(fd, data, *len, (off_t)offset);

	if (fd >= 0)
		(void)close(fd);
	free(path);
	*len = n > 0 ? (size_t)n : 0;
	return n < 0 ? -EIO : 0;
}

static int on_apply(void *ctx, const struct huidu_offer *offer)
{
	(void)offer;
	huidu_applied(((struct sdk *)ctx)->h, 0);
	return 0;
}

/* What lies in the other slot may have been put there before a crash. */
static int on_activate(void *ctx, const struct huidu_offer *offer)
{
	struct sdk *p = ctx;

	(void)snprintf(p->other, sizeof(p->other), "%s", offer->build_id);
	p->other_counter = offer->release_counter;
	p->restarting = true;
	return 0;
}

static uint64_t on_now(void *ctx)
{
	return ((struct sdk *)ctx)->d->now_ms;
}

static int on_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	return crypto_random(out, len);
}

static void on_log(void *ctx, int err, const char *what)
{
	struct sdk *p = ctx;

	p->error = err;
	(void)snprintf(p->said, sizeof(p->said), "%s", what);
}

static int init(struct sdk *p)
{
	const struct huidu_platform platform = { .size = sizeof(platform),
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
		.log = on_log };
	const struct huidu_config config = { .size = sizeof(config),
		.repository = "test",
		.product = SDK_PRODUCT,
		.build_id = p->build_id,
		.release_counter = p->release_counter,
		.root = p->d->root->envelope.p,
		.root_len = p->d->root->envelope.n,
		.wish = HUIDU_STABLE,
		.reports = 1 };
	int err = 0;

	p->restarting = false;
	p->h = huidu_init(p->memory, p->scratch, &platform, NULL, &config, &err);
	return err;
}

int sdk_start(struct sdk *p, struct deployment *d, const char *build, uint64_t counter)
{
	p->d = d;
	p->release_counter = counter;
	(void)snprintf(p->build_id, sizeof(p->build_id), "%s", build);
	(void)snprintf(p->dir, sizeof(p->dir), "%s/phone", d->dir);
	return init(p);
}

void sdk_stop(struct sdk *p)
{
	if (p->h != NULL)
		huidu_fini(p->h);
	p->h = NULL;
}

static void restart(struct sdk *p)
{
	sdk_stop(p);
	(void)snprintf(p->build_id, sizeof(p->build_id), "%s", p->other);
	p->release_counter = p->other_counter;
	p->error = init(p);
}

void sdk_settle(struct sdk *p)
{
	struct huidu_status status;
	uint64_t next_ms = 0;

	p->error = 0;
	for (unsigned i = 0; i < 100 && next_ms <= p->d->now_ms && p->h != NULL; i++) {
		int err = huidu_step(p->h, &next_ms);
		if (err != 0)
			p->error = err;
		if (p->restarting)
			restart(p);
		if (p->h == NULL)
			return;
		huidu_status(p->h, &status);
		if (status.phase == HUIDU_PROVING && huidu_boot_ok(p->h) != 0)
			p->error = HUIDU_ECORRUPT;
	}
}

void sdk_poll(struct sdk *p)
{
	huidu_poll_now(p->h);
	sdk_settle(p);
}
