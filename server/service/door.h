/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may enrol of those that the server does not know yet: everybody, nobody, or who shows what the
 * configuration asks for.  Read at the start, then for any thread.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/device.pb-c.h"
#include "server/config/config.h"

enum door_answer { DOOR_SHUT, DOOR_OPEN, DOOR_ASK /* the doorman */ };

struct door;

/*
 * Reads the file of tokens or the manufacturers' keys.  `error` (at least 256 bytes) gets the line
 * for a person.
 */
WARN_UNUSED int door_new(const struct config_enrol *config, struct door **out, char *error);
void door_free(struct door *d);

/* A token of the file it was made of; takes as long whichever it is, or is nearly. */
bool door_knows(const struct door *d, struct bytes token);
/* What it says to an enrolment whose proof of the device key was checked. */
enum door_answer door_ask(const struct door *d, const Pb__EnrollRequest *m);
