/* SPDX-License-Identifier: Apache-2.0 */
/* Canned views for the screens: what a server might say on different days. */
#pragma once

#include <stdbool.h>

#include "proto/admin.pb-c.h"

/* Adds the rollouts of a scene; `look` counts the questions.  False: none like it. */
bool scene_fill(const char *name, unsigned look, uint64_t now_ms, Pb__AdminReply *out);
void scene_history(const Pb__AdminQuery *q, uint64_t now_ms, Pb__AdminReply *out);
void scene_device(Pb__AdminReply *out, const uint8_t id[16]);
void scene_rings(Pb__AdminReply *out);
/* What the gate knows of it: the scenes above, "blind" (few phones), "no-reports". */
bool scene_gate(const char *name, uint64_t now_ms, Pb__AdminReply *out);
/* A halt and what it rests on, two rows a page; of another scene than "halted", log K is a lie. */
void scene_replay(const char *name, uint64_t from, Pb__AdminReply *out);
