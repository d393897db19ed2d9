/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root in the making: the first one of a deployment, or the next.  It may make no sense until
 * root_check() says so; nobody has signed it.
 */
#pragma once

#include "server/trust/keys.h"

/* A Root that may be changed; all of it lives in the arena. */
struct draft {
	struct arena a;
	Pb__Root *root;
};

/* What the holder of a new key may do it to: NULL, or none in a list, is everything. */
struct draft_scope {
	const char *const *products;
	size_t n_products;
	const uint32_t *rings;
	size_t n_rings;
};

/* Without keys, version 1; `repository` and `profile` are borrowed.  ERR_NO_ROOM. */
WARN_UNUSED int draft_new(struct draft *d, const char *repository, const char *profile);
/*
 * A copy of `from`.  Where it leaves unsaid who may order what, the copy says it: members of
 * `targets` are release engineers and tester managers, those of `approver` approvers.
 */
WARN_UNUSED int draft_copy(struct draft *d, const Pb__Root *from);
void draft_release(struct draft *d);

/*
 * Gives a key a role, and the right to order what goes with it.  Copies `key`.  ERR_EXISTS when it
 * has the role, or signs for another one already; ERR_NO_ROOM; ERR_BAD_KEY.
 */
WARN_UNUSED int draft_add(
	struct draft *d, enum key_role role, const Pb__Key *key, const struct draft_scope *scope);
/* Takes it away, and the key out of the root once it has no role.  False: it had not. */
bool draft_drop(struct draft *d, enum key_role role, const uint8_t id[SHA256_LEN]);
/* The same with all keys of the role. */
void draft_clear(struct draft *d, enum key_role role);

/* The envelope around it, without signatures.  ERR_NO_ROOM. */
WARN_UNUSED int draft_wrap(const struct draft *d, struct arena *a, struct bytes *out);
