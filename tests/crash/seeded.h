/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* From here on this process, and those it forks, draw from the seed. */
void seeded_begin(uint64_t seed);
