/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the server's judgement: devices that lie, people who do not wait for each other. */
#include "tests/attack/suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/names.h"
#include "server/base/mem.h"
#include "server/service/query.h"
#include "server/trust/authority.h"
#include "tests/lib/deployment.h"

#define HOUR    3600000ull
#define DEVICES 120u
#define BUILD   "1.0"

static const char *const phone_a[] = { "phone-a" };

struct scene {
	struct deployment d;
	struct test_device device[2 * DEVICES];
	size_t n;
	struct test_plan plan;
};

/* A third of stable, then all of it. */
static const struct plan_stage ladder[] = {
	{ RING_STABLE, 330000, 0 },
	{ RING_STABLE, 1000000, 0 },
};

static void enrol(struct scene *s, size_t n)
{
	while (n-- > 0)
		CHECK_ERR(device_enrol(&s->d, &s->device[s->n++], "phone-a", RING_STABLE), 0);
}

static void open_scene(struct scene *s, const char *profile, const char *min_id_age)
{
	struct deployment_options o = { .profile = profile, .min_id_age = min_id_age };

	deployment_open(&s->d, &o);
	enrol(s, DEVICES);
	deployment_run(&s->d, 120000, 60000);
}

static void close_scene(struct scene *s)
{
	for (size_t i = 0; i < s->n; i++)
		device_forget(&s->device[i]);
	deployment_close(&s->d);
	free(s);
}

static struct scene *new_scene(const char *profile, const char *min_id_age)
{
	struct scene *s = calloc(1, sizeof(*s));

	CHECK(s != NULL);
	open_scene(s, profile, min_id_age);
	CHECK_ERR(deployment_publish(&s->d, "phone-a", BUILD, 1, "one"), 0);
	return s;
}

static const Pb__PlanSpec *spec(struct scene *s)
{
	return plan_of(&s->plan, ladder, 2, 48 * HOUR, 0);
}

static struct scene *rolling_out(const char *min_id_age)
{
	struct scene *s = new_scene("solo", min_id_age);

	CHECK_ERR(deployment_roll_out(&s->d, BUILD, phone_a, 1, spec(s)), 0);
	return s;
}

/* What people are shown of a stage: the arms and what counts in them. */
static Pb__StageView stage_of(struct scene *s, size_t step)
{
	const struct rollout *r = deployment_rollout(&s->d, BUILD);
	struct query q = { .server = &s->d.server, .arena = &s->d.arena, .now_ms = s->d.now_ms };

	s->d.arena.used = 0;
	return *query_rollout_view(&q, r)->stages[step];
}

/*
 * Everybody polls, hour by hour, until the stage has let in all it takes; who is offered the build is in
 * the canary arm, and takes it.
 */
static void everybody_polls(struct scene *s)
{
	for (unsigned hour = 0; hour < 12; hour++) {
		for (size_t i = 0; i < s->n; i++) {
			struct test_device *t = &s->device[i];
			CHECK_ERR(device_poll(&s->d, t), 0);
			if (t->answer == ANSWER_OFFER)
				CHECK_ERR(device_install(&s->d, t, BUILD, 1), 0);
		}
		deployment_run(&s->d, HOUR, 60000);
	}
}

static bool is_canary(const struct test_device *t)
{
	return strcmp(t->build_id, BUILD) == 0;
}

static struct test_device *a_canary(struct scene *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_canary(&s->device[i]))
			return &s->device[i];
	suite_fail(__FILE__, __LINE__, "there is no canary");
}

static void crash(struct scene *s, struct test_device *t, unsigned times)
{
	while (times-- > 0)
		CHECK_ERR(device_report_one(&s->d, t, BUILD, PB__EVENT_KIND__EVENT_CRASH), 0);
}

static void settle(struct scene *s)
{
	deployment_run(&s->d, HOUR, 60000);
}

/* ---- votes ---- */

