/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: every kind, product, ring and operation, and never a union of two roles. */
#include "unit.h"

#include <stdio.h>

#include "server/trust/authority.h"

#define KEYS 8

static const char *const names[KEYS] = { "olga", "tina", "rosa", "anna", "anna", "", "uma", "zoe" };
enum { OLGA, TINA, ROSA, ANNA, ANNA2, NOBODY, UMA, ZOE };

static uint8_t public[KEYS][ED25519_PUBLIC_LEN], id[KEYS][SHA256_LEN];
static Pb__Key key[KEYS], *keys[KEYS];
static Pb__Root root;
static Pb__Role targets, approver;
static ProtobufCBinaryData targets_ids[2], approver_ids[2];

#define ADMINS 6
static Pb__AdminRole admin[ADMINS], *admins[ADMINS];
static ProtobufCBinaryData admin_ids[ADMINS][2];

/* A role for one key; products and rings may be NULL: all. */
static void grant(Pb__AdminKind kind, unsigned who, const char **product, uint32_t *ring)
{
	Pb__AdminRole *a = &admin[root.n_admins];

	*a = (Pb__AdminRole)PB__ADMIN_ROLE__INIT;
	a->kind = kind;
	admin_ids[root.n_admins][0] = wire_data(id[who], SHA256_LEN);
	a->keyids = admin_ids[root.n_admins];
	a->n_keyids = 1;
	a->products = product;
	a->n_products = product != NULL;
	a->rings = ring;
	a->n_rings = ring != NULL;
	admins[root.n_admins++] = a;
}

static int make(void **state)
{
	(void)state;
	root = (Pb__Root)PB__ROOT__INIT;
	for (unsigned i = 0; i < KEYS; i++) {
		public[i][0] = (uint8_t)(i + 1);
		key[i] = (Pb__Key)PB__KEY__INIT;
		key[i].scheme = KEY_ED25519;
		key[i].public_key = wire_data(public[i], ED25519_PUBLIC_LEN);
		key[i].name = i == NOBODY ? NULL : names[i];
		keys[i] = &key[i];
		if (envelope_keyid(crypto_openssl(), &key[i], id[i]) != 0)
			return -1;
	}
	root.keys = keys;
	root.n_keys = KEYS;
	root.profile = "team";
	root.admins = admins;
	targets = approver = (Pb__Role)PB__ROLE__INIT;
	targets_ids[0] = wire_data(id[ROSA], SHA256_LEN);
	targets_ids[1] = wire_data(id[TINA], SHA256_LEN);
	approver_ids[0] = wire_data(id[ANNA], SHA256_LEN);
	approver_ids[1] = wire_data(id[ROSA], SHA256_LEN);
	targets.keyids = targets_ids;
	targets.n_keyids = 2;
	approver.keyids = approver_ids;
	approver.n_keyids = 2;
	root.targets = &targets;
	root.approver = &approver;
	return 0;
}

static const char *product_a = "phone-a", *product_b = "phone-b";

static bool may(
	unsigned who, enum authority_op op, const char *const *products, size_t n, unsigned rings)
{
	struct authority_ask ask = {
		.op = op, .products = products, .n_products = n, .rings = rings
	};
	struct signers in = { .n = 1, .key = { who } }, out;

	assert_int_equal(authority_of(crypto_openssl(), &root, &ask, &in, &out), 0);
	if (out.n > 0)
		assert_int_equal(out.key[0], who);
	return out.n == 1;
}

/* Each kind of people, each operation. */
static void test_kinds(void **state)
{
	static const struct {
		enum authority_op op;
		const char *who; /* o, t, r, a */
	} row[] = {
		{ AUTHORITY_READ, "otra" },
		{ AUTHORITY_PUBLISH, "r" },
		{ AUTHORITY_PROPOSE, "r" },
		{ AUTHORITY_APPROVE, "a" },
		{ AUTHORITY_START, "ra" },
		{ AUTHORITY_STOP, "tra" },
		{ AUTHORITY_SEAT, "t" },
		{ AUTHORITY_WITHDRAW, "tra" },
		{ AUTHORITY_CONFIRM, "ra" },
		{ AUTHORITY_IMPORT, "tra" },
	};
	static const struct {
		unsigned who;
		Pb__AdminKind kind;
		char letter;
	} people[] = {
		{ OLGA, PB__ADMIN_KIND__ADMIN_OBSERVER, 'o' },
		{ TINA, PB__ADMIN_KIND__ADMIN_TESTER_MANAGER, 't' },
		{ ROSA, PB__ADMIN_KIND__ADMIN_RELEASE_ENGINEER, 'r' },
		{ ANNA, PB__ADMIN_KIND__ADMIN_APPROVER, 'a' },
	};

	(void)state;
	assert_int_equal(COUNT(row), AUTHORITY__COUNT);
	for (size_t i = 0; i < COUNT(people); i++)
		grant(people[i].kind, people[i].who, NULL, NULL);
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t k = 0; k < COUNT(people); k++) {
			bool want = strchr(row[i].who, people[k].letter) != NULL;
			if (may(people[k].who, row[i].op, &product_a, 1, 1) != want ||
				may(people[k].who, row[i].op, NULL, 0, 0) != want)
				fail_msg("operation %d, %c", row[i].op, people[k].letter);
		}
		assert_false(may(ZOE, row[i].op, NULL, 0, 0));
		assert_false(may(ZOE, row[i].op, &product_a, 1, 1));
	}
}

