/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/region.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE      ((size_t)2 << 20)
#define LARGE_FROM ((size_t)32 << 20) /* opened in large pages: less than a tenth is unused */

static size_t page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static _Noreturn void fail(void)
{
	(void)fputs("out of memory\n", stderr);
	abort();
}

void region_init(struct region *r, size_t most)
{
	char *p;
	size_t off;

	*r = (struct region){ .reserved = round_up(most, LARGE) + LARGE };
	/* Without rights it counts as nobody's memory, however strict the system is about that. */
	p = mmap(NULL, r->reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		fail();
	/* Large pages begin at their multiples. */
	off = round_up((uintptr_t)p, LARGE) - (uintptr_t)p;
	if (off > 0)
		(void)munmap(p, off); /* it was just made */
	r->base = p + off;
	r->reserved -= off;
}

void region_release(struct region *r)
{
	if (r->base != NULL)
		(void)munmap(r->base, r->reserved); /* as it was made */
	*r = (struct region){ 0 };
}

void region_reach(struct region *r, size_t n)
{
	size_t end;

	if (n <= r->open)
		return;
	end = round_up(n, n >= LARGE_FROM ? LARGE : page());
	assert(end <= r->reserved);
	if (mprotect(r->base + r->open, end - r->open, PROT_READ | PROT_WRITE) != 0)
		fail();
	if (n >= LARGE_FROM)
		(void)madvise(r->base, end, MADV_HUGEPAGE); /* advice: not all systems have them */
	r->open = end;
}

void region_give_back(struct region *r, size_t from, size_t to)
{
	from = round_up(from, page());
	to -= to % page();
	if (from >= to || madvise(r->base + from, to - from, MADV_DONTNEED) != 0)
		return; /* then it is kept */
	r->given_back += to - from;
}

size_t region_bytes(const struct region *r)
{
	return r->open - r->given_back;
}
