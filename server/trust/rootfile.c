/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/rootfile.h"

#include "proto/root.h"
#include "server/base/buf.h"
#include "server/base/file.h"
#include "server/base/mem.h"

#define ARENA_SIZE (1024u * 1024u)

struct loaded {
	struct rootfile file; /* first: what callers hold */
	struct arena arena;
	void *envelope; /* our own copy */
};

int rootfile_parse(struct bytes envelope, struct rootfile **out)
{
	struct loaded *l;
	int err;

	if (envelope.n > ROOT_MAX)
		return ERR_TOO_BIG;
	l = mem_zalloc(sizeof(*l));
	l->envelope = mem_dup(envelope.p, envelope.n);
	l->file.envelope = bytes_of(l->envelope, envelope.n);
	l->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	l->file.root = root_open(crypto_openssl(), l->file.envelope, &l->arena, &err);
	if (err == 0)
		*out = &l->file;
	else
		rootfile_free(&l->file);
	return err;
}

int rootfile_read(const char *path, struct rootfile **out)
{
	struct buf b = { 0 };
	int err = file_read(path, ROOT_MAX, &b);

	if (err == 0)
		err = rootfile_parse(buf_bytes(&b), out);
	buf_release(&b);
	return err;
}

int rootfile_write(const char *path, struct bytes envelope)
{
	return file_replace(path, envelope, 0644);
}

void rootfile_free(struct rootfile *r)
{
	struct loaded *l = (struct loaded *)(void *)r;

	if (l == NULL)
		return;
	free(l->envelope);
	free(l->arena.base);
	free(l);
}
