/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/draftfile.h"

#include <unistd.h>

#include "proto/root.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/ctl/root_show.h"
#include "server/ctl/sign.h"
#include "server/trust/ceremony.h"

#define ARENA_BYTES (1024u * 1024u)

int draftfile_read(struct ctl *c, const char *path, struct arena *a, struct bytes *envelope,
	const Pb__Root **out)
{
	struct buf b = { 0 };
	int err = file_read(path, ROOT_MAX, &b);
	uint8_t *p = arena_alloc(a, b.len + 1);
	const Pb__Envelope *e = NULL;
	enum envelope_type type;

	if (err == 0 && p == NULL)
		err = ERR_NO_ROOM;
	if (err == 0 && b.len > 0)
		memcpy(p, b.data, b.len);
	*envelope = bytes_of(p, b.len);
	if (err == 0)
		e = envelope_read(*envelope, a, &err);
	if (e != NULL && (!envelope_type_of(e, &type) || type != ENVELOPE_ROOT))
		err = ERR_WRONG_TYPE;
	if (err == 0)
		*out = wire_read(
			&pb__root__descriptor, wire_bytes(e->payload), &wire_signed, a, &err);
	buf_release(&b);
	return err == 0
		? 0
		: fail(exit_of(err), command_page(c->command).s, "%s: no root: %s", path,
			  err == ERR_WRONG_TYPE ? "an envelope of something else" : err_str(err));
}

static char *usual_path(const struct ctl *c)
{
	const char *slash = strrchr(c->context.root, '/');

	return mem_printf("%.*sroot-%llu.env",
		(int)(slash == NULL ? 0 : slash + 1 - c->context.root), c->context.root,
		(unsigned long long)c->root->root->version + 1);
}

static int take_up(struct ctl *c, struct draftfile *f)
{
	struct arena a = arena_new(ARENA_BYTES);
	const Pb__Root *now = c->root->root, *root = NULL;
	struct bytes envelope;
	const Pb__Envelope *e;
	int err = draftfile_read(c, f->path, &a, &envelope, &root);

	if (err == 0 &&
		(root->version != now->version + 1 ||
			strcmp(root->repository, now->repository) != 0))
		err = fail(EXIT_CONFLICT, "huiductl root show FILE, then remove or rename it",
			"%s: root %llu of '%s'; in force is %llu of '%s'", f->path,
			(unsigned long long)root->version, root->repository,
			(unsigned long long)now->version, now->repository);
	if (err == 0) {
		e = envelope_read(envelope, &a, &err);
		f->was_signed = e != NULL && e->n_signatures > 0;
		err = draft_copy(&f->d, root);
		if (err != 0)
			err = fail(exit_of(err), NULL, "%s: %s", f->path, err_str(err));
	}
	free(a.base);
	return err;
}

int draftfile_open(struct ctl *c, struct draftfile *f)
{
	int err = ctl_root(c);

	*f = (struct draftfile){ 0 };
	if (err != 0)
		return err;
	f->path = c->args.draft != NULL ? mem_strdup(c->args.draft) : usual_path(c);
	f->was_there = access(f->path, F_OK) == 0;
	if (f->was_there)
		return take_up(c, f);
	err = draft_copy(&f->d, c->root->root);
	if (err != 0)
		return fail(exit_of(err), NULL, "%s: %s", c->context.root, err_str(err));
	f->d.root->version++;
	f->d.root->expires = clock_ms() / 1000 + ROOT_DAYS * 86400ull;
	return 0;
}

static int tell(struct ctl *c, const struct draftfile *f)
{
	struct buf out = { 0 }, missing = { 0 };

	root_difference(&out, &c->term, c->root->root, f->d.root);
	if (f->was_signed)
		buf_str(&out, "Its signatures are gone: it is another root now.\n");
	if (root_missing(&missing, f->d.root) > 0)
		buf_printf(&out, "Missing before anybody can sign it\n%s", buf_text(&missing));
	else
		buf_printf(&out, "Next: huiductl root sign %s --key NAME.root.pem\n", f->path);
	buf_release(&missing);
	return ctl_print(&out);
}

int draftfile_save(struct ctl *c, const struct draftfile *f)
{
	struct arena a = arena_new(ARENA_BYTES);
	struct bytes envelope;
	int err = draft_wrap(&f->d, &a, &envelope);

	if (err == 0 && envelope.n > ROOT_MAX)
		err = ERR_TOO_BIG;
	if (err == 0)
		err = f->was_there ? file_replace(f->path, envelope, 0644)
				   : file_create(f->path, envelope, 0644);
	free(a.base);
	if (err != 0)
		return fail(exit_of(err), "huiductl root ... --draft ANOTHER.env", "%s: %s",
			f->path, err_str(err));
	return tell(c, f);
}

void draftfile_release(struct draftfile *f)
{
	free(f->path);
	draft_release(&f->d);
}
