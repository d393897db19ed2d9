/* SPDX-License-Identifier: Apache-2.0 */
/* huidu-agent, the program, against a server on the loopback. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <huidu/huidu.h>

#include "tests/lib/loopback.h"

#define EVENT(kind) PB__EVENT_KIND__EVENT_##kind
#define WAIT_MS     10000

/* A directory with the Root, two programs, and what they leave there. */
struct place {
	const char *extra; /* one more argument; NULL: none */
	struct loopback l;
	struct honest *server;
	char dir[64], root[96], state[96], install[96], health[96];
};

static void write_file(const char *path, const void *data, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), n);
	assert_int_equal(close(fd), 0);
}

static const char *in(const struct place *p, const char *name)
{
	static char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	return path;
}

static bool exists(const struct place *p, const char *name)
{
	return access(in(p, name), F_OK) == 0;
}

static void touch(const struct place *p, const char *name)
{
	write_file(in(p, name), "", 0, 0600);
}

static int set_up(void **state)
{
	static const char install[] = "#!/bin/sh\n"
				      "cd \"${0%/*}\" || exit 9\n"
				      "[ -e fail ] && exit 3\n"
				      "printf %s \"$2\" >installed\n"
				      "cp \"$1\" slot\n";
	static const char health[] = "#!/bin/sh\n"
				     "cd \"${0%/*}\" || exit 9\n"
				     "printf %s \"$1\" >asked\n"
				     "! [ -e sick ]\n";
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)strcpy(p->dir, "/tmp/huidu-agent-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->root, sizeof(p->root), "%s/root.bin", p->dir);
	(void)snprintf(p->state, sizeof(p->state), "%s/state", p->dir);
	(void)snprintf(p->install, sizeof(p->install), "%s/install", p->dir);
	(void)snprintf(p->health, sizeof(p->health), "%s/health", p->dir);
	p->server = honest_new((uint64_t)time(NULL));
	write_file(p->root, p->server->root.p, p->server->root.n, 0600);
	write_file(p->install, install, sizeof(install) - 1, 0700);
	write_file(p->health, health, sizeof(health) - 1, 0700);
	loopback_start(&p->l, p->server);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "state/state", "state/download", "state/current",
		"state/previous", "state", "root.bin", "install", "health", "installed", "slot",
		"asked", "fail", "sick" };
	struct place *p = *state;

	loopback_stop(&p->l);
	honest_free(p->server);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)remove(in(p, names[i]));
	assert_int_equal(rmdir(p->dir), 0); /* nothing else was left there */
	free(p);
	return 0;
}

static pid_t start(const struct place *p, const char *more)
{
	const char *agent = getenv("HUIDU_AGENT");
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)dup2(STDERR_FILENO, STDOUT_FILENO); /* ours speaks TAP */
	(void)execl(agent, agent, "--server", p->l.url, "--root", p->root, "--repository",
		HONEST_REPOSITORY, "--product", HONEST_PRODUCT, "--build", "b1", "--counter", "1",
		"--state", p->state, "--install", p->install, "--health", p->health, "--wish",
		"dev", more, p->extra, (char *)NULL);
	_exit(99);
}

