/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front-load: connects, says `ready`, and then loads the server for a slice of time for each line
 * `SECONDS [RATE]` of standard input, and prints what happened; a rate makes it an open loop.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/front/load.h"

static const char usage_text[] =
	"usage: front-load --port N (--polls FILE | --get PATH) [options]\n"
	"  --tls             TLS 1.3; without it plaintext\n"
	"  --reuse WHAT      connection (one kept), ticket (new ones that resume), none (connection)\n"
	"  --connections N   at one time (64)\n"
	"  --offers FILE     a row for each answer: when it was asked and had, what it offers\n";

void die(const char *what)
{
	(void)fprintf(stderr, "front-load: %s\n", what);
	exit(1);
}

static void usage(void)
{
	(void)fputs(usage_text, stderr);
	exit(2);
}

static enum reuse reuse_of(const char *word)
{
	static const char *const words[] = {
		[REUSE_KEPT] = "connection", [REUSE_TICKET] = "ticket", [REUSE_NONE] = "none"
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0)
			return (enum reuse)i;
	usage();
	return REUSE_KEPT;
}

static void options(struct load *d, int argc, char **argv)
{
	static const struct option known[] = { { "port", 1, NULL, 'p' }, { "polls", 1, NULL, 'f' },
		{ "get", 1, NULL, 'g' }, { "tls", 0, NULL, 't' }, { "reuse", 1, NULL, 'r' },
		{ "connections", 1, NULL, 'n' }, { "offers", 1, NULL, 'o' }, { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'p')
			d->port = (in_port_t)atoi(optarg);
		else if (c == 'f')
			requests_read(d, optarg);
		else if (c == 'g')
			requests_get(d, optarg);
		else if (c == 't')
			d->tls = true;
		else if (c == 'r')
			d->reuse = reuse_of(optarg);
		else if (c == 'n')
			d->n = (unsigned)atoi(optarg);
		else if (c == 'o')
			d->offers = offers_open(optarg);
		else
			usage();
	}
	if (d->port == 0 || d->n == 0 || d->n_requests == 0)
		usage();
}

static double cpu_s(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u); /* cannot fail */
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void run_slice(struct load *d, double seconds)
{
	uint64_t begin = now_ns();
	double cpu = cpu_s(), elapsed_s;
	const struct slice *s = &d->slice;
	const struct histogram *h = &s->latency;

	load_slice(d, seconds);
	elapsed_s = (double)(now_ns() - begin) / 1e9;
	if (d->offers != NULL)
		offers_flush(d->offers);
	(void)printf(
		"{\"requests\": %llu, \"refused\": %llu, \"lost\": %llu, \"handshakes\": %llu, "
		"\"resumed\": %llu, \"bytes\": %llu, \"elapsed_s\": %.3f, \"busy\": %.3f, ",
		(unsigned long long)s->requests, (unsigned long long)s->refused,
		(unsigned long long)s->lost, (unsigned long long)s->handshakes,
		(unsigned long long)s->resumed, (unsigned long long)s->bytes, elapsed_s,
		(cpu_s() - cpu) / elapsed_s);
	(void)printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
		histogram_us(h, 0.5), histogram_us(h, 0.99), histogram_us(h, 0.999),
		(double)h->max_ns / 1e3);
	(void)fflush(stdout); /* who reads it waits */
}

int main(int argc, char **argv)
{
	static struct load d = { .n = 64 };
	struct rlimit files;
	char line[64];

	(void)signal(SIGPIPE, SIG_IGN);
	d.host.s_addr = htonl(INADDR_LOOPBACK);
	(void)getrlimit(RLIMIT_NOFILE, &files); /* cannot fail */
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files); /* as many as there are */
	options(&d, argc, argv);
	load_open(&d);
	load_warm(&d);
	(void)puts("ready");
	(void)fflush(stdout); /* who reads it waits */
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *end;
		double seconds = strtod(line, &end);
		d.rate = strtod(end, NULL);
		run_slice(&d, seconds);
	}
	load_close(&d);
	if (d.offers != NULL)
		offers_close(d.offers);
	requests_release(&d);
	return 0;
}
