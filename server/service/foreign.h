/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that speak another server's protocol: who they are, and one exchange with one of them.
 *
 * A handler authenticates the request (a gateway token, a certificate; the device's own token is given
 * along), fills a foreign_ask and calls foreign_begin().  What needs no writing is answered at once;
 * otherwise the exchange is a job of the writer, and answered after the commit.
 */
#pragma once

#include "server/core/foreign.h"
#include "server/service/report.h"
#include "server/store/foreign.h"

/* A request of a device, authenticated but for its own token. */
struct foreign_ask {
	enum foreign_protocol protocol;
	const struct image_product *product;
	struct bytes name; /* as it calls itself: foreign_name_ok() */
	const uint8_t *id; /* of that name, if it is known already; else NULL */
	/*
	 * What foreign_token() made of the token that it showed as its own, to be compared; NULL when
	 * something else has shown who it is.  Who `enrols` with one keeps it.
	 */
	const uint8_t *token;
	bool enrols;          /* what it showed lets a device in that is new */
	struct bytes network; /* that a flood of new ones is limited by; n 0: none */
	struct foreign_said said;
	bool no_cancel, undoes; /* see struct foreign_world */
	bool needs_sha1;        /* of the file: nothing is offered before it is known */
	uint64_t now_ms, mono_ms;
};

/* One exchange; the caller owns the memory around it. */
struct foreign_exchange {
	struct job job; /* first; the caller sets job.done */
	struct server *server;
	uint8_t id[ID_LEN];
	enum foreign_protocol protocol;
	uint16_t product;
	char name[FOREIGN_NAME_MAX + 1];
	bool enrols, has_token;
	uint8_t token[TOKEN_LEN];
	struct foreign_said said;
	struct foreign_world world;
	uint64_t tagged; /* the build whose tag is `tag` */
	uint8_t tag;
	fleet_word *word;
	/* Results: at once, or of the job. */
	struct foreign_turn turn; /* turn.next: what is remembered */
	bool is_new;              /* enrolled just now, and told nothing yet */
	struct report report;     /* of the events; n 0: there were none */
};

/* Any thread with a desk. */
WARN_UNUSED int foreign_id(struct desk *d, enum foreign_protocol protocol, const char *product,
	struct bytes name, uint8_t id[ID_LEN]);
/* The same, for who has a MAC of his own. */
WARN_UNUSED int foreign_derive(struct crypto_mac *mac, const struct server *s,
	enum foreign_protocol protocol, const char *product, struct bytes name, uint8_t id[ID_LEN]);
/*
 * The same, and memory of it comes near meanwhile, which takes a microsecond if there are many; of that,
 * foreign_near() is for the second half.
 */
WARN_UNUSED int foreign_expect(struct desk *d, enum foreign_protocol protocol, const char *product,
	struct bytes name, uint8_t id[ID_LEN]);
void foreign_near(struct desk *d, const uint8_t id[ID_LEN]);
/* There is such a device, and it speaks another server's protocol.  Any thread. */
bool foreign_is_known(const struct server *s, const uint8_t id[ID_LEN]);
/* How a device's own token is remembered. */
WARN_UNUSED int foreign_token(struct bytes token, uint8_t out[TOKEN_LEN]);

/*
 * Answers what can be answered from memory, or by reading the store: `*write` is false then, and `out`
 * has the results.  Otherwise it is to be submitted.  ERR_BAD_MAC: unknown and not let in, or the token
 * is not its own, which takes the same time; ERR_TOO_MANY: new ones come too fast; ERR_STORE.
 */
WARN_UNUSED int foreign_begin(
	struct desk *d, const struct foreign_ask *ask, struct foreign_exchange *out, bool *write);
/* Once committed, what job.done() must call first: fleet and counters. */
void foreign_taken(struct foreign_exchange *x);

/*
 * What is remembered of it is committed: polls are answered by it.  `token`: what is kept of its own, or
 * NULL: as it was.  The writer's thread, or the start.  Nothing happens if there is no such device.
 */
void foreign_show(
	struct server *s, const uint8_t id[ID_LEN], const struct foreign *f, const uint8_t *token);

/* In how many seconds it should ask again: soon when it has an action, or is new. */
uint32_t foreign_next_poll_s(struct desk *d, const struct foreign_exchange *x);

/*
 * At the start, if the configuration has any such devices: the secret that ids are derived with, and
 * what each is at.
 */
WARN_UNUSED int foreign_open(struct server *s);
