/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/follow.h"

#include "proto/root.h"
#include "server/ctl/sign.h"

#define STEP_ARENA (1024u * 1024u)

static int step(struct ctl *c, struct bytes envelope)
{
	struct arena a = arena_new(STEP_ARENA);
	struct rootfile *next = NULL;
	int err;

	if (root_next(crypto_openssl(), c->root->root, envelope, &a, &err) != NULL)
		err = rootfile_parse(envelope, &next);
	if (err == 0)
		err = rootfile_write(c->context.root, envelope);
	if (err == 0) {
		rootfile_free(c->root);
		c->root = next;
		next = NULL;
	}
	rootfile_free(next);
	free(a.base);
	return err;
}

static int ask(struct ctl *c, struct reply *r)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;

	q.kind = PB__QUERY_KIND__QUERY_TRUST;
	q.has_from = true;
	q.from = c->root->root->version;
	return ctl_try(c, ENVELOPE_QUERY, &q, r);
}

int root_update(struct ctl *c, unsigned *steps)
{
	struct reply r;
	int err = ask(c, &r);

	*steps = 0;
	for (size_t i = 0; err == 0 && r.m->trust != NULL && i < r.m->trust->n_roots; i++) {
		err = step(c, wire_bytes(r.m->trust->roots[i]));
		*steps += err == 0;
	}
	reply_release(&r);
	return err;
}

bool root_follow(struct ctl *c)
{
	unsigned steps = 0;

	if (c->followed || c->root == NULL)
		return false;
	c->followed = true;
	if (root_update(c, &steps) != 0 || steps == 0)
		return false;
	note("%s: root %llu is in force now; this file has followed", c->context.root,
		(unsigned long long)c->root->root->version);
	return true;
}
