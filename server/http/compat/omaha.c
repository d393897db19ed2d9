/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/omaha.h"

#include <stddef.h>
#include <stdlib.h>

#include "proto/base64.h"

#define SHA1_LEN     20u
#define CODE_BITS    0x0fffffffu /* of an error; the others say how the device was set up */
#define NO_VERSION   "0.0.0.0"   /* before the first update of all */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- read ---- */

struct reading {
	struct omaha_request *out;
	struct omaha_app *app; /* whose elements these are */
};

/* An attribute, and the OMAHA_TEXT bytes at an offset that it goes to. */
struct field {
	const char *name;
	size_t at;
};

static const struct field of_request[] = {
	{ "userid", offsetof(struct omaha_request, user_id) },
	{ "sessionid", offsetof(struct omaha_request, session_id) },
};
static const struct field of_app[] = {
	{ "appid", offsetof(struct omaha_app, id) },
	{ "version", offsetof(struct omaha_app, version) },
	{ "track", offsetof(struct omaha_app, track) },
	{ "board", offsetof(struct omaha_app, board) },
	{ "machineid", offsetof(struct omaha_app, machine_id) },
	{ "bootid", offsetof(struct omaha_app, boot_id) },
};
static const struct field of_event[] = {
	{ "previousversion", offsetof(struct omaha_event, previous) },
};

static int read_texts(const struct xml_element *e, const struct field *field, size_t n, void *to)
{
	for (size_t i = 0; i < n; i++) {
		const char *value = xml_attribute(e, field[i].name);
		size_t len = value != NULL ? strlen(value) : 0;
		if (len >= OMAHA_TEXT)
			return ERR_TOO_BIG;
		if (value != NULL)
			memcpy((char *)to + field[i].at, value, len + 1);
	}
	return 0;
}

/* Errors may be below zero. */
static uint32_t number(const struct xml_element *e, const char *name)
{
	const char *value = xml_attribute(e, name);
	char *end;
	long long n;

	if (value == NULL || (value[0] != '-' && (value[0] < '0' || value[0] > '9')))
		return OMAHA_UNSAID;
	n = strtoll(value, &end, 10);
	if (*end != '\0' || end[-1] == '-' || n < INT32_MIN || n >= UINT32_MAX)
		return OMAHA_UNSAID;
	return (uint32_t)n;
}

static int read_event(struct omaha_app *app, const struct xml_element *e)
{
	uint32_t error = number(e, "errorcode");
	struct omaha_event *event;

	if (app->n_events == OMAHA_EVENTS_MAX)
		return ERR_TOO_BIG;
	event = &app->event[app->n_events++];
	memset(event, 0, sizeof(*event));
	event->type = number(e, "eventtype");
	event->result = number(e, "eventresult");
	event->error = error == OMAHA_UNSAID ? 0 : error & CODE_BITS;
	return read_texts(e, of_event, COUNT(of_event), event);
}

static int read_request(struct reading *r, const struct xml_element *e)
{
	const char *protocol = xml_attribute(e, "protocol");
	const char *source = xml_attribute(e, "installsource");

	if (strcmp(e->name, "request") != 0)
		return ERR_MALFORMED;
	if (protocol == NULL || protocol[0] != '3' || (protocol[1] != '.' && protocol[1] != '\0'))
		return ERR_WRONG_TYPE;
	r->out->on_demand = source != NULL && strcmp(source, "ondemandupdate") == 0;
	return read_texts(e, of_request, COUNT(of_request), r->out);
}

static int read_app(struct reading *r, const struct xml_element *e)
{
	int err;

	r->app = NULL;
	if (strcmp(e->name, "app") != 0)
		return 0;
	if (r->out->n_apps == OMAHA_APPS_MAX)
		return ERR_TOO_BIG;
	r->app = &r->out->app[r->out->n_apps++];
	memset(r->app, 0, offsetof(struct omaha_app, event));
	err = read_texts(e, of_app, COUNT(of_app), r->app);
	if (err != 0)
		return err;
	return r->app->id[0] != '\0' ? 0 : ERR_MISSING_FIELD;
}

static int on_open(void *user, const struct xml_element *e)
{
	struct reading *r = user;

	if (e->depth == 0)
		return read_request(r, e);
	if (e->depth == 1)
		return read_app(r, e);
	if (e->depth > 2 || r->app == NULL)
		return 0;
	if (strcmp(e->name, "event") == 0)
		return read_event(r->app, e);
	r->app->ping = r->app->ping || strcmp(e->name, "ping") == 0;
	r->app->check = r->app->check || strcmp(e->name, "updatecheck") == 0;
	return 0;
}

int omaha_read(struct bytes body, struct omaha_request *out)
{
	struct reading r = { .out = out };
	struct xml_reader reader = { .open = on_open, .user = &r };

	memset(out, 0,
		offsetof(struct omaha_request, app)); /* the rest is large, and mostly not used */
	return xml_read(body, XML_BYTES_MAX, &reader);
}

const char *omaha_device(const struct omaha_request *r, const struct omaha_app *app)
{
	return app->machine_id[0] != '\0' ? app->machine_id : r->user_id;
}

/* ---- events ---- */

