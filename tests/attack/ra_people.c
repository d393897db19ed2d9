/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the server's judgement: people who do not wait for each other, and a backup. */
#include "tests/attack/cases.h"
#include "tests/attack/scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/names.h"
#include "server/base/mem.h"
#include "server/trust/authority.h"
#include "server/trust/keys.h"

static const char *const phone_a[] = { "phone-a" };

/* ---- people ---- */

static void nobody_is_offered(struct scene *s)
{
	scene_everybody_polls(s);
	for (size_t i = 0; i < s->n; i++)
		CHECK(s->device[i].answer != ANSWER_OFFER && !scene_is_canary(&s->device[i]));
}

/* One of the two who must: nothing starts, however often they say it. */
static void one_approver(struct lab *l, const struct attack *a)
{
	struct scene *s = scene_new("team", NULL);

	(void)l, (void)a;
	CHECK_ERR(deployment_propose(&s->d, SCENE_BUILD, phone_a, 1, scene_spec(s)), 0);
	CHECK(deployment_act(&s->d, SCENE_BUILD, PB__ACT__ACT_START) != 0);
	CHECK_ERR(deployment_approve(&s->d, SCENE_BUILD, 1), 0);
	(void)deployment_approve(&s->d, SCENE_BUILD, 1); /* again; taken or not */
	CHECK(deployment_act(&s->d, SCENE_BUILD, PB__ACT__ACT_START) != 0);
	nobody_is_offered(s);
	CHECK_ERR(deployment_approve(&s->d, SCENE_BUILD, 2), 0);
	CHECK_ERR(deployment_act(&s->d, SCENE_BUILD, PB__ACT__ACT_START), 0);
	scene_free(s);
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
	CHECK_ERR(wire_pack(scene_spec(s), &s->d.arena, &plan), 0);
	ref.product = "phone-a";
	ref.build_id = SCENE_BUILD;
	propose.release = SCENE_BUILD;
	propose.builds = refs;
	propose.n_builds = 1;
	propose.spec = wire_data(plan.p, plan.n);
	m.propose = &propose;
	return command(s, &m, key, keyid);
}

/* Bob may release, and may approve: not what he proposed himself. */
static void proposer_approves_self(struct lab *l, const struct attack *a)
{
	struct scene *s = scene_new("maker", NULL);
	struct held_key bob;

	(void)l, (void)a;
	load_key(s, "bob", KEY_RELEASE, &bob);
	CHECK_ERR(propose(s, bob.key, bob.id), 0);
	key_release(&bob);
	(void)deployment_approve(&s->d, SCENE_BUILD, 1); /* bob */
	CHECK_ERR(deployment_approve(&s->d, SCENE_BUILD, 2), 0);
	CHECK(deployment_act(&s->d, SCENE_BUILD, PB__ACT__ACT_START) != 0);
	nobody_is_offered(s);
	CHECK_ERR(deployment_approve(&s->d, SCENE_BUILD, 3), 0);
	CHECK_ERR(deployment_act(&s->d, SCENE_BUILD, PB__ACT__ACT_START), 0);
	scene_free(s);
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
	struct scene *s = scene_new("solo", NULL);
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
	scene_free(s);
}

/* CVE-2024-37019: two users of one name.  A name is what a key says of itself; the key is who it is. */
static void identity_is_the_key(struct lab *l, const struct attack *a)
{
	struct scene *s = scene_new("team", NULL);
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
	scene_free(s);
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
	struct scene *s = scene_rolling_out(NULL);
	const char *dir = s->d.dir, *data = s->d.config.data;

	CHECK(dup2(to, STDERR_FILENO) >= 0);
	shell(mem_printf("cp -a '%s' '%s/backup'", data, dir));
	scene_everybody_polls(s);
	CHECK_ERR(deployment_act(&s->d, SCENE_BUILD, PB__ACT__ACT_HALT), 0);
	shell(mem_printf("rm -rf '%s' && mv '%s/backup' '%s'", data, dir, data));
	deployment_restart(&s->d);
	_exit(0); /* it started: the halt is forgotten */
}

/* How it ended, and what it said. */
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
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	if (strstr(text, err_str(ERR_FLOOR)) == NULL)
		suite_fail(__FILE__, __LINE__, "%s", text);
}

static const struct attack attacks[] = {
	CASE("ra_one_approver", one_approver),
	CASE("ra_proposer_approves_self", proposer_approves_self),
	CASE("ra_restore_old_db", restore_old_db),
};
const struct attack_group ra_people = { attacks, sizeof(attacks) / sizeof(attacks[0]) };

static const struct attack faults[] = {
	CASE("cr_16_rights_never_add_up", rights_never_add_up),
	CASE("cr_17_identity_is_the_key", identity_is_the_key),
};
const struct attack_group cr_server = { faults, sizeof(faults) / sizeof(faults[0]) };
