/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/door.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base64.h"
#include "proto/crypto.h"
#include "proto/trust.pb-c.h"
#include "proto/wire.h"
#include "server/base/file.h"
#include "server/base/mem.h"

#define ERROR_MAX       256
#define TOKENS_FILE_MAX (4u * 1024 * 1024)
#define TOKEN_MIN       16u
#define TOKEN_MAX       128u
#define KEY_FILE_MAX    4096u
#define KEY_WIRE_MAX    512u

struct door {
	enum config_enrol_mode mode;
	uint8_t (*token)[SHA256_LEN]; /* hashes: the tokens themselves are not kept */
	size_t n_tokens;
	uint8_t (*maker)[ED25519_PUBLIC_LEN];
	size_t n_makers;
};

/* The next line, without its end and the blanks around it; false when there is none. */
static bool next_line(struct bytes *rest, struct bytes *line)
{
	const uint8_t *end;

	if (rest->n == 0)
		return false;
	end = memchr(rest->p, '\n', rest->n);
	*line = bytes_of(rest->p, end != NULL ? (size_t)(end - rest->p) : rest->n);
	*rest = bytes_of(rest->p + line->n, rest->n - line->n);
	if (end != NULL)
		*rest = bytes_of(rest->p + 1, rest->n - 1);
	while (line->n > 0 && line->p[line->n - 1] <= ' ')
		line->n--;
	while (line->n > 0 && line->p[0] <= ' ')
		*line = bytes_of(line->p + 1, line->n - 1);
	return true;
}

/* ---- tokens ---- */

static bool is_token(struct bytes t)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] <= ' ' || t.p[i] > '~')
			return false;
	return t.n >= TOKEN_MIN && t.n <= TOKEN_MAX;
}

static int take_tokens(struct door *d, const char *path, struct bytes text, char *error)
{
	struct bytes line;

	for (unsigned at = 1; next_line(&text, &line); at++) {
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!is_token(line)) {
			(void)snprintf(error, ERROR_MAX,
				"%.150s:%u: a token is %u to %u printable characters without blanks",
				path, at, TOKEN_MIN, TOKEN_MAX);
			return ERR_CONFIG;
		}
		d->token = mem_resize(d->token, d->n_tokens + 1, SHA256_LEN);
		if (crypto_sha256(&line, 1, d->token[d->n_tokens++]) != 0)
			return ERR_CRYPTO;
	}
	if (d->n_tokens > 0)
		return 0;
	(void)snprintf(error, ERROR_MAX, "%.200s: no token in it", path);
	return ERR_CONFIG;
}

static int read_tokens(struct door *d, const char *path, char *error)
{
	struct buf b = { 0 };
	int err = file_read(path, TOKENS_FILE_MAX, &b);

	if (err != 0)
		(void)snprintf(error, ERROR_MAX, "%.160s: %s", path, err_str(err));
	else
		err = take_tokens(d, path, buf_bytes(&b), error);
	if (b.data != NULL)
		crypto_wipe(b.data, b.cap);
	buf_release(&b);
	return err;
}

bool door_knows(const struct door *d, struct bytes token)
{
	uint8_t hash[SHA256_LEN];
	bool known = false;

	if (crypto_sha256(&token, 1, hash) != 0)
		return false;
	for (size_t i = 0; i < d->n_tokens; i++)
		known |= crypto_equal(hash, d->token[i], SHA256_LEN);
	return known;
}

/* ---- vouchers ---- */

/* The key in what base64 stands for: the 32 bytes, an X.509 public key, or a Key of trust.proto. */
static bool unwrap_key(struct bytes in, uint8_t out[ED25519_PUBLIC_LEN])
{
	static const uint8_t x509[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03,
		0x21, 0x00 };
	_Alignas(16) uint8_t memory[2 * KEY_WIRE_MAX];
	struct arena arena = { memory, sizeof(memory), 0 };
	struct bytes key = in;
	const Pb__Key *message;
	int err;

	if (in.n == sizeof(x509) + ED25519_PUBLIC_LEN && memcmp(in.p, x509, sizeof(x509)) == 0) {
		key = bytes_of(in.p + sizeof(x509), ED25519_PUBLIC_LEN);
	} else if (in.n != ED25519_PUBLIC_LEN) {
		message = wire_read(&pb__key__descriptor, in, &wire_signed, &arena, &err);
		if (message == NULL || message->scheme != KEY_ED25519)
			return false;
		key = wire_bytes(message->public_key);
	}
	if (key.n != ED25519_PUBLIC_LEN)
		return false;
	memcpy(out, key.p, key.n);
	return true;
}

