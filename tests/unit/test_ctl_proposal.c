/* SPDX-License-Identifier: Apache-2.0 */
/* An approver signs what this machine computes, whatever the server says. */
#include "unit.h"

#include "proto/bucket.h"
#include "proto/names.h"
#include "server/ctl/proposal.h"
#include "server/trust/ceremony.h"
#include "server/trust/rootfile.h"
#include "tmpdir.h"

#define NOW_S 1800000000ull

static const char *const people[] = { "alice", "bob", "carol" };
static const char *fixes[] = { "0.9.0" };

/* An honest proposal of one build; a test changes what it likes before it is packed. */
struct lie {
	struct rootfile *root;
	uint8_t memory[262144];
	struct arena a;
	Pb__Targets targets;
	Pb__Target file, *files[1];
	Pb__PlanSpec spec;
	Pb__StageSpec stage[2], *stages[2];
	Pb__RolloutPlan plan;
	Pb__MetaFile meta;
	Pb__Step step[3], *steps[4];
	uint8_t id[ID_LEN], log_root[SHA256_LEN], seed[SEED_LEN], sha256[SHA256_LEN],
		spec_sha256[SHA256_LEN];
	char name[METADATA_NAME_MAX];
	struct bytes envelope;
	unsigned signatures;
	Pb__ProposalBuild build, again, *builds[2];
	Pb__Proposal m;
};

static void sign_targets(struct lie *l)
{
	struct held_key key;
	struct bytes payload;

	assert_int_equal(wire_pack(&l->targets, &l->a, &payload), 0);
	assert_int_equal(envelope_wrap(ENVELOPE_TARGETS, payload, &l->a, &l->envelope), 0);
	for (unsigned i = 0; i < l->signatures; i++) {
		char *path = key_path(tmpdir_path("keys"), people[i], KEY_RELEASE);
		assert_int_equal(key_load(path, l->root->root, KEY_RELEASE, &key), 0);
		assert_int_equal(
			envelope_sign(l->envelope, key.key, key.id, &l->a, &l->envelope), 0);
		key_release(&key);
		free(path);
	}
}

static void start_targets(struct lie *l)
{
	l->targets = (Pb__Targets)PB__TARGETS__INIT;
	l->file = (Pb__Target)PB__TARGET__INIT;
	l->file.path = "phone-a/1.0.0/ota.zip";
	l->file.length = 5;
	l->file.sha256 = wire_data(l->sha256, SHA256_LEN);
	l->files[0] = &l->file;
	l->targets.spec_version = 1;
	l->targets.version = 1;
	l->targets.expires = NOW_S + 1000;
	l->targets.repository = "acme";
	l->targets.product = "phone-a";
	l->targets.build_id = "1.0.0";
	l->targets.release_counter = 1;
	l->targets.targets = l->files;
	l->targets.n_targets = 1;
	l->signatures = 2;
}

static void start_spec(struct lie *l)
{
	l->spec = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
	for (size_t i = 0; i < 2; i++) {
		Pb__StageSpec *s = &l->stage[i];
		*s = (Pb__StageSpec)PB__STAGE_SPEC__INIT;
		s->ring = PB__RING__RING_DEV;
		s->share_ppm = i == 0 ? 10000 : PPM;
		s->soak_ms = s->max_soak_ms = 3600000;
		s->boot_ppm = s->install_ppm = s->rollback_ppm = s->s1_ppm = 10000;
		l->stages[i] = s;
	}
	l->spec.name = "weekly";
	l->spec.line = "default";
	l->spec.stages = l->stages;
	l->spec.n_stages = 2;
	l->spec.batch_ms = 600000;
	l->spec.holdback_ppm = 10000;
	l->spec.watch_ms = 3600000;
	l->spec.restart_ms = 86400000;
	l->spec.s1_ms = 21600000;
	l->spec.silence_ms = 7200000;
	l->spec.silence_polls = 3;
	l->spec.fixes = fixes;
	l->spec.n_fixes = 1;
}

