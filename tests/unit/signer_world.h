/* SPDX-License-Identifier: Apache-2.0 */
/* A deployment of profile team with its signer, and the metadata that people and
 * control make. */
#pragma once

#include <stdlib.h>

#include "proto/ladder.h"
#include "proto/names.h"
#include "server/base/clock.h"
#include "server/trust/ceremony.h"
#include "server/trust/rootfile.h"
#include "server/trust/signer.h"
#include "tmpdir.h"

#define SIGNER_ARENA ((size_t)1 << 20)

struct signer_world {
	struct rootfile *root;
	struct signer *signer;
	struct arena arena;
	char error[256];
	uint64_t now_s;
	/* The build and the plan, as messages to be changed before they are signed. */
	uint8_t rollout_id[ID_LEN], seed[SEED_LEN], targets_sha[SHA256_LEN], plan_sha[SHA256_LEN],
		offer_sha[SHA256_LEN];
	Pb__Target file, *files[1];
	Pb__Targets targets;
	Pb__MetaFile meta, plan_meta, offer_meta;
	Pb__Step step[2], *steps[2];
	Pb__RolloutPlan plan;
	/* The directive that offers it. */
	Pb__Selector selector;
	Pb__Offer offer, *offers[1];
	const char *halted[1];
	Pb__Director director;
};

static struct signer_world w;

static inline int signer_world_start(void)
{
	struct signer_config config = { .online_dir = tmpdir_path("online"),
		.ledger_path = tmpdir_path("ledger"),
		.root = w.root->envelope };

	return signer_start(&config, &w.signer, w.error);
}

static inline void signer_world_make(void)
{
	static const uint8_t file_sha[SHA256_LEN];

	w.arena.used = 0;
	w.file = (Pb__Target)PB__TARGET__INIT;
	w.file.path = "1.0";
	w.file.sha256 = wire_data(file_sha, SHA256_LEN);
	w.files[0] = &w.file;
	w.targets = (Pb__Targets)PB__TARGETS__INIT;
	w.targets.version = 1;
	w.targets.expires = w.now_s + 1000;
	w.targets.repository = "demo";
	w.targets.product = "phone-a";
	w.targets.build_id = "1.0";
	w.targets.release_counter = 1;
	w.targets.targets = w.files;
	w.targets.n_targets = 1;
	for (size_t i = 0; i < 2; i++) {
		w.step[i] = (Pb__Step)PB__STEP__INIT;
		w.steps[i] = &w.step[i];
	}
	w.step[0].upper = 500000;
	w.step[0].not_before = w.now_s - 10;
	w.step[1].ring = 2;
	w.step[1].upper = 10000;
	w.step[1].not_before = w.now_s + 3600;
	w.plan = (Pb__RolloutPlan)PB__ROLLOUT_PLAN__INIT;
	w.plan.version = 1;
	w.plan.expires = w.now_s + 1000;
	w.plan.repository = "demo";
	w.plan.product = "phone-a";
	w.plan.rollout_id = wire_data(w.rollout_id, ID_LEN);
	w.plan.seed = wire_data(w.seed, SEED_LEN);
	w.plan.targets = &w.meta;
	w.plan.steps = w.steps;
	w.plan.n_steps = 2;
	w.plan.spec_sha256 = wire_data(file_sha, SHA256_LEN);
	w.director = (Pb__Director)PB__DIRECTOR__INIT;
	w.director.expires = w.now_s + 1000;
	w.director.repository = "demo";
	w.director.product = "phone-a";
	w.director.halted_build_ids = w.halted;
	w.halted[0] = "1.0";
}

/* Signed by the first `n` people who hold the role. */
static inline struct bytes signer_world_sign(
	enum envelope_type type, const void *message, enum key_role role, unsigned n)
{
	static const char *const people[] = { "alice", "bob", "carol" };
	struct bytes payload, e;

