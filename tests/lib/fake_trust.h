/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in's log and roots: real entries, a real tree, checkpoints by the real log key. */
#pragma once

#include "proto/admin.pb-c.h"
#include "server/trust/rootfile.h"

/* Begins with the root; `log_key` is a PEM file, NULL: no notes are served. */
void fake_trust_start(const struct rootfile *root, const char *log_key);
const Pb__Root *fake_trust_root(void);
void fake_trust_log(struct bytes envelope);
void fake_trust_checkpoint(Pb__Checkpoint *out);

/* The next root, as the server takes it. */
int fake_trust_publish(struct bytes envelope, struct arena *a);
/* True when a command waits for a second signature; it is shown as pending until it has one. */
bool fake_trust_waits(
	const Pb__AdminCommand *m, struct bytes envelope, const char *by, unsigned signers);

int fake_trust_fill(const Pb__AdminQuery *q, struct arena *a, Pb__AdminReply *out);