/* Of phones the stage does not follow: enrolled and never polled, or in no share that is open. */
static void vote_outside_selector(struct lab *l, const struct attack *a)
{
	struct scene *s = rolling_out(NULL);
	size_t followed;
	Pb__StageView v;

	(void)l, (void)a;
	everybody_polls(s);
	followed = s->n;
	v = stage_of(s, 0);
	CHECK(v.offered > 0 && v.control > 0);
	CHECK_EQ(v.offered + v.control, followed);
	enrol(s, DEVICES); /* an army that has not been let in anywhere */
	for (size_t i = 0; i < s->n; i++)
		if (i >= followed || !is_canary(&s->device[i]))
			crash(s, &s->device[i], 1);
	settle(s);
	CHECK_EQ(stage_of(s, 0).crashed, 0);
	CHECK(stage_of(s, 0).control_crashed <= v.control);
	CHECK_EQ(deployment_rollout(&s->d, BUILD)->state, ROLLOUT_RUNNING);
	close_scene(s);
}

static void vote_twice(struct lab *l, const struct attack *a)
{
	struct scene *s = rolling_out(NULL);

	(void)l, (void)a;
	everybody_polls(s);
	crash(s, a_canary(s), 30);
	settle(s);
	CHECK_EQ(stage_of(s, 0).crashed, 1);
	CHECK_EQ(deployment_rollout(&s->d, BUILD)->state, ROLLOUT_RUNNING);
	close_scene(s);
}

/* The same numbers again, whatever is in them; and in another's name. */
static void vote_replay(struct lab *l, const struct attack *a)
{
	struct scene *s = rolling_out(NULL);
	struct test_device *t, forger;
	Pb__StageView before, after;

	(void)l, (void)a;
	everybody_polls(s);
	t = a_canary(s);
	crash(s, t, 1);
	settle(s);
	before = stage_of(s, 0);
	for (unsigned i = 0; i < 20; i++) {
		t->seq--;
		CHECK_ERR(device_report_one(&s->d, t, BUILD, PB__EVENT_KIND__EVENT_BOOT_FAILED), 0);
	}
	forger = *t;
	forger.report_key[0] ^= 1;
	CHECK_ERR(device_report_one(&s->d, &forger, BUILD, PB__EVENT_KIND__EVENT_BOOT_FAILED),
		ERR_BAD_MAC);
	settle(s);
	after = stage_of(s, 0);
	CHECK_EQ(after.crashed, before.crashed);
	CHECK_EQ(after.failed, before.failed);
	CHECK_EQ(after.boot_ok, before.boot_ok);
	close_scene(s);
}

/* Told to be well again, a phone has crashed all the same: the first event stands. */
static void vote_downgrade(struct lab *l, const struct attack *a)
{
	static const Pb__EventKind well[] = { PB__EVENT_KIND__EVENT_BOOT_OK,
		PB__EVENT_KIND__EVENT_ALIVE, PB__EVENT_KIND__EVENT_INSTALLED };
	struct scene *s = rolling_out(NULL);
	struct test_device *t;

	(void)l, (void)a;
	everybody_polls(s);
	t = a_canary(s);
	CHECK_ERR(device_report_one(&s->d, t, BUILD, PB__EVENT_KIND__EVENT_ROLLED_BACK), 0);
	crash(s, t, 1);
	for (unsigned i = 0; i < 5; i++)
		CHECK_ERR(device_report(&s->d, t, BUILD, well, 3), 0);
	settle(s);
	CHECK_EQ(stage_of(s, 0).crashed, 1);
	CHECK_EQ(stage_of(s, 0).failed, 1);
	close_scene(s);
}

/* All canaries take the build and are never heard of again. */
static void silent_canary(struct lab *l, const struct attack *a)
{
	static const Pb__EventKind last[] = { PB__EVENT_KIND__EVENT_DOWNLOADED,
		PB__EVENT_KIND__EVENT_INSTALLING };
	struct scene *s = rolling_out(NULL);

	(void)l, (void)a;
	for (unsigned hour = 0; hour < 100; hour++) {
		for (size_t i = 0; i < s->n; i++) {
			struct test_device *t = &s->device[i];
			if (is_canary(t))
				continue;
			CHECK_ERR(device_poll(&s->d, t), 0);
			if (t->answer != ANSWER_OFFER)
				continue;
			CHECK_ERR(device_report(&s->d, t, BUILD, last, 2), 0);
			(void)snprintf(t->build_id, sizeof(t->build_id), BUILD);
		}
		settle(s);
	}
	CHECK(stage_of(s, 0).offered > 0);
	CHECK_EQ(deployment_rollout(&s->d, BUILD)->step, 0);
	CHECK(deployment_rollout(&s->d, BUILD)->state != ROLLOUT_COMPLETE);
	close_scene(s);
}