static const struct {
	uint32_t type, result;
	enum omaha_word word;
} meaning[] = {
	{ 5, 1, OMAHA_PROGRESS },
	{ 13, 1, OMAHA_PROGRESS },
	{ 1, 1, OMAHA_DOWNLOADED },
	{ 14, 1, OMAHA_DOWNLOADED },
	{ 6, 1, OMAHA_PROGRESS },
	{ 2, 1, OMAHA_INSTALLED },
	{ 2, 2, OMAHA_INSTALLED },
	{ 3, 1, OMAHA_INSTALLED },
	{ 800, 1, OMAHA_INSTALLED },
	{ 3, 2, OMAHA_BOOTED },
	{ 54, 1, OMAHA_BOOTED }, /* ChromiumOS' */
	{ 1, 0, OMAHA_UNREACHED },
	{ 5, 0, OMAHA_UNREACHED },
	{ 13, 0, OMAHA_UNREACHED },
	{ 14, 0, OMAHA_UNREACHED },
	{ 2, 0, OMAHA_FAILED },
	{ 3, 0, OMAHA_FAILED },
	{ 6, 0, OMAHA_FAILED },
};

/* What else an error of "3/0" may mean, from first to last. */
static const struct {
	uint32_t first, last;
	enum omaha_word word;
} error_meaning[] = {
	{ 2, 3, OMAHA_UNREACHED },       /* a request, or what was answered */
	{ 9, 9, OMAHA_UNREACHED },       /* the transfer */
	{ 30, 31, OMAHA_UNREACHED },     /* the response is empty, or no XML */
	{ 34, 34, OMAHA_UNREACHED },     /* it was not understood */
	{ 35, 36, OMAHA_NOTHING },       /* it may not, or waits for its turn */
	{ 37, 37, OMAHA_UNREACHED },     /* an HTTP status */
	{ 40, 40, OMAHA_NOTHING },       /* it waits after failures told of before */
	{ 44, 44, OMAHA_ROLLED_BACK },   /* Flatcar's */
	{ 2000, 2999, OMAHA_UNREACHED }, /* 2000 and an HTTP status */
};

static bool is_boot(const struct omaha_app *app, const struct omaha_event *e)
{
	return e->previous[0] != '\0' && strcmp(e->previous, NO_VERSION) != 0 &&
		strcmp(e->previous, app->version) != 0;
}

static enum omaha_word failed(const struct omaha_event *e)
{
	for (size_t i = 0; i < COUNT(error_meaning); i++)
		if (e->error >= error_meaning[i].first && e->error <= error_meaning[i].last)
			return error_meaning[i].word;
	return OMAHA_FAILED;
}

enum omaha_word omaha_said(const struct omaha_app *app, const struct omaha_event *e)
{
	enum omaha_word word = OMAHA_NOTHING;

	for (size_t i = 0; i < COUNT(meaning); i++)
		if (e->type == meaning[i].type && e->result == meaning[i].result)
			word = meaning[i].word;
	if (word == OMAHA_FAILED && e->type == 3)
		return failed(e);
	if (word == OMAHA_BOOTED && !is_boot(app, e))
		return OMAHA_NOTHING;
	return word;
}

/* ---- write ---- */

static void write_base64(struct buf *out, const char *name, const uint8_t *p, size_t n)
{
	char text[BASE64_LEN(SHA256_LEN) + 1];

	if (p == NULL)
		return;
	text[base64_write(bytes_of(p, n), text)] = '\0';
	xml_write(out, name, text);
}

static void write_update(struct buf *out, const struct omaha_update *u)
{
	buf_str(out, "<urls><url");
	xml_write(out, "codebase", u->codebase);
	buf_str(out, "/></urls><manifest");
	xml_write(out, "version", u->version);
	buf_str(out, "><packages><package");
	xml_write(out, "name", u->package);
	write_base64(out, "hash", u->sha1, SHA1_LEN);
	write_base64(out, "hash_sha256", u->sha256, SHA256_LEN);
	xml_write_u64(out, "size", u->size);
	buf_str(out, " required=\"true\"/></packages><actions><action event=\"postinstall\"");
	write_base64(out, "sha256", u->sha256, SHA256_LEN);
	buf_str(out,
		" needsadmin=\"false\" IsDeltaPayload=\"false\" DisablePayloadBackoff=\"true\"/>"
		"</actions></manifest>");
}

static void write_check(struct buf *out, const struct omaha_answer *a)
{
	buf_str(out, "<updatecheck");
	xml_write(out, "status", a->update != NULL ? "ok" : "noupdate");
	if (a->poll_s > 0)
		xml_write_u64(out, "PollInterval", a->poll_s);
	buf_str(out, ">");
	if (a->update != NULL)
		write_update(out, a->update);
	buf_str(out, "</updatecheck>");
}

static void write_app(struct buf *out, const struct omaha_app *app, const struct omaha_answer *a)
{
	buf_str(out, "<app");
	xml_write(out, "appid", app->id);
	xml_write(out, "status", a->unknown ? "error-unknownApplication" : "ok");
	buf_str(out, ">");
	if (app->ping && !a->unknown)
		buf_str(out, "<ping status=\"ok\"/>");
	if (app->check && !a->unknown)
		write_check(out, a);
	for (size_t i = 0; i < app->n_events && !a->unknown; i++)
		buf_str(out, "<event status=\"ok\"/>");
	buf_str(out, "</app>");
}

void omaha_write(struct buf *out, const struct omaha_request *r, const struct omaha_answer *answer,
	uint32_t day_s)
{
	buf_str(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<response protocol=\"3.0\" server=\"huidu\"><daystart");
	xml_write_u64(out, "elapsed_seconds", day_s);
	buf_str(out, "/>");
	for (size_t i = 0; i < r->n_apps; i++)
		write_app(out, &r->app[i], &answer[i]);
	buf_str(out, "</response>");
}
