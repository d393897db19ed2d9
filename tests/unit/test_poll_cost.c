/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a poll over plain HTTP takes besides time: one recv, one send, a share of an epoll_wait, and no
 * allocation, lock, transaction or signature.  The whole front answers, in a process of its own.
 *
 * This program has functions by the names of those that are counted, so shared libraries call them
 * too.  The kernel ends the process at any other system call (seccomp).
 */
#include "unit.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/http/device.h"
#include "tests/lib/deployment.h"

#define CONNECTIONS 8u
#define WARM_UP     200u
#define POLLS       1000u /* at least, and */
#define LAST_MS     1200u /* at least so long: the Date changes, deadlines are looked at */
#define ANSWER_MAX  16384u

enum count { ALLOCATED, FREED, LOCKED, BEGUN, SIGNED, RECEIVED, SENT, WAITED, COUNTS };

static const char *const names[COUNTS] = { "allocations", "frees", "locks", "transactions",
	"signatures", "recv", "send", "epoll_wait" };

/* Shared with the process that answers. */
static struct {
	atomic_bool on;
	atomic_int stranger; /* number of another system call */
	atomic_uint_fast64_t count[COUNTS];
} * shared;

/* The threads of this test; all others are the front's. */
static __thread bool is_ours;

static void count(enum count what)
{
	if (!is_ours && shared != NULL && atomic_load(&shared->on))
		atomic_fetch_add(&shared->count[what], 1);
}

/* ---- what is counted, and done ---- */

