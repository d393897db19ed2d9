/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expected errors, one enum for server, CLI and SDK.  A function that can fail returns 0 or a
 * negative number: one of these, or -errno where the system said no.
 */
#pragma once

#define WARN_UNUSED __attribute__((warn_unused_result))

enum err {
#define ERR(name, number, sentence) ERR_##name = (number),
#include "proto/err.def"
#undef ERR
};

/* The sentence a person reads; never NULL, valid for ever. */
const char *err_str(int err);
/* The name in err.def ("BAD_MAC"), for logs and metrics; "ERRNO" for a system error. */
const char *err_name(int err);
