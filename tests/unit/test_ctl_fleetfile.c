/* SPDX-License-Identifier: Apache-2.0 */
/* A fleet as people write it, and as others would like us to misread it. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/admin.pb-c.h"
#include "proto/crypto.h"
#include "proto/wire.h"
#include "server/base/buf.h"
#include "server/base/file.h"
#include "server/ctl/fleetpack.h"
#include "server/store/device.h"
#include "tmpdir.h"

#define ID    "00112233445566778899aabbccddeeff"
#define ID2   "10112233445566778899aabbccddeeff"
#define SHA   ID ID
#define KEY33 "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"
#define KEY65                                                                                      \
	"BAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define MENDER "product,protocol,name,"
#define DEVICE_KEY                                                                                 \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhsSI73KBCEK4URl4aDeYdwWQ3mJf"                         \
	"99V1ta/udadSu00XinpeM+BsTuA8pKRCzJEDok8l2HyDhNMBHMmR7Ms+mA=="

static struct fleetfile *open_bytes(const void *p, size_t n, char error[256])
{
	struct fleetfile *f = NULL;
	char *path = tmpdir_path("fleet");

	error[0] = '\0';
	assert_int_equal(file_replace(path, bytes_of(p, n), 0600), 0);
	if (fleetfile_open(path, &f, error) != 0)
		return NULL;
	return f;
}

/* ---- rows ---- */

