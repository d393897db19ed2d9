/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/lockdown.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/crypto.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#	define WATCHED 1
#elif defined(__has_feature)
#	if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                 \
		__has_feature(memory_sanitizer)
#		define WATCHED 1
#	endif
#endif

#if defined(__x86_64__)
#	define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#	define ARCH AUDIT_ARCH_AARCH64
#endif

#define KEEP_FD   3
#define HEAP_SIZE ((size_t)64 * 1024)
#define HEAP_MIN  ((size_t)32)

/* ---- memory and files ---- */

#ifndef WATCHED

/* With less than no limit at all some later allocation would fail, and end the signer. */
static void lock_memory(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &all) != 0 ||
		mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		log_info("memory: only the keys are locked; RLIMIT_MEMLOCK allows no more");
}

int lockdown_process(int fd)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		setrlimit(RLIMIT_CORE, &none) != 0 || dup2(fd, KEEP_FD) < 0 ||
		close_range(KEEP_FD + 1, ~0u, 0) != 0)
		return -errno;
	/* Where OpenSSL puts private keys: locked, between guard pages, not in dumps. */
	if (CRYPTO_secure_malloc_init(HEAP_SIZE, HEAP_MIN) == 0)
		return ERR_CRYPTO;
	lock_memory();
	return KEEP_FD;
}

#else

int lockdown_process(int fd)
{
	return fd;
}

#endif

/* ---- system calls ---- */

#if defined(ARCH) && !defined(WATCHED)

/* OpenSSL asks for the process id, to see a fork. */
static const int allowed[] = {
	__NR_read,
	__NR_write,
	__NR_writev,
	__NR_sendto,
	__NR_recvfrom,
	__NR_pread64,
	__NR_pwrite64,
	__NR_fdatasync,
	__NR_close,
	__NR_brk,
	__NR_munmap,
	__NR_mremap,
	__NR_madvise,
	__NR_futex,
	__NR_getrandom,
	__NR_getpid,
	__NR_clock_gettime,
	__NR_clock_nanosleep,
	__NR_restart_syscall,
	__NR_rt_sigreturn,
	__NR_rt_sigprocmask,
	__NR_exit,
	__NR_exit_group,
};
#	define N_ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

#	define LOAD(field)                                                                        \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#	define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#	define KILL  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

bool lockdown_is_on(void)
{
	return true;
}

int lockdown_calls(void)
{
	struct sock_filter code[2 * N_ALLOWED + 16] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		KILL,
		LOAD(nr),
	};
	const struct sock_filter end[] = {
		/* Memory, but not to run. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 3),
		LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
		ALLOW,
		KILL,
	};
	struct sock_fprog program = { .filter = code };
	char text[CLOCK_TEXT];
	size_t n = 4;

	for (size_t i = 0; i < N_ALLOWED; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
		code[n++] = (struct sock_filter)ALLOW;
	}
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		code[n++] = end[i];
	program.len = (unsigned short)n;
	/* The first time that a time is written, libc reads the time zone's file. */
	(void)clock_text(clock_ms(), text);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 ? 0 : ERR_CONFIG;
}

#else

bool lockdown_is_on(void)
{
	return false;
}

int lockdown_calls(void)
{
	return 0;
}

#endif
