/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/import_record.h"

#include "server/base/mem.h"
#include "server/service/import.h"

#define DAY_MS 86400000ull

static const struct lint_rules record_rules = { IMPORT_RECORD_ARENA, 256, 0 };

void import_note(struct import_progress *p, uint32_t line, enum row_end why)
{
	p->conflicts++;
	if (p->n_troubles == IMPORT_TROUBLES_MAX)
		return;
	p->trouble[p->n_troubles].line = line;
	p->trouble[p->n_troubles++].why = why;
}

void import_progress_view(const Pb__Import *m, const struct import_progress *p, Pb__ImportView *out)
{
	*out = (Pb__ImportView)PB__IMPORT_VIEW__INIT;
	out->rows = m->rows;
	out->done = p->done;
	out->added = p->added;
	out->known = p->known;
	out->conflicts = p->conflicts;
	out->waiting = p->waiting;
}

void import_record_put(struct store_txn *t, const Pb__Import *m, uint32_t day,
	const struct import_progress *p, struct arena *a)
{
	Pb__ImportRecord r = PB__IMPORT_RECORD__INIT;
	Pb__ImportView view;
	struct bytes packed = { 0 };
	union {
		const Pb__Import *in;
		Pb__Import *out; /* only read */
	} u = { m };
	int err;

	import_progress_view(m, p, &view);
	r.command = u.out;
	r.at = p->at;
	r.day = day;
	r.view = &view;
	r.core = p->given[RING_CORE];
	r.honour = p->given[RING_HONOUR];
	r.dev = p->given[RING_DEV];
	err = wire_pack(&r, a, &packed);
	if (err != 0)
		t->err = t->err != 0 ? t->err : err;
	else
		store_put(t, STORE_META, bytes_str("import"), packed);
}

void import_put(struct store_txn *t, const Pb__Import *m, uint64_t now_ms)
{
	struct import_progress p = { .at = IMPORT_MAGIC_LEN };
	struct arena a = { mem_alloc(IMPORT_RECORD_ARENA), IMPORT_RECORD_ARENA, 0 };

	import_record_put(t, m, (uint32_t)(now_ms / DAY_MS), &p, &a);
	free(a.base);
}

int import_record_get(struct store *s, struct arena *a, const Pb__ImportRecord **out)
{
	struct store_txn t;
	struct bytes v;
	int err = 0;

	*out = NULL;
	store_begin(s, &t, false);
	if (store_get(&t, STORE_META, bytes_str("import"), &v))
		*out = wire_read(&pb__import_record__descriptor, v, &record_rules, a, &err);
	err = err != 0 ? err : t.err;
	store_abort(&t);
	return err;
}

struct import_progress import_progress_of(const Pb__ImportRecord *r)
{
	return (struct import_progress){
		.at = r->at,
		.done = (uint32_t)r->view->done,
		.added = (uint32_t)r->view->added,
		.known = (uint32_t)r->view->known,
		.conflicts = (uint32_t)r->view->conflicts,
		.waiting = (uint32_t)r->view->waiting,
		.given = { r->core, r->honour, r->dev },
	};
}

void import_progress_troubles(const struct import_progress *p, Pb__ImportView *v, struct arena *a)
{
	v->troubles = arena_alloc(a, (p->n_troubles + 1) * sizeof(*v->troubles));
	for (uint32_t i = 0; v->troubles != NULL && i < p->n_troubles; i++) {
		Pb__ImportTrouble *t = arena_alloc(a, sizeof(*t));
		if (t == NULL)
			break;
		*t = (Pb__ImportTrouble)PB__IMPORT_TROUBLE__INIT;
		t->line = p->trouble[i].line;
		t->why = row_end_str(p->trouble[i].why);
		v->troubles[v->n_troubles++] = t;
	}
}
