/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that grows in place, page by page, and can be given back: what lies in it never moves.
 * Room for it is set aside in the address space alone.  Like mem.h: there is no memory left is the
 * end of the process.  One thread at a time may change it; any may use what is open.
 */
#pragma once

#include <stddef.h>

struct region {
	char *base;
	size_t reserved;
	size_t open;       /* bytes from `base` that may be used; new ones are 0 */
	size_t given_back; /* of these */
};

/* At most `most` bytes; none is open yet. */
void region_init(struct region *r, size_t most);
void region_release(struct region *r);
/* Opens the first `n` bytes, and what is left of the page; large ones in large pages. */
void region_reach(struct region *r, size_t n);
/* The whole pages of [from, to), which is all 0, go back; they may be used again. */
void region_give_back(struct region *r, size_t from, size_t to);
/* What it takes, at most. */
size_t region_bytes(const struct region *r);
