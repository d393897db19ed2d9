/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_updater_key_rotations.py and test_keys.py: the tables are upstream's, keys by number.
 */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define KEYS_MAX 10u
#define STEPS    4u
#define ROOT_KEY 20u /* the table's key 0 */

/* One version of a role: its keys, its threshold, who signs it. */
struct md_version {
	const char *keys;
	unsigned threshold;
	const char *sigs;
};

static unsigned numbers(unsigned out[REPO_ROLE], const char *digits, unsigned first)
{
	unsigned n = 0;

	for (; digits[n] != '\0'; n++)
		out[n] = first + (unsigned)(digits[n] - '0');
	return n;
}

static void set_role(
	struct repo *r, enum envelope_type type, const struct md_version *v, unsigned first)
{
	struct repo_role *role = &r->role[type];

	role->n = numbers(role->key, v->keys, first);
	role->n_signers = numbers(role->signer, v->sigs, first);
	role->threshold = v->threshold;
}

/* A chain of roots; the phone is made with the first. */
static void root_rotation(struct lab *l, const struct attack *a)
{
	const struct md_version *v = a->more;
	struct repo *r = l->repo;

	r->n_roots = 0;
	r->version[ENVELOPE_ROOT] = 0;
	for (; v->keys != NULL; v++) {
		set_role(r, ENVELOPE_ROOT, v, ROOT_KEY);
		repo_publish_root(r);
	}
	repo_publish(r);
	if (a->want == 0)
		lab_accepts(l);
	else
		lab_rejects(l, a->want);
	CHECK_EQ(device_root(&l->phone), a->want == 0 ? r->n_roots : r->n_roots - 1);
}

/* Each role in turn; the root that says so is good. */
static void non_root_rotation(struct lab *l, const struct attack *a)
{
	static const enum envelope_type roles[] = { ENVELOPE_TIMESTAMP, ENVELOPE_SNAPSHOT,
		ENVELOPE_DIRECTOR, ENVELOPE_TARGETS };
	const struct md_version *v = a->more;
	struct repo *r = l->repo;

	lab_start(l);
	for (unsigned i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		bool offline = roles[i] == ENVELOPE_TARGETS;
		const char *id = lab_offer(l)->build->id;
		set_role(r, roles[i], v, ROOT_KEY + (i + 1) * KEYS_MAX);
		repo_publish_root(r);
		repo_publish(r);
		if (a->want == 0)
			lab_installs(l, id);
		else if (offline)
			lab_refuses(l, a->want);
		else
			lab_rejects(l, a->want);
		CHECK_EQ(device_root(&l->phone), r->n_roots);
		repo_be_honest(r, r->n_roots);
	}
}

#define CHAIN(...)                                                                                 \
	(const struct md_version[])                                                                \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			NULL, 0, NULL                                                              \
		}                                                                                  \
	}
#define CHAIN_CASE(n, r, w, ...)                                                                   \
	{                                                                                          \
		.name = n, .run = r, .want = w, .more = CHAIN(__VA_ARGS__)                         \
	}
#define ROOT(id, ...) CHAIN_CASE("test_root_rotation[" id "]", root_rotation, __VA_ARGS__)
#define ROLE(id, ...) CHAIN_CASE("test_non_root_rotations[" id "]", non_root_rotation, __VA_ARGS__)

/* ---- test_keys.py ---- */

static void snapshot_role(struct repo *r, unsigned n, unsigned threshold, unsigned signers)
{
	repo_set_role(r, ENVELOPE_SNAPSHOT, 30, n, threshold);
	r->role[ENVELOPE_SNAPSHOT].n_signers = signers;
	repo_publish_root(r);
	repo_publish(r);
}

static void below_threshold(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	snapshot_role(l->repo, 3, 3, 3);
	lab_accepts(l);
	l->repo->role[ENVELOPE_SNAPSHOT].n_signers = 2;
	repo_publish(l->repo);
	lab_rejects(l, ERR_BELOW_THRESHOLD);
	CHECK_EQ(device_root(&l->phone), 2);
}

/* A root whose threshold nobody can meet is no root. */
static void too_few_keys(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	snapshot_role(l->repo, 5, 6, 5);
	lab_rejects(l, ERR_BAD_ROOT);
	CHECK_EQ(device_root(&l->phone), 1);
}

static void duplicate_keys(struct lab *l, const struct attack *a)
{
	struct repo_role *role = &l->repo->role[ENVELOPE_SNAPSHOT];

	(void)a;
	lab_start(l);
	*role = (struct repo_role){ .n = 9, .threshold = 6, .n_signers = 9 };
	for (unsigned i = 0; i < 9; i++)
		role->key[i] = role->signer[i] = 30;
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_rejects(l, ERR_BAD_ROOT);
	CHECK_EQ(device_root(&l->phone), 1);
}

static void duplicate_signature(struct lab *l, const struct attack *a)
{
	struct repo_role *role = &l->repo->role[ENVELOPE_SNAPSHOT];

	(void)a;
	lab_start(l);
	role->signer[role->n_signers++] = role->key[0];
	repo_publish(l->repo);
	lab_rejects(l, ERR_DUPLICATE_KEYID);
}

static void spoil_last_signature(struct repo *r, Pb__Envelope *e)
{
	e->signatures[e->n_signatures - 1]->sig.data[40] ^= 1;
	(void)r;
}

