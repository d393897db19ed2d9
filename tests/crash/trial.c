/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/trial.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/mem.h"

#define LIMIT_S 120u

static struct deployment deployment;
static struct shared *shared;
static struct faults *faults;
static char *template_dir;

/* ---- the processes ---- */

static void run_command(const char *what, char *command)
{
	deployment_must(system(command) != 0 ? ERR_STORE : 0, what, command);
	free(command);
}

static void restore_files(void)
{
	run_command("copy",
		mem_printf("rm -rf '%s' && cp -r '%s' '%s'", deployment.dir, template_dir,
			deployment.dir));
}

static void arm(const struct trial *t)
{
	memset(faults->calls, 0, sizeof(faults->calls));
	faults->failed = faults->meta = 0;
	if (t->kind == NULL)
		return;
	faults->role = t->role;
	faults->class = t->kind->class;
	faults->kind = t->kind->kind;
	faults->first = t->n;
	faults->last = t->kind->lasts ? FAULTS_FOREVER : t->n;
	atomic_store(&faults->armed, 1);
}

static void disarm(void)
{
	atomic_store(&faults->armed, 0);
	for (unsigned r = 0; r < FAULTS_ROLES; r++)
		for (unsigned c = 0; c < FAULTS_CLASSES; c++)
			shared->calls[r][c] = faults->calls[r][c];
}

static bool kills_signer, is_aloud;

/* What LMDB cannot lose was lost, and it says so; or the signer has ended, and with it huidud would. */
static bool is_over(void)
{
	return faults->meta > 0 || kills_signer;
}

/* Nothing but that a signer without memory has ended, and then huidud does. */
static bool has_ended(const struct story *s)
{
	struct signer_log log;

	return kills_signer && signer_log(s->d->signer, &log) == ERR_SIGNER;
}

/* Space is back, and the server was not restarted: it must all go on. */
static void tell_again(struct story *s)
{
	s->patient = false;
	deployment_run(s->d, 120000, 60000);
	s->must_be_signed = !is_over();
	if (faults->meta > 0)
		shared->outcome = OUTCOME_PANIC;
	story_tell(s);
	if (is_over())
		return;
	story_go_on(s, "8.0");
	story_check(s);
}

static int tell(const struct trial *t)
{
	struct story s = { .d = &deployment,
		.notes = &shared->notes,
		.is_over = is_over,
		.has_ended = has_ended };
	int err;

	kills_signer =
		t->kind != NULL && t->kind->class == FAULTS_MEMORY && t->role == FAULTS_SIGNER;
	s.starves = t->kind != NULL && t->kind->class == FAULTS_MEMORY;
	s.patient = t->kind != NULL && t->kind->lasts;
	if (t->phase == PHASE_START)
		arm(t);
	err = deployment_start(s.d, s.d->text);
	if (t->phase == PHASE_START)
		disarm();
	if (err != 0) {
		shared->outcome = OUTCOME_REFUSED_START;
		if (t->kind == NULL)
			story_wrong(&s, "start: %s: %s", err_str(err), s.d->text);
		return 0;
	}
	if (t->phase == PHASE_SERVE)
		arm(t);
	story_tell(&s);
	if (has_ended(&s)) {
		shared->outcome = OUTCOME_ENDED;
		return 0;
	}
	if (t->phase == PHASE_SERVE)
		disarm();
	if (s.notes->wrong[0] == '\0' && t->kind != NULL)
		tell_again(&s);
	deployment_stop(s.d);
	return 0;
}

/* Without a fault. */
static int look(const struct trial *t)
{
	struct story s = { .d = &deployment, .notes = &shared->notes };
	int err;

	(void)t;
	/* It may have ended within a minute that was not noted. */
	if (s.notes->now_ms > s.d->now_ms)
		s.d->now_ms = s.notes->now_ms;
	s.d->now_ms += 60000;
	err = deployment_start(s.d, s.d->text);
	if (err != 0) {
		story_wrong(&s, "it does not start any more: %s: %s", err_str(err), s.d->text);
		return 0;
	}
	story_check(&s);
	story_go_on(&s, "9.0");
	story_check(&s);
	deployment_stop(s.d);
	return 0;
}

