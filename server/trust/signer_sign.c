/* SPDX-License-Identifier: Apache-2.0 */
/* What the online keys sign: each kind is read, and checked as far as the signer can know better. */
#include <stdio.h>

#include "proto/ladder.h"
#include "server/base/log.h"
#include "server/trust/signer_proc.h"

#define MINUTE_S     60ull
#define HOUR_S       3600ull
#define DAY_S        86400ull
#define DIRECTOR_S   (7 * DAY_S)
#define TIMESTAMP_S  DAY_S
#define OFFERS_S     (6 * HOUR_S)
#define GRANT_S      (90 * DAY_S)
#define TIME_ERROR_S 2u
#define NAME_MAX_LEN (METADATA_NAME_MAX + 24)

/* What there is to know of an item, whatever its kind. */
struct subject {
	const char *repository;
	uint64_t version;
	char name[METADATA_NAME_MAX]; /* of its floor; "" when it has none */
	const char *what;             /* for the log, where there is no name */
};

static uint64_t now_s(const struct proc *p)
{
	return proc_now_ms(p) / 1000;
}

/* `t` lies at most `life_s` ahead, but for the time a request takes. */
static bool within(const struct proc *p, uint64_t t, uint64_t life_s)
{
	return t <= now_s(p) + life_s + MINUTE_S;
}

static int check_director(struct proc *p, struct bytes payload, struct subject *s)
{
	int err;
	const Pb__Director *d =
		wire_read(&pb__director__descriptor, payload, &wire_signed, &p->arena, &err);

	if (d == NULL)
		return err;
	if (d->ring > 3 || d->n_offers > LADDER_OFFERS_MAX || !name_ok(d->product) ||
		!within(p, d->expires, DIRECTOR_S))
		return ERR_BAD_RANGE;
	s->repository = d->repository;
	s->version = d->version;
	(void)metadata_director(s->name, d->product, d->ring);
	for (size_t i = 0; err == 0 && i < d->n_offers; i++)
		err = proc_check_offer(p, d, d->offers[i]);
	return err;
}

/* Is this the one that was signed, or logged, last? */
static bool names(const struct proc *p, const Pb__MetaFile *m, const char *name)
{
	struct bytes pin = ledger_pin(p->ledger, name);

	return pin.n > 0 && strcmp(m->name, name) == 0 && bytes_eq(wire_bytes(m->sha256), pin);
}

static bool names_directors(const struct proc *p, const Pb__Snapshot *m)
{
	char name[METADATA_NAME_MAX];

	if (m->n_directors != 4)
		return false;
	for (uint32_t ring = 0; ring < 4; ring++)
		if (!names(p, m->directors[ring], metadata_director(name, m->product, ring)))
			return false;
	return true;
}

static int check_snapshot(struct proc *p, struct bytes payload, struct subject *s)
{
	int err;
	const Pb__Snapshot *m =
		wire_read(&pb__snapshot__descriptor, payload, &wire_signed, &p->arena, &err);

	if (m == NULL)
		return err;
	if (!name_ok(m->product) || !within(p, m->expires, DIRECTOR_S))
		return ERR_BAD_RANGE;
	s->repository = m->repository;
	s->version = m->version;
	(void)metadata_snapshot(s->name, m->product);
	return names_directors(p, m) ? 0 : ERR_MISMATCH;
}

static int check_timestamp(struct proc *p, struct bytes payload, struct subject *s)
{
	char snapshot[METADATA_NAME_MAX];
	int err;
	const Pb__Timestamp *m =
		wire_read(&pb__timestamp__descriptor, payload, &wire_signed, &p->arena, &err);

	if (m == NULL)
		return err;
	if (!name_ok(m->product) || !within(p, m->expires, TIMESTAMP_S) ||
		!within(p, m->offers_until, OFFERS_S) || !within(p, m->issued_at, 0))
		return ERR_BAD_RANGE;
	s->repository = m->repository;
	s->version = m->version;
	(void)metadata_timestamp(s->name, m->product);
	return names(p, m->snapshot, metadata_snapshot(snapshot, m->product)) ? 0 : ERR_MISMATCH;
}

static int check_decision(struct proc *p, struct bytes payload, struct subject *s)
{
	int err;
	const Pb__Decision *m =
		wire_read(&pb__decision__descriptor, payload, &wire_signed, &p->arena, &err);

	if (m == NULL)
		return err;
	s->repository = m->repository;
	s->what = "decision";
	return proc_check_decision(p, m);
}

/* That the device has the seat is huidud's word: a grant lets nobody have more than was approved. */
static int check_grant(struct proc *p, struct bytes payload, struct subject *s)
{
	int err;
	const Pb__RingGrant *m =
		wire_read(&pb__ring_grant__descriptor, payload, &wire_signed, &p->arena, &err);

	if (m == NULL)
		return err;
	if (m->ring > 2 || m->device_id.len != ID_LEN || !name_ok(m->product) ||
		!within(p, m->issued_at, 0) || m->issued_at + MINUTE_S < now_s(p) ||
		m->expires < m->issued_at || m->expires - m->issued_at > GRANT_S)
		return ERR_BAD_RANGE;
	s->repository = m->repository;
	s->what = "ring grant";
	return 0;
}

static int check_statement(struct proc *p, struct bytes payload, struct subject *s)
{
	int err;
	const Pb__TimeStatement *m =
		wire_read(&pb__time_statement__descriptor, payload, &wire_signed, &p->arena, &err);

	if (m == NULL)
		return err;
	if (m->root.len != SHA256_LEN)
		return ERR_BAD_RANGE;
	if (m->time_s > now_s(p) + TIME_ERROR_S || m->time_s + TIME_ERROR_S < now_s(p))
		return ERR_CLOCK;
	s->repository = m->repository;
	s->what = "time";
	return 0;
}

