/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sim/book.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "server/base/mem.h"

#define CELL_LOOP    SIM_CLASSES
#define CELL_SYMPTOM (SIM_CLASSES + 1)
#define CELL_OWN     (SIM_CLASSES + 2)

static const enum stream stream_of[BOOK_CELLS] = {
	STREAM_CRASH,
	STREAM_CRASH,
	STREAM_CRASH,
	STREAM_CRASH,
	STREAM_CRASH_LOOP,
	STREAM_SYMPTOM,
	STREAM_SIGNATURE,
};

void book_init(struct book *b, struct chance *r, const uint32_t *phones, uint32_t sides)
{
	double even[BOOK_PHASES];

	assert(sides >= 1 && sides <= BOOK_SIDES && b->clock->poll <= BOOK_PHASES);
	for (size_t i = 0; i < BOOK_PHASES; i++)
		even[i] = 1;
	b->sides = sides;
	b->due = mem_zalloc(b->clock->horizon * sizeof(*b->due));
	for (uint32_t s = 0; s < sides; s++) {
		struct side *side = &b->side[s];
		chance_deal(r, phones[s], even, b->clock->poll, side->unasked);
		side->judged_in = mem_zalloc(b->clock->again * sizeof(*side->judged_in));
		side->pool = mem_zalloc(sizeof(*side->pool));
		side->n_pools = 1;
	}
}

void book_release(struct book *b)
{
	for (uint32_t s = 0; s < b->sides; s++) {
		free(b->side[s].judged_in);
		free(b->side[s].pool);
	}
	free(b->due);
}

void book_close_side(struct book *b, uint32_t side)
{
	struct book_event e = { .kind = BOOK_CLOSED, .side = side };

	if (side >= b->sides)
		return;
	b->side[side].closed = true;
	if (b->sink->event != NULL)
		b->sink->event(b->sink->to, b->number, &e);
}

/* ---- first events of the open batch ---- */

static void emit(
	const struct book *b, enum stream stream, uint32_t xc, uint32_t xk, struct evidence_row row)
{
	row.batch = b->batch;
	row.closed_ms = b->now_ms;
	row.stream = stream;
	row.xc = xc;
	row.xk = xk;
	if (xc + xk > 0 || stream == STREAM_ENTERED)
		b->sink->row(b->sink->to, b->number, &row);
}

/* As evidence.c tells it: by slots of an eighth of `settle`. */
static bool is_young(const struct book *b, uint32_t entered)
{
	uint64_t slot_ms = b->clock->settle_ms / (EVIDENCE_SLOTS - 1);

	return slot_ms > 0 &&
		entered * b->clock->look_ms / slot_ms + EVIDENCE_SLOTS >
		b->batch * b->clock->look_ms / slot_ms;
}

/* A batch's rates: usual ones, and what the build makes of them on phones of a pool. */
struct rates {
	double usual[BOOK_CELLS], now[2][BOOK_CELLS], told;
};

static void usual_rates(const struct book *b, double hour, struct rates *out)
{
	const struct sim_world *w = b->world;
	double day = sim_diurnal(w, hour) * b->clock->look_h / 24;
	double outage = sim_outage(w, hour) * b->clock->look_h / 24;

	for (unsigned c = 0; c < SIM_CLASSES; c++)
		out->usual[c] = w->crash * sim_class_rate[c] * day + outage;
	out->usual[CELL_LOOP] = w->loop * day;
	out->usual[CELL_SYMPTOM] = w->symptom * day;
	out->usual[CELL_OWN] = 0;
}

