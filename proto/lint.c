/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/lint.h"

#include <assert.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct reader {
	const uint8_t *p, *end;
	const struct lint_rules *rules;
	unsigned unknown;
};

struct field {
	uint32_t id;
	enum wire_type wire;
	uint64_t number;    /* WIRE_VARINT */
	struct bytes value; /* the others */
};

/* Minimal and at most 64 bits: one number has one encoding. */
static int read_long_varint(struct reader *r, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0;; shift += 7) {
		if (r->p == r->end)
			return ERR_TRUNCATED;
		uint8_t b = *r->p++;
		if (shift == 63 && b > 1)
			return ERR_MALFORMED;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b & 0x80)
			continue;
		*out = v;
		return b == 0 && shift > 0 ? ERR_MALFORMED : 0;
	}
}

/* Most are one byte. */
static inline int read_varint(struct reader *r, uint64_t *out)
{
	if (r->p == r->end || (*r->p & 0x80) != 0)
		return read_long_varint(r, out);
	*out = *r->p++;
	return 0;
}

static int read_span(struct reader *r, uint64_t len, struct bytes *out)
{
	if (len > (uint64_t)(r->end - r->p))
		return ERR_TRUNCATED;
	*out = bytes_of(r->p, (size_t)len);
	r->p += len;
	return 0;
}

static int read_field(struct reader *r, struct field *f)
{
	uint64_t tag;
	int err = read_varint(r, &tag);

	if (err != 0)
		return err;
	if (tag >> 3 == 0 || tag >> 3 > (1u << 29) - 1)
		return ERR_MALFORMED;
	f->id = (uint32_t)(tag >> 3);
	f->wire = (enum wire_type)(tag & 7);
	switch (tag & 7) {
	case WIRE_VARINT:
		return read_varint(r, &f->number);
	case WIRE_64:
		return read_span(r, 8, &f->value);
	case WIRE_32:
		return read_span(r, 4, &f->value);
	case WIRE_BYTES:
		err = read_varint(r, &f->number);
		return err != 0 ? err : read_span(r, f->number, &f->value);
	default: /* groups */
		return ERR_MALFORMED;
	}
}

static const enum wire_type wire_of[] = {
	[PROTOBUF_C_TYPE_INT32] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_SINT32] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_INT64] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_SINT64] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_UINT32] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_UINT64] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_BOOL] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_ENUM] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_FIXED32] = WIRE_32,
	[PROTOBUF_C_TYPE_SFIXED32] = WIRE_32,
	[PROTOBUF_C_TYPE_FLOAT] = WIRE_32,
	[PROTOBUF_C_TYPE_FIXED64] = WIRE_64,
	[PROTOBUF_C_TYPE_SFIXED64] = WIRE_64,
	[PROTOBUF_C_TYPE_DOUBLE] = WIRE_64,
	[PROTOBUF_C_TYPE_STRING] = WIRE_BYTES,
	[PROTOBUF_C_TYPE_BYTES] = WIRE_BYTES,
	[PROTOBUF_C_TYPE_MESSAGE] = WIRE_BYTES,
};

static int check_number(const ProtobufCFieldDescriptor *d, uint64_t v)
{
	bool fits = true;

	if (d->type == PROTOBUF_C_TYPE_BOOL)
		fits = v <= 1;
	else if (d->type == PROTOBUF_C_TYPE_UINT32 || d->type == PROTOBUF_C_TYPE_SINT32)
		fits = v <= UINT32_MAX;
	else if (d->type == PROTOBUF_C_TYPE_INT32)
		fits = (int64_t)v >= INT32_MIN && (int64_t)v <= INT32_MAX;
	else if (d->type == PROTOBUF_C_TYPE_ENUM)
		fits = v <= INT32_MAX &&
			protobuf_c_enum_descriptor_get_value(d->descriptor, (int)v) != NULL;
	return fits ? 0 : ERR_BAD_RANGE;
}

static int check_string(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return ERR_BAD_STRING;
	return 0;
}

static int check_message(const ProtobufCMessageDescriptor *type, struct reader *r, int depth);

static int check_value(
	const ProtobufCFieldDescriptor *d, const struct field *f, struct reader *outer, int depth)
{
	if (f->wire != wire_of[d->type])
		return ERR_MALFORMED;
	if (f->wire == WIRE_VARINT)
		return check_number(d, f->number);
	if (d->type == PROTOBUF_C_TYPE_STRING)
		return check_string(f->value);
	if (d->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;

	struct reader inner = { f->value.p, f->value.p + f->value.n, outer->rules, outer->unknown };
	int err = check_message(d->descriptor, &inner, depth + 1);
	outer->unknown = inner.unknown;
	return err;
}

/* Descriptors list their fields in rising order of id, and so must the message: one cursor. */
struct cursor {
	const ProtobufCMessageDescriptor *type;
	unsigned next;     /* first descriptor field not yet passed */
	unsigned repeated; /* elements seen of the field before it */
	uint32_t last_id;
};

/* Passes the fields below `id`; none of them may be required. */
static int skip_to(struct cursor *c, uint32_t id)
{
	for (; c->next < c->type->n_fields && c->type->fields[c->next].id < id; c->next++)
		if (c->type->fields[c->next].label == PROTOBUF_C_LABEL_REQUIRED)
			return ERR_MISSING_FIELD;
	return 0;
}

static int find(struct cursor *c, const struct field *f, const struct lint_rules *rules,
	const ProtobufCFieldDescriptor **out)
{
	*out = NULL;
	if (f->id < c->last_id)
		return ERR_MALFORMED;
	if (f->id == c->last_id && c->next > 0 && c->type->fields[c->next - 1].id == f->id) {
		const ProtobufCFieldDescriptor *d = &c->type->fields[c->next - 1];
		if (d->label != PROTOBUF_C_LABEL_REPEATED || ++c->repeated > rules->max_repeat)
			return ERR_REPEATED_FIELD;
		*out = d;
		return 0;
	}
	c->last_id = f->id;
	int err = skip_to(c, f->id);
	if (err != 0)
		return err;
	if (c->next < c->type->n_fields && c->type->fields[c->next].id == f->id) {
		*out = &c->type->fields[c->next++];
		c->repeated = 1;
	}
	return 0;
}

static int check_message(const ProtobufCMessageDescriptor *type, struct reader *r, int depth)
{
	struct cursor c = { .type = type };

	if (depth > LINT_MAX_DEPTH)
		return ERR_MALFORMED;
	while (r->p < r->end) {
		struct field f = { 0 };
		const ProtobufCFieldDescriptor *d;
		int err = read_field(r, &f);
		if (err == 0)
			err = find(&c, &f, r->rules, &d);
		if (err != 0)
			return err;
		if (d != NULL)
			err = check_value(d, &f, r, depth);
		else if (++r->unknown > r->rules->max_unknown)
			err = ERR_UNKNOWN_FIELD;
		if (err != 0)
			return err;
	}
	return skip_to(&c, UINT32_MAX);
}

int lint(const ProtobufCMessageDescriptor *type, struct bytes message,
	const struct lint_rules *rules)
{
	/* An empty message may be nowhere, and nothing can be added to that. */
	const uint8_t *end = message.n > 0 ? message.p + message.n : message.p;
	struct reader r = { message.p, end, rules, 0 };

	assert(rules->max_repeat > 0);
	if (message.n > rules->max_bytes)
		return ERR_TOO_BIG;
	return check_message(type, &r, 1);
}
