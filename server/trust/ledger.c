/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/ledger.h"

#include <assert.h>

#include "proto/wire.h"
#include "server/base/mem.h"

static const struct lint_rules rules = { SLOT_SIZE, 65536, 0 };

/* ---- to and from bytes ---- */

static void load_tree(struct ledger *l)
{
	size_t k = 0;

	memset(&l->log, 0, sizeof(l->log));
	l->log.size = l->m->log_size;
	for (unsigned i = 0; i < MERKLE_LEVELS; i++)
		if ((l->log.size >> i & 1) != 0)
			memcpy(l->log.subtree[i], l->m->subtrees[k++].data, SHA256_LEN);
}

static bool is_sound(const Pb__Ledger *m)
{
	if (m->log_size > MERKLE_SIZE_MAX ||
		m->n_subtrees != (size_t)__builtin_popcountll(m->log_size) ||
		(m->log_size > 0) != (m->has_root != 0))
		return false;
	for (size_t i = 0; i < m->n_subtrees; i++)
		if (m->subtrees[i].len != SHA256_LEN)
			return false;
	for (size_t i = 0; i < m->n_rollouts; i++)
		if (m->rollouts[i]->id.len != ID_LEN ||
			m->rollouts[i]->audit_root.len != SHA256_LEN ||
			m->rollouts[i]->spec_sha256.len != SHA256_LEN)
			return false;
	for (size_t i = 0; i < m->n_nonces; i++)
		if (m->nonces[i]->nonce.len != ID_LEN ||
			m->nonces[i]->payload_sha256.len != SHA256_LEN)
			return false;
	return true;
}

static void forget(struct ledger *l)
{
	if (l->m != NULL)
		protobuf_c_message_free_unpacked(&l->m->base, NULL);
	l->m = NULL;
}

/* On the heap, piece by piece: it is changed in place. */
static int parse(struct ledger *l, struct bytes payload)
{
	int err = lint(&pb__ledger__descriptor, payload, &rules);
	ProtobufCMessage *m;

	if (err != 0)
		return ERR_CORRUPT;
	m = protobuf_c_message_unpack(&pb__ledger__descriptor, NULL, payload.n, payload.p);
	assert(m != NULL); /* it was linted */
	forget(l);
	l->m = (Pb__Ledger *)m;
	if (!is_sound(l->m))
		return ERR_CORRUPT;
	load_tree(l);
	return 0;
}

static void pack(const struct ledger *l, struct buf *out)
{
	ProtobufCBinaryData subtree[MERKLE_LEVELS];
	Pb__Ledger m = *l->m;

	m.log_size = l->log.size;
	m.subtrees = subtree;
	m.n_subtrees = 0;
	for (unsigned i = 0; i < MERKLE_LEVELS; i++)
		if ((l->log.size >> i & 1) != 0)
			subtree[m.n_subtrees++] = wire_data(l->log.subtree[i], SHA256_LEN);
	out->len = wire_write(&m, buf_room(out, wire_size(&m)));
}

int ledger_open(const char *path, struct ledger **out)
{
	struct ledger *l = mem_zalloc(sizeof(*l));
	struct buf empty = { 0 };
	int err;

	l->m = mem_alloc(sizeof(*l->m));
	*l->m = (Pb__Ledger)PB__LEDGER__INIT;
	pack(l, &empty);
	err = slots_open(path, buf_bytes(&empty), &l->slots, &l->saved);
	if (err == 0)
		err = parse(l, buf_bytes(&l->saved));
	if (err != 0)
		ledger_close(l);
	else
		*out = l;
	buf_release(&empty);
	return err;
}

int ledger_read(const char *path, struct merkle *log)
{
	struct ledger l = { .slots.fd = -1 };
	int err = slots_read(path, &l.saved);

	if (err == 0)
		err = parse(&l, buf_bytes(&l.saved));
	if (err == 0)
		*log = l.log;
	forget(&l);
	buf_release(&l.saved);
	return err;
}