static void pool_rates(
	const struct book *b, const struct pool *p, bool canary, bool old, struct rates *out)
{
	const struct sim_world *w = b->world;
	uint32_t age = old ? b->clock->span : b->batch - p->batch;
	double more, days = b->clock->look_h / 24;

	out->told = canary ? b->effect->told[age] : 1;
	for (unsigned k = 0; k < 2; k++)
		memcpy(out->now[k], out->usual, sizeof(out->usual));
	if (!canary)
		return;
	more = b->faulty ? b->effect->acting[age] * days : 0;
	for (unsigned k = 0; k < 2; k++) {
		bool concerned = k == 1 && b->faulty;
		double add = concerned ? more : 0;
		for (unsigned c = 0; c < SIM_CLASSES; c++)
			out->now[k][c] = out->usual[c] * b->effect->ratio[concerned][age] +
				add * w->crash_add;
		out->now[k][CELL_LOOP] += add * w->loop_add;
		out->now[k][CELL_SYMPTOM] += add * w->symptom_add;
		out->now[k][CELL_OWN] += w->crash_is_new ? add * w->crash_add : 0;
	}
}

static void count_hurt(struct sim_hurt *h, enum stream stream, uint32_t n)
{
	if (stream == STREAM_CRASH)
		h->crashed += n;
	else if (stream == STREAM_CRASH_LOOP)
		h->looped += n;
	else if (stream == STREAM_SYMPTOM)
		h->symptoms += n;
}

/* Draws one cell; returns how many were reported. */
static uint32_t draw(struct book *b, struct chance *r, const struct rates *rates, uint32_t *risk,
	unsigned k, unsigned cell)
{
	double p = -expm1(-rates->now[k][cell]), usual = -expm1(-rates->usual[cell]), told;
	uint32_t n = chance_binomial(r, *risk, p);

	if (n == 0)
		return 0;
	if (p > usual)
		count_hurt(&b->hurt, stream_of[cell], chance_binomial(r, n, 1 - usual / p));
	*risk -= n;
	told = rates->told;
	if (stream_of[cell] == STREAM_CRASH && k == 1)
		told *= 1 - b->world->crash_lost;
	return told < 1 ? chance_binomial(r, n, told) : n;
}

static void new_signature(struct book *b, uint32_t number, uint32_t xc, uint32_t xk)
{
	struct evidence_row row = { .signature = number, .ec = b->side[0].followed };

	for (uint32_t s = 1; s < b->sides; s++)
		row.ek += b->side[s].closed ? 0 : b->side[s].followed;
	emit(b, STREAM_SIGNATURE, xc, xk, row);
}

/* Crashes of a kind never seen: one device each, a long tail. */
static void new_crashes(struct book *b, struct chance *r, uint32_t crashes, bool canary)
{
	uint32_t n = chance_binomial(r, crashes, b->world->new_crash);

	for (; n > 0 && b->n_new < BOOK_NEW; n--)
		new_signature(b, b->n_new++, canary, !canary);
}

static void own_signature(struct book *b, uint32_t n)
{
	if (n == 0 || (b->own_signature == 0 && b->n_new == BOOK_NEW))
		return;
	if (b->own_signature == 0)
		b->own_signature = ++b->n_new;
	new_signature(b, b->own_signature - 1, n, 0);
}

static void tell(const struct book *b, const struct book_event *e)
{
	if (b->sink->event != NULL && e->n > 0)
		b->sink->event(b->sink->to, b->number, e);
}

static void pool_events(
	struct book *b, struct chance *r, uint32_t side, struct pool *p, struct rates *rates)
{
	bool canary = side == 0, old = p == b->side[side].pool;
	enum age age = !old && is_young(b, p->batch) ? AGE_YOUNG : AGE_STEADY;

	pool_rates(b, p, canary, old, rates);
	for (unsigned k = 0; k < 2; k++)
		for (unsigned cell = 0; cell < BOOK_CELLS; cell++) {
			struct evidence_row *row =
				&b->compared[stream_of[cell] % STREAM_COMPARED][age];
			uint32_t *risk = &p->risk[k][cell], before = *risk, n;
			if (before == 0)
				continue;
			n = draw(b, r, rates, risk, k, cell);
			if (stream_of[cell] == STREAM_SIGNATURE) {
				own_signature(b, n);
				continue;
			}
			*(canary ? &row->ec : &row->ek) += before;
			*(canary ? &row->xc : &row->xk) += n;
			if (n > 0 && cell < SIM_CLASSES)
				new_crashes(b, r, n, canary);
			tell(b,
				&(struct book_event){ .kind = BOOK_EVENT,
					.side = side,
					.batch = p->batch,
					.old = old,
					.stream = stream_of[cell],
					.n = n });
		}
}

