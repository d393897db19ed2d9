/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/timeproof.h"

#include "proto/device.pb-c.h"
#include "server/service/control_private.h"

int timeproof_open(struct desk *d, struct bytes body, uint8_t nonce[TIME_NONCE_LEN])
{
	int err;
	const Pb__TimeRequest *m;

	d->arena.used = 0;
	m = wire_read(&pb__time_request__descriptor, body, &wire_device, &d->arena, &err);
	if (m == NULL)
		return err;
	if (m->nonce.len != TIME_NONCE_LEN)
		return ERR_BAD_RANGE;
	memcpy(nonce, m->nonce.data, TIME_NONCE_LEN);
	return 0;
}

static int make_tree(
	struct control *c, const uint8_t (*nonce)[TIME_NONCE_LEN], size_t n, struct logtree *tree)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < n; i++) {
		uint8_t leaf[SHA256_LEN];
		err = merkle_leaf(
			crypto_openssl(), bytes_of(nonce[i], TIME_NONCE_LEN), &c->arena, leaf);
		if (err == 0)
			err = logtree_add(tree, leaf);
	}
	return err;
}

static int sign_tree(
	struct control *c, const struct logtree *tree, uint64_t now_ms, struct buf *statement)
{
	Pb__TimeStatement m = PB__TIME_STATEMENT__INIT;
	struct signer_item item = { .type = ENVELOPE_TIME };
	uint8_t root[SHA256_LEN];
	int err = logtree_root(tree, logtree_size(tree), root);

	m.spec_version = 1;
	m.repository = c->state.root->repository;
	m.time_s = now_ms / 1000;
	m.root = wire_data(root, SHA256_LEN);
	if (err == 0)
		err = wire_pack(&m, &c->arena, &item.payload);
	return err != 0 ? err : signer_sign(c->signer, &item, 1, statement);
}

static int write_proof(struct control *c, const struct logtree *tree, const struct buf *statement,
	size_t i, struct buf *out)
{
	uint8_t hash[LOGTREE_PATH_MAX][SHA256_LEN];
	ProtobufCBinaryData list[LOGTREE_PATH_MAX];
	Pb__TimeProof m = PB__TIME_PROOF__INIT;
	size_t used = c->arena.used;
	struct bytes bytes;
	int err = logtree_inclusion(tree, i, logtree_size(tree), hash, &m.n_hashes);

	if (err != 0)
		return err;
	for (size_t k = 0; k < m.n_hashes; k++)
		list[k] = wire_data(hash[k], SHA256_LEN);
	m.statement = wire_data(statement->data, statement->len);
	m.size = logtree_size(tree);
	m.index = i;
	m.hashes = list;
	err = wire_pack(&m, &c->arena, &bytes);
	if (err == 0)
		buf_add(out, bytes.p, bytes.n);
	c->arena.used = used;
	return err;
}

int timeproof_sign(struct server *s, const uint8_t (*nonce)[TIME_NONCE_LEN], size_t n,
	uint64_t now_ms, struct buf *out)
{
	struct control *c = s->control;
	struct logtree *tree = logtree_new();
	struct buf statement = { 0 };
	int err;

	c->arena.used = 0;
	for (size_t i = 0; i < n; i++)
		out[i] = (struct buf){ 0 };
	err = make_tree(c, nonce, n, tree);
	if (err == 0)
		err = sign_tree(c, tree, now_ms, &statement);
	for (size_t i = 0; err == 0 && i < n; i++)
		err = write_proof(c, tree, &statement, i, &out[i]);
	for (size_t i = 0; err != 0 && i < n; i++)
		buf_release(&out[i]);
	buf_release(&statement);
	logtree_free(tree);
	return err;
}
