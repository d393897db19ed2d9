/* SPDX-License-Identifier: Apache-2.0 */
/* The groups of cases; each file has one. */
#pragma once

#include "tests/attack/suite.h"

extern const struct attack_group tuf_basic, tuf_keys, tuf_files;
extern const struct attack_group cr_cases, ra_cases, flip_cases;
