/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants of other servers' protocols: which product a path is of, and which tokens open it.  Read at
 * the start and by a reload, then for any thread.
 */
#pragma once

#include "proto/bytes.h"
#include "server/config/config.h"

struct tenants;

struct tenant {
	const struct config_tenant *config; /* with the tenants */
	struct door *gateway;               /* NULL: it takes no gateway token */
};

/*
 * Reads the files of tokens; `config` must outlive them.  `error` (at least 256 bytes) gets the line
 * for a person.
 */
WARN_UNUSED int tenants_new(const struct config_compat *config, struct tenants **out, char *error);
void tenants_free(struct tenants *t);

/* Of config's names; capitals and small letters are the same.  NULL when there is none. */
const struct tenant *tenants_find(
	const struct tenants *t, enum foreign_protocol protocol, struct bytes name);
/* The one whose file has this gateway token; takes as long whichever it is, or is nearly. */
const struct tenant *tenants_opened(
	const struct tenants *t, enum foreign_protocol protocol, struct bytes token);
/* In the file's order; NULL behind the last. */
const struct tenant *tenants_at(const struct tenants *t, enum foreign_protocol protocol, size_t i);
/* Takes as long whichever token it is, or is nearly. */
bool tenant_has_gateway(const struct tenant *t, struct bytes token);
