/* SPDX-License-Identifier: Apache-2.0 */
/* What the SDK keeps, for those who look at both ends: its state and the server's have one name. */
#pragma once

#include <stdbool.h>

#include <huidu/huidu.h>

struct inside {
	uint64_t root_version, timestamp_version, director_version[4], log_size, floor_s;
	uint32_t last_seq, n_events;
	bool enrolled;
	unsigned answer;
	int last_error;
	uint8_t device_id[16];
	char candidate[64]; /* "": none */
};

void inside_read(const huidu_t *h, struct inside *out);
/* The bucket as it should be. */
uint32_t inside_bucket(const uint8_t *seed, const uint8_t *id, const char *product);