void ledger_close(struct ledger *l)
{
	if (l == NULL)
		return;
	slots_close(&l->slots);
	forget(l);
	buf_release(&l->saved);
	free(l);
}

int ledger_save(struct ledger *l)
{
	struct buf payload = { 0 };
	int err;

	pack(l, &payload);
	err = slots_write(&l->slots, buf_bytes(&payload));
	if (err == 0) {
		buf_release(&l->saved);
		l->saved = payload;
	} else {
		buf_release(&payload);
	}
	return err;
}

void ledger_revert(struct ledger *l)
{
	int err = parse(l, buf_bytes(&l->saved));

	assert(err == 0); /* it was read or packed before */
}

/* ---- what is in it ---- */

void ledger_set_bytes(ProtobufCBinaryData *field, const void *p, size_t n)
{
	free(field->data);
	*field = (ProtobufCBinaryData){ n, mem_dup(p, n) };
}

void ledger_set_text(const char **field, const char *text)
{
	union {
		const char *in;
		char *out; /* it is ours */
	} old = { *field };

	free(old.out);
	*field = text != NULL ? mem_strdup(text) : NULL;
}

static Pb__LedgerFloor *find_floor(const struct ledger *l, const char *name)
{
	for (size_t i = 0; i < l->m->n_floors; i++)
		if (strcmp(l->m->floors[i]->name, name) == 0)
			return l->m->floors[i];
	return NULL;
}

uint64_t ledger_floor(const struct ledger *l, const char *name)
{
	const Pb__LedgerFloor *f = find_floor(l, name);

	return f != NULL ? f->version : 0;
}

void ledger_set_floor(struct ledger *l, const char *name, uint64_t version)
{
	Pb__Ledger *m = l->m;
	Pb__LedgerFloor *f = find_floor(l, name);

	if (f == NULL) {
		m->floors = mem_resize(m->floors, m->n_floors + 1, sizeof(*m->floors));
		f = m->floors[m->n_floors++] = mem_alloc(sizeof(*f));
		*f = (Pb__LedgerFloor)PB__LEDGER_FLOOR__INIT;
		f->name = mem_strdup(name);
	}
	f->version = version;
}

struct bytes ledger_pin(const struct ledger *l, const char *name)
{
	const Pb__LedgerFloor *f = find_floor(l, name);

	return f != NULL ? wire_bytes(f->sha256) : bytes_of(NULL, 0);
}

void ledger_set_pin(struct ledger *l, const char *name, const uint8_t sha256[SHA256_LEN])
{
	Pb__LedgerFloor *f = find_floor(l, name);

	assert(f != NULL);
	f->has_sha256 = 1;
	ledger_set_bytes(&f->sha256, sha256, SHA256_LEN);
}

void ledger_set_root(struct ledger *l, struct bytes envelope)
{
	l->m->has_root = 1;
	ledger_set_bytes(&l->m->root, envelope.p, envelope.n);
}

Pb__LedgerRollout *ledger_rollout(const struct ledger *l, struct bytes id)
{
	for (size_t i = 0; i < l->m->n_rollouts; i++)
		if (bytes_eq(wire_bytes(l->m->rollouts[i]->id), id))
			return l->m->rollouts[i];
	return NULL;
}

Pb__LedgerRollout *ledger_add_rollout(struct ledger *l, const uint8_t id[ID_LEN])
{
	Pb__Ledger *m = l->m;
	Pb__LedgerRollout *r = mem_alloc(sizeof(*r));

	*r = (Pb__LedgerRollout)PB__LEDGER_ROLLOUT__INIT;
	ledger_set_bytes(&r->id, id, ID_LEN);
	m->rollouts = mem_resize(m->rollouts, m->n_rollouts + 1, sizeof(*m->rollouts));
	m->rollouts[m->n_rollouts++] = r;
	return r;
}

