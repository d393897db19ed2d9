/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash-lab: records a scripted run of server, signer and a phone, and then, for each moment of it and
 * all that the disk may hold if the power goes there, starts a server on that and checks what was
 * promised (tests/crash/disk.h has the model, docs/store.md the invariants).
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "tests/crash/lab.h"
#include "tests/lib/scratch.h"

static const char usage[] =
	"usage: crash-lab [--full] [--seed N] [--workers N] [--seconds N] [--from MOMENT] [--keep DIR]\n"
	"       crash-lab --self-test              lies that the lab must see through\n"
	"       crash-lab [--seed N] --state ID    one state; the run is recorded again\n"
	"       crash-lab --run DIR --state ID     one state of a run that was kept\n";

static const struct states_effort quick = { .samples = 256, .random = 75, .bytes = 7 };
static const struct states_effort full = {
	.samples = 4096, .random = 1000, .bytes = 1, .masks = true
};
static const struct states_effort little = { .samples = 16, .random = 0, .bytes = 1000 };

struct options {
	bool full, self_test;
	unsigned workers, seconds, from;
	unsigned long long seed;
	const char *keep, *run, *state;
	const char *self; /* path of this program */
};

/* ---- recording ---- */

static void record(const struct options *o, const char *folder)
{
	char *command, *program = mem_strdup(o->self), *slash = strrchr(program, '/');

	if (slash != NULL)
		*slash = '\0';
	command = mem_printf("'%s'/crash-recorder.so", slash != NULL ? program : ".");
	command = mem_printf("rm -rf '%s/base' '%s/trace' '%s'/huidu-test-* && HUIDU_TESTS_IN='%s' "
			     "" TRACE_ENV "='%s/trace' LD_PRELOAD=%s '%s' --record '%s/base' "
			     "%llu >'%s/where'",
		folder, folder, folder, folder, folder, command, o->self, folder, o->seed, folder);
	if (system(command) != 0) {
		(void)fprintf(stderr, "crash lab: the run that was to be recorded failed\n");
		exit(1);
	}
	free(command);
	free(program);
}

/* What the trace says there is in the end, there is: no change went unseen. */
static bool is_complete(const char *folder)
{
	static const struct state_id end = { 0, STATE_PREFIX, 0 };
	char *trace = mem_printf("%s/trace", folder), *base = mem_printf("%s/base", folder);
	char *copy = mem_printf("%s/end", folder);
	char *command = mem_printf(
		"rm -rf '%s' && cp -r '%s' '%s' && rm -rf '%s/phone/'*", copy, base, copy, copy);
	struct disk d;
	struct relic relic;
	struct pick *pick;
	int rc = system(command);

	disk_load(&d, base, trace, LIE_NONE);
	disk_go(&d, d.n_moments);
	pick = mem_zalloc((d.n_open + 1) * sizeof(*pick));
	state_picks(&d, &end, pick);
	relic_init(&relic, &d);
	for (size_t i = 0; i < d.n_open; i++)
		pick[i].how = PICK_ALL;
	relic_build(&relic, d.n_moments, pick);
	free(command);
	command = mem_printf("mkdir -p '%s/phone'; exit 0", copy);
	rc |= system(command);
	relic_write(&relic, copy);
	free(command);
	command = mem_printf("diff -r -x lock.mdb '%s' \"$(cat '%s/where')\" && rm -rf '%s'", copy,
		folder, copy);
	rc |= system(command);
	if (rc != 0)
		(void)fprintf(stderr, "crash lab: the trace misses something\n");
	(void)printf("recorded: %" PRIu32 " moments, %zu changes\n", d.n_moments, d.n_ops);
	relic_release(&relic);
	return rc == 0;
}

/* ---- what came of it ---- */

static uint64_t tried(const struct tally *t)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < STATE__COUNT; i++)
		n += t->tried[i];
	return n;
}

/* Of all processes that have ended, and this one. */
static time_t cpu_seconds(void)
{
	struct rusage self, others;

	if (getrusage(RUSAGE_SELF, &self) != 0 || getrusage(RUSAGE_CHILDREN, &others) != 0)
		return 0;
	return self.ru_utime.tv_sec + self.ru_stime.tv_sec + others.ru_utime.tv_sec +
		others.ru_stime.tv_sec;
}

static void show(const struct lab *l, time_t seconds)
{
	const struct tally *t = l->tally;
	size_t shown = t->n_findings < LAB_FINDINGS ? t->n_findings : LAB_FINDINGS;
	char name[64];

	if ((uint32_t)t->next_moment < l->disk.n_moments)
		(void)printf("stopped at moment %" PRIu32 "\n", (uint32_t)t->next_moment);
	(void)printf("states tried: %" PRIu64 ", %" PRIu64
		     " of them distinct, in %ld s; %ld s of CPU\n",
		tried(t), (uint64_t)t->distinct, (long)seconds, (long)cpu_seconds());
	for (unsigned i = 0; i < STATE__COUNT; i++)
		(void)printf("  %-8s %10" PRIu64 "\n", state_class_str((enum state_class)i),
			(uint64_t)t->tried[i]);
	(void)printf("files opened: %" PRIu64 ", servers started: %" PRIu64 "\n",
		(uint64_t)t->looks, (uint64_t)t->starts);
	(void)printf("torn meta pages refused: %" PRIu64 "\n", (uint64_t)t->detected);
	for (size_t i = 0; i < LAB_REASONS && t->reason[i].n > 0; i++)
		(void)printf("  %6" PRIu64 " %s\n", t->reason[i].n, t->reason[i].text);
	(void)printf("violations: %" PRIu64 "\n", (uint64_t)t->violations);
	for (size_t i = 0; i < shown; i++) {
		state_str(&t->finding[i].id, name);
		(void)printf(
			"  %s (%s): %s\n", name, t->finding[i].step, t->finding[i].verdict.text);
	}
}

