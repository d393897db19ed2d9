/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files on their way in.  The thread that takes them has other things to do: no call reads or waits
 * for more than some MiB.  Writing out begins while the file still comes, so that the sync at its
 * end finds little left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "server/artifact/artifact_private.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/base/show.h"

#define MIB           1048576ull
#define CHECK_STEP    (4 * MIB) /* read again by one call */
#define WRITE_OUT     (8 * MIB)
#define KEEP_FREE     (1024 * MIB) /* for the store, or less where the disk is small: */
#define KEEP_FREE_PPM 50000u
/* An upload that so many pieces of others have passed by makes room for another. */
#define PATIENCE 64u

struct upload *upload_find(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	for (size_t i = 0; i < UPLOADS_OPEN; i++)
		if (a->upload[i].fd >= 0 && memcmp(a->upload[i].sha256, sha256, SHA256_LEN) == 0)
			return &a->upload[i];
	return NULL;
}

void upload_close(struct upload *u)
{
	if (u->fd >= 0)
		(void)close(u->fd); /* what is not on disk is read again, and found wrong */
	u->fd = -1;
}

static void throw_away(const struct artifacts *a, struct upload *u)
{
	char *path = artifact_upload_path(a, u->sha256);

	upload_close(u);
	(void)unlink(path); /* the next upload of it begins anew anyway */
	free(path);
}

uint64_t artifact_received(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	const struct upload *u = upload_find(a, sha256);
	char *path;
	struct stat st;
	bool there;

	if (u != NULL)
		return u->size;
	path = artifact_upload_path(a, sha256);
	there = stat(path, &st) == 0;
	free(path);
	return there ? (uint64_t)st.st_size : 0;
}

uint64_t artifact_checked(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	const struct upload *u = upload_find(a, sha256);

	return u == NULL ? 0 : u->checked;
}

const char *artifact_why(const struct artifacts *a)
{
	return a->why;
}

/* ---- room ---- */

/* What others under way will need that was not set aside for them. */
static uint64_t promised(const struct artifacts *a, const struct upload *but)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < UPLOADS_OPEN; i++) {
		const struct upload *u = &a->upload[i];
		if (u != but && u->fd >= 0 && !u->reserved && u->length > u->size)
			sum += u->length - u->size;
	}
	return sum;
}

static int no_room(struct artifacts *a, uint64_t need, uint64_t room, uint64_t keep)
{
	(void)snprintf(a->why, sizeof(a->why),
		"the file needs %s, %s are free for it (%s stay free for the store): make room on "
		"the disk of %s and repeat",
		show_size(need).s, show_size(room).s, show_size(keep).s, a->dir);
	return -ENOSPC;
}

/* Of what is missing; what an earlier run set aside for it is not looked for again. */
static uint64_t not_set_aside(const struct upload *u, const struct stat *st)
{
	uint64_t has = (uint64_t)st->st_blocks * 512, from = has > u->size ? has : u->size;

	return u->length > from ? u->length - from : 0;
}

/* Room for the rest of it, set aside where the file system can. */
static int make_room(struct artifacts *a, struct upload *u, const struct stat *st)
{
	uint64_t rest = u->length - u->size, need = not_set_aside(u, st);
	uint64_t room, keep, others = promised(a, u);
	struct statvfs fs;

	if (rest == 0)
		return 0;
	if (fstatvfs(u->fd, &fs) != 0)
		return -errno;
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	keep = (uint64_t)fs.f_blocks * fs.f_frsize / 1000000 * KEEP_FREE_PPM;
	if (keep > KEEP_FREE)
		keep = KEEP_FREE;
	room = room > keep + others ? room - keep - others : 0;
	if (need > room)
		return no_room(a, need, room, keep);
	u->reserved = fallocate(u->fd, FALLOC_FL_KEEP_SIZE, (off_t)u->size, (off_t)rest) == 0;
	if (!u->reserved && (errno == ENOSPC || errno == EDQUOT))
		return no_room(a, need, room, keep);
	return 0;
}

/* ---- open ---- */

/* NULL when all are in use. */
static struct upload *free_slot(struct artifacts *a)
{
	struct upload *oldest = &a->upload[0];

	for (size_t i = 0; i < UPLOADS_OPEN; i++) {
		if (a->upload[i].fd < 0)
			return &a->upload[i];
		if (a->upload[i].used < oldest->used)
			oldest = &a->upload[i];
	}
	if (a->turn - oldest->used <= PATIENCE)
		return NULL;
	upload_close(oldest);
	return oldest;
}

static int start(struct artifacts *a, struct upload *u, int flags)
{
	char *path = artifact_upload_path(a, u->sha256);
	struct stat st;
	int err;

	u->fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	err = u->fd < 0 || fstat(u->fd, &st) != 0 ? -errno : crypto_hash_start(u->hash);
	free(path);
	if (err == 0) {
		u->size = (uint64_t)st.st_size;
		err = u->size > u->length ? ERR_CONFLICT : make_room(a, u, &st);
	}
	if (err != 0 && u->fd >= 0 && u->size == 0)
		throw_away(a, u); /* nothing but a name */
	else if (err != 0)
		upload_close(u);
	return err == -ENOENT ? ERR_CONFLICT : err;
}