/* clang-format off */
#define REAL(type, name, params) extern type __libc_##name params; type name params;
REAL(void *, malloc, (size_t n))
REAL(void *, calloc, (size_t n, size_t size))
REAL(void *, realloc, (void *p, size_t n))
REAL(void, free, (void *p))
void *malloc(size_t n) { count(ALLOCATED); return __libc_malloc(n); }
void *calloc(size_t n, size_t size) { count(ALLOCATED); return __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { count(ALLOCATED); return __libc_realloc(p, n); }
void free(void *p) { count(FREED); __libc_free(p); }

#define NEXT(what, name, params, args)                                                             \
	int name params;                                                                           \
	int name params                                                                            \
	{                                                                                          \
		int(*real) params;                                                                 \
		void *found = dlsym(RTLD_NEXT, #name);                                             \
		memcpy(&real, &found, sizeof(real));                                               \
		count(what);                                                                       \
		return real args;                                                                  \
	}
NEXT(LOCKED, pthread_mutex_lock, (pthread_mutex_t *m), (m))
NEXT(LOCKED, pthread_mutex_trylock, (pthread_mutex_t *m), (m))
NEXT(LOCKED, pthread_rwlock_rdlock, (pthread_rwlock_t *l), (l))
NEXT(LOCKED, pthread_rwlock_wrlock, (pthread_rwlock_t *l), (l))
NEXT(BEGUN, mdb_txn_begin, (void *env, void *parent, unsigned flags, void **txn), (env, parent, flags, txn))
NEXT(SIGNED, EVP_DigestSign, (void *c, uint8_t *sig, size_t *n, const uint8_t *p, size_t len), (c, sig, n, p, len))
NEXT(SIGNED, EVP_DigestVerify, (void *c, const uint8_t *sig, size_t n, const uint8_t *p, size_t len), (c, sig, n, p, len))
NEXT(WAITED, epoll_wait, (int fd, struct epoll_event *e, int n, int timeout), (fd, e, n, timeout))
/* clang-format on */

/* The front's threads take no signals; the one below they must, to say what they called. */
ssize_t recv(int fd, void *p, size_t n, int flags)
{
	sigset_t stranger;

	count(RECEIVED);
	(void)sigemptyset(&stranger);
	(void)sigaddset(&stranger, SIGSYS);
	if (!atomic_load(&shared->on))
		(void)pthread_sigmask(SIG_UNBLOCK, &stranger, NULL);
	return syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	count(SENT);
	return syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

/* ---- the process that answers ---- */

static void on_stranger(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	atomic_store(&shared->stranger, info->si_syscall);
	_exit(1);
}

/* From here on nothing else; for all threads.  Where the clock has no page, it is a call. */
static int forbid_strangers(void)
{
#define ALLOW(name)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(recvfrom),
		ALLOW(sendto),
#ifdef SYS_epoll_wait
		ALLOW(epoll_wait),
#endif
		ALLOW(epoll_pwait),
		ALLOW(clock_gettime),
		ALLOW(exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	struct sock_fprog program = { COUNT(filter), filter };
	struct sigaction act = { .sa_sigaction = on_stranger, .sa_flags = SA_SIGINFO };

	if (sigaction(SIGSYS, &act, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return (int)syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}

/* Says its port; told to, counts; told again, ends. */
static _Noreturn void answer_polls(struct deployment *d, int control)
{
	char error[HTTP_ERROR_MAX] = "", go;
	struct device_front *front;
	unsigned port;

	d->config.workers = 1;
	deployment_must(
		device_front_open(&d->server, "127.0.0.1:0", NULL, &front, error), "open", error);
	deployment_must(device_front_start(front), "start", "");
	port = device_front_port(front);
	deployment_must(send(control, &port, sizeof(port), 0) > 0 ? 0 : -errno, "control", "");
	deployment_must(recv(control, &go, 1, 0) == 1 ? 0 : -errno, "control", "");
	atomic_store(&shared->on, true);
	deployment_must(forbid_strangers(), "seccomp", "");
	deployment_must(send(control, &go, 1, 0) == 1 ? 0 : -errno, "control", "");
	_exit(recv(control, &go, 1, 0) == 1 ? 0 : 1);
}

/* ---- the process that asks ---- */

struct asker {
	char request[1024];
	size_t n;
	int fd[CONNECTIONS];
	unsigned polls;
};

static int dial(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

static void write_request(struct asker *a, struct bytes body)
{
	int n = snprintf(a->request, sizeof(a->request),
		"POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
		"Content-Length: %zu\r\n\r\n",
		body.n);

	assert_true((size_t)n + body.n <= sizeof(a->request));
	memcpy(a->request + n, body.p, body.n);
	a->n = (size_t)n + body.n;
}

/* False when the other end is gone. */
static bool read_answer(int fd)
{
	char answer[ANSWER_MAX];
	size_t got = 0, whole = SIZE_MAX;

	while (got < whole) {
		ssize_t n = recv(fd, answer + got, sizeof(answer) - 1 - got, 0);
		if (n <= 0)
			return false;
		got += (size_t)n;
		answer[got] = '\0';
		const char *body = strstr(answer, "\r\n\r\n");
		if (body != NULL)
			whole = (size_t)(body + 4 - answer) +
				strtoul(strstr(answer, "Content-Length: ") + 16, NULL, 10);
	}
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	return true;
}

static bool ask_all(struct asker *a)
{
	for (unsigned i = 0; i < CONNECTIONS; i++)
		if (send(a->fd[i], a->request, a->n, MSG_NOSIGNAL) != (ssize_t)a->n)
			return false;
	for (unsigned i = 0; i < CONNECTIONS; i++, a->polls++)
		if (!read_answer(a->fd[i]))
			return false;
	return true;
}

/* False when the other end is gone. */
static bool ask(struct asker *a, unsigned polls, unsigned last_ms)
{
	uint64_t end_ms = clock_mono_ms() + last_ms;
	bool there = true;

	for (a->polls = 0; there && (a->polls < polls || clock_mono_ms() < end_ms);)
		there = ask_all(a);
	return there;
}

static void tell(int control)
{
	assert_int_equal(send(control, "!", 1, MSG_NOSIGNAL), 1);
}

static void judge(const struct asker *a, bool there, int status)
{
	if (atomic_load(&shared->stranger) != 0)
		fail_msg("system call %d", atomic_load(&shared->stranger));
	assert_true(there && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	for (enum count i = 0; i < RECEIVED; i++)
		if (atomic_load(&shared->count[i]) > 0)
			fail_msg("%lu %s in %u polls", atomic_load(&shared->count[i]), names[i],
				a->polls);
	assert_int_equal(atomic_load(&shared->count[RECEIVED]), a->polls);
	assert_int_equal(atomic_load(&shared->count[SENT]), a->polls);
	/* One for each, and some when a deadline is looked at. */
	assert_true(atomic_load(&shared->count[WAITED]) > 0);
	assert_true(atomic_load(&shared->count[WAITED]) < a->polls + a->polls / 2);
}

static void count_polls(struct deployment *d, struct bytes request)
{
	struct asker a;
	int control[2], status;
	unsigned port;
	char ready;
	bool there;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, control), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(control[0]);
		answer_polls(d, control[1]);
	}
	(void)close(control[1]);
	assert_int_equal(recv(control[0], &port, sizeof(port), 0), sizeof(port));
	write_request(&a, request);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		a.fd[i] = dial(port);
	assert_true(ask(&a, WARM_UP, 0));
	tell(control[0]);
	assert_int_equal(recv(control[0], &ready, 1, 0), 1);
	there = ask(&a, POLLS, LAST_MS);
	if (there)
		tell(control[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		(void)close(a.fd[i]);
	(void)close(control[0]);
	judge(&a, there, status);
}

static void test_poll(void **state)
{
	static const struct {
		const char *why;
		bool knows; /* the newest snapshot: the short answer */
		enum ring wish;
	} polls[] = {
		{ "the usual one", true, RING_STABLE },
		{ "that holds nothing yet", false, RING_STABLE },
		{ "of the inner ring", true, RING_CORE },
	};
	const struct deployment_options o = { .profile = "solo" };
	struct deployment *d = calloc(1, sizeof(*d));

	(void)state;
	deployment_open(d, &o);
	for (size_t i = 0; i < COUNT(polls); i++) {
		struct test_device t;
		print_message("a poll %s\n", polls[i].why);
		assert_int_equal(device_enrol(d, &t, "phone-a", polls[i].wish), 0);
		assert_int_equal(device_poll(d, &t), 0);
		if (polls[i].knows)
			t.snapshot_version = image_find(d->desk.image, "phone-a")->snapshot_version;
		count_polls(d, device_poll_sealed(d, &t));
		device_forget(&t);
	}
	deployment_close(d);
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_poll) };

	is_ours = true;
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
