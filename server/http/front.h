/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several threads serving the same addresses; the kernel spreads connections among
 * them.
 */
#pragma once

#include "server/http/http.h"

struct http_front;

/* `options` is copied; limits.connections_max holds for all threads together. */
struct http_front *http_front_new(const struct http_options *options, unsigned workers);
/* As http_server_listen.  Before http_front_start. */
WARN_UNUSED int http_front_listen(
	struct http_front *front, const char *address, struct tls *tls, char error[HTTP_ERROR_MAX]);
/*
 * As http_server_adopt: all threads accept from the one socket.  Before
 * http_front_start.
 */
WARN_UNUSED int http_front_adopt(struct http_front *front, int fd, struct tls *tls);
/* Other limits: connections_max and per_prefix.  Before http_front_start. */
void http_front_limit(struct http_front *front, uint32_t connections, uint32_t per_prefix);
/*
 * The threads take no signals.  -errno when there are no threads left; then all are
 * stopped.
 */
WARN_UNUSED int http_front_start(struct http_front *front);

/*
 * Runs `fn` on each worker's thread, between two calls, and returns when all have run:
 * what a worker held before, it holds no more.  This is how a new serving image is
 * handed over and the old one comes free.  Any thread but the workers', not while
 * stopping; before start and after stop it runs here.
 */
typedef void http_each(void *user, unsigned worker, void *arg);
void http_front_each(struct http_front *front, http_each *fn, void *arg);

/*
 * Bytes a second of downloads, of all connections together and of each; 0: as fast as it
 * goes.  For those under way too.  As http_front_each.
 */
void http_front_bandwidth(struct http_front *front, uint64_t total_bytes_s, uint64_t each_bytes_s);

/*
 * Accepts no more, answers what is in flight with "Connection: close", gives that
 * drain_ms and then closes.  Returns when the threads have ended.  Deferred calls may
 * still be resumed.
 */
void http_front_stop(struct http_front *front);
/* Any thread. */
uint64_t http_front_count(const struct http_front *front, enum http_count which);
/* After http_front_stop, when all deferred calls were resumed. */
void http_front_free(struct http_front *front);
