/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_load PORT SECONDS full|resumed [THREADS]: as a phone polls: connect, TLS 1.3
 * handshake, one small request, its answer, close; closed loop, blocking, THREADS at a
 * time.  Prints how many connections were served.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST     "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n"
#define THREADS_MAX 64

static struct {
	struct sockaddr_in to;
	bool resumed;
	SSL_CTX *ctx;
	double end_s;
	atomic_ulong served;
} t;

static double now_s(void)
{
	struct timespec now;

	assert(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert(fd >= 0);
	assert(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
	assert(connect(fd, (const struct sockaddr *)&t.to, sizeof(t.to)) == 0);
	return fd;
}

/* Reads until the body, whose length the server says, is there. */
static void read_answer(SSL *ssl)
{
	char answer[4096];
	size_t got = 0, whole = 0, n;

	while (whole == 0 || got < whole) {
		assert(SSL_read_ex(ssl, answer + got, sizeof(answer) - 1 - got, &n) == 1);
		got += n;
		answer[got] = '\0';
		const char *body = strstr(answer, "\r\n\r\n");
		const char *length = strcasestr(answer, "content-length: ");
		if (body != NULL && length != NULL)
			whole = (size_t)(body + 4 - answer) +
				strtoul(length + strlen("content-length: "), NULL, 10);
	}
	assert(strncmp(answer, "HTTP/1.1 200", 12) == 0);
}

static void poll_once(SSL_SESSION **session)
{
	int fd = dial();
	SSL *ssl = SSL_new(t.ctx);
	size_t n;

	assert(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
	if (*session != NULL)
		assert(SSL_set_session(ssl, *session) == 1);
	assert(SSL_connect(ssl) == 1);
	assert(SSL_session_reused(ssl) == (*session != NULL));
	assert(SSL_write_ex(ssl, REQUEST, strlen(REQUEST), &n) == 1);
	read_answer(ssl);
	if (t.resumed) {
		SSL_SESSION_free(*session);
		*session = SSL_get1_session(ssl);
	}
	(void)SSL_shutdown(ssl); /* what the server says to it is not awaited */
	SSL_free(ssl);
	(void)close(fd); /* the answer was read */
	atomic_fetch_add(&t.served, 1);
}

static void *work(void *arg)
{
	SSL_SESSION *session = NULL;

	(void)arg;
	while (now_s() < t.end_s)
		poll_once(&session);
	SSL_SESSION_free(session);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS_MAX];
	int n = argc > 4 ? atoi(argv[4]) : 8;

	assert(argc > 3 && n > 0 && n <= THREADS_MAX);
	t.to = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((in_port_t)atoi(argv[1])),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	t.end_s = now_s() + atof(argv[2]);
	t.resumed = strcmp(argv[3], "resumed") == 0;
	t.ctx = SSL_CTX_new(TLS_client_method());
	assert(t.ctx != NULL && SSL_CTX_set_min_proto_version(t.ctx, TLS1_3_VERSION) == 1);
	for (int i = 0; i < n; i++)
		assert(pthread_create(&thread[i], NULL, work, NULL) == 0);
	for (int i = 0; i < n; i++)
		assert(pthread_join(thread[i], NULL) == 0);
	(void)printf("%lu\n", atomic_load(&t.served));
	SSL_CTX_free(t.ctx);
	return 0;
}
