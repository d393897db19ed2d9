/* SPDX-License-Identifier: Apache-2.0 */
/* A phone with the real SDK, whose requests are handed to the real server as they are. */
#pragma once

#include <huidu/huidu.h>

#include "tests/attack/suite.h"
#include "tests/lib/deployment.h"

#define STORY_PHONES  40u
#define STORY_PRODUCT "phone-a"

struct phone {
	struct story *story;
	huidu_t *h;
	struct huidu_config config;
	uint8_t slot[2][HUIDU_SLOT];
	size_t slot_len[2];
	char build_id[64], other[64];
	uint64_t release_counter, other_counter;
	char file[64];
	char log[2048]; /* what it asked for, a word a request */
	bool slow, restarting, hurt;
	int error; /* the last it named */
	_Alignas(16) uint8_t memory[HUIDU_MEMORY];
};

struct story {
	struct deployment d;
	struct phone phone[STORY_PHONES];
	struct test_plan plan;
	_Alignas(16) uint8_t scratch[HUIDU_SCRATCH];
};

void phone_start(struct phone *p);
struct huidu_status phone_status(const struct phone *p);
/* All it has to do now. */
void phone_settle(struct phone *p);
/* It asks now; what it said and did since. */
const char *phone_asks(struct phone *p);
bool phone_runs(const struct phone *p, const char *build_id);
