/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_trust.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/checkpoint.h"
#include "proto/envelope.h"
#include "proto/merkle.h"
#include "proto/root.h"
#include "server/base/clock.h"
#include "server/base/mem.h"

#define ENTRIES_MAX 200u
#define ROOTS_MAX   8u
#define PAGE        3u /* small, so that readers must ask again */

static struct {
	struct crypto_key *key;
	struct rootfile *root[ROOTS_MAX];
	size_t n_roots;
	struct merkle log;
	uint8_t log_root[SHA256_LEN];
	struct {
		void *p;
		size_t n;
	} entry[ENTRIES_MAX];
	struct {
		void *p; /* NULL: nothing waits */
		size_t n;
		char by[40];
		uint64_t expires;
		uint8_t id[SHA256_LEN];
	} pending;
} t;

const Pb__Root *fake_trust_root(void)
{
	return t.root[t.n_roots - 1]->root;
}

void fake_trust_log(struct bytes envelope)
{
	const struct crypto *c = crypto_openssl();
	Pb__LogEntry entry = PB__LOG_ENTRY__INIT;
	uint8_t leaf[SHA256_LEN], *wire;
	struct arena a = { 0 };
	size_t n;

	entry.time_ms = clock_ms();
	entry.envelope = wire_data(envelope.p, envelope.n);
	n = wire_size(&entry);
	wire = mem_alloc(n);
	(void)wire_write(&entry, wire);
	a.size = n + 64;
	a.base = mem_alloc(a.size);
	if (t.log.size == ENTRIES_MAX || merkle_leaf(c, bytes_of(wire, n), &a, leaf) != 0 ||
		merkle_add(c, &t.log, leaf) != 0 || merkle_root(c, &t.log, t.log_root) != 0)
		abort();
	t.entry[t.log.size - 1].p = wire;
	t.entry[t.log.size - 1].n = n;
	free(a.base);
}

void fake_trust_start(const struct rootfile *root, const char *log_key)
{
	if (log_key != NULL && crypto_key_load(log_key, &t.key) != 0)
		abort();
	if (rootfile_parse(root->envelope, &t.root[t.n_roots++]) != 0)
		abort();
	fake_trust_log(root->envelope);
}

void fake_trust_checkpoint(Pb__Checkpoint *out)
{
	out->size = t.log.size;
	out->root = wire_data(t.log_root, SHA256_LEN);
}

int fake_trust_publish(struct bytes envelope, struct arena *a)
{
	int err;

	if (root_next(crypto_openssl(), fake_trust_root(), envelope, a, &err) == NULL)
		return err;
	if (t.n_roots == ROOTS_MAX)
		return ERR_NO_ROOM;
	err = rootfile_parse(envelope, &t.root[t.n_roots]);
	if (err != 0)
		return err;
	t.n_roots++;
	fake_trust_log(envelope);
	return 0;
}

bool fake_trust_waits(
	const Pb__AdminCommand *m, struct bytes envelope, const char *by, unsigned signers)
{
	free(t.pending.p);
	t.pending.p = NULL;
	if (m->seat == NULL || m->seat->ring != PB__RING__RING_CORE || signers > 1)
		return false;
	t.pending.p = mem_dup(envelope.p, envelope.n);
	t.pending.n = envelope.n;
	t.pending.expires = m->expires;
	(void)snprintf(t.pending.by, sizeof(t.pending.by), "%s", by);
	return crypto_sha256(&envelope, 1, t.pending.id) == 0;
}

