/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing is kept of a device: its record, key, token and wish go.  What it told about builds stays
 * counted, under an id that was drawn for nothing else, so that the evidence can still be recounted
 * and nobody can tell whose it was.
 */
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/service/query.h"
#include "server/store/device.h"
#include "server/store/entry.h"
#include "server/store/foreign.h"
#include "server/store/novel.h"
#include "server/trust/named.h"

#define NAMED_MAX 8u /* that are listed; there may be more */

struct erase {
	struct job job;
	struct server *server;
	uint8_t id[ID_LEN], fresh[ID_LEN];
	uint8_t (*tokens)[TOKEN_LEN];
	size_t n_tokens;
	struct device device;
	unsigned arms;
};

/* ---- evidence ---- */

struct stage_list {
	struct stage_key *key;
	size_t n;
};

static struct stage_list stages_of(struct store_txn *t, uint16_t product)
{
	struct stage_list out = { NULL, 0 };
	struct store_cursor c;
	struct stage_key key;
	uint16_t of;

	store_foreach(&c, t, STORE_STAGE, bytes_of(NULL, 0)) {
		if (!stage_key_read(&c, &key, &of) || of != product)
			continue;
		out.key = mem_resize(out.key, out.n + 1, sizeof(*out.key));
		out.key[out.n++] = key;
	}
	return out;
}

/* It is at risk of nothing any more: in the stage that is followed, or in what is stored of it. */
static void leave(
	struct erase *e, struct writer *w, struct stage_key key, struct evidence_device *d)
{
	struct stage *stage = stages_find(&w->stages, key);
	struct stratum *u = stage == NULL ? NULL : stage_stratum(stage, e->device.product);
	struct evidence *stored;

	if (u != NULL) {
		evidence_leave(&u->evidence, d);
		u->dirty = true;
		return;
	}
	stored = mem_alloc(sizeof(*stored));
	if (stage_get(&w->txn, key, e->device.product, stored)) {
		evidence_leave(stored, d);
		stage_put(&w->txn, key, e->device.product, stored);
	}
	free(stored);
}

/* The signatures of the stage are collected first: what is changed is not walked over. */
static void move_hits(struct erase *e, struct writer *w, struct stage_key key)
{
	uint8_t(*list)[SIGNATURE_LEN] = NULL;
	struct store_cursor c;
	struct novel unused;
	uint8_t prefix[5];
	size_t n = 0;

	store_foreach(&c, &w->txn, STORE_NOVEL, novel_prefix(key, prefix)) {
		list = mem_resize(list, n + 1, SIGNATURE_LEN);
		n += novel_read(&c, list[n], &unused);
	}
	for (size_t i = 0; i < n; i++) {
		if (!hit_has(&w->txn, key, list[i], e->id))
			continue;
		hit_delete(&w->txn, key, list[i], e->id);
		(void)hit_put(&w->txn, key, list[i], e->fresh); /* of nobody: it cannot be there */
	}
	free(list);
}

static void move_evidence(struct erase *e, struct writer *w)
{
	struct stage_list stages = stages_of(&w->txn, e->device.product);

	for (size_t i = 0; i < stages.n; i++) {
		struct evidence_device d;
		if (!arm_get(&w->txn, stages.key[i], e->id, &d))
			continue;
		leave(e, w, stages.key[i], &d);
		arm_delete(&w->txn, stages.key[i], e->id);
		arm_put(&w->txn, stages.key[i], e->fresh, &d);
		move_hits(e, w, stages.key[i]);
		e->arms++;
	}
	free(stages.key);
}

/* ---- the job ---- */

