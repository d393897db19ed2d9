/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that loses power, and what it may hold afterwards.
 *
 * The model is the weakest that POSIX and the file systems in use allow (Pillai and others, "All File
 * Systems Are Not Created Equal", OSDI 2014); what ext4 (ordered) and XFS do is a part of it:
 *
 *  - A write may reach the disk at any moment from its call on, in any order with all others, whole,
 *    or of each of its 512-byte sectors the old or the new bytes.  What grows a file may leave it
 *    grown, with zeros in place of what was written.  No sector is torn inside; the lab tears
 *    LMDB's meta page there all the same, as a class of its own.
 *  - When fsync or fdatasync of a file returned, all that was written to that file before is there.
 *    Of its name nothing is promised, nor of other files.  sync_file_range promises nothing.
 *  - When a write through O_DSYNC or O_SYNC returned, what it wrote is there; what was written to the
 *    file before, and not synced, need not be.
 *  - Making, renaming and removing a name happens wholly or not at all, at any moment from the call
 *    on, and for certain when fsync of the folder that the name is in returned: for a rename, of the
 *    one that it goes to.  A name in a folder that is not there is not there.
 */
#pragma once

#include "server/base/buf.h"
#include "tests/crash/trace.h"

#define DISK_PAGE   4096u
#define DISK_SECTOR 512u
#define DISK_NEVER  UINT32_MAX
#define DISK_NONE   UINT32_MAX /* no file */
#define DISK_FOLDER (UINT32_MAX - 1)

struct disk_file {
	uint64_t size;
	uint8_t **page; /* NULL: zeros */
	size_t n_pages;
};

enum disk_kind { DISK_WRITE, DISK_SIZE, DISK_NAME };

struct disk_op {
	enum disk_kind kind;
	uint32_t moment;  /* number of its record */
	uint32_t durable; /* of the record with which it became durable: a sync's, or its own */
	uint32_t file;    /* that is written, or that the name is given to; DISK_NONE: removed */
	uint64_t at;      /* where, or the new size */
	const uint8_t *data;
	uint32_t n;
	uint32_t name, from; /* numbers of names; from DISK_NONE: not a rename */
};

/* Syncs that the disk pretends to have done, to see whether the lab sees. */
enum disk_lie {
	LIE_NONE,
	LIE_LEDGER,   /* fdatasync of the ledger */
	LIE_STORE,    /* fdatasync of the store */
	LIE_META,     /* O_DSYNC of the store's meta page */
	LIE_ARTIFACT, /* fsync of an artifact's bytes */
	LIE_IMPORT,   /* fsync of the rows of a fleet */
	LIE_FOLDER,   /* fsync of folders */
	LIE_PHONE,    /* fdatasync of the phone's state */
	LIE_EARLY,    /* promises were made before what they promise was written */
	LIE__COUNT
};

struct disk {
	const uint8_t *trace;
	const struct trace_record **record; /* by moment */
	uint32_t n_moments;
	uint32_t first_lie; /* moment of the first sync that was dropped; 0: none was */
	struct disk_op *op;
	size_t n_ops;
	char **name; /* all paths there ever are */
	size_t n_names;
	bool *touched;          /* by name: some op is about it */
	struct disk_file *file; /* with all that is folded in */
	size_t n_files;
	uint32_t *bound; /* by name: its file, DISK_FOLDER, DISK_NONE */
	uint32_t *open;  /* ops before the moment that may still be lost, or follow one */
	size_t n_open, next_op;
};

/* How much of one write is on the disk. */
enum pick_how {
	PICK_NONE,
	PICK_ALL,
	PICK_SIZE,        /* the file has grown, nothing was written */
	PICK_PREFIX,      /* the first arg sectors */
	PICK_SUFFIX,      /* all but these */
	PICK_HOLE,        /* all but this sector */
	PICK_ONLY,        /* this sector */
	PICK_MASK,        /* sectors by the bits of arg */
	PICK_RANDOM,      /* sectors by this seed */
	PICK_FIRST_BYTES, /* below a sector: of the meta page alone */
	PICK_LAST_BYTES,
};

struct pick {
	enum pick_how how;
	uint64_t arg;
};

/* What is there before the first moment is read from `base`. */
void disk_load(struct disk *d, const char *base, const char *trace, enum disk_lie lie);
/* Onwards to the moment at which record `moment` was asked for and has not been answered. */
void disk_go(struct disk *d, uint32_t moment);
/* The op that is under way then; NULL when it is none. */
const struct disk_op *disk_under_way(const struct disk *d, uint32_t moment);
/* Must op be there? */
static inline bool disk_is_durable(const struct disk_op *op, uint32_t moment)
{
	return op->durable < moment;
}
unsigned disk_sectors(const struct disk_op *op);

/* ---- one state ---- */

/* What a disk is left with: files and names in memory that is given back with the next. */
struct relic {
	const struct disk *disk;
	struct disk_file *file;
	uint32_t *bound;
	bool *own; /* by file: has pages of its own */
	struct arena_bytes {
		uint8_t *base;
		size_t used, size;
	} room;
};

void relic_init(struct relic *relic, const struct disk *d);
void relic_release(struct relic *relic);
/* With pick[i] of d->open[i]; those that are durable are taken whole. */
void relic_build(struct relic *relic, uint32_t moment, const struct pick *pick);
/* The file of this path, NULL when there is none. */
const struct disk_file *relic_find(const struct relic *relic, const char *path);
/* Of a file, or of all names that begin so (NULL: of all) and their files. */
uint64_t relic_hash_file(const struct disk_file *f);
uint64_t relic_hash(const struct relic *relic, const char *prefix);
/* One file, or all that some op is about, below `folder`. */
void relic_write_file(const struct disk_file *f, const char *path);
void relic_write(const struct relic *relic, const char *folder);
uint64_t disk_random(uint64_t seed);
