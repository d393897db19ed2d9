/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that other update clients had: hashes, files and numbers of another length. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define HOUR_MS 3600000u

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
	CASE("cr_13_hashes_and_signatures_of_wrong_length", wrong_lengths),
	CASE("cr_14_extra_file", extra_file),
	CASE("cr_15_every_byte_of_an_answer", lab_flip_answer),
	CASE("cr_19_versions_are_numbers", versions_are_numbers),
};
const struct attack_group cr_lengths = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
