/* SPDX-License-Identifier: Apache-2.0 */
/* The way into the log: durable, then in the state, then under the signer's checkpoint. */
#include <stdio.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/service/control_private.h"
#include "server/store/entry.h"
#include "server/store/journal.h"

#define ERROR_MAX 256

struct append_job {
	struct job job;
	uint64_t index;
	struct bytes entry;
};

static void append_run(struct job *job, struct writer *w)
{
	struct append_job *j = (struct append_job *)job;

	entry_append(&w->txn, j->index, j->entry);
}

int append_pack(struct control *c, struct bytes envelope, uint64_t now_ms, struct bytes *out)
{
	Pb__LogEntry m = PB__LOG_ENTRY__INIT;

	m.time_ms = now_ms;
	m.envelope = wire_data(envelope.p, envelope.n);
	return wire_pack(&m, &c->arena, out);
}

int append_envelope(struct control *c, struct bytes envelope, uint64_t now_ms)
{
	struct append_job j = { .job = { .run = append_run }, .index = c->state.log.size };
	int err = append_pack(c, envelope, now_ms, &j.entry);

	if (err == 0)
		err = writer_call(&c->server->writer, &j.job);
	if (err != 0)
		return err;
	c->stored_ms = now_ms;
	return append_follow(c);
}

static int fold(struct control *c, struct store_txn *t)
{
	size_t used = c->arena.used;
	struct bytes entry;
	int err = 0;

	for (uint64_t i = c->state.log.size; err == 0 && entry_get(t, i, &entry); i++) {
		err = state_apply(&c->state, entry, &c->arena);
		if (err != 0)
			log_error("log: entry %llu cannot be applied: %s", (unsigned long long)i,
				err_str(err));
		c->arena.used = used;
	}
	return err != 0 ? err : t->err;
}

/* ---- the journal ---- */

/* Before the signer has them: what phones may see is on disk twice. */
static void keep(struct control *c, struct store_txn *t)
{
	struct bytes entry;
	int err = 0;

	while (err == 0 && entry_get(t, journal_count(c->journal), &entry))
		err = journal_append(c->journal, journal_count(c->journal), entry);
	if (err != 0)
		metric_add(METRIC_JOURNAL_FAILED, 1);
	if (err != 0 && !c->journal_failed)
		log_error(
			"journal: entry %llu cannot be written: %s; it is in the store, and tried "
			"again every second",
			(unsigned long long)journal_count(c->journal), err_str(err));
	else if (err == 0 && c->journal_failed)
		log_info("journal: it has the whole log again");
	c->journal_failed = err != 0;
}

void append_keep(struct control *c)
{
	struct store_txn t;

	if (journal_count(c->journal) == c->state.log.size)
		return;
	store_begin(c->server->store, &t, false);
	keep(c, &t);
	store_abort(&t);
}

/* With `most` 0, or when there is nothing new, it is the same note once more. */
static int sign_chunk(struct control *c, struct store_txn *t, size_t most)
{
	struct bytes entries[SIGNER_APPEND_MAX];
	struct buf note = { 0 };
	size_t n = 0;
	int err;

	while (n < most && entry_get(t, c->ledger_size + n, &entries[n]))
		n++;
	err = t->err != 0 ? t->err : signer_append(c->signer, entries, n, &note);
	if (err == 0) {
		buf_release(&c->checkpoint);
		c->checkpoint = note;
		c->ledger_size += n;
	} else {
		buf_release(&note);
	}
	return err;
}

bool append_is_signed(const struct control *c)
{
	return c->checkpoint.len > 0 && c->ledger_size == c->state.log.size;
}

/* `*signer` is what the signer says to the rest of the log. */
static int follow(struct control *c, int *signer)
{
	struct store_txn t;
	int err;

	*signer = 0;
	store_begin(c->server->store, &t, false);
	err = fold(c, &t);
	keep(c, &t);
	/* After a start what was signed is served, whatever becomes of the rest. */
	if (err == 0 && c->checkpoint.len == 0 && c->ledger_size > 0)
		*signer = sign_chunk(c, &t, 0);
	while (err == 0 && *signer == 0 && !append_is_signed(c))
		*signer = sign_chunk(c, &t, SIGNER_APPEND_MAX);
	store_abort(&t);
	if (*signer != 0)
		log_error("log: entry %llu on: the signer does not take it: %s",
			(unsigned long long)c->ledger_size, err_str(*signer));
	return err;
}

int append_follow(struct control *c)
{
	int signer;

	return follow(c, &signer);
}

/* ---- start ---- */

static int is_same(void *ctx, uint64_t index, struct bytes kept)
{
	struct bytes entry;

	return entry_get(ctx, index, &entry) && bytes_eq(entry, kept) ? 0 : ERR_MISMATCH;
}

