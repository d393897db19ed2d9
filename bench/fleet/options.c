/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fleet/run.h"

static const char usage_text[] =
	"usage: fleet --server HOST:PORT --root FILE --repository NAME --product NAME [options]\n"
	"  --ca FILE          the server's certificate; without it plain HTTP\n"
	"  --phones N         how many (1000)\n"
	"  --core N --honour N --dev N   how many of them opt in to a ring (0)\n"
	"  --seed N           of all that is drawn (1)\n"
	"  --day SECONDS      how long a simulated day lasts (86400)\n"
	"  --crashes RATE     first-order crash rate of a phone and day (0.01)\n"
	"  --build ID:crash=RATIO,boot_fail=SHARE,brick=SHARE   what a build does\n"
	"  --poll-min SECONDS the SDK's lower bound of the poll interval (1)\n"
	"  --spread MS        over which phones are switched on (1000)\n"
	"  --connections N    at one time (64); --reconnect: a new one each request\n"
	"  --status FILE      written every second; the same goes to stdout at the end\n"
	"  --dump FILE        at the end: a line a phone, its id and last acknowledged event\n"
	"  --save-poll FILE   the body of the newest poll, for a load generator\n"
	"  --save-polls FILE  at the end: the newest poll of each phone, each after its length (u32,\n"
	"                     big-endian); to FILE.first the first ones, of phones that hold nothing\n"
	"  --seconds N        end after so long; SIGTERM ends it too\n"
	"  --verbose          say what the SDK refused\n";

static void usage(void)
{
	(void)fputs(usage_text, stderr);
	exit(2);
}

static unsigned number(const char *s)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (*end != '\0' || end == s || v > 100000000) {
		(void)fprintf(stderr, "fleet: '%s' is no number\n", s);
		exit(2);
	}
	return (unsigned)v;
}

static void set_server(struct run *r, char *s)
{
	char *colon = strrchr(s, ':');

	if (colon == NULL) {
		usage();
		return;
	}
	*colon = '\0';
	r->net.host = s;
	r->net.port = number(colon + 1);
}

static void set_build(struct run *r, char *s)
{
	if (!model_parse(&r->fleet.model, s)) {
		(void)fprintf(stderr, "fleet: '%s' is not ID:crash=RATIO,...\n", s);
		exit(2);
	}
}

static void set_seed(struct run *r, char *s)
{
	r->fleet.model.state = 88172645463325252ull + number(s);
}

static void set_day(struct run *r, char *s)
{
	r->fleet.model.day_ms = 1000.0 * number(s);
}

static void set_crashes(struct run *r, char *s)
{
	r->fleet.model.crashes_per_day = strtod(s, NULL);
}

static void set_seconds(struct run *r, char *s)
{
	r->end_ms = 1000ull * number(s);
}

static void set_polls(struct run *r, char *s)
{
	r->polls_path = s;
	r->fleet.keep_polls = true;
}

static void help(struct run *r, char *s)
{
	(void)r;
	(void)s;
	(void)fputs(usage_text, stdout);
	exit(0);
}

enum kind { TEXT, COUNT, FLAG, CALL };

/* A member of struct run, or a function that knows what to do. */
static const struct setting {
	const char *name;
	enum kind kind;
	size_t at;
	void (*call)(struct run *r, char *s);
} settings[] = {
	{ "server", CALL, 0, set_server },
	{ "ca", TEXT, offsetof(struct run, net.ca), NULL },
	{ "root", TEXT, offsetof(struct run, root_path), NULL },
	{ "repository", TEXT, offsetof(struct run, fleet.repository), NULL },
	{ "product", TEXT, offsetof(struct run, fleet.product), NULL },
	{ "phones", COUNT, offsetof(struct run, n), NULL },
	{ "core", COUNT, offsetof(struct run, wish[0]), NULL },
	{ "honour", COUNT, offsetof(struct run, wish[1]), NULL },
	{ "dev", COUNT, offsetof(struct run, wish[2]), NULL },
	{ "seed", CALL, 0, set_seed },
	{ "day", CALL, 0, set_day },
	{ "crashes", CALL, 0, set_crashes },
	{ "build", CALL, 0, set_build },
	{ "poll-min", COUNT, offsetof(struct run, fleet.poll_min_s), NULL },
	{ "spread", COUNT, offsetof(struct run, spread_ms), NULL },
	{ "connections", COUNT, offsetof(struct run, net.connections), NULL },
	{ "reconnect", FLAG, offsetof(struct run, net.reconnect), NULL },
	{ "status", TEXT, offsetof(struct run, status_path), NULL },
	{ "dump", TEXT, offsetof(struct run, dump_path), NULL },
	{ "save-poll", TEXT, offsetof(struct run, fleet.save_poll), NULL },
	{ "save-polls", CALL, 0, set_polls },
	{ "seconds", CALL, 0, set_seconds },
	{ "verbose", FLAG, offsetof(struct run, fleet.verbose), NULL },
	{ "help", CALL, 0, help },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static void set(struct run *r, const struct setting *s, char *arg)
{
	void *member = (char *)r + s->at;

	switch (s->kind) {
	case TEXT:
		*(const char **)member = arg;
		return;
	case COUNT:
		*(unsigned *)member = number(arg);
		return;
	case FLAG:
		*(int *)member = 1;
		return;
	case CALL:
		s->call(r, arg);
		return;
	}
}

void run_options(struct run *r, int argc, char **argv)
{
	struct option options[SETTINGS + 1] = { 0 };
	int i;

	for (size_t k = 0; k < SETTINGS; k++) {
		bool alone = settings[k].kind == FLAG || settings[k].call == help;
		options[k] = (struct option){ settings[k].name,
			alone ? no_argument : required_argument, NULL, (int)k };
	}
	while ((i = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (i == '?')
			usage();
		set(r, &settings[i], optarg);
	}
	if (r->net.host == NULL || r->root_path == NULL || r->fleet.repository == NULL ||
		r->fleet.product == NULL || r->n == 0 || r->net.connections == 0)
		usage();
}