/* Ids that were made after the plan: not offered, not counted, whatever they say. */
static void young_ids(struct lab *l, const struct attack *a)
{
	struct scene *s = new_scene("solo", "1d");
	size_t old = s->n;
	uint64_t offered;

	(void)l, (void)a;
	deployment_run(&s->d, 75 * HOUR, HOUR); /* whole days count */
	CHECK_ERR(deployment_roll_out(&s->d, BUILD, phone_a, 1, spec(s)), 0);
	enrol(s, DEVICES);
	for (size_t i = old; i < s->n; i++) {
		CHECK_ERR(device_poll(&s->d, &s->device[i]), 0);
		CHECK(s->device[i].answer != ANSWER_OFFER);
	}
	for (size_t i = old; i < s->n; i++)
		crash(s, &s->device[i], 3);
	settle(s);
	CHECK_EQ(stage_of(s, 0).offered, 0);
	CHECK_EQ(stage_of(s, 0).control, 0);
	everybody_polls(s);
	offered = stage_of(s, 0).offered;
	CHECK(offered > 0 && offered + stage_of(s, 0).control <= old);
	for (size_t i = old; i < s->n; i++)
		crash(s, &s->device[i], 3);
	settle(s);
	CHECK_EQ(stage_of(s, 0).crashed, 0);
	CHECK_EQ(stage_of(s, 0).control_crashed, 0);
	CHECK_EQ(deployment_rollout(&s->d, BUILD)->state, ROLLOUT_RUNNING);
	close_scene(s);
}

/* ---- people ---- */

static void nobody_is_offered(struct scene *s)
{
	everybody_polls(s);
	for (size_t i = 0; i < s->n; i++)
		CHECK(s->device[i].answer != ANSWER_OFFER && !is_canary(&s->device[i]));
}

/* One of the two who must: nothing starts, however often they say it. */
static void one_approver(struct lab *l, const struct attack *a)
{
	struct scene *s = new_scene("team", NULL);

	(void)l, (void)a;
	CHECK_ERR(deployment_propose(&s->d, BUILD, phone_a, 1, spec(s)), 0);
	CHECK(deployment_act(&s->d, BUILD, PB__ACT__ACT_START) != 0);
	CHECK_ERR(deployment_approve(&s->d, BUILD, 1), 0);
	(void)deployment_approve(&s->d, BUILD, 1); /* again; taken or not */
	CHECK(deployment_act(&s->d, BUILD, PB__ACT__ACT_START) != 0);
	nobody_is_offered(s);
	CHECK_ERR(deployment_approve(&s->d, BUILD, 2), 0);
	CHECK_ERR(deployment_act(&s->d, BUILD, PB__ACT__ACT_START), 0);
	close_scene(s);
}

/* ---- people, by their keys ---- */

static void load_key(struct scene *s, const char *person, enum key_role role, struct held_key *out)
{
	char *folder = mem_printf("%s/keys", s->d.dir);
	char *path = key_path(folder, person, role);

	CHECK_ERR(key_load(path, s->d.root->root, role, out), 0);
	free(path);
	free(folder);
}

/* A command as it should be, signed by this key in this key's name. */
static int command(struct scene *s, Pb__AdminCommand *m, const struct crypto_key *key,
	const uint8_t keyid[SHA256_LEN])
{
	uint8_t nonce[ID_LEN];
	struct bytes payload, bare, envelope;

	CHECK_ERR(crypto_random(nonce, sizeof(nonce)), 0);
	m->spec_version = 1;
	m->repository = "test";
	m->nonce = wire_data(nonce, sizeof(nonce));
	m->issued_at = s->d.now_ms / 1000;
	m->expires = m->issued_at + 600;
	m->audit_size = control_state(&s->d.server)->log.size;
	m->audit_root = wire_data(state_root(control_state(&s->d.server)), SHA256_LEN);
	CHECK_ERR(wire_pack(m, &s->d.arena, &payload), 0);
	CHECK_ERR(envelope_wrap(ENVELOPE_COMMAND, payload, &s->d.arena, &bare), 0);
	CHECK_ERR(envelope_sign(bare, key, keyid, &s->d.arena, &envelope), 0);
	return control_command(&s->d.server, envelope, s->d.now_ms, s->d.text);
}

