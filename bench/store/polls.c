/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polls of known devices drawn at random, each with its own MAC, over connections that are kept.
 * They are a poll that was saved, sealed anew.  Prints how many were answered, and how fast.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/store/store.h"
#include "server/base/mem.h"

#define CONNECTIONS 32u
#define REQUEST_MAX 1024u
#define TIMES_MAX   4000000u

struct loader {
	const struct place *place;
	struct epochs epochs;
	struct crypto_mac *mac;
	uint8_t sealed[512];
	size_t sealed_n, id_at, mac_at;
	struct bytes body; /* of the poll, in `sealed` */
	uint64_t draws;
	int fd[CONNECTIONS];
	double sent_us[CONNECTIONS];
	float *times_us;
	size_t answered;
};

/* The saved poll, and where in it stand what is replaced. */
static void read_saved(struct loader *l, const char *path)
{
	uint8_t scratch[4096];
	struct arena a = { scratch, sizeof(scratch), 0 };
	FILE *f = fopen(path, "rb");
	const Pb__Sealed *m;
	int err;

	must(f == NULL ? ERR_NOT_FOUND : 0, path);
	l->sealed_n = fread(l->sealed, 1, sizeof(l->sealed), f);
	(void)fclose(f); /* it was read */
	m = wire_read(
		&pb__sealed__descriptor, bytes_of(l->sealed, l->sealed_n), &wire_device, &a, &err);
	must(m == NULL ? err : 0, path);
	must(m->device_id.len == ID_LEN && m->mac.len == MAC_LEN ? 0 : ERR_BAD_MAC, path);
	l->id_at = (size_t)((uint8_t *)memmem(l->sealed, l->sealed_n, m->device_id.data, ID_LEN) -
		l->sealed);
	l->mac_at = (size_t)((uint8_t *)memmem(l->sealed, l->sealed_n, m->mac.data, MAC_LEN) -
		l->sealed);
	l->body = bytes_of(memmem(l->sealed, l->sealed_n, m->body.data, m->body.len), m->body.len);
}

/* As the phone's SDK seals it. */
static void seal(struct loader *l)
{
	static const char domain[] = "huidu/report-key/v1", path[] = "/v1/poll";
	const struct epoch *e = epochs_newest(&l->epochs);
	uint8_t key[SHA256_LEN], mac[SHA256_LEN], *id = l->sealed + l->id_at;

	l->draws = l->draws * 6364136223846793005u + 1442695040888963407u;
	made_id((l->draws >> 24) % l->place->n, l->place->n, id);
	struct bytes of_key[] = { bytes_of(domain, sizeof(domain)), bytes_of(id, ID_LEN) };
	must(crypto_mac_sign(l->mac, bytes_of(e->secret, sizeof(e->secret)), of_key, 2, key),
		"key");
	struct bytes part[] = { bytes_of(path, sizeof(path)), l->body };
	must(crypto_mac_sign(l->mac, bytes_of(key, sizeof(key)), part, 2, mac), "mac");
	memcpy(l->sealed + l->mac_at, mac, MAC_LEN);
}

static int dial(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	must(fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 ? ERR_BUSY : 0,
		"connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* slower without it */
	return fd;
}

static void send_poll(struct loader *l, unsigned c)
{
	char request[REQUEST_MAX];
	int n;

	seal(l);
	n = snprintf(request, sizeof(request) - sizeof(l->sealed),
		"POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
		"Content-Length: %zu\r\n\r\n",
		l->sealed_n);
	memcpy(request + n, l->sealed, l->sealed_n);
	l->sent_us[c] = now_us();
	must(write(l->fd[c], request, (size_t)n + l->sealed_n) == n + (ssize_t)l->sealed_n
			? 0
			: ERR_BUSY,
		"send");
}

/* The head and as many bytes as it says. */
static void read_answer(struct loader *l, unsigned c)
{
	char answer[16384];
	size_t got = 0, whole = 0;

	while (whole == 0 || got < whole) {
		ssize_t n = read(l->fd[c], answer + got, sizeof(answer) - 1 - got);
		must(n <= 0 ? ERR_BUSY : 0, "the server hung up");
		got += (size_t)n;
		answer[got] = '\0';
		const char *body = strstr(answer, "\r\n\r\n");
		const char *length = strcasestr(answer, "content-length: ");
		if (whole == 0 && body != NULL && length != NULL)
			whole = (size_t)(body + 4 - answer) + strtoul(length + 16, NULL, 10);
	}
	must(strncmp(answer, "HTTP/1.1 200", 12) == 0 ? 0 : ERR_BAD_MAC, "poll");
	if (l->answered < TIMES_MAX)
		l->times_us[l->answered++] = (float)(now_us() - l->sent_us[c]);
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

static void run_slice(struct loader *l, double end_us)
{
	l->answered = 0;
	for (unsigned c = 0; c < CONNECTIONS; c++)
		send_poll(l, c);
	for (unsigned c = 0; now_us() < end_us; c = (c + 1) % CONNECTIONS) {
		read_answer(l, c);
		send_poll(l, c);
	}
	for (unsigned c = 0; c < CONNECTIONS; c++)
		read_answer(l, c);
	qsort(l->times_us, l->answered, sizeof(*l->times_us), compare);
	printf("{\"polls\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", l->answered,
		(double)l->times_us[l->answered / 2], (double)l->times_us[l->answered * 99 / 100]);
	(void)fflush(stdout); /* who reads it waits */
}

/* A slice for each line of standard input, which says how many seconds. */
int store_polls(const struct place *p, int argc, char **argv)
{
	static struct loader l;
	char line[32];

	(void)argc;
	l.place = p;
	l.draws = (uint64_t)getpid();
	l.mac = crypto_mac_new();
	l.times_us = mem_alloc(TIMES_MAX * sizeof(*l.times_us));
	must(epochs_read(p->config.online, &l.epochs, NULL), "epochs");
	read_saved(&l, argv[1]);
	for (unsigned c = 0; c < CONNECTIONS; c++)
		l.fd[c] = dial((unsigned)atoi(argv[0]));
	while (fgets(line, sizeof(line), stdin) != NULL)
		run_slice(&l, now_us() + 1e6 * atof(line));
	crypto_mac_free(l.mac);
	free(l.times_us);
	return 0;
}
