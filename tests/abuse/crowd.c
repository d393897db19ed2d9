/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd PORT N A-SECOND tls|tcp {NAME BEGIN DRIP}...
 *
 * Keeps N connections to 127.0.0.1:PORT, at most so many new ones a second, of each kind alike: says what
 * the file BEGIN has at once (with tls: behind the handshake), then a byte a second of the file DRIP, then
 * reads a byte a second.  Prints "there" when there are as many; when its input ends it makes no more, waits
 * until the server has ended the last and prints for each kind "NAME COUNT YOUNGEST OLDEST", in seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TURNS     100u /* of a second */
#define KINDS_MAX 8u
#define LIFE_S    300u /* nobody waits for longer */
#define SMALL     2048 /* of an answer the kernel takes so much, and twice */

struct text {
	char *data;
	size_t n;
};

struct kind {
	const char *name;
	struct text begin, drip;
	unsigned count;
	uint64_t youngest_ms, oldest_ms;
};

enum phase { NONE, CONNECTING, HANDSHAKE, SLOW };

struct slow {
	struct kind *kind;
	enum phase phase;
	int fd;
	SSL *ssl;
	size_t at; /* in what it says slowly */
	uint64_t since_ms;
};

static struct kind kinds[KINDS_MAX];
static unsigned n_kinds, n_slow, n_live, a_second, born;
static struct slow *slows;
static struct sockaddr_in server = { .sin_family = AF_INET };
static SSL_CTX *tls;
static int waiting;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		die("clock");
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct text read_text(const char *path)
{
	struct text out = { .data = NULL };
	FILE *f = fopen(path, "re");
	long n;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0)
		die(path);
	rewind(f);
	out.n = (size_t)n;
	out.data = malloc(out.n + 1);
	if (out.data == NULL || fread(out.data, 1, out.n, f) != out.n)
		die(path);
	(void)fclose(f); /* it was only read */
	return out;
}

static void watch(struct slow *s, int how, uint32_t what)
{
	struct epoll_event e = { .events = what, .data = { .ptr = s } };

	if (epoll_ctl(waiting, how, s->fd, &e) != 0)
		die("epoll_ctl");
}

/* Each from another network of loopback's. */
static void open_one(struct slow *s)
{
	uint32_t host = 0x7f000001u | (1 + born / 250 % 250) << 16 | (born % 250) << 8;
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = { htonl(host) } };
	int small = SMALL, one = 1;

	*s = (struct slow){ .kind = &kinds[born++ % n_kinds], .phase = CONNECTING };
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket");
	if ((tls != NULL && setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) != 0) ||
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
		bind(s->fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		die("bind");
	s->since_ms = now_ms();
	if (connect(s->fd, (struct sockaddr *)&server, sizeof(server)) != 0 && errno != EINPROGRESS)
		die("connect");
	n_live++;
	watch(s, EPOLL_CTL_ADD, EPOLLOUT | EPOLLRDHUP);
}

static void end(struct slow *s)
{
	uint64_t age_ms = now_ms() - s->since_ms;
	struct kind *k = s->kind;

	if (k->count++ == 0 || age_ms < k->youngest_ms)
		k->youngest_ms = age_ms;
	if (age_ms > k->oldest_ms)
		k->oldest_ms = age_ms;
	SSL_free(s->ssl);
	(void)close(s->fd); /* the server has closed it */
	s->phase = NONE;
	n_live--;
}

/* What it says at once, as far as the sockets take it. */
static void begin(struct slow *s)
{
	const struct text *t = &s->kind->begin;
	size_t at = 0;
	ssize_t n = 1;

	s->phase = SLOW;
	while (at < t->n && n > 0) {
		n = s->ssl != NULL ? SSL_write(s->ssl, t->data + at, (int)(t->n - at))
				   : write(s->fd, t->data + at, t->n - at);
		at += n > 0 ? (size_t)n : 0;
	}
	watch(s, EPOLL_CTL_MOD, EPOLLRDHUP);
}

static void shake(struct slow *s)
{
	int done = SSL_do_handshake(s->ssl), why = SSL_get_error(s->ssl, done);

	if (done == 1) {
		s->since_ms = now_ms();
		begin(s);
	} else if (why == SSL_ERROR_WANT_READ) {
		watch(s, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP);
	} else if (why == SSL_ERROR_WANT_WRITE) {
		watch(s, EPOLL_CTL_MOD, EPOLLOUT | EPOLLRDHUP);
	} else {
		end(s);
	}
}

