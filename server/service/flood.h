/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often something may happen: in all, and from one network.  A network's count is a cell of a
 * fixed table that its address leads to; the address itself is not kept, and two networks may share
 * a cell.  Within a minute a minute's worth may come at once.
 *
 * All functions are for any thread and take no lock.
 */
#pragma once

#include "proto/bytes.h"

struct flood;

/* Rates a minute; 0: any. */
struct flood *flood_new(uint32_t per_minute, uint32_t per_prefix_minute);
/* Others from now on. */
void flood_rates(struct flood *f, uint32_t per_minute, uint32_t per_prefix_minute);
void flood_free(struct flood *f);

/* One more, of all; `mono_ms`: of a clock that never steps. */
bool flood_take(struct flood *f, uint64_t mono_ms);
/* One more, from this network; n 0: from nowhere, which has no rate. */
bool flood_take_from(struct flood *f, struct bytes network, uint64_t mono_ms);
/* What was taken did not count after all. */
void flood_give_back(struct flood *f);
void flood_give_back_from(struct flood *f, struct bytes network);
