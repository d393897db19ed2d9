/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/checkpoint.h"

#include <assert.h>
#include <stdio.h>

#include "proto/base64.h"
#include "proto/root.h"

#define DASH          "\xe2\x80\x94 " /* U+2014 and a space begin a signature line */
#define TYPE_ED25519  1u
#define TYPE_COSIGNED 4u
#define HASH_LEN      4u
#define BLOB_MAX      (HASH_LEN + 8 + SIG_LEN)
#define TEXT_MAX      512u

/* ---- the parts of a note ---- */

/* Cuts off what comes before `c`; false when it is not there. */
static bool cut(struct bytes *rest, char c, struct bytes *out)
{
	const uint8_t *at = rest->n == 0 ? NULL : memchr(rest->p, c, rest->n);

	if (at == NULL)
		return false;
	*out = bytes_of(rest->p, (size_t)(at - rest->p));
	*rest = bytes_of(at + 1, rest->n - out->n - 1);
	return true;
}

/* What is signed ends with a newline; an empty line parts it from the signatures. */
static bool split(struct bytes note, struct bytes *text, struct bytes *signatures)
{
	for (size_t i = note.n; i >= 2; i--) {
		if (note.p[i - 1] != '\n' || note.p[i - 2] != '\n')
			continue;
		*text = bytes_of(note.p, i - 1);
		*signatures = bytes_of(note.p + i, note.n - i);
		return true;
	}
	return false;
}

struct line {
	struct bytes name;
	uint8_t blob[BLOB_MAX]; /* key hash, then what the type has */
	size_t n;               /* 0: longer than any type we know */
};

static int read_line(struct bytes *rest, struct line *out)
{
	struct bytes line, unused;
	int err;

	if (!cut(rest, '\n', &line) || line.n < sizeof(DASH) ||
		memcmp(line.p, DASH, sizeof(DASH) - 1) != 0)
		return ERR_MALFORMED;
	line = bytes_of(line.p + sizeof(DASH) - 1, line.n - (sizeof(DASH) - 1));
	unused = line;
	if (!cut(&unused, ' ', &out->name) || out->name.n == 0)
		return ERR_MALFORMED;
	err = base64_read(unused, out->blob, sizeof(out->blob), &out->n);
	if (err == ERR_NO_ROOM)
		out->n = 0;
	return err == ERR_NO_ROOM ? 0 : err;
}

/* ---- keys ---- */

/* SHA-256(name || newline || type || public key), its first four bytes. */
static int key_hash(const struct crypto *c, struct bytes name, uint8_t type, struct bytes key,
	struct arena *a, uint8_t out[HASH_LEN])
{
	uint8_t sha256[SHA256_LEN], *p = arena_alloc(a, name.n + 2 + key.n);
	int err;

	if (p == NULL)
		return ERR_NO_ROOM;
	memcpy(p, name.p, name.n);
	p[name.n] = '\n';
	p[name.n + 1] = type;
	memcpy(p + name.n + 2, key.p, key.n);
	err = c->sha256(c->ctx, p, name.n + 2 + key.n, sha256);
	memcpy(out, sha256, HASH_LEN);
	return err;
}

/* A key that may sign, and what its lines look like. */
struct signer_key {
	struct bytes name, key;
	uint8_t type;
};

/* The line of this key; `*found` false when there is none. */
static int find_line(const struct crypto *c, struct bytes lines, const struct signer_key *k,
	struct arena *a, struct line *out, bool *found)
{
	uint8_t hash[HASH_LEN];
	int err = key_hash(c, k->name, k->type, k->key, a, hash);

	*found = false;
	for (unsigned n = 0; err == 0 && lines.n > 0 && !*found; n++) {
		err = n < CHECKPOINT_LINES_MAX ? read_line(&lines, out) : ERR_MALFORMED;
		*found = err == 0 && out->n >= HASH_LEN && bytes_eq(out->name, k->name) &&
			memcmp(out->blob, hash, HASH_LEN) == 0;
	}
	return err;
}

/* ---- writing ---- */

int checkpoint_sign(const char *origin, const struct checkpoint *checkpoint,
	const struct crypto_key *key, struct arena *a, struct bytes *note)
{
	char root[BASE64_LEN(SHA256_LEN) + 1], sig[BASE64_LEN(HASH_LEN + SIG_LEN) + 1];
	uint8_t blob[HASH_LEN + SIG_LEN], public_key[PUBLIC_MAX];
	char *out = arena_alloc(a, CHECKPOINT_MAX);
	int n, end, err;

	assert(crypto_key_scheme(key) == KEY_ED25519);
	if (out == NULL)
		return ERR_NO_ROOM;
	root[base64_write(bytes_of(checkpoint->root, SHA256_LEN), root)] = '\0';
	n = snprintf(out, CHECKPOINT_MAX, "%s\n%llu\n%s\n", origin,
		(unsigned long long)checkpoint->size, root);
	assert(n > 0 && (unsigned)n < TEXT_MAX);
	err = key_hash(crypto_openssl(), bytes_str(origin), TYPE_ED25519,
		bytes_of(public_key, crypto_key_public(key, public_key)), a, blob);
	if (err == 0)
		err = crypto_key_sign(key, bytes_of(out, (size_t)n), blob + HASH_LEN);
	if (err != 0)
		return err;
	sig[base64_write(bytes_of(blob, sizeof(blob)), sig)] = '\0';
	end = snprintf(out + n, CHECKPOINT_MAX - (size_t)n, "\n" DASH "%s %s\n", origin, sig);
	assert(end > 0 && (unsigned)(n + end) < CHECKPOINT_MAX);
	*note = bytes_of(out, (size_t)(n + end));
	return 0;
}

