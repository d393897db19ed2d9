/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client-sdk/agent/run.h"

#define ROOT_MAX 16384u

static int load_root(struct agent *a)
{
	FILE *f = fopen(a->settings->root, "re");
	int err = 0;

	if (f == NULL)
		return -errno;
	a->root = malloc(ROOT_MAX);
	if (a->root == NULL)
		err = -ENOMEM;
	else
		a->root_len = fread(a->root, 1, ROOT_MAX, f);
	if (err == 0 && ferror(f))
		err = -EIO;
	(void)fclose(f); /* only read */
	return err;
}

static int load_voucher(struct agent *a)
{
	FILE *f = fopen(a->settings->voucher, "re");
	uint8_t more;
	int err = 0;

	if (f == NULL)
		return -errno;
	if (fread(a->voucher, sizeof(a->voucher), 1, f) != 1 || fread(&more, 1, 1, f) != 0)
		err = HUIDU_EBAD_RANGE;
	(void)fclose(f); /* only read */
	return err;
}

static int open_library(struct agent *a)
{
	const struct settings *s = a->settings;
	const struct huidu_platform platform = agent_platform(a);
	const struct huidu_config config = { .size = sizeof(config),
		.repository = s->repository,
		.product = s->product,
		.build_id = a->build.id,
		.release_counter = a->build.counter,
		.rollback_index = a->build.rollback_index,
		.root = a->root,
		.root_len = a->root_len,
		.wish = (enum huidu_ring)s->wish,
		.reports = !s->anonymous,
		.poll_min_s = (uint32_t)s->poll_min_s,
		.poll_max_s = (uint32_t)s->poll_max_s,
		.hold_notice_s = (uint32_t)s->hold_notice_s,
		.build_time_s = s->build_time_s,
		.token = s->token,
		.voucher = s->voucher != NULL ? a->voucher : NULL };
	int err;

	a->h = huidu_init(a->memory, a->scratch, &platform, NULL, &config, &err);
	return err;
}

static int say_if(const char *what, int err)
{
	if (err != 0)
		agent_say(what, err);
	return err;
}

int agent_open(struct agent *a, const struct settings *settings)
{
	int n, err;

	memset(a, 0, sizeof(*a));
	a->settings = settings;
	err = say_if(settings->state, files_open(&a->files, settings->state));
	n = snprintf(a->download, sizeof(a->download), "%s/" FILES_DOWNLOAD, settings->state);
	if (err == 0 && (size_t)n >= sizeof(a->download))
		err = say_if(settings->state, -ENAMETOOLONG);
	if (err == 0)
		err = say_if("current build", agent_load_build(a));
	if (err == 0)
		err = say_if(settings->root, load_root(a));
	if (err == 0 && settings->voucher != NULL)
		err = say_if(settings->voucher, load_voucher(a));
	if (err != 0)
		return err;
	a->curl = huidu_curl_new(settings->server, settings->ca);
	if (a->curl == NULL)
		return say_if(settings->server, -EINVAL);
	return say_if("start", open_library(a));
}

void agent_close(struct agent *a)
{
	huidu_fini(a->h);
	if (a->curl != NULL)
		huidu_curl_free(a->curl);
	free(a->root);
	files_close(&a->files);
}

/* What `huiductl device why` asks for. */
static void show_id(const uint8_t id[16])
{
	char hex[33];

	for (size_t i = 0; i < 16; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", id[i]);
	(void)fprintf(stderr, "huidu-agent: device %s\n", hex);
}

/* Tells of every change once. */
static void show(struct agent *a)
{
	static const char *const phases[] = { "enrolling", "idle", "fetching", "applying",
		"confirming", "activating", "proving" };
	static const char *const answers[] = { "not polled yet", "up to date", "offered",
		"staged out", "wait: admission", "wait: paused", "failed here before",
		"wait: the id is young", "halted" };
	static const char *const rings[] = { "core", "honour", "dev", "stable" };
	struct huidu_status s;

	huidu_status(a->h, &s);
	if (s.enrolled && !a->shown.enrolled)
		show_id(s.device_id);
	if (s.phase != a->shown.phase || s.answer != a->shown.answer || s.ring != a->shown.ring ||
		strcmp(s.build_id, a->shown.build_id) != 0)
		(void)fprintf(stderr, "huidu-agent: build %s, ring %s, %s%s%s: %s\n", a->build.id,
			rings[s.ring], answers[s.answer], s.build_id[0] != '\0' ? " " : "",
			s.build_id, phases[s.phase]);
	if (s.unsync && !a->shown.unsync)
		agent_say("the clock is not to be believed", HUIDU_ENO_TIME);
	a->shown = s;
}

/* A new build is asked whether it works; if not, the old one is put back. */
static int prove(struct agent *a)
{
	const char *const argv[] = { a->settings->health, a->build.id, NULL };
	struct huidu_status s;
	int err = 0;

	huidu_status(a->h, &s);
	if (s.phase != HUIDU_PROVING)
		return 0;
	if (a->settings->health != NULL)
		err = run(argv);
	if (err == 0)
		return say_if("boot ok", huidu_boot_ok(a->h));
	agent_say("the new build is not healthy: going back", 0);
	err = say_if("fall back", agent_fall_back(a));
	a->restart = err == 0;
	return err;
}

/* Until `at_ms`, or SIGUSR1: poll now. */
static void sleep_until(struct agent *a, uint64_t at_ms)
{
	struct timespec t;
	uint64_t now;
	sigset_t poll_now;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* it has that clock */
	now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	if (at_ms <= now)
		return;
	t = (struct timespec){ (time_t)((at_ms - now) / 1000),
		(long)((at_ms - now) % 1000) * 1000000 };
	(void)sigemptyset(&poll_now);
	(void)sigaddset(&poll_now, SIGUSR1);
	if (sigtimedwait(&poll_now, NULL, &t) == SIGUSR1)
		huidu_poll_now(a->h);
}

/* Steps while something is due; then the time of the next. */
static uint64_t work(struct agent *a)
{
	const struct huidu_platform p = agent_platform(a);
	uint64_t next_ms;

	do {
		(void)huidu_step(a->h, &next_ms); /* the log hook has told */
		show(a);
	} while (!a->restart && next_ms <= p.now_ms(p.ctx));
	return next_ms;
}

enum agent_exit agent_run(struct agent *a)
{
	sigset_t poll_now;
	uint64_t next_ms;

	/* Every other signal may end it at any moment: the state is always whole. */
	(void)sigemptyset(&poll_now);
	(void)sigaddset(&poll_now, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &poll_now, NULL); /* a valid request */
	if (prove(a) != 0)
		return AGENT_FAILED;
	if (a->settings->once)
		huidu_poll_now(a->h);
	while (!a->restart) {
		next_ms = work(a);
		if (a->restart)
			break;
		if (a->settings->once && (a->polled || a->shown.last_error != 0))
			return a->shown.last_error == 0 ? AGENT_DONE : AGENT_FAILED;
		if (a->settings->once)
			huidu_poll_now(a->h); /* it has just been enrolled */
		else
			sleep_until(a, next_ms);
	}
	return AGENT_RESTART;
}
