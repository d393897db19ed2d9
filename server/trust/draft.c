/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/draft.h"

#include "proto/root.h"
#include "server/base/mem.h"

#define ARENA_BYTES (1024u * 1024u) /* a root is 16 KiB; lists that grow are made anew */

static bool is(ProtobufCBinaryData keyid, const uint8_t id[SHA256_LEN])
{
	return bytes_eq(wire_bytes(keyid), bytes_of(id, SHA256_LEN));
}

/* Room for one element more at the end of a list; NULL when the arena is full. */
static void *grow(struct draft *d, const void *list, size_t n, size_t size)
{
	uint8_t *out = arena_alloc(&d->a, (n + 1) * size);

	if (out != NULL && n > 0)
		memcpy(out, list, n * size);
	return out;
}

static const char *copy_str(struct draft *d, const char *s)
{
	char *out = arena_alloc(&d->a, strlen(s) + 1);

	return out == NULL ? NULL : memcpy(out, s, strlen(s) + 1);
}

/* ---- lists of key ids ---- */

static int list_add(struct draft *d, ProtobufCBinaryData **list, size_t *n, const uint8_t *id)
{
	ProtobufCBinaryData *grown = grow(d, *list, *n, sizeof(**list));
	uint8_t *copy = arena_alloc(&d->a, SHA256_LEN);

	if (grown == NULL || copy == NULL)
		return ERR_NO_ROOM;
	memcpy(copy, id, SHA256_LEN);
	grown[(*n)++] = wire_data(copy, SHA256_LEN);
	*list = grown;
	return 0;
}

static bool list_drop(ProtobufCBinaryData *list, size_t *n, const uint8_t *id)
{
	for (size_t i = 0; i < *n; i++)
		if (is(list[i], id)) {
			memmove(list + i, list + i + 1, (*n - i - 1) * sizeof(*list));
			--*n;
			return true;
		}
	return false;
}

/* ---- who may order what ---- */

static bool same_scope(const Pb__AdminRole *r, const struct draft_scope *s)
{
	if (r->n_products != s->n_products || r->n_rings != s->n_rings)
		return false;
	for (size_t i = 0; i < s->n_products; i++)
		if (strcmp(r->products[i], s->products[i]) != 0)
			return false;
	for (size_t i = 0; i < s->n_rings; i++)
		if (r->rings[i] != s->rings[i])
			return false;
	return true;
}

static Pb__AdminRole *new_admin(
	struct draft *d, Pb__AdminKind kind, const struct draft_scope *scope)
{
	Pb__AdminRole *r = arena_alloc(&d->a, sizeof(*r));
	Pb__AdminRole **list = grow(d, d->root->admins, d->root->n_admins, sizeof(*list));
	const char **products = arena_alloc(&d->a, (scope->n_products + 1) * sizeof(*products));
	uint32_t *rings = arena_alloc(&d->a, (scope->n_rings + 1) * sizeof(*rings));

	if (r == NULL || list == NULL || products == NULL || rings == NULL)
		return NULL;
	*r = (Pb__AdminRole)PB__ADMIN_ROLE__INIT;
	r->kind = kind;
	for (size_t i = 0; i < scope->n_products; i++) {
		products[i] = copy_str(d, scope->products[i]);
		if (products[i] == NULL)
			return NULL;
	}
	if (scope->n_rings > 0)
		memcpy(rings, scope->rings, scope->n_rings * sizeof(*rings));
	r->products = products;
	r->n_products = scope->n_products;
	r->rings = rings;
	r->n_rings = scope->n_rings;
	list[d->root->n_admins++] = r;
	d->root->admins = list;
	return r;
}

static int add_admin(
	struct draft *d, Pb__AdminKind kind, const uint8_t *id, const struct draft_scope *scope)
{
	Pb__AdminRole *r = NULL;

	for (size_t i = 0; r == NULL && i < d->root->n_admins; i++)
		if (d->root->admins[i]->kind == kind && same_scope(d->root->admins[i], scope))
			r = d->root->admins[i];
	if (r == NULL)
		r = new_admin(d, kind, scope);
	if (r == NULL)
		return ERR_NO_ROOM;
	return envelope_lists(r->keyids, r->n_keyids, bytes_of(id, SHA256_LEN))
		? 0
		: list_add(d, &r->keyids, &r->n_keyids, id);
}

