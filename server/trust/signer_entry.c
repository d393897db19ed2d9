/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the log: what is checked of each, and all of them or none. */
#include <assert.h>

#include "proto/root.h"
#include "server/trust/signer_proc.h"

#define ENTRY_MAX 65535u

static int check_repository(struct proc *p, const char *repository)
{
	if (strcmp(repository, p->root->repository) == 0)
		return 0;
	return proc_refuse(p, ERR_WRONG_REPOSITORY, "entry: %s", err_str(ERR_WRONG_REPOSITORY));
}

/* What the director key signed; the message is in the arena. */
static const void *open_online(struct proc *p, const struct entry *e, enum envelope_type type,
	const ProtobufCMessageDescriptor *message, int *err)
{
	struct bytes payload;
	const void *out = NULL;

	*err = envelope_open(crypto_openssl(), e->envelope, type, p->root, &p->arena, &payload);
	if (*err == 0)
		out = wire_read(message, payload, &wire_signed, &p->arena, err);
	if (*err != 0)
		(void)proc_refuse(p, *err, "entry: %s", err_str(*err));
	return out;
}

static int open_decision(struct proc *p, const struct entry *e)
{
	int err;
	const Pb__Decision *d =
		open_online(p, e, ENVELOPE_DECISION, &pb__decision__descriptor, &err);

	if (d == NULL)
		return err;
	err = check_repository(p, d->repository);
	if (err == 0)
		err = proc_check_decision(p, d);
	if (err == 0)
		proc_apply_decision(p, e, d);
	return err;
}

/*
 * What it offers was checked when it was signed.  The last that was signed, and no earlier one, is what
 * snapshots name from now on.
 */
static int open_director(struct proc *p, const struct entry *e)
{
	char name[METADATA_NAME_MAX];
	uint8_t sha256[SHA256_LEN];
	int err;
	const Pb__Director *d =
		open_online(p, e, ENVELOPE_DIRECTOR, &pb__director__descriptor, &err);

	if (d == NULL)
		return err;
	err = check_repository(p, d->repository);
	if (err != 0)
		return err;
	if (d->ring > 3 || !name_ok(d->product) ||
		d->version != ledger_floor(p->ledger, metadata_director(name, d->product, d->ring)))
		return proc_refuse(p, ERR_FLOOR, "entry: not the last director");
	err = crypto_sha256(&e->envelope, 1, sha256);
	if (err == 0)
		ledger_set_pin(p->ledger, name, sha256);
	return err;
}

/* ---- one entry ---- */

/*
 * What was signed here (o NULL) bears the time at which huidud began with it: how long it then took,
 * with the machine asleep in between, must not matter.
 */
static int check_clock(struct proc *p, const struct entry *e, const struct order *o)
{
	uint64_t last = o != NULL ? proc_last_ms(p) : p->ledger->m->entry_ms;
	bool free = o != NULL && (order_stops(o) || order_confirms_clock(o));

	if (e->time_ms > proc_now_ms(p) + SIGNER_SKEW_MS ||
		(!free && e->time_ms + SIGNER_SKEW_MS < last))
		return proc_refuse(p, ERR_CLOCK,
			"entry %llu: its time is ahead of the clock, or before what was signed",
			(unsigned long long)e->index);
	return 0;
}

/* The log begins with the root the signer was started with, and no other. */
static int take_first(struct proc *p, const struct entry *e)
{
	if (e->index > 0 || !bytes_eq(e->envelope, p->first_root))
		return proc_refuse(p, ERR_BAD_ROOT, "log: does not begin with the root");
	ledger_set_root(p->ledger, e->envelope);
	return proc_use_root(p);
}

static int take_order(struct proc *p, struct entry *e)
{
	struct order o;
	int err = order_open(p, e->envelope, e->time_ms / 1000, &o);

	if (err == 0)
		err = check_clock(p, e, &o);
	if (err != 0)
		return err;
	e->confirms_clock = order_confirms_clock(&o);
	if (o.m != NULL) {
		proc_apply_command(p, e, &o);
		return 0;
	}
	ledger_set_root(p->ledger, e->envelope);
	return proc_use_root(p);
}

