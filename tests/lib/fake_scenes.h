/* SPDX-License-Identifier: Apache-2.0 */
/* Canned views for the screens: what a server might say on different days. */
#pragma once

#include <stdbool.h>

#include "proto/admin.pb-c.h"

/* Adds the rollouts of a scene; `look` counts the questions.  False: none like it. */
bool scene_fill(const char *name, unsigned look, uint64_t now_ms, Pb__AdminReply *out);
void scene_history(uint64_t now_ms, Pb__AdminReply *out);
void scene_device(Pb__AdminReply *out, const uint8_t id[16]);
void scene_rings(Pb__AdminReply *out);
