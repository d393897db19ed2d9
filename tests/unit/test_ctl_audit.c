/* SPDX-License-Identifier: Apache-2.0 */
/* The log judged again: an honest story holds, and each lie in it is found. */
#include "unit.h"

#include <stdlib.h>

#include "proto/admin.pb-c.h"
#include "proto/ladder.h"
#include "server/base/mem.h"
#include "server/ctl/audit.h"
#include "server/trust/ceremony.h"
#include "server/trust/draft.h"
#include "tmpdir.h"

#define NOW_S   1800000000ull
#define ENTRIES 9u

static const char *const people[] = { "alice", "bob", "carol", "dave", "erin" };

/* What is changed in the story; entry numbers as in tell(). */
enum lie {
	TRUTH,
	NO_ROOT_FIRST,
	PUBLISH_BY_APPROVER,
	BUILD_BY_ONE,
	PROPOSE_BY_APPROVER,
	APPROVE_BY_RELEASER,
	OTHER_SEED,
	NEVER_PUBLISHED,
	APPROVE_UNKNOWN,
	START_LATE,
	START_EARLY,
	OTHER_REPOSITORY,
	OTHER_LOG_SEEN,
	HALT_BY_STRANGER,
	EMPTY_COMMAND,
	DIRECTIVE_BY_PERSON,
	DECISION_BY_SNAPSHOT,
	PLAN_IN_LOG,
	ROOT_BY_ONE,
	ROOT_SKIPPED,
	ROOT_NOT_OURS,
	GARBAGE,
	NOTE_OF_OTHER_KEY,
	NOTE_OF_OTHER_ROOT,
	NOTE_TOO_LONG,
	ROOT_MISSING,
};

static struct {
	enum lie lie;
	struct rootfile *root, *root2; /* version 1, and the one that follows */
	struct arena a;
	struct audit *audit;
	uint8_t rollout[ID_LEN], propose_root[SHA256_LEN], targets_sha[SHA256_LEN];
	struct bytes targets;
	char error[AUDIT_ERROR_MAX];
} w;

static struct bytes sign(struct bytes envelope, const char *who, enum key_role role)
{
	bool online = who == NULL;
	char *path = key_path(tmpdir_path(online ? "online" : "keys"), who, role);
	struct held_key key;

	assert_int_equal(key_load(path, w.root->root, role, &key), 0);
	assert_int_equal(envelope_sign(envelope, key.key, key.id, &w.a, &envelope), 0);
	key_release(&key);
	free(path);
	return envelope;
}

static struct bytes wrap(enum envelope_type type, const void *message)
{
	struct bytes payload, out;

	assert_int_equal(wire_pack(message, &w.a, &payload), 0);
	assert_int_equal(envelope_wrap(type, payload, &w.a, &out), 0);
	return out;
}

static int put_wire(struct bytes wire)
{
	return audit_add(w.audit, wire, w.error);
}

static int put(struct bytes envelope)
{
	Pb__LogEntry e = PB__LOG_ENTRY__INIT;
	struct bytes wire;
	int err;

	e.time_ms = NOW_S * 1000;
	e.envelope = wire_data(envelope.p, envelope.n);
	assert_int_equal(wire_pack(&e, &w.a, &wire), 0);
	err = put_wire(wire);
	if (w.audit->n == 3) { /* the proposal: its leaf names the rollout */
		uint8_t leaf[SHA256_LEN];
		assert_int_equal(merkle_leaf(crypto_openssl(), wire, &w.a, leaf), 0);
		memcpy(w.rollout, leaf, ID_LEN);
		memcpy(w.propose_root, w.audit->roots[2], SHA256_LEN);
	}
	return err;
}

static int command(Pb__AdminCommand *m, const char *who, enum key_role role)
{
	static const uint8_t nonce[ID_LEN] = { 1 };
	uint64_t seen = w.audit->n;
	uint8_t root[SHA256_LEN];

	m->spec_version = 1;
	m->repository = w.lie == OTHER_REPOSITORY ? "other" : "demo";
	m->nonce = wire_data(nonce, ID_LEN);
	m->issued_at = NOW_S - 10;
	m->expires = NOW_S + 800;
	if (m->act != NULL && w.lie == START_LATE)
		m->expires = NOW_S - 1;
	if (m->act != NULL && w.lie == START_EARLY)
		m->issued_at = NOW_S + 61;
	memcpy(root, w.audit->roots[seen - 1], SHA256_LEN);
	if (m->act != NULL && w.lie == OTHER_LOG_SEEN)
		root[0] ^= 1;
	m->audit_size = seen;
	m->audit_root = wire_data(root, SHA256_LEN);
	return put(sign(wrap(ENVELOPE_COMMAND, m), who, role));
}

