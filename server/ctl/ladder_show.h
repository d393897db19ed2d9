/* SPDX-License-Identifier: Apache-2.0 */
/* A plan's ladder for people: what opens when, and on which conditions. */
#pragma once

#include "server/core/plan.h"
#include "server/ctl/planfile.h"
#include "server/ctl/term.h"

/* Also of a number that came over the wire. */
const char *ring_word(uint32_t ring);
/* Times relative to the proposal when `proposed_at_s` is 0. */
void ladder_show(
	struct buf *out, const struct term *t, const Pb__PlanSpec *spec, uint64_t proposed_at_s);
/* What a plan's deadline cost, below its ladder. */
void ladder_show_trade(struct buf *out, const struct term *t, const Pb__PlanSpec *spec,
	const struct planfile_trade *trade);
