/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, what is signed with them, and the root that names them. */
#include "tests/attack/repo.h"

#include <assert.h>
#include <string.h>

const struct repo_key *repo_key(struct repo *r, unsigned number)
{
	struct repo_key *k = &r->keys[number];

	assert(number < REPO_KEYS);
	if (k->key != NULL)
		return k;
	repo_must(crypto_key_generate(number >= REPO_P256 ? KEY_P256 : KEY_ED25519, &k->key));
	k->pb = (Pb__Key)PB__KEY__INIT;
	k->pb.scheme = (uint32_t)crypto_key_scheme(k->key);
	k->pb.public_key = wire_data(k->public_key, crypto_key_public(k->key, k->public_key));
	k->pb.name = k->name;
	repo_must(envelope_keyid(crypto_openssl(), &k->pb, k->id));
	return k;
}

void repo_set_role(
	struct repo *r, enum envelope_type type, unsigned first, unsigned n, unsigned threshold)
{
	struct repo_role *role = &r->role[type];

	*role = (struct repo_role){ .n = n, .threshold = threshold, .n_signers = threshold };
	for (unsigned i = 0; i < n; i++)
		role->key[i] = role->signer[i] = first + i;
}

void repo_rotate(struct repo *r, enum envelope_type type)
{
	unsigned first = 0;

	for (unsigned i = 0; i < REPO_P256; i++)
		if (r->keys[i].key != NULL)
			first = i + 1;
	repo_set_role(r, type, first, r->role[type].n, r->role[type].threshold);
	for (unsigned i = 0; i < r->role[type].n; i++)
		(void)repo_key(r, first + i);
}

/* DSSE's pre-authentication encoding, written here once more on purpose. */
static struct bytes pae(struct arena *a, const char *type, struct bytes body)
{
	const char *head = repo_text(a, "DSSEv1 %zu %s %zu ", strlen(type), type, body.n);
	uint8_t *p = repo_take(a, strlen(head) + body.n);

	memcpy(p, head, strlen(head));
	memcpy(p + strlen(head), body.p, body.n);
	return bytes_of(p, strlen(head) + body.n);
}

static Pb__Signature *sign_with(struct arena *a, const struct repo_key *key, struct bytes text)
{
	Pb__Signature *s = repo_take(a, sizeof(*s));
	uint8_t *sig = repo_take(a, SIG_LEN);

	repo_must(crypto_key_sign(key->key, text, sig));
	*s = (Pb__Signature)PB__SIGNATURE__INIT;
	s->sig = wire_data(sig, SIG_LEN);
	s->keyid = wire_data(key->id, SHA256_LEN);
	return s;
}

/* A RingGrant is the director's word, a TimeStatement the timestamp key's. */
static enum envelope_type signs(enum envelope_type type)
{
	if (type == ENVELOPE_GRANT)
		return ENVELOPE_DIRECTOR;
	return type == ENVELOPE_TIME ? ENVELOPE_TIMESTAMP : type;
}

struct bytes repo_sign(struct repo *r, enum envelope_type type, void *message, struct arena *a)
{
	const struct repo_role *by = &r->role[signs(type)];
	Pb__Envelope e = PB__ENVELOPE__INIT;
	struct bytes payload, out;

	r->signing = type;
	if (r->edit[type] != NULL)
		r->edit[type](r, message);
	repo_must(wire_pack(message, a, &payload));
	e.payload = wire_data(payload.p, payload.n);
	e.payload_type = envelope_type_str(r->typed_as[type]);
	e.signatures = repo_take(a, 2 * REPO_ROLE * sizeof(*e.signatures)); /* room to forge */
	for (unsigned i = 0; i < by->n_signers; i++)
		e.signatures[e.n_signatures++] =
			sign_with(a, repo_key(r, by->signer[i]), pae(a, e.payload_type, payload));
	if (r->forge[type] != NULL)
		r->forge[type](r, &e);
	repo_must(wire_pack(&e, a, &out));
	return out;
}

#define COMMON(m)                                                                                  \
	(struct repo_common)                                                                       \
	{                                                                                          \
		&(m)->spec_version, &(m)->version, &(m)->expires, &(m)->repository, &(m)->product  \
	}

struct repo_common repo_common(const struct repo *r, void *message)
{
	if (r->signing == ENVELOPE_TIMESTAMP)
		return COMMON((Pb__Timestamp *)message);
	if (r->signing == ENVELOPE_SNAPSHOT)
		return COMMON((Pb__Snapshot *)message);
	if (r->signing == ENVELOPE_DIRECTOR)
		return COMMON((Pb__Director *)message);
	if (r->signing == ENVELOPE_PLAN)
		return COMMON((Pb__RolloutPlan *)message);
	assert(r->signing == ENVELOPE_TARGETS);
	return COMMON((Pb__Targets *)message);
}

/* ---- root ---- */

/* Each key once, though several roles may name it. */
static void add_key(struct repo *r, Pb__Root *root, unsigned number)
{
	const struct repo_key *key = repo_key(r, number);
	Pb__Key *copy;

	for (size_t i = 0; i < root->n_keys; i++)
		if (root->keys[i]->public_key.data == key->public_key)
			return;
	copy = repo_take(&r->kept, sizeof(*copy));
	*copy = key->pb;
	root->keys[root->n_keys++] = copy;
}

static Pb__Role *make_role(struct repo *r, Pb__Root *root, enum envelope_type type)
{
	const struct repo_role *from = &r->role[type];
	Pb__Role *role = repo_take(&r->kept, sizeof(*role));

	*role = (Pb__Role)PB__ROLE__INIT;
	role->threshold = from->threshold;
	role->keyids = repo_take(&r->kept, REPO_ROLE * sizeof(*role->keyids));
	for (unsigned i = 0; i < from->n; i++) {
		add_key(r, root, from->key[i]);
		role->keyids[role->n_keyids++] =
			wire_data(repo_key(r, from->key[i])->id, SHA256_LEN);
	}
	return role;
}

void repo_publish_root(struct repo *r)
{
	Pb__Root root = PB__ROOT__INIT;
	Pb__LogPolicy log = PB__LOG_POLICY__INIT;

	root.spec_version = 1;
	root.version = ++r->version[ENVELOPE_ROOT];
	root.expires = r->now_s + r->lives_s[ENVELOPE_ROOT];
	root.repository = REPO_NAME;
	root.profile = "team";
	root.keys = repo_take(&r->kept, REPO_KEYS * sizeof(*root.keys));
	root.root = make_role(r, &root, ENVELOPE_ROOT);
	root.timestamp = make_role(r, &root, ENVELOPE_TIMESTAMP);
	root.snapshot = make_role(r, &root, ENVELOPE_SNAPSHOT);
	root.targets = make_role(r, &root, ENVELOPE_TARGETS);
	root.approver = make_role(r, &root, ENVELOPE_PLAN);
	root.director = make_role(r, &root, ENVELOPE_DIRECTOR);
	add_key(r, &root, r->log_key);
	log.origin = REPO_LOG;
	log.log_keyid = wire_data(repo_key(r, r->log_key)->id, SHA256_LEN);
	root.log = &log;
	assert(r->n_roots < REPO_ROOTS);
	memcpy(r->roles_of[r->n_roots], r->role, sizeof(r->role));
	r->roots[r->n_roots++] = repo_sign(r, ENVELOPE_ROOT, &root, &r->kept);
	(void)repo_log(r, r->roots[r->n_roots - 1], r->now_s * 1000);
}
