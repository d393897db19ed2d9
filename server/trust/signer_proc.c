/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/signer_proc.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/ladder.h"
#include "proto/names.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/trust/signer.pb-c.h"

#define ARENA_SIZE ((size_t)24 * 1024 * 1024)
#define TEXT_MAX   256

struct online_key {
	const char *file;
	enum envelope_type type;
	struct crypto_key *key;
	uint8_t keyid[SHA256_LEN];
};

/* A plan the approvers signed, and the build it is for. */
struct admitted {
	uint8_t plan_sha256[SHA256_LEN], targets_sha256[SHA256_LEN];
	struct arena arena; /* of its own, for the message */
	const Pb__RolloutPlan *plan;
	char *build_id;
};

struct proc {
	const Pb__Root *root;
	struct arena root_arena, arena;
	struct online_key key[4];
	struct floors *floors;
	struct admitted *admitted;
	size_t n_admitted;
	char text[TEXT_MAX]; /* of the refusal under way */
};

static const struct online_key key_files[] = {
	{ .file = "timestamp.pem", .type = ENVELOPE_TIMESTAMP },
	{ .file = "snapshot.pem", .type = ENVELOPE_SNAPSHOT },
	{ .file = "director.pem", .type = ENVELOPE_DIRECTOR },
	{ .file = "director.pem", .type = ENVELOPE_DECISION },
};

static int refuse(struct proc *p, int err, const char *name)
{
	(void)snprintf(p->text, sizeof(p->text), "%.160s: %s", name, err_str(err));
	return err;
}

/* ---- start ---- */

static int find_keyid(struct proc *p, struct online_key *k)
{
	const Pb__Role *role = envelope_role(p->root, k->type);
	uint8_t public_key[PUBLIC_MAX];
	size_t n = crypto_key_public(k->key, public_key);

	for (size_t i = 0; i < p->root->n_keys; i++) {
		const Pb__Key *key = p->root->keys[i];
		if (!bytes_eq(wire_bytes(key->public_key), bytes_of(public_key, n)) ||
			envelope_keyid(crypto_openssl(), key, k->keyid) != 0)
			continue;
		for (size_t r = 0; r < role->n_keyids; r++)
			if (bytes_eq(wire_bytes(role->keyids[r]), bytes_of(k->keyid, SHA256_LEN)))
				return 0;
	}
	return ERR_NOT_AUTHORISED;
}

static int load_keys(struct proc *p, const char *dir)
{
	for (size_t i = 0; i < sizeof(key_files) / sizeof(key_files[0]); i++) {
		struct online_key *k = &p->key[i];
		char *path = mem_printf("%s/%s", dir, key_files[i].file);
		int err;
		*k = key_files[i];
		err = crypto_key_load(path, &k->key);
		if (err == 0)
			err = find_keyid(p, k);
		if (err != 0)
			(void)refuse(p, err, path);
		free(path);
		if (err != 0)
			return err;
	}
	return 0;
}

static int start(struct proc *p, const struct signer_config *config)
{
	struct bytes payload;
	const Pb__Root *root;
	int err;

	p->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	p->root_arena = (struct arena){ mem_alloc(1 << 18), 1 << 18, 0 };
	/* The root must be signed by its own role before its roles mean anything. */
	const Pb__Envelope *e = envelope_read(config->root, &p->root_arena, &err);
	if (e == NULL)
		return refuse(p, err, "root");
	root = wire_read(
		&pb__root__descriptor, wire_bytes(e->payload), &wire_signed, &p->root_arena, &err);
	if (root != NULL)
		err = envelope_open(crypto_openssl(), config->root, ENVELOPE_ROOT, root,
			&p->root_arena, &payload);
	if (err != 0)
		return refuse(p, err, "root");
	p->root = root;
	err = load_keys(p, config->online_dir);
	if (err != 0)
		return err;
	err = floors_open(config->floor_path, &p->floors);
	return err != 0 ? refuse(p, err, config->floor_path) : 0;
}

/* ---- what may be offered ---- */

static int sha256_of(struct bytes b, uint8_t out[SHA256_LEN])
{
	return crypto_sha256(&b, 1, out);
}

static const struct admitted *find_admitted(const struct proc *p, const Pb__Offer *o)
{
	for (size_t i = 0; i < p->n_admitted; i++) {
		const struct admitted *a = &p->admitted[i];
		if (bytes_eq(wire_bytes(o->plan->sha256), bytes_of(a->plan_sha256, SHA256_LEN)) &&
			bytes_eq(wire_bytes(o->targets->sha256),
				bytes_of(a->targets_sha256, SHA256_LEN)))
			return a;
	}
	return NULL;
}

