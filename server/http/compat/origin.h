/* SPDX-License-Identifier: Apache-2.0 */
/* How devices reach this server: clients of other servers take links as they are, with scheme and host. */
#pragma once

#include "server/base/buf.h"
#include "server/http/http.h"

#define ORIGIN_HOST_MAX 255u

/*
 * Appends "https://updates.example.com", as `compat: url:` or the request's Host says.  ERR_MALFORMED:
 * that is no host.
 */
WARN_UNUSED int origin_write(struct http_call *call, struct buf *out);
