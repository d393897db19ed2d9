/* SPDX-License-Identifier: Apache-2.0 */
/* Links to this server in answers to clients that take them as they are: with scheme and host. */
#pragma once

#include "server/base/buf.h"
#include "server/http/http.h"

/*
 * Appends "https://host", without a slash at the end: compat.url of the configuration, or the host as
 * the client names it.  ERR_MALFORMED: it names none.  Before http_defer.
 */
WARN_UNUSED int link_base(const struct http_call *call, struct buf *out);
