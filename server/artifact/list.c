/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/artifact/artifact_private.h"
#include "server/base/mem.h"

struct listing {
	struct artifact_file *file;
	size_t n, room;
};

/* What has no name of ours is not ours. */
static void add(struct listing *l, int folder, const char *name, bool unfinished)
{
	struct artifact_file f = { .unfinished = unfinished };
	struct stat st;

	if (strlen(name) != 2 * SHA256_LEN || !hex_decode(f.sha256, SHA256_LEN, name) ||
		fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return;
	f.length = (uint64_t)st.st_size;
	f.since_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	if (l->n == l->room) {
		l->room = l->room == 0 ? 64 : 2 * l->room;
		l->file = mem_resize(l->file, l->room, sizeof(*l->file));
	}
	l->file[l->n++] = f;
}

static int add_folder(struct listing *l, const char *path, bool unfinished)
{
	DIR *dir = opendir(path);
	const struct dirent *e;

	if (dir == NULL)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(dir)) != NULL)
		add(l, dirfd(dir), e->d_name, unfinished);
	(void)closedir(dir); /* only read */
	return 0;
}

int artifact_list(const struct artifacts *a, struct artifact_file **out, size_t *n)
{
	struct listing l = { 0 };
	char *path = mem_printf("%s/upload", a->dir);
	int err = add_folder(&l, path, true);

	free(path);
	for (unsigned first = 0; err == 0 && first < 256; first++) {
		path = mem_printf("%s/%02x", a->dir, first);
		err = add_folder(&l, path, false);
		free(path);
	}
	*out = l.file;
	*n = l.n;
	return err;
}

int artifact_remove(struct artifacts *a, const struct artifact_file *file)
{
	char *path = file->unfinished ? artifact_upload_path(a, file->sha256)
				      : artifact_path(a, file->sha256);
	struct upload *u = file->unfinished ? upload_find(a, file->sha256) : NULL;
	int err = unlink(path) != 0 && errno != ENOENT ? -errno : 0;

	/* Not synced: what a crash brings back is removed again. */
	if (u != NULL)
		upload_close(u);
	free(path);
	return err;
}
