/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "proto/base64.h"
#include "proto/envelope.h"
#include "proto/merkle.h"
#include "proto/names.h"
#include "server/base/mem.h"
#include "server/store/check_private.h"
#include "server/store/entry.h"

/* A piece of metadata, as it is stored. */
struct file {
	char name[METADATA_NAME_MAX];
	uint8_t sha256[SHA256_LEN];
	uint64_t version, length;
	struct bytes key;
	uint64_t entry; /* directors: one more than their last entry in the log; 0: none */
	uint8_t logged[SHA256_LEN]; /* what that entry has */
};

struct log_check {
	struct check *k;
	struct merkle tree;
	struct file *files; /* in order of name */
	size_t n_files;
	struct bytes note; /* the checkpoint, and what it says: */
	uint64_t note_size;
	uint8_t note_root[SHA256_LEN];
};

/* ---- metadata ---- */

static bool begins(struct bytes key, const char *word)
{
	return key.n > strlen(word) && memcmp(key.p, word, strlen(word)) == 0;
}

/* What is signed of each kind; the arena is the caller's to clear. */
static const void *open_payload(struct check *k, struct bytes envelope, enum envelope_type want,
	const ProtobufCMessageDescriptor *descriptor)
{
	enum envelope_type type;
	int err;
	const Pb__Envelope *e = envelope_read(envelope, &k->arena, &err);

	if (e == NULL || !envelope_type_of(e, &type) || type != want)
		return NULL;
	return wire_read(descriptor, wire_bytes(e->payload), &wire_signed, &k->arena, &err);
}

static bool read_version(struct check *k, struct bytes key, struct bytes envelope, uint64_t *out)
{
	const Pb__Director *d;
	const Pb__Snapshot *s;
	const Pb__Timestamp *t;

	k->arena.used = 0;
	if (begins(key, "director/")) {
		d = open_payload(k, envelope, ENVELOPE_DIRECTOR, &pb__director__descriptor);
		*out = d != NULL ? d->version : 0;
		return d != NULL;
	}
	if (begins(key, "snapshot/")) {
		s = open_payload(k, envelope, ENVELOPE_SNAPSHOT, &pb__snapshot__descriptor);
		*out = s != NULL ? s->version : 0;
		return s != NULL;
	}
	t = open_payload(k, envelope, ENVELOPE_TIMESTAMP, &pb__timestamp__descriptor);
	*out = t != NULL ? t->version : 0;
	return begins(key, "timestamp/") && t != NULL;
}

static bool cut_line(struct bytes *text, struct bytes *line)
{
	const uint8_t *end = memchr(text->p, '\n', text->n);

	if (end == NULL)
		return false;
	*line = bytes_of(text->p, (size_t)(end - text->p));
	*text = bytes_of(end + 1, text->n - line->n - 1);
	return true;
}

/* Whose signature it is, others check: here it is compared with the log. */
static bool read_note(struct log_check *l, struct bytes note)
{
	struct bytes line[3];
	char number[24], *end;
	size_t n;

	for (unsigned i = 0; i < 3; i++)
		if (!cut_line(&note, &line[i]))
			return false;
	if (line[1].n == 0 || line[1].n >= sizeof(number))
		return false;
	memcpy(number, line[1].p, line[1].n);
	number[line[1].n] = '\0';
	l->note_size = strtoull(number, &end, 10);
	return *end == '\0' && base64_read(line[2], l->note_root, SHA256_LEN, &n) == 0 &&
		n == SHA256_LEN;
}

static void take_file(struct log_check *l, const struct store_cursor *c)
{
	struct file f = { .length = c->value.n, .key = c->key };

	if (c->key.n >= METADATA_NAME_MAX || !read_version(l->k, c->key, c->value, &f.version)) {
		check_found(l->k, "is no metadata that is kept here");
		return;
	}
	memcpy(f.name, c->key.p, c->key.n);
	l->k->err = l->k->err != 0 ? l->k->err : crypto_sha256(&c->value, 1, f.sha256);
	l->files = mem_resize(l->files, l->n_files + 1, sizeof(*l->files));
	l->files[l->n_files++] = f;
}

static void read_files(struct log_check *l)
{
	struct check_walk w;

	check_begin(l->k, &w, STORE_ENVELOPE);
	while (check_next(l->k, &w)) {
		if (!bytes_eq(w.c.key, bytes_str("checkpoint")))
			take_file(l, &w.c);
		else if (read_note(l, w.c.value))
			l->note = w.c.key;
		else
			check_found(l->k, "is no checkpoint");
	}
}

static int by_name(const void *name, const void *file)
{
	return strcmp(name, ((const struct file *)file)->name);
}

static struct file *find_file(const struct log_check *l, const char *name)
{
	return l->n_files == 0 ? NULL
			       : bsearch(name, l->files, l->n_files, sizeof(*l->files), by_name);
}

/* ---- the log ---- */

static void take_director(
	struct log_check *l, uint64_t index, const Pb__Envelope *e, struct bytes envelope)
{
	char name[METADATA_NAME_MAX];
	struct file *f;
	int err;
	const Pb__Director *d = wire_read(&pb__director__descriptor, wire_bytes(e->payload),
		&wire_signed, &l->k->arena, &err);

	if (d == NULL || d->ring > 3) {
		check_found(l->k, "is no directive");
		return;
	}
	f = find_file(l, metadata_director(name, d->product, d->ring));
	if (f == NULL) {
		check_found(l->k, "has %s, which is not stored", name);
		return;
	}
	f->entry = index + 1;
	l->k->err = crypto_sha256(&envelope, 1, f->logged);
}

