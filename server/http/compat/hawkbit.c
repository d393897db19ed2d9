/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/hawkbit.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/address.h"
#include "server/http/compat/ddi.h"
#include "server/http/compat/exchange.h"
#include "server/http/compat/link.h"
#include "server/http/device_private.h"
#include "server/service/digest.h"
#include "server/service/foreign.h"

#define BODY_MAX (192u * 1024) /* 48 lines of a log of 2 KiB each, and what is around them */
#define BASE_MAX 1600u

struct ddi_call {
	struct exchange e; /* first */
	uint8_t id[ID_LEN];
	enum ddi_resource resource;
	int err; /* what it says cannot be understood */
	char tenant[64];
	char base[BASE_MAX];
};

/* ---- answers ---- */

static const char json[] = "application/json";

static void reply_base(struct ddi_call *c)
{
	struct buf body = { 0 };
	struct ddi_links links = {
		.base = c->base,
		.tell = c->e.x.turn.tell,
		.action = c->e.x.turn.next.action,
		.wants = c->e.x.turn.wants,
		.sleep_s = foreign_next_poll_s(device_desk(c->e.call), &c->e.x),
	};

	ddi_write_base(&body, &links);
	exchange_reply(c->e.call, json, &body);
}

static void reply_deployment(struct ddi_call *c)
{
	struct desk *d = device_desk(c->e.call);
	const struct image_product *p = image_number(d->image, c->e.product);
	const struct image_build *b = p == NULL ? NULL : image_build(p, c->e.x.turn.next.build);
	const struct tenant *t =
		tenants_find(d->image->settings.tenants, FOREIGN_DDI, bytes_str(c->tenant));
	uint8_t sha1[SHA1_LEN];
	struct buf body = { 0 };

	if (b == NULL || !b->has_file || t == NULL) {
		http_reply_error(c->e.call, 404);
		return;
	}
	if (!digests_sha1(d->server->digests, b->sha256, sha1)) {
		http_reply_error(c->e.call, 503); /* after a start, for a moment */
		return;
	}
	struct ddi_deployment deployment = {
		.base = c->base,
		.action = c->e.x.turn.next.action,
		.product = p->name,
		.build = b->name,
		.suffix = t->config->suffix,
		.sha256 = b->sha256,
		.sha1 = sha1,
		.length = b->length,
	};
	ddi_write_deployment(&body, &deployment);
	exchange_reply(c->e.call, json, &body);
}

static void reply_cancel(struct ddi_call *c)
{
	struct buf body = { 0 };

	ddi_write_cancel(&body, c->e.x.turn.next.action);
	exchange_reply(c->e.call, json, &body);
}

static void answer(struct exchange *e)
{
	struct ddi_call *c = (struct ddi_call *)e;
	enum foreign_tell tell = c->e.x.turn.tell;

	if (c->err != 0)
		exchange_refuse(c->e.call, c->err);
	else if (c->resource == DDI_BASE)
		reply_base(c);
	else if (tell == FOREIGN_GONE)
		http_reply_error(c->e.call, 410);
	else if (tell == FOREIGN_UNKNOWN)
		http_reply_error(c->e.call, 404);
	else if (c->resource == DDI_DEPLOYMENT)
		reply_deployment(c);
	else if (c->resource == DDI_CANCEL)
		reply_cancel(c);
	else
		exchange_status(c->e.call, 200); /* swupdate takes exactly this for "well" */
}

static const struct exchange_kind ddi = { answer, exchange_refuse, NULL };

/* ---- who asks ---- */

/* "GatewayToken abc": the word, in any case, and what is behind it. */
static bool has_scheme(struct bytes header, const char *scheme, struct bytes *token)
{
	size_t n = strlen(scheme);

	if (header.n <= n || strncasecmp((const char *)header.p, scheme, n) != 0 ||
		header.p[n] != ' ')
		return false;
	*token = bytes_of(header.p + n, header.n - n);
	while (token->n > 0 && token->p[0] == ' ')
		*token = bytes_of(token->p + 1, token->n - 1);
	return token->n > 0;
}

/* Whoever signs certificates lets in those whom they name. */
static bool is_certified(struct http_call *call, struct ddi_call *c)
{
	char name[FOREIGN_NAME_MAX + 2];

	c->e.ask.enrols =
		http_client_name(call, name, sizeof(name)) && strcmp(name, c->e.name) == 0;
	return c->e.ask.enrols;
}

static int authenticate(struct http_call *call, const struct tenant *t, struct ddi_call *c)
{
	struct bytes header = http_header(call, "Authorization"), token;

	if (has_scheme(header, "GatewayToken", &token)) {
		c->e.ask.enrols = tenant_has_gateway(t, token);
		return c->e.ask.enrols ? 0 : ERR_BAD_MAC;
	}
	if (t->config->target_tokens && has_scheme(header, "TargetToken", &token)) {
		c->e.ask.token = c->e.token;
		return foreign_token(token, c->e.token);
	}
	return header.n == 0 && t->config->certificates && is_certified(call, c) ? 0 : ERR_BAD_MAC;
}

