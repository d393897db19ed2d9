/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/mender.h"

#include <strings.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/compat/mender_private.h"
#include "server/http/device_private.h"

#define AUTH_MAX (16u * 1024)
#define LOG_MAX  (192u * 1024)

/* ---- answers ---- */

/* Whatever is wrong with what it says, it is its fault. */
void mender_refuse_body(struct http_call *call)
{
	device_refuse(call, ERR_MALFORMED);
}

static void answer_empty(struct exchange *e)
{
	exchange_status(e->call, 200);
}

/* ---- who asks ---- */

const struct tenant *mender_tenant(const struct desk *d, const char *product)
{
	const struct tenant *t;
	size_t i = 0;

	while ((t = tenants_at(d->image->settings.tenants, FOREIGN_MENDER, i)) != NULL &&
		strcmp(t->config->product, product) != 0)
		i++;
	return t;
}

static bool read_bearer(struct http_call *call, struct bearer *b)
{
	static const char scheme[] = "Bearer ";
	struct desk *d = device_desk(call);
	struct bytes header = http_header(call, "Authorization");
	size_t n = strlen(scheme);

	return header.n > n && strncasecmp((const char *)header.p, scheme, n) == 0 &&
		bearer_read(d, bytes_of(header.p + n, header.n - n), clock_ms() / 1000, b);
}

/* Whose token it shows; NULL: it is answered. */
const struct image_product *mender_recognise(struct http_call *call, struct bearer *b)
{
	struct desk *d = device_desk(call);
	const struct image_product *p = NULL;

	if (d->image == NULL) {
		http_reply_error(call, 503);
		return NULL;
	}
	if (read_bearer(call, b))
		p = image_number(d->image, b->product);
	if (p != NULL && mender_tenant(d, p->name) != NULL && foreign_is_known(d->server, b->id))
		return p;
	exchange_refuse(call, ERR_BAD_MAC);
	return NULL;
}

/* The device's own; what it says is to be filled in. */
struct mender_call *mender_new_call(
	struct http_call *call, const struct bearer *b, const struct exchange_kind *kind)
{
	struct mender_call *c = mem_zalloc(sizeof(*c));

	memcpy(c->id, b->id, ID_LEN);
	c->e.call = call;
	c->e.kind = kind;
	c->e.product = b->product;
	c->e.ask.protocol = FOREIGN_MENDER;
	c->e.ask.id = c->id;
	c->e.ask.undoes = true;
	return c;
}

void mender_names_build(struct foreign_said *said, const char *artifact_name)
{
	said->names_build = *artifact_name != '\0';
	said->build = said->names_build ? device_build_hash(artifact_name) : 0;
}

/* ---- the rest ---- */

static const struct exchange_kind inventory_kind = { answer_empty, exchange_refuse, NULL };

static void take_inventory(struct http_call *call)
{
	struct mender_inventory inventory;
	struct mender_call *c;
	struct bearer bearer;

	if (mender_recognise(call, &bearer) == NULL)
		return;
	if (mender_read_inventory(call->body, &inventory) != 0) {
		mender_refuse_body(call);
		return;
	}
	c = mender_new_call(call, &bearer, &inventory_kind);
	c->e.ask.said.word = FOREIGN_ATTRIBUTES;
	mender_names_build(&c->e.ask.said, inventory.artifact_name);
	exchange_begin(&c->e);
}

#define API "/api/devices/"
const struct http_route mender_routes[MENDER_ROUTES] = {
	{ "POST", API "v1/authentication/auth_requests", false, AUTH_MAX, mender_authenticate },
	{ "PUT", API "v1/inventory/device/attributes", false, MENDER_BODY_MAX, take_inventory },
	{ "PATCH", API "v1/inventory/device/attributes", false, MENDER_BODY_MAX, take_inventory },
	{ "POST", API "v2/deployments/device/deployments/next", false, MENDER_BODY_MAX,
		mender_post_next },
	{ "POST", API "v1/deployments/device/deployments/next", false, MENDER_BODY_MAX,
		mender_post_next },
	{ "GET", API "v1/deployments/device/deployments/next", false, 0, mender_get_next },
	{ "PUT", API "v1/deployments/device/deployments/", true, LOG_MAX, mender_put_deployment },
	{ "GET", API "v2/deployments/device/deployments/", true, 0, mender_get_control },
};
