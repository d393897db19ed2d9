/* SPDX-License-Identifier: Apache-2.0 */
/* A build's file to the server, in pieces, from where the last try ended. */
#pragma once

#include "server/ctl/ctl.h"

/* Nothing is sent when the server has the file. */
WARN_UNUSED int upload(
	struct ctl *c, const char *path, uint64_t length, ProtobufCBinaryData sha256);
