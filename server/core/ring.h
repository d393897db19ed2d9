/* SPDX-License-Identifier: Apache-2.0 */
/* Rings, innermost first.  An inner ring is offered all an outer one is offered, earlier. */
#pragma once

#include <stdbool.h>

enum ring { RING_CORE, RING_HONOUR, RING_DEV, RING_STABLE, RING__COUNT };

const char *ring_str(enum ring ring);
bool ring_parse(const char *s, enum ring *out);
