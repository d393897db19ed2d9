/* SPDX-License-Identifier: Apache-2.0 */
#include "server/artifact/artifact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/artifact/artifact_private.h"
#include "server/base/file.h"
#include "server/base/mem.h"

char *artifact_path(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	char hex[2 * SHA256_LEN + 1];

	return mem_printf("%s/%02x/%s", a->dir, sha256[0], hex_encode(hex, sha256, SHA256_LEN));
}

char *artifact_upload_path(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	char hex[2 * SHA256_LEN + 1];

	return mem_printf("%s/upload/%s", a->dir, hex_encode(hex, sha256, SHA256_LEN));
}

static int make_folder(const char *path)
{
	return mkdir(path, 0700) != 0 && errno != EEXIST ? -errno : 0;
}

static int make_folders(const char *dir)
{
	char *upload = mem_printf("%s/upload", dir);
	struct stat st;
	int err = make_folder(dir);

	if (err == 0)
		err = file_sync_entry(dir);
	/* Versions before 0.2 had one upload at a time, in a file of this name. */
	if (err == 0 && stat(upload, &st) == 0 && S_ISREG(st.st_mode))
		err = unlink(upload) != 0 ? -errno : 0;
	if (err == 0)
		err = make_folder(upload);
	free(upload);
	return err;
}

int artifacts_open(const char *dir, struct artifacts **out)
{
	struct artifacts *a;
	int err = make_folders(dir);

	if (err != 0)
		return err;
	a = mem_zalloc(sizeof(*a));
	a->dir = mem_strdup(dir);
	a->upload = mem_zalloc(UPLOADS_OPEN * sizeof(*a->upload));
	for (size_t i = 0; i < UPLOADS_OPEN; i++) {
		a->upload[i].fd = -1;
		a->upload[i].hash = crypto_hash_new();
		if (a->upload[i].hash == NULL)
			err = ERR_CRYPTO;
	}
	if (err != 0) {
		artifacts_close(a);
		return err;
	}
	*out = a;
	return 0;
}

void artifacts_close(struct artifacts *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < UPLOADS_OPEN; i++) {
		upload_close(&a->upload[i]);
		crypto_hash_free(a->upload[i].hash);
	}
	free(a->upload);
	free(a->dir);
	free(a);
}

int artifact_open(
	const struct artifacts *a, const uint8_t sha256[SHA256_LEN], int *fd, uint64_t *length)
{
	char *path = artifact_path(a, sha256);
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
	char *path = artifact_path(a, sha256);
	bool there = access(path, R_OK) == 0;

	free(path);
	return there;
}

bool artifact_touch(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	char *path = artifact_path(a, sha256);
	bool there = utimensat(AT_FDCWD, path, NULL, 0) == 0;

	free(path);
	return there || artifact_exists(a, sha256);
}

static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 || fsync(fd) != 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return err;
}

int artifact_move_in(const struct artifacts *a, const uint8_t sha256[SHA256_LEN])
{
	char *from = artifact_upload_path(a, sha256), *to = artifact_path(a, sha256);
	char *folder = mem_printf("%s/%02x", a->dir, sha256[0]);
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