	assert_int_equal(wire_pack(message, &w.arena, &payload), 0);
	assert_int_equal(envelope_wrap(type, payload, &w.arena, &e), 0);
	for (unsigned i = 0; i < n; i++) {
		char *path = key_path(tmpdir_path("keys"), people[i], role);
		struct held_key key;
		assert_int_equal(key_load(path, w.root->root, role, &key), 0);
		assert_int_equal(envelope_sign(e, key.key, key.id, &w.arena, &e), 0);
		key_release(&key);
		free(path);
	}
	return e;
}

static inline void signer_world_name(
	Pb__MetaFile *m, const char *name, struct bytes envelope, uint8_t sha[SHA256_LEN])
{
	assert_int_equal(crypto_sha256(&envelope, 1, sha), 0);
	*m = (Pb__MetaFile)PB__META_FILE__INIT;
	m->name = name;
	m->version = 1;
	m->length = (uint32_t)envelope.n;
	m->sha256 = wire_data(sha, SHA256_LEN);
}

static inline struct bytes signer_world_targets(unsigned n)
{
	struct bytes e = signer_world_sign(ENVELOPE_TARGETS, &w.targets, KEY_RELEASE, n);

	signer_world_name(&w.meta, "targets/phone-a/1.0", e, w.targets_sha);
	return e;
}

static inline struct bytes signer_world_plan(unsigned n)
{
	struct bytes e = signer_world_sign(ENVELOPE_PLAN, &w.plan, KEY_APPROVER, n);

	signer_world_name(&w.plan_meta, "plan", e, w.plan_sha);
	return e;
}

/* The directive's offer of step 0, as the plan allows it. */
static inline void signer_world_offer(void)
{
	w.offer_meta = w.meta;
	memcpy(w.offer_sha, w.targets_sha, SHA256_LEN);
	w.offer_meta.sha256 = wire_data(w.offer_sha, SHA256_LEN);
	w.selector = (Pb__Selector)PB__SELECTOR__INIT;
	w.selector.seed = wire_data(w.seed, SEED_LEN);
	w.selector.upper = 500000;
	w.offer = (Pb__Offer)PB__OFFER__INIT;
	w.offer.action = 1;
	w.offer.selector = &w.selector;
	w.offer.targets = &w.offer_meta;
	w.offer.plan = &w.plan_meta;
	w.offer.rollout_id = wire_data(w.rollout_id, ID_LEN);
	w.offer.release_counter = 1;
	w.offers[0] = &w.offer;
	w.director.offers = w.offers;
	w.director.n_offers = 1;
}

static inline struct signer_item signer_world_item(enum envelope_type type, const void *message)
{
	struct signer_item item = { .type = type };

	assert_int_equal(wire_pack(message, &w.arena, &item.payload), 0);
	return item;
}

/* Asks for one signature; the envelope is thrown away. */
static inline int signer_world_ask(enum envelope_type type, const void *message)
{
	struct signer_item item = signer_world_item(type, message);
	struct buf out = { 0 };
	int err = signer_sign(w.signer, &item, 1, &out);

	buf_release(&out);
	return err;
}

static inline uint64_t signer_world_floor(const char *name)
{
	uint64_t version = 99999;

	assert_int_equal(signer_floor(w.signer, name, &version), 0);
	return version;
}

static inline int signer_world_open(void **state)
{
	static const char *const people[] = { "alice", "bob", "carol" };
	struct ceremony c = {
		.repository = "demo", .profile = profile_find("team"), .persons = people
	};

	memset(&w, 0, sizeof(w));
	memset(w.seed, 5, sizeof(w.seed));
	w.now_s = c.now_s = clock_ms() / 1000;
	w.arena = (struct arena){ malloc(SIGNER_ARENA), SIGNER_ARENA, 0 };
	if (w.arena.base == NULL || tmpdir_make(state) != 0 || ceremony_hold(&c, tmpdir) != 0 ||
		rootfile_read(tmpdir_path("root.env"), &w.root) != 0 || signer_world_start() != 0)
		return -1;
	signer_world_make();
	return 0;
}

static inline int signer_world_close(void **state)
{
	signer_stop(w.signer);
	rootfile_free(w.root);
	free(w.arena.base);
	return tmpdir_drop(state);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, signer_world_open, signer_world_close)
