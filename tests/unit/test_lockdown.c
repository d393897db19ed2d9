/* SPDX-License-Identifier: Apache-2.0 */
/* What a signer that somebody took over can still do: nothing with files, sockets or programs. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/crypto.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/trust/lockdown.h"

static struct crypto_key *key;
static int file = -1;

/* ---- what it must not ---- */

static int opens(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0;
}

static int creates(void)
{
	return open("huidu-test", O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0;
}

static int makes_a_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0;
}

static int runs_a_program(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static int forks(void)
{
	return fork() < 0;
}

static int maps_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		MAP_FAILED;
}

static int makes_code(void)
{
	return mprotect(&file, 1, PROT_READ | PROT_EXEC);
}

static int kills(void)
{
	return kill(getppid(), 0);
}

static int removes(void)
{
	return unlink("huidu-test");
}

static int sets_the_clock(void)
{
	struct timespec t = { 0, 0 };

	return clock_settime(CLOCK_REALTIME, &t);
}

/* ---- what it needs ---- */

static int works(void)
{
	uint8_t sig[SIG_LEN], byte = 1;
	void *large = malloc(10 << 20), *larger;
	struct crypto_key *fresh;
	int ok;

	larger = realloc(large, 30 << 20);
	ok = larger != NULL && pwrite(file, &byte, 1, 0) == 1 && fdatasync(file) == 0 &&
		pread(file, &byte, 1, 0) == 1 && clock_ms() > 0 && clock_boot_ms() > 0 &&
		crypto_key_sign(key, bytes_str("x"), sig) == 0 &&
		crypto_random(sig, sizeof(sig)) == 0 &&
		crypto_key_generate(KEY_P256, &fresh) == 0 &&
		crypto_key_sign(fresh, bytes_str("x"), sig) == 0;
	log_error("a line");
	free(larger);
	return !ok;
}

static const struct {
	const char *why;
	int (*act)(void);
	bool dies;
} acts[] = {
	{ "works", works, false },
	{ "opens a file", opens, true },
	{ "creates a file", creates, true },
	{ "makes a socket", makes_a_socket, true },
	{ "runs a program", runs_a_program, true },
	{ "forks", forks, true },
	{ "maps code", maps_code, true },
	{ "makes code of data", makes_code, true },
	{ "sends a signal", kills, true },
	{ "removes a file", removes, true },
	{ "sets the clock", sets_the_clock, true },
};

static void test_calls(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(acts); i++) {
		int status;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
			(void)dup2(null, STDERR_FILENO);
			_exit(lockdown_process(file) != 3 || lockdown_calls() != 0 ? 99
										   : acts[i].act());
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (acts[i].dies ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS
				 : !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("%s: status %x", acts[i].why, (unsigned)status);
	}
}

/* Of huidud's files it has the three that everybody has, and its own. */
static void test_files(void **state)
{
	int status, other = dup(file), above = fcntl(file, F_DUPFD_CLOEXEC, 200);
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(lockdown_process(file) != 3 || fcntl(2, F_GETFD) < 0 ||
			fcntl(3, F_GETFD) < 0 || fcntl(other == 3 ? 4 : other, F_GETFD) >= 0 ||
			fcntl(above, F_GETFD) >= 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(other);
	(void)close(above);
}

static int open_both(void **state)
{
	char path[] = "/tmp/huidu-test-XXXXXX";

	(void)state;
	file = mkstemp(path);
	return file < 0 || unlink(path) != 0 || crypto_key_generate(KEY_ED25519, &key) != 0;
}

static int close_both(void **state)
{
	(void)state;
	crypto_key_free(key);
	return close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_files),
	};

	if (!lockdown_is_on()) {
		(void)puts("1..0 # SKIP sanitizers ask for more than a signer may");
		return 0;
	}
	return cmocka_run_group_tests(tests, open_both, close_both);
}