/* The first line that is neither a comment nor PEM's frame. */
static bool read_key(struct bytes text, uint8_t out[ED25519_PUBLIC_LEN])
{
	uint8_t wire[KEY_WIRE_MAX];
	struct bytes line;
	size_t n;

	while (next_line(&text, &line))
		if (line.n > 0 && line.p[0] != '#' && line.p[0] != '-')
			return base64_read(line, wire, sizeof(wire), &n) == 0 &&
				unwrap_key(bytes_of(wire, n), out);
	return false;
}

static int read_maker(struct door *d, const char *maker, char *error)
{
	struct buf b = { 0 };
	int err = 0;

	if (config_is_key(maker))
		buf_str(&b, maker);
	else
		err = file_read(maker, KEY_FILE_MAX, &b);
	d->maker = mem_resize(d->maker, d->n_makers + 1, ED25519_PUBLIC_LEN);
	if (err == 0 && !read_key(buf_bytes(&b), d->maker[d->n_makers++]))
		err = ERR_BAD_KEY;
	if (err != 0)
		(void)snprintf(error, ERROR_MAX, "enrol: manufacturers: %.120s: %s", maker,
			err == ERR_BAD_KEY ? "no Ed25519 public key, as PEM or base64"
					   : err_str(err));
	buf_release(&b);
	return err;
}

static bool has_voucher(const struct door *d, const Pb__EnrollRequest *m)
{
	static const char domain[] = "huidu/voucher/v1"; /* its NUL is part of it */
	struct buf text = { 0 };
	bool good = false;

	if (!m->has_voucher || m->voucher.len != SIG_LEN)
		return false;
	buf_add(&text, domain, sizeof(domain));
	buf_add(&text, m->public_key.data, m->public_key.len);
	buf_str(&text, m->product);
	for (size_t i = 0; !good && i < d->n_makers; i++)
		good = crypto_key_verify(KEY_ED25519, bytes_of(d->maker[i], ED25519_PUBLIC_LEN),
			       buf_bytes(&text), m->voucher.data) == 0;
	buf_release(&text);
	return good;
}

/* ---- both ---- */

int door_new(const struct config_enrol *config, struct door **out, char *error)
{
	struct door *d = mem_zalloc(sizeof(*d));
	int err = 0;

	d->mode = (enum config_enrol_mode)config->mode;
	if (d->mode == ENROL_TOKEN)
		err = read_tokens(d, config->tokens, error);
	for (size_t i = 0; err == 0 && i < config->n_manufacturers; i++)
		err = read_maker(d, config->manufacturers[i], error);
	if (err == 0)
		*out = d;
	else
		door_free(d);
	return err;
}

void door_free(struct door *d)
{
	if (d == NULL)
		return;
	free(d->token);
	free(d->maker);
	free(d);
}

enum door_answer door_ask(const struct door *d, const Pb__EnrollRequest *m)
{
	switch (d->mode) {
	case ENROL_OPEN:
		return DOOR_OPEN;
	case ENROL_TOKEN:
		return door_knows(d, bytes_str(m->token != NULL ? m->token : "")) ? DOOR_OPEN
										  : DOOR_SHUT;
	case ENROL_VOUCHER:
		return has_voucher(d, m) ? DOOR_OPEN : DOOR_SHUT;
	case ENROL_HOOK:
		return DOOR_ASK;
	case ENROL_UNSAID:
	case ENROL_CLOSED:
		break;
	}
	return DOOR_SHUT;
}
