/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/states.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBSET_BITS 12u

/* The arg of a tear: how, whether what else may be lost is there, and which sectors. */
#define TEAR(how, others, arg) ((uint64_t)(how) << 40 | (uint64_t)(others) << 32 | (arg))

static const char *const names[STATE__COUNT] = { "prefix", "subset", "sample", "tear", "random",
	"meta" };

const char *state_class_str(enum state_class class)
{
	return names[class];
}

void state_str(const struct state_id *id, char out[64])
{
	(void)snprintf(out, 64, "%" PRIu32 ".%s.%" PRIx64, id->moment, names[id->class], id->arg);
}

bool state_parse(const char *text, struct state_id *out)
{
	char name[16];

	*out = (struct state_id){ 0 };
	if (sscanf(text, "%" SCNu32 ".%15[a-z].%" SCNx64, &out->moment, name, &out->arg) != 3)
		return false;
	for (unsigned i = 0; i < STATE__COUNT; i++)
		if (strcmp(name, names[i]) == 0) {
			out->class = (enum state_class)i;
			return true;
		}
	return false;
}

/* ---- from an id ---- */

static struct pick whole(bool there)
{
	return (struct pick){ there ? PICK_ALL : PICK_NONE, 0 };
}

static struct pick torn(const struct disk_op *op, uint64_t seed)
{
	uint64_t r = disk_random(seed);

	if (op->kind != DISK_WRITE || (r & 3) == 0)
		return whole((r & 4) != 0);
	return (struct pick){ PICK_RANDOM, r };
}

static struct pick pick_one(
	const struct disk_op *op, const struct state_id *id, unsigned bit, bool under_way)
{
	enum pick_how how = (enum pick_how)(id->arg >> 40);

	switch (id->class) {
	case STATE_PREFIX:
		return whole(!under_way || id->arg == 0);
	case STATE_SUBSET:
		return whole((id->arg >> bit & 1) != 0);
	case STATE_SAMPLE:
		return whole((disk_random(id->arg * 65536 + bit) & 1) != 0);
	case STATE_RANDOM:
		return torn(op, (id->moment + id->arg * 1000003) * 65536 + bit);
	case STATE_TEAR:
	case STATE_META:
		if (!under_way)
			return whole((id->arg >> 32 & 1) != 0);
		return (struct pick){ how, id->arg & UINT32_MAX };
	case STATE__COUNT:
		break;
	}
	abort();
}

void state_picks(const struct disk *d, const struct state_id *id, struct pick *pick)
{
	unsigned bit = 0;

	for (size_t i = 0; i < d->n_open; i++) {
		const struct disk_op *op = &d->op[d->open[i]];
		if (!disk_is_durable(op, id->moment))
			pick[i] = pick_one(op, id, bit++, op->moment == id->moment);
	}
}

/* ---- all ids ---- */

struct each {
	const struct disk *d;
	const struct states_effort *effort;
	struct state_id id;
	unsigned bits; /* changes that may be lost */
	void (*visit)(void *ctx, const struct state_id *id);
	void *ctx;
};

static void visit(struct each *e, enum state_class class, uint64_t arg)
{
	e->id.class = class;
	e->id.arg = arg;
	e->visit(e->ctx, &e->id);
}

static void subsets(struct each *e)
{
	if (e->bits <= SUBSET_BITS) {
		for (uint64_t mask = 0; mask < 1ull << e->bits; mask++)
			visit(e, STATE_SUBSET, mask);
		return;
	}
	for (unsigned i = 0; i < e->effort->samples; i++)
		visit(e, STATE_SAMPLE, e->id.moment * 65536ull + i);
}

static void tear(struct each *e, enum pick_how how, unsigned arg)
{
	visit(e, STATE_TEAR, TEAR(how, 1, arg));
	if (e->bits > 1)
		visit(e, STATE_TEAR, TEAR(how, 0, arg));
}

static void tears(struct each *e, const struct disk_op *op)
{
	unsigned n = disk_sectors(op);

	if (op->kind != DISK_WRITE)
		return;
	tear(e, PICK_SIZE, 0);
	for (unsigned i = 1; i < n; i++) {
		tear(e, PICK_PREFIX, i);
		tear(e, PICK_SUFFIX, i);
	}
	for (unsigned i = 0; n > 2 && i < n; i++) {
		tear(e, PICK_HOLE, i);
		tear(e, PICK_ONLY, i);
	}
	if (e->effort->masks && n > 2 && n <= 8)
		for (unsigned mask = 1; mask < 1u << n; mask++)
			tear(e, PICK_MASK, mask);
}

static bool is_meta(const struct disk_op *op)
{
	return op->kind == DISK_WRITE && op->durable == op->moment && disk_sectors(op) == 1 &&
		op->at < 2ull * DISK_PAGE;
}

static void metas(struct each *e, const struct disk_op *op)
{
	unsigned step = e->effort->bytes;

	for (unsigned i = 1 + op->moment % step; i < op->n; i += step) {
		visit(e, STATE_META, TEAR(PICK_FIRST_BYTES, 1, i));
		visit(e, STATE_META, TEAR(PICK_LAST_BYTES, 1, i));
	}
}

void states_each(const struct disk *d, uint32_t moment, const struct states_effort *effort,
	void (*visitor)(void *ctx, const struct state_id *id), void *ctx)
{
	const struct disk_op *op = disk_under_way(d, moment);
	struct each e = {
		.d = d, .effort = effort, .id.moment = moment, .visit = visitor, .ctx = ctx
	};
	unsigned sectors = 0;

	for (size_t i = 0; i < d->n_open; i++) {
		const struct disk_op *open = &d->op[d->open[i]];
		if (disk_is_durable(open, moment))
			continue;
		e.bits++;
		sectors += disk_sectors(open);
	}
	visit(&e, STATE_PREFIX, 0);
	if (op != NULL)
		visit(&e, STATE_PREFIX, 1);
	subsets(&e);
	if (op != NULL)
		tears(&e, op);
	for (unsigned i = 0; sectors > 2 && i < effort->random; i++)
		visit(&e, STATE_RANDOM, i);
	if (op != NULL && is_meta(op))
		metas(&e, op);
}
