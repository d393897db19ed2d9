/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of the PROXY protocol, version 2: a proxy's first bytes, which say who connected to it.
 * Pure.  https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, section 2.2.
 */
#pragma once

#include <sys/types.h>

#include "proto/bytes.h"
#include "server/http/address.h"

/* The longest header taken: addresses, and 304 bytes and more of what else a proxy may tell. */
#define PROXY_MAX 536u

enum proxy_said {
	PROXY_ADDRESS, /* the client's */
	PROXY_NOTHING, /* the proxy asks for itself, or cannot tell */
};

/*
 * How many bytes of `in` the header is; 0 when it is not whole yet; ERR_MALFORMED.  `peer` becomes
 * the client's address with PROXY_ADDRESS, and stays what it is otherwise.
 */
WARN_UNUSED ssize_t proxy_read(struct bytes in, union address *peer, enum proxy_said *said);