static void take_envelope(struct log_check *l, uint64_t index, struct bytes envelope)
{
	enum envelope_type type;
	int err;
	const Pb__Envelope *e = envelope_read(envelope, &l->k->arena, &err);

	if (e == NULL || !envelope_type_of(e, &type) ||
		(type != ENVELOPE_ROOT && type != ENVELOPE_COMMAND && type != ENVELOPE_DECISION &&
			type != ENVELOPE_DIRECTOR))
		check_found(l->k, "has nothing that a log has");
	else if ((index == 0) && type != ENVELOPE_ROOT)
		check_found(l->k, "is the first, and no root");
	else if (type == ENVELOPE_DIRECTOR)
		take_director(l, index, e, envelope);
}

/* The tree as it was when somebody signed or noted it. */
static void compare(struct log_check *l)
{
	struct store_check *out = l->k->out;
	uint8_t root[SHA256_LEN];
	bool noted = l->note.n > 0 && l->tree.size == l->note_size;

	if (l->k->err == 0 && (noted || (out->at > 0 && l->tree.size == out->at)))
		l->k->err = merkle_root(crypto_openssl(), &l->tree, root);
	else
		return;
	if (out->at > 0 && l->tree.size == out->at) {
		out->has_at = true;
		memcpy(out->at_root, root, SHA256_LEN);
	}
	if (noted && memcmp(root, l->note_root, SHA256_LEN) != 0)
		check_found(l->k, "ends %llu entries that are not those of the checkpoint",
			(unsigned long long)l->note_size);
}

static bool take_entry(struct log_check *l, const struct store_cursor *c)
{
	uint64_t index = c->key.n == 8 ? get_be64(c->key.p) : UINT64_MAX;
	uint8_t leaf[SHA256_LEN];
	const Pb__LogEntry *m;
	int err;

	if (index != l->tree.size) {
		check_found(l->k, "does not follow the entry before it: entry %llu is missing",
			(unsigned long long)l->tree.size);
		return false;
	}
	l->k->arena.used = 0;
	m = wire_read(&pb__log_entry__descriptor, c->value, &wire_signed, &l->k->arena, &err);
	if (m == NULL)
		check_found(l->k, "is no entry of a log");
	else
		take_envelope(l, index, wire_bytes(m->envelope));
	if (l->k->err == 0)
		l->k->err = merkle_leaf(crypto_openssl(), c->value, &l->k->arena, leaf);
	if (l->k->err == 0)
		l->k->err = merkle_add(crypto_openssl(), &l->tree, leaf);
	compare(l);
	return l->k->err == 0;
}

static void read_log(struct log_check *l)
{
	struct check *k = l->k;
	struct check_walk w;
	bool good = true;

	check_begin(k, &w, STORE_LOG);
	while (check_next(k, &w))
		good = good && take_entry(l, &w.c);
	k->out->log_size = l->tree.size;
	if (k->err == 0)
		k->err = merkle_root(crypto_openssl(), &l->tree, k->out->log_root);
	k->table = STORE_ENVELOPE;
	k->key = l->note;
	if (l->note.n > 0 && l->note_size > l->tree.size)
		check_found(k, "is of %llu entries, and the log has %llu",
			(unsigned long long)l->note_size, (unsigned long long)l->tree.size);
}

/* ---- what each says of the other ---- */

/* A director is stored with its entry; what the log has since, phones may have seen. */
static void check_director(struct log_check *l, const struct file *f)
{
	l->k->key = f->key;
	if (f->entry == 0)
		check_found(l->k, "is not in the log");
	else if (memcmp(f->logged, f->sha256, SHA256_LEN) != 0)
		check_found(l->k, "is not what the log has of it last, in entry %llu",
			(unsigned long long)f->entry - 1);
}

/*
 * What is named was stored before.  A snapshot whose commit failed is not, though a timestamp names
 * it: then the signer makes the next one at the start.
 */
static void check_named(struct log_check *l, const struct file *f, const Pb__MetaFile *m)
{
	const struct file *named = find_file(l, m->name);
	bool snapshot = begins(f->key, "timestamp/");

	l->k->key = f->key;
	if (named == NULL)
		check_found(l->k, "names %s, which is not stored", m->name);
	else if (named->version < m->version && !snapshot)
		check_found(l->k, "names version %llu of %s, and version %llu is stored",
			(unsigned long long)m->version, m->name,
			(unsigned long long)named->version);
	else if (named->version == m->version &&
		(named->length != m->length ||
			!bytes_eq(wire_bytes(m->sha256), bytes_of(named->sha256, SHA256_LEN))))
		check_found(l->k, "names other bytes than are stored as version %llu of %s",
			(unsigned long long)m->version, m->name);
}

static void check_lists(struct log_check *l, const struct file *f)
{
	struct check *k = l->k;
	const Pb__Timestamp *t;
	const Pb__Snapshot *s;
	struct bytes envelope;

	k->arena.used = 0;
	if (!envelope_get(k->t, f->name, &envelope))
		return;
	if (begins(f->key, "timestamp/")) {
		t = open_payload(k, envelope, ENVELOPE_TIMESTAMP, &pb__timestamp__descriptor);
		if (t != NULL)
			check_named(l, f, t->snapshot);
		return;
	}
	s = open_payload(k, envelope, ENVELOPE_SNAPSHOT, &pb__snapshot__descriptor);
	for (size_t i = 0; s != NULL && i < s->n_directors; i++)
		check_named(l, f, s->directors[i]);
}

void check_log(struct check *k)
{
	struct log_check l = { .k = k };

	read_files(&l);
	read_log(&l);
	k->table = STORE_ENVELOPE;
	for (size_t i = 0; k->err == 0 && i < l.n_files; i++)
		if (begins(l.files[i].key, "director/"))
			check_director(&l, &l.files[i]);
		else
			check_lists(&l, &l.files[i]);
	free(l.files);
}
