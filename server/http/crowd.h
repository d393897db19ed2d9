/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many are here at one time, by network.  A network has two cells of a fixed table, and its
 * number is the smaller of the two: another is taken for it only where both are shared.  Where they
 * are nobody can foresee, and no address is kept.
 *
 * All functions but new and free are for any thread and take no lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/bytes.h"
#include "proto/err.h"

struct crowd;

struct crowd *crowd_new(void);
void crowd_free(struct crowd *c);
/* Of one network; 0, as at first: any. */
void crowd_limit(struct crowd *c, uint32_t most);
/* One more of this network; n 0: of none, which is not counted.  False: it is one too many. */
WARN_UNUSED bool crowd_enter(struct crowd *c, struct bytes network, uint32_t *place);
/* Who entered leaves; 0 is nobody's place. */
void crowd_leave(struct crowd *c, uint32_t place);
