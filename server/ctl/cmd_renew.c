/* SPDX-License-Identifier: Apache-2.0 */
/* build renew: what the server has published is signed again, as its next version. */
#include "server/ctl/cmds.h"
#include "server/ctl/publish.h"

static int none(const struct ctl *c, size_t n)
{
	const char *name = c->args.words.v[0], *product = c->args.product;

	if (n > 1)
		return fail(EXIT_USAGE, "huiductl build renew BUILD --product P",
			"'%s' are %zu builds: one at a time", name, n);
	return fail(EXIT_NOT_FOUND, "huiductl build list", "no build '%s'%s%s was published", name,
		product != NULL ? " for " : "", product != NULL ? product : "");
}

/* The one build that is meant; a build's own name goes before that of its release. */
static int choose(const struct ctl *c, const Pb__AdminReply *m, const Pb__BuildView **out)
{
	const char *name = c->args.words.v[0];
	size_t n = 0;

	for (unsigned by_release = 0; n == 0 && by_release < 2; by_release++)
		for (size_t i = 0; i < m->n_builds; i++) {
			const Pb__BuildView *b = m->builds[i];
			const char *its = by_release ? b->release : b->build_id;
			if (its == NULL || strcmp(its, name) != 0 || !b->has_targets ||
				(c->args.product != NULL &&
					strcmp(c->args.product, b->product) != 0))
				continue;
			*out = b;
			n++;
		}
	return n == 1 ? 0 : none(c, n);
}

/* The server may have made it up; who signed it tells, unless those have left. */
static int check_old(struct ctl *c, struct bytes envelope, struct arena *a)
{
	struct signers who = { 0 };
	struct bytes payload;
	int err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_TARGETS, c->root->root,
		c->root->root->targets, a, &payload, &who);

	if (err == 0)
		return 0;
	if (err != ERR_BELOW_THRESHOLD)
		return fail(exit_of(err), "huiductl log verify", "what the server has: %s",
			err_str(err));
	note("Only %u of %u release keys of this root have signed it before: compare the SHA-256\n"
	     "with that of the build you know.",
		who.n, c->root->root->targets->threshold);
	(void)ctl_confirm(c, "Is it that build?", &err); /* err says the same */
	return err;
}

static int make(struct ctl *c, struct bytes old, struct arena *a, struct bytes *out)
{
	int err;
	const Pb__Targets *t = targets_peek(old, a, &err);

	if (t != NULL)
		err = strcmp(t->repository, c->context.repository) == 0 ? 0 : ERR_WRONG_REPOSITORY;
	if (err == 0)
		err = targets_renew(t, a, out);
	t = err == 0 ? targets_peek(*out, a, &err) : NULL;
	if (err != 0)
		return fail(exit_of(err), NULL, "what the server has: %s", err_str(err));
	targets_note(c, t);
	return check_old(c, old, a);
}

static int finish(struct ctl *c, struct bytes envelope, const struct hand *hand, struct arena *a)
{
	const Pb__Targets *t;
	char *next;
	int err;

	if (c->args.out != NULL)
		return publish_save(c, envelope, a);
	if (hand->n >= c->root->root->targets->threshold) {
		err = publish_verify(c, envelope, a, &t);
		return err != 0 ? err : publish_send(c, envelope, t, &hand->key[0]);
	}
	next = mem_printf(
		"huiductl build renew %s -o NEW.env, for the others to sign", c->args.words.v[0]);
	err = fail(EXIT_NOT_AUTHORISED, next, "%zu of %u release keys are here: not enough",
		hand->n, c->root->root->targets->threshold);
	free(next);
	return err;
}

int cmd_build_renew(struct ctl *c)
{
	struct arena a = arena_new(2 * TARGETS_ARENA);
	const Pb__BuildView *b = NULL;
	struct bytes envelope = { 0 };
	struct hand hand = { 0 };
	struct reply r = { 0 };
	int err = ctl_root(c);

	if (err == 0)
		err = hand_take(c, HAND(RELEASE), c->root->root->targets->threshold, &hand);
	if (err == 0)
		err = ctl_query(c, PB__QUERY_KIND__QUERY_BUILDS, c->args.words.v[0], &r);
	if (err == 0)
		err = choose(c, r.m, &b);
	if (err == 0)
		err = make(c, wire_bytes(b->targets), &a, &envelope);
	if (err == 0) {
		err = hand_sign(&hand, envelope, &a, &envelope);
		err = err == 0 ? finish(c, envelope, &hand, &a)
			       : fail(exit_of(err), NULL, "signing: %s", err_str(err));
	}
	reply_release(&r);
	hand_release(&hand);
	free(a.base);
	return err;
}
