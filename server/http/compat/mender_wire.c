/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/mender_wire.h"

#include <stdio.h>

#include "proto/base64.h"
#include "proto/crypto.h"
#include "server/http/compat/json.h"
#include "server/trust/devicekey.h"

#define PARTS_MAX 8u /* of an identity that is named by them */
#define HASHED    "sha256:"

static bool is(struct bytes text, const char *word)
{
	return text.p != NULL && bytes_eq(text, bytes_str(word));
}

/* A text that need not be there. */
static int keep(struct bytes text, char out[MENDER_TEXT])
{
	if (text.n >= MENDER_TEXT)
		return ERR_TOO_BIG;
	if (text.n > 0)
		memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return 0;
}

/* ---- authentication ---- */

struct part {
	struct bytes name, value;
};

/* A byte that a device's name may hold, and that does not part it. */
static bool is_plain(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~' || memchr("/\"'\\,=", text.p[i], 6) != NULL)
			return false;
	return text.p != NULL;
}

/* Into its place among `n` sorted ones.  Names differ. */
static void place(struct part *part, size_t n, struct part new)
{
	for (; n > 0; n--) {
		size_t least = part[n - 1].name.n < new.name.n ? part[n - 1].name.n : new.name.n;
		int order = memcmp(part[n - 1].name.p, new.name.p, least);
		if (order < 0 || (order == 0 && part[n - 1].name.n < new.name.n))
			break;
		part[n] = part[n - 1];
	}
	part[n] = new;
}

static bool write_plain(const struct json_value *identity, char out[MENDER_NAME])
{
	struct part part[PARTS_MAX];
	struct json_walk w = { 0 };
	size_t n = 0, at = 0;

	while (json_next(identity, &w)) {
		struct part new = { w.key, json_text(w.value, "") };
		if (n == PARTS_MAX || !is_plain(new.name) || !is_plain(new.value))
			return false;
		place(part, n++, new);
	}
	for (size_t i = 0; i < n && at < MENDER_NAME; i++)
		at += (size_t)snprintf(out + at, MENDER_NAME - at, "%s%.*s=%.*s", i > 0 ? "," : "",
			(int)part[i].name.n, (const char *)part[i].name.p, (int)part[i].value.n,
			(const char *)part[i].value.p);
	return at < MENDER_NAME;
}

static int write_hash(const struct json_value *identity, char out[MENDER_NAME])
{
	uint8_t hash[SHA256_LEN];
	struct buf text = { 0 };
	struct bytes part;
	int err;

	json_sorted(&text, identity);
	part = buf_bytes(&text);
	err = crypto_sha256(&part, 1, hash);
	buf_release(&text);
	memcpy(out, HASHED, strlen(HASHED));
	(void)hex_encode(out + strlen(HASHED), hash, SHA256_LEN);
	return err;
}

int mender_name(struct bytes identity, char out[MENDER_NAME])
{
	struct json_value *root;
	struct json_walk w = { 0 };
	int err = json_read(identity, MENDER_IDENTITY_MAX, &root);

	out[0] = '\0';
	if (err != 0)
		return err;
	if (!json_next(root, &w) || w.key.p == NULL)
		err = ERR_MALFORMED; /* no object, or an empty one, which all devices would share */
	else if (!write_plain(root, out))
		err = write_hash(root, out);
	json_free(root);
	return err;
}

static int check_signature(struct bytes body, struct bytes header, struct bytes pem)
{
	uint8_t sig[DEVICEKEY_SIGNATURE_MAX];
	size_t n = 0;

	if (base64_read(header, sig, sizeof(sig), &n) != 0)
		return ERR_BAD_SIGNATURE;
	return devicekey_verify(pem, body, bytes_of(sig, n));
}

int mender_read_auth(struct bytes body, struct bytes signature, struct mender_auth *out)
{
	struct json_value *root;
	struct bytes id, pem, token;
	int err;

	*out = (struct mender_auth){ 0 };
	err = json_read(body, MENDER_BODY_MAX, &root);
	if (err != 0)
		return err;
	id = json_text(root, "id_data");
	pem = json_text(root, "pubkey");
	token = json_text(root, "tenant_token");
	err = id.p != NULL && pem.p != NULL ? 0 : ERR_MISSING_FIELD;
	if (err == 0)
		err = check_signature(body, signature, pem);
	if (err == 0)
		err = devicekey_fingerprint(pem, out->key);
	if (err == 0)
		err = mender_name(id, out->name);
	if (err == 0)
		buf_add(&out->token, token.p, token.n);
	json_free(root);
	return err;
}

void mender_auth_release(struct mender_auth *a)
{
	buf_release(&a->token);
}

/* ---- next ---- */

int mender_read_next(struct bytes body, struct mender_next *out)
{
	struct json_value *root;
	const struct json_value *provides;
	struct json_walk w = { 0 };
	int err;

	*out = (struct mender_next){ 0 };
	err = json_read(body, MENDER_BODY_MAX, &root);
	if (err != 0)
		return err;
	provides = json_at(root, "device_provides");
	out->control_map = provides != NULL && json_yes(root, "update_control_map");
	provides = provides != NULL ? provides : root;
	if (!json_next(provides, &w) || w.key.p == NULL)
		err = ERR_MALFORMED;
	else
		err = keep(json_text(provides, "artifact_name"), out->artifact_name);
	if (err == 0)
		err = keep(json_text(provides, "device_type"), out->device_type);
	json_free(root);
	return err;
}