static const struct {
	const char *why, *text;
	const char *want; /* of the last row: NULL: it is good */
	unsigned rows;    /* good ones */
} texts[] = {
	{ "csv", "id,product\n" ID ",p\n", NULL, 1 },
	{ "no line end", "id,product\n" ID ",p", NULL, 1 },
	{ "CRLF", "id,product\r\n" ID ",p\r\n" ID2 ",p\r\n", NULL, 2 },
	{ "columns in another order", "product,left,id\np,true," ID "\n", NULL, 1 },
	{ "empty lines", "id,product\n\n" ID ",p\n\r\n\n", NULL, 1 },
	{ "a byte order mark", "\xef\xbb\xbfid,product\n" ID ",p\n", NULL, 1 },
	{ "quotes", "\"id\",\"product\"\n\"" ID "\",\"p\"\n", NULL, 1 },
	{ "an empty quoted field", "id,product,build\n" ID ",p,\"\"\n", NULL, 1 },
	{ "a quote in a quoted field", "id,product\n" ID ",\"p\"\"\"\n",
		"product is 1 to 63 of A-Z a-z 0-9 . _ -", 0 },
	{ "a comma in a quoted field", "id,product\n" ID ",\"p,q\"\n",
		"product is 1 to 63 of A-Z a-z 0-9 . _ -", 0 },
	{ "a quote inside", "id,product\n" ID ",p\"q\n",
		"a quote in the middle of a field: quote all of it", 0 },
	{ "an open quote", "id,product\n" ID ",\"p\n", "a quote that is not closed", 0 },
	{ "an open quote costs one row", "id,product\n" ID ",\"p\n" ID2 ",p\n", NULL, 1 },
	{ "text behind a quote", "id,product\n" ID ",\"p\"q\n", "text behind a closing quote", 0 },
	{ "too few", "id,product\n" ID "\n", "too few fields", 0 },
	{ "too many", "id,product\n" ID ",p,\n", "too many fields", 0 },
	{ "only commas", "id,product\n,\n", "product is missing", 0 },
	{ "UTF-8", "id,product\n" ID ",p\xc3\xa9\n", "product is 1 to 63 of A-Z a-z 0-9 . _ -", 0 },
	{ "blanks", "id,product\n" ID ", p\n", "product is 1 to 63 of A-Z a-z 0-9 . _ -", 0 },
	{ "no product", "id,product\n" ID ",\n", "product is missing", 0 },
	{ "a short id", "id,product\n0011,p\n", "id is 32 hex digits", 0 },
	{ "no hex", "id,product\n0011223344556677889gaabbccddeeff,p\n", "id is 32 hex digits", 0 },
	{ "capitals", "id,product\n00112233445566778899AABBCCDDEEFF,p\n", NULL, 1 },
	{ "a serial alone", "serial_sha256,product\n" SHA ",p\n",
		"a key, a token or an id is missing: no phone could say that it is this one", 0 },
	{ "a serial and a key", "serial_sha256,product,key\n" SHA ",p," KEY33 "\n", NULL, 1 },
	{ "a serial and an id", "serial_sha256,product,id\n" SHA ",p," ID "\n",
		"id and serial_sha256: one of both", 0 },
	{ "a key", "product,key\np," KEY33 "\n", NULL, 1 },
	{ "a long key", "product,key\np," KEY65 "\n", NULL, 1 },
	{ "a key cut", "product,key\np,AgIC\n",
		"key is a P-256 public key: base64 of 33 or 65 bytes", 0 },
	{ "a key of another form", "product,key\np,BQICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC\n",
		"key is a P-256 public key: base64 of 33 or 65 bytes", 0 },
	{ "no base64", "product,key\np,****\n",
		"key is a P-256 public key: base64 of 33 or 65 bytes", 0 },
	{ "a token", "product,token\np,0123456789abcdef\n", NULL, 1 },
	{ "a short token", "product,token\np,0123456789abcde\n",
		"token is 16 to 128 printable characters without blanks", 0 },
	{ "a token with a blank", "product,token\np,01234567 9abcdef\n",
		"token is 16 to 128 printable characters without blanks", 0 },
	{ "a token's hash", "product,token_sha256\np," SHA "\n", NULL, 1 },
	{ "half of it", "product,token_sha256\np," ID "\n", NULL, 1 },
	{ "both", "product,token,token_sha256\np,0123456789abcdef," SHA "\n",
		"token_sha256 stands beside key or token: one of them", 0 },
	{ "Mender's key and a token",
		MENDER "key,token\np,mender,a=1," DEVICE_KEY ",0123456789abcdef\n",
		"token stands beside key: one of both", 0 },
	{ "Mender's key and its hash",
		MENDER "token_sha256,key\np,mender,a=1," SHA "," DEVICE_KEY "\n",
		"token_sha256 stands beside key or token: one of them", 0 },
	{ "Mender's key", MENDER "key\np,mender,a=1," DEVICE_KEY "\n", NULL, 1 },
	{ "Mender's key that is none", MENDER "key\np,mender,a=1," KEY33 "\n",
		"key is a public key: PEM, or what stands in it", 0 },
	{ "Mender's key as PEM",
		"{\"product\":\"p\",\"protocol\":\"mender\",\"name\":\"a=1\",\"key\":"
		"\"-----BEGIN PUBLIC KEY-----\\n" DEVICE_KEY "\\n-----END PUBLIC KEY-----\\n\"}\n",
		NULL, 1 },
	{ "a device's key of hawkBit", "product,protocol,name,key\np,hawkbit,a=1," KEY33 "\n",
		"a device of another protocol has a name, and no serial_sha256 and key", 0 },
	{ "a ring", "id,product,ring\n" ID ",p,dev\n", NULL, 1 },
	{ "no ring", "id,product,ring\n" ID ",p,alpha\n", "ring is core, honour, dev or stable",
		0 },
	{ "a wish inside", "id,product,ring,wish\n" ID ",p,dev,core\n", NULL, 1 },
	{ "a wish outside", "id,product,ring,wish\n" ID ",p,core,dev\n", "wish lies outside ring",
		0 },
	{ "a day", "id,product,enrolled\n" ID ",p,2024-02-29\n", NULL, 1 },
	{ "no day", "id,product,enrolled\n" ID ",p,2023-02-29\n", "enrolled is a day: 2026-01-31",
		0 },
	{ "a day and more", "id,product,enrolled\n" ID ",p,2024-02-29T00:00\n",
		"enrolled is a day: 2026-01-31", 0 },
	{ "a day before time", "id,product,enrolled\n" ID ",p,1969-12-31\n",
		"enrolled is a day: 2026-01-31", 0 },
	{ "a day too far", "id,product,enrolled\n" ID ",p,2199-01-01\n",
		"enrolled is a day: 2026-01-31", 0 },
	{ "a build", "id,product,build\n" ID ",p,2.4.1\n", NULL, 1 },
	{ "a build's hash", "id,product,build\n" ID ",p,#0011223344556677\n", NULL, 1 },
	{ "no build", "id,product,build\n" ID ",p,#001122\n",
		"build is a build's name, or # and 16 hex digits", 0 },
	{ "a number", "id,product,last_seq\n" ID ",p,4294967295\n", NULL, 1 },
	{ "a large number", "id,product,last_seq\n" ID ",p,4294967296\n",
		"last_seq is a whole number", 0 },
	{ "a negative number", "id,product,last_seq\n" ID ",p,-1\n", "last_seq is a whole number",
		0 },
	{ "left", "id,product,left\n" ID ",p,yes\n", "left is true or false", 0 },
	{ "json", "{\"id\":\"" ID "\",\"product\":\"p\"}\n", NULL, 1 },
	{ "json with all",
		"{\"id\":\"" ID "\",\"product\":\"p\",\"left\":true,\"last_seq\":7,"
		"\"wish\":null,\"build\":\"\"}\r\n\n{\"id\":\"" ID2 "\",\"product\":\"p\"}",
		NULL, 2 },
	{ "json with a quote", "{\"id\":\"" ID "\",\"product\":\"\\\"\"}\n",
		"product is 1 to 63 of A-Z a-z 0-9 . _ -", 0 },
	{ "json with a NUL", "{\"id\":\"" ID "\",\"product\":\"p\\u0000q\"}\n",
		"this is no JSON object", 0 },
	{ "json cut", "{\"id\":\"" ID "\"\n", "this is no JSON object", 0 },
	{ "json and more", "{\"id\":\"" ID "\",\"product\":\"p\"} {}\n", "this is no JSON object",
		0 },
	{ "json deep", "{\"id\":[[[[[[]]]]]]}\n", "a value that is no text", 0 },
	{ "json twice", "{\"id\":\"" ID "\",\"id\":\"" ID2 "\",\"product\":\"p\"}\n",
		"this is no JSON object", 0 },
	{ "json of another key", "{\"imei\":\"1\"}\n",
		"a key that is no column: huiductl help fleet import", 0 },
	{ "json with a number", "{\"id\":7,\"product\":\"p\"}\n", "a value that is no text", 0 },
	{ "a list behind an object", "{\"id\":\"" ID "\",\"product\":\"p\"}\n[]\n",
		"this is no JSON object", 1 },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		char error[256], why[FLEET_WHY_MAX] = "";
		struct fleetfile *f = open_bytes(texts[i].text, strlen(texts[i].text), error);
		struct fleet_row row;
		enum fleetfile_end end, last = FLEETFILE_END;
		unsigned rows = 0;
		if (f == NULL)
			fail_msg("%s: %s", texts[i].why, error);
		while ((end = fleetfile_next(f, &row, why)) != FLEETFILE_END) {
			last = end;
			rows += end == FLEETFILE_ROW;
		}
		if (rows != texts[i].rows || (last == FLEETFILE_BAD) != (texts[i].want != NULL) ||
			(texts[i].want != NULL && strcmp(why, texts[i].want) != 0))
			fail_msg("%s: %u rows, %s", texts[i].why, rows, why);
		assert_int_equal(
			fleetfile_bytes(f) + (strncmp(texts[i].text, "\xef", 1) == 0 ? 3 : 0),
			strlen(texts[i].text));
		fleetfile_close(f);
	}
}

