/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's program, as it should be and as it should not. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/service/doorman.h"
#include "tmpdir.h"

#define ANSWER_MS  400u /* where it is too slow on purpose */
#define PATIENT_MS 10000u
#define RESTART_MS 300u
#define LIMIT_S    20

static sem_t done;
static char program[256]; /* outlives the doorman */

static void answered(struct question *q)
{
	(void)q;
	assert_int_equal(sem_post(&done), 0);
}

static void await_answers(unsigned n)
{
	struct timespec until = { .tv_sec = (time_t)(clock_ms() / 1000) + LIMIT_S };

	for (; n > 0; n--)
		assert_int_equal(sem_timedwait(&done, &until), 0);
}

static struct doorman *start(const char *script, uint32_t answer_ms)
{
	struct doorman_options options = {
		.program = program, .answer_ms = answer_ms, .restart_ms = RESTART_MS
	};
	struct buf text = { 0 };
	struct doorman *d;

	(void)snprintf(program, sizeof(program), "%s/hook", tmpdir);
	buf_printf(&text, "#!/bin/sh\ncd '%s'\necho >>starts\n%s", tmpdir, script);
	assert_int_equal(file_replace(options.program, buf_bytes(&text), 0700), 0);
	buf_release(&text);
	assert_int_equal(doorman_new(&options, &d), 0);
	return d;
}

static void ask_for(struct doorman *d, struct question *q, const char *line)
{
	*q = (struct question){ .answered = answered };
	buf_str(&q->line, line);
	assert_int_equal(doorman_ask(d, q), 0);
}

static bool ask(struct doorman *d, const char *line)
{
	struct question q;

	ask_for(d, &q, line);
	await_answers(1);
	buf_release(&q.line);
	return q.yes;
}

static size_t starts(void)
{
	struct buf b = { 0 };
	int err = file_read(tmpdir_path("starts"), 1000, &b);
	size_t n = b.len; /* a newline each */

	assert_true(err == 0 || err == -ENOENT);
	buf_release(&b);
	return n;
}

#define ANSWER_LINES "while read -r l; do case $l in *good*) echo yes;; *) echo no;; esac; done\n"

static void test_yes_and_no(void **state)
{
	struct doorman *d = start(ANSWER_LINES, PATIENT_MS);

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		assert_true(ask(d, "{\"good\":1}\n"));
		assert_false(ask(d, "{\"bad\":1}\n"));
	}
	doorman_free(d);
	assert_int_equal(starts(), 1);
}

/* What it says that is neither yes nor no, or no answer at all: a no, a new start, and a yes. */
static const struct {
	const char *why, *first; /* what it does with the first line */
} faults[] = {
	{ "dead", "exit 1" },
	{ "dead with an answer", "printf yes; exit 0" },
	{ "slow", "sleep 60; echo yes" },
	{ "mute", "exec sleep 60" },
	{ "a word", "echo perhaps" },
	{ "nearly yes", "echo ' yes'" },
	{ "capitals", "echo YES" },
	{ "empty", "echo" },
	{ "talkative", "printf 'yes\\nyes\\n'" },
	{ "endless", "yes yes | head -c 100000" },
	{ "no newline", "printf yes; sleep 60" },
};

static void test_faults(void **state)
{
	for (size_t i = 0; i < COUNT(faults); i++) {
		struct doorman *d;
		char script[512];
		uint64_t from_ms;
		bool yes;
		assert_int_equal(tmpdir_make(state), 0);
		(void)snprintf(script, sizeof(script),
			"if [ \"$(wc -l <starts)\" = 1 ]; then read -r l; %s; fi\n" ANSWER_LINES,
			faults[i].first);
		d = start(script, ANSWER_MS);
		from_ms = clock_mono_ms();
		yes = ask(d, "good\n");
		if (yes)
			fail_msg("%s: let in", faults[i].why);
		if (clock_mono_ms() - from_ms > PATIENT_MS)
			fail_msg("%s: took too long", faults[i].why);
		for (yes = false; !yes && clock_mono_ms() - from_ms < LIMIT_S * 1000;)
			yes = ask(d, "good\n");
		if (!yes || starts() < 2)
			fail_msg("%s: yes %d, started %zu times", faults[i].why, yes, starts());
		doorman_free(d);
		assert_int_equal(tmpdir_drop(state), 0);
	}
}

