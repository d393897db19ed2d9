/* SPDX-License-Identifier: Apache-2.0 */
/* Planted on purpose, to see that the world would notice. */
#pragma once

#include <stdbool.h>

enum defect {
#define DEFECT(id, sentence) DEFECT_##id,
#include "tests/sim/defect.def"
#undef DEFECT
	DEFECT__COUNT
};

bool is_planted(enum defect d);
