/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP client for many phones: TLS on libevent, a bounded number of connections, requests wait
 * their turn.  One thread.
 */
#pragma once

#include <event2/event.h>
#include <huidu/huidu.h>

struct net;

struct net_options {
	char *host;
	unsigned port;
	const char *ca;       /* file; NULL: plain HTTP */
	unsigned connections; /* at one time */
	int reconnect;        /* a new connection, with a new handshake, for each request */
};

/* Exits with a line when the CA file cannot be read or the host is not known. */
struct net *net_new(struct event_base *base, const struct net_options *options);
void net_free(struct net *n);

/*
 * Sends the request, which is copied, for `device`, and answers it with huidu_data() and
 * huidu_response(); then sets *due_ms to 0, for the device may want to go on at once.  A device has
 * one request at a time; net_forget() drops it.
 */
void net_send(
	struct net *n, huidu_t *device, uint64_t *due_ms, const struct huidu_request *request);
void net_forget(struct net *n, const huidu_t *device);

struct net_counts {
	unsigned long long requests, failed, bytes, handshakes, resumed;
};
struct net_counts net_counts(const struct net *n);
