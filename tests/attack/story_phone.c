/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/attack/story_phone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what it asks the server ---- */

static const struct {
	const char *path, *word;
} doors[] = {
	{ "/v1/enroll", "enrol" },
	{ "/v1/poll", "poll" },
	{ "/v1/report", "report" },
};

static void remember(struct phone *p, const char *word)
{
	size_t n = strlen(p->log);

	(void)snprintf(p->log + n, sizeof(p->log) - n, "%s%s", n > 0 ? " " : "", word);
}

static void fetch(struct phone *p, const struct huidu_request *q)
{
	uint8_t sha256[SHA256_LEN], bytes[256];
	uint64_t length = 0;
	ssize_t n = 0;
	int fd = -1, err = ERR_NOT_FOUND;

	if (hex_decode(sha256, SHA256_LEN, q->path + strlen("/v1/artifact/")))
		err = artifact_open(p->story->d.server.artifacts, sha256, &fd, &length);
	CHECK_ERR(err, 0);
	n = read(fd, bytes, sizeof(bytes));
	CHECK(n >= 0 && (uint64_t)n == length && close(fd) == 0);
	remember(p, "fetch");
	CHECK_ERR(huidu_data(p->h, 200, bytes, (size_t)n), 0);
	huidu_response(p->h, 200, 0, NULL, 0);
}

static int on_http(void *ctx, const struct huidu_request *q)
{
	struct phone *p = ctx;
	struct deployment *d = &p->story->d;
	struct buf out = { 0 };
	int err;

	if (q->stream) {
		fetch(p, q);
		return 0;
	}
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (strcmp(q->path, doors[i].path) == 0)
			remember(p, doors[i].word);
	err = deployment_answer(d, q->path, bytes_of(q->body, q->body_len), &out);
	huidu_response(p->h, err == 0 ? 200 : 400, 0, buf_bytes(&out).p, buf_bytes(&out).n);
	buf_release(&out);
	return 0;
}

/* ---- the phone ---- */

static int on_state_read(void *ctx, unsigned slot, void *out, size_t *len)
{
	const struct phone *p = ctx;

	if (p->slot_len[slot] == 0)
		return -ENOENT;
	memcpy(out, p->slot[slot], p->slot_len[slot]);
	*len = p->slot_len[slot];
	return 0;
}

static int on_state_write(void *ctx, unsigned slot, const void *data, size_t len)
{
	struct phone *p = ctx;

	memcpy(p->slot[slot], data, len);
	p->slot_len[slot] = len;
	return 0;
}

static int on_file_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct phone *p = ctx;

	CHECK(offset + len <= sizeof(p->file));
	memcpy(p->file + offset, data, len);
	return 0;
}

static int on_file_read(void *ctx, uint64_t offset, void *data, size_t *len)
{
	const struct phone *p = ctx;

	memcpy(data, p->file + offset, *len);
	return 0;
}

static int on_apply(void *ctx, const struct huidu_offer *offer)
{
	struct phone *p = ctx;

	remember(p, "apply");
	(void)snprintf(p->other, sizeof(p->other), "%s", offer->build_id);
	p->other_counter = offer->release_counter;
	if (!p->slow)
		huidu_applied(p->h, 0);
	return 0;
}

static int on_activate(void *ctx, const struct huidu_offer *offer)
{
	struct phone *p = ctx;

	(void)offer;
	remember(p, "switch");
	p->restarting = true;
	return 0;
}

static uint64_t on_now(void *ctx)
{
	return ((struct phone *)ctx)->story->d.now_ms;
}

static int on_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	return crypto_random(out, len);
}

static void on_log(void *ctx, int err, const char *what)
{
	if (getenv("ATTACK_VERBOSE") != NULL)
		(void)fprintf(stderr, "# phone: %s: %s\n", what, huidu_strerror(err));
	((struct phone *)ctx)->error = err;
}

void phone_start(struct phone *p)
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
	struct bytes root = p->story->d.root->envelope;
	int err;

	p->config = (struct huidu_config){ .size = sizeof(p->config),
		.repository = "test",
		.product = STORY_PRODUCT,
		.build_id = p->build_id,
		.release_counter = p->release_counter,
		.root = root.p,
		.root_len = root.n,
		.wish = HUIDU_STABLE,
		.reports = 1 };
	p->restarting = false;
	p->h = huidu_init(p->memory, p->story->scratch, &platform, NULL, &p->config, &err);
	if (p->h == NULL)
		suite_fail(__FILE__, __LINE__, "the SDK does not start: %s", err_name(err));
}

struct huidu_status phone_status(const struct phone *p)
{
	struct huidu_status s;

	huidu_status(p->h, &s);
	return s;
}

static void phone_restart(struct phone *p)
{
	remember(p, "restart");
	huidu_fini(p->h);
	(void)snprintf(p->build_id, sizeof(p->build_id), "%s", p->other);
	p->release_counter = p->other_counter;
	phone_start(p);
}

void phone_settle(struct phone *p)
{
	uint64_t next_ms = 0;

	for (unsigned i = 0; i < 100 && next_ms <= p->story->d.now_ms; i++) {
		(void)huidu_step(p->h, &next_ms); /* on_log has it */
		if (p->restarting)
			phone_restart(p);
		if (phone_status(p).phase == HUIDU_PROVING)
			CHECK_ERR(huidu_boot_ok(p->h), 0);
	}
}

const char *phone_asks(struct phone *p)
{
	p->log[0] = '\0';
	p->error = 0;
	huidu_poll_now(p->h);
	phone_settle(p);
	return p->log;
}

bool phone_runs(const struct phone *p, const char *build_id)
{
	return strcmp(p->build_id, build_id) == 0;
}
