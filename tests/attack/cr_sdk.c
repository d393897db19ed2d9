/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that other update clients had, by the numbers of their regressions here. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define HOUR_MS 3600000u

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

/* ---- names and numbers ---- */

/* tough CVE-2026-6968: names that lead out of the folder. */
static void names_lead_nowhere(struct lab *l, const struct attack *a)
{
	static const char *const names[] = { "/etc/passwd", "../../outside", "a/../../b", "~/x" };

	(void)a;
	lab_boot(l);
	for (unsigned i = 0; i < 4; i++) {
		struct repo_offer *o = lab_offer(l);
		o->build->path = names[i];
		repo_publish(l->repo);
		lab_installs(l, o->build->id);
	}
	CHECK_EQ(l->wire.odd_paths, 0);
}

/* tough CVE-2025-2885: any newer root would do. */
static void root_is_the_next(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->version[ENVELOPE_ROOT] = 2;
	repo_publish_root(l->repo); /* 3, in the place of 2 */
	lab_rejects(l, ERR_ROOT_VERSION);
	CHECK_EQ(device_root(&l->phone), 1);
}

/* tough CVE-2025-2888: a Timestamp that was refused was kept, and the next was "older". */
static void refused_timestamp_is_forgotten(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;

	(void)a;
	lab_start(l);
	r->version[ENVELOPE_TIMESTAMP] = 1ull << 40;
	r->role[ENVELOPE_TIMESTAMP].signer[0] = r->role[ENVELOPE_SNAPSHOT].key[0];
	repo_tick(r);
	lab_rejects(l, ERR_BELOW_THRESHOLD);
	device_restart(&l->phone);
	r->version[ENVELOPE_TIMESTAMP] = r->highest[ENVELOPE_TIMESTAMP] = 5;
	repo_be_honest(r, 1);
	repo_publish(r);
	lab_accepts(l);
}

/* go-tuf CVE-2022-29173: what was stored did not count. */
static void rollback_after_restart(struct lab *l, const struct attack *a)
{
	struct repo_served old = l->repo->served;

	(void)a;
	for (unsigned i = 0; i < 4; i++)
		repo_publish(l->repo);
	lab_start(l);
	device_restart(&l->phone);
	l->repo->served = old;
	lab_rejects(l, ERR_ROLLBACK);
}

/* The same: saved before it was verified.  The power goes at each save of an update in turn. */
static void power_goes_at_each_save(struct lab *l, const struct attack *a)
{
	unsigned cuts = 0;
	bool cut = true;

	(void)a;
	lab_start(l);
	for (unsigned at = 1; cut; at++) {
		const char *id = lab_offer(l)->build->id;
		repo_publish_root(l->repo);
		repo_publish(l->repo);
		l->phone.saves = 0;
		l->phone.die_at = at;
		l->phone.die_after = at % 2 == 0;
		lab_installs(l, id);
		cut = l->phone.saves >= at;
		cuts += cut;
		l->phone.die_at = 0;
		CHECK_EQ(device_root(&l->phone), l->repo->n_roots);
		lab_accepts(l);
	}
	CHECK(cuts > 4);
	suite_note("%u power cuts", cuts);
}

static void climbing_director(struct repo *r, void *message)
{
	((Pb__Snapshot *)message)->directors[3]->name = "director/phone1/../../stable";
	(void)r;
}

static void climbing_snapshot(struct repo *r, void *message)
{
	((Pb__Timestamp *)message)->snapshot->name = "../snapshot/phone1";
	(void)r;
}

static void climbing_plan(struct repo *r, void *message)
{
	Pb__Director *d = message;

	if (d->n_offers > 0)
		d->offers[0]->plan->name = "plan/../phone1";
	(void)r;
}

