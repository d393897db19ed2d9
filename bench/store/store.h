/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `store` share: a deployment that `huiductl init` made, and made-up devices. */
#pragma once

#include "server/service/control.h"

struct place {
	struct config config;
	char *store; /* path */
	uint64_t n;  /* devices that were made up */
};

/* Ends the program with a line unless err is 0. */
void must(int err, const char *what);
double now_us(void);

/* Id of the device numbered i of n: ids rise with i, and are otherwise random. */
void made_id(uint64_t i, uint64_t n, uint8_t id[ID_LEN]);
/* The k-th of n numbers in no order: all different. */
uint64_t shuffled(uint64_t k, uint64_t n);

int store_fill(const struct place *p, int argc, char **argv);
int store_reports(const struct place *p, int argc, char **argv);
int store_raw(const struct place *p, int argc, char **argv);
int store_polls(const struct place *p, int argc, char **argv);
int store_fill_foreign(const struct place *p, int argc, char **argv);
int store_polls_foreign(const struct place *p, int argc, char **argv);
int store_request_foreign(const struct place *p, int argc, char **argv);
int store_size(const struct place *p, int argc, char **argv);
int store_table_bytes(const struct place *p, int argc, char **argv);
