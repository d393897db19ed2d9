/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "127.0.0.1:8080", "[::1]:8080" and paths to sockets, and back.  Names are not looked
 * up.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"

#define ADDRESS_TEXT 64

/* Room for a TCP peer; of a Unix peer only the family is kept. */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/*
 * A nonblocking TCP socket that listens at `text` ([::] is IPv4 too), one of several that share the
 * port.  The port must be free of other servers the first time (`first`); `*port`, if not 0, stands
 * for a port 0 in `text` and is set to the one used.  Returns the socket or -errno.
 */
WARN_UNUSED int address_listen(const char *text, bool first, in_port_t *port);
/* What connections take over from the socket they are accepted from. */
void address_tune(int fd);
/*
 * A nonblocking Unix socket that listens at `path`, for the owner alone (0600).  A
 * socket left there by a server that is gone is replaced; anything else there is
 * -EADDRINUSE.  Returns the socket or -errno.
 */
WARN_UNUSED int address_listen_path(const char *path);
/* As IPv6 has it, one of IPv4 as ::ffff:a.b.c.d; false for what is neither. */
bool address_v6(const struct sockaddr *a, uint8_t out[16]);
bool address_is_loopback(const struct sockaddr *a);
/* Closes a connection so that the peer knows at once and the kernel keeps nothing of it. */
void address_reset(int fd);
/*
 * The network of a peer, /24 of IPv4 or /56 of IPv6, and how many bytes that is; 0 for what is
 * neither.
 */
#define ADDRESS_NETWORK 8u
size_t address_network(const struct sockaddr *a, uint8_t out[ADDRESS_NETWORK]);
/* "192.0.2.1:4711"; returns `out`. */
const char *address_str(const struct sockaddr *a, char out[ADDRESS_TEXT]);
