/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of trust and how one follows another (TUF 1.0.34, 5.3): the same checks on the server,
 * the CLI and the phone.
 */
#pragma once

#include "proto/crypto.h"
#include "proto/envelope.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"

#define ROOT_MAX      16384u /* bytes of the Envelope */
#define ROOT_KEYS_MAX 64u

/*
 * 0 when roles and keys make sense: thresholds that can be met, every key of a role known, no key in
 * two roles or twice, admins' keys known.  ERR_BAD_ROOT otherwise, or ERR_CRYPTO.
 */
WARN_UNUSED int root_check(const struct crypto *c, const Pb__Root *root);

/*
 * The Root in `envelope`, checked and signed by its own root role.  Whether it has expired is for the
 * caller to judge.  NULL with *err set.
 */
WARN_UNUSED const Pb__Root *root_open(
	const struct crypto *c, struct bytes envelope, struct arena *a, int *err);

/*
 * The same for the one that follows `now`: its version is the next, its repository the same, and
 * now's root role signed it too.  ERR_ROOT_VERSION, ERR_WRONG_REPOSITORY, ERR_BELOW_THRESHOLD, ...
 */
WARN_UNUSED const Pb__Root *root_next(const struct crypto *c, const Pb__Root *now,
	struct bytes envelope, struct arena *a, int *err);

/* The key with this id; NULL when the root has none. */
const Pb__Key *root_key(const struct crypto *c, const Pb__Root *root, struct bytes keyid);
/* True when both list the same keys: what the old one's signed stays good. */
bool root_same_keys(const Pb__Role *a, const Pb__Role *b);
