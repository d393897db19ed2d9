/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One offer: what the approvers and the release team signed for it, against what it
 * claims.
 */
#include "client-sdk/src/private.h"

#include "proto/ladder.h"

int offer_open_targets(struct choice *c)
{
	const struct chain *chain = c->chain;
	const Pb__MetaFile *file = c->offer->targets;
	const Pb__Targets *t;
	struct bytes in;
	void *message;
	int err = metadata_find(chain, chain->reply->targets, chain->reply->n_targets, file, &in);

	if (err == 0)
		err = metadata_open(chain, ENVELOPE_TARGETS, in, &message);
	if (err != 0)
		return err;
	t = c->targets = message;
	err = metadata_is_ours(chain->h, t->spec_version, t->repository, t->product);
	if (err != 0)
		return err;
	if (t->version != file->version || *c->build_id == '\0' ||
		strcmp(t->build_id, c->build_id) != 0 ||
		t->release_counter != c->offer->release_counter)
		return ERR_MISMATCH;
	if (t->expires <= chain->now_s)
		return ERR_EXPIRED;
	return t->rollback_index < c->next->rollback_index ? ERR_ROLLBACK : 0;
}

static int open_plan(struct choice *c)
{
	const struct chain *chain = c->chain;
	const Pb__MetaFile *file = c->offer->plan;
	char name[METADATA_NAME_MAX];
	struct bytes in;
	void *message;
	int err;

	if (c->offer->rollout_id.len != ID_LEN)
		return ERR_MISMATCH;
	(void)metadata_plan(name, c->offer->rollout_id.data, chain->h->product);
	if (strcmp(file->name, name) != 0)
		return ERR_MISMATCH;
	err = metadata_find(chain, chain->reply->plans, chain->reply->n_plans, file, &in);
	if (err == 0)
		err = metadata_open(chain, ENVELOPE_PLAN, in, &message);
	if (err != 0)
		return err;
	c->plan = message;
	err = metadata_is_ours(
		chain->h, c->plan->spec_version, c->plan->repository, c->plan->product);
	if (err != 0)
		return err;
	if (c->plan->version != file->version)
		return ERR_MISMATCH;
	if (c->plan->expires <= chain->now_s)
		return ERR_EXPIRED;
	return ladder_allows(
		c->plan, c->offer, chain->director->ring, time_at_most(chain->h, chain->now_s));
}

/*
 * The one file that holds the whole build; deltas are left to the day they are
 * supported.
 */
static const Pb__Target *full_file(const Pb__Targets *t)
{
	const Pb__Target *found = NULL;

	for (size_t i = 0; i < t->n_targets; i++) {
		if (t->targets[i]->base_build_id != NULL)
			continue;
		if (found != NULL)
			return NULL;
		found = t->targets[i];
	}
	return found;
}

static int take_payload(const Pb__Payload *p, struct candidate *out)
{
	if (p == NULL)
		return 0;
	if (p->file_hash.len != SHA256_LEN || p->metadata_hash.len != SHA256_LEN)
		return ERR_MISMATCH;
	out->payload_offset = p->offset;
	out->payload_size = p->file_size;
	out->metadata_size = p->metadata_size;
	memcpy(out->payload_hash, p->file_hash.data, SHA256_LEN);
	memcpy(out->metadata_hash, p->metadata_hash.data, SHA256_LEN);
	return 0;
}

int offer_take(struct choice *c, struct candidate *out)
{
	const Pb__Target *file;
	int err = open_plan(c);

	if (err == 0)
		err = offer_open_targets(c);
	if (err != 0)
		return err;
	file = full_file(c->targets);
	if (file == NULL || file->sha256.len != SHA256_LEN || file->length == 0)
		return ERR_MISMATCH;
	out->release_counter = c->targets->release_counter;
	out->rollback_index = c->targets->rollback_index;
	out->plan_version = c->plan->version;
	out->expires_s =
		c->targets->expires < c->plan->expires ? c->targets->expires : c->plan->expires;
	out->length = file->length;
	memcpy(out->sha256, file->sha256.data, SHA256_LEN);
	memcpy(out->rollout_id, c->offer->rollout_id.data, ID_LEN);
	state_set_text(out->build_id, c->build_id);
	return take_payload(file->payload, out);
}
