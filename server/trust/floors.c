/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/signer_proc.h"

#include <errno.h>
#include <stdio.h>

#include "server/base/file.h"
#include "server/base/mem.h"

#define FILE_MAX ((size_t)4 * 1024 * 1024)

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
static int load(struct floors *f, const char *text)
{
	unsigned long long version;
	char name[METADATA_NAME_MAX];
	int used;

	while (*text != '\0') {
		if (sscanf(text, "%20llu %159s%n", &version, name, &used) != 2 ||
			text[used] != '\n')
			return ERR_CORRUPT;
		floors_set(f, name, version);
		text += used + 1;
	}
	mark_saved(f);
	return 0;
}

int floors_open(const char *path, struct floors **out)
{
	struct floors *f = mem_zalloc(sizeof(*f));
	struct buf text = { 0 };
	int err = file_read(path, FILE_MAX, &text);

	f->path = mem_strdup(path);
	if (err == 0)
		err = load(f, buf_text(&text));
	else if (err == -ENOENT)
		err = 0;
	buf_release(&text);
	*out = f;
	return err;
}

int floors_save(struct floors *f)
{
	struct buf text = { 0 };
	int err;

	for (size_t i = 0; i < f->n; i++)
		buf_printf(&text, "%llu %s\n", (unsigned long long)f->list[i].version,
			f->list[i].name);
	err = file_replace(f->path, buf_bytes(&text), 0600);
	if (err == 0)
		mark_saved(f);
	buf_release(&text);
	return err;
}
