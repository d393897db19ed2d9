/* SPDX-License-Identifier: Apache-2.0 */
/* A self-signed certificate to start with; devices take it as their CA file. */
#pragma once

#include <stddef.h>

#include "proto/err.h"

#define TLSCERT_DAYS 825u /* the longest that common clients accept */

/*
 * Writes a P-256 key (mode 0600) and a certificate (0644) for `names`, each a host name
 * or an IP address, the first of them also its subject.  -EEXIST when a file is there;
 * ERR_CRYPTO.
 */
WARN_UNUSED int tlscert_write(
	const char *cert_path, const char *key_path, const char *const *names, size_t n_names);