/* It is the beginning of the store's log, or all of it. */
static int compare_journal(struct control *c, char *error)
{
	unsigned long long have = c->state.log.size, kept = journal_count(c->journal);
	struct store_txn t;
	int err;

	if (kept > have) {
		(void)snprintf(error, ERROR_MAX,
			"log: the journal has %llu entries, the store has %llu: a backup was "
			"restored, and what was ordered since would be forgotten; huiductl store "
			"restore BACKUP brings it back",
			kept, have);
		return ERR_FLOOR;
	}
	store_begin(c->server->store, &t, false);
	err = journal_each(c->journal, 0, is_same, &t);
	err = t.err != 0 ? t.err : err;
	store_abort(&t);
	if (err == ERR_MISMATCH)
		(void)snprintf(error, ERROR_MAX,
			"log: the journal is of another time or place than the store: put back the one "
			"that belongs to it, or move it away");
	return err == ERR_MISMATCH ? ERR_FLOOR : err;
}

static int open_journal(struct control *c, char *error)
{
	char *path = mem_printf("%s/journal", c->server->config->data);
	int err = journal_open(path, &c->journal, error);

	free(path);
	return err != 0 ? err : compare_journal(c, error);
}

/* What was signed once must not be forgotten: phones have seen it. */
static int compare(struct control *c, char *error)
{
	unsigned long long have = c->state.log.size, signed_size;
	uint8_t root[SHA256_LEN];
	struct signer_log ledger;
	int err = signer_log(c->signer, &ledger);

	if (err != 0)
		return err;
	signed_size = ledger.size;
	c->ledger_size = ledger.size;
	/* The first start may have ended between the two. */
	if (ledger.size == 0 && have <= 1)
		return 0;
	if (ledger.size == 0)
		(void)snprintf(error, ERROR_MAX,
			"log: the store has %llu entries, but the signer's ledger is empty: it was "
			"lost or replaced, and with it what phones were promised; put it back",
			have);
	else if (ledger.size > have)
		(void)snprintf(error, ERROR_MAX,
			"log: the signer has taken %llu entries, the store has %llu: a backup was "
			"restored, and phones would be rolled back; huiductl store restore BACKUP adds "
			"what is missing from the journal",
			signed_size, have);
	else
		err = logtree_root(c->state.tree, ledger.size, root);
	if (error[0] != '\0' || err != 0)
		return err != 0 ? err : ERR_FLOOR;
	if (memcmp(root, ledger.root, SHA256_LEN) == 0)
		return 0;
	(void)snprintf(error, ERROR_MAX,
		"log: the first %llu entries of the store are not those that were signed: a store of "
		"another time or place was restored; huiductl store restore BACKUP puts one of "
		"this server's back",
		signed_size);
	return ERR_FLOOR;
}

struct checkpoint_job {
	struct job job;
	struct bytes note;
};

static void checkpoint_run(struct job *job, struct writer *w)
{
	envelope_put(&w->txn, "checkpoint", ((struct checkpoint_job *)job)->note);
}

/* The first write after a start: whether it succeeds is all that is asked. */
static void try_store(struct control *c, uint64_t now_ms)
{
	struct checkpoint_job j = { .job = { .run = checkpoint_run },
		.note = buf_bytes(&c->checkpoint) };

	if (writer_call(&c->server->writer, &j.job) == 0)
		c->stored_ms = now_ms;
	else
		log_warn("store: nothing can be written; offers end when they were to");
}

/* What a power failure kept from the ledger is little; an old copy of it lacks more than it can take. */
static int catch_up(struct control *c, char *error)
{
	int signer, err = follow(c, &signer);

	if (err != 0 || signer == 0 || signer == ERR_CLOCK)
		return err;
	if (signer > -1000) /* an errno: its disk, not its memory */
		return signer;
	(void)snprintf(error, ERROR_MAX,
		"log: the signer's ledger ends with entry %llu, the store has %llu, and it does not "
		"take the rest: an old copy of it was put back; put the newest one back",
		(unsigned long long)c->ledger_size, (unsigned long long)c->state.log.size);
	return ERR_FLOOR;
}

int append_open(struct control *c, struct bytes root, uint64_t now_ms, char *error)
{
	struct store_txn t;
	int err;

	c->arena.used = 0;
	store_begin(c->server->store, &t, false);
	err = fold(c, &t);
	store_abort(&t);
	if (err == 0)
		err = compare(c, error);
	/* Last: a damaged one is set aside only for a store that has all that was signed. */
	if (err == 0)
		err = open_journal(c, error);
	if (err == 0 && c->state.log.size == 0)
		err = append_envelope(c, root, now_ms);
	else if (err == 0)
		err = catch_up(c, error);
	if (err == 0)
		try_store(c, now_ms);
	return err;
}
