/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What control's thread serves by itself: the admin socket, the metrics page, the clock that ticks,
 * and the signals that end it or
 * have it read its configuration again.
 */
#pragma once

#include "server/http/device.h"
#include "server/http/http.h"

struct local;

struct local_options {
	struct server *server;
	struct device_front *devices;
	const char *admin;   /* path of the socket */
	const char *metrics; /* host:port; "" for none */
	const char *config;  /* file that SIGHUP reads again */
	struct tls *tls;     /* that then gets its certificate; NULL: none */
	int signer_fd;       /* readable when the signer has died */
};

WARN_UNUSED int local_open(
	const struct local_options *options, struct local **out, char error[HTTP_ERROR_MAX]);
/* Returns at SIGTERM or SIGINT with 0, or when the signer died with ERR_SIGNER. */
WARN_UNUSED int local_run(struct local *l);
void local_close(struct local *l);
