/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first day of a deployment: everybody's keys, the server's keys, and the root that
 * says who may sign what.  How many people that takes is the profile's to say.
 */
#pragma once

#include "proto/envelope.h"
#include "server/trust/keys.h"

#define PERSONS_MAX 5u

/* Which persons, counted from 0, have a key of a role, and how many of them must sign.
 */
struct profile_role {
	unsigned first, n, threshold;
};

struct profile {
	const char *name;
	unsigned n_persons;
	struct profile_role role[KEY_ONLINE_FIRST]; /* root, release, approver; no others */
	const char *min_id_age;                     /* as in the server's configuration */
	const char *sentence;                       /* who must agree to what */
};

/* solo, team or maker; NULL when there is no such profile. */
const struct profile *profile_find(const char *name);
/* The profile's name and thresholds go into the root. */
void profile_set(const struct profile *p, Pb__Root *root);
/* A name that can be part of a file name and of the root: a-z, 0-9, - and _, at
 * most 32. */
bool person_is_valid(const char *name);

struct ceremony {
	const char *repository;
	const struct profile *profile;
	const char *const *persons; /* profile->n_persons of them, all different */
	uint64_t now_s;
	bool demo; /* marks every key as made to try huidu out */
};

#define ROOT_DAYS 365u /* a root is good for so long */

/*
 * Makes FOLDER/keys, FOLDER/online and FOLDER/root.env, none of which may be there.
 * What was made before an error stays: the caller works in a folder it throws away.
 */
WARN_UNUSED int ceremony_hold(const struct ceremony *c, const char *folder);