/* python-tuf GHSA-wjw6-2cqr-j4qr: a role's name was a file's name. */
static void role_names(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;

	(void)a;
	lab_start(l);
	r->edit[ENVELOPE_SNAPSHOT] = climbing_director;
	repo_publish(r);
	lab_rejects(l, ERR_MISMATCH);
	repo_be_honest(r, 1);
	r->edit[ENVELOPE_TIMESTAMP] = climbing_snapshot;
	repo_publish(r);
	lab_rejects(l, ERR_MISMATCH);
	repo_be_honest(r, 1);
	(void)lab_offer(l);
	r->edit[ENVELOPE_DIRECTOR] = climbing_plan;
	repo_publish(r);
	lab_refuses(l, ERR_MISMATCH);
	CHECK_EQ(l->wire.odd_paths, 0);
}

static void for_phone2(struct repo *r, void *message)
{
	((Pb__Targets *)message)->product = "phone2";
	(void)r;
}

/* tuf-conformance, failed by two clients: what was verified for A is not verified for B. */
static void other_products_targets(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;
	const char *id;

	(void)a;
	lab_start(l);
	id = lab_offer(l)->build->id;
	r->edit[ENVELOPE_TARGETS] = for_phone2; /* good and signed, for the other phone */
	repo_publish(r);
	lab_refuses(l, ERR_WRONG_PRODUCT);
	device_restart(&l->phone);
	device_live(&l->phone, 6 * HOUR_MS);
	CHECK(strcmp(l->phone.slot.build_id, id) != 0);
}

/* ---- CR-13: hashes and signatures of wrong length ---- */

static size_t wrong_len;

static void hash_len_targets(struct repo *r, void *message)
{
	static uint8_t bytes[128];
	Pb__Target *t = ((Pb__Targets *)message)->targets[0];

	memcpy(bytes, t->sha256.data, SHA256_LEN);
	t->sha256 = wire_data(bytes, wrong_len);
	(void)r;
}

static void hash_len_snapshot(struct repo *r, void *message)
{
	static uint8_t bytes[128];
	ProtobufCBinaryData *d = &((Pb__Snapshot *)message)->directors[3]->sha256;

	memcpy(bytes, d->data, SHA256_LEN);
	*d = wire_data(bytes, wrong_len);
	(void)r;
}

static void sig_len(struct repo *r, Pb__Envelope *e)
{
	uint8_t *bytes = repo_take(&r->kept, 256);

	memcpy(bytes, e->signatures[0]->sig.data, SIG_LEN);
	e->signatures[0]->sig = wire_data(bytes, wrong_len);
}

/* The hash is right, the length is not. */
static void longer_than_it_is(struct repo *r, void *message)
{
	((Pb__Timestamp *)message)->snapshot->length++;
	(void)r;
}

/* Mender CVE-2025-67903: an empty hash, a signature of another length. */
static void wrong_lengths(struct lab *l, const struct attack *a)
{
	static const size_t hashes[] = { 0, 16, 31, 33, 64 }, sigs[] = { 0, 1, 63, 65, 128 };
	struct repo *r = l->repo;

	(void)a;
	lab_start(l);
	r->edit[ENVELOPE_TIMESTAMP] = longer_than_it_is;
	repo_publish(r);
	lab_rejects(l, ERR_MISMATCH);
	repo_be_honest(r, 1);
	for (unsigned i = 0; i < 5; i++) {
		wrong_len = hashes[i];
		r->edit[ENVELOPE_SNAPSHOT] = hash_len_snapshot;
		repo_publish(r);
		lab_rejects(l, ERR_MISMATCH);
		repo_be_honest(r, 1);
		(void)lab_offer(l);
		r->edit[ENVELOPE_TARGETS] = hash_len_targets;
		repo_publish(r);
		lab_refuses(l, ERR_MISMATCH);
		repo_be_honest(r, 1);
		wrong_len = sigs[i];
		r->forge[ENVELOPE_TIMESTAMP] = sig_len;
		repo_tick(r);
		lab_rejects(l, ERR_BELOW_THRESHOLD);
		repo_be_honest(r, 1);
		(void)lab_offer(l);
		r->forge[ENVELOPE_TARGETS] = sig_len;
		repo_publish(r);
		lab_refuses(l, ERR_BELOW_THRESHOLD);
		repo_be_honest(r, 1);
	}
}

