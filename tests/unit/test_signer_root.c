/* SPDX-License-Identifier: Apache-2.0 */
/* The next root, and what it changes at once: who may what, which keys sign, what stays approved. */
#include "unit.h"

#include "signer_world.h"

#define ADMINS    4
#define KEYS      (ROOT_KEYS + 2)
#define ROOT_KEYS 24

/* The next root in the making; it shares with w.root what it does not change. */
static Pb__Root next;
static Pb__Role director, approver;
static Pb__Key *keys[KEYS], fresh;
static uint8_t fresh_public[PUBLIC_MAX], fresh_id[SHA256_LEN];
static ProtobufCBinaryData director_ids[1], approver_ids[8];
static struct crypto_key *fresh_key;
static Pb__AdminRole admin[ADMINS], *admins[ADMINS];
static ProtobufCBinaryData admin_ids[ADMINS];
static uint8_t admin_id[ADMINS][SHA256_LEN];

static void make_next(void)
{
	next = *w.root->root;
	next.version++;
	assert_true(next.n_keys <= ROOT_KEYS);
	memcpy(keys, next.keys, next.n_keys * sizeof(keys[0]));
	next.keys = keys;
	next.admins = admins;
	director = *next.director;
	approver = *next.approver;
	memcpy(approver_ids, approver.keyids, approver.n_keyids * sizeof(approver_ids[0]));
	approver.keyids = approver_ids;
}

/* A key that is nobody's yet. */
static void add_key(const char *name)
{
	assert_int_equal(crypto_key_generate(KEY_ED25519, &fresh_key), 0);
	fresh = (Pb__Key)PB__KEY__INIT;
	fresh.scheme = KEY_ED25519;
	fresh.public_key = wire_data(fresh_public, crypto_key_public(fresh_key, fresh_public));
	fresh.name = name;
	assert_int_equal(envelope_keyid(crypto_openssl(), &fresh, fresh_id), 0);
	keys[next.n_keys++] = &fresh;
}

static struct rootfile *first; /* root, once there is a second */

static int free_key(void **state)
{
	crypto_key_free(fresh_key);
	rootfile_free(first);
	fresh_key = NULL;
	first = NULL;
	return signer_world_close(state);
}

static void grant(Pb__AdminKind kind, const char *person, enum key_role role, const char **product)
{
	size_t i = next.n_admins++;
	char *path = key_path(tmpdir_path("keys"), person, role);
	struct held_key key;

	assert_int_equal(key_load(path, w.root->root, role, &key), 0);
	free(path);
	memcpy(admin_id[i], key.id, SHA256_LEN);
	key_release(&key);
	admin_ids[i] = wire_data(admin_id[i], SHA256_LEN);
	admin[i] = (Pb__AdminRole)PB__ADMIN_ROLE__INIT;
	admin[i].kind = kind;
	admin[i].keyids = &admin_ids[i];
	admin[i].n_keyids = 1;
	admin[i].products = product;
	admin[i].n_products = product != NULL;
	admins[i] = &admin[i];
}

static struct bytes sign_next(unsigned who)
{
	return signer_world_sign(ENVELOPE_ROOT, &next, KEY_ROOT, who);
}

/* Taken, and in force; w.root follows. */
static void publish_next(void)
{
	struct bytes e = sign_next(ALICE | BOB);
	struct rootfile *file;

	assert_int_equal(rootfile_parse(e, &file), 0);
	assert_int_equal(signer_world_check(e), 0);
	assert_int_equal(signer_world_append(e), 0);
	/* The signer is started with the first root for ever. */
	assert_null(first);
	first = w.root;
	file->envelope = first->envelope;
	w.root = file;
}

static void as_it_is(void)
{
}

static void same_version(void)
{
	next.version--;
}

static void one_too_many(void)
{
	next.version++;
}

static void another_repository(void)
{
	next.repository = "other";
}

static void expired(void)
{
	next.expires = signer_now_s() - 1;
}

static void no_log(void)
{
	next.log = NULL;
}

static void another_director(void)
{
	add_key("director");
	director_ids[0] = wire_data(fresh_id, SHA256_LEN);
	director.keyids = director_ids;
	next.director = &director;
}

static const struct {
	const char *why;
	void (*change)(void);
	unsigned who;
	int want;
} roots[] = {
	{ "nobody signed", as_it_is, 0, ERR_BELOW_THRESHOLD },
	{ "one of two", as_it_is, BOB, ERR_BELOW_THRESHOLD },
	{ "the same again", same_version, ALICE | BOB, ERR_ROOT_VERSION },
	{ "one left out", one_too_many, ALICE | BOB, ERR_ROOT_VERSION },
	{ "another deployment's", another_repository, ALICE | BOB, ERR_WRONG_REPOSITORY },
	{ "expired", expired, ALICE | BOB, ERR_EXPIRED },
	{ "names no log", no_log, ALICE | BOB, ERR_BAD_ROOT },
	{ "a director key that is not here", another_director, ALICE | BOB, ERR_NOT_AUTHORISED },
	{ "as it should be", as_it_is, ALICE | CAROL, 0 },
};

static void test_next(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(roots); i++) {
		struct bytes e;
		int err;
		make_next();
		roots[i].change();
		e = sign_next(roots[i].who);
		err = signer_world_check(e);
		if (err != roots[i].want)
			fail_msg("%s: %s (%s)", roots[i].why, err_name(err), w.text);
		if (roots[i].change == another_director)
			assert_non_null(strstr(w.text, "restart first"));
		err = signer_world_append(e);
		if (err != roots[i].want)
			fail_msg("%s, appended: %s", roots[i].why, err_name(err));
	}
}

