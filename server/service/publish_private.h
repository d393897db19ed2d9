/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of publishing share: payloads, and how they are signed; nobody else includes it. */
#pragma once

#include "proto/names.h"
#include "server/service/control_private.h"

/* A file's next version, on its way through the signer. */
struct next_file {
	struct signed_file *file;
	uint64_t version, expires_s;
	char name[METADATA_NAME_MAX];
};

/* Files to sign in one go; all three kinds go through it, one kind after the other. */
struct batch_to_sign {
	struct signer_item *items;
	struct next_file *files;
	size_t n;
};

/* ---- payload.c ---- */

/* Each packs into the arena, as of this version and expiry. */
WARN_UNUSED int payload_director(struct control *c, const char *product, enum ring ring,
	uint64_t version, uint64_t expires_s, struct bytes *out);
WARN_UNUSED int payload_snapshot(struct control *c, const struct product_files *f, uint64_t version,
	uint64_t expires_s, struct bytes *out);
WARN_UNUSED int payload_timestamp(struct control *c, const struct product_files *f,
	const struct next_file *next, uint64_t now_ms, struct bytes *out);

/* ---- batch.c ---- */

void batch_add(struct batch_to_sign *b, enum envelope_type type, const struct next_file *file,
	struct bytes payload);
void batch_release(struct batch_to_sign *b);
/* Signs all, in force at once; that they cannot be stored is no error. */
WARN_UNUSED int batch_store(struct control *c, const struct batch_to_sign *b, uint64_t now_ms);
/*
 * Signs directors.  They come into force when they stand in the log and the checkpoint says so; until
 * then the ones before stay, and the next publish tries again.
 */
WARN_UNUSED int batch_log(struct control *c, const struct batch_to_sign *b, uint64_t now_ms);
/* The envelope becomes the file's. */
WARN_UNUSED int batch_take(struct signed_file *f, struct bytes envelope, struct arena *a);