static int fill_pending(struct arena *a, Pb__AdminReply *out)
{
	Pb__PendingView *v = arena_alloc(a, sizeof(*v)), **list = arena_alloc(a, sizeof(*list));
	const char **by = arena_alloc(a, sizeof(*by));

	if (t.pending.p == NULL)
		return 0;
	if (v == NULL || list == NULL || by == NULL)
		return ERR_NO_ROOM;
	*v = (Pb__PendingView)PB__PENDING_VIEW__INIT;
	v->name = "8c1f00d2a94be370";
	v->id = wire_data(t.pending.id, SHA256_LEN);
	v->what = "invite 1 device to core of phone-a";
	v->by = *by = t.pending.by;
	v->signed_by = by;
	v->n_signed_by = 1;
	v->needed = 2;
	v->expires = t.pending.expires;
	v->has_envelope = true;
	v->envelope = wire_data(t.pending.p, t.pending.n);
	list[0] = v;
	out->pending = list;
	out->n_pending = 1;
	return 0;
}

static int fill_log(uint64_t from, struct arena *a, Pb__AdminReply *out)
{
	Pb__LogView *v = arena_alloc(a, sizeof(*v));
	ProtobufCBinaryData *list = arena_alloc(a, PAGE * sizeof(*list));
	struct checkpoint now = { .size = t.log.size };
	struct bytes note;
	int err;

	if (v == NULL || list == NULL || t.key == NULL)
		return ERR_NOT_FOUND;
	memcpy(now.root, t.log_root, SHA256_LEN);
	err = checkpoint_sign(fake_trust_root()->log->origin, &now, t.key, a, &note);
	if (err != 0)
		return err;
	*v = (Pb__LogView)PB__LOG_VIEW__INIT;
	v->from = from;
	v->entries = list;
	while (v->n_entries < PAGE && from + v->n_entries < t.log.size) {
		list[v->n_entries] =
			wire_data(t.entry[from + v->n_entries].p, t.entry[from + v->n_entries].n);
		v->n_entries++;
	}
	v->checkpoint = wire_data(note.p, note.n);
	out->log = v;
	return 0;
}

static int fill_trust(uint64_t from, struct arena *a, Pb__AdminReply *out)
{
	Pb__TrustView *v = arena_alloc(a, sizeof(*v));
	ProtobufCBinaryData *list = arena_alloc(a, ROOTS_MAX * sizeof(*list));
	Pb__ExpiryView *e = arena_alloc(a, 3 * sizeof(*e)), **es = arena_alloc(a, 3 * sizeof(*es));
	uint64_t now_s = clock_ms() / 1000;

	if (v == NULL || list == NULL || e == NULL || es == NULL)
		return ERR_NO_ROOM;
	*v = (Pb__TrustView)PB__TRUST_VIEW__INIT;
	v->roots = list;
	for (size_t i = 0; i < t.n_roots; i++)
		if (t.root[i]->root->version > from)
			list[v->n_roots++] =
				wire_data(t.root[i]->envelope.p, t.root[i]->envelope.n);
	v->root_version = fake_trust_root()->version;
	for (size_t i = 0; i < 3; i++) {
		e[i] = (Pb__ExpiryView)PB__EXPIRY_VIEW__INIT;
		es[i] = &e[i];
	}
	e[0].what = "timestamp phone-a";
	e[0].expires = now_s + 86400;
	e[0].renewed = "by itself";
	e[1].what = "plan 2.4.1 phone-a";
	e[1].expires = now_s + 50 * 86400;
	e[1].renewed = "huiductl rollout approve 2.4.1";
	e[2].what = "root";
	e[2].expires = fake_trust_root()->expires;
	e[2].renewed = "huiductl root renew";
	v->expiries = es;
	v->n_expiries = 3;
	out->trust = v;
	return 0;
}

int fake_trust_fill(const Pb__AdminQuery *q, struct arena *a, Pb__AdminReply *out)
{
	if (q->kind == PB__QUERY_KIND__QUERY_LOG)
		return fill_log(q->from, a, out);
	if (q->kind == PB__QUERY_KIND__QUERY_TRUST)
		return fill_trust(q->from, a, out);
	return q->kind == PB__QUERY_KIND__QUERY_PENDING ? fill_pending(a, out) : 0;
}
