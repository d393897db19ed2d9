/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a row, and what they mean. */
#include <stdio.h>
#include <time.h>

#include <jansson.h>

#include "proto/base64.h"
#include "proto/crypto.h"
#include "proto/names.h"
#include "server/base/buf.h"
#include "server/base/text.h"
#include "server/ctl/fleetfile_private.h"
#include "server/trust/devicekey.h"

#define DAY_S     86400
#define TOKEN_MIN 16u
#define TOKEN_MAX 128u
#define POINT_LEN 33u
#define PEM_LINE  64u

/* ---- JSON ---- */

static json_t *json_of(struct fleet_json *js)
{
	return (json_t *)js;
}

void fleet_json_free(struct fleet_json *js)
{
	if (js != NULL)
		json_decref(json_of(js));
}

static const char *json_word(const json_t *value, enum fleet_column c, struct fleet_values *v)
{
	if (json_is_null(value))
		return NULL;
	if (json_is_string(value)) {
		if (json_string_length(value) > 0)
			v->of[c] = json_string_value(value);
		return NULL;
	}
	if (c == FLEET_LEFT && json_is_boolean(value)) {
		v->of[c] = json_is_true(value) ? "true" : "false";
		return NULL;
	}
	if (c != FLEET_LAST_SEQ || !json_is_integer(value))
		return "a value that is no text";
	(void)snprintf(
		v->number, sizeof(v->number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	v->of[c] = v->number;
	return NULL;
}

const char *fleet_json_values(struct bytes line, struct fleet_values *v, struct fleet_json **js)
{
	json_error_t error;
	json_t *row = json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, &error);
	const char *why = NULL, *key;
	json_t *value;

	*js = (struct fleet_json *)row;
	if (!json_is_object(row))
		return "this is no JSON object";
	json_object_foreach(row, key, value)
	{
		enum fleet_column c = fleet_column_of(key);
		if (c == FLEET_COLUMNS)
			return "a key that is no column: huiductl help fleet import";
		why = why != NULL ? why : json_word(value, c, v);
	}
	return why;
}

/* ---- words ---- */

static const char *read_id(const char *s, struct fleet_row *r)
{
	r->has_id = true;
	return hex_decode(r->id, ID_LEN, s) ? NULL : "is 32 hex digits";
}

static const char *read_serial(const char *s, struct fleet_row *r)
{
	r->has_serial = true;
	return hex_decode(r->serial, SHA256_LEN, s) ? NULL : "is 64 hex digits";
}

static const char *read_product(const char *s, struct fleet_row *r)
{
	if (!name_ok(s))
		return "is 1 to 63 of A-Z a-z 0-9 . _ -";
	(void)snprintf(r->product, sizeof(r->product), "%s", s);
	return NULL;
}

static const char *read_build(const char *s, struct fleet_row *r)
{
	uint8_t hash[8];

	if (!name_ok(s) && !(s[0] == '#' && hex_decode(hash, sizeof(hash), s + 1)))
		return "is a build's name, or # and 16 hex digits";
	(void)snprintf(r->build, sizeof(r->build), "%s", s);
	return NULL;
}

static const char *read_ring(const char *s, struct fleet_row *r)
{
	return ring_parse(s, &r->ring) ? NULL : "is core, honour, dev or stable";
}

static const char *read_wish(const char *s, struct fleet_row *r)
{
	return ring_parse(s, &r->wish) ? NULL : "is core, honour, dev or stable";
}

/* As it comes, or with the second coordinate, of which one bit is kept. */
static const char *read_key(const char *s, struct fleet_row *r)
{
	static const char why[] = "is a P-256 public key: base64 of 33 or 65 bytes";
	uint8_t key[P256_PUBLIC_LEN];
	size_t n;

	r->has_key = true;
	if (base64_read(bytes_str(s), key, sizeof(key), &n) != 0)
		return why;
	if (n == P256_PUBLIC_LEN && key[0] == 4)
		key[0] = (uint8_t)(2 + (key[P256_PUBLIC_LEN - 1] & 1));
	else if (n != POINT_LEN)
		return why;
	memcpy(r->key, key, POINT_LEN);
	return (r->key[0] | 1) == 3 ? NULL : why;
}

/* PEM, also of the base64 in it, whose lines an export may have joined. */
static void write_pem(const char *s, struct buf *out)
{
	size_t n = strlen(s);

	if (strncmp(s, "-----", 5) == 0) {
		buf_str(out, s);
		return;
	}
	buf_str(out, "-----BEGIN PUBLIC KEY-----\n");
	for (size_t i = 0; i < n; i += PEM_LINE)
		buf_printf(out, "%.*s\n", (int)PEM_LINE, s + i);
	buf_str(out, "-----END PUBLIC KEY-----\n");
}

/* Of a device of Mender, which shows that it has it: its hash is kept as a token's. */
static const char *read_device_key(const char *s, struct fleet_row *r)
{
	uint8_t hash[SHA256_LEN];
	struct buf pem = { 0 };
	int err;

	write_pem(s, &pem);
	err = devicekey_fingerprint(buf_bytes(&pem), hash);
	buf_release(&pem);
	if (err != 0)
		return "is a public key: PEM, or what stands in it";
	r->has_token = true;
	memcpy(r->token, hash, FLEET_TOKEN_LEN);
	return NULL;
}

static const char *read_token(const char *s, struct fleet_row *r)
{
	struct bytes text = bytes_str(s);
	uint8_t hash[SHA256_LEN];

	if (r->has_token)
		return "stands beside key: one of both";
	r->has_token = true;
	if (text.n < TOKEN_MIN || text.n > TOKEN_MAX)
		return "is 16 to 128 printable characters without blanks";
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return "is 16 to 128 printable characters without blanks";
	if (crypto_sha256(&text, 1, hash) != 0)
		return "cannot be hashed";
	memcpy(r->token, hash, FLEET_TOKEN_LEN);
	return NULL;
}

/* An export has only the half that is kept. */
static const char *read_token_sha256(const char *s, struct fleet_row *r)
{
	uint8_t hash[SHA256_LEN];

	if (r->has_token)
		return "stands beside key or token: one of them";
	r->has_token = true;
	if (!hex_decode(hash, SHA256_LEN, s) && !hex_decode(hash, FLEET_TOKEN_LEN, s))
		return "is 64 hex digits, or the first 32 of them";
	memcpy(r->token, hash, FLEET_TOKEN_LEN);
	return NULL;
}

static const char *read_enrolled(const char *s, struct fleet_row *r)
{
	r->has_day = true;
	return fleet_day_read(s, &r->enrolled_day) ? NULL : "is a day: 2026-01-31";
}

static const char *read_last_seq(const char *s, struct fleet_row *r)
{
	uint64_t n;

	if (!text_u64(s, &n) || n > UINT32_MAX)
		return "is a whole number";
	r->last_seq = (uint32_t)n;
	return NULL;
}

static const char *read_left(const char *s, struct fleet_row *r)
{
	r->left = strcmp(s, "true") == 0;
	return r->left || strcmp(s, "false") == 0 ? NULL : "is true or false";
}

static const char *read_protocol(const char *s, struct fleet_row *r)
{
	for (unsigned p = FOREIGN_DDI; p < FOREIGN__END; p++)
		if (strcmp(s, foreign_protocol_str((enum foreign_protocol)p)) == 0)
			r->protocol = p;
	return r->protocol != 0 ? NULL : "is hawkbit, mender or omaha";
}

static const char *read_name(const char *s, struct fleet_row *r)
{
	if (!foreign_name_ok(bytes_str(s)))
		return "is 1 to 128 printable characters without blanks, slashes and quotes";
	memcpy(r->name, s, strlen(s) + 1);
	return NULL;
}

static const char *(*const readers[FLEET_COLUMNS])(const char *s, struct fleet_row *r) = {
	[FLEET_ID] = read_id,
	[FLEET_SERIAL] = read_serial,
	[FLEET_PRODUCT] = read_product,
	[FLEET_BUILD] = read_build,
	[FLEET_RING] = read_ring,
	[FLEET_WISH] = read_wish,
	[FLEET_KEY] = read_key,
	[FLEET_TOKEN] = read_token,
	[FLEET_TOKEN_SHA256] = read_token_sha256,
	[FLEET_ENROLLED] = read_enrolled,
	[FLEET_LAST_SEQ] = read_last_seq,
	[FLEET_LEFT] = read_left,
	[FLEET_PROTOCOL] = read_protocol,
	[FLEET_NAME] = read_name,
};

static const char *check_whole(const struct fleet_values *v, struct fleet_row *r)
{
	if (r->product[0] == '\0')
		return "product is missing";
	if ((r->protocol != 0) != (r->name[0] != '\0'))
		return "protocol and name: both or none";
	/* An export names the id, too, which says the same. */
	if (r->protocol != 0 && (r->has_serial || r->has_key))
		return "a device of another protocol has a name, and no serial_sha256 and key";
	if (r->has_id && r->has_serial)
		return "id and serial_sha256: one of both";
	if (r->protocol == 0 && !r->has_id && !r->has_key && !r->has_token)
		return "a key, a token or an id is missing: no phone could say that it is this one";
	if (v->of[FLEET_WISH] == NULL)
		r->wish = r->ring;
	return r->wish <= r->ring ? NULL : "wish lies outside ring";
}

/* What a key is depends on the protocol. */
static const char *read_column(const struct fleet_values *v, unsigned c, struct fleet_row *r)
{
	const char *protocol = v->of[FLEET_PROTOCOL];
	bool is_mender =
		protocol != NULL && strcmp(protocol, foreign_protocol_str(FOREIGN_MENDER)) == 0;

	return c == FLEET_KEY && is_mender ? read_device_key(v->of[c], r) : readers[c](v->of[c], r);
}

bool fleet_row_read(const struct fleet_values *v, struct fleet_row *out, char why[FLEET_WHY_MAX])
{
	const char *wrong;

	out->ring = RING_STABLE;
	for (unsigned c = 0; c < FLEET_COLUMNS; c++) {
		wrong = v->of[c] != NULL ? read_column(v, c, out) : NULL;
		if (wrong == NULL)
			continue;
		(void)snprintf(why, FLEET_WHY_MAX, "%s %s", fleet_columns[c], wrong);
		return false;
	}
	wrong = check_whole(v, out);
	if (wrong != NULL)
		(void)snprintf(why, FLEET_WHY_MAX, "%s", wrong);
	return wrong == NULL;
}

/* ---- days ---- */

bool fleet_day_read(const char *s, uint32_t *day)
{
	struct tm tm = { 0 };
	const char *end = strptime(s, "%Y-%m-%d", &tm);
	char again[16];
	time_t t;

	if (end == NULL || *end != '\0' || strlen(s) != 10)
		return false;
	t = timegm(&tm);
	if (t < 0 || t / DAY_S > UINT16_MAX)
		return false;
	*day = (uint32_t)(t / DAY_S);
	/* February has no 30th day. */
	fleet_day_write(*day, again);
	return strcmp(s, again) == 0;
}

void fleet_day_write(uint32_t day, char out[16])
{
	time_t t = (time_t)day * DAY_S;
	struct tm tm;

	out[0] = '\0';
	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(out, 16, "%Y-%m-%d", &tm);
}
