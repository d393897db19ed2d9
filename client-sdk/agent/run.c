/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/agent/run.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT_RUN 127
#define BY_SIGNAL  128

static _Noreturn void child(const char *const argv[])
{
	union {
		const char *const *in;
		char *const *out; /* execvp does not write through it */
	} u = { argv };
	sigset_t none;

	/* The program is not to inherit what we wait for. */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* a valid request */
	(void)execvp(u.out[0], u.out);
	_exit(CANNOT_RUN);
}

int run(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		child(argv);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	status = WIFSIGNALED(status) ? BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	if (status == 0)
		return 0;
	(void)fprintf(stderr, "huidu-agent: %s: ended with %d\n", argv[0], status);
	return -(RUN_EXIT + status);
}