static void start(struct lie *l)
{
	struct rootfile *root = l->root;

	memset(l, 0, sizeof(*l));
	l->root = root;
	l->a = (struct arena){ l->memory, sizeof(l->memory), 0 };
	memset(l->id, 7, ID_LEN);
	memset(l->log_root, 9, SHA256_LEN);
	start_targets(l);
	start_spec(l);
	l->m = (Pb__Proposal)PB__PROPOSAL__INIT;
	l->m.rollout_id = wire_data(l->id, ID_LEN);
	l->m.audit_root = wire_data(l->log_root, SHA256_LEN);
	l->m.release = "1.0.0";
	l->m.proposed_at = NOW_S - 60;
	l->m.proposer = "alice";
	l->m.threshold = 2;
	l->build = (Pb__ProposalBuild)PB__PROPOSAL_BUILD__INIT;
	l->build.product = "phone-a";
	l->build.build_id = "1.0.0";
	l->builds[0] = &l->build;
	l->builds[1] = &l->again;
	l->m.builds = l->builds;
	l->m.n_builds = 1;
}

static void pack_spec(struct lie *l)
{
	struct bytes spec;

	assert_int_equal(wire_pack(&l->spec, &l->a, &spec), 0);
	l->m.spec = wire_data(spec.p, spec.n);
	assert_int_equal(crypto_sha256(&spec, 1, l->spec_sha256), 0);
}

/* The plan as the server should make it. */
static void make_plan(struct lie *l)
{
	static const struct {
		uint32_t upper;
		uint64_t after_s;
	} want[] = { { 10000, 0 }, { 990000, 3600 }, { 1000000, 10800 } };

	assert_int_equal(crypto_sha256(&l->envelope, 1, l->sha256), 0);
	assert_int_equal(ladder_seed(l->log_root, l->sha256, l->seed), 0);
	for (size_t i = 0; i < 3; i++) {
		l->step[i] = (Pb__Step)PB__STEP__INIT;
		l->step[i].ring = 2;
		l->step[i].upper = want[i].upper;
		l->step[i].not_before = NOW_S - 60 + want[i].after_s;
		l->steps[i] = &l->step[i];
	}
	l->steps[3] = &l->step[2];
	l->meta = (Pb__MetaFile)PB__META_FILE__INIT;
	l->meta.name = metadata_targets(l->name, "phone-a", "1.0.0");
	l->meta.version = 1;
	l->meta.length = (uint32_t)l->envelope.n;
	l->meta.sha256 = wire_data(l->sha256, SHA256_LEN);
	l->plan = (Pb__RolloutPlan)PB__ROLLOUT_PLAN__INIT;
	l->plan.spec_version = 1;
	l->plan.version = 1;
	l->plan.expires = NOW_S + PLAN_LIFE_S;
	l->plan.repository = "acme";
	l->plan.product = "phone-a";
	l->plan.rollout_id = wire_data(l->id, ID_LEN);
	l->plan.targets = &l->meta;
	l->plan.seed = wire_data(l->seed, SEED_LEN);
	l->plan.steps = l->steps;
	l->plan.n_steps = 3;
	l->plan.from_build_ids = fixes;
	l->plan.n_from_build_ids = 1;
	l->plan.spec_sha256 = wire_data(l->spec_sha256, SHA256_LEN);
}

static void before_nothing(struct lie *l)
{
	(void)l;
}

static void unsigned_build(struct lie *l)
{
	l->signatures = 1;
}

static void old_build(struct lie *l)
{
	l->targets.expires = NOW_S;
}

static void other_repository(struct lie *l)
{
	l->targets.repository = "evil";
}

static void other_product(struct lie *l)
{
	l->build.product = "phone-b";
}

static void senseless_plan(struct lie *l)
{
	l->stage[1].tolerance_ppm = 2000000;
}

static void from_the_future(struct lie *l)
{
	l->m.proposed_at = NOW_S + 301;
}

static void short_id(struct lie *l)
{
	l->m.rollout_id.len = 15;
}