static bool drop_admin(struct draft *d, Pb__AdminKind kind, const uint8_t *id)
{
	size_t kept = 0;
	bool had = false;

	for (size_t i = 0; i < d->root->n_admins; i++) {
		Pb__AdminRole *r = d->root->admins[i];
		if (r->kind == kind)
			had |= list_drop(r->keyids, &r->n_keyids, id);
		if (r->n_keyids > 0)
			d->root->admins[kept++] = r;
	}
	d->root->n_admins = kept;
	return had;
}

/* What a role's keys may order: release keys give seats too. */
static int add_rights(
	struct draft *d, enum key_role role, const uint8_t *id, const struct draft_scope *scope)
{
	Pb__AdminKind kind;
	int err = 0;

	if (key_role_kind(role, &kind))
		err = add_admin(d, kind, id, scope);
	if (err == 0 && role == KEY_RELEASE)
		err = add_admin(d, PB__ADMIN_KIND__ADMIN_TESTER_MANAGER, id, scope);
	return err;
}

/* ---- roots ---- */

static Pb__Role **role_at(Pb__Root *root, enum key_role role)
{
	Pb__Role **const at[KEY_ROLE__COUNT] = {
		[KEY_ROOT] = &root->root,
		[KEY_RELEASE] = &root->targets,
		[KEY_APPROVER] = &root->approver,
		[KEY_DIRECTOR] = &root->director,
		[KEY_SNAPSHOT] = &root->snapshot,
		[KEY_TIMESTAMP] = &root->timestamp,
	};

	return at[role];
}

int draft_new(struct draft *d, const char *repository, const char *profile)
{
	Pb__Root *root;

	d->a = (struct arena){ mem_alloc(ARENA_BYTES), ARENA_BYTES, 0 };
	d->root = root = arena_alloc(&d->a, sizeof(*root));
	if (root == NULL)
		return ERR_NO_ROOM;
	*root = (Pb__Root)PB__ROOT__INIT;
	root->spec_version = 1;
	root->version = 1;
	root->repository = repository;
	root->profile = profile;
	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++) {
		Pb__Role **at = role_at(root, (enum key_role)r);
		if (at == NULL)
			continue;
		*at = arena_alloc(&d->a, sizeof(**at));
		if (*at == NULL)
			return ERR_NO_ROOM;
		**at = (Pb__Role)PB__ROLE__INIT;
		(*at)->threshold = 1;
	}
	return 0;
}

/* What an older root means by having no `admins`. */
static int say_admins(struct draft *d)
{
	static const struct draft_scope all = { 0 };
	int err = 0;

	for (unsigned r = KEY_RELEASE; r <= KEY_APPROVER; r++) {
		const Pb__Role *role = key_role_of(d->root, (enum key_role)r);
		for (size_t i = 0; err == 0 && i < role->n_keyids; i++)
			err = add_rights(d, (enum key_role)r, role->keyids[i].data, &all);
	}
	return err;
}

int draft_copy(struct draft *d, const Pb__Root *from)
{
	struct bytes wire;
	int err;

	d->a = (struct arena){ mem_alloc(ARENA_BYTES), ARENA_BYTES, 0 };
	d->root = NULL;
	err = wire_pack(from, &d->a, &wire);
	if (err == 0)
		d->root = wire_read(&pb__root__descriptor, wire, &wire_signed, &d->a, &err);
	if (err == 0 && d->root->n_admins == 0)
		err = say_admins(d);
	return err;
}

void draft_release(struct draft *d)
{
	free(d->a.base);
	*d = (struct draft){ 0 };
}

/* ---- keys ---- */

/* Signs metadata or the log: in one role only. */
static bool signs(const struct draft *d, const uint8_t id[SHA256_LEN])
{
	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++) {
		const Pb__Role *role = key_role_of(d->root, (enum key_role)r);
		if (role != NULL &&
			envelope_lists(role->keyids, role->n_keyids, bytes_of(id, SHA256_LEN)))
			return true;
	}
	return d->root->log != NULL && is(d->root->log->log_keyid, id);
}

static bool orders(const struct draft *d, const uint8_t id[SHA256_LEN], const Pb__AdminKind *kind)
{
	for (size_t i = 0; i < d->root->n_admins; i++) {
		const Pb__AdminRole *r = d->root->admins[i];
		if ((kind == NULL || r->kind == *kind) &&
			envelope_lists(r->keyids, r->n_keyids, bytes_of(id, SHA256_LEN)))
			return true;
	}
	return false;
}

