/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that speak another server's protocol: who they are, and one exchange with one of them.
 *
 * A handler authenticates the request (foreign_gateway(), or the device's own token, which is given
 * along), fills a foreign_ask and calls foreign_begin().  What needs no writing is answered at once;
 * otherwise the turn is a job of the writer, and answered after the commit.
 */
#pragma once

#include "server/core/foreign.h"
#include "server/service/report.h"
#include "server/store/foreign.h"

/* A request of a device, authenticated but for its own token. */
struct foreign_ask {
	enum foreign_protocol protocol;
	const struct image_product *product;
	struct bytes
		name; /* as it calls itself; 1 to FOREIGN_NAME_MAX bytes, see foreign_name_ok() */
	/*
	 * Hash of the token that it showed as its own, to be compared; NULL when something else has
	 * shown who it is.  With `enrols`, a new device keeps it.
	 */
	const uint8_t *token;
	bool enrols;          /* what it showed lets a device in that is new */
	struct bytes network; /* that a flood of new ones is limited by; n 0: none */
	struct foreign_said said;
	bool no_cancel; /* see struct foreign_world */
	uint64_t now_ms, mono_ms;
};

/* One exchange; the caller owns the memory around it. */
struct foreign_exchange {
	struct job job; /* first; the caller sets job.done */
	struct server *server;
	uint8_t id[ID_LEN];
	char name[FOREIGN_NAME_MAX + 1];
	bool enrols, has_token;
	uint8_t token[TOKEN_LEN];
	struct foreign_said said;
	struct foreign_world world;
	uint16_t product;
	uint8_t tag; /* of the action's build, as the worker's image has it */
	uint8_t network[8];
	size_t network_len;
	/* Results: at once, or of the job. */
	struct foreign now;       /* what is remembered */
	struct foreign_turn turn; /* what to tell; turn.tell, turn.wants */
	bool is_new;              /* enrolled just now: tell it nothing yet */
	struct report report;     /* of the events, if there are any */
	fleet_word *word;
};

/* The id of a device; any thread with a desk. */
WARN_UNUSED int foreign_id(struct desk *d, enum foreign_protocol protocol, const char *product,
	struct bytes name, uint8_t id[ID_LEN]);
/* Printable ASCII without blanks, slashes, quotes; of a fitting length. */
bool foreign_name_ok(struct bytes name);
/* How a device's own token is remembered. */
WARN_UNUSED int foreign_token(struct bytes token, uint8_t out[TOKEN_LEN]);

/*
 * Answers what can be answered from memory, or from a read of the store: `*write` is false then and
 * `out` has the results.  Otherwise submit it.  ERR_BAD_MAC: unknown and not let in, or the token is
 * not its own; ERR_TOO_MANY: new ones come too fast; ERR_WRONG_PRODUCT; ERR_STORE.
 */
WARN_UNUSED int foreign_begin(
	struct desk *d, const struct foreign_ask *ask, struct foreign_exchange *out, bool *write);
/* ERR_BUSY: it was not taken, and done() is not called. */
WARN_UNUSED int foreign_submit(struct foreign_exchange *x);
/* To be called by done(): when it is committed the fleet learns of it. */
void foreign_taken(struct foreign_exchange *x);

/* In how many seconds it should ask again: soon while it has an action, or is new. */
uint32_t foreign_next_poll_s(struct desk *d, const struct foreign_exchange *x);

/* At the start: the secret that ids are derived with, and what each device is at.  `config` on. */
WARN_UNUSED int foreign_open(struct server *s);
