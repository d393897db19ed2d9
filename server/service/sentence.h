/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate sees and wants, as a person would say it. */
#pragma once

#include "server/service/control_private.h"

/* Why it decided what it did: goes into the log.  `mute` is what gates_mute() says. */
void sentence_decision(
	const struct rollout *r, const struct gate_run *g, const char *mute, char out[STATE_TEXT]);
/* What it waits for, or why it stopped: for screens. */
void sentence_gate(const struct rollout *r, const struct gate_run *g,
	const struct gate_judgement *j, const char *mute, char out[STATE_TEXT]);