static int add_key(struct draft *d, const Pb__Key *key, const uint8_t id[SHA256_LEN])
{
	Pb__Key **list = grow(d, d->root->keys, d->root->n_keys, sizeof(*list));
	struct bytes wire;
	int err;

	if (root_key(crypto_openssl(), d->root, bytes_of(id, SHA256_LEN)) != NULL)
		return 0;
	err = list == NULL ? ERR_NO_ROOM : wire_pack(key, &d->a, &wire);
	if (err != 0)
		return err;
	list[d->root->n_keys] = wire_read(&pb__key__descriptor, wire, &wire_signed, &d->a, &err);
	if (list[d->root->n_keys] == NULL)
		return err;
	d->root->keys = list;
	d->root->n_keys++;
	return 0;
}

static int set_log(struct draft *d, const uint8_t id[SHA256_LEN])
{
	uint8_t *copy = arena_alloc(&d->a, SHA256_LEN);

	if (d->root->log == NULL) {
		d->root->log = arena_alloc(&d->a, sizeof(*d->root->log));
		if (d->root->log != NULL)
			*d->root->log = (Pb__LogPolicy)PB__LOG_POLICY__INIT;
	}
	if (copy == NULL || d->root->log == NULL)
		return ERR_NO_ROOM;
	memcpy(copy, id, SHA256_LEN);
	d->root->log->origin = d->root->repository;
	d->root->log->log_keyid = wire_data(copy, SHA256_LEN);
	return 0;
}

int draft_add(
	struct draft *d, enum key_role role, const Pb__Key *key, const struct draft_scope *scope)
{
	static const struct draft_scope all = { 0 };
	Pb__Role **at = role_at(d->root, role);
	uint8_t id[SHA256_LEN];
	Pb__AdminKind kind;
	int err = envelope_keyid(crypto_openssl(), key, id);

	if (err != 0)
		return err;
	if (at != NULL || role == KEY_LOG ? signs(d, id)
					  : key_role_kind(role, &kind) && orders(d, id, &kind))
		return ERR_EXISTS;
	if (role == KEY_LOG && d->root->log != NULL && d->root->log->log_keyid.len > 0)
		return ERR_EXISTS;
	err = add_key(d, key, id);
	if (err == 0 && at != NULL)
		err = list_add(d, &(*at)->keyids, &(*at)->n_keyids, id);
	if (err == 0 && role == KEY_LOG)
		err = set_log(d, id);
	return err != 0 ? err : add_rights(d, role, id, scope != NULL ? scope : &all);
}

/* A key without a role leaves the root. */
static void prune(struct draft *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->root->n_keys; i++) {
		uint8_t id[SHA256_LEN];
		if (envelope_keyid(crypto_openssl(), d->root->keys[i], id) != 0 || signs(d, id) ||
			orders(d, id, NULL))
			d->root->keys[kept++] = d->root->keys[i];
	}
	d->root->n_keys = kept;
}

bool draft_drop(struct draft *d, enum key_role role, const uint8_t id[SHA256_LEN])
{
	Pb__Role **at = role_at(d->root, role);
	Pb__AdminKind kind;
	bool had = false;

	if (at != NULL)
		had = list_drop((*at)->keyids, &(*at)->n_keyids, id);
	if (role == KEY_LOG && d->root->log != NULL && is(d->root->log->log_keyid, id)) {
		d->root->log->log_keyid = wire_data(NULL, 0);
		had = true;
	}
	if (key_role_kind(role, &kind) && drop_admin(d, kind, id))
		had = true;
	if (had && role == KEY_RELEASE)
		(void)drop_admin(d, PB__ADMIN_KIND__ADMIN_TESTER_MANAGER, id); /* may be gone */
	prune(d);
	return had;
}

void draft_clear(struct draft *d, enum key_role role)
{
	for (size_t i = d->root->n_keys; i-- > 0;) {
		uint8_t id[SHA256_LEN];
		if (i < d->root->n_keys &&
			envelope_keyid(crypto_openssl(), d->root->keys[i], id) == 0)
			(void)draft_drop(d, role, id); /* those of other roles stay */
	}
}

int draft_wrap(const struct draft *d, struct arena *a, struct bytes *out)
{
	struct bytes payload;
	int err = wire_pack(d->root, a, &payload);

	return err != 0 ? err : envelope_wrap(ENVELOPE_ROOT, payload, a, out);
}