static int propose(struct scene *s, const struct crypto_key *key, const uint8_t keyid[SHA256_LEN])
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__Propose propose = PB__PROPOSE__INIT;
	Pb__BuildRef ref = PB__BUILD_REF__INIT, *refs[] = { &ref };
	struct bytes plan;

	s->d.arena.used = 0;
	CHECK_ERR(wire_pack(spec(s), &s->d.arena, &plan), 0);
	ref.product = "phone-a";
	ref.build_id = BUILD;
	propose.release = BUILD;
	propose.builds = refs;
	propose.n_builds = 1;
	propose.spec = wire_data(plan.p, plan.n);
	m.propose = &propose;
	return command(s, &m, key, keyid);
}

/* Bob may release, and may approve: not what he proposed himself. */
static void proposer_approves_self(struct lab *l, const struct attack *a)
{
	struct scene *s = new_scene("maker", NULL);
	struct held_key bob;

	(void)l, (void)a;
	load_key(s, "bob", KEY_RELEASE, &bob);
	CHECK_ERR(propose(s, bob.key, bob.id), 0);
	key_release(&bob);
	(void)deployment_approve(&s->d, BUILD, 1); /* bob */
	CHECK_ERR(deployment_approve(&s->d, BUILD, 2), 0);
	CHECK(deployment_act(&s->d, BUILD, PB__ACT__ACT_START) != 0);
	nobody_is_offered(s);
	CHECK_ERR(deployment_approve(&s->d, BUILD, 3), 0);
	CHECK_ERR(deployment_act(&s->d, BUILD, PB__ACT__ACT_START), 0);
	close_scene(s);
}

/* Mender CVE-2026-33552: the rights of two groups added up to one that neither gave. */
static void rights_never_add_up(struct lab *l, const struct attack *a)
{
	static const char *products[] = { "phone-a", "phone-b" };
	static const struct {
		enum authority_op op;
		size_t first, n; /* of products */
		unsigned rings;
		bool may;
	} asks[] = {
		{ AUTHORITY_PROPOSE, 0, 1, 1u << RING_CORE, true },
		{ AUTHORITY_PROPOSE, 1, 1, 1u << RING_DEV, true },
		{ AUTHORITY_PROPOSE, 0, 1, 1u << RING_DEV, false },
		{ AUTHORITY_PROPOSE, 1, 1, 1u << RING_CORE, false },
		{ AUTHORITY_PROPOSE, 0, 2, 1u << RING_CORE, false },
		{ AUTHORITY_PROPOSE, 0, 2, 1u << RING_DEV, false },
		{ AUTHORITY_PROPOSE, 0, 1, 1u << RING_CORE | 1u << RING_DEV, false },
		{ AUTHORITY_APPROVE, 0, 1, 1u << RING_CORE, false },
	};
	struct scene *s = new_scene("solo", NULL);
	const struct crypto *c = crypto_openssl();
	Pb__Root root = *s->d.root->root;
	Pb__AdminRole role[2] = { PB__ADMIN_ROLE__INIT, PB__ADMIN_ROLE__INIT };
	Pb__AdminRole *roles[] = { &role[0], &role[1] };
	uint32_t ring[] = { RING_CORE, RING_DEV };
	uint8_t id[SHA256_LEN];
	ProtobufCBinaryData keyid = wire_data(id, sizeof(id));
	const struct signers who = { .n = 1, .key = { 0 } };

	(void)l, (void)a;
	CHECK_ERR(envelope_keyid(c, root.keys[0], id), 0);
	for (unsigned i = 0; i < 2; i++) {
		role[i].kind = PB__ADMIN_KIND__ADMIN_RELEASE_ENGINEER;
		role[i].keyids = &keyid;
		role[i].products = &products[i];
		role[i].rings = &ring[i];
		role[i].n_keyids = role[i].n_products = role[i].n_rings = 1;
	}
	root.admins = roles;
	root.n_admins = 2;
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		struct authority_ask ask = { asks[i].op, &products[asks[i].first], asks[i].n,
			asks[i].rings };
		struct signers may;
		CHECK_ERR(authority_of(c, &root, &ask, &who, &may), 0);
		if ((may.n == 1) != asks[i].may)
			suite_fail(__FILE__, __LINE__, "ask %zu: %u", i, may.n);
	}
	suite_note("%zu questions", sizeof(asks) / sizeof(asks[0]));
	close_scene(s);
}

