/* SPDX-License-Identifier: Apache-2.0 */
/* The plans of config/plans/, built in; `huiductl init` lays them out. */
#pragma once

#include <stddef.h>

struct plan_text {
	const char *name, *text; /* NULL at the end */
};
extern const struct plan_text plan_texts[];
