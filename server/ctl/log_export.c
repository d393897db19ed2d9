/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/log_export.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/trust/logtree.h"

#define WIDTH     256u /* hashes or entries of a full tile */
#define ENTRY_MAX 65535u
#define NUMBER    40u

struct log_export {
	const char *folder;
	struct logtree *tree;
	struct buf bundle; /* entries since the last full one */
	struct arena a;    /* of one leaf */
};

struct log_export *log_export_new(const char *folder)
{
	struct log_export *e = mem_zalloc(sizeof(*e));

	e->folder = folder;
	e->tree = logtree_new();
	e->a = (struct arena){ mem_alloc(2 * ENTRY_MAX), 2 * ENTRY_MAX, 0 };
	return e;
}

void log_export_free(struct log_export *e)
{
	logtree_free(e->tree);
	buf_release(&e->bundle);
	free(e->a.base);
	free(e);
}

/* 1234067 is x001/x234/067. */
static void number(uint64_t n, char out[NUMBER])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	int groups = (len + 2) / 3;
	char padded[28];
	size_t at = 0;

	(void)snprintf(padded, sizeof(padded), "%0*llu", 3 * groups, (unsigned long long)n);
	for (int g = 0; g < groups; g++)
		at += (size_t)snprintf(out + at, NUMBER - at, "%s%.3s%s", g + 1 < groups ? "x" : "",
			padded + 3 * g, g + 1 < groups ? "/" : "");
}

static int make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		int err;
		*slash = '\0';
		err = mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -errno;
		*slash = '/';
		if (err != 0)
			return err;
	}
	return 0;
}

/* FOLDER/tile/WHERE/NUMBER, with .p/WIDTH when it is not full. */
static int write_tile(const struct log_export *e, const char *where, uint64_t index, unsigned width,
	struct bytes data)
{
	char name[NUMBER], part[16] = "", *path;
	int err;

	number(index, name);
	if (width < WIDTH)
		(void)snprintf(part, sizeof(part), ".p/%u", width);
	path = mem_printf("%s/tile/%s/%s%s", e->folder, where, name, part);
	err = make_folders(path);
	if (err == 0)
		err = file_replace(path, data, 0644);
	free(path);
	return err;
}

int log_export_add(struct log_export *e, struct bytes entry)
{
	uint8_t leaf[SHA256_LEN], length[2];
	uint64_t n = logtree_size(e->tree);
	int err;

	if (entry.n > ENTRY_MAX)
		return ERR_TOO_BIG;
	e->a.used = 0;
	err = merkle_leaf(crypto_openssl(), entry, &e->a, leaf);
	if (err == 0)
		err = logtree_add(e->tree, leaf);
	if (err != 0)
		return err;
	put_be16(length, (uint16_t)entry.n);
	buf_add(&e->bundle, length, sizeof(length));
	buf_add(&e->bundle, entry.p, entry.n);
	if ((n + 1) % WIDTH != 0)
		return 0;
	err = write_tile(e, "entries", n / WIDTH, WIDTH, buf_bytes(&e->bundle));
	e->bundle.len = 0;
	return err;
}

static int write_level(const struct log_export *e, uint64_t size, unsigned level)
{
	uint64_t nodes = size >> 8 * level;
	char where[8];
	int err = 0;

	(void)snprintf(where, sizeof(where), "%u", level);
	for (uint64_t i = 0; err == 0 && i * WIDTH < nodes; i++) {
		uint64_t left = nodes - i * WIDTH;
		unsigned width = left < WIDTH ? (unsigned)left : WIDTH;
		struct buf b = { 0 };
		err = logtree_tile(e->tree, size, level, i, width, &b)
			? write_tile(e, where, i, width, buf_bytes(&b))
			: ERR_CORRUPT;
		buf_release(&b);
	}
	return err;
}

int log_export_end(struct log_export *e, const struct checkpoint *p, struct bytes note)
{
	uint64_t size = logtree_size(e->tree);
	uint8_t root[SHA256_LEN];
	char *path;
	int err = 0;

	if (p->size != size)
		return ERR_FORKED;
	err = logtree_root(e->tree, size, root);
	if (err == 0 && memcmp(root, p->root, SHA256_LEN) != 0)
		err = ERR_FORKED;
	if (err == 0 && size % WIDTH != 0)
		err = write_tile(e, "entries", size / WIDTH, (unsigned)(size % WIDTH),
			buf_bytes(&e->bundle));
	for (unsigned level = 0; err == 0 && level < 8 && size >> 8 * level > 0; level++)
		err = write_level(e, size, level);
	/* Last: a checkpoint never promises tiles that are not there. */
	path = mem_printf("%s/checkpoint", e->folder);
	if (err == 0)
		err = file_replace(path, note, 0644);
	free(path);
	return err;
}
