/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of each state that is another one by its bytes, a start's own code opens the store and the ledger;
 * of each that is another one by what that code found in them, or by what was promised, a whole server
 * is started.
 */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "tests/crash/worker.h"

#define STORE       "data/store/data.mdb"
#define LEDGER      "ledger"
#define CACHE_SIZE  (1u << 14) /* the newer look takes the older one's place */
#define START_LIMIT 60u        /* seconds */

/* ---- sets of hashes that workers share ---- */

static bool is_new(_Atomic uint64_t *set, uint64_t mask, uint64_t hash)
{
	if (hash == 0)
		hash = 1;
	for (uint64_t i = hash & mask;; i = (i + 1) & mask) {
		uint64_t have = atomic_load(&set[i]);
		if (have == 0 && atomic_compare_exchange_strong(&set[i], &have, hash))
			return true;
		if (have == hash)
			return false;
	}
}

/* ---- one file ---- */

static const struct look *look_at(struct worker *w, bool store)
{
	const char *path = store ? STORE : LEDGER;
	const struct disk_file *f = relic_find(&w->relic, path);
	uint64_t hash = f == NULL ? 1 : relic_hash_file(f) | 2;
	struct cached *c = &(store ? w->stores : w->ledgers)[hash % CACHE_SIZE];
	char *file;

	if (c->hash == hash)
		return &c->look;
	atomic_fetch_add(&w->lab->tally->looks, 1);
	file = mem_printf("%s/look/%s", w->folder, store ? "store/data.mdb" : "ledger");
	(void)unlink(file);
	if (f != NULL)
		relic_write_file(f, file);
	if (store)
		*strrchr(file, '/') = '\0';
	if (store)
		look_store(file, &c->look);
	else
		look_ledger(file, &c->look);
	c->hash = hash;
	free(file);
	return &c->look;
}

void worker_look(struct worker *w, struct look *out)
{
	*out = *look_at(w, true);
}

/* ---- a whole start ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	/* The folder that all is in stays. */
	return at->level > 0 ? remove(path) : 0;
}

