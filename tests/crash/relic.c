/* SPDX-License-Identifier: Apache-2.0 */
/* One state of a disk: built, hashed, written where a server finds it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/bucket.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "tests/crash/disk.h"

#define ROOM ((size_t)256 * 1024 * 1024) /* of address space; a state uses a little */

uint64_t disk_random(uint64_t seed)
{
	uint64_t z = seed + 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void relic_init(struct relic *relic, const struct disk *d)
{
	*relic = (struct relic){ .disk = d };
	relic->file = mem_zalloc((d->n_files + 1) * sizeof(*relic->file));
	relic->bound = mem_zalloc((d->n_names + 1) * sizeof(*relic->bound));
	relic->own = mem_zalloc(d->n_files + 1);
	relic->room.size = ROOM;
	relic->room.base = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (relic->room.base == MAP_FAILED)
		abort();
}

void relic_release(struct relic *relic)
{
	free(relic->file);
	free(relic->bound);
	free(relic->own);
	(void)munmap(relic->room.base, relic->room.size);
}

static void *room(struct relic *relic, size_t n)
{
	void *p = relic->room.base + relic->room.used;

	relic->room.used += (n + 15) & ~(size_t)15;
	if (relic->room.used > relic->room.size)
		abort();
	return p;
}

/* With a table of pages of its own, that reaches up to `size`. */
static struct disk_file *own(struct relic *relic, uint32_t number, uint64_t size)
{
	struct disk_file *f = &relic->file[number];
	size_t n = (size + DISK_PAGE - 1) / DISK_PAGE;
	uint8_t **page;

	if (n < f->n_pages)
		n = f->n_pages;
	if (!relic->own[number] || n > f->n_pages) {
		page = room(relic, (n + 1) * sizeof(*page));
		memset(page, 0, (n + 1) * sizeof(*page));
		if (f->n_pages > 0)
			memcpy(page, f->page, f->n_pages * sizeof(*page));
		f->page = page;
		f->n_pages = n;
		relic->own[number] = true;
	}
	return f;
}

static bool is_of_room(const struct relic *relic, const uint8_t *p)
{
	return p >= relic->room.base && p < relic->room.base + relic->room.size;
}

/* To be written to. */
static uint8_t *page_of(struct relic *relic, struct disk_file *f, size_t i)
{
	uint8_t *page = f->page[i];

	if (page == NULL || !is_of_room(relic, page)) {
		f->page[i] = room(relic, DISK_PAGE);
		if (page != NULL)
			memcpy(f->page[i], page, DISK_PAGE);
		else
			memset(f->page[i], 0, DISK_PAGE);
	}
	return f->page[i];
}

static bool picks(const struct pick *p, unsigned sector)
{
	switch (p->how) {
	case PICK_ALL:
		return true;
	case PICK_PREFIX:
		return sector < p->arg;
	case PICK_SUFFIX:
		return sector >= p->arg;
	case PICK_HOLE:
		return sector != p->arg;
	case PICK_ONLY:
		return sector == p->arg;
	case PICK_MASK:
		return (p->arg >> sector & 1) != 0;
	case PICK_RANDOM:
		return (disk_random(p->arg + sector) & 1) != 0;
	case PICK_NONE:
	case PICK_SIZE:
	case PICK_FIRST_BYTES:
	case PICK_LAST_BYTES:
		break;
	}
	return false;
}

/* Bytes [from, to) of the write. */
static void put(struct relic *relic, const struct disk_op *op, size_t from, size_t to)
{
	struct disk_file *f = own(relic, op->file, op->at + to);

	if (op->at + to > f->size)
		f->size = op->at + to;
	while (from < to) {
		uint64_t at = op->at + from;
		size_t in = at % DISK_PAGE, n = DISK_PAGE - in;
		if (n > to - from)
			n = to - from;
		memcpy(page_of(relic, f, at / DISK_PAGE) + in, op->data + from, n);
		from += n;
	}
}

static void apply_write(struct relic *relic, const struct disk_op *op, const struct pick *p)
{
	unsigned sectors = disk_sectors(op);

	if (p->how == PICK_FIRST_BYTES)
		put(relic, op, 0, p->arg);
	else if (p->how == PICK_LAST_BYTES)
		put(relic, op, p->arg, op->n);
	if (p->how == PICK_SIZE) {
		struct disk_file *f = own(relic, op->file, op->at + op->n);
		if (op->at + op->n > f->size)
			f->size = op->at + op->n;
	}
	for (unsigned i = 0; i < sectors; i++) {
		uint64_t begin = (op->at / DISK_SECTOR + i) * DISK_SECTOR;
		size_t from = begin > op->at ? begin - op->at : 0;
		size_t to = begin + DISK_SECTOR - op->at;
		if (picks(p, i))
			put(relic, op, from, to < op->n ? to : op->n);
	}
}

static void apply_size(struct relic *relic, const struct disk_op *op)
{
	struct disk_file *f = own(relic, op->file, op->at);

	for (size_t i = op->at / DISK_PAGE; op->at < f->size && i < f->n_pages; i++) {
		size_t from = i * DISK_PAGE >= op->at ? 0 : op->at - i * DISK_PAGE;
		if (f->page[i] != NULL)
			memset(page_of(relic, f, i) + from, 0, DISK_PAGE - from);
	}
	f->size = op->at;
}

void relic_build(struct relic *relic, uint32_t moment, const struct pick *pick)
{
	static const struct pick all = { PICK_ALL, 0 };
	const struct disk *d = relic->disk;

	relic->room.used = 0;
	memcpy(relic->file, d->file, d->n_files * sizeof(*relic->file));
	memcpy(relic->bound, d->bound, d->n_names * sizeof(*relic->bound));
	memset(relic->own, 0, d->n_files);
	for (size_t i = 0; i < d->n_open; i++) {
		const struct disk_op *op = &d->op[d->open[i]];
		const struct pick *p = disk_is_durable(op, moment) ? &all : &pick[i];
		if (p->how == PICK_NONE)
			continue;
		if (op->kind == DISK_WRITE) {
			apply_write(relic, op, p);
		} else if (op->kind == DISK_SIZE) {
			apply_size(relic, op);
		} else {
			relic->bound[op->name] = op->file;
			if (op->from != DISK_NONE)
				relic->bound[op->from] = DISK_NONE;
		}
	}
}

/* ---- what is in it ---- */

/* Its folders are there, all the way. */
static bool is_reachable(const struct relic *relic, const char *path)
{
	const struct disk *d = relic->disk;

	for (size_t i = 0; i < d->n_names; i++) {
		size_t n = strlen(d->name[i]);
		if (strncmp(path, d->name[i], n) == 0 && path[n] == '/' &&
			relic->bound[i] != DISK_FOLDER)
			return false;
	}
	return true;
}

const struct disk_file *relic_find(const struct relic *relic, const char *path)
{
	const struct disk *d = relic->disk;

	for (size_t i = 0; i < d->n_names; i++)
		if (strcmp(d->name[i], path) == 0)
			return relic->bound[i] < d->n_files && is_reachable(relic, path)
				? &relic->file[relic->bound[i]]
				: NULL;
	return NULL;
}

uint64_t relic_hash_file(const struct disk_file *f)
{
	uint64_t h = disk_random(f->size);

	for (size_t i = 0; i < f->n_pages; i++)
		if (f->page[i] != NULL && i * DISK_PAGE < f->size)
			h = disk_random(h ^ hash64(f->page[i], DISK_PAGE) ^ i);
	return h;
}

uint64_t relic_hash(const struct relic *relic, const char *prefix)
{
	const struct disk *d = relic->disk;
	uint64_t h = 0;

	for (size_t i = 0; i < d->n_names; i++) {
		if (!d->touched[i] || relic->bound[i] == DISK_NONE ||
			!is_reachable(relic, d->name[i]) ||
			(prefix != NULL && strncmp(d->name[i], prefix, strlen(prefix)) != 0))
			continue;
		h = disk_random(h ^ i);
		if (relic->bound[i] != DISK_FOLDER)
			h = disk_random(h ^ relic_hash_file(&relic->file[relic->bound[i]]));
	}
	return h;
}

void relic_write_file(const struct disk_file *f, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = fd < 0 ? -1 : 0;

	for (size_t i = 0; err == 0 && i < f->n_pages; i++) {
		uint64_t at = i * DISK_PAGE;
		size_t n = f->size - at < DISK_PAGE ? f->size - at : DISK_PAGE;
		if (f->page[i] != NULL && at < f->size)
			err = file_write_at(fd, at, bytes_of(f->page[i], n));
	}
	if (err != 0 || ftruncate(fd, (off_t)f->size) != 0 || close(fd) != 0) {
		perror(path);
		abort();
	}
}

void relic_write(const struct relic *relic, const char *folder)
{
	const struct disk *d = relic->disk;

	/* Folders were named before what is in them. */
	for (size_t i = 0; i < d->n_names; i++) {
		char *path = mem_printf("%s/%s", folder, d->name[i]);
		if (d->touched[i] && relic->bound[i] == DISK_FOLDER &&
			is_reachable(relic, d->name[i]))
			(void)mkdir(path, 0700);
		else if (d->touched[i] && relic->bound[i] != DISK_NONE &&
			is_reachable(relic, d->name[i]))
			relic_write_file(&relic->file[relic->bound[i]], path);
		free(path);
	}
}
