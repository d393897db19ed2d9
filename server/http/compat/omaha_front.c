/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/omaha_front.h"

#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/address.h"
#include "server/http/compat/exchange.h"
#include "server/http/compat/link.h"
#include "server/http/compat/omaha.h"
#include "server/http/device_private.h"
#include "server/service/digest.h"
#include "server/service/poll.h"

#define TOKEN_MAX 128u
#define DAY_S     86400u

/* What came of an app. */
struct outcome {
	bool unknown, offered;
	uint16_t product;
	uint64_t build;
	uint32_t poll_s;
};

struct omaha_call {
	struct exchange e; /* first */
	struct outcome outcome[OMAHA_APPS_MAX];
	size_t n_begun;              /* apps whose turn has come */
	const struct omaha_app *app; /* the last of them; NULL: nobody speaks for it */
	size_t said;                 /* of its events; one more: it has been asked for, too */
	char token[TOKEN_MAX];
	size_t token_n;
	char base[LINK_BASE_MAX];     /* https://host */
	struct omaha_request request; /* last: large, and not cleared */
};

/* ---- answers ---- */

struct offer {
	struct omaha_update update;
	struct buf codebase, package;
	uint8_t sha1[SHA1_LEN];
};

static struct bytes without_braces(const char *id)
{
	size_t n = strlen(id);

	return n > 2 && id[0] == '{' && id[n - 1] == '}' ? bytes_of((const uint8_t *)id + 1, n - 2)
							 : bytes_str(id);
}

/* Some write an id with braces, some without. */
static const struct tenant *find_tenant(const struct tenants *all, const char *id)
{
	struct bytes wanted = without_braces(id);
	const struct tenant *t;

	for (size_t i = 0; (t = tenants_at(all, FOREIGN_OMAHA, i)) != NULL; i++) {
		struct bytes have = without_braces(t->config->name);
		if (have.n == wanted.n &&
			strncasecmp((const char *)have.p, (const char *)wanted.p, have.n) == 0)
			return t;
	}
	return NULL;
}

/* False: there is nothing to describe now, or it cannot be. */
static bool describe(struct omaha_call *c, size_t i, struct offer *o)
{
	struct desk *d = device_desk(c->e.call);
	const struct outcome *out = &c->outcome[i];
	const struct tenant *t = find_tenant(d->image->settings.tenants, c->request.app[i].id);
	const struct image_product *p = image_number(d->image, out->product);
	const struct image_build *b = p == NULL ? NULL : image_build(p, out->build);

	if (!out->offered || t == NULL || b == NULL || !b->has_file || b->stopped ||
		!digests_sha1(d->server->digests, b->sha256, o->sha1))
		return false;
	link_folder(&o->codebase, c->base, b->sha256);
	buf_printf(&o->package, "%s%s", b->name, t->config->suffix);
	o->update = (struct omaha_update){
		.version = b->name,
		.codebase = buf_text(&o->codebase),
		.package = buf_text(&o->package),
		.size = b->length,
		.sha1 = o->sha1,
		.sha256 = b->sha256,
	};
	return true;
}

static void answer(struct exchange *e)
{
	struct omaha_call *c = (struct omaha_call *)e;
	struct offer offer[OMAHA_APPS_MAX] = { 0 };
	struct omaha_answer a[OMAHA_APPS_MAX] = { 0 };
	struct buf body = { 0 };

	for (size_t i = 0; i < c->request.n_apps; i++)
		a[i] = (struct omaha_answer){
			.unknown = c->outcome[i].unknown,
			.update = describe(c, i, &offer[i]) ? &offer[i].update : NULL,
			.poll_s = c->outcome[i].poll_s,
		};
	omaha_write(&body, &c->request, a, (uint32_t)(clock_ms() / 1000 % DAY_S));
	exchange_reply(e->call, "text/xml; charset=utf-8", &body);
	for (size_t i = 0; i < c->request.n_apps; i++) {
		buf_release(&offer[i].codebase);
		buf_release(&offer[i].package);
	}
}

/* ---- what it says ---- */

/* -1: nothing that counts. */
static const int words[OMAHA_WORD__COUNT] = {
	[OMAHA_NOTHING] = -1,
	[OMAHA_PROGRESS] = FOREIGN_PROGRESS,
	[OMAHA_DOWNLOADED] = FOREIGN_DOWNLOADED,
	[OMAHA_INSTALLED] = FOREIGN_DONE,
	[OMAHA_BOOTED] = FOREIGN_BOOTED,
	[OMAHA_FAILED] = FOREIGN_FAILURE,
	[OMAHA_UNREACHED] = -1,
	[OMAHA_ROLLED_BACK] = FOREIGN_ROLLED_BACK,
};

/* A device that waits for its reboot says other things, but does not check: only these name a build. */
static void say(struct omaha_call *c, enum foreign_word word)
{
	struct foreign_said *s = &c->e.ask.said;

	*s = (struct foreign_said){ .word = word };
	if ((word != FOREIGN_POLL && word != FOREIGN_BOOTED) || c->app->version[0] == '\0')
		return;
	s->names_build = true;
	s->build = device_build_hash(c->app->version);
}

/* Its events in their order, and then what it asks; false behind that. */
static bool say_next(struct omaha_call *c)
{
	while (c->said < c->app->n_events) {
		int word = words[omaha_said(c->app, &c->app->event[c->said++])];
		if (word >= 0) {
			say(c, (enum foreign_word)word);
			return true;
		}
	}
	if (c->said > c->app->n_events)
		return false;
	c->said++;
	/* Who asks for nothing was heard of; that changes nothing. */
	say(c, c->app->check ? FOREIGN_POLL : FOREIGN_FETCH_CANCEL);
	return true;
}

