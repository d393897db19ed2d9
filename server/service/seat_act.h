/* SPDX-License-Identifier: Apache-2.0 */
/* Seats that a person gives or takes away, device by device. */
#pragma once

#include "server/service/control_private.h"

/* The devices are there, of this product, and there are seats; `text` as command_check(). */
WARN_UNUSED int seat_act_check(const struct server *s, const Pb__SeatAct *m, char *text);
/* Moves them, and appends the command's envelope, in one transaction. */
WARN_UNUSED int seat_act_take(
	struct control *c, const Pb__SeatAct *m, struct bytes envelope, uint64_t now_ms);
