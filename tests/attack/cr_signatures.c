/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that other update clients had, by the numbers of their regressions here: who signed. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

/* python-tuf CVE-2020-15163: a root that failed verification was trusted later. */
static void bad_root_never_loads(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->role[ENVELOPE_ROOT].n_signers = 1;
	repo_publish_root(l->repo);
	lab_rejects(l, ERR_BELOW_THRESHOLD);
	device_restart(&l->phone);
	lab_rejects(l, ERR_BELOW_THRESHOLD);
	CHECK_EQ(device_root(&l->phone), 1);
	repo_be_honest(l->repo, 1);
	device_restart(&l->phone);
	lab_accepts(l);
}

/* The same: the new root's own threshold was not checked. */
static void root_signs_itself(struct lab *l, const struct attack *a)
{
	struct repo_role *role = &l->repo->role[ENVELOPE_ROOT];
	struct repo_role old = *role;

	(void)a;
	lab_start(l);
	repo_rotate(l->repo, ENVELOPE_ROOT);
	memcpy(role->signer, old.signer, sizeof(old.signer));
	repo_publish_root(l->repo);
	lab_rejects(l, ERR_BELOW_THRESHOLD);
	CHECK_EQ(device_root(&l->phone), 1);
}

static void one_key_twice(struct repo *r, enum envelope_type type)
{
	struct repo_role *role = &r->role[type];

	role->signer[0] = role->signer[1] = role->key[0];
	role->n_signers = 2;
}

/* tough CVE-2020-15093: one key's signature met a threshold of two. */
static void one_key_twice_on_root(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	one_key_twice(l->repo, ENVELOPE_ROOT);
	repo_publish_root(l->repo);
	lab_rejects(l, ERR_DUPLICATE_KEYID);
	CHECK_EQ(device_root(&l->phone), 1);
}

/* tough CVE-2026-6966: the same on a role that was verified by other code. */
static void one_key_twice_elsewhere(struct lab *l, const struct attack *a)
{
	static const enum envelope_type chain[] = { ENVELOPE_TIMESTAMP, ENVELOPE_SNAPSHOT,
		ENVELOPE_DIRECTOR };
	static const enum envelope_type offer[] = { ENVELOPE_PLAN, ENVELOPE_TARGETS };

	(void)a;
	lab_start(l);
	for (unsigned i = 0; i < 3; i++) {
		one_key_twice(l->repo, chain[i]);
		repo_publish(l->repo);
		lab_rejects(l, ERR_DUPLICATE_KEYID);
		repo_be_honest(l->repo, 1);
	}
	for (unsigned i = 0; i < 2; i++) {
		(void)lab_offer(l);
		one_key_twice(l->repo, offer[i]);
		repo_publish(l->repo);
		lab_refuses(l, ERR_DUPLICATE_KEYID);
		repo_be_honest(l->repo, 1);
	}
}

/* ---- CR-5: each check on each role ---- */

static void wrong_spec(struct repo *r, void *message)
{
	*repo_common(r, message).spec_version = 2;
}

static void wrong_expiry(struct repo *r, void *message)
{
	*repo_common(r, message).expires = r->now_s;
}

static void wrong_repository(struct repo *r, void *message)
{
	*repo_common(r, message).repository = "another";
}

static void wrong_product(struct repo *r, void *message)
{
	*repo_common(r, message).product = "phone2";
}

static void wrong_version(struct repo *r, void *message)
{
	*repo_common(r, message).version += 1;
}

static void unsign(struct repo *r, Pb__Envelope *e)
{
	e->n_signatures--;
	(void)r;
}

/* Longer than its parent says, and every signature still good. */
static void lengthen(struct repo *r, Pb__Envelope *e)
{
	Pb__Signature *extra = repo_take(&r->kept, sizeof(*extra));
	uint8_t *zeros = repo_take(&r->kept, SIG_LEN);

	*extra = (Pb__Signature)PB__SIGNATURE__INIT;
	extra->sig = wire_data(zeros, SIG_LEN);
	extra->keyid = wire_data(zeros, SHA256_LEN);
	e->signatures[e->n_signatures++] = extra;
}