void ledger_add_build(Pb__LedgerRollout *r, const char *product, const char *build_id)
{
	Pb__LedgerBuild *b = mem_alloc(sizeof(*b));

	*b = (Pb__LedgerBuild)PB__LEDGER_BUILD__INIT;
	b->product = mem_strdup(product);
	b->build_id = mem_strdup(build_id);
	r->builds = mem_resize(r->builds, r->n_builds + 1, sizeof(*r->builds));
	r->builds[r->n_builds++] = b;
}

Pb__LedgerBuild *ledger_build(const Pb__LedgerRollout *r, const char *product)
{
	for (size_t i = 0; i < r->n_builds; i++)
		if (strcmp(r->builds[i]->product, product) == 0)
			return r->builds[i];
	return NULL;
}

void ledger_add_approver(Pb__LedgerRollout *r, const char *name)
{
	for (size_t i = 0; i < r->n_approvers; i++)
		if (strcmp(r->approvers[i], name) == 0)
			return;
	r->approvers = mem_resize(r->approvers, r->n_approvers + 1, sizeof(*r->approvers));
	r->approvers[r->n_approvers] = NULL;
	ledger_set_text(&r->approvers[r->n_approvers++], name);
}

void ledger_clear_approvers(Pb__LedgerRollout *r)
{
	while (r->n_approvers > 0)
		ledger_set_text(&r->approvers[--r->n_approvers], NULL);
}

Pb__LedgerNonce *ledger_nonce(const struct ledger *l, struct bytes nonce)
{
	for (size_t i = 0; i < l->m->n_nonces; i++)
		if (bytes_eq(wire_bytes(l->m->nonces[i]->nonce), nonce))
			return l->m->nonces[i];
	return NULL;
}

Pb__LedgerNonce *ledger_pending(const struct ledger *l, struct bytes payload_sha256)
{
	for (size_t i = 0; i < l->m->n_nonces; i++)
		if (l->m->nonces[i]->pending &&
			bytes_eq(wire_bytes(l->m->nonces[i]->payload_sha256), payload_sha256))
			return l->m->nonces[i];
	return NULL;
}

Pb__LedgerNonce *ledger_add_nonce(struct ledger *l, struct bytes nonce)
{
	Pb__Ledger *m = l->m;
	Pb__LedgerNonce *n = mem_alloc(sizeof(*n));

	*n = (Pb__LedgerNonce)PB__LEDGER_NONCE__INIT;
	ledger_set_bytes(&n->nonce, nonce.p, nonce.n);
	m->nonces = mem_resize(m->nonces, m->n_nonces + 1, sizeof(*m->nonces));
	m->nonces[m->n_nonces++] = n;
	return n;
}

void ledger_forget_nonces(struct ledger *l, uint64_t now_s)
{
	Pb__Ledger *m = l->m;
	size_t kept = 0;

	for (size_t i = 0; i < m->n_nonces; i++)
		if (m->nonces[i]->expires >= now_s)
			m->nonces[kept++] = m->nonces[i];
		else
			protobuf_c_message_free_unpacked(&m->nonces[i]->base, NULL);
	m->n_nonces = kept;
}

void ledger_keep_rollout(Pb__LedgerRollout *r, uint64_t until_s)
{
	r->has_until = 1;
	if (r->until < until_s)
		r->until = until_s;
}

void ledger_forget_rollouts(struct ledger *l, uint64_t now_s)
{
	Pb__Ledger *m = l->m;
	size_t kept = 0;

	for (size_t i = 0; i < m->n_rollouts; i++)
		if (!m->rollouts[i]->has_until || m->rollouts[i]->until >= now_s)
			m->rollouts[kept++] = m->rollouts[i];
		else
			protobuf_c_message_free_unpacked(&m->rollouts[i]->base, NULL);
	m->n_rollouts = kept;
}
