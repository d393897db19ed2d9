/* SPDX-License-Identifier: Apache-2.0 */
/* build sign: needs no server, so that release keys can stay offline. */
#include "server/base/file.h"
#include "server/ctl/cmds.h"
#include "server/ctl/targets.h"

/* Reads word `i` as an envelope of Targets; `*is` false: it is some other file. */
static int read_word(struct ctl *c, size_t i, struct arena *a, bool *is, struct bytes *out)
{
	const char *path = c->args.words.v[i];
	struct buf b = { 0 };
	int err = file_read(path, TARGETS_ENV_MAX, &b);
	uint8_t *p = NULL;

	*is = false;
	if (err == 0) {
		p = arena_alloc(a, b.len);
		if (p != NULL && b.len > 0)
			memcpy(p, b.data, b.len);
		*out = bytes_of(p, p != NULL ? b.len : 0);
		*is = targets_peek(*out, a, &err) != NULL;
		err = 0; /* it is a build's file, then */
	}
	buf_release(&b);
	if (err == 0 || err == ERR_TOO_BIG)
		return 0;
	return fail(exit_of(err), command_str(c->command).s, "%s: %s", path, err_str(err));
}

/* All words are envelopes of one description: their signatures together. */
static int merge(struct ctl *c, struct arena *a, struct bytes *all)
{
	for (size_t i = 1; i < c->args.words.n; i++) {
		struct bytes one;
		bool is;
		int err = read_word(c, i, a, &is, &one);
		if (err != 0)
			return err;
		err = is ? envelope_merge(*all, one, a, all) : ERR_WRONG_TYPE;
		if (err != 0)
			return fail(EXIT_USAGE, "huiductl help build sign",
				"%s: not a description of the same build as %s", c->args.words.v[i],
				c->args.words.v[0]);
	}
	return 0;
}

static int make(struct ctl *c, struct arena *a, struct bytes *out)
{
	if (c->args.words.n > 1)
		return fail(EXIT_USAGE, "huiductl help build sign",
			"one file at a time, or envelopes of one build");
	if (!c->args.counter.set)
		return fail(EXIT_USAGE, "huiductl build list, for the highest so far",
			"--counter is missing: without a server nobody knows the next one");
	return targets_make(
		c, c->args.words.v[0], c->args.counter.v, c->args.rollback_index.v, a, out);
}

static int load(struct ctl *c, struct arena *a, struct bytes *out)
{
	bool is;
	int err = read_word(c, 0, a, &is, out);

	if (err != 0)
		return err;
	return is ? merge(c, a, out) : make(c, a, out);
}

static int show(struct ctl *c, struct bytes envelope, struct arena *a)
{
	struct buf text = { 0 };
	int err;
	const Pb__Targets *t = targets_peek(envelope, a, &err);

	if (t == NULL)
		return fail(exit_of(err), NULL, "the envelope: %s", err_str(err));
	if (strcmp(t->repository, c->context.repository) != 0)
		return fail(EXIT_REFUSED, "huiductl --context FILE ...",
			"the build is for '%s', this context for '%s'", t->repository,
			c->context.repository);
	targets_show(&text, &c->errors, t);
	note_text(&text);
	return 0;
}

/* Several envelopes and no key: only their signatures are put together. */
static int sign(struct ctl *c, struct arena *a, struct bytes *envelope)
{
	struct hand hand;
	int err;

	if (c->args.words.n > 1 && c->args.keys.n == 0)
		return 0;
	err = hand_take(c, HAND(RELEASE), c->root->root->targets->threshold, &hand);
	if (err != 0)
		return err;
	err = hand_sign(&hand, *envelope, a, envelope);
	hand_release(&hand);
	return err == 0 ? 0 : fail(exit_of(err), NULL, "signing: %s", err_str(err));
}

static int save(struct ctl *c, struct bytes envelope)
{
	const char *path = c->args.out;
	bool is_input = false;
	int err;

	for (size_t i = 0; i < c->args.words.n; i++)
		is_input |= strcmp(path, c->args.words.v[i]) == 0;
	err = is_input ? file_replace(path, envelope, 0644) : file_create(path, envelope, 0644);
	return err == 0 ? 0
			: fail(exit_of(err), "huiductl build sign ... -o ANOTHER.env", "%s: %s",
				  path, err_str(err));
}

static int tell(struct ctl *c, struct bytes envelope, struct arena *a)
{
	const Pb__Root *root = c->root->root;
	struct signers who = { 0 };
	struct buf out = { 0 };
	struct bytes payload;
	int err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_TARGETS, root, root->targets,
		a, &payload, &who);
	bool enough = err == 0;

	put(&out, &c->term, enough ? STYLE_GOOD : STYLE_WARN, "%s",
		icon(&c->term, enough ? ICON_DONE : ICON_WAITING));
	buf_printf(&out, " %s signed by ", c->args.out);
	put_signers(&out, root, &who);
	buf_printf(&out, " (%u of %u)\n", who.n, root->targets->threshold);
	if (enough)
		buf_printf(&out, "Next: huiductl build publish %s FILE\n", c->args.out);
	else
		buf_printf(&out, "Next: huiductl build sign %s --key NEXT.pem -o BOTH.env\n",
			c->args.out);
	return ctl_print(&out);
}

int cmd_build_sign(struct ctl *c)
{
	struct arena a = arena_new(2 * TARGETS_ARENA);
	struct bytes envelope;
	int err = 0;

	if (c->args.out == NULL)
		err = fail(EXIT_USAGE, "huiductl build sign ... -o OUT.env",
			"-o is missing: where the envelope goes");
	if (err == 0)
		err = ctl_root(c);
	if (err == 0)
		err = load(c, &a, &envelope);
	if (err == 0)
		err = show(c, envelope, &a);
	if (err == 0)
		err = sign(c, &a, &envelope);
	if (err == 0)
		err = save(c, envelope);
	if (err == 0)
		err = tell(c, envelope, &a);
	free(a.base);
	return err;
}
