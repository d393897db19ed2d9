/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target where there is no libFuzzer: over its corpus, and then over damaged inputs of
 * it until the time is up.
 *
 *     fuzz-NAME CORPUS SECONDS [SEED]
 *     fuzz-NAME FILE
 *
 * When the process dies the input is in "crash-NAME".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rng.h"

#define INPUT_MAX 16384u
#define FILES_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct input {
	uint8_t *p;
	size_t n;
} corpus[FILES_MAX], now;
static size_t n_corpus;
static char crash[256];

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void on_death(int sig)
{
	int fd = open(crash, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	/* Nothing can be done about it here. */
	if (fd >= 0 && write(fd, now.p, now.n) >= 0)
		(void)close(fd);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

/* Each in memory of its own length, so that a sanitizer sees one byte too many. */
static void run(const uint8_t *p, size_t n)
{
	now = (struct input){ malloc(n > 0 ? n : 1), n };
	if (now.p == NULL)
		die("malloc");
	memcpy(now.p, p, n);
	(void)LLVMFuzzerTestOneInput(now.p, n); /* always 0 */
	free(now.p);
	now = (struct input){ NULL, 0 };
}

static void read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	struct input *in = &corpus[n_corpus++];

	if (f == NULL)
		die(path);
	in->p = malloc(INPUT_MAX);
	if (in->p == NULL)
		die("malloc");
	in->n = fread(in->p, 1, INPUT_MAX, f);
	(void)fclose(f); /* only read */
}

static void read_corpus(const char *path)
{
	DIR *dir = opendir(path);

	if (dir == NULL && errno != ENOTDIR)
		die(path);
	if (dir == NULL) {
		read_file(path);
		return;
	}
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		char name[1024];
		int n = snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (e->d_name[0] != '.' && n < (int)sizeof(name) && n_corpus < FILES_MAX)
			read_file(name);
	}
	(void)closedir(dir);
}

/* One damage; returns the new length. */
static size_t damage(struct rng *r, uint8_t *p, size_t n)
{
	size_t at = n > 0 ? rng_below(r, n) : 0, len = 1 + rng_below(r, 16);
	const struct input *other = &corpus[rng_below(r, n_corpus)];
	size_t from = other->n > 0 ? rng_below(r, other->n) : 0;
	size_t cut = len < n - at ? len : n - at;

	switch (n == 0 ? 2 : rng_below(r, 6)) {
	case 0:
		p[at] ^= (uint8_t)(1u << rng_below(r, 8));
		return n;
	case 1:
		p[at] = (uint8_t)rng_u64(r);
		return n;
	case 2: /* some bytes more */
		if (n + len > INPUT_MAX)
			return n;
		memmove(p + at + len, p + at, n - at);
		rng_fill(r, p + at, len);
		return n + len;
	case 3: /* some less */
		memmove(p + at, p + at + cut, n - at - cut);
		return n - cut;
	case 4: /* some of it elsewhere */
		memmove(p + rng_below(r, n - cut + 1), p + at, cut);
		return n;
	default: /* the rest from another */
		len = other->n - from < INPUT_MAX - at ? other->n - from : INPUT_MAX - at;
		memcpy(p + at, other->p + from, len);
		return at + len;
	}
}

static void mutate(struct rng *r)
{
	static uint8_t copy[INPUT_MAX];
	const struct input *in = &corpus[rng_below(r, n_corpus)];
	size_t n = in->n;

	memcpy(copy, in->p, n);
	for (uint64_t k = 1 + rng_below(r, 4); k > 0; k--)
		n = damage(r, copy, n);
	run(copy, n);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		die("clock_gettime");
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	uint64_t seconds = argc > 2 ? strtoull(argv[2], NULL, 10) : 0, tried = 0, end;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
	struct rng r = { seed };
	const char *name = strrchr(argv[0], '/');

	if (argc < 2) {
		(void)fprintf(stderr, "usage: %s CORPUS|FILE [SECONDS [SEED]]\n", argv[0]);
		return 2;
	}
	(void)snprintf(crash, sizeof(crash), "crash-%s", name != NULL ? name + 1 : argv[0]);
	(void)signal(SIGABRT, on_death);
	(void)signal(SIGSEGV, on_death);
	read_corpus(argv[1]);
	printf("%zu inputs, seed %llu\n", n_corpus, (unsigned long long)seed);
	(void)fflush(stdout);
	for (size_t i = 0; i < n_corpus; i++)
		run(corpus[i].p, corpus[i].n);
	end = now_ms() + 1000 * seconds;
	for (; n_corpus > 0 && now_ms() < end; tried++)
		mutate(&r);
	printf("%llu damaged\n", (unsigned long long)tried);
	for (size_t i = 0; i < n_corpus; i++)
		free(corpus[i].p);
	return n_corpus > 0 ? 0 : 1;
}
