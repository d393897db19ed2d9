/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/doorman.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"

#define ANSWER_MAX 16u
#define ANSWER_MS  2000u
#define RESTART_MS 5000u
#define ERROR_MAX  256

struct doorman {
	struct doorman_options options;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t news;
	struct question *first, **last;
	unsigned waiting;
	bool stopping, retired;
	/* The thread's own. */
	pid_t pid; /* 0: there is none */
	int in, out;
	uint64_t started_ms;
};

/* ---- the program ---- */

/* Descriptors beyond the three stay here: sockets, store, keys. */
static int spawn(const char *program, int in, int out, pid_t *pid)
{
	char *const argv[] = { mem_strdup(program), NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int err;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setflags(
		&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	err = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	if (err == 0)
		err = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	if (err == 0)
		err = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	if (err == 0)
		err = posix_spawn(pid, program, &files, &attr, argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attr);
	free(argv[0]);
	return -err;
}

static void close_pair(const int fd[2])
{
	(void)close(fd[0]); /* pipes */
	(void)close(fd[1]);
}

static int hire(struct doorman *d)
{
	int in[2], out[2], err;

	d->started_ms = clock_mono_ms();
	if (pipe2(in, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) != 0) {
		err = -errno;
		close_pair(in);
		return err;
	}
	err = spawn(d->options.program, in[0], out[1], &d->pid);
	if (err == 0 &&
		(fcntl(in[1], F_SETFL, O_NONBLOCK) != 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) != 0))
		err = -errno;
	if (err != 0) {
		d->pid = 0;
		close_pair(in);
		close_pair(out);
		return err;
	}
	(void)close(in[0]); /* the program's ends */
	(void)close(out[1]);
	d->in = in[1];
	d->out = out[0];
	return 0;
}

/* With all that it started. */
static void dismiss(struct doorman *d)
{
	if (d->pid == 0)
		return;
	(void)kill(-d->pid, SIGKILL); /* it may be gone */
	while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
		;
	(void)close(d->in); /* pipes */
	(void)close(d->out);
	d->pid = 0;
}

/* ---- one question ---- */

/* 0 when `fd` is ready before the time is over. */
static int await(int fd, short events, uint64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now_ms;
	int n;

	do {
		now_ms = clock_mono_ms();
		n = poll(&p, 1, now_ms < until_ms ? (int)(until_ms - now_ms) : 0);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int say(const struct doorman *d, struct bytes line, uint64_t until_ms)
{
	int err = 0;

	while (err == 0 && line.n > 0) {
		ssize_t n = write(d->in, line.p, line.n);
		if (n >= 0)
			line = bytes_of(line.p + n, line.n - (size_t)n);
		else if (errno == EAGAIN)
			err = await(d->in, POLLOUT, until_ms);
		else if (errno != EINTR)
			err = -errno;
	}
	return err;
}

/* Up to a newline, which must be the last that it said. */
static int hear(const struct doorman *d, char text[ANSWER_MAX], uint64_t until_ms)
{
	size_t n = 0;
	int err = 0;

	while (err == 0 && (n == 0 || text[n - 1] != '\n')) {
		ssize_t got = read(d->out, text + n, ANSWER_MAX - 1 - n);
		if (got > 0)
			n += (size_t)got;
		else if (got == 0)
			err = -EPIPE; /* it ended, or said too much */
		else if (errno == EAGAIN)
			err = await(d->out, POLLIN, until_ms);
		else if (errno != EINTR)
			err = -errno;
	}
	text[n] = '\0';
	return err;
}

/* What it says unasked would be taken for the next answer. */
static int check_silent(const struct doorman *d)
{
	char byte;
	ssize_t n = read(d->out, &byte, 1);

	return n > 0 ? -EPROTO : n == 0 ? -EPIPE : errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static int put(const struct doorman *d, struct question *q)
{
	uint64_t until_ms = clock_mono_ms() + d->options.answer_ms;
	char text[ANSWER_MAX];
	int err = check_silent(d);

	if (err == 0)
		err = say(d, buf_bytes(&q->line), until_ms);
	if (err == 0)
		err = hear(d, text, until_ms);
	if (err != 0)
		return err;
	q->yes = strcmp(text, "yes\n") == 0;
	return q->yes || strcmp(text, "no\n") == 0 ? 0 : -EPROTO;
}

static void failed(const struct doorman *d, int err)
{
	metric_add(METRIC_ENROL_HOOK_FAILED, 1);
	log_warn("enrol hook %s: %s", d->options.program,
		err == -EPROTO          ? "said something other than one yes or no"
			: err == -EPIPE ? "ended, or said too much"
					: err_str(err));
}

static void judge(struct doorman *d, struct question *q)
{
	int err = 0;

	q->yes = false;
	if (d->pid == 0 && clock_mono_ms() - d->started_ms < d->options.restart_ms)
		return;
	if (d->pid == 0)
		err = hire(d);
	if (err == 0)
		err = put(d, q);
	if (err == 0)
		return;
	q->yes = false;
	failed(d, err);
	dismiss(d);
}

/* ---- the thread ---- */

/* NULL: it is over. */
static struct question *next(struct doorman *d, bool *stopping)
{
	struct question *q;

	(void)pthread_mutex_lock(&d->lock); /* a valid lock, as below */
	while (d->first == NULL && !d->stopping && !d->retired)
		(void)pthread_cond_wait(&d->news, &d->lock);
	q = d->first;
	if (q != NULL) {
		d->first = q->next;
		d->waiting--;
	}
	if (d->first == NULL)
		d->last = &d->first;
	*stopping = d->stopping;
	(void)pthread_mutex_unlock(&d->lock);
	return q;
}

static void *run(void *arg)
{
	struct doorman *d = arg;
	struct question *q;
	bool stopping;

	while ((q = next(d, &stopping)) != NULL) {
		q->yes = false;
		if (!stopping)
			judge(d, q);
		q->answered(q);
	}
	dismiss(d);
	return NULL;
}

int doorman_new(const struct doorman_options *options, struct doorman **out)
{
	struct doorman *d = mem_zalloc(sizeof(*d));
	int err;

	d->options = *options;
	d->options.program = mem_strdup(options->program);
	d->last = &d->first;
	(void)pthread_mutex_init(&d->lock, NULL); /* these two do not fail */
	(void)pthread_cond_init(&d->news, NULL);
	err = hire(d);
	if (err == 0)
		err = -pthread_create(&d->thread, NULL, run, d);
	if (err == 0) {
		*out = d;
		return 0;
	}
	dismiss(d);
	free((char *)(uintptr_t)d->options.program);
	free(d);
	return err;
}

int doorman_hire(const struct config_enrol *config, struct doorman **out, char *error)
{
	struct doorman_options options = {
		.program = config->hook, .answer_ms = ANSWER_MS, .restart_ms = RESTART_MS
	};
	int err = 0;

	*out = NULL;
	if (config->mode == ENROL_HOOK)
		err = doorman_new(&options, out);
	if (err != 0)
		(void)snprintf(
			error, ERROR_MAX, "enrol: hook: %.160s: %s", config->hook, err_str(err));
	return err;
}

int doorman_ask(struct doorman *d, struct question *q)
{
	bool room;

	q->next = NULL;
	(void)pthread_mutex_lock(&d->lock);
	room = d->waiting < DOORMAN_QUEUE_MAX && !d->stopping && !d->retired;
	if (room) {
		*d->last = q;
		d->last = &q->next;
		d->waiting++;
		(void)pthread_cond_signal(&d->news);
	}
	(void)pthread_mutex_unlock(&d->lock);
	return room ? 0 : ERR_BUSY;
}

void doorman_retire(struct doorman *d)
{
	if (d == NULL)
		return;
	(void)pthread_mutex_lock(&d->lock);
	d->retired = true;
	(void)pthread_cond_signal(&d->news);
	(void)pthread_mutex_unlock(&d->lock);
}

void doorman_free(struct doorman *d)
{
	if (d == NULL)
		return;
	(void)pthread_mutex_lock(&d->lock);
	d->stopping = true;
	(void)pthread_cond_signal(&d->news);
	(void)pthread_mutex_unlock(&d->lock);
	(void)pthread_join(d->thread, NULL); /* it was started, and nobody else joins it */
	(void)pthread_mutex_destroy(&d->lock);
	(void)pthread_cond_destroy(&d->news);
	free((char *)(uintptr_t)d->options.program);
	free(d);
}
