/* SPDX-License-Identifier: Apache-2.0 */
/* The log as files that any static web server can serve: c2sp.org/tlog-tiles. */
#pragma once

#include "proto/checkpoint.h"

struct log_export;

struct log_export *log_export_new(const char *folder);
void log_export_free(struct log_export *e);
/* The next entry; it is written with the bundle of 256 it belongs to.  ERR_TOO_BIG, -errno. */
WARN_UNUSED int log_export_add(struct log_export *e, struct bytes entry);
/* Tiles, the last bundle, and `note` as FOLDER/checkpoint.  ERR_FORKED: it is of another log. */
WARN_UNUSED int log_export_end(struct log_export *e, const struct checkpoint *p, struct bytes note);
