/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deployment that lies on this machine: huidud's configuration, and its store opened for reading,
 * beside a running server or without one.
 */
#pragma once

#include "server/config/config.h"
#include "server/ctl/ctl.h"
#include "server/store/device.h"

struct deployed {
	struct config config;
	struct store *store;
	/* By number in the store; NULL: none. */
	char **products;
	size_t n_products;
	/* By hash, rising: builds that were published, and those of the factory. */
	struct deployed_build {
		uint64_t hash;
		char *name;
	} * builds;
	size_t n_builds;
};

/* Both can be read here: who asks for less than them need not complain. */
bool deployed_is_here(struct ctl *c);
/* --config, or the huidud.yaml beside the context's file.  An exit code, spoken. */
WARN_UNUSED int deployed_open(struct ctl *c, struct deployed *out);
void deployed_close(struct deployed *d);

/* "?" when the store knows none of this number. */
const char *deployed_product(const struct deployed *d, uint16_t number);
/* NULL: nobody here knows what it is called. */
const char *deployed_build(const struct deployed *d, uint64_t hash);
