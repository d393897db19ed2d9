/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim [--seed N] [--days N] [--from N] [--seconds N | --years N] [--jobs N] [--real] [--self-test]
 * Worlds one after the other, each in a process of its own, until the time is over or as many years.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/fixed.h"
#include "tests/sim/world.h"

#define JOBS_MAX   8u
#define SEED_MAX_S 1200u
/* Worlds in which a defect must be seen. */
#define SEEN_IN 10u

static const char *const fault_name[] = {
#define FAULT(id, name) name,
#include "tests/sim/fault.def"
#undef FAULT
};

static const char *const defect_name[] = {
#define DEFECT(id, sentence) sentence,
#include "tests/sim/defect.def"
#undef DEFECT
};

struct options {
	uint64_t seed, from;
	unsigned days, seconds, years, jobs;
	bool one, self_test;
};

/* What a world leaves. */
struct result {
	uint64_t hash, ms, phones, polls, installs, reports, commands, refused, restarts, checks;
	uint64_t good_halted, bad_caught, releases;
	uint64_t faults[FAULT__COUNT];
};

struct child {
	pid_t pid;
	uint64_t seed;
};

static struct result *results; /* one a job, shared with it */

static double seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void leave(struct result *r)
{
	const struct world_sim *w = &world_sim;

	*r = (struct result){ .hash = w->hash,
		.ms = w->now_ms - w->start_ms,
		.phones = w->n_phones,
		.polls = w->polls,
		.installs = w->installs,
		.reports = w->reports,
		.commands = w->commands,
		.refused = w->refused,
		.restarts = w->restarts,
		.checks = w->checks,
		.good_halted = w->good_halted,
		.bad_caught = w->bad_caught,
		.releases = w->n_releases };
	memcpy(r->faults, w->faults, sizeof(r->faults));
}

static void hush(FILE *f)
{
	if (freopen("/dev/null", "w", f) == NULL)
		_exit(2);
}

/* In a process of its own, for what a server that dies leaves in memory is left. */
static pid_t begin(const struct options *o, unsigned slot, uint64_t seed, enum defect planted)
{
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid != 0)
		return pid;
	(void)alarm(SEED_MAX_S);
	if (getenv("SIM_VERBOSE") == NULL)
		hush(stderr);
	world_live(seed, o->days, planted);
	leave(&results[slot]);
	_exit(0);
}

static bool is_fine(uint64_t seed, int status, bool quiet)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (!quiet && WIFSIGNALED(status))
		(void)printf("seed %llu: died of signal %d\n", (unsigned long long)seed,
			WTERMSIG(status));
	if (!quiet)
		(void)printf("seed %llu: FAILED; again with: sim --seed %llu\n",
			(unsigned long long)seed, (unsigned long long)seed);
	return false;
}

static void add(struct result *sum, const struct result *r)
{
	const uint64_t *from = (const uint64_t *)r;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*r) / sizeof(uint64_t); i++)
		to[i] += from[i];
}

static void show(const struct result *r, unsigned worlds, double took)
{
	(void)printf("%u worlds, %.1f years, %.1f phone-years in %.0f s\n", worlds,
		(double)r->ms / 365 / (double)SIM_DAY_MS,
		(double)r->phones / worlds * (double)r->ms / 365 / (double)SIM_DAY_MS, took);
	(void)printf("%llu polls, %llu reports, %llu installs, %llu commands taken, %llu refused\n",
		(unsigned long long)r->polls, (unsigned long long)r->reports,
		(unsigned long long)r->installs, (unsigned long long)r->commands,
		(unsigned long long)r->refused);
	(void)printf("%llu releases, the gate halted %llu bad ones and %llu others; %llu starts, "
		     "%llu looks\n",
		(unsigned long long)r->releases, (unsigned long long)r->bad_caught,
		(unsigned long long)r->good_halted, (unsigned long long)r->restarts,
		(unsigned long long)r->checks);
	for (unsigned i = 0; i < FAULT__COUNT; i++)
		(void)printf("%s%s %llu%s", i % 6 == 0 ? "  " : "", fault_name[i],
			(unsigned long long)r->faults[i],
			i % 6 == 5 || i + 1 == FAULT__COUNT ? "\n" : ", ");
}

static int finish(unsigned passed, unsigned failed)
{
	(void)printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}

/* ---- one seed, twice ---- */

static int replay(const struct options *o)
{
	uint64_t hash[2] = { 0 };
	int status;

	for (unsigned i = 0; i < 2; i++) {
		double from = seconds();
		(void)waitpid(begin(o, 0, o->seed, DEFECT_NONE), &status, 0);
		if (!is_fine(o->seed, status, false))
			return finish(0, 1);
		hash[i] = results[0].hash;
		(void)printf("seed %llu: trace %016llx\n", (unsigned long long)o->seed,
			(unsigned long long)hash[i]);
		if (i == 1)
			show(&results[0], 1, seconds() - from);
	}
	if (hash[0] != hash[1])
		(void)printf("seed %llu: two runs differ\n", (unsigned long long)o->seed);
	return finish(hash[0] == hash[1], hash[0] != hash[1]);
}

