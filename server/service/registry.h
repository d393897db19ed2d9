/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and products of the configuration, with their numbers in the store. */
#pragma once

#include "server/config/config.h"
#include "server/service/fleet.h"
#include "server/store/store.h"

struct product {
	char *name; /* its own, for the configuration may be replaced */
	uint16_t number;
	size_t line; /* index into registry.lines */
};

struct line {
	const struct config_line *config; /* of control's thread, and of the writer's jobs */
	uint16_t number;
	struct fleet_products products;
	/* Devices in each ring; kept by the writer, read by anybody. */
	_Atomic uint64_t devices[RING__COUNT];
	_Atomic uint64_t waiting;
	/* Seats given in the transaction under way, not in devices[] yet; the writer's own. */
	uint64_t granting[RING__COUNT];
};

struct registry {
	struct product *products; /* by name */
	size_t n_products;
	struct line *lines;
	size_t n_lines;
	/* By a product's number: some device of it has reported a crash, ever. */
	_Atomic bool crashes[FLEET_PRODUCTS];
};

/* Names new in the configuration get their numbers now.  `config` must outlive the registry, or
 * be replaced by registry_use(). */
WARN_UNUSED int registry_open(struct store *s, const struct config *config, struct registry *out);
/* Another configuration, with the same lines and products.  In a job of the writer. */
void registry_use(struct registry *r, const struct config *config);
void registry_release(struct registry *r);
/* Remembers, in the store, that a device of the product has reported a crash. */
void registry_crashed(struct store_txn *t, uint16_t product);

/* NULL when the configuration has none of this name, or number. */
const struct product *registry_product(const struct registry *r, const char *name);
const struct product *registry_number(const struct registry *r, uint16_t number);
struct line *registry_line(const struct registry *r, const char *name);
