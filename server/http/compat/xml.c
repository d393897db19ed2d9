/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/xml.h"

#include <assert.h>
#include <pthread.h>

#include <expat.h>

#include "proto/crypto.h"
#include "server/base/mem.h"

struct reading {
	XML_Parser parser;
	const struct xml_reader *reader;
	unsigned depth, elements;
	int err;
};

/* ---- read ---- */

/* What is still in expat's hands when it stops may be called for once more. */
static void settle(struct reading *r, int err)
{
	if (err == 0 || r->err != 0)
		return;
	r->err = err;
	(void)XML_StopParser(r->parser, XML_FALSE); /* fails only when it has stopped */
}

static bool few(const char *const *attribute)
{
	size_t n = 0;

	while (attribute[n] != NULL)
		n += 2;
	return n / 2 <= XML_ATTRIBUTES_MAX;
}

static void XMLCALL on_open(void *user, const char *name, const char **attribute)
{
	struct reading *r = user;
	struct xml_element e = { name, attribute, r->depth };

	if (r->err != 0)
		return;
	if (++r->depth > XML_DEPTH_MAX || ++r->elements > XML_ELEMENTS_MAX || !few(attribute))
		settle(r, ERR_TOO_BIG);
	else if (r->reader->open != NULL)
		settle(r, r->reader->open(r->reader->user, &e));
}

static void XMLCALL on_close(void *user, const char *name)
{
	struct reading *r = user;

	if (r->err != 0)
		return;
	r->depth--;
	if (r->reader->close != NULL)
		settle(r, r->reader->close(r->reader->user, name, r->depth));
}

/* Called before anything in it is read. */
static void XMLCALL on_doctype(
	void *user, const char *name, const char *system, const char *public, int internal)
{
	(void)name, (void)system, (void)public, (void)internal;
	settle(user, ERR_MALFORMED);
}

static void *resize(void *p, size_t n)
{
	return mem_resize(p, n, 1);
}

/* A parser a thread: to make one takes longer than to read what it is for. */
static pthread_key_t kept;
static unsigned long salt; /* of expat's tables of names, so that nobody can choose them */

static void drop(void *parser)
{
	XML_ParserFree(parser);
}

static void prepare(void)
{
	int err = pthread_key_create(&kept, drop);

	if (err == 0)
		err = crypto_random(&salt, sizeof(salt));
	assert(err == 0);
	salt |= 1; /* 0 would be another one each time */
}

static XML_Parser take_parser(void)
{
	static const XML_Memory_Handling_Suite memory = { mem_alloc, resize, free };
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	XML_Parser p;

	(void)pthread_once(&once, prepare); /* cannot fail with a handler and a once of ours */
	p = pthread_getspecific(kept);
	if (p == NULL) {
		p = XML_ParserCreate_MM(NULL, &memory, NULL);
		assert(p != NULL &&
			pthread_setspecific(kept, p) == 0); /* memory does not run out */
	} else {
		assert(XML_ParserReset(p, NULL)); /* fails only within an entity */
	}
	(void)XML_SetHashSalt(p, salt); /* nothing was read by it yet */
	return p;
}

int xml_read(struct bytes body, size_t max, const struct xml_reader *reader)
{
	struct reading r = { .reader = reader };
	enum XML_Status status;

	assert(max <= XML_BYTES_MAX);
	if (body.n > max)
		return ERR_TOO_BIG;
	if (body.n == 0)
		return ERR_MALFORMED;
	r.parser = take_parser();
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_open, on_close);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	status = XML_Parse(r.parser, (const char *)body.p, (int)body.n, XML_TRUE);
	if (r.err != 0)
		return r.err;
	return status == XML_STATUS_OK ? 0 : ERR_MALFORMED;
}

const char *xml_attribute(const struct xml_element *e, const char *name)
{
	for (size_t i = 0; e->attribute[i] != NULL; i += 2)
		if (strcmp(e->attribute[i], name) == 0)
			return e->attribute[i + 1];
	return NULL;
}

/* ---- write ---- */

static const char *escape(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\t':
		return "&#9;";
	case '\n':
		return "&#10;";
	case '\r':
		return "&#13;";
	default:
		/* No XML can say it. */
		return (unsigned char)c < 0x20 ? "?" : NULL;
	}
}

void xml_write(struct buf *out, const char *name, const char *value)
{
	buf_str(out, " ");
	buf_str(out, name);
	buf_str(out, "=\"");
	while (*value != '\0') {
		size_t n = 0;
		while (value[n] != '\0' && escape(value[n]) == NULL)
			n++;
		buf_add(out, value, n);
		value += n;
		if (*value != '\0')
			buf_str(out, escape(*value++));
	}
	buf_str(out, "\"");
}

void xml_write_u64(struct buf *out, const char *name, uint64_t value)
{
	buf_printf(out, " %s=\"%llu\"", name, (unsigned long long)value);
}