static void test_values(void **state)
{
	static const char text[] =
		"left,last_seq,enrolled,token,key,wish,ring,build,product,id\n"
		"true,7,2026-11-22,0123456789abcdef," KEY65 ",core,dev,2.4.1,phone-a," ID "\n"
		",,,,,,,,phone-a," ID2 "\n";
	struct bytes token = bytes_str("0123456789abcdef");
	char error[256], why[FLEET_WHY_MAX];
	struct fleetfile *f = open_bytes(text, strlen(text), error);
	uint8_t hash[SHA256_LEN], id[ID_LEN];
	struct fleet_row r;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fleetfile_next(f, &r, why), FLEETFILE_ROW);
	assert_int_equal(r.line, 2);
	assert_true(r.left && r.has_id && r.has_key && r.has_token && r.has_day && !r.has_serial);
	assert_true(hex_decode(id, ID_LEN, ID));
	assert_memory_equal(r.id, id, ID_LEN);
	assert_int_equal(r.key[0], 2);
	assert_int_equal(r.key[32], 2);
	assert_int_equal(crypto_sha256(&token, 1, hash), 0);
	assert_memory_equal(r.token, hash, FLEET_TOKEN_LEN);
	assert_int_equal(r.ring, RING_DEV);
	assert_int_equal(r.wish, RING_CORE);
	assert_int_equal(r.enrolled_day, 20779);
	assert_int_equal(r.last_seq, 7);
	assert_string_equal(r.build, "2.4.1");
	assert_string_equal(r.product, "phone-a");
	/* Nothing of the row before is left. */
	assert_int_equal(fleetfile_next(f, &r, why), FLEETFILE_ROW);
	assert_int_equal(r.line, 3);
	assert_true(!r.left && !r.has_key && !r.has_token && !r.has_day);
	assert_int_equal(r.ring, RING_STABLE);
	assert_int_equal(r.wish, RING_STABLE);
	assert_int_equal(r.last_seq, 0);
	assert_string_equal(r.build, "");
	assert_int_equal(fleetfile_next(f, &r, why), FLEETFILE_END);
	fleetfile_close(f);
}

