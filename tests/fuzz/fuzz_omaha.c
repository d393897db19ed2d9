/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Omaha request and both answers to it: an answer is a document, and names each app as the request
 * did.
 */
#include <assert.h>

#include "server/http/compat/omaha.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct seen {
	const struct omaha_request *request;
	size_t apps, events;
};

static int on_open(void *user, const struct xml_element *e)
{
	struct seen *s = user;

	if (strcmp(e->name, "app") == 0) {
		assert(e->depth == 1 && s->apps < s->request->n_apps);
		assert(strcmp(xml_attribute(e, "appid"), s->request->app[s->apps++].id) == 0);
	}
	s->events += strcmp(e->name, "event") == 0;
	return 0;
}

static void answer(const struct omaha_request *r, const struct omaha_update *u)
{
	struct omaha_answer a[OMAHA_APPS_MAX] = { { 0 } };
	struct seen s = { .request = r };
	struct xml_reader reader = { .open = on_open, .user = &s };
	struct buf b = { 0 };
	size_t events = 0;
	int err;

	for (size_t i = 0; i < r->n_apps; i++) {
		a[i] = (struct omaha_answer){ i % 4 == 3, u, (uint32_t)i };
		events += a[i].unknown ? 0 : r->app[i].n_events;
	}
	omaha_write(&b, r, a, 86399);
	err = xml_read(buf_bytes(&b), XML_BYTES_MAX, &reader);
	assert(err == 0 && s.apps == r->n_apps && s.events == events);
	buf_release(&b);
}

static void check_app(const struct omaha_request *r, const struct omaha_app *app)
{
	assert(app->id[0] != '\0' && memchr(app->id, '\0', OMAHA_TEXT) != NULL);
	assert(memchr(app->boot_id, '\0', OMAHA_TEXT) != NULL);
	assert(memchr(omaha_device(r, app), '\0', OMAHA_TEXT) != NULL);
	assert(app->n_events <= OMAHA_EVENTS_MAX);
	for (size_t i = 0; i < app->n_events; i++) {
		const struct omaha_event *e = &app->event[i];
		enum omaha_word word = omaha_said(app, e);
		assert(memchr(e->previous, '\0', OMAHA_TEXT) != NULL);
		assert(word < OMAHA_WORD__COUNT);
		assert(word != OMAHA_BOOTED ||
			(e->type == 3 && e->result == 2 && e->previous[0] != '\0'));
		assert(word != OMAHA_ROLLED_BACK ||
			(e->type == 3 && e->result == 0 && e->error == 44));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t hash[SHA256_LEN] = { 1 };
	static const struct omaha_update update = { "2", "https://h/", "p", 1, hash, hash };
	static struct omaha_request r;

	if (omaha_read(bytes_of(data, n), &r) != 0)
		return 0;
	assert(r.n_apps <= OMAHA_APPS_MAX);
	for (size_t i = 0; i < r.n_apps; i++)
		check_app(&r, &r.app[i]);
	answer(&r, NULL);
	answer(&r, &update);
	return 0;
}
