/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what, as the root says: functions of their arguments, asked by the signer before it
 * takes a command and by control before it bothers the signer.
 *
 * A right is for one kind of command on one product in one ring.  For every product and ring that a
 * command touches, one of the root's AdminRoles that names the key must hold the right; two of them
 * never add up to a pair that neither names.  Keys are compared, never names: those only say which
 * keys are one person.
 *
 * A root without AdminRoles is an older one: its release keys are release engineers and tester
 * managers of everything, its approver keys approvers of everything.
 */
#pragma once

#include "proto/admin.pb-c.h"
#include "proto/envelope.h"

enum authority_op {
	AUTHORITY_READ,    /* observer and everybody */
	AUTHORITY_PUBLISH, /* release engineer */
	AUTHORITY_PROPOSE, /* release engineer */
	AUTHORITY_APPROVE, /* approver */
	AUTHORITY_START,   /* release engineer, approver */
	AUTHORITY_STOP, /* pause, halt: all but observers, and a right in any of the rings will do */
	AUTHORITY_SEAT,     /* tester manager */
	AUTHORITY_WITHDRAW, /* release engineer, approver, tester manager */
	AUTHORITY_CONFIRM,  /* release engineer, approver */
	AUTHORITY_IMPORT,   /* all but observers, and a right in any ring: devices of stable */
	AUTHORITY__COUNT
};

struct authority_ask {
	enum authority_op op;
	const char *const *products; /* none: it touches none in particular */
	size_t n_products;
	unsigned rings; /* bit mask; 0: none in particular */
};

/* Those of `who` (indexes into root->keys) that may; all other signatures count for nothing. */
WARN_UNUSED int authority_of(const struct crypto *c, const Pb__Root *root,
	const struct authority_ask *ask, const struct signers *who, struct signers *out);
/* Whose key it is; "?" when the root does not say. */
const char *authority_name(const Pb__Root *root, unsigned key);
/* One of them is this person's. */
bool authority_names(const Pb__Root *root, const struct signers *who, const char *name);
/* How many different people they are: keys of one name are one person, and so are those without. */
unsigned authority_persons(const Pb__Root *root, const struct signers *who);
/* How many different people must: 2 for seats in core where the profile has two, otherwise 1. */
unsigned authority_needed(const Pb__Root *root, const struct authority_ask *ask);
/* What an import asks for: seats, when it gives any or keeps dates; the message must stay. */
struct authority_ask authority_import(const Pb__Import *m);
/* The keys that may sign commands at all, as a role with threshold 1; lists into `room`, ERR_NO_ROOM. */
WARN_UNUSED int authority_people(
	const Pb__Root *root, ProtobufCBinaryData *room, size_t max, Pb__Role *out);
