/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/lab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "tests/crash/worker.h"

#define SEEN_BITS    24u
#define STARTED_BITS 22u
#define STORE        "data/store/data.mdb"

static void *share(size_t n)
{
	void *p = mmap(
		NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static int await(pid_t pid)
{
	int status = -1;

	while (pid < 0 || waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			abort();
	return status;
}

/* Of a deliberate crash nothing is to be read. */
static void be_quiet(void)
{
	if (freopen("/dev/null", "w", stderr) == NULL)
		abort();
}

/*
 * LMDB writes its meta page last, and less than a sector of it; the first commits are another file's,
 * which becomes the store by its name.
 */
static bool commits(const struct relic *relic, const struct disk_op *op)
{
	const struct disk_file *f = relic_find(relic, STORE);

	if (f == NULL)
		return false;
	if (op->kind == DISK_NAME)
		return strcmp(relic->disk->name[op->name], STORE) == 0;
	return op->kind == DISK_WRITE && op->n < DISK_SECTOR && op->at < 2ull * DISK_PAGE &&
		op->file == (uint32_t)(f - relic->file);
}

/* What the store held after each commit, if no power fails: looked at in a process of its own. */
static void note_commits(struct lab *l, uint32_t *n)
{
	static const struct state_id nothing = { 0, STATE_PREFIX, 1 };
	struct state_id id = { 0, STATE_PREFIX, 0 };
	struct worker w;
	struct look look;

	worker_init(&w, l, LAB_WORKERS);
	for (; id.moment < l->disk.n_moments; id.moment++) {
		const struct disk_op *op;
		worker_go(&w, id.moment);
		op = disk_under_way(&l->disk, id.moment);
		if (id.moment > 0 && op == NULL)
			continue;
		worker_build(&w, id.moment == 0 ? &nothing : &id);
		if (id.moment > 0 && !commits(&w.relic, op))
			continue;
		worker_look(&w, &look);
		if (look.err != 0)
			_exit(1);
		l->commit[*n].digest = look.digest;
		l->commit[(*n)++].moment = id.moment;
	}
	_exit(0);
}

void lab_open(struct lab *l, const char *folder, enum disk_lie lie)
{
	char *trace = mem_printf("%s/trace", folder);
	uint32_t *n = share(sizeof(*n));
	pid_t pid;

	l->folder = folder;
	l->base = mem_printf("%s/base", folder);
	l->lie = lie;
	disk_load(&l->disk, l->base, trace, lie);
	l->commit = share((l->disk.n_moments + 1u) * sizeof(*l->commit));
	l->tally = share(sizeof(*l->tally));
	l->tally->seen = share(sizeof(uint64_t) << SEEN_BITS);
	l->tally->seen_mask = (1ull << SEEN_BITS) - 1;
	l->tally->started = share(sizeof(uint64_t) << STARTED_BITS);
	l->tally->started_mask = (1ull << STARTED_BITS) - 1;
	free(trace);
	pid = fork();
	if (pid == 0)
		note_commits(l, n);
	if (await(pid) != 0) {
		(void)fprintf(stderr, "crash lab: the store cannot be opened without any crash\n");
		abort();
	}
	l->n_commits = *n;
}

static pid_t begin(struct lab *l, unsigned number, int status)
{
	struct worker w;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	be_quiet();
	worker_init(&w, l, number);
	if (status != 0) {
		worker_go(&w, l->tally->worker[number].moment);
		worker_died(&w, status);
	}
	worker_run(&w);
	_exit(0);
}

void lab_run(struct lab *l)
{
	pid_t pid[LAB_WORKERS];
	unsigned running = l->workers;

	for (unsigned i = 0; i < l->workers; i++)
		pid[i] = begin(l, i, 0);
	while (running > 0) {
		int status;
		pid_t ended = wait(&status);
		for (unsigned i = 0; i < l->workers; i++) {
			if (ended != pid[i])
				continue;
			if (status == 0)
				running--;
			else
				pid[i] = begin(l, i, status);
		}
	}
}

void lab_one(struct lab *l, const struct state_id *id, struct verdict *out)
{
	struct worker w;

	worker_init(&w, l, 0);
	worker_go(&w, id->moment);
	worker_build(&w, id);
	worker_judge(&w, id, true, out);
}

void lab_close(struct lab *l)
{
	(void)munmap(l->tally->seen, sizeof(uint64_t) << SEEN_BITS);
	(void)munmap(l->tally->started, sizeof(uint64_t) << STARTED_BITS);
	(void)munmap(l->tally, sizeof(*l->tally));
	(void)munmap(l->commit, (l->disk.n_moments + 1u) * sizeof(*l->commit));
}
