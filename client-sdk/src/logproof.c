/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directive counts when it is public: it stands in the log, and the log is the one this device
 * saw before, only longer.  Who would serve one device something else must show it to all.
 */
#include "client-sdk/src/private.h"

#include "proto/checkpoint.h"

/* An entry's hashes: none but whole ones, no more than a tree is high. */
static int read_path(const Pb__LogProof *p, struct merkle_path *path, const uint8_t **hash)
{
	if (p->n_hashes > MERKLE_LEVELS)
		return ERR_NOT_LOGGED;
	for (size_t i = 0; i < p->n_hashes; i++) {
		if (p->hashes[i].len != SHA256_LEN)
			return ERR_NOT_LOGGED;
		hash[i] = p->hashes[i].data;
	}
	path->hash = hash;
	path->n = p->n_hashes;
	path->index = p->index;
	return 0;
}

static int check_inclusion(
	const struct chain *c, const Pb__LogProof *p, const struct checkpoint *checkpoint)
{
	const struct crypto *crypto = &c->h->crypto;
	const uint8_t *hash[MERKLE_LEVELS];
	struct merkle_path path = { .size = checkpoint->size };
	Pb__LogEntry entry = PB__LOG_ENTRY__INIT;
	uint8_t leaf[SHA256_LEN];
	struct bytes wire;
	int err = read_path(p, &path, hash);

	entry.time_ms = p->time_ms;
	entry.envelope = c->reply->director;
	if (err == 0)
		err = wire_pack(&entry, c->a, &wire);
	if (err == 0)
		err = merkle_leaf(crypto, wire, c->a, leaf);
	return err != 0 ? err : merkle_included(crypto, leaf, &path, checkpoint->root);
}

/* Subtrees that are no longer part of it: a state is compared as bytes. */
static void tidy(struct merkle *m)
{
	for (unsigned level = 0; level < MERKLE_LEVELS; level++)
		if ((m->size >> level & 1) == 0)
			memset(m->subtree[level], 0, SHA256_LEN);
}

static int check_extension(struct chain *c, const struct checkpoint *checkpoint)
{
	const struct crypto *crypto = &c->h->crypto;
	struct bytes more = c->reply->has_log_extension ? wire_bytes(c->reply->log_extension)
							: bytes_of(NULL, 0);
	uint8_t root[SHA256_LEN];
	int err;

	c->log = c->h->state.log;
	err = merkle_extend(crypto, &c->log, checkpoint->size, more);
	if (err == 0)
		err = merkle_root(crypto, &c->log, root);
	if (err == ERR_MALFORMED || (err == 0 && memcmp(root, checkpoint->root, SHA256_LEN) != 0))
		err = ERR_FORKED;
	tidy(&c->log);
	return err;
}

int logproof_check(struct chain *c)
{
	const Pb__LogProof *p;
	struct checkpoint checkpoint;
	int err;

	if (c->root->log == NULL || !c->reply->has_log_proof)
		return ERR_NOT_LOGGED;
	p = wire_read(&pb__log_proof__descriptor, wire_bytes(c->reply->log_proof), &wire_signed,
		c->a, &err);
	if (p == NULL)
		return err;
	err = checkpoint_read(&c->h->crypto, wire_bytes(p->checkpoint), c->root, c->a, &checkpoint);
	if (err == 0)
		err = check_extension(c, &checkpoint);
	return err != 0 ? err : check_inclusion(c, p, &checkpoint);
}
