/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/served.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/checkpoint.h"
#include "proto/merkle.h"
#include "proto/root.h"
#include "server/base/mem.h"

#define ROOM ((size_t)2 * 1024 * 1024)

struct reading {
	struct arena arena;
	const char *product;
	const Pb__Root *root;
	const Pb__PollReply *reply;
	const Pb__Director *director;
	struct served *out;
	char *why;
};

/* Says what is wrong, unless err is 0. */
static bool good(struct reading *r, int err, const char *what)
{
	if (err != 0 && r->why[0] == '\0')
		(void)snprintf(r->why, SERVED_TEXT, "%s: %s", what, err_str(err));
	return err == 0;
}

static bool holds(struct reading *r, bool condition, const char *what)
{
	return good(r, condition ? 0 : ERR_MISMATCH, what);
}

static const void *open_file(struct reading *r, ProtobufCBinaryData envelope,
	enum envelope_type type, const ProtobufCMessageDescriptor *message)
{
	struct bytes payload;
	const void *m = NULL;
	int err = envelope_open(
		crypto_openssl(), wire_bytes(envelope), type, r->root, &r->arena, &payload);

	if (err == 0)
		m = wire_read(message, payload, &wire_signed, &r->arena, &err);
	return good(r, err, envelope_type_str(type)) ? m : NULL;
}

static bool is_file(const Pb__MetaFile *f, ProtobufCBinaryData envelope)
{
	struct bytes bytes = wire_bytes(envelope);
	uint8_t sha256[SHA256_LEN];

	deployment_must(crypto_sha256(&bytes, 1, sha256), "sha256", f->name);
	return f->length == bytes.n &&
		bytes_eq(wire_bytes(f->sha256), bytes_of(sha256, SHA256_LEN));
}

static bool read_roots(struct reading *r, const struct rootfile *first)
{
	int err = 0;

	r->root = root_open(crypto_openssl(), first->envelope, &r->arena, &err);
	for (size_t i = 0; err == 0 && i < r->reply->n_roots; i++)
		r->root = root_next(
			crypto_openssl(), r->root, wire_bytes(r->reply->roots[i]), &r->arena, &err);
	if (err == 0)
		r->out->root = r->root->version;
	return good(r, err, "roots");
}

static bool read_chain(struct reading *r)
{
	const Pb__PollReply *m = r->reply;
	const Pb__Timestamp *t;
	const Pb__Snapshot *s;

	if (!holds(r, m->has_timestamp && m->has_snapshot && m->has_director, "an answer is whole"))
		return false;
	t = open_file(r, m->timestamp, ENVELOPE_TIMESTAMP, &pb__timestamp__descriptor);
	s = open_file(r, m->snapshot, ENVELOPE_SNAPSHOT, &pb__snapshot__descriptor);
	r->director = open_file(r, m->director, ENVELOPE_DIRECTOR, &pb__director__descriptor);
	if (t == NULL || s == NULL || r->director == NULL)
		return false;
	r->out->timestamp = t->version;
	r->out->snapshot = s->version;
	r->out->director = r->director->version;
	r->out->ring = r->director->ring;
	return holds(r, is_file(t->snapshot, m->snapshot), "timestamp names the snapshot") &&
		holds(r, t->snapshot->version == s->version, "the snapshot's version") &&
		holds(r, s->n_directors == RING__COUNT && r->director->ring < RING__COUNT,
			"the snapshot has four directors") &&
		holds(r, is_file(s->directors[r->director->ring], m->director),
			"snapshot names the director") &&
		holds(r, strcmp(r->director->product, r->product) == 0, "the director's product");
}

static const ProtobufCBinaryData *find(
	const Pb__MetaFile *f, const ProtobufCBinaryData *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_file(f, list[i]))
			return &list[i];
	return NULL;
}

