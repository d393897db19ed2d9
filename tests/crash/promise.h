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
	enum mark_upload upload;
	bool has_import, imported;
	uint8_t import[SHA256_LEN]; /* the file */
	struct {
		uint8_t id[ID_LEN];
		bool sure; /* else it may be gone */
	} erased[PROMISE_NAMES];
	size_t n_erased;
	uint64_t forgotten;                        /* rollouts up to this number */
	struct test_device device[SCRIPT_DEVICES]; /* without its key */
	size_t n_devices;
	char phone_build[64];
	uint64_t phone_counter, phone_log;
	const char *step; /* of the script, for people */
};

/* Was it erased, or was that asked for?  `sure`: it was answered. */
bool promise_is_erased(const struct promise *p, const uint8_t id[ID_LEN], bool sure);
/* All that was promised before `moment`; from 0 on. */
void promise_at(struct promise *p, const struct disk *d, uint32_t moment);
