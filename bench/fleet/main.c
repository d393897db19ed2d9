/* SPDX-License-Identifier: Apache-2.0 */
/* fleet: N simulated phones in one process, each with its own SDK, against a real server. */
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/fleet/run.h"

#define ROOT_MAX 65536
#define STEP_MS  10

/* ---- what happened ---- */

struct tally {
	unsigned on, ran, crashed, bricked;
};

static struct tally tally_of(const struct run *r, unsigned build)
{
	const char *id = r->fleet.model.builds[build].id;
	struct tally t = { 0 };

	for (unsigned i = 0; i < r->n; i++) {
		const struct phone *p = &r->phones[i];
		bool bricked = p->life == PHONE_BRICKED && strcmp(p->next, id) == 0;
		t.on += p->life != PHONE_BRICKED && strcmp(p->build, id) == 0;
		t.ran += p->past[build].ran || bricked;
		t.crashed += p->past[build].crashed;
		t.bricked += bricked;
	}
	return t;
}

static void write_status(const struct run *r, FILE *out)
{
	struct net_counts c = net_counts(r->fleet.net);
	unsigned enrolled = 0, offered = 0, ring[4] = { 0 };
	uint64_t fetched = 0;
	struct rusage u;

	for (unsigned i = 0; i < r->n; i++) {
		struct huidu_status s;
		fetched += r->phones[i].fetched;
		offered += r->phones[i].offered;
		if (r->phones[i].device == NULL)
			continue;
		huidu_status(r->phones[i].device, &s);
		enrolled += s.enrolled != 0;
		ring[s.ring]++;
	}
	(void)getrusage(RUSAGE_SELF, &u);
	(void)fprintf(out,
		"{\"schema\":\"huidu.fleet/1\",\"phones\":%u,\"enrolled\":%u,"
		"\"offered\":%u,",
		r->n, enrolled, offered);
	(void)fprintf(out, "\"rings\":[%u,%u,%u,%u],\"seconds\":%.1f,", ring[0], ring[1], ring[2],
		ring[3], (double)(phone_now_ms() - r->started_ms) / 1000);
	(void)fprintf(out,
		"\"requests\":%llu,\"failed\":%llu,\"handshakes\":%llu,\"resumed\":%llu,"
		"\"fetched\":%" PRIu64 ",\"refused\":%llu,\"cpu_s\":%.3f,\"builds\":[",
		c.requests, c.failed, c.handshakes, c.resumed, fetched, r->fleet.refused,
		(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	for (unsigned b = 0; b < r->fleet.model.n_builds; b++) {
		struct tally t = tally_of(r, b);
		(void)fprintf(out,
			"%s{\"build\":\"%s\",\"on\":%u,\"ran\":%u,\"crashed\":%u,"
			"\"bricked\":%u}",
			b > 0 ? "," : "", r->fleet.model.builds[b].id, t.on, t.ran, t.crashed,
			t.bricked);
	}
	(void)fprintf(out, "]}\n");
}

/* Replaced as a whole: a reader never sees half of it. */
static void save_status(const struct run *r)
{
	char next[512];
	FILE *f;

	(void)snprintf(next, sizeof(next), "%s.next", r->status_path);
	f = fopen(next, "w");
	if (f == NULL)
		return; /* the last one stands */
	write_status(r, f);
	if (fclose(f) == 0)
		(void)rename(next, r->status_path);
}

/* A line a phone: its id, and the number of the last event the server acknowledged. */
static void dump(const struct run *r)
{
	FILE *f = fopen(r->dump_path, "w");

	if (f == NULL) {
		perror(r->dump_path);
		exit(1);
	}
	for (unsigned i = 0; i < r->n; i++) {
		struct huidu_status s;
		if (r->phones[i].device == NULL)
			continue;
		huidu_status(r->phones[i].device, &s);
		for (unsigned b = 0; b < sizeof(s.device_id); b++)
			(void)fprintf(f, "%02x", s.device_id[b]);
		(void)fprintf(f, " %u\n", s.acknowledged);
	}
	if (fclose(f) != 0)
		perror(r->dump_path);
}

static void save_polls(const struct run *r, const char *path, size_t at)
{
	FILE *f = fopen(path, "w");

	if (f == NULL) {
		perror(path);
		exit(1);
	}
	for (unsigned i = 0; i < r->n; i++) {
		const struct phone_poll *p = (const void *)((const uint8_t *)&r->phones[i] + at);
		uint8_t n[4] = { (uint8_t)(p->n >> 24), (uint8_t)(p->n >> 16), (uint8_t)(p->n >> 8),
			(uint8_t)p->n };
		if (p->n > 0) {
			(void)fwrite(n, sizeof(n), 1, f); /* fclose() tells */
			(void)fwrite(p->bytes, p->n, 1, f);
		}
	}
	if (ferror(f) != 0 || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void save_all_polls(const struct run *r)
{
	char first[512];

	(void)snprintf(first, sizeof(first), "%s.first", r->polls_path);
	save_polls(r, first, offsetof(struct phone, first));
	save_polls(r, r->polls_path, offsetof(struct phone, newest));
}

/* ---- running ---- */

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;
	uint64_t now_ms = phone_now_ms();

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < r->n; i++)
		phone_step(&r->phones[i], now_ms);
	if (r->status_path != NULL && now_ms >= r->next_status_ms) {
		save_status(r);
		r->next_status_ms = now_ms + 1000;
	}
	if (r->end_ms != 0 && now_ms >= r->end_ms)
		(void)event_base_loopbreak(r->base);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)what;
	(void)event_base_loopbreak(r->base);
}

static enum huidu_ring wish_of(const struct run *r, unsigned i)
{
	for (unsigned ring = 0; ring < 3; ring++) {
		if (i < r->wish[ring])
			return (enum huidu_ring)ring;
		i -= r->wish[ring];
	}
	return HUIDU_STABLE;
}

static void read_root(struct run *r)
{
	static uint8_t root[ROOT_MAX];
	FILE *f = fopen(r->root_path, "r");

	if (f == NULL) {
		perror(r->root_path);
		exit(2);
	}
	r->fleet.root = root;
	r->fleet.root_len = fread(root, 1, sizeof(root), f);
	(void)fclose(f);
}

static void run(struct run *r)
{
	struct timeval step = { 0, STEP_MS * 1000 };
	struct event *tick, *term, *interrupt;

	r->base = event_base_new();
	r->fleet.net = net_new(r->base, &r->net);
	r->fleet.crypto = fleet_crypto_new();
	r->fleet.scratch = malloc(HUIDU_SCRATCH);
	r->phones = calloc(r->n, sizeof(*r->phones));
	if (r->base == NULL || r->fleet.scratch == NULL || r->phones == NULL) {
		(void)fprintf(stderr, "fleet: out of memory\n");
		exit(1);
	}
	r->started_ms = phone_now_ms();
	if (r->end_ms != 0)
		r->end_ms += r->started_ms;
	for (unsigned i = 0; i < r->n; i++) {
		phone_init(&r->phones[i], &r->fleet, wish_of(r, i));
		/* Nobody switches all phones on in one moment. */
		r->phones[i].due_ms =
			r->started_ms + (uint64_t)(model_random(&r->fleet.model) * r->spread_ms);
	}
	tick = event_new(r->base, -1, EV_PERSIST, on_step, r);
	term = evsignal_new(r->base, SIGTERM, on_signal, r);
	interrupt = evsignal_new(r->base, SIGINT, on_signal, r);
	(void)event_add(tick, &step);
	(void)event_add(term, NULL);
	(void)event_add(interrupt, NULL);
	(void)event_base_dispatch(r->base);
	if (r->status_path != NULL)
		save_status(r);
	if (r->dump_path != NULL)
		dump(r);
	if (r->polls_path != NULL)
		save_all_polls(r);
	write_status(r, stdout);
	event_free(tick);
	event_free(term);
	event_free(interrupt);
	for (unsigned i = 0; i < r->n; i++)
		phone_release(&r->phones[i]);
	net_free(r->fleet.net);
	fleet_crypto_free(r->fleet.crypto);
	event_base_free(r->base);
	free(r->phones);
	free(r->fleet.scratch);
}

int main(int argc, char **argv)
{
	static struct run r = RUN_DEFAULTS;

	run_options(&r, argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	read_root(&r);
	run(&r);
	return 0;
}
