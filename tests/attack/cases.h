/* SPDX-License-Identifier: Apache-2.0 */
/* The groups of cases; each file has one. */
#pragma once

#include "tests/attack/suite.h"

extern const struct attack_group tuf_basic, tuf_keys, tuf_files;
/* cr_15, which is one of the flips. */
void lab_flip_answer(struct lab *l, const struct attack *a);

extern const struct attack_group cr_sdk, ra_sdk, flip_sdk, slow_sdk, drawer_sdk, cr_server,
	ra_server;
