/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's checkpoint as this machine saw it last, kept beside the root: a server that shows one
 * person another log than yesterday is found out.  The file is "SIZE ROOT\n", then the signed note.
 */
#pragma once

#include "proto/checkpoint.h"
#include "server/ctl/ctl.h"

/* -ENOENT: none yet; ERR_CORRUPT. */
WARN_UNUSED int log_seen_read(const struct ctl *c, struct checkpoint *out);
/* An exit code, spoken. */
WARN_UNUSED int log_seen_write(const struct ctl *c, const struct checkpoint *p, struct bytes note);
