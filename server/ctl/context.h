/* SPDX-License-Identifier: Apache-2.0 */
/* huiductl.yaml: which deployment, how to reach it, which keys are at hand. */
#pragma once

#include "server/base/yaml.h"
#include "server/trust/keys.h"

struct context_keys {
	char **path;
	size_t n;
};
struct context_roles {
	struct context_keys root, release, approver, tester, observer;
};

/* Paths are ready to be opened: those in the file are relative to its folder. */
struct context {
	char *file; /* NULL: not loaded */
	char *repository, *admin, *root;
	struct context_roles keys;
};

/*
 * The file of this run: `given`, else $HUIDU_CONTEXT, else huiductl.yaml here or in a
 * folder above.  Owned by the caller; NULL when there is none.
 */
char *context_find(const char *given);
/* ERR_CONFIG or -errno with the line for a person in `error`. */
WARN_UNUSED int context_load(const char *file, struct context *out, char error[YAML_ERROR_MAX]);
void context_release(struct context *c);
/* Of a role that people hold. */
const struct context_keys *context_keys(const struct context *c, enum key_role role);
