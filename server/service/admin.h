/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin socket is answered: frames in, frames out; control's thread. */
#pragma once

#include "server/base/buf.h"
#include "server/service/server.h"

#define ADMIN_FRAME_MAX ((size_t)1024 * 1024)

/* Room for one answer. */
struct admin {
	struct server *server;
	struct arena arena;
};

void admin_open(struct admin *a, struct server *server);
void admin_release(struct admin *a);
/* `reply`, which is emptied first, gets an Envelope with an AdminReply, whatever comes in. */
void admin_answer(struct admin *a, struct bytes frame, uint64_t now_ms, struct buf *reply);