/* What a role says of products and rings against every command. */
static void test_scope(void **state)
{
	static uint32_t core = 0;
	static const struct {
		bool product_only, ring_only; /* the role is for phone-a, for core */
	} roles[] = { { false, false }, { true, false }, { false, true }, { true, true } };
	const char *list[] = { product_a, product_b };

	(void)state;
	for (size_t i = 0; i < COUNT(roles); i++) {
		bool p = !roles[i].product_only, r = !roles[i].ring_only;
		root.n_admins = 0;
		grant(PB__ADMIN_KIND__ADMIN_APPROVER, ANNA, p ? NULL : &product_a,
			r ? NULL : &core);
		assert_true(may(ANNA, AUTHORITY_APPROVE, NULL, 0, 0));
		assert_true(may(ANNA, AUTHORITY_APPROVE, &list[0], 1, 0));
		assert_int_equal(may(ANNA, AUTHORITY_APPROVE, &list[1], 1, 0), p);
		assert_int_equal(may(ANNA, AUTHORITY_APPROVE, list, 2, 0), p);
		for (unsigned rings = 1; rings < 16; rings++) {
			bool in = r || rings == 1;
			assert_int_equal(may(ANNA, AUTHORITY_APPROVE, NULL, 0, rings), in);
			assert_int_equal(may(ANNA, AUTHORITY_APPROVE, &list[0], 1, rings), in);
			assert_int_equal(may(ANNA, AUTHORITY_APPROVE, &list[1], 1, rings), p && in);
			assert_int_equal(may(ANNA, AUTHORITY_APPROVE, list, 2, rings), p && in);
			/* Who may stop one ring may stop. */
			in = r || (rings & 1) != 0;
			assert_int_equal(may(ANNA, AUTHORITY_STOP, &list[0], 1, rings), in);
			assert_int_equal(may(ANNA, AUTHORITY_STOP, list, 2, rings), p && in);
		}
	}
}

/* CR-16: X on phone-a and Y on phone-b never give X on phone-b. */
static void test_no_union(void **state)
{
	static uint32_t core = 0, dev = 2;
	const char *both[] = { product_a, product_b };

	(void)state;
	grant(PB__ADMIN_KIND__ADMIN_APPROVER, UMA, &product_a, NULL);
	grant(PB__ADMIN_KIND__ADMIN_RELEASE_ENGINEER, UMA, &product_b, NULL);
	assert_true(may(UMA, AUTHORITY_APPROVE, &product_a, 1, 15));
	assert_true(may(UMA, AUTHORITY_PROPOSE, &product_b, 1, 15));
	assert_false(may(UMA, AUTHORITY_APPROVE, &product_b, 1, 15));
	assert_false(may(UMA, AUTHORITY_PROPOSE, &product_a, 1, 15));
	assert_false(may(UMA, AUTHORITY_APPROVE, both, 2, 15));
	/* What both kinds may, she may on both: each pair is granted by one role. */
	assert_true(may(UMA, AUTHORITY_START, both, 2, 15));
	/* A right for core everywhere and one for phone-a everywhere in dev do not make phone-b's dev. */
	root.n_admins = 0;
	grant(PB__ADMIN_KIND__ADMIN_APPROVER, UMA, NULL, &core);
	grant(PB__ADMIN_KIND__ADMIN_APPROVER, UMA, &product_a, &dev);
	assert_true(may(UMA, AUTHORITY_APPROVE, &product_a, 1, 5));
	assert_true(may(UMA, AUTHORITY_APPROVE, both, 2, 1));
	assert_false(may(UMA, AUTHORITY_APPROVE, &product_b, 1, 4));
	assert_false(may(UMA, AUTHORITY_APPROVE, both, 2, 5));
	assert_false(may(UMA, AUTHORITY_APPROVE, &product_a, 1, 2));
	/* Nor does the right of one signer help another. */
	root.n_admins = 0;
	grant(PB__ADMIN_KIND__ADMIN_APPROVER, UMA, &product_a, NULL);
	grant(PB__ADMIN_KIND__ADMIN_APPROVER, ZOE, &product_b, NULL);
	struct authority_ask ask = { AUTHORITY_APPROVE, both, 2, 1 };
	struct signers in = { 2, { UMA, ZOE } }, out;
	assert_int_equal(authority_of(crypto_openssl(), &root, &ask, &in, &out), 0);
	assert_int_equal(out.n, 0);
}