/* ---- the story ---- */

static int tell_publish(void)
{
	static const uint8_t sha[SHA256_LEN];
	Pb__Target file = PB__TARGET__INIT, *files[] = { &file };
	Pb__Targets t = PB__TARGETS__INIT;
	Pb__Publish publish = PB__PUBLISH__INIT;
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;

	file.path = "1.0";
	file.sha256 = wire_data(sha, SHA256_LEN);
	t.spec_version = 1;
	t.version = 1;
	t.repository = "demo";
	t.product = "phone-a";
	t.build_id = "1.0";
	t.release_counter = 1;
	t.targets = files;
	t.n_targets = 1;
	w.targets = sign(wrap(ENVELOPE_TARGETS, &t), "alice", KEY_RELEASE);
	if (w.lie != BUILD_BY_ONE)
		w.targets = sign(w.targets, "bob", KEY_RELEASE);
	assert_int_equal(crypto_sha256(&w.targets, 1, w.targets_sha), 0);
	publish.targets = wire_data(w.targets.p, w.targets.n);
	m.publish = &publish;
	return command(&m, "alice", w.lie == PUBLISH_BY_APPROVER ? KEY_APPROVER : KEY_RELEASE);
}

static int tell_propose(void)
{
	Pb__StageSpec stage = PB__STAGE_SPEC__INIT, *stages[] = { &stage };
	Pb__PlanSpec spec = PB__PLAN_SPEC__INIT;
	Pb__BuildRef ref = PB__BUILD_REF__INIT, *refs[] = { &ref };
	Pb__Propose propose = PB__PROPOSE__INIT;
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	struct bytes wire;

	stage.ring = PB__RING__RING_CORE;
	spec.name = "weekly";
	spec.line = "default";
	spec.stages = stages;
	spec.n_stages = 1;
	assert_int_equal(wire_pack(&spec, &w.a, &wire), 0);
	ref.product = "phone-a";
	ref.build_id = w.lie == NEVER_PUBLISHED ? "1.1" : "1.0";
	propose.release = "1.0";
	propose.builds = refs;
	propose.n_builds = 1;
	propose.spec = wire_data(wire.p, wire.n);
	m.propose = &propose;
	return command(&m, "bob", w.lie == PROPOSE_BY_APPROVER ? KEY_APPROVER : KEY_RELEASE);
}

static struct bytes plan_envelope(void)
{
	static const uint8_t sha[SHA256_LEN];
	uint8_t seed[SEED_LEN];
	Pb__MetaFile meta = PB__META_FILE__INIT;
	Pb__RolloutPlan plan = PB__ROLLOUT_PLAN__INIT;

	assert_int_equal(ladder_seed(w.propose_root, w.targets_sha, seed), 0);
	if (w.lie == OTHER_SEED)
		seed[SEED_LEN - 1] ^= 1;
	meta.name = "targets/phone-a/1.0";
	meta.sha256 = wire_data(w.targets_sha, SHA256_LEN);
	plan.spec_version = 1;
	plan.version = 1;
	plan.repository = "demo";
	plan.product = "phone-a";
	plan.rollout_id = wire_data(w.rollout, ID_LEN);
	plan.targets = &meta;
	plan.seed = wire_data(seed, SEED_LEN);
	plan.spec_sha256 = wire_data(sha, SHA256_LEN);
	return sign(wrap(ENVELOPE_PLAN, &plan), "alice", KEY_APPROVER);
}

static int tell_approve(void)
{
	static const uint8_t nobody[ID_LEN];
	Pb__Approve approve = PB__APPROVE__INIT;
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	struct bytes plan = plan_envelope();
	ProtobufCBinaryData plans[] = { wire_data(plan.p, plan.n) };

	if (w.lie == PLAN_IN_LOG)
		return put(plan);
	approve.rollout_id = wire_data(w.lie == APPROVE_UNKNOWN ? nobody : w.rollout, ID_LEN);
	approve.plans = plans;
	approve.n_plans = 1;
	m.approve = &approve;
	return command(&m, "alice", w.lie == APPROVE_BY_RELEASER ? KEY_RELEASE : KEY_APPROVER);
}