static int open_plan(struct proc *p, const Pb__SignerAdmit *m, struct admitted *a)
{
	struct bytes envelope = wire_bytes(m->plan), payload;
	int err = envelope_open(
		crypto_openssl(), envelope, ENVELOPE_PLAN, p->root, &p->arena, &payload);

	if (err == 0)
		err = sha256_of(envelope, a->plan_sha256);
	if (err != 0)
		return err;
	/* The message outlives this request: its bytes move to an arena that does too. */
	a->arena.size = 16 * payload.n + 4096;
	a->arena.base = mem_alloc(a->arena.size);
	uint8_t *copy = arena_alloc(&a->arena, payload.n);
	memcpy(copy, payload.p, payload.n);
	a->plan = wire_read(&pb__rollout_plan__descriptor, bytes_of(copy, payload.n), &wire_signed,
		&a->arena, &err);
	if (err == 0 && strcmp(a->plan->repository, p->root->repository) != 0)
		err = ERR_WRONG_REPOSITORY;
	return err;
}

static int open_targets(struct proc *p, const Pb__SignerAdmit *m, struct admitted *a)
{
	struct bytes envelope = wire_bytes(m->targets), payload;
	const Pb__Targets *t = NULL;
	int err = envelope_open(
		crypto_openssl(), envelope, ENVELOPE_TARGETS, p->root, &p->arena, &payload);

	if (err == 0)
		err = sha256_of(envelope, a->targets_sha256);
	if (err == 0)
		t = wire_read(&pb__targets__descriptor, payload, &wire_signed, &p->arena, &err);
	if (err != 0)
		return err;
	if (strcmp(t->repository, p->root->repository) != 0 ||
		strcmp(t->product, a->plan->product) != 0 ||
		!bytes_eq(wire_bytes(a->plan->targets->sha256),
			bytes_of(a->targets_sha256, SHA256_LEN)))
		return ERR_MISMATCH;
	a->build_id = mem_strdup(t->build_id);
	return 0;
}

static void admitted_release(struct admitted *a)
{
	free(a->arena.base);
	free(a->build_id);
}

static int admit(struct proc *p, const Pb__SignerAdmit *m)
{
	struct admitted a = { 0 };
	int err = open_plan(p, m, &a);

	if (err == 0)
		err = open_targets(p, m, &a);
	if (err != 0) {
		admitted_release(&a);
		return refuse(p, err, "plan");
	}
	p->admitted = mem_resize(p->admitted, p->n_admitted + 1, sizeof(*p->admitted));
	p->admitted[p->n_admitted++] = a;
	return 0;
}

/* ---- signing ---- */

static int check_offer(const struct proc *p, const Pb__Director *d, const Pb__Offer *o)
{
	const struct admitted *a = find_admitted(p, o);

	if (a == NULL || strcmp(a->plan->product, d->product) != 0)
		return ERR_PLAN_EXCEEDED;
	for (size_t i = 0; i < d->n_halted_build_ids; i++)
		if (strcmp(d->halted_build_ids[i], a->build_id) == 0)
			return ERR_BUILD_HALTED;
	return ladder_allows(a->plan, o, d->ring, clock_ms() / 1000);
}

/* What all versioned metadata has, whatever its kind. */
struct subject {
	const char *repository;
	uint64_t version;
	char name[METADATA_NAME_MAX]; /* of its floor; "" when it has none */
};

static int check_director(struct proc *p, struct bytes payload, struct subject *s)
{
	int err;
	const Pb__Director *d =
		wire_read(&pb__director__descriptor, payload, &wire_signed, &p->arena, &err);

	if (d == NULL)
		return err;
	if (d->ring > 3 || !name_ok(d->product))
		return ERR_BAD_RANGE;
	s->repository = d->repository;
	s->version = d->version;
	(void)metadata_director(s->name, d->product, d->ring);
	for (size_t i = 0; err == 0 && i < d->n_offers; i++)
		err = check_offer(p, d, d->offers[i]);
	return err;
}

static int check_snapshot(struct proc *p, struct bytes payload, struct subject *s)
{
	int err;
	const Pb__Snapshot *m =
		wire_read(&pb__snapshot__descriptor, payload, &wire_signed, &p->arena, &err);

	if (m == NULL || !name_ok(m->product))
		return m == NULL ? err : ERR_BAD_RANGE;
	s->repository = m->repository;
	s->version = m->version;
	(void)metadata_snapshot(s->name, m->product);
	return 0;
}

static int check_timestamp(struct proc *p, struct bytes payload, struct subject *s)
{
	int err;
	const Pb__Timestamp *m =
		wire_read(&pb__timestamp__descriptor, payload, &wire_signed, &p->arena, &err);

	if (m == NULL || !name_ok(m->product))
		return m == NULL ? err : ERR_BAD_RANGE;
	s->repository = m->repository;
	s->version = m->version;
	(void)metadata_timestamp(s->name, m->product);
	return 0;
}

