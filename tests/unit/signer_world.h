/* SPDX-License-Identifier: Apache-2.0 */
/* A deployment with its signer, and what people and control send it. */
#pragma once

#include <stdlib.h>
#include <sys/mman.h>

#include "proto/admin.pb-c.h"
#include "proto/checkpoint.h"
#include "proto/ladder.h"
#include "proto/merkle.h"
#include "proto/names.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/trust/ceremony.h"
#include "server/trust/rootfile.h"
#include "server/trust/signer.h"
#include "tmpdir.h"

#define SIGNER_ARENA ((size_t)4 << 20)

/* Who signs: bits of people, in this order. */
enum { ALICE = 1, BOB = 2, CAROL = 4, DAVE = 8, ERIN = 16 };

struct signer_world {
	struct rootfile *root;
	struct signer *signer;
	struct arena arena;
	char error[256], text[SIGNER_TEXT];
	uint64_t now_s;                                 /* when the world was made */
	struct merkle log;                              /* as the signer should have it */
	uint8_t leaf[SHA256_LEN], log_root[SHA256_LEN]; /* of the last entry, and of the log */
	struct buf note;
	/* The build and the plan, as messages to be changed before they are signed. */
	uint8_t rollout_id[ID_LEN], seed[SEED_LEN], targets_sha[SHA256_LEN], plan_sha[SHA256_LEN],
		offer_sha[SHA256_LEN], spec_sha[SHA256_LEN];
	Pb__Target file, *files[1];
	Pb__Targets targets;
	Pb__MetaFile meta, plan_meta, offer_meta;
	Pb__StageSpec stage, *stages[1];
	Pb__PlanSpec spec;
	Pb__Step step[2], *steps[2];
	Pb__RolloutPlan plan;
	/* The directive that offers it. */
	Pb__Selector selector;
	Pb__Offer offer, *offers[1];
	const char *halted[1];
	Pb__Director director;
	/* What a snapshot names, and a timestamp. */
	uint8_t ring_sha[4][SHA256_LEN], snapshot_sha[SHA256_LEN];
	char ring_name[4][METADATA_NAME_MAX];
	Pb__MetaFile ring_meta[4], *rings[4], snapshot_meta;
	Pb__Snapshot snapshot;
};

static struct signer_world w;

/* Set by hand, in memory that the signer shares. */
static struct {
	uint64_t wall_ms, boot_ms;
} * signer_time;

static inline uint64_t signer_wall_ms(void)
{
	return signer_time->wall_ms;
}

static inline uint64_t signer_boot_ms(void)
{
	return signer_time->boot_ms;
}

static inline void signer_time_passes(uint64_t ms)
{
	signer_time->wall_ms += ms;
	signer_time->boot_ms += ms;
}

static inline uint64_t signer_now_s(void)
{
	return signer_time->wall_ms / 1000;
}

static inline int signer_world_start(void)
{
	static const struct signer_clock clock = { signer_wall_ms, signer_boot_ms };
	struct signer_config config = { .online_dir = tmpdir_path("online"),
		.ledger_path = tmpdir_path("ledger"),
		.root = w.root->envelope,
		.clock = &clock };

	return signer_start(&config, &w.signer, w.error);
}

static inline void signer_world_restart(void)
{
	signer_stop(w.signer);
	w.signer = NULL;
	assert_int_equal(signer_world_start(), 0);
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
	w.targets.expires = w.now_s + 100000;
	w.targets.repository = "demo";
	w.targets.product = "phone-a";
	w.targets.build_id = "1.0";
	w.targets.release_counter = 1;
	w.targets.targets = w.files;
	w.targets.n_targets = 1;
	w.stage = (Pb__StageSpec)PB__STAGE_SPEC__INIT;
	w.stages[0] = &w.stage;
	w.spec = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
	w.spec.name = "test";
	w.spec.line = "default";
	w.spec.stages = w.stages;
	w.spec.n_stages = 1;
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
	w.plan.expires = w.now_s + 100000;
	w.plan.repository = "demo";
	w.plan.product = "phone-a";
	w.plan.rollout_id = wire_data(w.rollout_id, ID_LEN);
	w.plan.seed = wire_data(w.seed, SEED_LEN);
	w.plan.targets = &w.meta;
	w.plan.steps = w.steps;
	w.plan.n_steps = 2;
	w.plan.spec_sha256 = wire_data(w.spec_sha, SHA256_LEN);
	w.director = (Pb__Director)PB__DIRECTOR__INIT;
	w.director.expires = w.now_s + 1000;
	w.director.repository = "demo";
	w.director.product = "phone-a";
	w.director.halted_build_ids = w.halted;
	w.halted[0] = "1.0";
}

