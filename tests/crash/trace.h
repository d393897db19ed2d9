/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the recorder writes and the lab reads: every change of a file below one folder, by a server
 * and its signer, in the order in which it was made; and between them what was promised to somebody.
 *
 * The trace is a file that both processes have mapped: the signer may open none, and its changes
 * must stand in the same order.  struct trace_head, then records, each padded to 8 bytes.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define TRACE_MAGIC 0x6875696475747263ull
#define TRACE_ROOM  ((size_t)1 << 30) /* of address space and a sparse file */
#define TRACE_ENV   "HUIDU_CRASH_TRACE"

struct trace_head {
	uint64_t magic;
	_Atomic uint64_t used; /* bytes of records */
	_Atomic uint32_t lock;
	_Atomic uint32_t handles; /* given out */
};

enum trace_kind {
	TRACE_OPEN,     /* data: path; flags */
	TRACE_WRITE,    /* at offset: data */
	TRACE_SYNC,     /* of a file or folder */
	TRACE_TRUNCATE, /* to offset */
	TRACE_RENAME,   /* data: from, to */
	TRACE_UNLINK,   /* data: path */
	TRACE_MKDIR,    /* data: path */
	TRACE_MARK,     /* data: struct mark */
};

/* Paths are below the folder, without its name and a slash, and end with a zero. */
struct trace_record {
	uint32_t size; /* of all of it, with what pads it */
	uint8_t kind;
	uint8_t flags;
	uint16_t zero;
	uint32_t handle; /* of an open file; 0: named by its path */
	uint32_t n;      /* bytes of data */
	uint64_t offset;
	uint8_t data[];
};
#define TRACE_CREATED 1u /* was not there */
#define TRACE_EMPTIED 2u /* O_TRUNC */
#define TRACE_SYNCED  4u /* O_SYNC or O_DSYNC: each write is durable on return */

/* ---- what the script says ---- */

enum mark_kind {
	MARK_TIME,       /* a: the hand-set clock, ms */
	MARK_DEVICE,     /* a: number; hash: id and report key; b: epoch; text: product */
	MARK_REPORT,     /* acknowledged: a: device, b: its last event */
	MARK_LOG,        /* acknowledged or shown: a: entries; hash: root */
	MARK_SERVED,     /* a phone was shown `text` in version a */
	MARK_HALTED,     /* acknowledged: text: the release */
	MARK_ARTIFACT,   /* acknowledged: hash */
	MARK_NOT_NEEDED, /* from now on it may go: hash, of an artifact */
	MARK_UPLOAD,     /* of a file that no build names: a: enum mark_upload */
	MARK_IMPORT,     /* acknowledged: the rows of this file will be there: hash */
	MARK_IMPORTED,   /* they are */
	MARK_ERASING,    /* may be gone from now on: hash: id */
	MARK_ERASED,     /* is gone: hash: id */
	MARK_FORGOTTEN,  /* what single devices did in rollouts up to number a is gone */
	MARK_PHONE, /* a phone with the SDK got so far: a: counter of its build, text; b: entries of the log */
	MARK_STEP, /* text: of the script, for people */
};

enum mark_upload {
	UPLOAD_NONE,
	UPLOAD_BEGUN, /* it can be gone on with */
	UPLOAD_WHOLE, /* acknowledged */
	UPLOAD_DROPPED,
};

struct mark {
	uint32_t kind;
	uint32_t b;
	uint64_t a;
	uint8_t hash[64];
	char text[64];
};

/* The recorder's: they are there in a process that it was preloaded into. */
#pragma weak crash_begin
#pragma weak crash_mark
void crash_begin(const char *folder);
void crash_mark(const struct mark *m);
