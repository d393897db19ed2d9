/* SPDX-License-Identifier: Apache-2.0 */
/* Who comes, what becomes of them, and what is heard of them later. */
#include <assert.h>
#include <math.h>

#include "server/base/mem.h"
#include "server/sim/book.h"

static uint32_t phase_of(const struct book *b)
{
	return b->batch % b->clock->poll;
}

static struct due *due_at(const struct book *b, uint32_t looks)
{
	assert(looks < b->clock->horizon);
	return &b->due[(b->batch + looks) & (b->clock->horizon - 1)];
}

static void tell(
	const struct book *b, enum book_kind kind, enum stream stream, uint32_t side, uint32_t n)
{
	struct book_event e = {
		.kind = kind, .stream = stream, .side = side, .batch = b->batch, .n = n
	};

	if (b->sink->event != NULL && n > 0)
		b->sink->event(b->sink->to, b->number, &e);
}

static void tell_judged(
	const struct book *b, enum book_kind kind, uint32_t side, uint32_t n, uint32_t bad)
{
	struct book_event e = {
		.kind = kind, .stream = STREAM_SILENT, .side = side, .n = n, .bad = bad
	};

	if (b->sink->event != NULL && n > 0)
		b->sink->event(b->sink->to, b->number, &e);
}

/* ---- admission ---- */

void book_ask(struct book *b, struct chance *r, double before, double now)
{
	double p = before < 1 ? (now - before) / (1 - before) : 1;

	for (uint32_t s = 0; now > before && s < b->sides; s++)
		for (uint32_t i = 0; i < b->clock->poll; i++) {
			uint32_t n = chance_binomial(r, b->side[s].unasked[i], p);
			b->side[s].unasked[i] -= n;
			b->side[s].asked[i] += n;
		}
}

uint32_t book_waiting(const struct book *b)
{
	return b->side[0].asked[phase_of(b)];
}

uint32_t book_held(const struct book *b)
{
	return b->side[0].asked[phase_of(b)] + b->side[0].unasked[phase_of(b)];
}

/* ---- what becomes of a canary ---- */

/* From 14 hours after the offer on, silence is looked for; a brick is found the first time. */
static void plan_silence(struct book *b, uint32_t bricked_at, uint32_t n)
{
	const struct book_clock *c = b->clock;
	uint32_t at = c->milestone;

	while (at < bricked_at + c->again)
		at += c->again;
	if (at == c->milestone)
		due_at(b, at)->silent[0] += n;
	else
		due_at(b, at)->vanished += n;
}

static uint32_t to_looks(const struct book *b, double hours)
{
	double n = ceil(hours / b->clock->look_h - 1e-9);

	return n > 1 ? (uint32_t)n : 1;
}

/* n phones say `installing` in the look `in`; whether their silence would still be news. */
static void plan_install(struct book *b, struct chance *r, uint32_t in, uint32_t n, bool news)
{
	const struct sim_world *w = b->world;
	double f = b->faulty ? w->affected : 0;
	struct due *d = due_at(b, in), *s1 = due_at(b, in + b->clock->s1);
	bool bricks_now = w->from_h <= 0;
	uint32_t bricks, late;
	uint32_t failed[3];

	failed[0] = chance_binomial(r, n, w->install + f * w->bad_install);
	d->install += failed[0];
	n -= failed[0];
	s1->s1_due += n;
	failed[1] = chance_binomial(r, n, w->boot + f * w->bad_boot);
	failed[2] = chance_binomial(r, n - failed[1], w->rollback + f * w->bad_rollback);
	d->boot += failed[1];
	d->rollback += failed[2];
	n -= failed[1] + failed[2];
	bricks = chance_binomial(r, n, f * w->brick);
	due_at(b, in + (bricks_now ? 0 : to_looks(b, w->from_h)))->bricks += bricks;
	plan_silence(b, in + (bricks_now ? 0 : to_looks(b, w->from_h)), news ? bricks : 0);
	if (bricks_now)
		n -= bricks;
	late = chance_binomial(r, n, w->late + (1 - w->late) * f * w->mute);
	d->boot_ok += n - late;
	s1->s1 += late + (bricks_now ? bricks : 0);
}

/* Phones that were in a drawer, or on a journey, come back in some days, most of them. */
static void plan_return(struct book *b, struct chance *r, uint32_t away)
{
	static const double share[] = { .4, .25, .2, .15 };
	static const double hour[] = { 20, 30, 48, 72 };
	uint32_t n[4];

	chance_deal(r, away - chance_binomial(r, away, b->world->never), share, 4, n);
	for (unsigned i = 0; i < 4; i++)
		if (n[i] > 0)
			plan_install(b, r, to_looks(b, hour[i]), n[i], false);
}

