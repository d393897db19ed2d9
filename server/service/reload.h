/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration read again while the server runs: all of it is read and checked before any of it
 * counts, and what is wrong leaves the old one whole.  Control's thread.
 *
 * Rings' seats and how they fill, components, polls, enrolment, min_id_age, symptoms, retention,
 * bandwidth and cdn are taken over; what is built into the running server is not: a change there is
 * refused, and named.
 * A ring that has more devices than seats now keeps them, and gets no more until it has fewer.
 */
#pragma once

#include "server/service/server.h"

struct reload;

/* `error` (at least 256 bytes) gets the line for a person. */
WARN_UNUSED int reload_read(
	const struct server *s, const char *path, struct reload **out, char *error);
/* For what others take over of it: certificates. */
const struct config *reload_config(const struct reload *r);
/*
 * Puts it in force; returns when every worker has it.  ERR_BUSY: the writer had no time, and nothing
 * was changed.  Ends `r` either way.
 */
WARN_UNUSED int reload_take(struct server *s, struct reload *r, uint64_t now_ms);
/* NULL is fine. */
void reload_drop(struct reload *r);