/* The exit status as waitpid() has it; what it says goes into a file. */
static int in_process(int (*run)(const struct trial *t), const struct trial *t)
{
	char *path = mem_printf("%s.said", template_dir);
	pid_t pid = fork();
	int status;

	deployment_must(pid < 0 ? ERR_STORE : 0, "fork", "");
	if (pid == 0) {
		faults_be_server();
		(void)alarm(LIMIT_S);
		if (!is_aloud && freopen(path, "w", stderr) == NULL)
			_exit(2);
		_exit(run(t));
	}
	free(path);
	deployment_must(waitpid(pid, &status, 0) == pid ? 0 : ERR_STORE, "waitpid", "");
	atomic_store(&faults->armed, 0);
	return status;
}

static bool said(const char *word)
{
	char *path = mem_printf("%s.said", template_dir), line[512];
	FILE *f = fopen(path, "r");
	bool found = false;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		found |= strstr(line, word) != NULL;
	if (f != NULL)
		(void)fclose(f);
	free(path);
	return found;
}

/* Memory that is not there ends a process, by design; nothing else does. */
static void judge_end(struct story *s, const struct trial *t, int status)
{
	bool memory = t->kind != NULL && t->kind->class == FAULTS_MEMORY;

	if (status == 0)
		return;
	shared->outcome = OUTCOME_ENDED;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		story_wrong(s, "it hangs");
	else if (!memory)
		story_wrong(s, "the server ended: status %x", (unsigned)status);
	else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		story_wrong(s, "it ended otherwise than by abort(): status %x", (unsigned)status);
}

bool trial_run(const struct trial *t, bool aloud)
{
	struct story s = { .d = &deployment, .notes = &shared->notes };
	bool met;
	int status;

	*shared = (struct shared){ .outcome = OUTCOME_WENT_ON };
	is_aloud = aloud;
	restore_files();
	status = in_process(tell, t);
	met = faults->failed > 0;
	judge_end(&s, t, status);
	/* A signer that dies takes the server with it: in main.c, which is not here. */
	status = in_process(look, t);
	if (status != 0)
		story_wrong(&s, "the next start ended: status %x%s", (unsigned)status,
			said("Assertion") ? ", an assertion" : "");
	return met;
}

void trial_count(enum phase phase, uint32_t calls[FAULTS_ROLES][FAULTS_CLASSES])
{
	struct trial t = { .phase = phase };

	*shared = (struct shared){ .outcome = OUTCOME_WENT_ON };
	restore_files();
	deployment_must(in_process(tell, &t), "the story without a fault", shared->notes.wrong);
	deployment_must(shared->notes.wrong[0] != '\0' ? ERR_WRONG_STATE : 0, "without a fault",
		shared->notes.wrong);
	memcpy(calls, shared->calls, sizeof(shared->calls));
}

void trial_set_up(void)
{
	struct deployment_options options;

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	faults = faults_here();
	deployment_must(shared == MAP_FAILED || faults == NULL ? ERR_NO_ROOM : 0, "mmap", "");
	story_options(&options);
	deployment_make(&deployment, &options);
	log_init("fault-run", LOG_LEVEL_ERROR);
	template_dir = mem_printf("%s.template", deployment.dir);
	run_command("copy", mem_printf("cp -r '%s' '%s'", deployment.dir, template_dir));
}

void trial_tear_down(void)
{
	run_command("rm",
		mem_printf(
			"rm -rf '%s' '%s' '%s.said'", deployment.dir, template_dir, template_dir));
	config_release(&deployment.config);
	free(deployment.arena.base);
	free(template_dir);
}

const struct shared *trial_notes(void)
{
	return shared;
}