/* CR-17: a name grants nothing; it only says who is the same person. */
static void test_keys_not_names(void **state)
{
	static const struct {
		unsigned n, who[4], want;
	} row[] = {
		{ 0, { 0 }, 0 },
		{ 1, { ANNA }, 1 },
		{ 2, { ANNA, ANNA2 }, 1 },
		{ 2, { ANNA, ROSA }, 2 },
		{ 4, { ANNA, ROSA, ANNA2, ROSA }, 2 },
		{ 1, { NOBODY }, 1 },
		{ 2, { NOBODY, NOBODY }, 1 },
		{ 2, { NOBODY, ANNA }, 2 },
	};

	(void)state;
	grant(PB__ADMIN_KIND__ADMIN_APPROVER, ANNA, NULL, NULL);
	assert_true(may(ANNA, AUTHORITY_APPROVE, NULL, 0, 0));
	assert_false(may(ANNA2, AUTHORITY_APPROVE, NULL, 0, 0));
	for (size_t i = 0; i < COUNT(row); i++) {
		struct signers who = { .n = row[i].n };
		memcpy(who.key, row[i].who, sizeof(row[i].who));
		assert_int_equal(authority_persons(&root, &who), row[i].want);
	}
}

static void test_older_root(void **state)
{
	static const struct {
		enum authority_op op;
		bool tina, rosa, anna; /* release; release and approver; approver */
	} row[] = {
		{ AUTHORITY_READ, true, true, true },
		{ AUTHORITY_PUBLISH, true, true, false },
		{ AUTHORITY_PROPOSE, true, true, false },
		{ AUTHORITY_APPROVE, false, true, true },
		{ AUTHORITY_START, true, true, true },
		{ AUTHORITY_STOP, true, true, true },
		{ AUTHORITY_SEAT, true, true, false },
		{ AUTHORITY_WITHDRAW, true, true, true },
		{ AUTHORITY_CONFIRM, true, true, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		assert_int_equal(may(TINA, row[i].op, &product_b, 1, 15), row[i].tina);
		assert_int_equal(may(ROSA, row[i].op, &product_b, 1, 15), row[i].rosa);
		assert_int_equal(may(ANNA, row[i].op, &product_b, 1, 15), row[i].anna);
		assert_false(may(ZOE, row[i].op, &product_b, 1, 15));
	}
	/* With the first AdminRole the roles grant nothing of the kind any more. */
	grant(PB__ADMIN_KIND__ADMIN_OBSERVER, OLGA, NULL, NULL);
	assert_false(may(ROSA, AUTHORITY_STOP, &product_a, 1, 1));
}

static void test_needed(void **state)
{
	static const struct {
		const char *profile;
		enum authority_op op;
		unsigned rings, want;
	} row[] = {
		{ "team", AUTHORITY_SEAT, 1, 2 },
		{ "maker", AUTHORITY_SEAT, 1, 2 },
		{ "solo", AUTHORITY_SEAT, 1, 1 },
		{ "team", AUTHORITY_SEAT, 2, 1 },
		{ "team", AUTHORITY_SEAT, 4, 1 },
		{ "team", AUTHORITY_SEAT, 3, 2 },
		{ "maker", AUTHORITY_STOP, 1, 1 },
		{ "maker", AUTHORITY_APPROVE, 15, 1 },
		{ "maker", AUTHORITY_START, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct authority_ask ask = { .op = row[i].op, .rings = row[i].rings };
		root.profile = row[i].profile;
		assert_int_equal(authority_needed(&root, &ask), row[i].want);
	}
}

static void test_people(void **state)
{
	ProtobufCBinaryData room[4];
	Pb__Role role;

	(void)state;
	/* Rosa has both roles and is listed once. */
	assert_int_equal(authority_people(&root, room, 4, &role), 0);
	assert_int_equal(role.n_keyids, 3);
	assert_int_equal(role.threshold, 1);
	assert_int_equal(authority_people(&root, room, 2, &role), ERR_NO_ROOM);
	grant(PB__ADMIN_KIND__ADMIN_OBSERVER, OLGA, NULL, NULL);
	grant(PB__ADMIN_KIND__ADMIN_APPROVER, OLGA, NULL, NULL);
	grant(PB__ADMIN_KIND__ADMIN_APPROVER, ZOE, NULL, NULL);
	assert_int_equal(authority_people(&root, room, 4, &role), 0);
	assert_int_equal(role.n_keyids, 2);
	assert_memory_equal(role.keyids[0].data, id[OLGA], SHA256_LEN);
	assert_memory_equal(role.keyids[1].data, id[ZOE], SHA256_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_kinds, make),
		cmocka_unit_test_setup(test_scope, make),
		cmocka_unit_test_setup(test_no_union, make),
		cmocka_unit_test_setup(test_keys_not_names, make),
		cmocka_unit_test_setup(test_older_root, make),
		cmocka_unit_test_setup(test_needed, make),
		cmocka_unit_test_setup(test_people, make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
