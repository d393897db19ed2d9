/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/query_strata.h"

#include "server/base/mem.h"

#define DAY_MS_D 86400000.0

/* One product, or one component of several, in one stage, recomputed from its rows. */
struct part {
	struct gate_stage stage;
	struct {
		uint64_t offered, control, crashed, control_crashed, failed;
	} n;
};

static struct part *part_of(struct reading *x, size_t step, size_t build)
{
	struct part **p = &x->parts[step * x->r->n_builds + build];

	if (*p == NULL)
		*p = mem_zalloc(sizeof(**p));
	return *p;
}

/* SIZE_MAX: of a product that the configuration has no more. */
static size_t build_of(const struct reading *x, uint16_t product)
{
	const struct product *p = registry_number(&x->q->server->registry, product);

	for (size_t i = 0; p != NULL && i < x->r->n_builds; i++)
		if (strcmp(x->r->builds[i].build->product, p->name) == 0)
			return i;
	return SIZE_MAX;
}

static void count_row(struct part *p, const struct evidence_row *row)
{
	if (row->stream == STREAM_ENTERED) {
		p->n.offered += row->xc;
		p->n.control += row->xk;
	} else if (row->stream == STREAM_CRASH) {
		p->n.crashed += row->xc;
		p->n.control_crashed += row->xk;
	} else if (row->stream >= STREAM_BOOT && row->stream <= STREAM_S1) {
		p->n.failed += row->xc;
	}
}

/* Batches of a stage's strata close together: their time is counted once each. */
static void count_days(struct reading *x, const struct stored_row *s)
{
	uint64_t since_ms = x->last_ms[s->stage.step];

	if (s->row.stream != STREAM_ENTERED)
		return;
	if (since_ms == 0)
		since_ms = x->r->opened_ms[s->stage.step];
	if (s->row.closed_ms > since_ms)
		x->control_days[s->stage.step] +=
			(double)(s->row.closed_ms - since_ms) * s->row.ek / DAY_MS_D;
}

static void read_row(struct reading *x, const struct stored_row *s)
{
	size_t step = s->stage.step, build = build_of(x, s->product);
	struct gate_rules rules;
	struct part *p;

	if (step >= x->r->n_steps || build == SIZE_MAX)
		return;
	count_days(x, s);
	if (s->row.stream == STREAM_ENTERED && build + 1 == x->r->n_builds)
		x->last_ms[step] = s->row.closed_ms;
	p = part_of(x, step, build);
	count_row(p, &s->row);
	rules = rollout_rules(x->r, step);
	if (s->row.closed_ms > x->r->resumed_ms)
		gate_add(&p->stage, &rules, &s->row);
}

static int read_rows(struct reading *x)
{
	struct store_cursor c;
	struct store_txn t;
	uint8_t prefix[4];
	int err;

	put_be32(prefix, x->r->no);
	store_begin(x->q->server->store, &t, false);
	store_foreach(&c, &t, STORE_ROW, bytes_of(prefix, 4)) {
		struct stored_row row;
		uint64_t number;
		if (row_read(&c, &number, &row))
			read_row(x, &row);
	}
	err = t.err;
	store_abort(&t);
	return err;
}

int reading_open(struct reading *x)
{
	x->parts = mem_zalloc(x->r->n_steps * x->r->n_builds * sizeof(struct part *));
	return read_rows(x);
}

void reading_close(struct reading *x)
{
	for (size_t i = 0; i < x->r->n_steps * x->r->n_builds; i++)
		free(x->parts[i]);
	free(x->parts);
}

static void add_part(struct query *q, const struct part *p, const struct gate_rules *rules,
	const char *name, Pb__GateStage *v)
{
	double streams[GATE_STREAM__COUNT];
	Pb__GateStratum *x = query_alloc(q, sizeof(*x));

	*x = (Pb__GateStratum)PB__GATE_STRATUM__INIT;
	x->name = name;
	x->offered = p->n.offered;
	x->control = p->n.control;
	x->crashed = p->n.crashed;
	x->control_crashed = p->n.control_crashed;
	x->failed = p->n.failed;
	x->log_e = gate_stage_log(&p->stage, rules, streams);
	v->strata[v->n_strata++] = x;
}

static int worst_first(const void *a, const void *b)
{
	const Pb__GateStratum *const *x = a, *const *y = b;

	return (*x)->log_e > (*y)->log_e ? -1 : (*x)->log_e < (*y)->log_e;
}

static bool has_product(const struct config_component *c, const char *product)
{
	for (size_t i = 0; i < c->n_products; i++)
		if (strcmp(c->products[i], product) == 0)
			return true;
	return false;
}

/* The rows of a component's products, added up as if it were one product. */
static bool read_component(
	const struct reading *x, size_t step, const struct config_component *c, struct part *out)
{
	struct gate_rules rules = rollout_rules(x->r, step);
	struct store_cursor cursor;
	struct store_txn t;
	uint8_t prefix[4];

	put_be32(prefix, x->r->no);
	store_begin(x->q->server->store, &t, false);
	store_foreach(&cursor, &t, STORE_ROW, bytes_of(prefix, 4)) {
		const struct product *p;
		struct stored_row row;
		uint64_t number;
		if (!row_read(&cursor, &number, &row) || row.stage.step != step)
			continue;
		p = registry_number(&x->q->server->registry, row.product);
		if (p == NULL || !has_product(c, p->name))
			continue;
		count_row(out, &row.row);
		if (row.row.closed_ms > x->r->resumed_ms)
			gate_add(&out->stage, &rules, &row.row);
	}
	store_abort(&t);
	return out->n.offered + out->n.control > 0;
}

static void add_components(struct reading *x, size_t step, Pb__GateStage *v)
{
	const struct line *line = registry_line(&x->q->server->registry, x->r->line);
	struct gate_rules rules = rollout_rules(x->r, step);

	for (size_t i = 0; line != NULL && i < line->config->n_components; i++) {
		const struct config_component *c = &line->config->components[i];
		struct part *p = mem_zalloc(sizeof(*p));
		if (read_component(x, step, c, p)) {
			add_part(x->q, p, &rules, c->name, v);
			v->strata[v->n_strata - 1]->component = 1;
		}
		free(p);
	}
}

void strata_add(struct reading *x, size_t step, Pb__GateStage *v)
{
	const struct line *line = registry_line(&x->q->server->registry, x->r->line);
	struct gate_rules rules = rollout_rules(x->r, step);
	size_t most = x->r->n_builds + (line == NULL ? 0 : line->config->n_components);

	v->strata = query_alloc(x->q, (most + 1) * sizeof(*v->strata));
	for (size_t i = 0; i < x->r->n_builds; i++)
		add_part(x->q, part_of(x, step, i), &rules, x->r->builds[i].build->product, v);
	add_components(x, step, v);
	qsort(v->strata, v->n_strata, sizeof(*v->strata), worst_first);
}