static void begin_app(struct omaha_call *c)
{
	struct desk *d = device_desk(c->e.call);
	struct outcome *out = &c->outcome[c->n_begun];
	const struct omaha_app *app = &c->request.app[c->n_begun++];
	const struct tenant *t = find_tenant(d->image->settings.tenants, app->id);
	const struct image_product *p = t != NULL ? image_find(d->image, t->config->product) : NULL;
	const char *name = omaha_device(&c->request, app);

	*out = (struct outcome){ .unknown = p == NULL, .poll_s = poll_next_s(d) };
	c->app = p != NULL && foreign_name_ok(bytes_str(name)) ? app : NULL;
	c->said = 0;
	if (c->app == NULL)
		return;
	memcpy(c->e.name, name, strlen(name) + 1); /* foreign_name_ok() */
	c->e.ask.name = bytes_str(c->e.name);
	c->e.product = out->product = p->number;
	c->e.ask.enrols = c->token_n > 0 &&
		tenant_has_gateway(t, bytes_of((const uint8_t *)c->token, c->token_n));
}

/* The next thing there is to say, of this app or of one that follows. */
static bool advance(struct omaha_call *c)
{
	while (c->app == NULL || !say_next(c)) {
		if (c->n_begun == c->request.n_apps)
			return false;
		begin_app(c);
	}
	return true;
}

/* What is installed is not offered again: it waits for its reboot, or will say that it came back. */
static void keep(struct omaha_call *c)
{
	struct outcome *out = &c->outcome[c->n_begun - 1];
	const struct foreign_turn *turn = &c->e.x.turn;

	out->offered = turn->tell == FOREIGN_DEPLOY && turn->next.state != FOREIGN_INSTALLED;
	out->build = turn->next.build;
	out->poll_s = foreign_next_poll_s(device_desk(c->e.call), &c->e.x);
}

/* A device that nobody knows, and may not come in now, is told that there is nothing for it. */
static bool next(struct exchange *e, int *err)
{
	struct omaha_call *c = (struct omaha_call *)e;

	if (*err == ERR_BAD_MAC || *err == ERR_TOO_MANY) {
		*err = 0;
		c->app = NULL;
	} else if (*err != 0) {
		return false;
	} else if (c->said > c->app->n_events) {
		keep(c);
	}
	return advance(c);
}

static const struct exchange_kind omaha = { answer, device_refuse, next };

/* ---- requests ---- */

/* A request that tells of nothing, and that nobody waits for. */
static bool is_background(const struct omaha_request *r)
{
	for (size_t i = 0; i < r->n_apps; i++)
		for (size_t k = 0; k < r->app[i].n_events; k++)
			if (words[omaha_said(&r->app[i], &r->app[i].event[k])] >= 0)
				return false;
	return !r->on_demand;
}

static int open_call(struct http_call *call, struct bytes token, struct omaha_call *c)
{
	int err = omaha_read(call->body, &c->request);

	if (err == ERR_TOO_BIG)
		err = ERR_MALFORMED; /* more than a device can have to say is no request */
	if (err == 0)
		err = link_base(call, c->base);
	memcpy(c->token, token.p, token.n);
	c->token_n = token.n;
	c->e.call = call;
	c->e.kind = &omaha;
	c->e.ask.protocol = FOREIGN_OMAHA;
	c->e.ask.network = bytes_of(c->e.network, address_network(call->peer, c->e.network));
	c->e.ask.no_cancel = true;
	c->e.ask.needs_sha1 = true;
	return err;
}

static void serve(struct http_call *call, struct bytes token)
{
	struct omaha_call *c = mem_alloc(sizeof(*c));
	int err;

	memset(c, 0, offsetof(struct omaha_call, request));
	err = open_call(call, token, c);
	if (err != 0) {
		device_refuse(call, err);
	} else if (!is_background(&c->request) || !device_sheds(call, SHED_BACKGROUND)) {
		if (advance(c)) {
			exchange_begin(&c->e);
			return;
		}
		answer(&c->e);
	}
	free(c);
}

static void update(struct http_call *call)
{
	if (device_desk(call)->image == NULL)
		http_reply_error(call, 503);
	else
		serve(call, bytes_of((const uint8_t *)"", 0));
}

/* "TOKEN/v1/update/", with or without the last slash. */
static bool read_token(struct bytes path, struct bytes *token)
{
	static const char behind[] = "/v1/update";
	size_t n = path.n > 0 && path.p[path.n - 1] == '/' ? path.n - 1 : path.n;

	if (n < strlen(behind))
		return false;
	*token = bytes_of(path.p, n - strlen(behind));
	return memcmp(path.p + token->n, behind, strlen(behind)) == 0 && token->n > 0 &&
		token->n <= TOKEN_MAX && memchr(token->p, '/', token->n) == NULL;
}

static void update_with_token(struct http_call *call)
{
	struct desk *d = device_desk(call);
	struct bytes token;

	if (d->image == NULL)
		http_reply_error(call, 503);
	else if (!read_token(call->rest, &token))
		http_reply_error(call, 404);
	else if (tenants_opened(d->image->settings.tenants, FOREIGN_OMAHA, token) == NULL)
		device_refuse(call, ERR_BAD_MAC);
	else
		serve(call, token);
}

const struct http_route omaha_routes[OMAHA_ROUTES] = {
	{ "POST", "/v1/update", false, XML_BYTES_MAX, update },
	{ "POST", "/v1/update/", false, XML_BYTES_MAX, update },
	{ "POST", "/omaha/", true, XML_BYTES_MAX, update_with_token },
};
