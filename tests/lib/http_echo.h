/* SPDX-License-Identifier: Apache-2.0 */
/* What http_echo is started with, and its handlers. */
#pragma once

#include <stdatomic.h>

#include "server/http/frame.h"
#include "server/http/front.h"
#include "server/http/tls.h"

struct echo {
	struct http_options options;
	struct frame_options frame;
	const char *listen, *admin, *file, *proxy;
	struct tls_files tls_files;
	uint64_t workers, nofile, inherit, answer_bytes, big_bytes, total_bytes_s, each_bytes_s;
	uint8_t *answer, *big;
	struct tls *tls;
	struct http_front *front;
	struct event_base *base;
	atomic_int threads; /* that will resume a call */
};

extern struct echo echo;

/* For the workers, and for the server on the main thread. */
extern const struct http_route echo_routes[], echo_admin_routes[];
extern const size_t echo_n_routes, echo_n_admin_routes;
void echo_closed(void *user, void *kept);
void echo_frame(struct frame_call *call);
