/* SPDX-License-Identifier: Apache-2.0 */
/* Who a device of Mender is: it signs what it says of itself, and gets a token for it. */
#include <stdlib.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/compat/mender_private.h"
#include "server/http/device_private.h"

static void answer(struct exchange *e)
{
	struct bearer bearer = {
		.product = e->product,
		.issued_s = (uint32_t)(e->ask.now_ms / 1000),
	};
	char text[BEARER_LEN + 1];
	struct bytes part;
	struct http_answer answer = {
		.status = 200, .type = "text/plain", .part = &part, .n_parts = 1
	};
	int err;

	memcpy(bearer.id, e->x.id, ID_LEN);
	err = bearer_write(device_desk(e->call), &bearer, text);
	part = bytes_of(text, BEARER_LEN);
	if (err != 0)
		exchange_refuse(e->call, err);
	else
		http_reply(e->call, &answer);
}

static const struct exchange_kind authentication = { answer, exchange_refuse, NULL };

static bool is_here(struct desk *d, const struct image_product *p, const char *name)
{
	uint8_t id[ID_LEN];

	return foreign_id(d, FOREIGN_MENDER, p->name, bytes_str(name), id) == 0 &&
		foreign_is_known(d->server, id);
}

/*
 * The product that its tenant token opens; without one the product that a device of its name is here
 * of.  A name may be a device's of each product.
 */
static const struct image_product *product_of(
	struct desk *d, const struct mender_auth *a, bool *enrols)
{
	const struct tenants *tenants = d->image->settings.tenants;
	const struct image_product *found = NULL;
	const struct tenant *t;
	unsigned best = 0;

	for (size_t i = 0; (t = tenants_at(tenants, FOREIGN_MENDER, i)) != NULL; i++) {
		const struct image_product *p = image_find(d->image, t->config->product);
		bool opens = tenant_has_gateway(t, buf_bytes(&a->token));
		unsigned rank = p == NULL ? 0 : 2u * opens + is_here(d, p, a->name);
		if (rank <= best)
			continue;
		best = rank;
		found = p;
	}
	*enrols = best >= 2;
	return found;
}

static void begin(struct http_call *call, const struct mender_auth *a)
{
	struct exchange *e;
	bool enrols;
	const struct image_product *p = product_of(device_desk(call), a, &enrols);

	if (p == NULL) {
		exchange_refuse(call, ERR_BAD_MAC);
		return;
	}
	e = mem_zalloc(sizeof(*e));
	e->call = call;
	e->kind = &authentication;
	e->product = p->number;
	memcpy(e->name, a->name, sizeof(e->name));
	memcpy(e->token, a->key, TOKEN_LEN); /* a hash already: as an import writes it */
	e->ask = (struct foreign_ask){
		.protocol = FOREIGN_MENDER,
		.name = bytes_str(e->name),
		.token = e->token,
		.enrols = enrols,
		.network = bytes_of(e->network, address_network(call->peer, e->network)),
		.said = { .word = FOREIGN_HELLO },
		.undoes = true,
	};
	exchange_begin(e);
}

/* Verifying costs more than all else: under load, devices come again for it. */
void mender_authenticate(struct http_call *call)
{
	struct mender_auth a;
	int err;

	if (device_desk(call)->image == NULL) {
		http_reply_error(call, 503);
		return;
	}
	if (device_sheds(call, SHED_ENROL))
		return;
	err = mender_read_auth(call->body, http_header(call, "X-MEN-Signature"), &a);
	if (err == 0)
		begin(call, &a);
	else
		exchange_refuse(
			call, err == ERR_BAD_KEY || err == ERR_BAD_SIGNATURE ? ERR_BAD_MAC : err);
	mender_auth_release(&a);
}
