/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of libc that fail when they are told to, the real-time clock that is moved, a disk that is
 * slow.  What is to be done stands in a page of memory that is shared by the server, its signer and
 * whoever tests them: that of the file that HUIDU_FAULTS names (preloaded), or faults_here().
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Whose call it is: that of the process that was started, or of the one it forked. */
enum faults_role { FAULTS_SERVER, FAULTS_SIGNER, FAULTS_ROLES };

enum faults_class {
	FAULTS_NONE,
	FAULTS_DISK,   /* write, sync, truncate, rename, mkdir of files and folders */
	FAULTS_OPEN,   /* open, socket, accept, eventfd, pipe */
	FAULTS_MEMORY, /* malloc, calloc, realloc */
	FAULTS_CLASSES
};

#define FAULTS_SHORT   (-1)       /* `kind`: half of it is written, and nothing is wrong */
#define FAULTS_FOREVER UINT32_MAX /* `last` */

/* Layout known to faults.py. */
struct faults {
	_Atomic uint32_t armed; /* 0: nothing fails; the rest is set before this */
	uint32_t role, class;
	int32_t kind;         /* an errno, or FAULTS_SHORT */
	uint32_t first, last; /* calls of these numbers, from 1 */
	_Atomic uint32_t failed;
	_Atomic uint32_t meta; /* of them, those that wrote what LMDB cannot lose */
	_Atomic uint32_t calls[FAULTS_ROLES][FAULTS_CLASSES]; /* since it was cleared */
	_Atomic uint32_t sync_ms; /* that fdatasync of the server waits */
	_Atomic uint32_t reserved;
	_Atomic int64_t clock_ms; /* that the real-time clock is moved by */
};
static_assert(sizeof(struct faults) == 80, "faults.py knows where the fields are");

/* The page; NULL when there is none. */
struct faults *faults_page(void);
/* A new page, for this process and those it will fork. */
struct faults *faults_here(void);
/* From here on this process's calls are those of the server. */
void faults_be_server(void);