/* From the beginning, or with what an earlier run left. */
static int open_upload(struct artifacts *a, const uint8_t sha256[SHA256_LEN], uint64_t length,
	bool anew, struct upload **out)
{
	*out = free_slot(a);
	if (*out == NULL) {
		(void)snprintf(a->why, sizeof(a->why),
			"%u other files are being uploaded: repeat when one of them is done",
			UPLOADS_OPEN);
		return ERR_BUSY;
	}
	**out = (struct upload){ .fd = -1, .length = length, .hash = (*out)->hash };
	memcpy((*out)->sha256, sha256, SHA256_LEN);
	return start(a, *out, anew ? O_CREAT | O_TRUNC : 0);
}

/* ---- go on ---- */

/* Reads on in what was there before the restart. */
static int check_more(struct upload *u)
{
	uint8_t *piece;
	uint64_t left = u->size - u->checked;
	int err = 0;

	if (left == 0)
		return 0;
	piece = mem_alloc(MIB);
	for (uint64_t end = u->checked + (left < CHECK_STEP ? left : CHECK_STEP);
		err == 0 && u->checked < end;) {
		size_t want = end - u->checked < MIB ? (size_t)(end - u->checked) : MIB;
		ssize_t n = pread(u->fd, piece, want, (off_t)u->checked);
		if (n <= 0)
			err = n < 0 ? -errno : ERR_CORRUPT;
		else
			err = crypto_hash_add(u->hash, piece, (size_t)n);
		if (err == 0)
			u->checked += (uint64_t)n;
	}
	free(piece);
	return err;
}

/* At most two steps are ever not on disk: waiting for the one before costs little by then. */
static int write_out(struct upload *u)
{
	const unsigned wait =
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	uint64_t from = u->written_out;

	if (u->size - from < WRITE_OUT)
		return 0;
	u->written_out = u->size;
	if (sync_file_range(u->fd, (off_t)from, (off_t)(u->size - from), SYNC_FILE_RANGE_WRITE) ==
			0 &&
		(from < WRITE_OUT ||
			sync_file_range(u->fd, (off_t)(from - WRITE_OUT), WRITE_OUT, wait) == 0))
		return 0;
	/* A disk that failed says so once: a sync after that would find all well. */
	if (errno != ENOSYS && errno != EINVAL && errno != ESPIPE)
		return -errno;
	return fdatasync(u->fd) != 0 ? -errno : 0; /* a file system that does not know it */
}

static int write_piece(struct upload *u, struct bytes piece)
{
	int err = file_write_at(u->fd, u->size, piece);

	if (err == 0)
		err = crypto_hash_add(u->hash, piece.p, piece.n);
	if (err != 0) {
		int cut = ftruncate(u->fd, (off_t)u->size);
		return cut != 0 ? ERR_CORRUPT : err;
	}
	u->size += piece.n;
	u->checked = u->size;
	return write_out(u);
}

static int finish(struct artifacts *a, struct upload *u)
{
	uint8_t sha256[SHA256_LEN];
	int err = crypto_hash_end(u->hash, sha256);

	if (err == 0 && memcmp(sha256, u->sha256, SHA256_LEN) != 0)
		err = ERR_BAD_HASH;
	/* Its age counts from here; fsync() for that, too. */
	if (err == 0 && (futimens(u->fd, NULL) != 0 || fsync(u->fd) != 0))
		err = -errno;
	if (err == 0)
		err = artifact_move_in(a, u->sha256);
	throw_away(a, u);
	return err;
}

/* -ENOSPC leaves what is there. */
static int give_up(struct artifacts *a, struct upload *u, int err)
{
	if (err == -ENOSPC || err == -EDQUOT) {
		(void)snprintf(a->why, sizeof(a->why),
			"the disk of %s is full: %s of %s are here and stay; make room and repeat "
			"to go on from there",
			a->dir, show_size(u->size).s, show_size(u->length).s);
		return -ENOSPC;
	}
	throw_away(a, u);
	return err;
}

static int conflict(struct artifacts *a, const struct upload *u)
{
	(void)snprintf(a->why, sizeof(a->why),
		"the upload does not go on there: %llu bytes of the file are here",
		(unsigned long long)u->size);
	return ERR_CONFLICT;
}

int artifact_upload(struct artifacts *a, const uint8_t sha256[SHA256_LEN], uint64_t length,
	uint64_t offset, struct bytes piece)
{
	struct upload *u = upload_find(a, sha256);
	int err = 0;

	a->why[0] = '\0';
	a->turn++;
	if (offset > length || piece.n > length - offset)
		return ERR_BAD_RANGE;
	if (u != NULL && offset == 0)
		upload_close(u);
	if (u == NULL || offset == 0)
		err = open_upload(a, sha256, length, offset == 0, &u);
	if (err != 0)
		return err;
	u->used = a->turn;
	if (offset != u->size || length != u->length)
		return conflict(a, u);
	err = check_more(u);
	if (err == 0 && piece.n > 0 && u->checked < u->size)
		return conflict(a, u);
	if (err == 0 && piece.n > 0)
		err = write_piece(u, piece);
	if (err != 0)
		return give_up(a, u, err);
	return u->checked == length ? finish(a, u) : 0;
}
