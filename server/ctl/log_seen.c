/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/log_seen.h"

#include <stdio.h>

#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define NAME     "log.seen"
#define FILE_MAX (CHECKPOINT_MAX + 128u)

static char *path_of(const struct ctl *c)
{
	const char *slash = strrchr(c->context.root, '/');

	return mem_printf("%.*s" NAME, (int)(slash == NULL ? 0 : slash + 1 - c->context.root),
		c->context.root);
}

int log_seen_read(const struct ctl *c, struct checkpoint *out)
{
	char *path = path_of(c), *space, *end;
	struct buf b = { 0 };
	int err = file_read(path, FILE_MAX, &b);
	char *text = err == 0 ? mem_strdup(buf_text(&b)) : NULL;

	if (err == 0) {
		space = strchr(text, ' ');
		end = strchr(text, '\n');
		if (space == NULL || end == NULL || space > end)
			err = ERR_CORRUPT;
		else
			*space = *end = '\0';
		if (err == 0 &&
			(!text_u64(text, &out->size) ||
				!hex_decode(out->root, SHA256_LEN, space + 1)))
			err = ERR_CORRUPT;
	}
	free(text);
	free(path);
	buf_release(&b);
	return err;
}

int log_seen_write(const struct ctl *c, const struct checkpoint *p, struct bytes note)
{
	char hex[2 * SHA256_LEN + 1], *path = path_of(c);
	struct buf b = { 0 };
	int err;

	buf_printf(
		&b, "%llu %s\n", (unsigned long long)p->size, hex_encode(hex, p->root, SHA256_LEN));
	buf_add(&b, note.p, note.n);
	err = file_replace(path, buf_bytes(&b), 0644);
	if (err != 0)
		err = fail(exit_of(err), "make the folder writable", "%s: %s", path, err_str(err));
	free(path);
	buf_release(&b);
	return err;
}