static const struct check {
	void (*edit)(struct repo *r, void *message);
	void (*forge)(struct repo *r, Pb__Envelope *e);
	bool typed, after; /* of another type; done after its parent has named it */
	int want;
} checks[] = {
	{ .edit = wrong_spec, .want = ERR_BAD_RANGE },
	{ .edit = wrong_expiry, .want = ERR_EXPIRED },
	{ .edit = wrong_repository, .want = ERR_WRONG_REPOSITORY },
	{ .edit = wrong_product, .want = ERR_WRONG_PRODUCT },
	{ .edit = wrong_version, .want = ERR_MISMATCH },
	{ .forge = unsign, .want = ERR_BELOW_THRESHOLD },
	{ .typed = true, .want = ERR_WRONG_TYPE },
	{ .after = true, .want = ERR_MISMATCH },
};
#define CHECKS (sizeof(checks) / sizeof(checks[0]))

static struct bytes *served(struct repo *r, enum envelope_type type)
{
	if (type == ENVELOPE_SNAPSHOT)
		return &r->served.snapshot;
	if (type == ENVELOPE_DIRECTOR)
		return &r->served.director[PB__RING__RING_STABLE];
	return type == ENVELOPE_PLAN ? &r->served.plan[0] : &r->served.targets[0];
}

/* The same content with one signature more, behind the back of what names it. */
static void swap(struct repo *r, enum envelope_type type)
{
	struct bytes *envelope = served(r, type), longer;
	int err;
	Pb__Envelope *e = envelope_read(*envelope, &r->kept, &err);
	Pb__Signature **room = repo_take(&r->kept, REPO_ROLE * sizeof(*room));

	CHECK(e != NULL);
	memcpy(room, e->signatures, e->n_signatures * sizeof(*room));
	e->signatures = room;
	lengthen(r, e);
	CHECK(wire_pack(e, &r->kept, &longer) == 0);
	*envelope = longer;
}

static void one_check(struct lab *l, enum envelope_type type, const struct check *c)
{
	struct repo *r = l->repo;
	bool offered = type == ENVELOPE_PLAN || type == ENVELOPE_TARGETS;

	(void)lab_offer(l);
	r->edit[type] = c->edit;
	r->forge[type] = c->forge;
	if (c->typed)
		r->typed_as[type] = ENVELOPE_DECISION;
	repo_publish(r);
	if (c->after)
		swap(r, type);
	if (offered)
		lab_refuses(l, c->want);
	else
		lab_rejects(l, c->want);
	repo_be_honest(r, 1);
	repo_withdraw(r);
	repo_publish(r);
	lab_accepts(l);
}

/* tough CVE-2026-6967: expiry, hash and length unchecked on a second path. */
static void every_check_on_every_role(struct lab *l, const struct attack *a)
{
	static const enum envelope_type roles[] = { ENVELOPE_TIMESTAMP, ENVELOPE_SNAPSHOT,
		ENVELOPE_DIRECTOR, ENVELOPE_PLAN, ENVELOPE_TARGETS };
	unsigned n = 0;

	(void)a;
	lab_start(l);
	for (unsigned i = 0; i < 5; i++)
		for (unsigned k = 0; k < CHECKS; k++) {
			/* Nothing names a Timestamp: it has the version and the length it has. */
			if (roles[i] == ENVELOPE_TIMESTAMP &&
				(checks[k].after || checks[k].edit == wrong_version))
				continue;
			one_check(l, roles[i], &checks[k]);
			n++;
		}
	suite_note("%u checks", n);
}

static const struct attack attacks[] = {
	CASE("cr_01_bad_root_never_loads", bad_root_never_loads),
	CASE("cr_02_new_root_signs_itself", root_signs_itself),
	CASE("cr_03_one_key_twice_on_root", one_key_twice_on_root),
	CASE("cr_04_one_key_twice_on_every_role", one_key_twice_elsewhere),
	CASE("cr_05_every_check_on_every_role", every_check_on_every_role),
};
const struct attack_group cr_signatures = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
