/* SPDX-License-Identifier: Apache-2.0 */
/* build sign: needs no server, so that release keys can stay offline. */
#include "server/ctl/cmds.h"
#include "server/ctl/publish.h"

/* All words are envelopes of one description: their signatures together. */
static int merge(struct ctl *c, struct arena *a, struct bytes *all)
{
	for (size_t i = 1; i < c->args.words.n; i++) {
		struct bytes one;
		bool is;
		int err = targets_read(c, c->args.words.v[i], a, &is, &one);
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

static int renew(struct ctl *c, struct arena *a, struct bytes *out)
{
	int err;
	const Pb__Targets *old = targets_peek(*out, a, &err);

	if (c->args.words.n > 1)
		return fail(
			EXIT_USAGE, "huiductl help build sign", "--renew: one envelope at a time");
	err = old == NULL ? err : targets_renew(old, a, out);
	return err == 0 ? 0 : fail(exit_of(err), NULL, "the envelope: %s", err_str(err));
}

static int load(struct ctl *c, struct arena *a, struct bytes *out)
{
	bool is;
	int err = targets_read(c, c->args.words.v[0], a, &is, out);

	if (err == 0 && c->args.renew == FLAG_YES)
		return is ? renew(c, a, out)
			  : fail(EXIT_USAGE, "huiductl build sign OLD.env --renew -o NEW.env",
				    "%s: --renew takes what was signed, not the build's file",
				    c->args.words.v[0]);
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
		err = publish_save(c, envelope, &a);
	free(a.base);
	return err;
}