static int tell_act(Pb__Act what)
{
	Pb__RolloutAct act = PB__ROLLOUT_ACT__INIT;
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;

	act.act = what;
	act.rollout_id = wire_data(w.rollout, ID_LEN);
	if (w.lie != EMPTY_COMMAND)
		m.act = &act;
	if (w.lie == HALT_BY_STRANGER && what == PB__ACT__ACT_HALT)
		return command(&m, "alice", KEY_ROOT);
	return command(&m, "bob", KEY_RELEASE);
}

static int tell_directive(void)
{
	Pb__Director d = PB__DIRECTOR__INIT;
	struct bytes e;

	d.repository = "demo";
	d.product = "phone-a";
	e = wrap(ENVELOPE_DIRECTOR, &d);
	return put(w.lie == DIRECTIVE_BY_PERSON ? sign(e, "alice", KEY_RELEASE)
						: sign(e, NULL, KEY_DIRECTOR));
}

static int tell_decision(void)
{
	Pb__Decision d = PB__DECISION__INIT;

	d.repository = "demo";
	d.kind = PB__DECISION_KIND__DECISION_HALT;
	return put(sign(wrap(ENVELOPE_DECISION, &d), NULL,
		w.lie == DECISION_BY_SNAPSHOT ? KEY_SNAPSHOT : KEY_DIRECTOR));
}

static struct bytes next_root(uint64_t version, unsigned signers)
{
	struct draft d;
	struct bytes e;

	assert_int_equal(draft_copy(&d, w.root->root), 0);
	d.root->version = version;
	d.root->expires++;
	assert_int_equal(draft_wrap(&d, &w.a, &e), 0);
	for (unsigned i = 0; i < signers; i++)
		e = sign(e, people[i], KEY_ROOT);
	draft_release(&d);
	return e;
}

static int tell_root(void)
{
	if (w.lie == ROOT_MISSING)
		return 0;
	return put(next_root(w.lie == ROOT_SKIPPED ? 3 : 2, w.lie == ROOT_BY_ONE ? 1 : 2));
}

static int tell_all(void)
{
	static const uint8_t garbage[] = { 1, 2, 3 };
	int err = w.lie == NO_ROOT_FIRST ? 0 : put(w.root->envelope);

	if (err == 0)
		err = w.lie == NO_ROOT_FIRST ? tell_directive() : tell_publish();
	if (err == 0)
		err = tell_propose();
	if (err == 0)
		err = tell_approve();
	if (err == 0)
		err = tell_act(PB__ACT__ACT_START);
	if (err == 0)
		err = tell_directive();
	if (err == 0)
		err = tell_decision();
	if (err == 0)
		err = tell_act(PB__ACT__ACT_HALT);
	if (err == 0)
		err = tell_root();
	if (err == 0 && w.lie == GARBAGE)
		err = put_wire(bytes_of(garbage, sizeof(garbage)));
	return err;
}

static int finish(void)
{
	struct checkpoint p = { .size = w.audit->n }, out;
	char *path = key_path(
		tmpdir_path("online"), NULL, w.lie == NOTE_OF_OTHER_KEY ? KEY_DIRECTOR : KEY_LOG);
	struct crypto_key *key;
	struct bytes note;
	int err;

	memcpy(p.root, w.audit->roots[p.size - 1], SHA256_LEN);
	if (w.lie == NOTE_OF_OTHER_ROOT)
		p.root[5] ^= 1;
	p.size += w.lie == NOTE_TOO_LONG;
	assert_int_equal(crypto_key_load(path, &key), 0);
	assert_int_equal(checkpoint_sign("demo", &p, key, &w.a, &note), 0);
	err = audit_end(w.audit, note, &out, w.error);
	crypto_key_free(key);
	free(path);
	return err;
}

