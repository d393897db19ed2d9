/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which part of a ring a device is in, for one rollout.  Pinned for ever by golden values in
 * tests/unit/test_bucket.c: a phone in the field and a new server must agree.
 */
#pragma once

#include "proto/bytes.h"

#define PPM 1000000u
/* Devices that poll without an id. */
#define BUCKET_ANONYMOUS (PPM - 1)

/*
 * XXH3_64(seed || id || product) scaled to 0..999 999.  XXH3 can be ground, but nobody has anything
 * to grind: ids are chosen by the server and older than the plan, the seed is drawn after it.
 */
uint32_t bucket_of(const uint8_t seed[SEED_LEN], const uint8_t id[ID_LEN], const char *product);

/*
 * A second, independent bucket of the same device in the same rollout: which devices of an open
 * share are taken in first.
 */
uint32_t bucket_admission(
	const uint8_t seed[SEED_LEN], const uint8_t id[ID_LEN], const char *product);

/* Order of devices waiting for a seat: the lowest gets it. */
uint64_t bucket_seat(const uint8_t seed[SEED_LEN], const uint8_t id[ID_LEN]);

/* XXH3_64 of any bytes, for tables and caches: neither keyed nor for anything an attacker may choose. */
uint64_t hash64(const void *p, size_t n);
/* The same, begun from another hash: of what stands before these bytes. */
uint64_t hash64_seeded(const void *p, size_t n, uint64_t seed);
