/* SPDX-License-Identifier: Apache-2.0 */
/* Roots in words: what one says, and what the next would change. */
#pragma once

#include "proto/trust.pb-c.h"
#include "server/ctl/term.h"

#define KEY_ID_SHOWN 16u /* hex digits: enough to tell keys apart by eye */

/* "root 2 of 'acme', profile team; expires in 364 days (2027-11-22)", without an end. */
void root_line(struct buf *out, const struct term *t, const Pb__Root *root, uint64_t now_s);
/* The keys by role with what each role takes, then who may order what and where. */
void root_keys(struct buf *out, const struct term *t, const Pb__Root *root);
/* What `next` changes, a line each; "nothing but its version" when that is so. */
void root_difference(
	struct buf *out, const struct term *t, const Pb__Root *now, const Pb__Root *next);
/* What keeps a root from being signed, a line each; how many there are. */
unsigned root_missing(struct buf *out, const Pb__Root *root);

/* "364 days", "5 hours", "expired 3 days ago". */
void put_left(struct buf *out, uint64_t expires_s, uint64_t now_s);
/* The key's name, or its id where it has none; by value. */
struct key_label {
	char name[40], id[KEY_ID_SHOWN + 1];
};
struct key_label key_label(const Pb__Key *key);
