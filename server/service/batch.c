/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata through the signer: all of one kind at one time. */
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/service/publish_private.h"
#include "server/store/entry.h"

int batch_take(struct signed_file *f, struct bytes envelope, struct arena *a)
{
	int err = crypto_sha256(&envelope, 1, f->sha256);
	const Pb__Envelope *e;

	f->envelope.len = 0;
	buf_add(&f->envelope, envelope.p, envelope.n);
	if (err != 0)
		return err;
	e = envelope_read(buf_bytes(&f->envelope), a, &err);
	if (e == NULL)
		return err;
	/* The arena goes, the envelope's own bytes stay. */
	size_t at = (size_t)((const uint8_t *)memmem(f->envelope.data, f->envelope.len,
				     e->payload.data, e->payload.len) -
		f->envelope.data);
	f->payload = bytes_of(f->envelope.data + at, e->payload.len);
	return 0;
}

void batch_add(struct batch_to_sign *b, enum envelope_type type, const struct next_file *file,
	struct bytes payload)
{
	b->items = mem_resize(b->items, b->n + 1, sizeof(*b->items));
	b->files = mem_resize(b->files, b->n + 1, sizeof(*b->files));
	b->items[b->n] = (struct signer_item){ type, payload };
	b->files[b->n] = *file;
	b->n++;
}

void batch_release(struct batch_to_sign *b)
{
	free(b->items);
	free(b->files);
}

/* Signed, not in force yet: `out` has the envelopes, of b->n. */
static int sign_batch(struct control *c, const struct batch_to_sign *b, struct buf *out)
{
	int err = signer_sign(c->signer, b->items, b->n, out);

	for (size_t i = 0; err == 0 && i < b->n; i++)
		b->files[i].file->floor = b->files[i].version;
	return err;
}

static int come_into_force(struct control *c, const struct batch_to_sign *b, const struct buf *out)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < b->n; i++) {
		struct signed_file *f = b->files[i].file;
		f->version = b->files[i].version;
		f->expires_s = b->files[i].expires_s;
		err = batch_take(f, buf_bytes(&out[i]), &c->arena);
	}
	return err;
}

static void release_all(struct buf *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_release(&list[i]);
	free(list);
}

struct store_job {
	struct job job;
	const struct batch_to_sign *batch;
	const struct buf *envelopes;
	const struct bytes *entries; /* of the log, one an envelope; NULL: none */
	uint64_t index;              /* of the first */
};

static void store_run(struct job *job, struct writer *w)
{
	const struct store_job *j = (struct store_job *)job;

	for (size_t i = 0; i < j->batch->n; i++) {
		if (j->entries != NULL)
			entry_append(&w->txn, j->index + i, j->entries[i]);
		envelope_put(&w->txn, j->batch->files[i].name, buf_bytes(&j->envelopes[i]));
	}
}

int batch_store(struct control *c, const struct batch_to_sign *b, uint64_t now_ms)
{
	struct store_job j = { .job = { .run = store_run }, .batch = b };
	struct buf *out;
	int err;

	if (b->n == 0)
		return 0;
	out = mem_zalloc(b->n * sizeof(*out));
	j.envelopes = out;
	err = sign_batch(c, b, out);
	if (err == 0)
		err = come_into_force(c, b, out);
	/* A restart signs anew what is not in the store: its disk being full stops no phone. */
	if (err == 0 && writer_call(&c->server->writer, &j.job) != 0)
		log_warn("publish: metadata is signed and served, but not stored");
	else if (err == 0)
		c->stored_ms = now_ms;
	release_all(out, b->n);
	return err;
}

int batch_log(struct control *c, const struct batch_to_sign *b, uint64_t now_ms)
{
	struct store_job j = { .job = { .run = store_run }, .batch = b };
	struct bytes *entries;
	struct buf *out;
	int err;

	if (b->n == 0)
		return 0;
	out = mem_zalloc(b->n * sizeof(*out));
	entries = mem_alloc(b->n * sizeof(*entries));
	err = sign_batch(c, b, out);
	for (size_t i = 0; err == 0 && i < b->n; i++)
		err = append_pack(c, buf_bytes(&out[i]), now_ms, &entries[i]);
	j.envelopes = out;
	j.entries = entries;
	j.index = c->state.log.size;
	if (err == 0)
		err = writer_call(&c->server->writer, &j.job);
	if (err == 0) {
		c->stored_ms = now_ms;
		err = append_follow(c);
	}
	if (err == 0)
		err = append_is_signed(c) ? come_into_force(c, b, out) : ERR_SIGNER;
	free(entries);
	release_all(out, b->n);
	return err;
}