/* Where the device's resources are. */
static int make_base(
	struct http_call *call, const struct tenant *t, struct bytes spelt, char out[BASE_MAX])
{
	char host[LINK_BASE_MAX];
	int err = link_base(call, host);
	int n = err != 0 ? 0
			 : snprintf(out, BASE_MAX, "%s/%s/controller/v1/%.*s", host,
				   t->config->name, (int)spelt.n, (const char *)spelt.p);

	return n < (int)BASE_MAX ? err : ERR_TOO_BIG;
}

static int identify(struct http_call *call, const struct ddi_path *path, const struct tenant *t,
	struct ddi_call *c)
{
	struct desk *d = device_desk(call);
	const struct image_product *p = image_find(d->image, t->config->product);
	int err;

	if (p == NULL)
		return ERR_NOT_FOUND;
	memcpy(c->e.name, path->name, sizeof(c->e.name));
	err = foreign_expect(d, FOREIGN_DDI, p->name, bytes_str(c->e.name), c->id);
	if (err == 0)
		err = authenticate(call, t, c);
	foreign_near(d, c->id);
	if (err == 0)
		err = make_base(call, t, path->spelt, c->base);
	if (err != 0)
		return err;
	c->e.ask.id = c->id;
	c->e.product = p->number;
	memcpy(c->tenant, t->config->name, strlen(t->config->name) + 1); /* name_ok() */
	c->e.ask.protocol = FOREIGN_DDI;
	c->e.ask.name = bytes_str(c->e.name);
	c->e.ask.network = bytes_of(c->e.network, address_network(call->peer, c->e.network));
	c->e.ask.needs_sha1 = true;
	return 0;
}

/* ---- what it says ---- */

/* What cannot be read names nothing: who is answered with an error sends it for ever. */
static void read_attributes(struct http_call *call, const struct tenant *t, struct foreign_said *s)
{
	struct buf build = { 0 };

	s->word = FOREIGN_ATTRIBUTES;
	s->names_build = ddi_read_attribute(call->body, t->config->version, &build);
	if (s->names_build)
		s->build = device_build_hash(buf_text(&build));
	buf_release(&build);
}

static int read_said(struct http_call *call, const struct ddi_path *path, const struct tenant *t,
	struct foreign_said *s)
{
	s->action = path->action;
	switch (path->resource) {
	case DDI_CONFIG_DATA:
		read_attributes(call, t, s);
		break;
	case DDI_DEPLOYMENT:
		s->word = FOREIGN_FETCH;
		break;
	case DDI_DEPLOYMENT_FEEDBACK:
		return ddi_read_feedback(call->body, &s->word);
	case DDI_CANCEL:
		s->word = FOREIGN_FETCH_CANCEL;
		break;
	case DDI_CANCEL_FEEDBACK:
		return ddi_read_cancel(call->body, &s->word);
	case DDI_BASE:
	case DDI_ARTIFACT:
		s->word = FOREIGN_POLL;
		break;
	}
	return 0;
}

/* What says nothing is refused when it is known who says it. */
static void converse(struct http_call *call, const struct ddi_path *path, const struct tenant *t)
{
	struct ddi_call *c = mem_zalloc(sizeof(*c));
	int err = identify(call, path, t, c);

	if (err != 0) {
		exchange_refuse(call, err);
		free(c);
		return;
	}
	c->e.call = call;
	c->e.kind = &ddi;
	c->resource = path->resource;
	c->err = read_said(call, path, t, &c->e.ask.said);
	if (c->err != 0)
		c->e.ask.said.word = FOREIGN_FETCH_CANCEL; /* which changes nothing */
	exchange_begin(&c->e);
}

static void serve(struct http_call *call, const char *method)
{
	struct desk *d = device_desk(call);
	const struct tenant *t;
	struct ddi_path path;

	if (d->image == NULL) {
		http_reply_error(call, 503);
		return;
	}
	if (!ddi_read_path(call->rest, method, &path) || !foreign_name_ok(bytes_str(path.name))) {
		http_reply_error(call, 404);
		return;
	}
	t = tenants_find(d->image->settings.tenants, FOREIGN_DDI, path.tenant);
	if (t == NULL)
		http_reply_error(call, 404);
	else if (path.resource == DDI_ARTIFACT)
		device_send_artifact(call, path.file, true);
	else
		converse(call, &path, t);
}

static void get(struct http_call *call)
{
	serve(call, "GET");
}

static void put(struct http_call *call)
{
	serve(call, "PUT");
}

static void post(struct http_call *call)
{
	serve(call, "POST");
}

const struct http_route hawkbit_routes[HAWKBIT_ROUTES] = {
	{ "GET", "/", true, 0, get },
	{ "PUT", "/", true, BODY_MAX, put },
	{ "POST", "/", true, BODY_MAX, post },
};
