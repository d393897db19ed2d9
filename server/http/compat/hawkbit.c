/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/hawkbit.h"

#include <stdlib.h>
#include <strings.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/address.h"
#include "server/http/compat/ddi.h"
#include "server/http/device_private.h"
#include "server/metrics/metrics.h"
#include "server/service/digest.h"
#include "server/service/foreign.h"

#define BODY_MAX (192u * 1024) /* 48 lines of a log of 2 KiB each, and what is around them */
#define HOST_MAX 255u
#define BASE_MAX 1200u
#define TRIES    3u /* an offer, and what is left of it by then */

/* A request with all of it that its answer needs: the call's own bytes are gone by then. */
struct ddi_call {
	struct foreign_exchange x; /* first: its job is what the writer has */
	struct http_call *call;
	struct foreign_ask ask; /* name and token are those below */
	uint16_t product;
	char name[FOREIGN_NAME_MAX + 1];
	uint8_t token[TOKEN_LEN], network[ADDRESS_NETWORK];
	enum ddi_resource resource;
	unsigned tries;
	int err; /* what it says cannot be understood */
	char tenant[64];
	char base[BASE_MAX];
};

/* ---- answers ---- */

static void reply_json(struct http_call *call, struct buf *body)
{
	struct bytes part = buf_bytes(body);
	struct http_answer answer = {
		.status = 200, .type = "application/json", .part = &part, .n_parts = 1
	};

	http_reply(call, &answer);
	buf_release(body);
}

/* What swupdate takes for "well": exactly this. */
static void reply_empty(struct http_call *call)
{
	struct http_answer answer = { .status = 200 };

	http_reply(call, &answer);
}

/* hawkBit says 401 without a word. */
static void refuse(struct http_call *call, int err)
{
	struct http_answer answer = { .status = 401 };

	if (err != ERR_BAD_MAC) {
		device_refuse(call, err);
		return;
	}
	metric_add(METRIC_REFUSED_UNAUTHORISED, 1);
	http_reply(call, &answer);
}

static void reply_base(struct ddi_call *c)
{
	struct buf body = { 0 };
	struct ddi_links links = {
		.base = c->base,
		.tell = c->x.turn.tell,
		.action = c->x.turn.next.action,
		.wants = c->x.turn.wants,
		.sleep_s = foreign_next_poll_s(device_desk(c->call), &c->x),
	};

	ddi_write_base(&body, &links);
	reply_json(c->call, &body);
}

static void reply_deployment(struct ddi_call *c)
{
	struct desk *d = device_desk(c->call);
	const struct image_product *p = image_number(d->image, c->product);
	const struct image_build *b = p == NULL ? NULL : image_build(p, c->x.turn.next.build);
	const struct tenant *t = tenants_hawkbit(d->image->settings.tenants, bytes_str(c->tenant));
	uint8_t sha1[SHA1_LEN];
	struct buf body = { 0 };

	if (b == NULL || !b->has_file || t == NULL) {
		http_reply_error(c->call, 404);
		return;
	}
	if (!digests_sha1(d->server->digests, b->sha256, sha1)) {
		http_reply_error(c->call, 503); /* after a start, for a moment */
		return;
	}
	struct ddi_deployment deployment = {
		.base = c->base,
		.action = c->x.turn.next.action,
		.product = p->name,
		.build = b->name,
		.suffix = t->config->suffix,
		.sha256 = b->sha256,
		.sha1 = sha1,
		.length = b->length,
	};
	ddi_write_deployment(&body, &deployment);
	reply_json(c->call, &body);
}

static void reply_cancel(struct ddi_call *c)
{
	struct buf body = { 0 };

	ddi_write_cancel(&body, c->x.turn.next.action);
	reply_json(c->call, &body);
}

static void answer(struct ddi_call *c)
{
	enum foreign_tell tell = c->x.turn.tell;

	if (c->err != 0)
		refuse(c->call, c->err);
	else if (c->resource == DDI_BASE)
		reply_base(c);
	else if (tell == FOREIGN_GONE)
		http_reply_error(c->call, 410);
	else if (tell == FOREIGN_UNKNOWN)
		http_reply_error(c->call, 404);
	else if (c->resource == DDI_DEPLOYMENT)
		reply_deployment(c);
	else if (c->resource == DDI_CANCEL)
		reply_cancel(c);
	else
		reply_empty(c->call);
}

/* ---- the exchange ---- */

static void begin(struct ddi_call *c);

/*
 * A poll that changed something is answered by what is so now, in the image that is served now: what
 * was offered may have been halted meanwhile.
 */
static void resumed(struct http_call *call, void *arg)
{
	struct ddi_call *c = arg;
	int err = c->x.job.err;
	bool polls = c->resource == DDI_BASE, known = c->x.word != NULL;

	(void)call; /* it is c->call */
	if (err == 0 && polls && !c->x.is_new) {
		begin(c);
		return;
	}
	if (err != 0 && polls && known && err != ERR_BAD_MAC) {
		/* It cannot be written now: what is not remembered is not offered. */
		if (c->x.turn.tell != FOREIGN_CANCEL)
			c->x.turn.tell = FOREIGN_NOTHING;
		err = 0;
	}
	if (err != 0)
		refuse(c->call, err);
	else
		answer(c);
	free(c);
}

