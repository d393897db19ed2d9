/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What polls are answered from: made by control after each change, never changed, shared by all
 * workers by pointer.  A worker takes the newest at the top of its loop; control frees an older one
 * when every worker has taken a newer.
 */
#pragma once

#include "server/base/buf.h"
#include "server/core/offer.h"
#include "server/core/ring.h"
#include "server/service/stages.h"

/* A build that may come up in reports. */
struct image_build {
	uint64_t hash; /* device_build_hash() */
	uint8_t tag;
};

struct image_ring {
	struct buf full;  /* fields of PollReply: all metadata */
	struct buf fresh; /* the timestamp alone, for who has the rest */
	struct offer_rules rules;
	struct stage_live *live; /* of the open stage */
	struct stage_key stage;
	unsigned slot;
};

struct image_product {
	const char *name; /* the registry's */
	uint16_t number;
	size_t line;
	uint64_t snapshot_version;
	struct image_build *builds;
	size_t n_builds;
	struct image_ring ring[RING__COUNT];
};

struct image {
	uint64_t generation;
	size_t n;
	struct image_product product[]; /* by name */
};

struct image *image_new(size_t n_products);
void image_free(struct image *image);
const struct image_product *image_find(const struct image *image, const char *product);
const struct image_product *image_number(const struct image *image, uint16_t number);
/* 0: no build of this product that is known here. */
uint8_t image_tag(const struct image_product *p, uint64_t build_hash);
