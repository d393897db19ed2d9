/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share; nobody else includes it. */
#pragma once

#include "proto/crypto.h"
#include "server/artifact/artifact.h"

#define UPLOADS_OPEN 8u
#define WHY_MAX      256u

/* An upload whose file is open. */
struct upload {
	int fd; /* -1: the slot is free */
	uint8_t sha256[SHA256_LEN];
	uint64_t length;      /* it will have */
	uint64_t size;        /* it has */
	uint64_t checked;     /* so much of it is in `hash` */
	uint64_t written_out; /* so much the kernel was told to write */
	uint64_t used;        /* artifacts.turn, the last time */
	bool reserved;        /* room for all of it was set aside */
	struct crypto_hash *hash;
};

struct artifacts {
	char *dir;
	struct upload *upload; /* UPLOADS_OPEN slots */
	uint64_t turn;         /* pieces so far */
	char why[WHY_MAX];
};

/* ---- artifact.c ---- */

/* Of a whole file, and of one that is coming; to be freed. */
char *artifact_path(const struct artifacts *a, const uint8_t sha256[SHA256_LEN]);
char *artifact_upload_path(const struct artifacts *a, const uint8_t sha256[SHA256_LEN]);
/* Moves what has come to its place, durably. */
WARN_UNUSED int artifact_move_in(const struct artifacts *a, const uint8_t sha256[SHA256_LEN]);

/* ---- upload.c ---- */

struct upload *upload_find(const struct artifacts *a, const uint8_t sha256[SHA256_LEN]);
/* Closes it; its file stays, to go on with. */
void upload_close(struct upload *u);
