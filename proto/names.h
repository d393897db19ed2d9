/* SPDX-License-Identifier: Apache-2.0 */
/* Names of metadata, as they stand in MetaFile.name and in the store. */
#pragma once

#include "proto/bytes.h"

#define METADATA_NAME_MAX 160u

/* Each writes into `out` and returns it. */
char *metadata_timestamp(char out[METADATA_NAME_MAX], const char *product);
char *metadata_snapshot(char out[METADATA_NAME_MAX], const char *product);
/* "director/<product>/<core|honour|dev|stable>"; ring 0..3 */
char *metadata_director(char out[METADATA_NAME_MAX], const char *product, uint32_t ring);
/* "plan/<32 hex digits>/<product>" */
char *metadata_plan(
	char out[METADATA_NAME_MAX], const uint8_t rollout_id[ID_LEN], const char *product);
char *metadata_targets(char out[METADATA_NAME_MAX], const char *product, const char *build_id);

/* 1 to 63 of [A-Za-z0-9._-]: what a product, build, release, line or repository may be called. */
bool name_ok(const char *s);
