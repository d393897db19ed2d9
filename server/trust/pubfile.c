/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/pubfile.h"

#include "proto/base64.h"
#include "server/base/file.h"

#define FILE_MAX 2048u
#define KEY_MAX  512u

int pubfile_write(const char *path, const Pb__Key *key, enum key_role role)
{
	char text[BASE64_LEN(KEY_MAX)], hex[2 * SHA256_LEN + 1];
	uint8_t wire[KEY_MAX], id[SHA256_LEN];
	struct buf b = { 0 };
	int err = envelope_keyid(crypto_openssl(), key, id);

	if (err == 0 && wire_size(key) > sizeof(wire))
		err = ERR_BAD_KEY;
	if (err != 0)
		return err;
	buf_printf(&b, "# huidu public key: %s, %s%s, id %.16s\n",
		key->name != NULL ? key->name : "no name", key_role_str(role),
		key->has_demo && key->demo ? ", demo" : "", hex_encode(hex, id, SHA256_LEN));
	buf_add(&b, text, base64_write(bytes_of(wire, wire_write(key, wire)), text));
	buf_str(&b, "\n");
	err = file_create(path, buf_bytes(&b), 0644);
	buf_release(&b);
	return err;
}

/* The first line that is no comment. */
static struct bytes key_line(struct bytes text)
{
	while (text.n > 0) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
		if (n > 0 && text.p[0] != '#')
			return bytes_of(text.p, n);
		n += end != NULL;
		text = bytes_of(text.p + n, text.n - n);
	}
	return text;
}

int pubfile_read(const char *path, struct arena *a, const Pb__Key **out)
{
	uint8_t wire[KEY_MAX];
	struct buf b = { 0 };
	size_t n = 0;
	int err = file_read(path, FILE_MAX, &b);

	if (err == 0 && base64_read(key_line(buf_bytes(&b)), wire, sizeof(wire), &n) != 0)
		err = ERR_BAD_KEY;
	buf_release(&b);
	if (err == 0)
		*out = wire_read(&pb__key__descriptor, bytes_of(wire, n), &wire_signed, a, &err);
	return err <= -1000 ? ERR_BAD_KEY : err;
}
