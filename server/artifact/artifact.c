/* SPDX-License-Identifier: Apache-2.0 */
#include "server/artifact/artifact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/crypto.h"
#include "server/base/file.h"
#include "server/base/mem.h"

struct artifacts {
	char *dir;
	struct {
		int fd; /* -1: none under way */
		uint8_t sha256[SHA256_LEN];
		uint64_t at;
		struct crypto_hash *hash;
	} upload;
};

static char *folder_path(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	return mem_printf("%s/%02x", a->dir, sha256[0]);
}

static char *file_path(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	char hex[2 * SHA256_LEN + 1];

	return mem_printf("%s/%02x/%s", a->dir, sha256[0], hex_encode(hex, sha256, SHA256_LEN));
}

static char *upload_path(const struct artifacts *a)
{
	return mem_printf("%s/upload", a->dir);
}

static int make_folder(const char *path)
{
	return mkdir(path, 0700) != 0 && errno != EEXIST ? -errno : 0;
}

int artifacts_open(const char *dir, struct artifacts **out)
{
	struct artifacts *a;
	int err = make_folder(dir);

	if (err != 0)
		return err;
	a = mem_zalloc(sizeof(*a));
	a->dir = mem_strdup(dir);
	a->upload.fd = -1;
	a->upload.hash = crypto_hash_new();
	if (a->upload.hash == NULL) {
		artifacts_close(a);
		return ERR_CRYPTO;
	}
	*out = a;
	return 0;
}

void artifacts_close(struct artifacts *a)
{
	if (a == NULL)
		return;
	if (a->upload.fd >= 0)
		(void)close(a->upload.fd); /* what is half done is worth nothing */
	crypto_hash_free(a->upload.hash);
	free(a->dir);
	free(a);
}

int artifact_open(
	const struct artifacts *a, const uint8_t sha256[SHA256_LEN], int *fd, uint64_t *length)
{
	char *path = file_path(a, sha256);
	struct stat st;
	int err = 0;

	*fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (*fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : -errno;
	if (fstat(*fd, &st) != 0) {
		err = -errno;
		(void)close(*fd);
		return err;
	}
	*length = (uint64_t)st.st_size;
	return 0;
}

bool artifact_exists(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	char *path = file_path(a, sha256);
	bool there = access(path, R_OK) == 0;

	free(path);
	return there;
}

uint64_t artifact_received(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	if (a->upload.fd < 0 || memcmp(sha256, a->upload.sha256, SHA256_LEN) != 0)
		return 0;
	return a->upload.at;
}

static void upload_drop(struct artifacts *a)
{
	char *path = upload_path(a);

	if (a->upload.fd >= 0)
		(void)close(a->upload.fd);
	a->upload.fd = -1;
	(void)unlink(path); /* the next upload truncates it anyway */
	free(path);
}

static int upload_start(struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	char *path;
	int err;

	upload_drop(a);
	path = upload_path(a);
	a->upload.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	err = a->upload.fd < 0 ? -errno : crypto_hash_start(a->upload.hash);
	free(path);
	memcpy(a->upload.sha256, sha256, SHA256_LEN);
	a->upload.at = 0;
	return err;
}

static int upload_write(struct artifacts *a, struct bytes piece)
{
	int err = crypto_hash_add(a->upload.hash, piece.p, piece.n);

	if (err == 0)
		err = file_write_at(a->upload.fd, a->upload.at, piece);
	if (err == 0)
		a->upload.at += piece.n;
	return err;
}

static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 || fsync(fd) != 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return err;
}

static int move_in(const struct artifacts *a)
{
	char *from = upload_path(a), *to = file_path(a, a->upload.sha256);
	char *folder = folder_path(a, a->upload.sha256);
	int err = make_folder(folder);

	if (err == 0 && rename(from, to) != 0)
		err = -errno;
	if (err == 0)
		err = sync_folder(folder);
	if (err == 0)
		err = sync_folder(a->dir);
	free(from);
	free(to);
	free(folder);
	return err;
}

static int upload_finish(struct artifacts *a)
{
	uint8_t sha256[SHA256_LEN];
	int err = crypto_hash_end(a->upload.hash, sha256);

	if (err == 0 && memcmp(sha256, a->upload.sha256, SHA256_LEN) != 0)
		err = ERR_BAD_HASH;
	if (err == 0 && fsync(a->upload.fd) != 0)
		err = -errno;
	if (err == 0)
		err = move_in(a);
	upload_drop(a);
	return err;
}

int artifact_upload(struct artifacts *a, const uint8_t sha256[SHA256_LEN], uint64_t length,
	uint64_t offset, struct bytes piece)
{
	int err = 0;

	if (offset > length || piece.n > length - offset)
		return ERR_BAD_RANGE;
	if (offset == 0)
		err = upload_start(a, sha256);
	else if (a->upload.fd < 0 || offset != a->upload.at ||
		memcmp(sha256, a->upload.sha256, SHA256_LEN) != 0)
		return ERR_CONFLICT;
	if (err == 0)
		err = upload_write(a, piece);
	if (err == 0 && a->upload.at == length)
		return upload_finish(a);
	if (err != 0)
		upload_drop(a);
	return err;
}