/* A new director key: into the folder, restart, and then the root that names it. */
static void test_online_key(void **state)
{
	struct bytes envelope, payload;

	(void)state;
	make_next();
	another_director();
	assert_int_equal(crypto_key_save(fresh_key, tmpdir_path("online/director-2.pem")), 0);
	signer_world_restart();
	publish_next();
	w.director.n_offers = 0;
	w.director.version = 1;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(signer_world_get(ENVELOPE_DIRECTOR, &w.director, &envelope), 0);
		assert_int_equal(envelope_open(crypto_openssl(), envelope, ENVELOPE_DIRECTOR,
					 w.root->root, &w.arena, &payload),
			0);
		/* The root in force is remembered. */
		assert_int_equal(rename(tmpdir_path("online/director.pem"), tmpdir_path("old")),
			i == 0 ? 0 : -1);
		signer_world_restart();
		w.director.version++;
	}
}

/* What a root takes from somebody, they have no more: not even what they had approved. */
static void test_approver_leaves(void **state)
{
	size_t kept = 0;

	(void)state;
	signer_world_roll_out();
	assert_int_equal(signer_world_direct(), 0);
	make_next();
	for (size_t i = 0; i < approver.n_keyids; i++) {
		char *path = key_path(tmpdir_path("keys"), "bob", KEY_APPROVER);
		struct held_key bob;
		assert_int_equal(key_load(path, w.root->root, KEY_APPROVER, &bob), 0);
		if (memcmp(approver.keyids[i].data, bob.id, SHA256_LEN) != 0)
			approver_ids[kept++] = approver.keyids[i];
		key_release(&bob);
		free(path);
	}
	assert_int_equal(kept, 2);
	approver.n_keyids = kept;
	next.approver = &approver;
	publish_next();
	assert_int_equal(signer_world_direct(), ERR_PLAN_EXCEEDED);
	w.director.n_offers = 0;
	assert_int_equal(signer_world_direct(), 0);
}

/* Two keys of one person are one approver, whatever the threshold of keys says. */
static void test_one_person(void **state)
{
	struct bytes targets, plan;

	(void)state;
	make_next();
	add_key("alice");
	approver_ids[approver.n_keyids++] = wire_data(fresh_id, SHA256_LEN);
	next.approver = &approver;
	publish_next();
	signer_world_make();
	targets = signer_world_targets(ALICE | BOB);
	assert_int_equal(signer_world_propose(ALICE), 0);
	plan = signer_world_plan(ALICE);
	assert_int_equal(envelope_sign(plan, fresh_key, fresh_id, &w.arena, &plan), 0);
	assert_int_equal(signer_world_approve(plan, ALICE), 0);
	assert_int_equal(signer_admit(w.signer, plan, targets), ERR_BELOW_THRESHOLD);
	plan = signer_world_plan(ALICE | BOB);
	assert_int_equal(signer_world_approve(plan, BOB), 0);
	assert_int_equal(signer_admit(w.signer, plan, targets), 0);
}

/* Each kind of people, as the root's AdminRoles say; a right on another product is none. */
static void test_admins(void **state)
{
	static const char *other = "phone-b";

	(void)state;
	signer_world_roll_out();
	make_next();
	grant(PB__ADMIN_KIND__ADMIN_OBSERVER, "alice", KEY_RELEASE, NULL);
	grant(PB__ADMIN_KIND__ADMIN_TESTER_MANAGER, "bob", KEY_RELEASE, NULL);
	grant(PB__ADMIN_KIND__ADMIN_RELEASE_ENGINEER, "carol", KEY_RELEASE, &other);
	grant(PB__ADMIN_KIND__ADMIN_APPROVER, "carol", KEY_APPROVER, NULL);
	publish_next();
	/* What was approved by people who may not approve now is not offered. */
	assert_int_equal(signer_world_direct(), ERR_PLAN_EXCEEDED);
	assert_int_equal(
		signer_world_act(PB__ACT__ACT_HALT, KEY_RELEASE, ALICE), ERR_NOT_AUTHORISED);
	assert_int_equal(
		signer_world_act(PB__ACT__ACT_HALT, KEY_RELEASE, CAROL), ERR_NOT_AUTHORISED);
	assert_non_null(strstr(w.text, "carol"));
	/* Of several signatures, those count that may. */
	assert_int_equal(signer_world_act(PB__ACT__ACT_HALT, KEY_RELEASE, ALICE | BOB), 0);
	/* Not in any AdminRole: nobody here, though a key of the approver role. */
	assert_int_equal(
		signer_world_act(PB__ACT__ACT_HALT, KEY_APPROVER, ALICE), ERR_BELOW_THRESHOLD);
	assert_int_equal(signer_world_propose(CAROL), ERR_NOT_AUTHORISED);
	assert_int_equal(signer_world_propose(BOB), ERR_NOT_AUTHORISED);
}

#define IN_ROOTS(test) cmocka_unit_test_setup_teardown(test, signer_world_open, free_key)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ROOTS(test_next),
		IN_ROOTS(test_online_key),
		IN_ROOTS(test_approver_leaves),
		IN_ROOTS(test_one_person),
		IN_ROOTS(test_admins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