/* CVE-2024-37019: two users of one name.  A name is what a key says of itself; the key is who it is. */
static void identity_is_the_key(struct lab *l, const struct attack *a)
{
	struct scene *s = new_scene("team", NULL);
	struct crypto_key *forged;
	struct held_key alice;
	struct signers both = { .n = 2 };
	Pb__Root root = *s->d.root->root;
	Pb__Key twin, *keys[2];
	uint8_t id[SHA256_LEN];

	(void)l, (void)a;
	load_key(s, "alice", KEY_RELEASE, &alice);
	CHECK_ERR(crypto_key_generate(KEY_ED25519, &forged), 0);
	memset(id, 7, sizeof(id));
	CHECK(propose(s, forged, id) != 0);       /* a key nobody knows, whatever it is called */
	CHECK(propose(s, forged, alice.id) != 0); /* in alice's name */
	CHECK_ERR(propose(s, alice.key, alice.id), 0);
	/* Two keys of one name are one person. */
	twin = *root.keys[1];
	twin.name = root.keys[0]->name;
	keys[0] = root.keys[0];
	keys[1] = &twin;
	root.keys = keys;
	root.n_keys = 2;
	both.key[1] = 1;
	CHECK_EQ(authority_persons(&root, &both), 1);
	crypto_key_free(forged);
	key_release(&alice);
	close_scene(s);
}

/* ---- yesterday's backup ---- */

static void shell(char *command)
{
	CHECK_EQ(system(command), 0);
	free(command);
}

/* Goes on from a copy made before the rollout was halted: ends the program when it may not. */
_Noreturn static void go_on_from_backup(int to)
{
	struct scene *s = rolling_out(NULL);
	const char *dir = s->d.dir, *data = s->d.config.data;

	CHECK(dup2(to, STDERR_FILENO) >= 0);
	(void)fprintf(stderr, "%s\n", dir);
	shell(mem_printf("cp -a '%s' '%s/backup'", data, dir));
	everybody_polls(s);
	CHECK_ERR(deployment_act(&s->d, BUILD, PB__ACT__ACT_HALT), 0);
	shell(mem_printf("rm -rf '%s' && mv '%s/backup' '%s'", data, dir, data));
	deployment_restart(&s->d);
	_exit(0); /* it started: the halt is forgotten */
}

/* What it said, the folder it worked in first. */
static int watch(char *text, size_t room)
{
	int out[2], status;
	size_t len = 0;
	ssize_t n = 1;
	pid_t pid;

	CHECK(pipe(out) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		go_on_from_backup(out[1]);
	CHECK(close(out[1]) == 0);
	while (n > 0 && len < room - 1) {
		n = read(out[0], text + len, room - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void restore_old_db(struct lab *l, const struct attack *a)
{
	char text[2048];
	int status = watch(text, sizeof(text));

	(void)l, (void)a;
	shell(mem_printf("rm -rf '%.*s'", (int)strcspn(text, "\n"), text));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	if (strstr(text, err_str(ERR_FLOOR)) == NULL)
		suite_fail(__FILE__, __LINE__, "%s", text);
}

static const struct attack attacks[] = {
	CASE("ra_vote_outside_selector", vote_outside_selector),
	CASE("ra_vote_twice", vote_twice),
	CASE("ra_vote_replay", vote_replay),
	CASE("ra_vote_downgrade", vote_downgrade),
	CASE("ra_silent_canary_not_promoted", silent_canary),
	CASE("ra_young_ids_are_in_no_arm", young_ids),
	CASE("ra_one_approver", one_approver),
	CASE("ra_proposer_approves_self", proposer_approves_self),
	CASE("ra_restore_old_db", restore_old_db),
};
const struct attack_group ra_server = { attacks, sizeof(attacks) / sizeof(attacks[0]) };

static const struct attack faults[] = {
	CASE("cr_16_rights_never_add_up", rights_never_add_up),
	CASE("cr_17_identity_is_the_key", identity_is_the_key),
};
const struct attack_group cr_server = { faults, sizeof(faults) / sizeof(faults[0]) };
