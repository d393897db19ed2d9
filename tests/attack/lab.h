/* SPDX-License-Identifier: Apache-2.0 */
/* One phone, one repository, and the words cases are told in. */
#pragma once

#include "tests/attack/device.h"
#include "tests/attack/suite.h"

struct lab {
	struct repo *repo;
	struct wire wire;
	struct device phone;
};

/* For struct suite: an honest repository, the attack, and an honest update after it. */
void lab_stage(const struct attack *a);

/* Starts the phone with the repository's first root, unless it runs. */
void lab_boot(struct lab *l);
/* The phone has all there is. */
void lab_start(struct lab *l);
/* Offers a new build to everybody and publishes it; "b2", "b3", ... */
struct repo_offer *lab_offer(struct lab *l);

/* The next poll is fine. */
void lab_accepts(struct lab *l);
/* It fails with `want`; nothing the poll brought is kept (but roots, which stand by themselves). */
void lab_rejects(struct lab *l, int want);
/* The directive is believed, its offer is not: refused with `want`, told to the server, held. */
void lab_refuses(struct lab *l, int want);
/* The poll is fine and offers this phone nothing. */
void lab_holds(struct lab *l);
/* The phone takes what is on offer and runs it. */
void lab_installs(struct lab *l, const char *build_id);
/* Back to honesty, and the next update arrives. */
void lab_recovers(struct lab *l);

/* Attacks that are a line in a table: a->edit on a->type, then rejected or refused with a->want. */
void lab_run_rejected(struct lab *l, const struct attack *a);
void lab_run_refused(struct lab *l, const struct attack *a);
