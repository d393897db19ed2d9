/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/signer_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/mem.h"

struct floor {
	char *name;
	uint64_t version, saved;
};

struct floors {
	char *path;
	struct floor *list;
	size_t n;
};

static struct floor *find(const struct floors *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->list[i].name, name) == 0)
			return &f->list[i];
	return NULL;
}

uint64_t floors_get(const struct floors *f, const char *name)
{
	const struct floor *e = find(f, name);

	return e == NULL ? 0 : e->version;
}

void floors_set(struct floors *f, const char *name, uint64_t version)
{
	struct floor *e = find(f, name);

	if (e == NULL) {
		f->list = mem_resize(f->list, f->n + 1, sizeof(*f->list));
		e = &f->list[f->n++];
		*e = (struct floor){ .name = mem_strdup(name) };
	}
	e->version = version;
}

void floors_revert(struct floors *f)
{
	for (size_t i = 0; i < f->n; i++)
		f->list[i].version = f->list[i].saved;
}

static void mark_saved(struct floors *f)
{
	for (size_t i = 0; i < f->n; i++)
		f->list[i].saved = f->list[i].version;
}

/* One line each: version, space, name.  A file that cannot be read as a whole is not trusted. */
static int load(struct floors *f, FILE *file)
{
	unsigned long long version;
	char name[256];
	int got;

	while ((got = fscanf(file, "%20llu %255s", &version, name)) == 2)
		floors_set(f, name, version);
	mark_saved(f);
	return got == EOF && !ferror(file) ? 0 : ERR_CORRUPT;
}

int floors_open(const char *path, struct floors **out)
{
	struct floors *f = mem_zalloc(sizeof(*f));
	FILE *file = fopen(path, "re");
	int err = file == NULL && errno != ENOENT ? -errno : 0;

	f->path = mem_strdup(path);
	if (file != NULL) {
		err = load(f, file);
		(void)fclose(file); /* only read */
	}
	*out = f;
	return err;
}

static int sync_directory(const char *path)
{
	char *copy = mem_strdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 || fsync(fd) != 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd);
	free(copy);
	return err;
}

static int write_list(const struct floors *f, const char *path)
{
	FILE *file = fopen(path, "we");
	int err = 0;

	if (file == NULL)
		return -errno;
	for (size_t i = 0; i < f->n; i++)
		if (fprintf(file, "%llu %s\n", (unsigned long long)f->list[i].version,
			    f->list[i].name) < 0)
			err = -EIO;
	if (fflush(file) != 0 || fsync(fileno(file)) != 0)
		err = -errno;
	if (fclose(file) != 0 && err == 0)
		err = -errno;
	return err;
}

int floors_save(struct floors *f)
{
	char *next = mem_printf("%s.next", f->path);
	int err = write_list(f, next);

	if (err == 0 && rename(next, f->path) != 0)
		err = -errno;
	if (err == 0)
		err = sync_directory(f->path);
	if (err == 0)
		mark_saved(f);
	free(next);
	return err;
}
