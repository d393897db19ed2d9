/* SPDX-License-Identifier: Apache-2.0 */
/* Whose signatures a command gets: the keys named on the command line, or the
 * context's. */
#pragma once

#include "server/base/mem.h"
#include "server/ctl/ctl.h"

struct hand {
	struct held_key key[ENVELOPE_SIGNATURES_MAX];
	size_t n;
};

/* Roles as bits; the context's keys of a lower one are taken first. */
#define HAND(role)  (1u << KEY_##role)
#define HAND_PEOPLE (HAND(RELEASE) | HAND(APPROVER) | HAND(TESTER))

/*
 * Every --key, or without one up to `want` keys of the context; each has one of `roles`.  Keys of
 * the context whose file is not on this machine are passed over.  The root is loaded on the way, and
 * a newer one of the server looked for when a key is not in it.  At least one key, or an exit code.
 */
WARN_UNUSED int hand_take(struct ctl *c, unsigned roles, size_t want, struct hand *out);
void hand_release(struct hand *h);

/* `envelope` with a signature by each key, in the arena. */
WARN_UNUSED int hand_sign(
	const struct hand *h, struct bytes envelope, struct arena *a, struct bytes *out);

/* "alice, bob": the names of those keys of a root. */
void put_signers(struct buf *out, const Pb__Root *root, const struct signers *who);

static inline struct arena arena_new(size_t n)
{
	return (struct arena){ mem_alloc(n), n, 0 };
}