static void two_files(struct repo *r, void *message)
{
	static Pb__Target *both[2];
	Pb__Targets *t = message;

	both[0] = both[1] = t->targets[0];
	t->targets = both;
	t->n_targets = 2;
	(void)r;
}

/* The same: a file in the bundle that nobody listed. */
static void extra_file(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;

	(void)a;
	lab_start(l);
	(void)lab_offer(l);
	r->edit[ENVELOPE_TARGETS] = two_files;
	repo_publish(r);
	lab_refuses(l, ERR_MISMATCH);
	repo_be_honest(r, 1);
	(void)lab_offer(l);
	repo_publish(r);
	l->wire.only = "/v1/artifact";
	l->wire.padding = 5000; /* behind the file */
	(void)device_refresh(&l->phone);
	device_live(&l->phone, 3 * HOUR_MS);
	CHECK_ERR(l->phone.first_error, ERR_TOO_BIG);
	CHECK_EQ(l->phone.applies, 0);
	CHECK(l->phone.file_len <= 3000);
}

/* SWUpdate 531d4ca6: a buffer of fifty bytes for a version.  Numbers are numbers, at their largest. */
static void versions_are_numbers(struct lab *l, const struct attack *a)
{
	static uint8_t long_varint[] = { 8, 1, 16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 1 };
	static char name[200];
	struct repo *r = l->repo;
	struct repo_offer *o;
	struct bytes honest;

	(void)a;
	lab_start(l);
	memset(name, '7', sizeof(name) - 1);
	o = lab_offer(l);
	o->build->id = name; /* a name that no state holds: passed over, or refused */
	repo_publish(r);
	(void)device_refresh(&l->phone);
	CHECK_EQ(l->phone.applies, 0);
	o = lab_offer(l);
	o->build->release_counter = UINT64_MAX;
	repo_publish(r);
	lab_installs(l, o->build->id);
	honest = r->served.timestamp;
	r->served.timestamp = bytes_of(long_varint, sizeof(long_varint));
	(void)device_refresh(&l->phone);
	CHECK(l->phone.first_error != 0);
	r->served.timestamp = honest;
	r->version[ENVELOPE_TIMESTAMP] = UINT64_MAX - 1;
	repo_tick(r);
	lab_accepts(l);
	repo_rotate(r, ENVELOPE_TIMESTAMP); /* after that only a new key helps */
	repo_publish_root(r);
	r->version[ENVELOPE_TIMESTAMP] = r->highest[ENVELOPE_TIMESTAMP] = 0;
	repo_publish(r);
	lab_accepts(l);
	l->phone.slot.release_counter = 5; /* so that there can be a next build */
	device_restart(&l->phone);
}

static const struct attack attacks[] = {
	CASE("cr_01_bad_root_never_loads", bad_root_never_loads),
	CASE("cr_02_new_root_signs_itself", root_signs_itself),
	CASE("cr_03_one_key_twice_on_root", one_key_twice_on_root),
	CASE("cr_04_one_key_twice_on_every_role", one_key_twice_elsewhere),
	CASE("cr_05_every_check_on_every_role", every_check_on_every_role),
	CASE("cr_06_names_lead_nowhere", names_lead_nowhere),
	CASE("cr_07_root_is_the_next", root_is_the_next),
	CASE("cr_08_refused_timestamp_is_forgotten", refused_timestamp_is_forgotten),
	CASE("cr_09_rollback_after_restart", rollback_after_restart),
	CASE("cr_10_power_goes_at_each_save", power_goes_at_each_save),
	CASE("cr_11_role_names_are_no_file_names", role_names),
	CASE("cr_12_other_products_targets", other_products_targets),
	CASE("cr_13_hashes_and_signatures_of_wrong_length", wrong_lengths),
	CASE("cr_14_extra_file", extra_file),
	CASE("cr_15_every_byte_of_an_answer", lab_flip_answer),
	CASE("cr_19_versions_are_numbers", versions_are_numbers),
};
const struct attack_group cr_sdk = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
