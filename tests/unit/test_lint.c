/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdbool.h>

#include "proto/admin.pb-c.h"
#include "proto/lint.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"

static const struct lint_rules strict = { 4096, 3, 0 }, tolerant = { 4096, 3, 2 };

#define EVENT     &pb__event__descriptor
#define REPORT    &pb__report_request__descriptor
#define REPLY     &pb__admin_reply__descriptor
#define DECISION  &pb__decision__descriptor
#define POLL      &pb__poll_reply__descriptor
#define ROLE      &pb__role__descriptor
#define CODE(hex) "0800" hex   /* AdminReply with code 0 */
#define OK        "0805120161" /* Event: kind BOOT_OK, build_id "a" */
#define FF9       "ffffffffffffffffff"
#define DEC       "0801120161180120012801" /* Decision's required fields and more */

static const struct {
	const char *why;
	const ProtobufCMessageDescriptor *type;
	const char *hex;
	int want;
} cases[] = {
	{ "an event", EVENT, OK, 0 },
	{ "all its fields", EVENT, OK "1a02cafe20012802", 0 },

	/* Numbers have one encoding. */
	{ "number, not minimal", EVENT, "088500120161", ERR_MALFORMED },
	{ "number, far from minimal", EVENT, "08858080808000120161", ERR_MALFORMED },
	{ "zero, not minimal", EVENT, OK "208000", ERR_MALFORMED },
	{ "tag, not minimal", EVENT, "880005120161", ERR_MALFORMED },
	{ "length, not minimal", EVENT, "080512810061", ERR_MALFORMED },
	{ "length 0, not minimal", EVENT, "0805128000", ERR_MALFORMED },
	{ "eleven bytes", EVENT, OK "20" FF9 "ff01", ERR_MALFORMED },
	{ "ten bytes, above 64 bits", EVENT, OK "20" FF9 "02", ERR_MALFORMED },
	{ "ten bytes, and more to come", EVENT, OK "20" FF9 "81", ERR_MALFORMED },

	/* Numbers have a range. */
	{ "uint32, the highest", EVENT, OK "20ffffffff0f", 0 },
	{ "uint32, one more", EVENT, OK "208080808010", ERR_BAD_RANGE },
	{ "uint32 of 41 bits", EVENT, OK "20ffffffffff1f", ERR_BAD_RANGE },
	{ "uint32, all 64", EVENT, OK "20" FF9 "01", ERR_BAD_RANGE },
	{ "int32 -1: ten bytes", REPLY, "08" FF9 "01", 0 },
	{ "int32 -1 in five bytes", REPLY, "08ffffffff0f", ERR_BAD_RANGE },
	{ "int32, the lowest", REPLY, "0880808080f8ffffffff01", 0 },
	{ "int32, one less", REPLY, "08fffffffff7ffffffff01", ERR_BAD_RANGE },
	{ "int32, the highest", REPLY, "08ffffffff07", 0 },
	{ "int32, one more", REPLY, "088080808008", ERR_BAD_RANGE },
	{ "bool 0", REPLY, CODE("5800"), 0 },
	{ "bool 1", REPLY, CODE("5801"), 0 },
	{ "bool 2", REPLY, CODE("5802"), ERR_BAD_RANGE },
	{ "enum, the first", EVENT, "0801120161", 0 },
	{ "enum, the last", EVENT, "080f120161", 0 },
	{ "enum, below the first", EVENT, "0800120161", ERR_BAD_RANGE },
	{ "enum, behind the last", EVENT, "0810120161", ERR_BAD_RANGE },
	{ "enum, negative", EVENT, "08" FF9 "01120161", ERR_BAD_RANGE },
	{ "enum, the same in the lower 32 bits", EVENT, "088180808010120161", ERR_BAD_RANGE },

	/* Each field once, in order, and all that must be there. */
	{ "nothing", EVENT, "", ERR_MISSING_FIELD },
	{ "without the first", EVENT, "120161", ERR_MISSING_FIELD },
	{ "without the last that must be", EVENT, "0805", ERR_MISSING_FIELD },
	{ "without one in the middle", EVENT, "08051a02cafe", ERR_MISSING_FIELD },
	{ "an element without its field", REPORT,
		"0801"
		"12020805",
		ERR_MISSING_FIELD },
	{ "nothing, where nothing must be", ROLE, "0801", 0 },
	{ "twice", EVENT, "08050805120161", ERR_REPEATED_FIELD },
	{ "twice, optional", EVENT, OK "20012001", ERR_REPEATED_FIELD },
	{ "twice, text", EVENT, "0805120161120161", ERR_REPEATED_FIELD },
	{ "twice, apart", EVENT, OK "20010805", ERR_MALFORMED },
	{ "not in order", EVENT, OK "28012001", ERR_MALFORMED },
	{ "required, not in order", EVENT, "1201610805", ERR_MISSING_FIELD },
	{ "three in a list", ROLE,
		"0801"
		"120161"
		"120162"
		"120163",
		0 },
	{ "four in a list of three", ROLE,
		"0801"
		"1200120012001200",
		ERR_REPEATED_FIELD },
	{ "a list in two parts", POLL, "22002a002200", ERR_MALFORMED },

	/* Fields nobody knows. */
	{ "unknown number", EVENT, OK "3001", ERR_UNKNOWN_FIELD },
	{ "unknown bytes", EVENT, OK "3200", ERR_UNKNOWN_FIELD },
	{ "unknown fixed64", EVENT, OK "310000000000000000", ERR_UNKNOWN_FIELD },
	{ "unknown fixed32", EVENT, OK "3500000000", ERR_UNKNOWN_FIELD },
	{ "unknown, the highest number there is", EVENT, OK "f8ffffff0f01", ERR_UNKNOWN_FIELD },
	{ "a number above it", EVENT, OK "808080801001", ERR_MALFORMED },
	{ "field 0", EVENT, "0001" OK, ERR_MALFORMED },
	{ "field 0, bytes", EVENT, "0200" OK, ERR_MALFORMED },

	/* Wire types. */
	{ "number as bytes", EVENT, "0a0105120161", ERR_MALFORMED },
	{ "number as fixed64", EVENT, "090500000000000000120161", ERR_MALFORMED },
	{ "number as fixed32", EVENT, "0d05000000120161", ERR_MALFORMED },
	{ "text as number", EVENT, "08051061", ERR_MALFORMED },
	{ "element as number", REPORT, "08011001", ERR_MALFORMED },
	{ "list of bytes as number", ROLE, "08011001", ERR_MALFORMED },
	{ "double", DECISION, "0801120161180139000000000000f03f", 0 },
	{ "double as number", DECISION,
		"08011201611801"
		"3801",
		ERR_MALFORMED },
	{ "double as fixed32", DECISION,
		"08011201611801"
		"3d00000000",
		ERR_MALFORMED },
	{ "start of a group", EVENT, OK "33", ERR_MALFORMED },
	{ "end of a group", EVENT, OK "34", ERR_MALFORMED },
	{ "a whole group", EVENT, OK "3334", ERR_MALFORMED },
	{ "wire type 6", EVENT, OK "36", ERR_MALFORMED },
	{ "wire type 7", EVENT, OK "37", ERR_MALFORMED },

	/* Texts. */
	{ "empty text", EVENT, "08051200", 0 },
	{ "space and tilde", EVENT, "08051202207e", 0 },
	{ "NUL in the middle", EVENT, "08051203610062", ERR_BAD_STRING },
	{ "NUL at the end", EVENT, "080512026100", ERR_BAD_STRING },
	{ "newline", EVENT, "080512010a", ERR_BAD_STRING },
	{ "escape", EVENT, "080512011b", ERR_BAD_STRING },
	{ "0x1f", EVENT, "080512011f", ERR_BAD_STRING },
	{ "delete", EVENT, "080512017f", ERR_BAD_STRING },
	{ "UTF-8", EVENT, "08051202c3a9", ERR_BAD_STRING },
	{ "0x80", EVENT, "0805120180", ERR_BAD_STRING },
	{ "any byte in bytes", EVENT, OK "1a0300ff80", 0 },

	/* Ends in the middle. */
	{ "in a tag", EVENT, OK "80", ERR_TRUNCATED },
	{ "behind a tag", EVENT, OK "20", ERR_TRUNCATED },
	{ "in a number", EVENT, OK "2080", ERR_TRUNCATED },
	{ "in a length", EVENT, OK "1a80", ERR_TRUNCATED },
	{ "before its bytes", EVENT, OK "1a01", ERR_TRUNCATED },
	{ "in its bytes", EVENT, OK "1a02ca", ERR_TRUNCATED },
	{ "a length beyond all memory", EVENT, OK "1a" FF9 "01", ERR_TRUNCATED },
	{ "a length of 4 GiB", EVENT, OK "1affffffff0f", ERR_TRUNCATED },
	{ "in a double", DECISION, "0801120161180139000000000000f0", ERR_TRUNCATED },
	{ "an element beyond its message", REPORT, "08011206" OK, ERR_TRUNCATED },
	{ "a field beyond its element", REPORT,
		"0801"
		"1204"
		"08051202"
		"6162",
		ERR_TRUNCATED },
	{ "an element", REPORT,
		"0801"
		"1205" OK,
		0 },
};