/* ---- headers, and lines that are none ---- */

static void test_headers(void **state)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "", ":1: a header is missing: id,product,ring,key say" },
		{ "\n", ":1: a header is missing: id,product,ring,key say" },
		{ "id,prodct\n", ":1: 'prodct' is no column; did you mean 'product'?" },
		{ "id,imei\n", ":1: 'imei' is no column: huiductl help fleet import" },
		{ "id,,product\n", ":1: ' ' is no column: huiductl help fleet import" },
		{ "id,\x1b]0;owned\x07,product\n", ":1: this is no CSV file" },
		{ "id,product\x7f\n", ":1: this is no CSV file" },
		{ "id,product,id\n", ":1: 'id' stands in the header twice" },
		{ "id,\"product\n", ":1: a quote that is not closed" },
		{ "ID,product\n", ":1: 'ID' is no column: huiductl help fleet import" },
	};
	char error[256];

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *path = tmpdir_path("fleet");
		assert_null(open_bytes(table[i].text, strlen(table[i].text), error));
		if (strncmp(error, path, strlen(path)) != 0 ||
			strcmp(error + strlen(path), table[i].want) != 0)
			fail_msg("%s: %s", table[i].text, error);
	}
	assert_null(open_bytes("id,\0product\n", 12, error));
	assert_non_null(strstr(error, "this is no CSV file"));
}

static void test_hostile_lines(void **state)
{
	static const char head[] = "id,product\n", good[] = ID ",p\n";
	char error[256], why[FLEET_WHY_MAX];
	struct buf b = { 0 };
	struct fleet_row r;
	struct fleetfile *f;

	(void)state;
	buf_str(&b, head);
	/* A megabyte without an end, a quote in it, then NULs: each costs its own line. */
	memset(buf_room(&b, 1 << 20), '"', 1 << 20);
	b.len += 1 << 20;
	buf_str(&b, "\n");
	buf_str(&b, good);
	buf_add(&b, ID ",p\0\n", 36);
	buf_add(&b, "\0\0\n", 3);
	buf_str(&b, ID2 ",p\n");
	f = open_bytes(b.data, b.len, error);
	assert_non_null(f);
	assert_int_equal(fleetfile_next(f, &r, why), FLEETFILE_BAD);
	assert_string_equal(why, "the line is longer than 65,536 characters");
	assert_int_equal(r.line, 2);
	assert_int_equal(fleetfile_next(f, &r, why), FLEETFILE_ROW);
	assert_int_equal(r.line, 3);
	for (unsigned line = 4; line < 6; line++) {
		assert_int_equal(fleetfile_next(f, &r, why), FLEETFILE_BAD);
		assert_string_equal(why, "a NUL character");
		assert_int_equal(r.line, line);
	}
	assert_int_equal(fleetfile_next(f, &r, why), FLEETFILE_ROW);
	assert_int_equal(r.line, 6);
	assert_int_equal(fleetfile_next(f, &r, why), FLEETFILE_END);
	fleetfile_close(f);
	buf_release(&b);
}

