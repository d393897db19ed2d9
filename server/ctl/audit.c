/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/audit_private.h"

#include <stdarg.h>
#include <stdio.h>

#include "proto/root.h"
#include "server/base/mem.h"

#define ARENA_BYTES (8u * 1024u * 1024u)

int audit_wrong(const struct one *o, int err, const char *format, ...)
{
	char what[AUDIT_ERROR_MAX - 40];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	(void)snprintf(
		o->error, AUDIT_ERROR_MAX, "entry %llu: %s", (unsigned long long)o->index, what);
	return err;
}

struct audit_rollout *audit_rollout(const struct audit *a, struct bytes id)
{
	for (size_t i = 0; i < a->n_rollouts; i++)
		if (bytes_eq(id, bytes_of(a->rollouts[i].id, ID_LEN)))
			return &a->rollouts[i];
	return NULL;
}

/* ---- what is no command ---- */

static int check_online(struct audit *a, const struct one *o, enum envelope_type type)
{
	struct bytes payload;
	int err = envelope_open(crypto_openssl(), wire_bytes(o->entry->envelope), type,
		a->root->root, &a->a, &payload);

	if (err != 0)
		return audit_wrong(o, err, "%s: %s",
			type == ENVELOPE_DECISION ? "a decision" : "a directive", err_str(err));
	a->n_decisions += type == ENVELOPE_DECISION;
	a->n_directives += type == ENVELOPE_DIRECTOR;
	return 0;
}

/* Signatures may differ; what they sign may not. */
static bool same_payload(struct bytes x, struct bytes y, struct arena *a)
{
	int err;
	const Pb__Envelope *p = envelope_read(x, a, &err), *q = envelope_read(y, a, &err);

	return p != NULL && q != NULL && bytes_eq(wire_bytes(p->payload), wire_bytes(q->payload));
}

static int check_root(struct audit *a, const struct one *o)
{
	struct bytes envelope = wire_bytes(o->entry->envelope);
	struct rootfile *next = NULL;
	int err = 0;

	if (a->root != NULL &&
		root_next(crypto_openssl(), a->root->root, envelope, &a->a, &err) == NULL)
		return audit_wrong(o, err, "a root: %s", err_str(err));
	err = rootfile_parse(envelope, &next);
	if (err != 0)
		return audit_wrong(o, err, "a root: %s", err_str(err));
	rootfile_free(a->root);
	a->root = next;
	a->n_roots++;
	if (next->root->version == a->anchor->root->version &&
		!same_payload(envelope, a->anchor->envelope, &a->a))
		return audit_wrong(o, ERR_FORKED, "root %llu is not the one this machine holds",
			(unsigned long long)next->root->version);
	return 0;
}

static int check(struct audit *a, const struct one *o)
{
	enum envelope_type type;

	if (!envelope_type_of(o->envelope, &type))
		return audit_wrong(o, ERR_WRONG_TYPE, "of a type that is not known here");
	if (type == ENVELOPE_ROOT)
		return check_root(a, o);
	if (a->root == NULL)
		return audit_wrong(o, ERR_BAD_ROOT, "the log does not begin with a root");
	if (type == ENVELOPE_COMMAND)
		return audit_command(a, o);
	if (type == ENVELOPE_DECISION || type == ENVELOPE_DIRECTOR)
		return check_online(a, o, type);
	return audit_wrong(o, ERR_WRONG_TYPE, "of a type that does not belong there");
}

/* ---- all of it ---- */

struct audit *audit_new(const struct rootfile *anchor)
{
	struct audit *a = mem_zalloc(sizeof(*a));

	a->anchor = anchor;
	a->a = (struct arena){ mem_alloc(ARENA_BYTES), ARENA_BYTES, 0 };
	return a;
}

void audit_free(struct audit *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->n_rollouts; i++) {
		for (size_t k = 0; k < a->rollouts[i].n_products; k++)
			free(a->rollouts[i].products[k]);
		free(a->rollouts[i].products);
		free(a->rollouts[i].seeds);
		free(a->rollouts[i].release);
	}
	for (size_t i = 0; i < a->n_builds; i++) {
		free(a->builds[i].product);
		free(a->builds[i].build_id);
	}
	free(a->builds);
	free(a->rollouts);
	free(a->roots);
	rootfile_free(a->root);
	free(a->a.base);
	free(a);
}

static int grow(struct audit *a, struct one *o, struct bytes entry)
{
	const struct crypto *c = crypto_openssl();
	int err = merkle_leaf(c, entry, &a->a, o->leaf);

	if (err == 0)
		err = merkle_add(c, &a->log, o->leaf);
	a->roots = mem_resize(a->roots, a->n + 1, sizeof(*a->roots));
	if (err == 0)
		err = merkle_root(c, &a->log, a->roots[a->n]);
	if (err == 0)
		a->n++;
	return err;
}

int audit_add(struct audit *a, struct bytes entry, char error[AUDIT_ERROR_MAX])
{
	struct one o = { .index = a->n, .error = error };
	int err;

	a->a.used = 0;
	err = grow(a, &o, entry);
	if (err != 0)
		return audit_wrong(&o, err, "%s", err_str(err));
	o.entry = wire_read(&pb__log_entry__descriptor, entry, &wire_admin, &a->a, &err);
	if (o.entry != NULL)
		o.envelope = envelope_read(wire_bytes(o.entry->envelope), &a->a, &err);
	if (err != 0)
		return audit_wrong(&o, err, "%s", err_str(err));
	return check(a, &o);
}

int audit_end(
	struct audit *a, struct bytes note, struct checkpoint *out, char error[AUDIT_ERROR_MAX])
{
	int err;

	if (a->root == NULL || a->root->root->version < a->anchor->root->version) {
		(void)snprintf(error, AUDIT_ERROR_MAX,
			"the log lacks root %llu, which this machine holds",
			(unsigned long long)a->anchor->root->version);
		return ERR_FORKED;
	}
	a->a.used = 0;
	err = checkpoint_read(crypto_openssl(), note, a->root->root, &a->a, out);
	if (err != 0) {
		(void)snprintf(error, AUDIT_ERROR_MAX, "the checkpoint: %s", err_str(err));
		return err;
	}
	if (out->size == 0 || out->size > a->n ||
		memcmp(out->root, a->roots[out->size - 1], SHA256_LEN) != 0) {
		(void)snprintf(error, AUDIT_ERROR_MAX,
			"the checkpoint's root, at %llu entries, is not that of the entries",
			(unsigned long long)out->size);
		return ERR_FORKED;
	}
	return 0;
}
