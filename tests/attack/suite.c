/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/attack/suite.h"

#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/scratch.h"

#define AT_ONCE   3u
#define SECONDS   240u /* a case, at most */
#define NOTE_MAX  200u
#define CASES_MAX 256u

static char note[NOTE_MAX];

void suite_fail(const char *file, int line, const char *format, ...)
{
	const char *slash = strrchr(file, '/');
	va_list args;

	(void)printf("    %s:%d: ", slash != NULL ? slash + 1 : file, line);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)printf("\n");
	(void)fflush(stdout);
	_exit(1);
}

void suite_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(note, sizeof(note), format, args);
	va_end(args);
}

/* One case under way; what it says is in `out`. */
struct run {
	const struct attack *attack;
	FILE *out;
	pid_t pid;
};

static void begin(const struct suite *s, struct run *r)
{
	(void)fflush(stdout);
	r->out = tmpfile();
	assert(r->out != NULL);
	r->pid = fork();
	assert(r->pid >= 0);
	if (r->pid > 0)
		return;
	(void)dup2(fileno(r->out), STDOUT_FILENO);
	(void)dup2(fileno(r->out), STDERR_FILENO);
	(void)alarm(SECONDS);
	s->stage(r->attack);
	if (note[0] != '\0')
		(void)printf("(%s)", note);
	exit(0);
}

static bool end(struct run *r, int status)
{
	bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char text[4096];
	size_t n;

	(void)printf("%s %s%s", passed ? "ok    " : "FAILED", r->attack->name, passed ? " " : "\n");
	rewind(r->out);
	while ((n = fread(text, 1, sizeof(text), r->out)) > 0)
		(void)fwrite(text, 1, n, stdout);
	if (WIFSIGNALED(status))
		(void)printf("    ended by signal %d", WTERMSIG(status));
	(void)putchar('\n');
	(void)fclose(r->out);
	return passed;
}

/* Waits for one to end; its line comes then.  False when it failed. */
static bool reap(struct run *runs, size_t n)
{
	int status;
	pid_t pid = wait(&status);

	for (size_t i = 0; i < n; i++)
		if (runs[i].pid == pid)
			return end(&runs[i], status);
	abort(); /* no child of ours */
}

/* Several at once, because some wait. */
static unsigned run_all(const struct suite *s, struct run *runs, size_t n)
{
	size_t begun = 0;
	unsigned failed = 0;

	for (size_t ended = 0; ended < n; ended++) {
		while (begun < n && begun - ended < AT_ONCE)
			begin(s, &runs[begun++]);
		failed += !reap(runs, begun);
	}
	return failed;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

/* In a folder that goes whatever the cases leave in it: those that fail tidy nothing up. */
static unsigned run_in_folder(const struct suite *s, struct run *runs, size_t n)
{
	char folder[64];
	unsigned failed;

	(void)snprintf(folder, sizeof(folder), "%s/huidu-attack-XXXXXX", scratch_base());
	if (mkdtemp(folder) == NULL || setenv(SCRATCH_ENV, folder, 1) != 0) {
		perror(folder);
		return (unsigned)n;
	}
	failed = run_all(s, runs, n);
	if (nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		perror(folder);
	return failed;
}

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(name, argv[i], strlen(argv[i])) == 0)
			return true;
	return argc <= 1;
}

static int list(const struct suite *s)
{
	for (size_t g = 0; g < s->n_groups; g++)
		for (size_t i = 0; i < s->groups[g].n; i++)
			(void)printf("%s\n", s->groups[g].attacks[i].name);
	for (size_t i = 0; i < s->n_voids; i++)
		(void)printf("not applicable: %s (%u): %s\n", s->voids[i].name, s->voids[i].n,
			s->voids[i].why);
	return 0;
}

int suite_main(const struct suite *s, int argc, char **argv)
{
	static struct run runs[CASES_MAX];
	unsigned failed;
	size_t n = 0;

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list(s);
	for (size_t g = 0; g < s->n_groups; g++)
		for (size_t i = 0; i < s->groups[g].n; i++) {
			const struct attack *a = &s->groups[g].attacks[i];
			assert(n < CASES_MAX);
			if (wanted(a->name, argc, argv))
				runs[n++].attack = a;
		}
	failed = run_in_folder(s, runs, n);
	(void)printf("%zu passed, %u failed\n", n - failed, failed);
	return failed > 0;
}
