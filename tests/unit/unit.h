/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test starts with; cmocka.h wants its own includes before it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
