/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of builds, and links to this server in answers to clients that take them as they are: with
 * scheme and host.
 */
#pragma once

#include "proto/crypto.h"
#include "server/base/buf.h"
#include "server/config/url.h"
#include "server/http/http.h"

#define LINK_HOST_MAX 255u
#define LINK_BASE_MAX (URL_MAX + 1) /* with its NUL */

/*
 * "https://host", without a slash at the end: compat.url of the configuration, or the host as
 * the client names it.  ERR_MALFORMED: it names none.  Before http_defer.
 */
WARN_UNUSED int link_base(const struct http_call *call, char out[LINK_BASE_MAX]);
/* Appends the folder that a build's file is in, with a slash at the end: any name in it is the file's. */
void link_folder(struct buf *out, const char *base, const uint8_t sha256[SHA256_LEN]);

/* The files; never refused to shed load. */
#define LINK_ROUTES 1u
extern const struct http_route link_routes[LINK_ROUTES];