/* The pool that leaves the span joins the old ones. */
static void grow_old(struct book *b, struct side *side)
{
	struct pool *old = side->pool, *p = side->pool + 1;

	if (side->n_pools < 2 || b->batch - p->batch <= b->clock->span)
		return;
	for (unsigned i = 0; i < 2 * BOOK_CELLS; i++)
		old->risk[i / BOOK_CELLS][i % BOOK_CELLS] +=
			p->risk[i / BOOK_CELLS][i % BOOK_CELLS];
	old->batch = p->batch;
	side->n_pools--;
	memmove(p, p + 1, (side->n_pools - 1) * sizeof(*p));
}

void book_events(struct book *b, struct chance *r, uint64_t closes_ms)
{
	double hour = b->began_h + (b->batch + .5) * b->clock->look_h;
	struct rates rates;

	b->now_ms = closes_ms;
	memset(b->compared, 0, sizeof(b->compared));
	usual_rates(b, hour, &rates);
	for (uint32_t s = 0; s < b->sides; s++) {
		struct side *side = &b->side[s];
		if (side->closed)
			continue;
		grow_old(b, side);
		for (size_t i = 0; i < side->n_pools; i++)
			pool_events(b, r, s, &side->pool[i], &rates);
	}
}

/* ---- closing ---- */

static void emit_due(const struct book *b, const struct due *d, struct evidence_row at)
{
	emit(b, STREAM_BOOT_OK, d->boot_ok, 0, at);
	emit(b, STREAM_BOOT, d->boot, 0, at);
	emit(b, STREAM_INSTALL, d->install, 0, at);
	emit(b, STREAM_ROLLBACK, d->rollback, 0, at);
	emit(b, STREAM_S1, d->s1, 0, at);
	emit(b, STREAM_S1_DUE, d->s1_due, 0, at);
	emit(b, STREAM_RESOLVED, d->boot_ok + d->boot + d->install + d->rollback + d->s1, 0, at);
}

void book_close(struct book *b, uint32_t held)
{
	struct due *d = &b->due[b->batch & (b->clock->horizon - 1)];
	struct evidence_row at = { 0 };
	uint32_t entered[ARM__COUNT] = { 0 };

	for (unsigned s = 0; s < STREAM_COMPARED; s++)
		for (unsigned age = 0; age < AGE__COUNT; age++) {
			struct evidence_row row = b->compared[s][age];
			row.age = (enum age)age;
			emit(b, (enum stream)s, row.xc, row.xk, row);
		}
	emit(b, STREAM_SILENT, b->silence.xc, b->silence.xk, b->silence);
	emit(b, STREAM_JUDGED, b->judged_now[ARM_CANARY], b->judged_now[ARM_CONTROL], at);
	emit_due(b, d, at);
	memset(d, 0, sizeof(*d));
	for (uint32_t s = 0; s < b->sides; s++) {
		struct side *side = &b->side[s];
		struct pool *last = &side->pool[side->n_pools - 1];
		uint32_t n = 0;
		for (unsigned k = 0; side->n_pools > 1 && last->batch == b->batch && k < 2; k++)
			n += last->risk[k][CELL_LOOP];
		entered[s == 0 ? ARM_CANARY : ARM_CONTROL] += n;
		side->followed += n;
	}
	emit(b, STREAM_HELD, held, 0, at);
	emit(b, STREAM_ENTERED, entered[ARM_CANARY], entered[ARM_CONTROL], at);
	b->batch++;
}