static int digit_of(uint8_t c)
{
	static const char digit[] = "0123456789abcdef";
	const char *p = c == '\0' ? NULL : strchr(digit, c | ('A' <= c && c <= 'F' ? 0x20 : 0));

	return p == NULL ? -1 : (int)(p - digit);
}

/* "%20" and '+' are blanks. */
static int unescape(struct bytes in, char out[MENDER_TEXT])
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		int high = 0, low = in.p[i] == '+' ? ' ' : in.p[i];
		if (in.p[i] == '%') {
			high = i + 2 < in.n ? digit_of(in.p[i + 1]) : -1;
			low = i + 2 < in.n ? digit_of(in.p[i + 2]) : -1;
			i += 2;
		}
		if (high < 0 || low < 0 || high * 16 + low == 0)
			return ERR_MALFORMED;
		if (n + 1 == MENDER_TEXT)
			return ERR_TOO_BIG;
		out[n++] = (char)(high * 16 + low);
	}
	out[n] = '\0';
	return 0;
}

/* The bytes before the first `c`, which leave `*rest` with it. */
static struct bytes cut(struct bytes *rest, char c)
{
	const uint8_t *end = rest->n > 0 ? memchr(rest->p, c, rest->n) : NULL;
	struct bytes head = bytes_of(rest->p, end != NULL ? (size_t)(end - rest->p) : rest->n);
	size_t used = head.n + (end != NULL);

	*rest = bytes_of(rest->n > used ? rest->p + used : NULL, rest->n - used);
	return head;
}

int mender_read_query(struct bytes query, struct mender_next *out)
{
	int err = 0;

	*out = (struct mender_next){ 0 };
	while (query.n > 0 && err == 0) {
		struct bytes value = cut(&query, '&');
		struct bytes name = cut(&value, '=');
		if (is(name, "artifact_name"))
			err = unescape(value, out->artifact_name);
		else if (is(name, "device_type"))
			err = unescape(value, out->device_type);
	}
	return err;
}

/* ---- status ---- */

static const char *const status_word[MENDER_STATUS__COUNT] = {
	[MENDER_UNKNOWN] = "unknown",
	[MENDER_DOWNLOADING] = "downloading",
	[MENDER_INSTALLING] = "installing",
	[MENDER_REBOOTING] = "rebooting",
	[MENDER_SUCCESS] = "success",
	[MENDER_FAILURE] = "failure",
	[MENDER_ALREADY_INSTALLED] = "already-installed",
	[MENDER_PAUSE_BEFORE_INSTALLING] = "pause_before_installing",
	[MENDER_PAUSE_BEFORE_REBOOTING] = "pause_before_rebooting",
	[MENDER_PAUSE_BEFORE_COMMITTING] = "pause_before_committing",
};

const char *mender_status_str(enum mender_status s)
{
	return status_word[s];
}

int mender_read_status(struct bytes body, enum mender_status *out)
{
	struct json_value *root;
	struct bytes word;
	int err;

	*out = MENDER_UNKNOWN;
	err = json_read(body, MENDER_BODY_MAX, &root);
	if (err != 0)
		return err;
	word = json_text(root, "status");
	for (unsigned s = MENDER_UNKNOWN + 1; s < MENDER_STATUS__COUNT; s++)
		if (is(word, status_word[s]))
			*out = (enum mender_status)s;
	err = word.p != NULL ? 0 : ERR_MISSING_FIELD;
	json_free(root);
	return err;
}

/* ---- log ---- */

/* As much as fits, and no half of a character. */
static void shorten(struct bytes text, char why[MENDER_WHY])
{
	size_t n = text.n < MENDER_WHY ? text.n : MENDER_WHY - 1;

	while (n < text.n && n > 0 && (text.p[n] & 0xc0) == 0x80)
		n--;
	if (n > 0)
		memcpy(why, text.p, n);
	why[n] = '\0';
}

int mender_read_log(struct bytes body, char why[MENDER_WHY])
{
	struct bytes last = { NULL, 0 }, last_error = { NULL, 0 };
	struct json_value *root;
	struct json_walk w = { 0 };
	int err;

	why[0] = '\0';
	err = json_read(body, MENDER_BODY_MAX, &root);
	if (err != 0)
		return err;
	err = json_at(root, "messages") != NULL ? 0 : ERR_MISSING_FIELD;
	while (json_next(json_at(root, "messages"), &w)) {
		struct bytes level = json_text(w.value, "level");
		last = json_text(w.value, "message");
		if (is(level, "error") || is(level, "fatal") || is(level, "panic"))
			last_error = last;
	}
	shorten(last_error.n > 0 ? last_error : last, why);
	json_free(root);
	return err;
}

/* ---- inventory ---- */

static int read_attribute(const struct json_value *v, struct mender_inventory *out)
{
	struct bytes name = json_text(v, "name"), value = json_text(v, "value");

	if (is(name, "artifact_name"))
		return keep(value, out->artifact_name);
	if (is(name, "device_type"))
		return keep(value, out->device_type);
	if (is(name, "mender_client_version"))
		return keep(value, out->client_version);
	return 0;
}

int mender_read_inventory(struct bytes body, struct mender_inventory *out)
{
	struct json_value *root;
	struct json_walk w = { 0 };
	int err;

	*out = (struct mender_inventory){ 0 };
	err = json_read(body, MENDER_BODY_MAX, &root);
	if (err != 0)
		return err;
	while (err == 0 && json_next(root, &w)) {
		err = w.key.p == NULL ? read_attribute(w.value, out) : ERR_MALFORMED;
		out->n++;
	}
	json_free(root);
	return err;
}