static void run(struct job *job, struct writer *w)
{
	struct erase *e = (struct erase *)job;
	const struct product *p;
	uint8_t hash[SHA256_LEN], of[ID_LEN];

	if (!device_get(&w->txn, e->id, &e->device)) {
		job->err = w->txn.err != 0 ? w->txn.err : ERR_NOT_FOUND;
		return;
	}
	if (device_key_hash(e->device.public_key, hash) != 0) {
		job->err = ERR_CRYPTO;
		return;
	}
	move_evidence(e, w);
	p = registry_number(w->registry, e->device.product);
	if (p != NULL)
		waiting_delete(&w->txn, w->registry->lines[p->line].number, e->id);
	if (device_of_key(&w->txn, hash, of) && memcmp(of, e->id, ID_LEN) == 0)
		device_key_delete(&w->txn, hash);
	for (size_t i = 0; i < e->n_tokens; i++)
		device_token_delete(&w->txn, e->tokens[i]);
	foreign_delete(&w->txn, e->id);
	device_delete(&w->txn, e->id);
}

static void done(struct job *job)
{
	struct erase *e = (struct erase *)job;
	const struct product *p = registry_number(&e->server->registry, e->device.product);

	if (job->err != 0)
		return;
	(void)fleet_erase(e->server->fleet, e->id); /* one that was not found is not there */
	metric_add(METRIC_ERASED, 1);
	if (p == NULL)
		return;
	e->server->registry.lines[p->line].devices[e->device.ring]--;
	if (e->device.wish < e->device.ring && !e->device.left)
		e->server->registry.lines[p->line].waiting--;
}

/* ---- before and after ---- */

/* They are found by what they are, not by whose: the writer is not kept busy with looking. */
static int find_tokens(struct erase *e)
{
	uint8_t token[TOKEN_LEN], id[ID_LEN];
	struct store_cursor c;
	struct store_txn t;

	store_begin(e->server->store, &t, false);
	store_foreach(&c, &t, STORE_TOKEN, bytes_of(NULL, 0)) {
		if (!device_token_read(&c, token, id) || memcmp(id, e->id, ID_LEN) != 0)
			continue;
		e->tokens = mem_resize(e->tokens, e->n_tokens + 1, TOKEN_LEN);
		memcpy(e->tokens[e->n_tokens++], token, TOKEN_LEN);
	}
	store_abort(&t);
	return t.err;
}

/* The log is for ever: who had a seat by name stands in it. */
static void add_named(struct query *q, const uint8_t id[ID_LEN], struct buf *out)
{
	struct arena a = { mem_alloc(512 * 1024), 512 * 1024, 0 };
	struct store_txn t;
	struct bytes entry;
	unsigned n = 0;

	store_begin(q->server->store, &t, false);
	for (uint64_t i = 0; entry_get(&t, i, &entry); i++)
		if (named_in_entry(entry, id, &a) && n++ < NAMED_MAX)
			buf_printf(out, "%s%llu",
				n == 1 ? "; its id stands in the log, entry " : ", ",
				(unsigned long long)i);
	store_abort(&t);
	if (n > 0)
		buf_str(out, n > NAMED_MAX ? " and more, for ever" : ", for ever");
	free(a.base);
}

static const char *erased(struct query *q, const struct erase *e)
{
	struct buf text = { 0 };
	const char *out;

	buf_str(&text, "its record, key, token and wish are gone");
	if (e->arms > 0)
		buf_printf(&text, "; what it told in %u stage%s stays, and is nobody's", e->arms,
			e->arms == 1 ? "" : "s");
	add_named(q, e->id, &text);
	out = query_printf(q, "%s", buf_text(&text));
	buf_release(&text);
	return out;
}

int query_erase(struct query *q, Pb__AdminReply *reply)
{
	const char *name = q->ask->name != NULL ? q->ask->name : "";
	struct erase e = { .job = { .now_ms = q->now_ms, .run = run, .done = done },
		.server = q->server };
	int err;

	if (!hex_decode(e.id, ID_LEN, name)) {
		q->text = "device: an id is 32 hex digits";
		return ERR_BAD_RANGE;
	}
	err = crypto_random(e.fresh, ID_LEN);
	if (err == 0)
		err = find_tokens(&e);
	if (err == 0)
		err = writer_call(&q->server->writer, &e.job);
	if (err == 0) {
		reply->text = erased(q, &e);
		log_info("device: one was erased");
	} else if (err == ERR_NOT_FOUND) {
		q->text = query_printf(q, "device %s: not enrolled here", name);
	}
	free(e.tokens);
	return err;
}