/* ---- many ---- */

static bool is_over(const struct options *o, const struct result *sum, double took)
{
	if (o->years > 0)
		return sum->ms >= o->years * 365 * SIM_DAY_MS;
	return took >= o->seconds;
}

static unsigned reap(struct child *jobs, unsigned n_jobs, struct result *sum)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	for (unsigned i = 0; i < n_jobs; i++) {
		if (jobs[i].pid != pid)
			continue;
		jobs[i].pid = 0;
		if (!is_fine(jobs[i].seed, status, false))
			return 1;
		add(sum, &results[i]);
	}
	return 0;
}

static int many(const struct options *o)
{
	struct child jobs[JOBS_MAX] = { 0 };
	unsigned worlds = 0, running = 0, failed = 0;
	struct result sum = { 0 };
	double from = seconds();

	for (uint64_t seed = o->from; failed == 0 || running > 0;) {
		bool over = failed > 0 || is_over(o, &sum, seconds() - from);
		unsigned slot = 0;
		while (slot < o->jobs && jobs[slot].pid != 0)
			slot++;
		if (over && running == 0)
			break;
		if (!over && slot < o->jobs) {
			jobs[slot] = (struct child){ begin(o, slot, seed, DEFECT_NONE), seed };
			seed++;
			running++;
			continue;
		}
		failed += reap(jobs, o->jobs, &sum);
		running--;
		worlds++;
	}
	if (worlds > failed)
		show(&sum, worlds - failed, seconds() - from);
	(void)printf("seeds %llu to %llu\n", (unsigned long long)o->from,
		(unsigned long long)(o->from + worlds - 1));
	return finish(worlds - failed, failed);
}

/* ---- would it be seen? ---- */

/* A seed that fails as it is shows nothing. */
static bool is_fine_as_it_is(const struct options *o, uint64_t seed)
{
	static signed char known[64];
	int status;

	if (seed >= 64)
		return false;
	if (known[seed] == 0) {
		(void)waitpid(begin(o, 0, seed, DEFECT_NONE), &status, 0);
		known[seed] = is_fine(seed, status, false) ? 1 : -1;
	}
	return known[seed] > 0;
}

static bool is_seen(const struct options *o, enum defect d)
{
	double from = seconds();

	for (uint64_t seed = o->from; seed < o->from + SEEN_IN; seed++) {
		int status;
		if (!is_fine_as_it_is(o, seed))
			continue;
		(void)waitpid(begin(o, 0, seed, d), &status, 0);
		if (is_fine(seed, status, true))
			continue;
		(void)printf("ok     %s: seed %llu, %.0f s\n", defect_name[d],
			(unsigned long long)seed, seconds() - from);
		return true;
	}
	(void)printf("FAILED %s: not seen in %u worlds\n", defect_name[d], SEEN_IN);
	return false;
}

static int self_test(const struct options *o)
{
	unsigned passed = 0, failed = 0;

	for (unsigned d = DEFECT_NONE + 1; d < DEFECT__COUNT; d++)
		is_seen(o, (enum defect)d) ? passed++ : failed++;
	return finish(passed, failed);
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "from", required_argument, NULL, 'f' },
		{ "days", required_argument, NULL, 'd' },
		{ "seconds", required_argument, NULL, 't' },
		{ "years", required_argument, NULL, 'y' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "real", no_argument, NULL, 'r' },
		{ "self-test", no_argument, NULL, 'S' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint64_t n = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;
		switch (c) {
		case 's':
			o->one = true;
			o->seed = n;
			break;
		case 'f':
			o->from = n;
			break;
		case 'd':
			o->days = (unsigned)n;
			break;
		case 't':
			o->seconds = (unsigned)n;
			break;
		case 'y':
			o->years = (unsigned)n;
			break;
		case 'j':
			o->jobs = n > 0 && n <= JOBS_MAX ? (unsigned)n : 1;
			break;
		case 'r':
			fixed_real = true;
			break;
		case 'S':
			o->self_test = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	struct options o = { .from = 1, .seconds = 60, .jobs = 1 };

	if (!parse(argc, argv, &o)) {
		(void)fprintf(stderr,
			"usage: sim [--seed N | --self-test] [--from SEED] [--days N]\n"
			"           [--seconds N | --years N] [--jobs N] [--real]\n");
		return 2;
	}
	results = mmap(NULL, JOBS_MAX * sizeof(*results), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED)
		return 2;
	return o.one ? replay(&o) : o.self_test ? self_test(&o) : many(&o);
}
