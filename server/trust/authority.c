/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/authority.h"

#include <assert.h>

#define OBSERVER (1u << PB__ADMIN_KIND__ADMIN_OBSERVER)
#define TESTER   (1u << PB__ADMIN_KIND__ADMIN_TESTER_MANAGER)
#define RELEASE  (1u << PB__ADMIN_KIND__ADMIN_RELEASE_ENGINEER)
#define APPROVER (1u << PB__ADMIN_KIND__ADMIN_APPROVER)

/* Which kinds of people may. */
static const unsigned kinds[AUTHORITY__COUNT] = {
	[AUTHORITY_READ] = OBSERVER | TESTER | RELEASE | APPROVER,
	[AUTHORITY_PUBLISH] = RELEASE,
	[AUTHORITY_PROPOSE] = RELEASE,
	[AUTHORITY_APPROVE] = APPROVER,
	[AUTHORITY_START] = RELEASE | APPROVER,
	[AUTHORITY_STOP] = TESTER | RELEASE | APPROVER,
	[AUTHORITY_SEAT] = TESTER,
	[AUTHORITY_WITHDRAW] = TESTER | RELEASE | APPROVER,
	[AUTHORITY_CONFIRM] = RELEASE | APPROVER,
	[AUTHORITY_IMPORT] = TESTER | RELEASE | APPROVER,
};

static bool is_for_product(const Pb__AdminRole *a, const char *product)
{
	bool found = product == NULL || a->n_products == 0;

	for (size_t i = 0; !found && i < a->n_products; i++)
		found = strcmp(a->products[i], product) == 0;
	return found;
}

#define ANY_RING (-1)

static bool is_for_ring(const Pb__AdminRole *a, int ring)
{
	bool found = ring == ANY_RING || a->n_rings == 0;

	for (size_t i = 0; !found && i < a->n_rings; i++)
		found = a->rings[i] == (uint32_t)ring;
	return found;
}

/* What an older root grants, by its roles. */
static bool old_grants(const Pb__Root *root, struct bytes keyid, unsigned kind)
{
	const Pb__Role *t = root->targets, *a = root->approver;

	return ((kind & (RELEASE | TESTER)) != 0 &&
		       envelope_lists(t->keyids, t->n_keyids, keyid)) ||
		((kind & APPROVER) != 0 && envelope_lists(a->keyids, a->n_keyids, keyid));
}

/* One AdminRole alone must grant all three: the kind, the product (NULL: any) and the ring. */
static bool grants(
	const Pb__Root *root, struct bytes keyid, unsigned kind, const char *product, int ring)
{
	if (root->n_admins == 0)
		return old_grants(root, keyid, kind);
	for (size_t i = 0; i < root->n_admins; i++) {
		const Pb__AdminRole *a = root->admins[i];
		if ((kind & 1u << a->kind) != 0 && envelope_lists(a->keyids, a->n_keyids, keyid) &&
			is_for_product(a, product) && is_for_ring(a, ring))
			return true;
	}
	return false;
}

/* Who may stop one ring of a rollout stops all of it: stopping must not wait for anybody. */
static bool grants_rings(const Pb__Root *root, struct bytes keyid, const struct authority_ask *ask,
	const char *product)
{
	unsigned kind = kinds[ask->op], granted = 0;

	if (ask->rings == 0)
		return grants(root, keyid, kind, product, ANY_RING);
	for (int ring = 0; ring < 32; ring++)
		if ((ask->rings >> ring & 1) != 0 && grants(root, keyid, kind, product, ring))
			granted |= 1u << ring;
	return ask->op == AUTHORITY_STOP ? granted != 0 : granted == ask->rings;
}

static bool may(const Pb__Root *root, struct bytes keyid, const struct authority_ask *ask)
{
	if (ask->n_products == 0)
		return grants_rings(root, keyid, ask, NULL);
	for (size_t i = 0; i < ask->n_products; i++)
		if (!grants_rings(root, keyid, ask, ask->products[i]))
			return false;
	return true;
}

int authority_of(const struct crypto *c, const Pb__Root *root, const struct authority_ask *ask,
	const struct signers *who, struct signers *out)
{
	struct signers found = { 0 };

	assert((unsigned)ask->op < AUTHORITY__COUNT);
	for (unsigned i = 0; i < who->n; i++) {
		uint8_t id[SHA256_LEN];
		int err = envelope_keyid(c, root->keys[who->key[i]], id);
		if (err != 0)
			return err;
		if (may(root, bytes_of(id, SHA256_LEN), ask))
			found.key[found.n++] = who->key[i];
	}
	*out = found;
	return 0;
}

const char *authority_name(const Pb__Root *root, unsigned key)
{
	const char *name = root->keys[key]->name;

	return name != NULL && name[0] != '\0' ? name : "?";
}

bool authority_names(const Pb__Root *root, const struct signers *who, const char *name)
{
	for (unsigned i = 0; i < who->n; i++)
		if (strcmp(authority_name(root, who->key[i]), name) == 0)
			return true;
	return false;
}

unsigned authority_persons(const Pb__Root *root, const struct signers *who)
{
	struct signers before = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < who->n; i++) {
		n += !authority_names(root, &before, authority_name(root, who->key[i]));
		before.key[before.n++] = who->key[i];
	}
	return n;
}

unsigned authority_needed(const Pb__Root *root, const struct authority_ask *ask)
{
	bool core = (ask->rings & 1) != 0;

	return ask->op == AUTHORITY_SEAT && core && strcmp(root->profile, "solo") != 0 ? 2 : 1;
}

/* An old id has a vote, as a seat in core has: who vouches for one may give the other. */
struct authority_ask authority_import(const Pb__Import *m)
{
	unsigned rings = ((m->core > 0 || m->dates) ? 1u << PB__RING__RING_CORE : 0) |
		(m->honour > 0 ? 1u << PB__RING__RING_HONOUR : 0) |
		(m->dev > 0 ? 1u << PB__RING__RING_DEV : 0);

	return (struct authority_ask){
		.op = rings != 0 ? AUTHORITY_SEAT : AUTHORITY_IMPORT,
		.products = (const char *const *)m->products,
		.n_products = m->n_products,
		.rings = rings,
	};
}

/* ---- everybody ---- */

struct list {
	ProtobufCBinaryData *room;
	size_t max, n;
};

static int add_all(struct list *l, const ProtobufCBinaryData *keyids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (envelope_lists(l->room, l->n, wire_bytes(keyids[i])))
			continue;
		if (l->n == l->max)
			return ERR_NO_ROOM;
		l->room[l->n++] = keyids[i];
	}
	return 0;
}

int authority_people(const Pb__Root *root, ProtobufCBinaryData *room, size_t max, Pb__Role *out)
{
	struct list l = { .room = room, .max = max };
	int err = 0;

	for (size_t i = 0; err == 0 && i < root->n_admins; i++)
		err = add_all(&l, root->admins[i]->keyids, root->admins[i]->n_keyids);
	if (err == 0 && root->n_admins == 0)
		err = add_all(&l, root->targets->keyids, root->targets->n_keyids);
	if (err == 0 && root->n_admins == 0)
		err = add_all(&l, root->approver->keyids, root->approver->n_keyids);
	*out = (Pb__Role)PB__ROLE__INIT;
	out->threshold = 1;
	out->keyids = l.room;
	out->n_keyids = l.n;
	return err;
}
