/* SPDX-License-Identifier: Apache-2.0 */
/* What had been acknowledged, or shown to a phone, when the power went. */
#pragma once

#include "tests/crash/disk.h"
#include "tests/crash/script.h"
#include "tests/lib/deployment.h"

#define PROMISE_NAMES 8u

struct promise {
	uint64_t now_ms;
	uint32_t number; /* how many were made */
	uint32_t last;   /* the moment of the last */
	uint64_t log_size;
	uint8_t log_root[SHA256_LEN];
	struct {
		char name[32];
		uint64_t version;
	} shown[PROMISE_NAMES];
	size_t n_shown;
	char halted[PROMISE_NAMES][32];
	size_t n_halted;
	uint8_t artifact[PROMISE_NAMES][SHA256_LEN];
	size_t n_artifacts;
	struct test_device device[SCRIPT_DEVICES]; /* without its key */
	size_t n_devices;
	char phone_build[64];
	uint64_t phone_counter, phone_log;
	const char *step; /* of the script, for people */
};

/* All that was promised before `moment`; from 0 on. */
void promise_at(struct promise *p, const struct disk *d, uint32_t moment);