static const struct kind {
	enum envelope_type type;
	enum guard_kind guard;
	bool often; /* not worth a line each time */
	int (*check)(struct proc *p, struct bytes payload, struct subject *s);
} kinds[] = {
	{ ENVELOPE_TIMESTAMP, GUARD_METADATA, true, check_timestamp },
	{ ENVELOPE_SNAPSHOT, GUARD_METADATA, false, check_snapshot },
	{ ENVELOPE_DIRECTOR, GUARD_METADATA, false, check_director },
	{ ENVELOPE_DECISION, GUARD_METADATA, false, check_decision },
	{ ENVELOPE_GRANT, GUARD_DEVICES, false, check_grant },
	{ ENVELOPE_TIME, GUARD_DEVICES, true, check_statement },
};

static const struct kind *kind_of(uint32_t type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if ((uint32_t)kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

/* The line that says what one request had signed. */
struct account {
	char text[700];
	size_t n;
	unsigned more; /* that did not fit */
	bool rare, floors;
};

static void account_for(struct account *a, const struct kind *kind, const struct subject *s)
{
	char one[NAME_MAX_LEN];
	int n = s->name[0] != '\0'
		? snprintf(one, sizeof(one), " %s %llu", s->name, (unsigned long long)s->version)
		: snprintf(one, sizeof(one), " %s", s->what);

	a->rare |= !kind->often;
	a->floors |= s->name[0] != '\0';
	if (a->n + (size_t)n + 1 > sizeof(a->text)) {
		a->more++;
		return;
	}
	memcpy(a->text + a->n, one, (size_t)n + 1);
	a->n += (size_t)n;
}

static int sign_item(struct proc *p, const Pb__SignerItem *item, const struct subject *s,
	ProtobufCBinaryData *out)
{
	enum envelope_type type = (enum envelope_type)item->type;
	struct bytes envelope;
	uint8_t sha256[SHA256_LEN];
	int err = proc_sign(p, type, wire_bytes(item->payload), &envelope);

	if (err != 0)
		return err;
	*out = wire_data(envelope.p, envelope.n);
	if (type != ENVELOPE_SNAPSHOT)
		return 0;
	err = crypto_sha256(&envelope, 1, sha256);
	if (err == 0)
		ledger_set_pin(p->ledger, s->name, sha256);
	return err;
}

static int take_item(
	struct proc *p, const Pb__SignerItem *item, struct account *a, ProtobufCBinaryData *out)
{
	const struct kind *kind = kind_of(item->type);
	struct subject s = { .repository = "" };
	int err = kind == NULL ? ERR_WRONG_TYPE : kind->check(p, wire_bytes(item->payload), &s);

	if (err == 0 && strcmp(s.repository, p->root->repository) != 0)
		err = ERR_WRONG_REPOSITORY;
	if (err == 0 && s.name[0] != '\0' && s.version <= ledger_floor(p->ledger, s.name))
		err = ERR_FLOOR;
	if (err != 0)
		return proc_refuse(p, err, "%s: %s", s.name, err_str(err));
	if (s.name[0] != '\0')
		ledger_set_floor(p->ledger, s.name, s.version);
	account_for(a, kind, &s);
	return sign_item(p, item, &s, out);
}

/* Is the clock right, and is it not too much? */
static int check_request(struct proc *p, const Pb__SignerRequest *m)
{
	uint64_t n[GUARD__COUNT] = { 0 };

	if (m->n_sign == 0)
		return proc_refuse(p, ERR_MISSING_FIELD, "request: asks for nothing");
	for (size_t i = 0; i < m->n_sign; i++) {
		const struct kind *kind = kind_of(m->sign[i]->type);
		if (kind != NULL)
			n[kind->guard]++;
	}
	if (!proc_clock_is_good(p))
		return proc_refuse(p, ERR_CLOCK, "signature: %s", err_str(ERR_CLOCK));
	if (!guard_take(&p->guard, n, p->clock.boot_ms()))
		return proc_refuse(
			p, ERR_BUSY, "signature: more are asked for than may be made at a time");
	return 0;
}

static int save_floors(struct proc *p, const struct account *a)
{
	int err;

	p->ledger->m->signed_ms = proc_now_ms(p);
	err = a->floors ? ledger_save(p->ledger) : 0;
	return err != 0 ? proc_refuse(p, err, "ledger: %s", err_str(err)) : 0;
}

static void say(const struct account *a)
{
	char more[40] = "";

	if (a->more > 0)
		(void)snprintf(more, sizeof(more), " and %u more", a->more);
	if (a->rare)
		log_info("signed:%s%s", a->text, more);
	else
		log_debug("signed:%s%s", a->text, more);
}

/* All or none, and the floors are on disk before a signature leaves this process. */
int proc_sign_items(struct proc *p, const Pb__SignerRequest *m, Pb__SignerReply *reply)
{
	ProtobufCBinaryData *list = arena_alloc(&p->arena, m->n_sign * sizeof(*reply->envelopes));
	struct account a = { .n = 0 };
	int err = list == NULL ? ERR_NO_ROOM : check_request(p, m);

	for (size_t i = 0; err == 0 && i < m->n_sign; i++)
		err = take_item(p, m->sign[i], &a, &list[i]);
	if (err == 0)
		err = save_floors(p, &a);
	if (err != 0) {
		ledger_revert(p->ledger);
		return err;
	}
	guard_mark(&p->guard, proc_now_ms(p), p->clock.boot_ms());
	reply->envelopes = list;
	reply->n_envelopes = m->n_sign;
	say(&a);
	return 0;
}
