/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phones' cryptography.  Thousands of phones in one process are served the same signed bytes:
 * each distinct signature is verified once, for real, and its result is remembered for all.
 */
#pragma once

#include <huidu/huidu.h>

struct fleet_crypto; /* what all phones share */
struct fleet_crypto *fleet_crypto_new(void);
void fleet_crypto_free(struct fleet_crypto *c);
/* How many verifications were asked for, and how many were computed. */
void fleet_crypto_counts(
	const struct fleet_crypto *c, unsigned long long *asked, unsigned long long *computed);

struct phone_crypto; /* one phone's: its key, its running hash */
struct phone_crypto *phone_crypto_new(struct fleet_crypto *shared);
void phone_crypto_free(struct phone_crypto *p);
/* The hooks, with `p` as their context. */
struct huidu_crypto phone_crypto_hooks(struct phone_crypto *p);
