/* SPDX-License-Identifier: Apache-2.0 */
/* A stage that is followed, with a store and a fleet of its own; no server around it. */
#pragma once

#include <stdlib.h>

#include "records_world.h"
#include "server/base/mem.h"
#include "server/service/stages.h"

#define START   1767225600000ull
#define HOUR    3600000ull
#define DAY     (24 * HOUR)
#define PRODUCT 3u /* of the first stratum; the second is the next */
#define STRATA  2u
#define KEY     ((struct stage_key){ 77, 2 })

static struct fleet *fleet;
static struct stages stages;
static struct stage_live live;
static struct stage *stage;

static inline void device_id(uint32_t i, uint8_t id[ID_LEN])
{
	memset(id, 0, ID_LEN);
	put_be32(id, i);
	put_be32(id + 4, i * 2654435761u);
}

/* Follows the stage, as a server does that starts now. */
static inline void follow(const struct silence_rules *rules, uint64_t now_ms)
{
	stage = mem_zalloc(sizeof(*stage) + STRATA * sizeof(stage->strata[0]));
	stage->key = KEY;
	stage->batch_ms = HOUR;
	stage->novel_ms = START;
	stage->line_number = 9;
	stage->silence.rules = *rules;
	stage->live = &live;
	stage->n_strata = STRATA;
	for (unsigned i = 0; i < STRATA; i++)
		stage->strata[i].product = (uint16_t)(PRODUCT + i);
	stages_add(&stages, stage, &txn, now_ms);
}

static inline void open_stage(void **state, const struct silence_rules *rules)
{
	(void)state;
	fleet = fleet_new(0);
	stages = (struct stages){ .fleet = fleet };
	follow(rules, START);
}

static inline void close_stage(void)
{
	stages_release(&stages);
	fleet_free(fleet);
}

/* What is in memory is lost, as in a restart; nobody has been heard of. */
static inline void restart(const struct silence_rules *rules, uint32_t devices, uint64_t now_ms)
{
	stages_save(&stages, &txn);
	turn();
	close_stage();
	fleet = fleet_new(0);
	stages = (struct stages){ .fleet = fleet };
	for (uint32_t i = 0; i < devices; i++) {
		struct fleet_device d = { .product = (uint16_t)(PRODUCT + i % STRATA) };
		uint8_t id[ID_LEN];
		device_id(i, id);
		assert_true(fleet_add(fleet, id, &d));
	}
	follow(rules, now_ms);
}

static inline struct evidence *evidence_of(uint32_t i)
{
	return &stage->strata[i % STRATA].evidence;
}

/* Device `i` enrols and enters; its product is one or the other in turn. */
static inline void enter(uint32_t i, enum arm arm, uint32_t group, uint64_t now_ms)
{
	struct fleet_device d = { .product = (uint16_t)(PRODUCT + i % STRATA) };
	struct evidence_device e;
	uint8_t id[ID_LEN];

	device_id(i, id);
	assert_true(fleet_add(fleet, id, &d));
	evidence_enter(evidence_of(i), &e, arm, group, 0, now_ms);
	arm_put(&txn, KEY, id, &e);
	silence_entered(&stage->silence, d.product, id, now_ms);
	fleet_hear(fleet_find(fleet, id), now_ms);
}

static inline struct evidence_device arm_of(uint32_t i)
{
	struct evidence_device d;
	uint8_t id[ID_LEN];

	device_id(i, id);
	assert_true(arm_get(&txn, KEY, id, &d));
	return d;
}

static inline void hear(uint32_t i, uint64_t now_ms)
{
	uint8_t id[ID_LEN];

	device_id(i, id);
	fleet_hear(fleet_find(fleet, id), now_ms);
}

/* The device says `installing`, or an outcome. */
static inline void tell(uint32_t i, enum stream stream, uint64_t now_ms)
{
	struct evidence_device d = arm_of(i);
	uint8_t id[ID_LEN];

	device_id(i, id);
	assert_true(evidence_event(evidence_of(i), &d, stream, 1));
	if (stream == STREAM_INSTALLING) {
		d.installing_ms = now_ms;
		silence_installing(&stage->silence, (uint16_t)(PRODUCT + i % STRATA), id, now_ms);
	}
	arm_put(&txn, KEY, id, &d);
}

static inline bool has(uint32_t i, enum stream stream)
{
	return arm_of(i).seen >> stream & 1;
}