static void connected(struct slow *s)
{
	if (tls == NULL) {
		begin(s);
		return;
	}
	s->ssl = SSL_new(tls);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
		die("SSL_new");
	SSL_set_connect_state(s->ssl);
	s->phase = HANDSHAKE;
	shake(s);
}

static void hear(const struct epoll_event *e)
{
	struct slow *s = e->data.ptr;

	if ((e->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		end(s);
	else if (s->phase == CONNECTING)
		connected(s);
	else if (s->phase == HANDSHAKE)
		shake(s);
}

/* Its byte of this second.  What goes wrong with it is told by epoll. */
static void act(struct slow *s)
{
	const struct text *t = &s->kind->drip;
	char byte;
	ssize_t n;

	if (s->at == t->n) {
		(void)recv(s->fd, &byte, 1, 0);
		return;
	}
	n = s->ssl != NULL ? SSL_write(s->ssl, t->data + s->at, 1)
			   : send(s->fd, t->data + s->at, 1, MSG_NOSIGNAL);
	s->at += n > 0;
}

/* As many as are due since the last time; after a long wait no more than of a quarter of a second. */
static void fill(uint64_t passed_ms)
{
	uint64_t due = (passed_ms < 250 ? passed_ms : 250) * a_second / 1000;

	for (unsigned i = 0; i < n_slow && n_live < n_slow && due > 0; i++)
		if (slows[i].phase == NONE) {
			open_one(&slows[i]);
			due--;
		}
}

static void drip(uint64_t turn)
{
	for (unsigned i = (unsigned)(turn % TURNS); i < n_slow; i += TURNS)
		if (slows[i].phase == SLOW)
			act(&slows[i]);
}

static void hear_until(uint64_t then_ms)
{
	static struct epoll_event events[512];
	uint64_t now;

	do {
		now = now_ms();
		int n = epoll_wait(waiting, events, 512, then_ms > now ? (int)(then_ms - now) : 0);
		for (int i = 0; i < n; i++)
			hear(&events[i]);
	} while (now_ms() < then_ms);
}

static bool input_ended(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

static void run(void)
{
	uint64_t before_ms = now_ms(), at_ms;
	bool more = true, there = false;

	for (uint64_t turn = 0; more || n_live > 0; turn++) {
		hear_until(before_ms + 1000 / TURNS);
		at_ms = now_ms();
		more = more && !input_ended();
		if (more)
			fill(at_ms - before_ms);
		drip(turn);
		before_ms = at_ms;
		if (!there && n_live >= n_slow - n_slow / 20) {
			there = true;
			(void)puts("there");
			(void)fflush(stdout);
		}
	}
}

static void prepare(char **argv)
{
	static const struct rlimit most = { 1u << 20, 1u << 20 };
	struct rlimit now;

	server.sin_port = htons((uint16_t)atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	n_slow = (unsigned)atoi(argv[2]);
	a_second = (unsigned)atoi(argv[3]);
	slows = calloc(n_slow, sizeof(*slows));
	waiting = epoll_create1(EPOLL_CLOEXEC);
	if (slows == NULL || waiting < 0)
		die("memory");
	if (getrlimit(RLIMIT_NOFILE, &now) != 0)
		die("getrlimit");
	now.rlim_cur = now.rlim_max < most.rlim_max ? now.rlim_max : most.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &now) != 0)
		die("setrlimit");
	if (strcmp(argv[4], "tls") != 0)
		return;
	tls = SSL_CTX_new(TLS_client_method());
	if (tls == NULL)
		die("SSL_CTX_new");
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE);
}

int main(int argc, char **argv)
{
	if (argc < 8 || (argc - 5) % 3 != 0 || (unsigned)(argc - 5) / 3 > KINDS_MAX) {
		(void)fputs("crowd PORT N A-SECOND tls|tcp {NAME BEGIN DRIP}...\n", stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
	(void)alarm(LIFE_S);
	prepare(argv);
	for (int i = 5; i < argc; i += 3)
		kinds[n_kinds++] = (struct kind){
			.name = argv[i],
			.begin = read_text(argv[i + 1]),
			.drip = read_text(argv[i + 2]),
		};
	run();
	for (struct kind *k = kinds; k < kinds + n_kinds; k++) {
		printf("%s %u %.1f %.1f\n", k->name, k->count, (double)k->youngest_ms / 1000,
			(double)k->oldest_ms / 1000);
		free(k->begin.data);
		free(k->drip.data);
	}
	SSL_CTX_free(tls);
	free(slows);
	return 0;
}
