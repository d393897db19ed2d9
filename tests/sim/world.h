/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "tests/sim/sim.h"

/* From the first day to the end; `days` 0: as many as the seed says.  What is wrong ends the process. */
void world_live(uint64_t seed, unsigned days, enum defect planted);
