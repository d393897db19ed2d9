/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

extern bool fixed_real; /* signatures are no toys */