/* Signed by those people, each with the key they have of the role. */
static inline struct bytes signer_world_sign(
	enum envelope_type type, const void *message, enum key_role role, unsigned who)
{
	static const char *const people[] = { "alice", "bob", "carol", "dave", "erin" };
	struct bytes payload, e;

	assert_int_equal(wire_pack(message, &w.arena, &payload), 0);
	assert_int_equal(envelope_wrap(type, payload, &w.arena, &e), 0);
	for (unsigned i = 0; i < 5; i++) {
		char *path = key_path(tmpdir_path("keys"), people[i], role);
		struct held_key key;
		if ((who >> i & 1) != 0) {
			assert_int_equal(key_load(path, w.root->root, role, &key), 0);
			assert_int_equal(envelope_sign(e, key.key, key.id, &w.arena, &e), 0);
			key_release(&key);
		}
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

static inline struct bytes signer_world_targets(unsigned who)
{
	struct bytes e = signer_world_sign(ENVELOPE_TARGETS, &w.targets, KEY_RELEASE, who);

	signer_world_name(&w.meta, "targets/phone-a/1.0", e, w.targets_sha);
	return e;
}

static inline struct bytes signer_world_plan(unsigned who)
{
	struct bytes e = signer_world_sign(ENVELOPE_PLAN, &w.plan, KEY_APPROVER, who);

	signer_world_name(&w.plan_meta, "plan", e, w.plan_sha);
	w.plan_meta.version = w.plan.version;
	return e;
}

/* ---- the log ---- */

static inline struct bytes signer_world_entry(struct bytes envelope, uint64_t time_ms)
{
	Pb__LogEntry m = PB__LOG_ENTRY__INIT;
	struct bytes entry;

	m.time_ms = time_ms;
	m.envelope = wire_data(envelope.p, envelope.n);
	assert_int_equal(wire_pack(&m, &w.arena, &entry), 0);
	return entry;
}

/* The checkpoint must be of the log with the entry in it. */
static inline void signer_world_check_note(void)
{
	struct checkpoint c;

	assert_int_equal(merkle_root(crypto_openssl(), &w.log, w.log_root), 0);
	assert_int_equal(
		checkpoint_read(crypto_openssl(), buf_bytes(&w.note), w.root->root, &w.arena, &c),
		0);
	assert_int_equal(c.size, w.log.size);
	assert_memory_equal(c.root, w.log_root, SHA256_LEN);
}

static inline int signer_world_append_at(struct bytes envelope, uint64_t time_ms)
{
	struct bytes entry = signer_world_entry(envelope, time_ms);
	int err = signer_append(w.signer, &entry, 1, &w.note);

	if (err != 0)
		return err;
	assert_int_equal(merkle_leaf(crypto_openssl(), entry, &w.arena, w.leaf), 0);
	assert_int_equal(merkle_add(crypto_openssl(), &w.log, w.leaf), 0);
	signer_world_check_note();
	return 0;
}

static inline int signer_world_append(struct bytes envelope)
{
	return signer_world_append_at(envelope, signer_time->wall_ms);
}

/* ---- commands ---- */

/* With all that a command says of itself, as of now. */
static inline void signer_world_head(Pb__AdminCommand *m)
{
	uint8_t *nonce = arena_alloc(&w.arena, ID_LEN), *root = arena_alloc(&w.arena, SHA256_LEN);

	assert_true(nonce != NULL && root != NULL);
	assert_int_equal(crypto_random(nonce, ID_LEN), 0);
	memcpy(root, w.log_root, SHA256_LEN);
	*m = (Pb__AdminCommand)PB__ADMIN_COMMAND__INIT;
	m->spec_version = 1;
	m->repository = "demo";
	m->nonce = wire_data(nonce, ID_LEN);
	m->issued_at = signer_now_s();
	m->expires = m->issued_at + 600;
	m->audit_size = w.log.size;
	m->audit_root = wire_data(root, SHA256_LEN);
}

static inline int signer_world_check(struct bytes envelope)
{
	unsigned needed = 99;
	int err = signer_check(w.signer, envelope, &needed, w.text);

	return err != 0 ? err : (int)needed;
}

/* Checked, and taken when that said so; -errors, or how many more must sign. */
static inline int signer_world_send(const Pb__AdminCommand *m, enum key_role role, unsigned who)
{
	struct bytes e = signer_world_sign(ENVELOPE_COMMAND, m, role, who);
	int needed = signer_world_check(e), err;

	if (needed < 0)
		return needed;
	err = signer_world_append(e);
	return err != 0 ? err : needed;
}

static inline int signer_world_publish(struct bytes targets, unsigned who)
{
	Pb__Publish publish = PB__PUBLISH__INIT;
	Pb__AdminCommand m;

	signer_world_head(&m);
	publish.targets = wire_data(targets.p, targets.n);
	m.publish = &publish;
	return signer_world_send(&m, KEY_RELEASE, who);
}

/* Of w.targets' product and build; the plan becomes that of the new rollout. */
static inline int signer_world_propose(unsigned who)
{
	Pb__BuildRef ref = PB__BUILD_REF__INIT, *refs[] = { &ref };
	Pb__Propose propose = PB__PROPOSE__INIT;
	Pb__AdminCommand m;
	struct bytes spec;
	int err;

	assert_int_equal(wire_pack(&w.spec, &w.arena, &spec), 0);
	assert_int_equal(crypto_sha256(&spec, 1, w.spec_sha), 0);
	ref.product = w.targets.product;
	ref.build_id = w.targets.build_id;
	propose.release = "1.0";
	propose.builds = refs;
	propose.n_builds = 1;
	propose.spec = wire_data(spec.p, spec.n);
	signer_world_head(&m);
	m.propose = &propose;
	err = signer_world_send(&m, KEY_RELEASE, who);
	memcpy(w.rollout_id, w.leaf, ID_LEN);
	assert_int_equal(ladder_seed(w.log_root, w.targets_sha, w.seed), 0);
	return err;
}

static inline int signer_world_approve(struct bytes plan, unsigned who)
{
	Pb__Approve approve = PB__APPROVE__INIT;
	ProtobufCBinaryData plans[] = { wire_data(plan.p, plan.n) };
	Pb__AdminCommand m;

	approve.rollout_id = wire_data(w.rollout_id, ID_LEN);
	approve.plans = plans;
	approve.n_plans = 1;
	signer_world_head(&m);
	m.approve = &approve;
	return signer_world_send(&m, KEY_APPROVER, who);
}

static inline int signer_world_act(Pb__Act what, enum key_role role, unsigned who)
{
	Pb__RolloutAct act = PB__ROLLOUT_ACT__INIT;
	Pb__AdminCommand m;

	act.act = what;
	act.rollout_id = wire_data(w.rollout_id, ID_LEN);
	signer_world_head(&m);
	m.act = &act;
	return signer_world_send(&m, role, who);
}

/* ---- signatures ---- */

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

/* One signature; the envelope is in the arena. */
static inline int signer_world_get(
	enum envelope_type type, const void *message, struct bytes *envelope)
{
	struct signer_item item = signer_world_item(type, message);
	struct buf out = { 0 };
	int err = signer_sign(w.signer, &item, 1, &out);
	uint8_t *p = arena_alloc(&w.arena, out.len);

	if (err == 0)
		memcpy(p, out.data, out.len);
	*envelope = bytes_of(p, out.len);
	buf_release(&out);
	return err;
}

static inline int signer_world_ask(enum envelope_type type, const void *message)
{
	struct bytes envelope;

	return signer_world_get(type, message, &envelope);
}

/* The next directive, for core. */
static inline int signer_world_direct(void)
{
	uint64_t version;

	assert_int_equal(signer_floor(w.signer, "director/phone-a/core", &version), 0);
	w.director.version = version + 1;
	w.director.expires = signer_now_s() + 1000;
	return signer_world_ask(ENVELOPE_DIRECTOR, &w.director);
}

/* Signed and logged. */
static inline int signer_world_decide(Pb__DecisionKind kind, uint32_t step)
{
	Pb__Decision d = PB__DECISION__INIT;
	struct bytes envelope;
	int err;

	d.repository = "demo";
	d.kind = kind;
	d.has_rollout_id = d.has_step = 1;
	d.rollout_id = wire_data(w.rollout_id, ID_LEN);
	d.step = step;
	err = signer_world_get(ENVELOPE_DECISION, &d, &envelope);
	return err != 0 ? err : signer_world_append(envelope);
}

/* Signs a directive without offers and logs it. */
static inline int signer_world_log_director(uint32_t ring, uint64_t version)
{
	Pb__Director d = w.director;
	struct bytes e;
	int err;

	d.n_offers = 0;
	d.ring = ring;
	d.version = version;
	d.expires = signer_now_s() + 1000;
	err = signer_world_get(ENVELOPE_DIRECTOR, &d, &e);
	if (err != 0)
		return err;
	signer_world_name(&w.ring_meta[ring], metadata_director(w.ring_name[ring], d.product, ring),
		e, w.ring_sha[ring]);
	w.ring_meta[ring].version = version;
	return signer_world_append(e);
}

static inline int signer_world_take_snapshot(uint64_t version)
{
	struct bytes e;
	int err;

	w.snapshot.version = version;
	err = signer_world_get(ENVELOPE_SNAPSHOT, &w.snapshot, &e);
	if (err == 0)
		signer_world_name(&w.snapshot_meta, "snapshot/phone-a", e, w.snapshot_sha);
	w.snapshot_meta.version = version;
	return err;
}

/* All a timestamp needs: four directives in the log, and the snapshot of them; each is version 1. */
static inline void signer_world_files(void)
{
	for (uint32_t ring = 0; ring < 4; ring++) {
		assert_int_equal(signer_world_log_director(ring, 1), 0);
		w.rings[ring] = &w.ring_meta[ring];
	}
	w.snapshot = (Pb__Snapshot)PB__SNAPSHOT__INIT;
	w.snapshot.repository = "demo";
	w.snapshot.product = "phone-a";
	w.snapshot.expires = signer_now_s() + 1000;
	w.snapshot.directors = w.rings;
	w.snapshot.n_directors = 4;
	assert_int_equal(signer_world_take_snapshot(1), 0);
}

static inline Pb__Timestamp signer_world_timestamp(uint64_t version)
{
	Pb__Timestamp t = PB__TIMESTAMP__INIT;

	t.version = version;
	t.expires = t.issued_at = t.offers_until = signer_now_s();
	t.snapshot = &w.snapshot_meta;
	t.repository = "demo";
	t.product = "phone-a";
	return t;
}

static inline uint64_t signer_world_floor(const char *name)
{
	uint64_t version = 99999;

	assert_int_equal(signer_floor(w.signer, name, &version), 0);
	return version;
}

/* ---- beginning and end ---- */

/* A rollout that was approved and started, with its plan admitted and an offer ready. */
static inline void signer_world_roll_out(void)
{
	struct bytes targets, plan;

	signer_world_make();
	targets = signer_world_targets(ALICE | BOB);
	assert_int_equal(signer_world_propose(ALICE), 0);
	plan = signer_world_plan(ALICE | BOB);
	assert_int_equal(signer_world_approve(plan, ALICE), 0);
	assert_int_equal(signer_admit(w.signer, plan, targets), 0);
	assert_int_equal(signer_world_act(PB__ACT__ACT_START, KEY_RELEASE, ALICE), 0);
	signer_world_offer();
}

static inline int signer_world_open_as(void **state, const char *profile)
{
	static const char *const people[] = { "alice", "bob", "carol", "dave", "erin" };
	struct ceremony c = {
		.repository = "demo", .profile = profile_find(profile), .persons = people
	};

	memset(&w, 0, sizeof(w));
	log_init("test", LOG_LEVEL_ERROR);
	if (signer_time == NULL)
		signer_time = mmap(NULL, sizeof(*signer_time), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	signer_time->wall_ms = clock_ms();
	signer_time->boot_ms = clock_boot_ms();
	w.now_s = c.now_s = signer_now_s();
	w.arena = (struct arena){ malloc(SIGNER_ARENA), SIGNER_ARENA, 0 };
	if (w.arena.base == NULL || tmpdir_make(state) != 0 || ceremony_hold(&c, tmpdir) != 0 ||
		rootfile_read(tmpdir_path("root.env"), &w.root) != 0 || signer_world_start() != 0)
		return -1;
	signer_world_make();
	return signer_world_append(w.root->envelope);
}

static inline int signer_world_open(void **state)
{
	return signer_world_open_as(state, "team");
}

static inline int signer_world_open_maker(void **state)
{
	return signer_world_open_as(state, "maker");
}

static inline int signer_world_open_solo(void **state)
{
	return signer_world_open_as(state, "solo");
}

static inline int signer_world_close(void **state)
{
	signer_stop(w.signer);
	rootfile_free(w.root);
	buf_release(&w.note);
	free(w.arena.base);
	return tmpdir_drop(state);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, signer_world_open, signer_world_close)
#define IN_MAKER(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, signer_world_open_maker, signer_world_close)
#define IN_SOLO(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, signer_world_open_solo, signer_world_close)
