/* SPDX-License-Identifier: Apache-2.0 */
/* The n-th call fails: a story is told once to count its calls, then again with a fault at each n. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/log.h"
#include "server/trust/cryptomem.h"
#include "tests/crash/trial.h"

static const char *const phase_name[PHASES] = { "start", "serve" };
static const char *const role_name[FAULTS_ROLES] = { "server", "signer" };

static const struct kind kinds[] = {
	{ "ENOSPC", FAULTS_DISK, ENOSPC, false, 5 },
	{ "EIO", FAULTS_DISK, EIO, false, 5 },
	{ "EINTR", FAULTS_DISK, EINTR, false, 11 },
	{ "short", FAULTS_DISK, FAULTS_SHORT, false, 5 },
	{ "EMFILE", FAULTS_OPEN, EMFILE, false, 1 },
	{ "ENOMEM", FAULTS_MEMORY, ENOMEM, false, 301 },
	{ "ENOSPC from then on", FAULTS_DISK, ENOSPC, true, 7 },
	{ "EIO from then on", FAULTS_DISK, EIO, true, 11 },
	{ "EMFILE from then on", FAULTS_OPEN, EMFILE, true, 1 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- the run ---- */

static uint64_t passed, failed, outcomes[OUTCOMES];

static void tell_wrong(const struct trial *t)
{
	printf("FAILED fault-run --only '%s,%s,%s,%u': %s\n", t->kind->name, phase_name[t->phase],
		role_name[t->role], t->n, trial_notes()->notes.wrong);
	(void)fflush(stdout); /* it may be cut off */
	failed++;
}

/* Which n are tried: every so manieth from `first`, counted from 0. */
struct stride {
	unsigned first, step;
};

/* Until a telling has no such call any more. */
static void try_all(struct trial *t, uint32_t calls, struct stride stride)
{
	uint32_t runs = 0, met = 0;
	uint64_t before = failed;

	for (t->n = 1 + stride.first; t->n <= calls; t->n += stride.step) {
		bool this = trial_run(t, false);
		met += this;
		outcomes[trial_notes()->outcome] += this;
		runs++;
		if (trial_notes()->notes.wrong[0] != '\0')
			tell_wrong(t);
	}
	if (runs == 0)
		return;
	passed += failed == before;
	printf("%s %-20s %-6s %-6s %6u calls %6u runs %6u faults\n",
		failed == before ? "ok " : "   ", t->kind->name, phase_name[t->phase],
		role_name[t->role], calls, runs, met);
	(void)fflush(stdout);
}

static const struct kind *kind_find(const char *name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* "KIND,PHASE,ROLE,N", as it is printed; without N all of them. */
static bool parse(char *text, struct trial *t)
{
	char *field[4];

	for (unsigned i = 0; i < 4; i++)
		field[i] = strsep(&text, ",");
	if (field[2] == NULL)
		return false;
	t->kind = kind_find(field[0]);
	t->phase = strcmp(field[1], phase_name[PHASE_START]) == 0 ? PHASE_START : PHASE_SERVE;
	t->role = strcmp(field[2], role_name[FAULTS_SERVER]) == 0 ? FAULTS_SERVER : FAULTS_SIGNER;
	t->n = field[3] != NULL ? (uint32_t)strtoul(field[3], NULL, 10) : 0;
	return t->kind != NULL && (field[3] == NULL || t->n > 0);
}

static void run_one(struct trial *t)
{
	bool met;

	log_init("fault-run", LOG_LEVEL_INFO);
	met = trial_run(t, true);
	printf("%s; %s\n", met ? "the fault was met" : "there is no such call",
		trial_notes()->notes.wrong[0] != '\0' ? trial_notes()->notes.wrong
						      : "nothing is wrong");
	printf("%u steps, %u refused, %u of them done all the same\n", trial_notes()->notes.steps,
		trial_notes()->notes.refused, trial_notes()->notes.unpaid);
	failed += trial_notes()->notes.wrong[0] != '\0';
}

static void tell_all(void)
{
	printf("%lu went on, %lu did not start and said why, %lu ended for lack of memory, "
	       "%lu wrote nothing more until the next start\n",
		outcomes[OUTCOME_WENT_ON], outcomes[OUTCOME_REFUSED_START], outcomes[OUTCOME_ENDED],
		outcomes[OUTCOME_PANIC]);
	printf("%lu passed, %lu failed\n", passed, failed);
}

/* All n of one kind, in one phase, in one process. */
static void run_batch(struct trial *t, struct stride part)
{
	uint32_t calls[FAULTS_ROLES][FAULTS_CLASSES];

	trial_count(t->phase, calls);
	try_all(t, calls[t->role][t->kind->class], part);
	tell_all();
}

/* Where stride has left a choice, the seed makes it. */
static void run_all(bool full, unsigned seed)
{
	uint32_t calls[PHASES][FAULTS_ROLES][FAULTS_CLASSES];

	for (unsigned p = 0; p < PHASES; p++)
		trial_count((enum phase)p, calls[p]);
	for (size_t i = 0; i < KINDS; i++)
		for (unsigned p = 0; p < PHASES; p++)
			for (unsigned r = 0; r < FAULTS_ROLES; r++) {
				struct trial t = { &kinds[i], (enum phase)p, (enum faults_role)r,
					0 };
				unsigned step = full ? 1 : kinds[i].stride;
				try_all(&t, calls[p][r][kinds[i].class],
					(struct stride){ seed % step, step });
			}
	tell_all();
}

struct options {
	unsigned seed;
	bool full;
	char *only;
	struct stride part; /* of a batch, for several at a time */
	unsigned from;      /* its first n */
};

static bool read_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = { { "full", no_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 's' }, { "only", required_argument, NULL, 'o' },
		{ "part", required_argument, NULL, 'p' }, { "from", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'f')
			o->full = true;
		else if (option == 's')
			o->seed = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'o')
			o->only = optarg;
		else if (option == 'n')
			o->from = (unsigned)strtoul(optarg, NULL, 10);
		else if (option != 'p' ||
			sscanf(optarg, "%u/%u", &o->part.first, &o->part.step) != 2 ||
			o->part.first-- == 0 || o->part.first >= o->part.step)
			return false;
	}
	o->part.first += o->from > 0 ? o->from - 1 : 0;
	return true;
}

int main(int argc, char **argv)
{
	struct options o = { .part = { 0, 1 } };
	struct trial t;

	if (!read_options(argc, argv, &o) || (o.only != NULL && !parse(o.only, &t))) {
		(void)fprintf(stderr,
			"usage: fault-run [--full] [--seed N] "
			"[--only KIND,PHASE,ROLE[,N] [--part I/N] [--from N]]\n");
		return 2;
	}
	deployment_must(cryptomem_must() ? 0 : ERR_CRYPTO, "memory", "");
	trial_set_up();
	if (o.only == NULL)
		run_all(o.full, o.seed);
	else if (t.n > 0)
		run_one(&t);
	else
		run_batch(&t, o.part);
	trial_tear_down();
	return failed > 0;
}