static uint64_t try_all(struct lab *l)
{
	time_t started = time(NULL);

	lab_run(l);
	show(l, time(NULL) - started);
	return l->tally->violations;
}

/* ---- lies ---- */

static const char *const lies[LIE__COUNT] = {
	[LIE_LEDGER] = "the ledger is not synced",
	[LIE_STORE] = "the store's pages are not synced",
	[LIE_META] = "the store's meta page is not synced",
	[LIE_ARTIFACT] = "an artifact is not synced",
	[LIE_IMPORT] = "the rows of a fleet are not synced",
	[LIE_FOLDER] = "folders are not synced",
	[LIE_PHONE] = "the phone's state is not synced",
	[LIE_EARLY] = "promises come before the commit",
};

static unsigned self_test(const struct options *o, const char *folder, unsigned *passed)
{
	unsigned failed = 0;

	for (unsigned lie = LIE_NONE + 1; lie < LIE__COUNT; lie++) {
		struct lab l = { .effort = little, .workers = o->workers, .stop_after = 1 };
		bool seen;
		lab_open(&l, folder, (enum disk_lie)lie);
		l.tally->next_moment = l.disk.first_lie; /* before it all is well */
		lab_run(&l);
		seen = l.tally->violations > 0;
		(void)printf("%s %s: %s\n", seen ? "ok    " : "FAILED", lies[lie],
			seen ? l.tally->finding[0].verdict.text : "not seen");
		(void)fflush(stdout);
		failed += !seen;
		*passed += seen;
		lab_close(&l);
	}
	return failed;
}

/* ---- the command line ---- */

static bool parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char **value = strcmp(argv[i], "--keep") == 0 ? &o->keep
			: strcmp(argv[i], "--run") == 0             ? &o->run
			: strcmp(argv[i], "--state") == 0           ? &o->state
								    : NULL;
		if (strcmp(argv[i], "--full") == 0)
			o->full = true;
		else if (strcmp(argv[i], "--self-test") == 0)
			o->self_test = true;
		else if (strcmp(argv[i], "--workers") == 0 && i + 1 < argc)
			o->workers = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			o->seconds = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
			o->from = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			o->seed = strtoull(argv[++i], NULL, 10);
		else if (value != NULL && i + 1 < argc)
			*value = argv[++i];
		else
			return false;
	}
	return o->workers > 0 && o->workers < LAB_WORKERS && (o->run == NULL || o->state != NULL);
}

static int one(const struct options *o, const char *folder)
{
	struct lab l = { .workers = 1 };
	struct state_id id;
	struct verdict v;

	if (!state_parse(o->state, &id))
		return 2;
	if (o->run == NULL)
		record(o, folder);
	lab_open(&l, folder, LIE_NONE);
	lab_one(&l, &id, &v);
	(void)printf("%s: %s\n", o->state, v.kind == VERDICT_GOOD ? "good" : v.text);
	return v.kind == VERDICT_GOOD ? 0 : 1;
}

/* What is needed to look at a state again stays. */
static void keep(struct options *o, const char *folder)
{
	char *command = mem_printf("rm -rf '%s'/worker-* '%s'/huidu-test-*", folder, folder);

	if (o->keep == NULL && system(command) != 0)
		(void)fprintf(stderr, "crash lab: %s: cannot be tidied up\n", folder);
	o->keep = folder;
	free(command);
	(void)printf("again: %s --seed %llu --state ID; and as long as %s is there, whatever the\n"
		     "program has become: %s --run %s --state ID\n",
		o->self, o->seed, folder, o->self, folder);
}

static int run(struct options *o, const char *folder)
{
	unsigned passed = 0, failed = 0;

	record(o, folder);
	failed += !is_complete(folder);
	passed += failed == 0;
	if (o->self_test) {
		failed += self_test(o, folder, &passed);
	} else {
		struct lab l = { .effort = o->full ? full : quick, .workers = o->workers };
		uint64_t violations;
		if (o->seconds > 0)
			l.until = time(NULL) + o->seconds;
		lab_open(&l, folder, LIE_NONE);
		l.tally->next_moment = o->from;
		violations = try_all(&l);
		failed += violations > 0;
		passed += violations == 0;
		if (violations > 0)
			keep(o, folder);
		lab_close(&l);
	}
	(void)printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}

int main(int argc, char **argv)
{
	struct options o = {
		.workers = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), .self = argv[0], .seed = 1
	};
	char folder[96], *command;
	int rc;

	if (argc == 4 && strcmp(argv[1], "--record") == 0)
		script_run(argv[2], strtoull(argv[3], NULL, 10), folder);
	if (o.workers >= LAB_WORKERS)
		o.workers = LAB_WORKERS - 1;
	if (!parse(argc, argv, &o)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (o.run != NULL)
		return one(&o, o.run);
	(void)snprintf(folder, sizeof(folder), "%s/huidu-crash-XXXXXX", scratch_base());
	if (o.keep == NULL && mkdtemp(folder) == NULL)
		return 2;
	if (o.keep != NULL)
		(void)snprintf(folder, sizeof(folder), "%s", o.keep);
	if (o.keep != NULL && mkdir(folder, 0700) != 0 && errno != EEXIST)
		return 2;
	rc = o.state != NULL ? one(&o, folder) : run(&o, folder);
	command = mem_printf("rm -rf '%s'", folder);
	if (o.keep == NULL)
		rc |= system(command);
	free(command);
	return rc;
}