/* The plan is signed by as many approvers as the root asks for, and the build by the release team. */
static bool read_offer(struct reading *r, const Pb__Offer *o, struct served_offer *out)
{
	const Pb__PollReply *m = r->reply;
	const ProtobufCBinaryData *plan = find(o->plan, m->plans, m->n_plans);
	const ProtobufCBinaryData *targets = find(o->targets, m->targets, m->n_targets);
	const Pb__RolloutPlan *p;
	const Pb__Targets *t;

	if (!holds(r, plan != NULL && targets != NULL, "an offer's plan and build are there"))
		return false;
	p = open_file(r, *plan, ENVELOPE_PLAN, &pb__rollout_plan__descriptor);
	t = open_file(r, *targets, ENVELOPE_TARGETS, &pb__targets__descriptor);
	if (p == NULL || t == NULL ||
		!holds(r, is_file(p->targets, *targets), "the plan names the build") ||
		!holds(r, bytes_eq(wire_bytes(p->seed), wire_bytes(o->selector->seed)), "seed") ||
		!holds(r, o->step < p->n_steps && o->selector->upper <= p->steps[o->step]->upper,
			"no more is open than was approved") ||
		!holds(r, t->n_targets > 0 && t->targets[0]->sha256.len == SHA256_LEN, "a file"))
		return false;
	(void)snprintf(out->build_id, sizeof(out->build_id), "%s", t->build_id);
	memcpy(out->sha256, t->targets[0]->sha256.data, SHA256_LEN);
	out->length = t->targets[0]->length;
	return true;
}

static bool read_offers(struct reading *r)
{
	const Pb__Director *d = r->director;

	if (!holds(r, d->n_offers <= SERVED_OFFERS, "so many offers"))
		return false;
	for (size_t i = 0; i < d->n_offers; i++)
		if (!read_offer(r, d->offers[i], &r->out->offer[r->out->n_offers++]))
			return false;
	return true;
}

static bool read_log(struct reading *r)
{
	int err;
	const Pb__LogProof *p = wire_read(&pb__log_proof__descriptor,
		wire_bytes(r->reply->log_proof), &wire_signed, &r->arena, &err);
	Pb__LogEntry entry = PB__LOG_ENTRY__INIT;
	const uint8_t *hash[MERKLE_LEVELS];
	struct merkle_path path = { .hash = hash };
	struct checkpoint checkpoint;
	struct bytes bytes;
	uint8_t leaf[SHA256_LEN];

	if (!good(r, p == NULL ? err : 0, "log proof"))
		return false;
	err = checkpoint_read(
		crypto_openssl(), wire_bytes(p->checkpoint), r->root, &r->arena, &checkpoint);
	entry.time_ms = p->time_ms;
	entry.envelope = r->reply->director;
	if (err == 0)
		err = wire_pack(&entry, &r->arena, &bytes);
	if (err == 0)
		err = merkle_leaf(crypto_openssl(), bytes, &r->arena, leaf);
	if (!good(r, err, "checkpoint") || !holds(r, p->n_hashes <= MERKLE_LEVELS, "log proof"))
		return false;
	path.index = p->index;
	path.size = checkpoint.size;
	for (path.n = 0; path.n < p->n_hashes; path.n++)
		hash[path.n] = p->hashes[path.n].data;
	r->out->log_size = checkpoint.size;
	memcpy(r->out->log_root, checkpoint.root, SHA256_LEN);
	return good(r, merkle_included(crypto_openssl(), leaf, &path, checkpoint.root),
		"the director is in the log");
}

bool served_read(struct deployment *d, struct bytes body, const char *product, struct served *out,
	char why[SERVED_TEXT])
{
	struct reading r = {
		.arena = { mem_alloc(ROOM), ROOM, 0 }, .product = product, .out = out, .why = why
	};
	bool ok;
	int err;

	*out = (struct served){ 0 };
	why[0] = '\0';
	r.reply = wire_read(&pb__poll_reply__descriptor, body, &wire_admin, &r.arena, &err);
	ok = good(&r, r.reply == NULL ? err : 0, "poll") && read_roots(&r, d->root) &&
		read_chain(&r) && read_offers(&r) && read_log(&r);
	free(r.arena.base);
	return ok;
}