/* What the server before left; keys and configuration stay. */
static void remove_all(const char *run)
{
	static const char *const folders[] = { "data", "phone" };
	char *path = mem_printf("%s/" LEDGER, run);

	(void)unlink(path);
	free(path);
	for (size_t i = 0; i < 2; i++) {
		path = mem_printf("%s/%s", run, folders[i]);
		(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		if (i == 0)
			(void)rmdir(path);
		free(path);
	}
}

static void put_in_place(struct worker *w)
{
	char *run = mem_printf("%s/run", w->folder);

	remove_all(run);
	relic_write(&w->relic, run);
	free(run);
}

static void start(struct worker *w, struct verdict *out)
{
	char *run = mem_printf("%s/run", w->folder);
	int status = 0;
	pid_t pid;

	put_in_place(w);
	atomic_fetch_add(&w->lab->tally->starts, 1);
	*w->verdict = (struct verdict){ VERDICT_DIED, "it ended" };
	pid = fork();
	if (pid == 0) {
		(void)alarm(START_LIMIT);
		start_check(run, &w->promise, w->verdict);
		_exit(0);
	}
	while (pid < 0 || waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			abort();
	*out = *w->verdict;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		out->kind = VERDICT_DIED;
		(void)snprintf(out->text, sizeof(out->text), "the server died: signal %d",
			WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	}
	free(run);
}

/* ---- one state ---- */

/* What the store holds is what it held after some commit, and not before the last that counts. */
static bool is_commit(const struct worker *w, uint64_t digest, uint32_t moment, struct verdict *out)
{
	const struct lab *l = w->lab;
	size_t need = 0, have = SIZE_MAX;

	for (size_t i = 0; i < l->n_commits && l->commit[i].moment <= moment; i++) {
		if (l->commit[i].digest == digest)
			have = i;
		if (l->commit[i].moment < w->promise.last)
			need = i;
	}
	out->kind = VERDICT_BROKEN;
	if (have == SIZE_MAX)
		(void)snprintf(out->text, sizeof(out->text),
			"I6: the store holds what it held after no commit");
	else if (have < need)
		(void)snprintf(out->text, sizeof(out->text),
			"I6: the store holds commit %zu, what was acknowledged is in %zu", have,
			need);
	else
		out->kind = VERDICT_GOOD;
	return out->kind == VERDICT_GOOD;
}

/* A backup is of no use to a start. */
static uint64_t hash_rest(const struct worker *w)
{
	return disk_random(relic_hash(&w->relic, "data/artifacts")) ^
		disk_random(relic_hash(&w->relic, "data/journal") + 1) ^
		disk_random(relic_hash(&w->relic, "phone") + 2) ^
		disk_random(relic_hash(&w->relic, "data/imports") + 3);
}

void worker_judge(struct worker *w, const struct state_id *id, bool anyway, struct verdict *out)
{
	const struct look *store = look_at(w, true), *ledger = look_at(w, false);
	struct tally *t = w->lab->tally;
	uint64_t key;

	*out = (struct verdict){ VERDICT_GOOD, "" };
	if (store->err != 0 || ledger->err != 0) {
		out->kind = VERDICT_REFUSED;
		(void)snprintf(out->text, sizeof(out->text), "%s",
			store->err != 0 ? store->text : ledger->text);
		return;
	}
	if (!is_commit(w, store->digest, id->moment, out))
		return;
	key = disk_random(store->digest ^ disk_random(ledger->digest ^ disk_random(hash_rest(w)))) +
		w->promise.number;
	if (is_new(t->started, t->started_mask, disk_random(key)) || anyway)
		start(w, out);
}

/* ---- all of them ---- */

static void find(struct worker *w, const struct state_id *id, const struct verdict *v)
{
	struct tally *t = w->lab->tally;
	uint32_t n;

	atomic_fetch_add(&t->violations, 1);
	n = atomic_fetch_add(&t->n_findings, 1);
	if (n >= LAB_FINDINGS)
		return;
	t->finding[n].id = *id;
	t->finding[n].verdict = *v;
	(void)snprintf(t->finding[n].step, sizeof(t->finding[n].step), "%s", w->promise.step);
}

/* A torn meta page may be refused, if that is said.  False when it is not. */
static bool detected(struct worker *w, const char *text)
{
	struct tally *t = w->lab->tally;
	size_t i = 0;

	text = strstr(text, "the last commit is damaged");
	if (text == NULL)
		return false;
	atomic_fetch_add(&t->detected, 1);
	while (atomic_exchange(&t->lock, 1) != 0)
		;
	while (i + 1 < LAB_REASONS && t->reason[i].n > 0 &&
		strncmp(t->reason[i].text, text, sizeof(t->reason[i].text) - 1) != 0)
		i++;
	(void)snprintf(t->reason[i].text, sizeof(t->reason[i].text), "%.63s", text);
	t->reason[i].n++;
	atomic_store(&t->lock, 0);
	return true;
}

void worker_build(struct worker *w, const struct state_id *id)
{
	w->pick = mem_resize(w->pick, w->lab->disk.n_open + 1, sizeof(*w->pick));
	state_picks(&w->lab->disk, id, w->pick);
	relic_build(&w->relic, id->moment, w->pick);
}

static bool is_enough(const struct lab *l)
{
	return (l->stop_after > 0 && atomic_load(&l->tally->violations) >= l->stop_after) ||
		(l->until > 0 && time(NULL) >= l->until);
}

static void visit(void *ctx, const struct state_id *id)
{
	struct worker *w = ctx;
	struct tally *t = w->lab->tally;
	struct verdict v;
	uint64_t hash;

	if (w->ordinal++ < w->skip || is_enough(w->lab))
		return;
	t->worker[w->number].id = *id;
	t->worker[w->number].ordinal = w->ordinal;
	atomic_fetch_add(&t->tried[id->class], 1);
	worker_build(w, id);
	hash = disk_random(relic_hash(&w->relic, NULL) + w->promise.number);
	if (!is_new(t->seen, t->seen_mask, hash))
		return;
	atomic_fetch_add(&t->distinct, 1);
	worker_judge(w, id, false, &v);
	if (v.kind == VERDICT_REFUSED && id->class == STATE_META && detected(w, v.text))
		return;
	if (v.kind != VERDICT_GOOD)
		find(w, id, &v);
}

void worker_go(struct worker *w, uint32_t moment)
{
	disk_go(&w->lab->disk, moment);
	promise_at(
		&w->promise, &w->lab->disk, w->lab->lie == LIE_EARLY ? moment + EARLY_BY : moment);
}

void worker_init(struct worker *w, struct lab *l, unsigned number)
{
	char *command;

	*w = (struct worker){ .lab = l, .number = number };
	w->folder = mem_printf("%s/worker-%u", l->folder, number);
	w->stores = mem_zalloc(CACHE_SIZE * sizeof(*w->stores));
	w->ledgers = mem_zalloc(CACHE_SIZE * sizeof(*w->ledgers));
	w->verdict = mmap(NULL, sizeof(*w->verdict), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	relic_init(&w->relic, &l->disk);
	command = mem_printf("mkdir -p '%s/look/store' && rm -rf '%s/run' && cp -r '%s' '%s/run'",
		w->folder, w->folder, l->base, w->folder);
	if (w->verdict == MAP_FAILED || system(command) != 0)
		abort();
	free(command);
}

/* Moments go to whoever is free; who took over from one that died begins behind what killed it. */
void worker_run(struct worker *w)
{
	struct tally *t = w->lab->tally;
	uint32_t moment;

	for (;;) {
		bool again = t->worker[w->number].busy;
		moment = again ? t->worker[w->number].moment : atomic_fetch_add(&t->next_moment, 1);
		if (moment >= w->lab->disk.n_moments || is_enough(w->lab))
			return;
		w->skip = again ? t->worker[w->number].ordinal : 0;
		w->ordinal = 0;
		t->worker[w->number].moment = moment;
		t->worker[w->number].ordinal = w->skip;
		t->worker[w->number].busy = true;
		worker_go(w, moment);
		states_each(&w->lab->disk, moment, &w->lab->effort, visit, w);
		t->worker[w->number].busy = false;
	}
}

void worker_died(struct worker *w, int status)
{
	const struct tally *t = w->lab->tally;
	struct verdict v = { VERDICT_DIED, "" };

	(void)snprintf(v.text, sizeof(v.text), "opening it killed the server: signal %d",
		WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	find(w, &t->worker[w->number].id, &v);
}