static void done(struct job *job)
{
	struct ddi_call *c = (struct ddi_call *)job;

	if (job->err == 0)
		foreign_taken(&c->x);
	http_resume(c->call, resumed, c);
}

/* A deferred call is answered from its own thread, in a moment. */
static void submit(struct ddi_call *c)
{
	struct desk *d = device_desk(c->call);
	int err;

	c->tries++;
	c->x.job.done = done;
	http_defer(c->call);
	err = c->tries > TRIES ? ERR_BUSY : writer_submit(&d->server->writer, &c->x.job);
	if (err == 0)
		return;
	c->x.job.err = err;
	http_resume(c->call, resumed, c);
}

static void begin(struct ddi_call *c)
{
	struct desk *d = device_desk(c->call);
	bool write;
	int err;

	c->ask.product = image_number(d->image, c->product);
	c->ask.now_ms = clock_ms();
	c->ask.mono_ms = clock_mono_ms();
	err = foreign_begin(d, &c->ask, &c->x, &write);
	if (err == 0 && write) {
		if (c->x.word != NULL || !device_sheds(c->call, SHED_ENROL)) {
			submit(c);
			return;
		}
	} else if (err != 0) {
		refuse(c->call, err);
	} else {
		answer(c);
	}
	free(c);
}

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

	c->ask.enrols = http_client_name(call, name, sizeof(name)) && strcmp(name, c->name) == 0;
	return c->ask.enrols;
}

static int authenticate(struct http_call *call, const struct tenant *t, struct ddi_call *c)
{
	struct bytes header = http_header(call, "Authorization"), token;

	if (has_scheme(header, "GatewayToken", &token)) {
		c->ask.enrols = tenant_has_gateway(t, token);
		return c->ask.enrols ? 0 : ERR_BAD_MAC;
	}
	if (t->config->target_tokens && has_scheme(header, "TargetToken", &token)) {
		c->ask.token = c->token;
		return foreign_token(token, c->token);
	}
	return header.n == 0 && t->config->certificates && is_certified(call, c) ? 0 : ERR_BAD_MAC;
}

static bool is_host(struct bytes host)
{
	for (size_t i = 0; i < host.n; i++) {
		uint8_t b = host.p[i];
		if (!((b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') ||
			    (b != '\0' && strchr(".-_:[]", b) != NULL)))
			return false;
	}
	return host.n > 0 && host.n <= HOST_MAX;
}

/* Clients take links as they are: with scheme and host. */
static int make_base(
	struct http_call *call, const struct tenant *t, struct bytes spelt, char out[BASE_MAX])
{
	const char *url = device_desk(call)->image->settings.compat->url;
	struct bytes host = http_header(call, "Host");
	struct buf b = { 0 };
	int err = 0;

	if (*url != '\0')
		buf_str(&b, url);
	else if (is_host(host))
		buf_printf(&b, "%s://%.*s", device_front_of(call)->plain ? "http" : "https",
			(int)host.n, (const char *)host.p);
	else
		err = ERR_MALFORMED;
	buf_printf(
		&b, "/%s/controller/v1/%.*s", t->config->name, (int)spelt.n, (const char *)spelt.p);
	if (err == 0 && b.len >= BASE_MAX)
		err = ERR_TOO_BIG;
	if (err == 0)
		memcpy(out, buf_text(&b), b.len + 1);
	buf_release(&b);
	return err;
}

static int identify(struct http_call *call, const struct ddi_path *path, const struct tenant *t,
	struct ddi_call *c)
{
	struct desk *d = device_desk(call);
	const struct image_product *p = image_find(d->image, t->config->product);
	int err;

	memcpy(c->name, path->name, sizeof(c->name));
	err = authenticate(call, t, c);
	if (err == 0 && p == NULL)
		err = ERR_NOT_FOUND;
	if (err == 0)
		err = make_base(call, t, path->spelt, c->base);
	if (err != 0)
		return err;
	c->product = p->number;
	memcpy(c->tenant, t->config->name, strlen(t->config->name) + 1); /* name_ok() */
	c->ask.protocol = FOREIGN_DDI;
	c->ask.name = bytes_str(c->name);
	c->ask.network = bytes_of(c->network, address_network(call->peer, c->network));
	c->ask.needs_sha1 = true;
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
static void exchange(struct http_call *call, const struct ddi_path *path, const struct tenant *t)
{
	struct ddi_call *c = mem_zalloc(sizeof(*c));
	int err = identify(call, path, t, c);

	if (err != 0) {
		refuse(call, err);
		free(c);
		return;
	}
	c->call = call;
	c->resource = path->resource;
	c->err = read_said(call, path, t, &c->ask.said);
	if (c->err != 0)
		c->ask.said.word = FOREIGN_FETCH_CANCEL; /* which changes nothing */
	begin(c);
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
	t = tenants_hawkbit(d->image->settings.tenants, path.tenant);
	if (t == NULL)
		http_reply_error(call, 404);
	else if (path.resource == DDI_ARTIFACT)
		device_send_artifact(call, path.file, true);
	else
		exchange(call, &path, t);
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
