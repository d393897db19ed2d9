/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of a foreign device on its way through service/foreign.h: at once, or after the commit,
 * and then in the image that is served by then.
 */
#pragma once

#include "server/http/address.h"
#include "server/http/http.h"
#include "server/service/foreign.h"

struct exchange;

/* What a protocol does with it. */
struct exchange_kind {
	/* All was said: e->x.turn is what to answer with. */
	void (*answer)(struct exchange *e);
	/* Answers that it cannot be served. */
	void (*refuse)(struct http_call *call, int err);
	/*
	 * A request may say several things, of several devices.  Called after each; `*err` is what became
	 * of it, and 0 put there answers all the same.  True: e->ask is the next of them.  NULL: it says one.
	 */
	bool (*next)(struct exchange *e, int *err);
};

/*
 * A request with all of it that its answer needs: the call's own bytes are gone by then.  Zeroed by
 * mem_zalloc(), as the first member of what the protocol adds; filled in; exchange_begin() frees it.
 */
struct exchange {
	struct foreign_exchange x; /* first: its job is what the writer has */
	struct http_call *call;
	const struct exchange_kind *kind;
	struct foreign_ask
		ask; /* name, token and network are those below; product and times are set */
	uint16_t product;
	char name[FOREIGN_NAME_MAX + 1];
	uint8_t token[TOKEN_LEN], network[ADDRESS_NETWORK];
	unsigned tries;
};

void exchange_begin(struct exchange *e);

/* ---- answers that protocols have in common ---- */

void exchange_status(struct http_call *call, unsigned status);
/* 200 and what is in `body`, which is released. */
void exchange_reply(struct http_call *call, const char *type, struct buf *body);
/* Who it is that asks is not known, 401 without a word; else what device_refuse() says. */
void exchange_refuse(struct http_call *call, int err);