static void plan_canary(struct book *b, struct chance *r, uint32_t n)
{
	uint32_t away = chance_binomial(r, n, b->world->away), in[SIM_DELAYS];
	uint32_t first = b->clock->milestone;

	due_at(b, first)->judged[0] += n;
	due_at(b, first)->silent[0] += away;
	chance_deal(r, n - away, b->world->delay, SIM_DELAYS, in);
	for (uint32_t i = 0; i < SIM_DELAYS; i++)
		if (in[i] > 0)
			plan_install(b, r, to_looks(b, i + .5), in[i], true);
	plan_return(b, r, away);
}

/* ---- entering ---- */

static void deal_cells(struct book *b, struct chance *r, uint32_t n, struct pool *p, bool canary)
{
	double share[SIM_CLASSES], f = canary && b->faulty ? b->world->affected : 0;
	uint32_t concerned = chance_binomial(r, n, f), of[2] = { n - concerned, concerned };

	sim_classes(b->world, b->batch * b->clock->look_h, share);
	for (unsigned k = 0; k < 2; k++) {
		chance_deal(r, of[k], share, SIM_CLASSES, p->risk[k]);
		for (unsigned cell = SIM_CLASSES; cell < BOOK_CELLS; cell++)
			p->risk[k][cell] = of[k];
	}
}

static void enter(struct book *b, struct chance *r, uint32_t s, uint32_t n)
{
	struct side *side = &b->side[s];
	struct pool p = { .batch = b->batch };

	side->asked[phase_of(b)] -= n;
	if (n == 0)
		return;
	deal_cells(b, r, n, &p, s == 0);
	side->pool = mem_resize(side->pool, side->n_pools + 1, sizeof(p));
	side->pool[side->n_pools++] = p;
	tell(b, BOOK_ENTER, STREAM_ENTERED, s, n);
	if (s == 0) {
		b->offered += n;
		plan_canary(b, r, n);
		return;
	}
	b->control += n;
	due_at(b, b->clock->milestone)->judged[s] += n;
	due_at(b, b->clock->milestone)->silent[s] += chance_binomial(r, n, b->world->away);
}

void book_enter(struct book *b, struct chance *r, uint32_t canaries, double part)
{
	uint32_t phase = phase_of(b);

	enter(b, r, 0, canaries);
	for (uint32_t s = 1; s < b->sides; s++)
		if (!b->side[s].closed)
			enter(b, r, s, chance_binomial(r, b->side[s].asked[phase], part));
}

/* ---- what is due ---- */

static void judge(struct book *b, struct chance *r, uint32_t s, const struct due *d)
{
	uint32_t *again = &b->side[s].judged_in[b->batch % b->clock->again];
	uint32_t vanished = s == 0 && d->vanished < *again ? d->vanished : 0;
	uint32_t first = d->judged[s], silent = d->silent[s] < first ? d->silent[s] : first;
	uint32_t later = vanished + chance_binomial(r, *again - vanished, b->world->away_later);

	tell_judged(b, BOOK_JUDGE, s, first, silent);
	tell_judged(b, BOOK_JUDGE_AGAIN, s, *again, later);
	*(s == 0 ? &b->silence.ec : &b->silence.ek) += first + *again;
	*(s == 0 ? &b->silence.xc : &b->silence.xk) += silent + later;
	*(s == 0 ? &b->judged_now[ARM_CANARY] : &b->judged_now[ARM_CONTROL]) += first;
	*again += first - silent - later;
	if (s == 0) {
		b->judged += first;
		b->silent += silent + later;
	}
}

void book_due(struct book *b, struct chance *r)
{
	const struct due *d = due_at(b, 0);

	b->silence = (struct evidence_row){ 0 };
	b->judged_now[ARM_CANARY] = b->judged_now[ARM_CONTROL] = 0;
	for (uint32_t s = 0; s < b->sides; s++)
		if (!b->side[s].closed)
			judge(b, r, s, d);
	b->boot_ok += d->boot_ok;
	b->resolved += d->boot_ok + d->boot + d->install + d->rollback + d->s1;
	b->hurt.bricked += d->bricks;
	b->hurt.failed += d->boot + d->install + d->rollback;
	tell(b, BOOK_EVENT, STREAM_BOOT_OK, 0, d->boot_ok);
	tell(b, BOOK_EVENT, STREAM_BOOT, 0, d->boot);
	tell(b, BOOK_EVENT, STREAM_INSTALL, 0, d->install);
	tell(b, BOOK_EVENT, STREAM_ROLLBACK, 0, d->rollback);
	if (b->sink->event != NULL && d->s1_due > 0)
		b->sink->event(b->sink->to, b->number,
			&(struct book_event){ .kind = BOOK_S1, .n = d->s1_due, .bad = d->s1 });
}
