/* SPDX-License-Identifier: Apache-2.0 */
/* The keys, and the Roots that name them. */
#include "tests/lib/honest.h"

#include <assert.h>

#define DAY 86400u

void honest_must(int err)
{
	assert(err == 0);
}

void *honest_take(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	assert(p != NULL);
	memset(p, 0, n);
	return p;
}

void honest_drop_keys(struct honest_role *r)
{
	for (unsigned i = 0; i < r->n; i++)
		crypto_key_free(r->key[i]);
	r->n = 0;
}

/* As it stands in Root. */
static Pb__Key *describe(struct honest *s, const struct crypto_key *key)
{
	Pb__Key *k = honest_take(&s->kept, sizeof(*k));
	uint8_t *public = honest_take(&s->kept, PUBLIC_MAX);

	*k = (Pb__Key)PB__KEY__INIT;
	k->scheme = (uint32_t)crypto_key_scheme(key);
	k->public_key = wire_data(public, crypto_key_public(key, public));
	return k;
}

/* 2 of 3 for people, one for the online roles.  Both schemes are in use. */
static void make_keys(struct honest *s, struct honest_role *r, unsigned n)
{
	r->n = n;
	r->threshold = n > 1 ? 2 : 1;
	for (unsigned i = 0; i < n; i++) {
		honest_must(crypto_key_generate(i == 1 ? KEY_P256 : KEY_ED25519, &r->key[i]));
		honest_must(envelope_keyid(crypto_openssl(), describe(s, r->key[i]), r->keyid[i]));
	}
}

static Pb__Role *list_role(struct honest *s, const struct honest_role *r, Pb__Root *root)
{
	Pb__Role *role = honest_take(&s->kept, sizeof(*role));

	*role = (Pb__Role)PB__ROLE__INIT;
	role->threshold = r->threshold;
	role->keyids = honest_take(&s->kept, r->n * sizeof(*role->keyids));
	for (unsigned i = 0; i < r->n; i++) {
		uint8_t *id = honest_take(&s->kept, SHA256_LEN);
		memcpy(id, r->keyid[i], SHA256_LEN);
		root->keys[root->n_keys++] = describe(s, r->key[i]);
		role->keyids[role->n_keyids++] = wire_data(id, SHA256_LEN);
	}
	return role;
}

static void fill_root(struct honest *s, Pb__Root *root, Pb__LogPolicy *log)
{
	root->spec_version = 1;
	root->version = ++s->root_version;
	root->expires = s->now_s + s->root_for_s;
	root->repository = HONEST_REPOSITORY;
	root->profile = "team";
	root->keys = honest_take(&s->kept, (ENVELOPE__COUNT + 1) * HONEST_KEYS * sizeof(void *));
	root->root = list_role(s, &s->roles[ENVELOPE_ROOT], root);
	root->targets = list_role(s, &s->roles[ENVELOPE_TARGETS], root);
	root->approver = list_role(s, &s->roles[ENVELOPE_PLAN], root);
	root->director = list_role(s, &s->roles[ENVELOPE_DIRECTOR], root);
	root->snapshot = list_role(s, &s->roles[ENVELOPE_SNAPSHOT], root);
	root->timestamp = list_role(s, &s->roles[ENVELOPE_TIMESTAMP], root);
	log->origin = HONEST_ORIGIN;
	log->log_keyid = list_role(s, &s->log.key, root)->keyids[0];
	root->log = log;
}

static struct bytes add_signatures(
	struct bytes in, const struct honest_role *by, unsigned n, struct arena *a)
{
	for (unsigned i = 0; i < n && i < by->n; i++)
		honest_must(envelope_sign(in, by->key[i], by->keyid[i], a, &in));
	return in;
}

/* A grant and the time are of roles that sign other things, too. */
static enum envelope_type signer_of(enum envelope_type type)
{
	return type == ENVELOPE_GRANT   ? ENVELOPE_DIRECTOR
		: type == ENVELOPE_TIME ? ENVELOPE_TIMESTAMP
					: type;
}

struct bytes honest_sign(struct honest *s, enum envelope_type type, void *message, struct arena *a)
{
	const struct honest_role *by = &s->roles[signer_of(s->signed_as[type])];
	unsigned n = s->signatures[type] > 0 ? s->signatures[type] : by->threshold;
	struct bytes payload, out;

	if (s->edit != NULL)
		s->edit(s, type, message);
	honest_must(wire_pack(message, a, &payload));
	honest_must(envelope_wrap(s->typed_as[type], payload, a, &out));
	return add_signatures(out, by, n, a);
}

static const struct {
	enum envelope_type type;
	unsigned n;
} people[] = {
	{ ENVELOPE_ROOT, 3 },
	{ ENVELOPE_TARGETS, 3 },
	{ ENVELOPE_PLAN, 3 },
	{ ENVELOPE_DIRECTOR, 1 },
	{ ENVELOPE_SNAPSHOT, 1 },
	{ ENVELOPE_TIMESTAMP, 1 },
};
#define PEOPLE (sizeof(people) / sizeof(people[0]))

void honest_make_root(struct honest *s)
{
	Pb__Root root = PB__ROOT__INIT;
	Pb__LogPolicy log = PB__LOG_POLICY__INIT;

	for (size_t i = 0; i < PEOPLE; i++)
		make_keys(s, &s->roles[people[i].type], people[i].n);
	make_keys(s, &s->log.key, 1);
	fill_root(s, &root, &log);
	s->root = honest_sign(s, ENVELOPE_ROOT, &root, &s->kept);
	(void)honest_log(s, s->root);
}

void honest_rotate(struct honest *s, unsigned changed)
{
	Pb__Root root = PB__ROOT__INIT;
	Pb__LogPolicy log = PB__LOG_POLICY__INIT;
	struct honest_role before = s->roles[ENVELOPE_ROOT];
	struct bytes envelope;

	for (size_t i = 0; i < PEOPLE; i++) {
		if ((changed >> people[i].type & 1) == 0)
			continue;
		if (people[i].type != ENVELOPE_ROOT)
			honest_drop_keys(&s->roles[people[i].type]);
		make_keys(s, &s->roles[people[i].type], people[i].n);
	}
	if (changed & HONEST_LOG_KEY) {
		honest_drop_keys(&s->log.key);
		make_keys(s, &s->log.key, 1);
	}
	fill_root(s, &root, &log);
	envelope = honest_sign(s, ENVELOPE_ROOT, &root, &s->kept);
	envelope = add_signatures(envelope, &before, before.threshold, &s->kept);
	if (changed >> ENVELOPE_ROOT & 1)
		honest_drop_keys(&before);
	assert(s->root_version - 2 < HONEST_ROOTS);
	s->roots[s->root_version - 2] = envelope;
	(void)honest_log(s, envelope);
}
