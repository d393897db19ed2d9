/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML from devices that huidu's makers did not write: elements and their attributes, read with expat.
 * Bounded in bytes, depth, elements and attributes; a document with a DTD is refused, and with it every
 * entity but the five and numbers.  Text between elements is passed over.
 *
 * Any thread.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"
#include "server/base/buf.h"

#define XML_BYTES_MAX      (64u << 10)
#define XML_DEPTH_MAX      16u
#define XML_ELEMENTS_MAX   512u
#define XML_ATTRIBUTES_MAX 32u /* of an element */

struct xml_element {
	const char *name;
	const char *const
		*attribute; /* name, value, name, value, NULL; UTF-8; gone after the call */
	unsigned depth;     /* of the root 0 */
};

/* Either may be NULL.  Not 0 ends the reading, which returns it. */
struct xml_reader {
	int (*open)(void *user, const struct xml_element *e);
	int (*close)(void *user, const char *name, unsigned depth);
	void *user;
};

/*
 * `body` is one document of at most `max` bytes, which is at most XML_BYTES_MAX.  ERR_TOO_BIG: beyond
 * a bound; ERR_MALFORMED: no XML, or a DTD; or what the reader returned.
 */
WARN_UNUSED int xml_read(struct bytes body, size_t max, const struct xml_reader *reader);

/* The value of an attribute; NULL when there is none. */
const char *xml_attribute(const struct xml_element *e, const char *name);

/* ` name="value"`, with all escapes that a value needs. */
void xml_write(struct buf *out, const char *name, const char *value);
void xml_write_u64(struct buf *out, const char *name, uint64_t value);