static void no_builds(struct lie *l)
{
	l->m.n_builds = 0;
}

static void other_seed(struct lie *l)
{
	l->seed[31] ^= 1;
}

static void other_log(struct lie *l)
{
	l->log_root[0] ^= 1;
}

static void wider_step(struct lie *l)
{
	l->step[0].upper = 20000;
}

static void earlier_step(struct lie *l)
{
	l->step[1].not_before--;
}

static void other_ring(struct lie *l)
{
	l->step[0].ring = 3;
}

static void step_more(struct lie *l)
{
	l->plan.n_steps = 4;
}

static void step_less(struct lie *l)
{
	l->plan.n_steps = 2;
}

static void other_build(struct lie *l)
{
	l->sha256[0] ^= 1;
}

static void other_length(struct lie *l)
{
	l->meta.length++;
}

static void other_name(struct lie *l)
{
	l->meta.name = "targets/phone-a/0.9.0";
}

static void other_fixes(struct lie *l)
{
	l->plan.n_from_build_ids = 0;
}

static void other_limits(struct lie *l)
{
	l->spec_sha256[5] ^= 1;
}

static void plan_for_other(struct lie *l)
{
	l->plan.repository = "evil";
}

static void plan_other_product(struct lie *l)
{
	l->plan.product = "phone-b";
}

static void plan_other_rollout(struct lie *l)
{
	static uint8_t other[ID_LEN];

	l->plan.rollout_id = wire_data(other, ID_LEN);
}

static void plan_for_ever(struct lie *l)
{
	l->plan.expires = NOW_S + PLAN_LIFE_S + 301;
}

static void plan_expired(struct lie *l)
{
	l->plan.expires = NOW_S;
}

static void plan_format(struct lie *l)
{
	l->plan.spec_version = 2;
}

static const struct {
	const char *why;
	void (*before)(struct lie *l); /* before the build is signed and the plan made */
	void (*after)(struct lie *l);  /* in the plan the server wants signed */
	int want;
	const char *sentence; /* a part of it */
} row[] = {
	{ "honest", before_nothing, before_nothing, 0, NULL },
	{ "build below threshold", unsigned_build, before_nothing, ERR_BELOW_THRESHOLD, "1.0.0" },
	{ "build expired", old_build, before_nothing, ERR_EXPIRED, "1.0.0" },
	{ "build of another deployment", other_repository, before_nothing, ERR_WRONG_REPOSITORY,
		"1.0.0" },
	{ "build of another product", other_product, before_nothing, ERR_MISMATCH, "1.0.0" },
	{ "plan that makes no sense", senseless_plan, before_nothing, ERR_BAD_PLAN, "stage 2" },
	{ "proposed in the future", from_the_future, before_nothing, ERR_STALE, "time" },
	{ "rollout id too short", short_id, before_nothing, ERR_BAD_RANGE, "proposal" },
	{ "no builds", no_builds, before_nothing, ERR_BAD_RANGE, "proposal" },
	{ "seed ground", before_nothing, other_seed, ERR_MISMATCH, "seed" },
	{ "log root changed", before_nothing, other_log, ERR_MISMATCH, "seed" },
	{ "step wider", before_nothing, wider_step, ERR_MISMATCH, "list of steps" },
	{ "step earlier", before_nothing, earlier_step, ERR_MISMATCH, "list of steps" },
	{ "step of another ring", before_nothing, other_ring, ERR_MISMATCH, "list of steps" },
	{ "one step more", before_nothing, step_more, ERR_MISMATCH, "list of steps" },
	{ "one step less", before_nothing, step_less, ERR_MISMATCH, "list of steps" },
	{ "another build", before_nothing, other_build, ERR_MISMATCH, "build" },
	{ "another length", before_nothing, other_length, ERR_MISMATCH, "build" },
	{ "another name", before_nothing, other_name, ERR_MISMATCH, "build" },
	{ "other fixes", before_nothing, other_fixes, ERR_MISMATCH, "list of fixes" },
	{ "other limits", before_nothing, other_limits, ERR_MISMATCH, "soaks and limits" },
	{ "plan of another deployment", before_nothing, plan_for_other, ERR_MISMATCH,
		"repository" },
	{ "plan of another product", before_nothing, plan_other_product, ERR_MISMATCH, "product" },
	{ "plan of another rollout", before_nothing, plan_other_rollout, ERR_MISMATCH, "rollout" },
	{ "plan for ever", before_nothing, plan_for_ever, ERR_MISMATCH, "expiry" },
	{ "plan expired", before_nothing, plan_expired, ERR_MISMATCH, "expiry" },
	{ "plan of another format", before_nothing, plan_format, ERR_MISMATCH, "format" },
};