static int end_of(pid_t pid)
{
	int status = 0;

	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int once(const struct place *p)
{
	return end_of(start(p, "--once"));
}

static void offer(struct place *p, const char *build_id)
{
	struct honest *s = p->server;

	honest_add_offer(s, honest_add_build(s, build_id, 2, 100000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
}

static bool has(const struct place *p, const char *name, const void *data, size_t n)
{
	static uint8_t content[200000];
	int fd = open(in(p, name), O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, content, sizeof(content));

	if (fd >= 0)
		(void)close(fd);
	return len == (ssize_t)n && memcmp(content, data, n) == 0;
}

static void update(void **state)
{
	struct place *p = *state;
	struct honest *s = p->server;

	assert_int_equal(once(p), 0);
	assert_int_equal(s->enrolments, 1);
	assert_int_equal(s->polls, 1);
	assert_int_equal(once(p), 0);
	assert_int_equal(s->enrolments, 1);
	assert_int_equal(s->polls, 2);
	offer(p, "b2");
	assert_int_equal(once(p), 10);
	assert_true(has(p, "installed", "b2", 2));
	assert_true(has(p, "slot", s->builds[0].file, 100000));
	assert_false(exists(p, "asked"));
	assert_int_equal(once(p), 0);
	assert_true(has(p, "asked", "b2", 2));
	assert_int_equal(honest_count(s, EVENT(BOOT_OK), "b2"), 1);
	assert_int_equal(once(p), 0);
	assert_int_equal(s->n_events, 4);
}

static void not_healthy(void **state)
{
	struct place *p = *state;
	struct honest *s = p->server;

	offer(p, "b2");
	touch(p, "sick");
	assert_int_equal(once(p), 10);
	assert_int_equal(once(p), 10); /* back again */
	assert_int_equal(once(p), 0);
	assert_int_equal(honest_count(s, EVENT(ROLLED_BACK), "b2"), 1);
	assert_int_equal(honest_count(s, EVENT(BOOT_OK), NULL), 0);
	assert_int_equal(once(p), 0);
	assert_int_equal(s->n_events, 4);
}

static void install_fails(void **state)
{
	struct place *p = *state;
	struct honest *s = p->server;

	offer(p, "b2");
	touch(p, "fail");
	assert_int_equal(once(p), 0);
	assert_int_equal(once(p), 0);
	assert_int_equal(honest_count(s, EVENT(INSTALL_FAILED), "b2"), 1);
	assert_int_equal(honest_last(s, EVENT(INSTALL_FAILED))->code, 2003);
	assert_false(exists(p, "installed"));
}

/* A build's name is an argument, whatever it is. */
static void no_shell(void **state)
{
	static const char name[] = "b2; touch $HOME/x `touch y` $(touch z) ' \" ../../q";
	struct place *p = *state;

	offer(p, name);
	assert_int_equal(once(p), 10);
	assert_true(has(p, "installed", name, sizeof(name) - 1));
	assert_int_equal(once(p), 0);
	assert_true(has(p, "asked", name, sizeof(name) - 1));
	assert_int_equal(honest_count(p->server, EVENT(BOOT_OK), name), 1);
}

static void unreachable(void **state)
{
	struct place *p = *state;

	p->l.status = 500;
	assert_int_equal(once(p), 1);
}

static bool polls_reach(struct place *p, unsigned n)
{
	const struct timespec pause = { 0, 10000000 };

	for (int waited = 0; waited < WAIT_MS; waited += 10) {
		if (loopback_polls(&p->l) >= n)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

static void lives(void **state)
{
	struct place *p = *state;
	pid_t pid = start(p, NULL);

	assert_true(polls_reach(p, 1));
	assert_int_equal(kill(pid, SIGUSR1), 0);
	assert_true(polls_reach(p, 2));
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(end_of(pid), 1000 + SIGTERM);
	offer(p, "b2");
	assert_int_equal(end_of(start(p, NULL)), 10);
}

/* The least program, without an id. */
static void example(void **state)
{
	static const char *const says[] = { "no build for you\n", "b2\n" };
	const char *program = getenv("HUIDU_POLL_ONCE");
	struct place *p = *state;

	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (freopen(in(p, "asked"), "w", stdout) != NULL)
				(void)execl(program, program, p->l.url, p->root, HONEST_REPOSITORY,
					HONEST_PRODUCT, "b1", "1", (char *)NULL);
			_exit(99);
		}
		assert_int_equal(end_of(pid), 0);
		assert_true(has(p, "asked", says[i], strlen(says[i])));
		if (i == 0)
			offer(p, "b2");
	}
	assert_int_equal(p->server->enrolments, 0);
	assert_int_equal(p->server->anonymous_polls, 2);
}

static void usage(void **state)
{
	const char *agent = getenv("HUIDU_AGENT");
	struct place *p = *state;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl(agent, agent, "--server", "x", (char *)NULL);
		_exit(99);
	}
	assert_int_equal(end_of(pid), 2);
	assert_int_equal(end_of(start(p, "--nonsense")), 2);
	assert_int_equal(end_of(start(p, "nonsense")), 2);
	assert_int_equal(end_of(start(p, "--wish=outer")), 2);
	assert_int_equal(end_of(start(p, "--counter=12x")), 2);
	assert_int_equal(end_of(start(p, "--help")), 0);
	assert_int_equal(end_of(start(p, "--repository=another")), 1);
	assert_int_equal(end_of(start(p, "--root=/nonexistent")), 1);
	assert_int_equal(end_of(start(p, "--server=ftp://x")), 1);
}

/* What a server that does not take everybody asks for, and a file that is no voucher. */
static void credentials(void **state)
{
	struct place *p = *state;
	char voucher[256], option[300];
	const uint8_t bytes[64] = { 5, 4, 3 };

	p->server->closed = true;
	p->server->token = "t0ken";
	assert_int_equal(once(p), 1);
	p->extra = "--token=t0ken";
	assert_int_equal(once(p), 0);
	assert_int_equal(p->server->enrolments, 1);
	(void)snprintf(option, sizeof(option), "--voucher=%s", p->root);
	p->extra = option;
	assert_int_equal(once(p), 1);
	(void)snprintf(voucher, sizeof(voucher), "%s", in(p, "voucher"));
	write_file(voucher, bytes, sizeof(bytes), 0600);
	(void)snprintf(option, sizeof(option), "--voucher=%s", voucher);
	p->server->closed = false;
	assert_int_equal(remove(in(p, "state/state")), 0); /* it enrols again */
	assert_int_equal(once(p), 0);
	assert_int_equal(p->server->enrolments, 2);
	assert_memory_equal(p->server->shown.voucher, bytes, sizeof(bytes));
	assert_int_equal(remove(voucher), 0);
}

/* Wherever its state was cut off, it starts: the other slot has it. */
static void torn_state(void **state)
{
	struct place *p = *state;

	assert_int_equal(once(p), 0);
	assert_int_equal(once(p), 0);
	assert_int_equal(truncate(in(p, "state/state"), (off_t)HUIDU_SLOT + 100), 0);
	assert_int_equal(once(p), 0);
	assert_int_equal(p->server->enrolments, 1);
	assert_int_equal(truncate(in(p, "state/state"), 100), 0);
	assert_int_equal(once(p), 0);
	assert_int_equal(p->server->enrolments, 2);
}

int main(void)
{
#define PLACED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(credentials, set_up, tear_down),
		cmocka_unit_test_setup_teardown(torn_state, set_up, tear_down),
		PLACED(update),
		PLACED(not_healthy),
		PLACED(install_fails),
		PLACED(no_shell),
		PLACED(unreachable),
		PLACED(lives),
		PLACED(example),
		PLACED(usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
