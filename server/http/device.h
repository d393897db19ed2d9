/* SPDX-License-Identifier: Apache-2.0 */
/* The device front: enrol, poll, report, grant, time, artifact, log, health, on every core. */
#pragma once

#include "server/http/front.h"
#include "server/http/tls.h"
#include "server/service/server.h"

struct device_front;

/*
 * Listens on `address`; devices are answered from device_front_start on.  `tls` may be NULL.  On
 * failure `error` has the line for a person.  Takes over server->adopt.
 */
WARN_UNUSED int device_front_open(struct server *s, const char *address, struct tls *tls,
	struct device_front **out, char error[HTTP_ERROR_MAX]);
WARN_UNUSED int device_front_start(struct device_front *f);
/* From here on control's thread, on this loop, answers what only the signer can; see asks.h. */
void device_front_answer(struct device_front *f, struct event_base *base);
/* Ends gracefully, on control's thread; the writer must still run, for reports that are on their way. */
void device_front_stop(struct device_front *f);
void device_front_free(struct device_front *f);
/* Puts what was refused and who is connected into the metrics. */
void device_front_count(const struct device_front *f);
/* Where it listens. */
unsigned device_front_port(const struct device_front *f);
