/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file to the server, in pieces, from where the last try ended.  A server that restarts meanwhile
 * is waited for, up to a minute; Ctrl-C ends it, and the same again goes on.
 */
#pragma once

#include "server/ctl/ctl.h"

/* Nothing is sent when the server has the file.  `rows`: it is that of an import. */
WARN_UNUSED int upload(
	struct ctl *c, const char *path, uint64_t length, ProtobufCBinaryData sha256, bool rows);
