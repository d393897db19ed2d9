/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a new deployment: everything the server and its people start with. */
#pragma once

#include "server/ctl/args.h"
#include "server/trust/ceremony.h"

struct deployment {
	const char *folder;
	const char *repository, *line, *listen;
	const char *const *products;
	size_t n_products;
	const struct profile *profile;
	const char *const *persons;
	uint64_t now_s;
	bool demo; /* keys to try it out, and a configuration that takes them */
};

/*
 * All of it or nothing, and nothing that was there is touched.  -EEXIST when one of its
 * files is there; `about` (if not NULL) then, and after any other error, gets the path,
 * owned by the caller.
 */
WARN_UNUSED int deployment_make(const struct deployment *d, char **about);

/* huidud.yaml and huiductl.yaml. */
void deployment_server_yaml(struct buf *out, const struct deployment *d);
void deployment_context_yaml(struct buf *out, const struct deployment *d);

/* "HOST:PORT", "[::1]:8443": the host without brackets into `host`, which holds `size`.
 */
bool deployment_host(const char *listen, char *host, size_t size);
