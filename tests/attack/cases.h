/* SPDX-License-Identifier: Apache-2.0 */
/* The groups of cases, by file. */
#pragma once

#include "tests/attack/suite.h"

/* cr_15, which is one of the flips. */
void lab_flip_answer(struct lab *l, const struct attack *a);

/* On phones. */
extern const struct attack_group tuf_basic, tuf_content, tuf_expiration, tuf_keys, tuf_files;
extern const struct attack_group cr_signatures, cr_names, cr_lengths;
extern const struct attack_group ra_offers, ra_log, ra_time, flip_sdk, slow_sdk, drawer_sdk;
/* On the server. */
extern const struct attack_group cr_server, cr_http, ra_votes, ra_people;