/* ---- reading ---- */

static int check_log(const struct crypto *c, struct bytes text, struct bytes lines,
	const Pb__Root *root, struct arena *a)
{
	const Pb__Key *key = root_key(c, root, wire_bytes(root->log->log_keyid));
	struct line line;
	bool found;
	int err;

	if (key == NULL || key->scheme != KEY_ED25519)
		return ERR_BAD_ROOT;
	struct signer_key k = { bytes_str(root->log->origin), wire_bytes(key->public_key),
		TYPE_ED25519 };
	err = find_line(c, lines, &k, a, &line, &found);
	if (err != 0)
		return err;
	if (!found || line.n != HASH_LEN + SIG_LEN)
		return ERR_BAD_SIGNATURE;
	return c->verify(c->ctx, KEY_ED25519, k.key, text, line.blob + HASH_LEN);
}

/* A witness signs the time too, and says that the log only ever grew. */
static int check_witness(const struct crypto *c, struct bytes text, struct bytes lines,
	const Pb__Witness *w, struct arena *a, bool *signed_it)
{
	struct signer_key k = { bytes_str(w->name), wire_bytes(w->public_key), TYPE_COSIGNED };
	uint8_t *message = arena_alloc(a, TEXT_MAX + text.n);
	struct line line;
	int n, err;

	*signed_it = false;
	if (message == NULL)
		return ERR_NO_ROOM;
	err = find_line(c, lines, &k, a, &line, signed_it);
	if (err != 0 || !*signed_it)
		return err;
	*signed_it = line.n == BLOB_MAX;
	n = snprintf((char *)message, TEXT_MAX, "cosignature/v1\ntime %llu\n",
		(unsigned long long)get_be64(line.blob + HASH_LEN));
	memcpy(message + n, text.p, text.n);
	if (*signed_it)
		*signed_it =
			c->verify(c->ctx, KEY_ED25519, k.key, bytes_of(message, (size_t)n + text.n),
				line.blob + HASH_LEN + 8) == 0;
	return 0;
}

static int check_witnesses(const struct crypto *c, struct bytes text, struct bytes lines,
	const Pb__LogPolicy *log, struct arena *a)
{
	uint32_t n = 0;

	for (size_t i = 0; i < log->n_witnesses; i++) {
		bool signed_it;
		int err = check_witness(c, text, lines, log->witnesses[i], a, &signed_it);
		if (err != 0)
			return err;
		n += signed_it;
	}
	return n >= log->witness_threshold ? 0 : ERR_BELOW_WITNESSES;
}

static int read_size(struct bytes text, uint64_t *out)
{
	uint64_t v = 0;

	if (text.n == 0 || text.n > 18 || (text.n > 1 && text.p[0] == '0'))
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return ERR_MALFORMED;
		v = v * 10 + (uint64_t)(text.p[i] - '0');
	}
	*out = v;
	return 0;
}

static int read_text(struct bytes text, const char *origin, struct checkpoint *out)
{
	struct bytes line[3]; /* name, size, root; what comes behind is for others */
	size_t n;
	int err;

	for (unsigned i = 0; i < 3; i++)
		if (!cut(&text, '\n', &line[i]))
			return ERR_MALFORMED;
	if (!bytes_eq(line[0], bytes_str(origin)))
		return ERR_WRONG_REPOSITORY;
	err = read_size(line[1], &out->size);
	if (err == 0)
		err = base64_read(line[2], out->root, SHA256_LEN, &n);
	if (err == ERR_NO_ROOM || (err == 0 && n != SHA256_LEN))
		err = ERR_MALFORMED;
	return err;
}

int checkpoint_read(const struct crypto *c, struct bytes note, const Pb__Root *root,
	struct arena *a, struct checkpoint *out)
{
	struct bytes text, lines;
	int err;

	if (root->log == NULL)
		return ERR_BAD_ROOT;
	if (note.n > CHECKPOINT_MAX)
		return ERR_TOO_BIG;
	if (!split(note, &text, &lines))
		return ERR_MALFORMED;
	err = check_log(c, text, lines, root, a);
	if (err == 0)
		err = check_witnesses(c, text, lines, root->log, a);
	return err != 0 ? err : read_text(text, root->log->origin, out);
}
