/* SPDX-License-Identifier: Apache-2.0 */
/* What directors, snapshots and timestamps say. */
#include "proto/bucket.h"
#include "server/service/publish_private.h"

#define HALTED_MAX 16u

static void meta_file(Pb__MetaFile *m, char *name, uint64_t version, const struct buf *envelope,
	const uint8_t sha256[SHA256_LEN])
{
	*m = (Pb__MetaFile)PB__META_FILE__INIT;
	m->name = name;
	m->version = version;
	m->length = (uint32_t)envelope->len;
	m->sha256 = wire_data(sha256, SHA256_LEN);
}

/* An offer with all it points to. */
struct offer_parts {
	Pb__Offer offer;
	Pb__Selector selector;
	Pb__MetaFile targets, plan;
	char targets_name[METADATA_NAME_MAX], plan_name[METADATA_NAME_MAX];
};

static void write_offer(const struct chosen *c, struct offer_parts *p)
{
	const struct rollout *r = c->rollout;
	const struct build *b = c->build->build;

	p->offer = (Pb__Offer)PB__OFFER__INIT;
	p->selector = (Pb__Selector)PB__SELECTOR__INIT;
	meta_file(&p->targets, metadata_targets(p->targets_name, b->product, b->build_id),
		b->targets_version, &b->targets, b->targets_sha256);
	meta_file(&p->plan, metadata_plan(p->plan_name, r->id, b->product), r->plan_version,
		&c->build->plan, c->build->plan_sha256);
	p->selector.seed = wire_data(c->build->seed, SEED_LEN);
	p->selector.upper = c->fix ? PPM : r->steps[c->step].upper;
	if (c->fix) {
		p->selector.from_build_ids = r->spec->fixes;
		p->selector.n_from_build_ids = r->spec->n_fixes;
	}
	p->offer.action = 1;
	p->offer.selector = &p->selector;
	p->offer.targets = &p->targets;
	p->offer.plan = &p->plan;
	p->offer.step = (uint32_t)c->step;
	p->offer.rollout_id = wire_data(r->id, ID_LEN);
	p->offer.release_counter = b->release_counter;
}

int payload_director(struct control *c, const char *product, enum ring ring, uint64_t version,
	uint64_t expires_s, struct bytes *out)
{
	struct chosen chosen[OFFERS_MAX];
	struct offer_parts parts[OFFERS_MAX];
	Pb__Offer *list[OFFERS_MAX];
	const char *halted[HALTED_MAX];
	Pb__Director d = PB__DIRECTOR__INIT;
	size_t n = offers_choose(&c->state, product, ring, chosen);

	for (size_t i = 0; i < n; i++) {
		write_offer(&chosen[i], &parts[i]);
		list[i] = &parts[i].offer;
	}
	d.spec_version = 1;
	d.version = version;
	d.expires = expires_s;
	d.repository = c->state.root->repository;
	d.product = product;
	d.ring = (uint32_t)ring;
	d.offers = list;
	d.n_offers = n;
	d.halted_build_ids = halted;
	d.n_halted_build_ids = offers_halted(&c->state, product, halted, HALTED_MAX);
	return wire_pack(&d, &c->arena, out);
}

int payload_snapshot(struct control *c, const struct product_files *f, uint64_t version,
	uint64_t expires_s, struct bytes *out)
{
	Pb__Snapshot s = PB__SNAPSHOT__INIT;
	Pb__MetaFile file[RING__COUNT], *list[RING__COUNT];
	char name[RING__COUNT][METADATA_NAME_MAX];

	for (unsigned g = 0; g < RING__COUNT; g++) {
		meta_file(&file[g], metadata_director(name[g], f->product->name, g),
			f->director[g].version, &f->director[g].envelope, f->director[g].sha256);
		list[g] = &file[g];
	}
	s.spec_version = 1;
	s.version = version;
	s.expires = expires_s;
	s.repository = c->state.root->repository;
	s.product = f->product->name;
	s.directors = list;
	s.n_directors = RING__COUNT;
	return wire_pack(&s, &c->arena, out);
}

int payload_timestamp(struct control *c, const struct product_files *f,
	const struct next_file *next, uint64_t now_ms, struct bytes *out)
{
	Pb__Timestamp t = PB__TIMESTAMP__INIT;
	Pb__MetaFile snapshot;
	char name[METADATA_NAME_MAX];

	meta_file(&snapshot, metadata_snapshot(name, f->product->name), f->snapshot.version,
		&f->snapshot.envelope, f->snapshot.sha256);
	t.spec_version = 1;
	t.version = next->version;
	t.expires = next->expires_s;
	t.issued_at = now_ms / 1000;
	t.snapshot = &snapshot;
	t.repository = c->state.root->repository;
	t.product = f->product->name;
	t.offers_until = c->offers_until_s;
	return wire_pack(&t, &c->arena, out);
}
