/* SPDX-License-Identifier: Apache-2.0 */
/* The child's side of signer.h, and what both sides share.  Private to this folder. */
#pragma once

#include "proto/names.h"
#include "server/trust/signer.h"

#define SIGNER_MESSAGE_MAX ((size_t)8 * 1024 * 1024)

/* A u32 length and so many bytes over a stream socket; -ECONNRESET at its end. */
WARN_UNUSED int signer_write(int fd, struct bytes message);
WARN_UNUSED int signer_read(int fd, struct buf *message);

/* Serves requests until the socket is closed; returns the exit status. */
int signer_proc_run(int fd, const struct signer_config *config);

/* The highest versions signed, by name, kept in a file that is replaced as a whole. */
struct floors;
WARN_UNUSED int floors_open(const char *path, struct floors **out);
uint64_t floors_get(const struct floors *f, const char *name);
void floors_set(struct floors *f, const char *name, uint64_t version);
/* Durable when it returns 0. */
WARN_UNUSED int floors_save(struct floors *f);
/* Back to what was last saved. */
void floors_revert(struct floors *f);