static const struct {
	enum lie lie;
	int want;
	const char *says;
} rows[] = {
	{ TRUTH, 0, "" },
	{ NO_ROOT_FIRST, ERR_BAD_ROOT, "entry 0: the log does not begin with a root" },
	{ PUBLISH_BY_APPROVER, ERR_NOT_AUTHORISED, "entry 1: publish" },
	{ BUILD_BY_ONE, ERR_BELOW_THRESHOLD, "entry 1: publish: the build" },
	{ PROPOSE_BY_APPROVER, ERR_NOT_AUTHORISED, "entry 2: propose" },
	{ APPROVE_BY_RELEASER, ERR_NOT_AUTHORISED, "entry 3: approve" },
	{ OTHER_SEED, ERR_MISMATCH, "entry 3: approve 1.0: the seed for phone-a" },
	{ NEVER_PUBLISHED, ERR_NOT_FOUND, "entry 2: propose: build 1.1 for phone-a was never" },
	{ APPROVE_UNKNOWN, ERR_NOT_FOUND, "entry 3: approve: of a rollout nobody proposed" },
	{ PLAN_IN_LOG, ERR_WRONG_TYPE, "entry 3: of a type" },
	{ START_LATE, ERR_STALE, "entry 4: taken when" },
	{ START_EARLY, ERR_STALE, "entry 4: taken when" },
	{ OTHER_REPOSITORY, ERR_WRONG_REPOSITORY, "entry 1: a command for 'other'" },
	{ OTHER_LOG_SEEN, ERR_FORKED, "entry 4: its signer saw another log" },
	{ EMPTY_COMMAND, ERR_MALFORMED, "entry 4: a command that asks for nothing" },
	{ DIRECTIVE_BY_PERSON, ERR_BELOW_THRESHOLD, "entry 5: a directive" },
	{ DECISION_BY_SNAPSHOT, ERR_BELOW_THRESHOLD, "entry 6: a decision" },
	{ HALT_BY_STRANGER, ERR_BELOW_THRESHOLD, "entry 7: a command" },
	{ ROOT_BY_ONE, ERR_BELOW_THRESHOLD, "entry 8: a root" },
	{ ROOT_SKIPPED, ERR_ROOT_VERSION, "entry 8: a root" },
	{ ROOT_NOT_OURS, ERR_FORKED, "entry 8: root 2 is not the one this machine holds" },
	{ GARBAGE, ERR_MALFORMED, "entry 9" },
	{ NOTE_OF_OTHER_KEY, ERR_BAD_SIGNATURE, "the checkpoint" },
	{ NOTE_OF_OTHER_ROOT, ERR_FORKED, "the checkpoint's root" },
	{ NOTE_TOO_LONG, ERR_FORKED, "the checkpoint's root" },
	{ ROOT_MISSING, ERR_FORKED, "the log lacks root 2" },
};

static void check_row(size_t i)
{
	int err;

	w.lie = rows[i].lie;
	w.a.used = 0;
	w.error[0] = '\0';
	assert_int_equal(rootfile_parse(next_root(2, 2), &w.root2), 0);
	if (w.lie == ROOT_NOT_OURS) { /* ours expires at another time */
		struct draft d;
		struct bytes e;
		rootfile_free(w.root2);
		assert_int_equal(draft_copy(&d, w.root->root), 0);
		d.root->version = 2;
		assert_int_equal(draft_wrap(&d, &w.a, &e), 0);
		e = sign(sign(e, "alice", KEY_ROOT), "bob", KEY_ROOT);
		assert_int_equal(rootfile_parse(e, &w.root2), 0);
		draft_release(&d);
	}
	w.audit = audit_new(w.root2);
	err = tell_all();
	if (err == 0)
		err = finish();
	if (err != rows[i].want || strncmp(w.error, rows[i].says, strlen(rows[i].says)) != 0)
		fail_msg("row %zu: %d \"%s\", not %d \"%s\"", i, err, w.error, rows[i].want,
			rows[i].says);
	if (w.lie == TRUTH) {
		assert_int_equal(w.audit->n, ENTRIES);
		assert_int_equal(w.audit->n_roots, 2);
		assert_int_equal(w.audit->n_commands, 5);
		assert_int_equal(w.audit->n_seeds, 1);
		assert_int_equal(w.audit->n_directives, 1);
		assert_int_equal(w.audit->n_decisions, 1);
	}
	audit_free(w.audit);
	rootfile_free(w.root2);
}

static void test_story(void **state)
{
	struct ceremony c = { "demo", profile_find("team"), people, NOW_S, false };

	(void)state;
	assert_int_equal(ceremony_hold(&c, tmpdir), 0);
	assert_int_equal(rootfile_read(tmpdir_path("root.env"), &w.root), 0);
	w.a = (struct arena){ mem_alloc(16u << 20), 16u << 20, 0 };
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(i);
	free(w.a.base);
	rootfile_free(w.root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_story, tmpdir_make, tmpdir_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