/* Whatever bytes: it ends, and every line is told of once. */
static void test_noise(void **state)
{
	static const char alphabet[] = "\",\n\r{}:id,product" ID "\0\xff";
	char error[256], why[FLEET_WHY_MAX];
	unsigned seed = 7;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		struct buf b = { 0 };
		struct fleet_row r;
		struct fleetfile *f;
		uint32_t line = 0;
		buf_str(&b, round % 2 ? "{" : "id,product\n");
		for (unsigned i = 0; i < 400; i++)
			buf_add(&b, &alphabet[(seed = seed * 1103515245 + 12345) >> 16 & 31], 1);
		f = open_bytes(b.data, b.len, error);
		while (f != NULL && fleetfile_next(f, &r, why) != FLEETFILE_END) {
			assert_true(r.line > line);
			line = r.line;
		}
		fleetfile_close(f);
		buf_release(&b);
	}
}

/* ---- packing ---- */

struct told {
	unsigned n;
	uint32_t line[8];
	char why[8][FLEET_WHY_MAX];
};

static void tell(void *ctx, uint32_t line, const char *why)
{
	struct told *t = ctx;

	t->line[t->n] = line;
	(void)snprintf(t->why[t->n++], FLEET_WHY_MAX, "%s", why);
}

static struct fleet_row row(uint32_t line, uint8_t id, uint8_t key, enum ring ring)
{
	struct fleet_row r = { .line = line, .has_id = id > 0, .has_key = key > 0, .ring = ring };

	memset(r.id, id, ID_LEN);
	memset(r.key, key, sizeof(r.key));
	r.key[0] = 2;
	r.wish = ring;
	(void)snprintf(r.product, sizeof(r.product), "phone-%c", line % 2 ? 'b' : 'a');
	return r;
}

/* Seats first, as they came; then by id. */
static void test_pack(void **state)
{
	static const struct {
		uint8_t id, key;
		enum ring ring;
	} in[] = { { 9, 1, RING_STABLE }, { 8, 2, RING_DEV }, { 3, 3, RING_STABLE },
		{ 9, 4, RING_STABLE }, { 7, 2, RING_CORE }, { 1, 5, RING_CORE },
		{ 9, 1, RING_STABLE } };
	static const uint32_t order[] = { 3, 7, 4, 2 };
	struct told told = { 0 };
	struct fleetpack *p;
	struct buf b = { 0 };
	uint8_t memory[4096];
	const char *path;
	size_t at = 8;

	(void)state;
	assert_int_equal(fleetpack_new(&p), 0);
	for (uint32_t i = 0; i < COUNT(in); i++) {
		struct fleet_row r = row(i + 2, in[i].id, in[i].key, in[i].ring);
		assert_int_equal(fleetpack_add(p, &r), 0);
	}
	fleetpack_drop_twins(p, tell, &told);
	assert_int_equal(told.n, 3);
	assert_int_equal(told.line[0], 5);
	assert_string_equal(told.why[0], "id stands in line 2 already");
	assert_int_equal(told.line[1], 6);
	assert_string_equal(told.why[1], "key stands in line 3 already");
	assert_int_equal(told.line[2], 8);
	assert_int_equal(fleetpack_write(p, &path), 0);
	assert_int_equal(fleetpack_sums(p)->rows, 4);
	assert_int_equal(fleetpack_sums(p)->bad, 3);
	assert_int_equal(fleetpack_sums(p)->ring[RING_CORE], 1);
	assert_int_equal(fleetpack_sums(p)->ring[RING_STABLE], 2);
	assert_int_equal(fleetpack_sums(p)->n_products, 2);
	assert_string_equal(fleetpack_sums(p)->products[0], "phone-a");
	assert_int_equal(file_read(path, 1 << 20, &b), 0);
	assert_memory_equal(b.data, "huidu-f1", 8);
	for (size_t i = 0; i < COUNT(order); i++) {
		struct arena a = { memory, sizeof(memory), 0 };
		size_t n = get_be16(b.data + at);
		int err;
		const Pb__FleetRow *m = wire_read(&pb__fleet_row__descriptor,
			bytes_of(b.data + at + 2, n), &wire_device, &a, &err);
		assert_non_null(m);
		assert_int_equal(m->line, order[i]);
		at += 2 + n;
	}
	assert_int_equal(at, b.len);
	fleetpack_free(p);
	/* Nothing of it stays behind. */
	assert_int_equal(file_read(path, 1 << 20, &b), -ENOENT);
	buf_release(&b);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_rows),
		IN_TMPDIR(test_values),
		IN_TMPDIR(test_headers),
		IN_TMPDIR(test_hostile_lines),
		IN_TMPDIR(test_noise),
		IN_TMPDIR(test_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