static int check_decision(struct proc *p, struct bytes payload, struct subject *s)
{
	int err;
	const Pb__Decision *m =
		wire_read(&pb__decision__descriptor, payload, &wire_signed, &p->arena, &err);

	if (m != NULL)
		s->repository = m->repository;
	return err;
}

static const struct {
	enum envelope_type type;
	int (*check)(struct proc *p, struct bytes payload, struct subject *s);
} checks[] = {
	{ ENVELOPE_TIMESTAMP, check_timestamp },
	{ ENVELOPE_SNAPSHOT, check_snapshot },
	{ ENVELOPE_DIRECTOR, check_director },
	{ ENVELOPE_DECISION, check_decision },
};

static int check_item(struct proc *p, const Pb__SignerItem *item)
{
	struct subject s = { .repository = "" };
	int err = ERR_WRONG_TYPE;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].type == item->type)
			err = checks[i].check(p, wire_bytes(item->payload), &s);
	if (err == 0 && strcmp(s.repository, p->root->repository) != 0)
		err = ERR_WRONG_REPOSITORY;
	if (err == 0 && s.name[0] != '\0') {
		if (s.version <= floors_get(p->floors, s.name))
			err = ERR_FLOOR;
		else
			floors_set(p->floors, s.name, s.version);
	}
	return err != 0 ? refuse(p, err, s.name) : 0;
}

static int sign_item(struct proc *p, const Pb__SignerItem *item, struct bytes *out)
{
	for (size_t i = 0; i < sizeof(p->key) / sizeof(p->key[0]); i++) {
		const struct online_key *k = &p->key[i];
		struct bytes bare;
		int err;
		if (k->type != item->type)
			continue;
		err = envelope_wrap(k->type, wire_bytes(item->payload), &p->arena, &bare);
		if (err == 0)
			err = envelope_sign(bare, k->key, k->keyid, &p->arena, out);
		return err != 0 ? refuse(p, err, k->file) : 0;
	}
	return ERR_WRONG_TYPE;
}

/* All or none, and the floors are on disk before a signature leaves this process. */
static int sign(struct proc *p, const Pb__SignerRequest *m, Pb__SignerReply *reply)
{
	ProtobufCBinaryData *list = arena_alloc(&p->arena, m->n_sign * sizeof(*reply->envelopes));
	int err = list == NULL ? ERR_NO_ROOM : 0;

	for (size_t i = 0; err == 0 && i < m->n_sign; i++)
		err = check_item(p, m->sign[i]);
	if (err == 0) {
		err = floors_save(p->floors);
		if (err != 0)
			(void)refuse(p, err, "floor file");
	}
	for (size_t i = 0; err == 0 && i < m->n_sign; i++) {
		struct bytes envelope;
		err = sign_item(p, m->sign[i], &envelope);
		if (err == 0)
			list[i] = wire_data(envelope.p, envelope.n);
	}
	if (err != 0) {
		floors_revert(p->floors);
		return err;
	}
	reply->envelopes = list;
	reply->n_envelopes = m->n_sign;
	return 0;
}

static int serve(struct proc *p, struct bytes request, Pb__SignerReply *reply)
{
	int err;
	const Pb__SignerRequest *m =
		wire_read(&pb__signer_request__descriptor, request, &wire_admin, &p->arena, &err);

	p->text[0] = '\0';
	if (m == NULL)
		return refuse(p, err, "request");
	if (m->admit != NULL)
		return admit(p, m->admit);
	if (m->floor != NULL) {
		reply->has_floor = 1;
		reply->floor = floors_get(p->floors, m->floor);
		return 0;
	}
	return sign(p, m, reply);
}

static int answer(struct proc *p, int fd, int code, Pb__SignerReply *reply)
{
	struct bytes message;

	reply->code = code;
	if (code != 0) {
		reply->text = p->text[0] != '\0' ? p->text : err_str(code);
		reply->n_envelopes = 0;
	}
	if (wire_pack(reply, &p->arena, &message) != 0)
		return ERR_NO_ROOM;
	return signer_write(fd, message);
}

int signer_proc_run(int fd, const struct signer_config *config)
{
	struct proc p = { 0 };
	struct buf request = { 0 };
	Pb__SignerReply ready = PB__SIGNER_REPLY__INIT;
	int code = start(&p, config);
	int err = answer(&p, fd, code, &ready);

	if (err == 0)
		err = code;
	while (err == 0) {
		Pb__SignerReply reply = PB__SIGNER_REPLY__INIT;
		p.arena.used = 0;
		err = signer_read(fd, &request);
		if (err == 0) {
			code = serve(&p, buf_bytes(&request), &reply);
			err = answer(&p, fd, code, &reply);
		}
	}
	/* The keys go with the process. */
	return err == -ECONNRESET ? 0 : 1;
}
