/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "client-sdk/agent/run.h"

#define CURRENT  "current"
#define PREVIOUS "previous"

void agent_say(const char *what, int err)
{
	if (err == 0)
		(void)fprintf(stderr, "huidu-agent: %s\n", what);
	else
		(void)fprintf(stderr, "huidu-agent: %s: %s\n", what, huidu_strerror(err));
}

static int on_http(void *ctx, const struct huidu_request *request)
{
	struct agent *a = ctx;

	a->polled |= strcmp(request->path, "/v1/poll") == 0;
	return huidu_curl_http(a->curl, a->h, request);
}

static int on_state_read(void *ctx, unsigned slot, void *out, size_t *len)
{
	return files_read_slot(&((struct agent *)ctx)->files, slot, out, len);
}

static int on_state_write(void *ctx, unsigned slot, const void *data, size_t len)
{
	return files_write_slot(&((struct agent *)ctx)->files, slot, data, len);
}

static int on_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	return files_write(&((struct agent *)ctx)->files, offset, data, len);
}

static int on_read(void *ctx, uint64_t offset, void *data, size_t *len)
{
	return files_read(&((struct agent *)ctx)->files, offset, data, len);
}

static int on_apply(void *ctx, const struct huidu_offer *offer)
{
	struct agent *a = ctx;
	const char *const argv[] = { a->settings->install, a->download, offer->build_id, NULL };

	huidu_applied(a->h, run(argv));
	return 0;
}

static int save_build(struct agent *a, const char *name, const struct agent_build *b)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%" PRIu64 " %" PRIu64 " %s\n", b->counter,
		b->rollback_index, b->id);

	return files_save(&a->files, name, line, (size_t)n);
}

/* The slot switch: the next start is on the new build. */
static int on_activate(void *ctx, const struct huidu_offer *offer)
{
	struct agent *a = ctx;
	struct agent_build b = { .counter = offer->release_counter,
		.rollback_index = offer->rollback_index };
	int err = save_build(a, PREVIOUS, &a->build);

	(void)snprintf(b.id, sizeof(b.id), "%s", offer->build_id);
	if (err == 0)
		err = save_build(a, CURRENT, &b);
	a->restart = err == 0;
	return err;
}

int agent_fall_back(struct agent *a)
{
	return files_rename(&a->files, PREVIOUS, CURRENT);
}

int agent_load_build(struct agent *a)
{
	struct agent_build *b = &a->build;
	const struct settings *s = a->settings;
	char line[128] = "";
	size_t n = sizeof(line) - 1;
	int err = files_load(&a->files, CURRENT, line, &n);

	*b = (struct agent_build){ .counter = s->counter, .rollback_index = s->rollback_index };
	if (err == -ENOENT)
		return (size_t)snprintf(b->id, sizeof(b->id), "%s", s->build) < sizeof(b->id)
			? 0
			: -ENAMETOOLONG;
	if (err != 0)
		return err;
	return sscanf(line, "%" SCNu64 " %" SCNu64 " %63[^\n]", &b->counter, &b->rollback_index,
		       b->id) == 3
		? 0
		: HUIDU_ECORRUPT;
}

static uint64_t on_now(void *ctx)
{
	struct timespec t;

	(void)ctx;
	(void)clock_gettime(CLOCK_REALTIME, &t); /* it has that clock */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t on_boot(void *ctx)
{
	struct timespec t;

	(void)ctx;
	(void)clock_gettime(CLOCK_BOOTTIME, &t); /* Linux has that clock */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int on_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : -EIO;
}

static void on_log(void *ctx, int err, const char *what)
{
	(void)ctx;
	agent_say(what, err);
}

struct huidu_platform agent_platform(struct agent *a)
{
	return (struct huidu_platform){ .size = sizeof(struct huidu_platform),
		.ctx = a,
		.http = on_http,
		.state_read = on_state_read,
		.state_write = on_state_write,
		.file_write = on_write,
		.file_read = on_read,
		.apply = on_apply,
		.activate = on_activate,
		.now_ms = on_now,
		.random = on_random,
		.log = on_log,
		.boot_ms = on_boot };
}
