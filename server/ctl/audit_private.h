/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the audit share. */
#pragma once

#include "server/ctl/audit.h"

/* As it was published last. */
struct audit_build {
	char *product, *build_id;
	uint8_t sha256[SHA256_LEN]; /* of the Targets envelope */
};

struct audit_rollout {
	uint8_t id[ID_LEN];
	char *release;
	char **products;
	uint8_t (*seeds)[SEED_LEN]; /* a product's */
	size_t n_products;
	unsigned rings;
};

/* The entry under judgement. */
struct one {
	uint64_t index;
	const Pb__LogEntry *entry;
	const Pb__Envelope *envelope;
	uint8_t leaf[SHA256_LEN];
	char *error; /* AUDIT_ERROR_MAX */
};

/* The sentence into o->error; returns `err`. */
int audit_wrong(const struct one *o, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The rollout with this id; NULL when nobody proposed it. */
struct audit_rollout *audit_rollout(const struct audit *a, struct bytes id);
/* A command: its signature, its moment, its right, and the seeds it approves. */
WARN_UNUSED int audit_command(struct audit *a, const struct one *o);