static size_t bytes_of_hex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	assert_true(hex_decode(out, n, hex));
	return n;
}

static void check(const char *why, const ProtobufCMessageDescriptor *type, const char *hex,
	const struct lint_rules *rules, int want)
{
	uint8_t wire[256];
	size_t n = bytes_of_hex(hex, wire);
	int err = lint(type, bytes_of(wire, n), rules);

	if (err != want)
		fail_msg(
			"%s: %s, not %s", why, err == 0 ? "passed" : err_name(err), err_name(want));
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check(cases[i].why, cases[i].type, cases[i].hex, &strict, cases[i].want);
}

/* Newer fields in what is signed: a few, in their order, never inside out. */
static void test_tolerated(void **state)
{
	static const struct {
		const char *why;
		const ProtobufCMessageDescriptor *type;
		const char *hex;
		int want;
	} row[] = {
		{ "one", EVENT, OK "3001", 0 },
		{ "two", EVENT, OK "30013a00", 0 },
		{ "two of one number", EVENT, OK "30013001", 0 },
		{ "three", EVENT, OK "300138014001", ERR_UNKNOWN_FIELD },
		{ "three of one number", EVENT, OK "300130013001", ERR_UNKNOWN_FIELD },
		{ "not in order", EVENT, OK "38013001", ERR_MALFORMED },
		{ "known behind unknown", EVENT, OK "30012801", ERR_MALFORMED },
		{ "a group all the same", EVENT, OK "3334", ERR_MALFORMED },
		{ "not minimal all the same", EVENT, OK "308000", ERR_MALFORMED },
		{ "too short all the same", EVENT, OK "3202ca", ERR_TRUNCATED },
		{ "no excuse for a missing one", EVENT, "08053001", ERR_MISSING_FIELD },
		{ "one in each of two elements", REPORT,
			"0801"
			"1207" OK "3001"
			"1207" OK "3001",
			0 },
		{ "counted over all elements", REPORT,
			"0801"
			"1207" OK "3001"
			"1207" OK "3001"
			"1207" OK "3001",
			ERR_UNKNOWN_FIELD },
		{ "and those outside them", REPORT,
			"0801"
			"1207" OK "3001"
			"1207" OK "3001"
			"1801",
			ERR_UNKNOWN_FIELD },
		{ "between the known ones", REPORT,
			"0801"
			"1205" OK "1801",
			0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		check(row[i].why, row[i].type, row[i].hex, &tolerant, row[i].want);
}

static void test_caps(void **state)
{
	uint8_t wire[64];
	size_t n = bytes_of_hex("0801"
				"1205" OK "1205" OK,
		wire);
	struct lint_rules r = { n, 2, 0 };

	(void)state;
	assert_int_equal(lint(REPORT, bytes_of(wire, n), &r), 0);
	r.max_bytes = n - 1;
	assert_int_equal(lint(REPORT, bytes_of(wire, n), &r), ERR_TOO_BIG);
	r = (struct lint_rules){ n, 1, 0 };
	assert_int_equal(lint(REPORT, bytes_of(wire, n), &r), ERR_REPEATED_FIELD);
	assert_int_equal(lint(ROLE, bytes_of(NULL, 0), &r), ERR_MISSING_FIELD);
}

/* The caps of each place where bytes come in. */
static void test_rules(void **state)
{
	(void)state;
	assert_int_equal(wire_device.max_bytes, 16 * 1024);
	assert_int_equal(wire_device.max_repeat, 32);
	assert_int_equal(wire_device.max_unknown, 0);
	assert_int_equal(wire_envelope.max_bytes, 64 * 1024);
	assert_int_equal(wire_envelope.max_repeat, 16);
	assert_int_equal(wire_envelope.max_unknown, 0);
	assert_int_equal(wire_signed.max_bytes, 64 * 1024);
	assert_int_equal(wire_signed.max_unknown, 16);
	assert_int_equal(wire_admin.max_unknown, 0);
}

/* Types that no message of ours uses yet, and one that contains itself. */
extern const ProtobufCMessageDescriptor other_descriptor;

#define FIELD(number, kind)                                                                        \
	{                                                                                          \
		.name = #kind, .id = (number), .label = PROTOBUF_C_LABEL_OPTIONAL,                 \
		.type = PROTOBUF_C_TYPE_##kind                                                     \
	}

static const ProtobufCFieldDescriptor other_fields[] = {
	{ .name = "self",
		.id = 1,
		.label = PROTOBUF_C_LABEL_REPEATED,
		.type = PROTOBUF_C_TYPE_MESSAGE,
		.descriptor = &other_descriptor },
	FIELD(2, FIXED32),
	FIELD(3, SFIXED64),
	FIELD(4, FLOAT),
	FIELD(5, SINT32),
	FIELD(6, SINT64),
	FIELD(7, INT64),
	FIELD(8, UINT64),
};
const ProtobufCMessageDescriptor other_descriptor = {
	.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
	.name = "other",
	.n_fields = COUNT(other_fields),
	.fields = other_fields,
};

static void test_other_types(void **state)
{
	static const struct {
		const char *why, *hex;
		int want;
	} row[] = {
		{ "fixed32", "1500000000", 0 },
		{ "fixed32 as number", "1000", ERR_MALFORMED },
		{ "fixed32, short", "15000000", ERR_TRUNCATED },
		{ "sfixed64", "190000000000000000", 0 },
		{ "sfixed64 as fixed32", "1d00000000", ERR_MALFORMED },
		{ "float", "2500000000", 0 },
		{ "float as fixed64", "210000000000000000", ERR_MALFORMED },
		{ "sint32", "28ffffffff0f", 0 },
		{ "sint32, one more", "288080808010", ERR_BAD_RANGE },
		{ "sint64", "30" FF9 "01", 0 },
		{ "int64", "38" FF9 "01", 0 },
		{ "uint64", "40" FF9 "01", 0 },
		{ "depth 1", "", 0 },
		{ "depth 4", "0a040a020a00", 0 },
		{ "depth 5", "0a060a040a020a00", ERR_MALFORMED },
		{ "depth 5 after depth 2", "0a000a060a040a020a00", ERR_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		check(row[i].why, &other_descriptor, row[i].hex, &strict, row[i].want);
}

/* 16 KiB of nesting, as deep as they go: refused at the fifth level, not at the end of
 * the stack. */
static void test_deep(void **state)
{
	static uint8_t wire[16384];
	struct lint_rules r = { sizeof(wire), 32, 0 };
	size_t at = sizeof(wire);

	(void)state;
	while (at > 8) {
		size_t n = sizeof(wire) - at;
		if (n > 127) {
			wire[--at] = (uint8_t)(n >> 7);
			wire[--at] = (uint8_t)(n | 128);
		} else {
			wire[--at] = (uint8_t)n;
		}
		wire[--at] = 0x0a;
	}
	assert_int_equal(
		lint(&other_descriptor, bytes_of(wire + at, sizeof(wire) - at), &r), ERR_MALFORMED);
}

/* A message whose first field is not field 1, and an unknown one before it, twice. */
static void test_unknown_before_the_first(void **state)
{
	ProtobufCMessageDescriptor type = pb__event__descriptor;

	(void)state;
	type.fields++;
	type.n_fields--;
	check("the field alone", &type, "120161", &strict, 0);
	check("unknown", &type, "0801120161", &strict, ERR_UNKNOWN_FIELD);
	check("tolerated", &type, "0801120161", &tolerant, 0);
	check("tolerated twice", &type, "08010801120161", &tolerant, 0);
	check("once too often", &type, "080108010801120161", &tolerant, ERR_UNKNOWN_FIELD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_tolerated),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_other_types),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_unknown_before_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
