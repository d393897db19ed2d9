/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet is brought: the rows of an uploaded file become devices, by a command that people signed.
 *
 * The writer takes the rows in batches, each one transaction that also says how far it came: reports
 * wait for one batch at most, and after a crash it goes on with the next row.  A device that is there
 * is never changed, so the same file again changes nothing.
 */
#pragma once

#include "proto/admin.pb-c.h"
#include "server/service/server.h"

struct import;

struct import *import_new(struct server *s);
/* After the writer has ended, or import_stop() and an empty queue. */
void import_free(struct import *im);
/* No batch is begun any more; for any thread. */
void import_stop(struct import *im);

/* At the start, once the store is open: what was under way goes on with the next tick. */
WARN_UNUSED int import_resume(struct server *s);
/* Control's: begins what waits to be begun, and drops the file of what is over. */
void import_tick(struct server *s);

/*
 * The file is here, whole, and no other is being taken in; `text` (STATE_TEXT) gets the line for a
 * person.
 */
WARN_UNUSED int import_check(const struct server *s, const Pb__Import *m, char *text);
/* What is written with the command's entry, in its transaction. */
void import_put(struct store_txn *t, const Pb__Import *m, uint64_t now_ms);

/* How the newest one goes, if it is of this file; in `a`, NULL when there is none or no room. */
Pb__ImportView *import_view(
	const struct server *s, const uint8_t sha256[SHA256_LEN], struct arena *a);
