/* SPDX-License-Identifier: Apache-2.0 */
/* One process that tries states.  Private to the lab. */
#pragma once

#include "tests/crash/lab.h"

#define EARLY_BY 12u /* records, of LIE_EARLY */

struct cached {
	uint64_t hash; /* of the file; 0: free */
	struct look look;
};

struct worker {
	struct lab *lab;
	unsigned number;
	char *folder;
	struct relic relic;
	struct pick *pick;
	struct promise promise;
	struct verdict *verdict; /* of the child that starts a server */
	struct cached *stores, *ledgers;
	uint32_t ordinal, skip; /* states of this moment */
};

void worker_init(struct worker *w, struct lab *l, unsigned number);
void worker_go(struct worker *w, uint32_t moment);
void worker_build(struct worker *w, const struct state_id *id);
/* What is in its store. */
void worker_look(struct worker *w, struct look *out);
/* Of the state that was built.  `anyway`: a server is started though one was on the like of it. */
void worker_judge(struct worker *w, const struct state_id *id, bool anyway, struct verdict *out);
void worker_run(struct worker *w);
void worker_died(struct worker *w, int status);