static int take_envelope(struct proc *p, struct entry *e)
{
	int err;
	const Pb__Envelope *env = envelope_read(e->envelope, &p->arena, &err);
	enum envelope_type type;

	if (env == NULL)
		return proc_refuse(p, err, "entry: %s", err_str(err));
	if (!envelope_type_of(env, &type))
		return proc_refuse(p, ERR_WRONG_TYPE, "entry: %s", err_str(ERR_WRONG_TYPE));
	if (e->index == 0)
		return take_first(p, e);
	if (type != ENVELOPE_DECISION && type != ENVELOPE_DIRECTOR)
		return take_order(p, e);
	err = check_clock(p, e, NULL);
	if (err != 0)
		return err;
	return type == ENVELOPE_DECISION ? open_decision(p, e) : open_director(p, e);
}

static int add_leaf(struct proc *p, struct bytes bytes, struct entry *e)
{
	const struct crypto *c = crypto_openssl();
	int err = merkle_leaf(c, bytes, &p->arena, e->leaf);
	struct merkle with = p->ledger->log;

	if (err == 0)
		err = merkle_add(c, &with, e->leaf);
	return err != 0 ? err : merkle_root(c, &with, e->root);
}

static int take_entry(struct proc *p, struct bytes bytes, bool *confirmed)
{
	struct entry e = { .index = p->ledger->log.size };
	Pb__Ledger *m;
	int err;
	const Pb__LogEntry *entry;

	if (bytes.n > ENTRY_MAX)
		return proc_refuse(p, ERR_TOO_BIG, "entry: %s", err_str(ERR_TOO_BIG));
	entry = wire_read(&pb__log_entry__descriptor, bytes, &wire_signed, &p->arena, &err);
	if (entry == NULL)
		return proc_refuse(p, err, "entry: %s", err_str(err));
	e.time_ms = entry->time_ms;
	e.envelope = wire_bytes(entry->envelope);
	err = add_leaf(p, bytes, &e);
	if (err == 0)
		err = take_envelope(p, &e);
	if (err == 0)
		err = merkle_add(crypto_openssl(), &p->ledger->log, e.leaf);
	if (err != 0)
		return err;
	m = p->ledger->m;
	if (e.confirms_clock)
		m->signed_ms = m->entry_ms = e.time_ms;
	else if (e.time_ms > m->entry_ms)
		m->entry_ms = e.time_ms;
	*confirmed |= e.confirms_clock;
	return 0;
}

/* ---- all of them ---- */

static int take_all(struct proc *p, const ProtobufCBinaryData *entries, size_t n, bool *confirmed)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < n; i++) {
		size_t used = p->arena.used;
		err = take_entry(p, wire_bytes(entries[i]), confirmed);
		p->arena.used = used; /* the ledger has copies of what it keeps */
	}
	if (err != 0 || n == 0)
		return err;
	/* Entries may go back by a minute: what was valid then must still be known. */
	ledger_forget_nonces(p->ledger, (p->ledger->m->entry_ms - 2 * SIGNER_SKEW_MS) / 1000);
	ledger_forget_rollouts(p->ledger, p->ledger->m->entry_ms / 1000);
	err = ledger_save(p->ledger);
	return err != 0 ? proc_refuse(p, err, "ledger: %s", err_str(err)) : 0;
}

int proc_append(
	struct proc *p, const ProtobufCBinaryData *entries, size_t n, Pb__SignerReply *reply)
{
	uint64_t version = p->root->version;
	bool confirmed = false;
	struct bytes note;
	int err = take_all(p, entries, n, &confirmed), again;

	if (err != 0) {
		ledger_revert(p->ledger);
		again = proc_use_root(p);
		assert(again == 0); /* it was in force before */
		return err;
	}
	if (confirmed)
		guard_mark(&p->guard, proc_now_ms(p), p->clock.boot_ms());
	if (p->root->version != version)
		proc_admit_again(p);
	err = proc_checkpoint(p, &note);
	if (err != 0)
		return proc_refuse(p, err, "checkpoint: %s", err_str(err));
	reply->has_note = 1;
	reply->note = wire_data(note.p, note.n);
	return 0;
}