/* A new root key of this kind is needed from now on; then its signature is not right. */
static void keytype(struct lab *l, const struct attack *a)
{
	struct repo_role *role = &l->repo->role[ENVELOPE_ROOT];

	lab_start(l);
	role->key[role->n++] = role->signer[role->n_signers++] = *(const unsigned *)a->more;
	role->threshold++;
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_accepts(l);
	CHECK_EQ(device_root(&l->phone), 2);
	l->repo->forge[ENVELOPE_ROOT] = spoil_last_signature;
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_rejects(l, ERR_BELOW_THRESHOLD);
	CHECK_EQ(device_root(&l->phone), 2);
}

static void empty_last_signature(struct repo *r, Pb__Envelope *e)
{
	e->signatures[e->n_signatures - 1]->sig.len = 0;
	(void)r;
}

/* One good signature is enough, whatever stands beside it. */
static void invalid_beside_valid(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	repo_set_role(l->repo, ENVELOPE_TIMESTAMP, 30, 2, 1);
	l->repo->role[ENVELOPE_TIMESTAMP].n_signers = 2;
	l->repo->forge[ENVELOPE_TIMESTAMP] = spoil_last_signature;
	repo_publish_root(l->repo);
	repo_publish(l->repo);
	lab_accepts(l);
	l->repo->forge[ENVELOPE_TIMESTAMP] = empty_last_signature;
	repo_tick(l->repo);
	lab_accepts(l);
}

/* clang-format off */
static const struct attack attacks[] = {
	ROOT("1-of-1-key-rotation", 0,
		{ "1", 1, "1" }, { "2", 1, "21" }, { "2", 1, "2" }),
	ROOT("1-of-1-key-rotation-unused-signatures", 0,
		{ "1", 1, "314" }, { "2", 1, "3214" }, { "2", 1, "324" }),
	ROOT("3-of-5-sign-with-different-keycombos", 0,
		{ "01234", 3, "024" }, { "01234", 3, "041" }, { "01234", 3, "013" },
		{ "01234", 3, "013" }),
	ROOT("3-of-5-one-key-rotated", 0,
		{ "01234", 3, "024" }, { "01345", 3, "041" }),
	ROOT("3-of-5-one-key-rotated-with-intermediate-step", 0,
		{ "01234", 3, "024" }, { "01345", 3, "0245" }, { "01345", 3, "045" }),
	ROOT("3-of-5-all-keys-rotated-with-intermediate-step", 0,
		{ "01234", 3, "024" }, { "56789", 3, "024567" }, { "56789", 3, "567" }),
	ROOT("1-of-3-threshold-increase-to-2-of-3", 0,
		{ "123", 1, "1" }, { "123", 2, "12" }),
	ROOT("2-of-3-threshold-decrease-to-1-of-3", 0,
		{ "123", 2, "12" }, { "123", 1, "12" }, { "123", 1, "1" }),
	ROOT("1-of-2-threshold-increase-to-2-of-2", 0,
		{ "1", 1, "1" }, { "12", 2, "12" }),
	ROOT("1-of-1-key-rotation-fail-not-signed-with-old-key", ERR_BELOW_THRESHOLD,
		{ "1", 1, "1" }, { "2", 1, "234" }),
	ROOT("1-of-1-key-rotation-fail-not-signed-with-new-key", ERR_BELOW_THRESHOLD,
		{ "1", 1, "1" }, { "2", 1, "134" }),
	ROOT("3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys", ERR_BELOW_THRESHOLD,
		{ "01234", 3, "024" }, { "01345", 3, "024" }),
	ROOT("3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys", ERR_BELOW_THRESHOLD,
		{ "01234", 3, "024" }, { "01345", 3, "045" }),
	ROOT("1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached",
		ERR_BELOW_THRESHOLD, { "123", 1, "1" }, { "123", 2, "2" }),
	ROOT("2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-eached",
		ERR_BELOW_THRESHOLD, { "123", 2, "12" }, { "123", 1, "1" }),

	ROLE("1-of-1-key-rotation", 0, { "2", 1, "2" }),
	ROLE("1-of-1-key-rotation-unused-signatures", 0, { "1", 1, "314" }),
	ROLE("1-of-1-key-rotation-fail-not-signed-with-new-key", ERR_BELOW_THRESHOLD,
		{ "2", 1, "134" }),
	ROLE("3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys",
		ERR_BELOW_THRESHOLD, { "01345", 3, "024" }),
	ROLE("2-of-5-one-key-signature-mising-threshold-not-reached", ERR_BELOW_THRESHOLD,
		{ "01345", 3, "04" }),
	ROLE("3-of-5-sign-first-combo", 0, { "01234", 3, "024" }),
	ROLE("3-of-5-sign-second-combo", 0, { "01234", 3, "041" }),
	ROLE("3-of-5-sign-third-combo", 0, { "01234", 3, "013" }),
	ROLE("3-of-5-sign-fourth-combo", 0, { "01234", 3, "123" }),
	ROLE("3-of-5-sign-fifth-combo", 0, { "01234", 3, "234" }),

	CASE("test_snapshot_does_not_meet_threshold", below_threshold),
	CASE("test_snapshot_has_too_few_keys", too_few_keys),
	CASE("test_duplicate_keys", duplicate_keys),
	CASE("test_duplicate_sig_keyids", duplicate_signature),
	CASE_MORE("test_keytype_and_scheme[ecdsa/ecdsa-sha2-nistp256]", keytype, ENVELOPE__COUNT, (const unsigned[]){ REPO_P256 }),
	CASE_MORE("test_keytype_and_scheme[ed25519/ed25519]", keytype, ENVELOPE__COUNT, (const unsigned[]){ 30 }),
	CASE("test_invalid_sig_in_valid_metadata", invalid_beside_valid),
};
/* clang-format on */
const struct attack_group tuf_keys = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
