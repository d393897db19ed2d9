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
#include "server/service/door.h"
#include "server/service/doorman.h"
#include "server/service/stages.h"
#include "server/service/tenant.h"
#include "server/trust/logtree.h"

/* A build that may come up in reports. */
struct image_build {
	uint64_t hash; /* device_build_hash() */
	uint8_t tag;
	const char *name; /* its id; outlives the image */
	uint64_t counter; /* release counter */
	bool stopped;     /* halted, or below the product's floor: not to be installed any more */
	bool has_file;    /* false of builds from the factory */
	uint8_t sha256[SHA256_LEN];
	uint64_t length;
	uint64_t published_ms;
};

struct image_ring {
	struct buf full;  /* fields of PollReply: all metadata */
	struct buf fresh; /* the timestamp alone, for who has the rest */
	struct offer_rules rules;
	uint64_t
		expires_s[OFFERS_MAX]; /* of the rules' offers: phones take none that has expired */
	struct stage_live *live;       /* of the open stage */
	struct stage_key stage;
	unsigned slot;
};

struct image_product {
	const char *name; /* the registry's */
	uint16_t number;
	size_t line;
	uint64_t snapshot_version;
	uint64_t floor; /* counter of the build below which none should be; 0: none */
	struct image_build *builds;
	size_t n_builds;
	struct image_ring ring[RING__COUNT];
};

/* The log as the newest checkpoint has it. */
struct image_log {
	const struct logtree *tree; /* control's; outlives the image */
	uint64_t size;
	struct buf checkpoint; /* the note; empty: none was signed yet */
};

/* Roots one after the other, each as field 13 of PollReply. */
struct image_roots {
	struct buf fields;
	size_t *end; /* of each, in `fields` */
	size_t n;
	uint64_t first; /* version of the first; each following is one more */
};

/* What workers need of the configuration. */
struct image_settings {
	uint64_t interval_ms; /* of polls */
	uint32_t jitter_ppm;
	const struct door *door;
	struct doorman *doorman; /* NULL unless the door asks one */
	const char *cdn;         /* the configuration's; "" for none */
	const struct config_compat *compat;
	const struct tenants *tenants;
};

struct image {
	uint64_t generation;
	struct image_settings settings;
	struct image_log log;
	struct image_roots roots;
	size_t n;
	struct image_product product[]; /* by name */
};

struct image *image_new(size_t n_products);
void image_free(struct image *image);
const struct image_product *image_find(const struct image *image, const char *product);
const struct image_product *image_number(const struct image *image, uint16_t number);
/* The next of them, at most IMAGE_ROOTS, for who has this version. */
#define IMAGE_ROOTS 8u
struct bytes image_roots_after(const struct image *image, uint64_t version);
void image_add_root(struct image *image, uint64_t version, struct bytes envelope);
/* Adds a field of PollReply that holds bytes. */
void image_put_field(struct buf *b, uint32_t id, struct bytes value);
/* NULL: no build of this product that is known here. */
const struct image_build *image_build(const struct image_product *p, uint64_t build_hash);
/* The one with this release counter that was published; NULL when there is none. */
const struct image_build *image_counted(const struct image_product *p, uint64_t counter);
/* 0: no build of this product that is known here. */
uint8_t image_tag(const struct image_product *p, uint64_t build_hash);