static int judge(struct lie *l, char error[PROPOSAL_ERROR_MAX])
{
	struct arena a = { malloc(PROPOSAL_ARENA), PROPOSAL_ARENA, 0 };
	struct proposal p;
	int err;

	assert_non_null(a.base);
	error[0] = '\0';
	err = proposal_check(&l->m, l->root->root, NOW_S, &a, &p, error);
	if (err == 0) {
		assert_int_equal(p.n_steps, 3);
		assert_int_equal(p.build[0].signers.n, 2);
		assert_string_equal(p.build[0].targets->build_id, "1.0.0");
	}
	free(a.base);
	return err;
}

static void pack_plan(struct lie *l)
{
	struct bytes plan;

	assert_int_equal(wire_pack(&l->plan, &l->a, &plan), 0);
	l->build.plan = wire_data(plan.p, plan.n);
	l->build.targets = wire_data(l->envelope.p, l->envelope.n);
}

static void load_root(struct lie *l)
{
	struct ceremony c = { "acme", profile_find("team"), people, NOW_S, false };

	assert_int_equal(ceremony_hold(&c, tmpdir), 0);
	assert_int_equal(rootfile_read(tmpdir_path("root.env"), &l->root), 0);
}

static void test_lies(void **state)
{
	static struct lie l;
	char error[PROPOSAL_ERROR_MAX];

	(void)state;
	load_root(&l);
	for (size_t i = 0; i < COUNT(row); i++) {
		int err;
		start(&l);
		row[i].before(&l);
		sign_targets(&l);
		pack_spec(&l);
		make_plan(&l);
		row[i].after(&l);
		pack_plan(&l);
		err = judge(&l, error);
		if (err != row[i].want ||
			(row[i].sentence != NULL && strstr(error, row[i].sentence) == NULL))
			fail_msg("%s: %d %s", row[i].why, err, error);
	}
	rootfile_free(l.root);
}

/* A field that we do not know would be signed without having been looked at. */
static void test_unknown_field(void **state)
{
	static struct lie l;
	static uint8_t more[8192];
	char error[PROPOSAL_ERROR_MAX];
	size_t n;

	(void)state;
	load_root(&l);
	start(&l);
	sign_targets(&l);
	pack_spec(&l);
	make_plan(&l);
	pack_plan(&l);
	n = l.build.plan.len;
	memcpy(more, l.build.plan.data, n);
	memcpy(more + n, "\xc0\x3e\x01", 3); /* field 1000 = 1 */
	l.build.plan = wire_data(more, n + 3);
	assert_int_equal(judge(&l, error), ERR_UNKNOWN_FIELD);
	rootfile_free(l.root);
}

static void test_product_twice(void **state)
{
	static struct lie l;
	char error[PROPOSAL_ERROR_MAX];

	(void)state;
	load_root(&l);
	start(&l);
	sign_targets(&l);
	pack_spec(&l);
	make_plan(&l);
	pack_plan(&l);
	l.again = l.build;
	l.m.n_builds = 2;
	assert_int_equal(judge(&l, error), ERR_EXISTS);
	rootfile_free(l.root);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_lies),
		IN_TMPDIR(test_unknown_field),
		IN_TMPDIR(test_product_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
