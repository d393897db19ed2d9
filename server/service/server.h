/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the services share.  Set up by server_open(), then read-only but for what says otherwise.  What
 * workers need of the configuration is in the image: config, door and doorman here are control's.
 */
#pragma once

#include <stdatomic.h>

#include "proto/crypto.h"
#include "server/artifact/artifact.h"
#include "server/config/config.h"
#include "server/core/shed.h"
#include "server/service/door.h"
#include "server/service/doorman.h"
#include "server/service/flood.h"
#include "server/service/image.h"
#include "server/service/registry.h"
#include "server/service/tenant.h"
#include "server/service/writer.h"
#include "server/trust/epochs.h"

struct control;
struct digests;

struct server {
	const struct config *config; /* in force; replaced by a reload.  Not for workers */
	struct config *own_config;   /* the same, once it was replaced */
	struct store *store;
	struct artifacts *artifacts;
	struct artifacts *imports; /* rows of fleets: apart, for they are nobody's to download */
	struct fleet *fleet;
	struct registry registry;
	struct writer writer;
	struct import *import;
	bool speaks_foreign; /* protocols of other servers: the rest of them is here */
	uint8_t foreign_secret[SHA256_LEN]; /* that their ids are derived with */
	struct tenants *tenants;
	struct digests *digests; /* NULL unless it speaks_foreign */
	struct control *control;
	struct epochs epochs;          /* report keys derive from their secrets */
	struct door *door;             /* who may enrol */
	struct doorman *doorman;       /* NULL unless the door asks one */
	struct doorman *retired;       /* answers the last of those who asked it */
	struct flood *flood;           /* of enrolments */
	struct flood *grants;          /* by device, in place of a network */
	_Atomic(struct image *) image; /* the newest */
	/* Since control last looked: connections were turned away; a bit for each stretch told. */
	_Atomic bool deaf;
	_Atomic uint32_t stretches;
	/* The same, as it was when control last looked: for people. */
	_Atomic bool was_deaf;
	_Atomic unsigned stretch;
	/*
	 * Returns when every worker holds the newest image.  NULL while there are no workers, and in
	 * tests that call the services themselves.
	 */
	void (*adopt)(void *ctx);
	void *adopt_ctx;
};

/* One thread's tools for answering devices. */
struct desk {
	struct server *server;
	const struct image *image;      /* taken at the top of the loop */
	struct crypto_mac *mac;         /* under the secrets of the epochs */
	struct crypto_mac *device_mac;  /* under a report key */
	struct crypto_mac *foreign_mac; /* under server->foreign_secret */
	struct arena arena;             /* of the request under way */
	uint64_t jitter;                /* state of its random numbers */
	struct shed shed;               /* how it fares */
};

/* xorshift64: nobody gains by guessing it. */
static inline uint64_t desk_random(struct desk *d)
{
	d->jitter ^= d->jitter << 13;
	d->jitter ^= d->jitter >> 7;
	d->jitter ^= d->jitter << 17;
	return d->jitter;
}

WARN_UNUSED int desk_open(struct desk *d, struct server *server);
void desk_release(struct desk *d);
/* Takes the newest image; true when it is another one than before. */
bool desk_refresh(struct desk *d);

/*
 * Opens store, artifacts, fleet and writer in config->data, hires the doorman.  `error` (at least 256 bytes) gets the
 * line for a person.  The writer is not started, and there is no control yet.
 */
WARN_UNUSED int server_open(
	struct server *s, const struct config *config, const struct epochs *epochs, char *error);
/* Whoever waits for a doorman gets a no; while the writer still runs. */
void server_dismiss(struct server *s);
void server_close(struct server *s);