/* What was said unasked is no answer to the next question. */
static void test_unasked(void **state)
{
	struct doorman *d = start("read -r l; echo yes; while [ ! -e go ]; do sleep 0.01; done\n"
				  "echo yes; echo >said; read -r l; sleep 60\n",
		PATIENT_MS);
	uint64_t from_ms = clock_mono_ms();

	(void)state;
	assert_true(ask(d, "good\n"));
	assert_int_equal(file_create(tmpdir_path("go"), bytes_of(NULL, 0), 0600), 0);
	while (access(tmpdir_path("said"), F_OK) != 0)
		assert_true(clock_mono_ms() - from_ms < LIMIT_S * 1000);
	assert_false(ask(d, "bad\n"));
	doorman_free(d);
}

/* One that does not come up is not started over and over. */
static void test_restarts(void **state)
{
	uint64_t from_ms = clock_mono_ms();
	struct doorman *d = start("exit 1\n", PATIENT_MS);

	(void)state;
	while (starts() < 3 && clock_mono_ms() - from_ms < LIMIT_S * 1000)
		assert_false(ask(d, "good\n"));
	assert_in_range(starts(), 3, 1 + (clock_mono_ms() - from_ms) / RESTART_MS);
	doorman_free(d);
}

/* It has three descriptors, none of them a socket of ours, and signals as they are born. */
static void test_alone(void **state)
{
	int pair[2];
	struct doorman *d;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0); /* no CLOEXEC */
	d = start("exec python3 -c '\n"
		  "import os, signal, sys\n"
		  "fds = [f for f in range(256) if os.path.exists(\"/proc/self/fd/%d\" % f)]\n"
		  "sys.stdin.readline()\n"
		  "fine = fds == [0, 1, 2] and os.getpgrp() == os.getpid()\n"
		  "mask = [l for l in open(\"/proc/self/status\") if l.startswith(\"SigBlk\")]\n"
		  "fine = fine and int(mask[0].split()[1], 16) == 0\n"
		  "print(\"yes\" if fine else \"no\", flush=True)\n"
		  "sys.stdin.readline()'\n",
		PATIENT_MS);
	assert_true(ask(d, "good\n"));
	doorman_free(d);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* Who waits at the end gets a no at once; the queue has an end. */
static void test_queue(void **state)
{
	static struct question q[DOORMAN_QUEUE_MAX + 2];
	struct doorman *d = start("exec sleep 60\n", ANSWER_MS);
	unsigned asked = 0;
	uint64_t from_ms;
	int err = 0;

	(void)state;
	while (err == 0) {
		assert_true(asked < COUNT(q));
		q[asked] = (struct question){ .answered = answered };
		buf_str(&q[asked].line, "good\n");
		err = doorman_ask(d, &q[asked]);
		asked += err == 0;
	}
	assert_int_equal(err, ERR_BUSY);
	assert_in_range(asked, DOORMAN_QUEUE_MAX, DOORMAN_QUEUE_MAX + 1);
	from_ms = clock_mono_ms();
	doorman_free(d);
	assert_true(clock_mono_ms() - from_ms < PATIENT_MS);
	await_answers(asked);
	for (unsigned i = 0; i < asked; i++)
		assert_false(q[i].yes);
	for (unsigned i = 0; i < COUNT(q); i++)
		buf_release(&q[i].line);
}

static void test_no_program(void **state)
{
	struct doorman_options options = { .program = tmpdir_path("none"), .answer_ms = 1 };
	struct doorman *d;

	(void)state;
	assert_int_equal(doorman_new(&options, &d), -ENOENT);
	assert_int_equal(file_replace(options.program, bytes_str("#!/bin/sh\n"), 0600), 0);
	assert_int_equal(doorman_new(&options, &d), -EACCES);
	doorman_free(NULL);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_yes_and_no),
		cmocka_unit_test(test_faults),
		IN_TMPDIR(test_unasked),
		IN_TMPDIR(test_restarts),
		IN_TMPDIR(test_alone),
		IN_TMPDIR(test_queue),
		IN_TMPDIR(test_no_program),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	log_init("test", LOG_LEVEL_ERROR);
	if (sem_init(&done, 0, 0) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
