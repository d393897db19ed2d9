/* SPDX-License-Identifier: Apache-2.0 */
/* A device enters an arm of a stage: a fact for the writer. */
#pragma once

#include "server/service/server.h"

/* What the device's record says. */
#define ARM_SEQ_STORED UINT32_MAX

struct arm_entry {
	struct stage_key stage;
	enum arm arm;
	uint32_t group;
	uint16_t product;
	uint32_t seq; /* of its last event so far, or ARM_SEQ_STORED */
	uint8_t id[ID_LEN];
	struct stage_live *live;
	fleet_word *word;
	unsigned slot;
};

/*
 * The device's bit is set and its token taken.  If it cannot be written both are given back: the
 * device was told of the offer, and will enter at its next poll.
 */
void arm_enter(struct server *s, const struct arm_entry *entry, uint64_t now_ms);
