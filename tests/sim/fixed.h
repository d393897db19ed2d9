/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proto/bytes.h"

extern bool fixed_real;
/* The signature of who has this public key, in a world where nobody forges by hashing. */
void fixed_sign(struct bytes public_key, struct bytes message, uint8_t sig[SIG_LEN]);
