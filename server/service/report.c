/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/report.h"

#include <assert.h>

#include "server/metrics/metrics.h"
#include "server/service/novelty.h"
#include "server/store/device.h"

/* What each kind of event means. */
static const struct {
	bool known;      /* a device may send it */
	bool is_outcome; /* counts only for the stage whose build it is about */
	int stream;      /* -1: none */
	bool is_failure; /* the build is not offered to this device again */
} kinds[] = {
	[PB__EVENT_KIND__EVENT_OFFERED] = { true, true, -1, false },
	[PB__EVENT_KIND__EVENT_DOWNLOADED] = { true, true, STREAM_DOWNLOADED, false },
	[PB__EVENT_KIND__EVENT_INSTALLING] = { true, true, STREAM_INSTALLING, false },
	[PB__EVENT_KIND__EVENT_INSTALLED] = { true, true, STREAM_INSTALLED, false },
	[PB__EVENT_KIND__EVENT_BOOT_OK] = { true, true, STREAM_BOOT_OK, false },
	[PB__EVENT_KIND__EVENT_BOOT_FAILED] = { true, true, STREAM_BOOT, true },
	[PB__EVENT_KIND__EVENT_ROLLED_BACK] = { true, true, STREAM_ROLLBACK, true },
	[PB__EVENT_KIND__EVENT_CRASH] = { true, false, STREAM_CRASH, false },
	[PB__EVENT_KIND__EVENT_SYMPTOM] = { true, false, STREAM_SYMPTOM, false },
	[PB__EVENT_KIND__EVENT_ALIVE] = { true, false, -1, false },
	[PB__EVENT_KIND__EVENT_DEFERRED] = { true, false, -1, false },
	[PB__EVENT_KIND__EVENT_LEAVE] = { true, false, -1, false },
	[PB__EVENT_KIND__EVENT_INSTALL_FAILED] = { true, true, STREAM_INSTALL, true },
	[PB__EVENT_KIND__EVENT_CRASH_LOOP] = { true, false, STREAM_CRASH_LOOP, false },
	[PB__EVENT_KIND__EVENT_REFUSED] = { true, false, -1, false },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static_assert(METRIC_EVENT_REFUSED - METRIC_EVENT_OFFERED ==
		(int)PB__EVENT_KIND__EVENT_REFUSED - (int)PB__EVENT_KIND__EVENT_OFFERED,
	"metrics list kinds of events in their order");

/* ---- in the transaction ---- */

static void count_in_stage(struct report *r, struct writer *w, struct stage *stage,
	uint16_t product, const struct report_event *e, uint32_t seq)
{
	struct stratum *stratum = stage_stratum(stage, product);
	int stream = kinds[e->kind].stream + e->symptom;
	struct evidence_device d;

	if (stratum == NULL || kinds[e->kind].stream < 0 || e->symptom >= SYMPTOMS ||
		(kinds[e->kind].is_outcome && stratum->build != e->build))
		return;
	if (!arm_get(&w->txn, stage->key, r->id, &d))
		return;
	if (e->kind == PB__EVENT_KIND__EVENT_CRASH && e->has_signature && seq > d.seq)
		novelty_crash(stage, &w->txn, product, r->id, e->signature, r->job.now_ms);
	if (!evidence_event(&stratum->evidence, &d, (enum stream)stream, seq))
		return;
	if (stream == STREAM_INSTALLING) {
		d.installing_ms = r->job.now_ms;
		silence_installing(&stage->silence, product, r->id, r->job.now_ms);
	}
	arm_put(&w->txn, stage->key, r->id, &d);
	stratum->dirty = true;
}

static void leave_stage(struct report *r, struct writer *w, struct stage *stage, uint16_t product)
{
	struct stratum *stratum = stage_stratum(stage, product);
	struct evidence_device d;

	if (stratum == NULL || !arm_get(&w->txn, stage->key, r->id, &d))
		return;
	evidence_leave(&stratum->evidence, &d);
	arm_put(&w->txn, stage->key, r->id, &d);
	stratum->dirty = true;
}

/* Known before it is counted: what nobody saw before the rollout is new in it. */
static void take_crash(
	struct report *r, struct writer *w, const struct product *p, const struct report_event *e)
{
	uint16_t line = w->registry->lines[p->line].number;

	if (!atomic_load(&w->registry->crashes[p->number])) {
		registry_crashed(&w->txn, p->number);
		r->first_crash = true;
	}
	if (e->has_signature)
		novelty_seen(&w->txn, line, e->signature, r->job.now_ms);
}

static void take_event(struct report *r, struct writer *w, struct device *d,
	const struct report_event *e, uint32_t seq)
{
	const struct product *p = registry_number(w->registry, d->product);
	bool leaves = e->kind == PB__EVENT_KIND__EVENT_LEAVE;

	if (e->kind == PB__EVENT_KIND__EVENT_CRASH && p != NULL)
		take_crash(r, w, p, e);
	/* The product may have been taken out of the configuration: there are no stages then. */
	for (struct stage *g = p == NULL ? NULL : w->stages.list; g != NULL; g = g->next) {
		if (g->line != p->line || g->ring != d->ring)
			continue;
		count_in_stage(r, w, g, d->product, e, seq);
		if (leaves)
			leave_stage(r, w, g, d->product);
	}
	if (e->kind == PB__EVENT_KIND__EVENT_BOOT_OK)
		d->build = e->build;
	if (kinds[e->kind].is_failure && e->tag != 0)
		d->failed_tag = e->tag;
	if (leaves && p != NULL && d->wish < d->ring && !d->left) {
		waiting_delete(&w->txn, w->registry->lines[p->line].number, d->id);
		r->stopped_waiting = true;
	}
	d->left |= leaves;
}

static void take(struct report *r, struct writer *w, bool numbered)
{
	struct device d;

	r->changed = r->stopped_waiting = r->first_crash = false;
	r->taken = 0;
	if (!device_get(&w->txn, r->id, &d)) {
		r->job.err = w->txn.err != 0 ? w->txn.err : ERR_BAD_MAC;
		return;
	}
	if (!numbered)
		r->first_seq = d.last_seq + 1;
	for (size_t i = 0; i < r->n; i++) {
		uint32_t seq = r->first_seq + (uint32_t)i;
		if (seq <= d.last_seq)
			continue; /* it was sent again, or replayed */
		d.last_seq = seq;
		r->taken++;
		take_event(r, w, &d, &r->events[i], seq);
	}
	if (r->taken == 0)
		return;
	device_put(&w->txn, &d);
	r->changed = true;
	r->keep = d.left ? 0 : UINT8_MAX;
	r->device = (struct fleet_device){
		.product = d.product,
		.ring = d.ring,
		.wish = d.wish,
		.left = d.left,
		.failed_tag = d.failed_tag,
		.enrolled_day = d.enrolled_day,
	};
}

static void run(struct job *job, struct writer *w)
{
	take((struct report *)job, w, true);
}

void report_take(struct report *r, struct writer *w)
{
	take(r, w, false);
}

/* ---- before and after ---- */

static void take_in(const struct request *r, const Pb__Event *e, struct report_event *out)
{
	uint64_t hash = device_build_hash(e->build_id);

	*out = (struct report_event){
		.kind = (uint8_t)e->kind,
		.build = hash,
		.tag = r->product != NULL ? image_tag(r->product, hash) : 0,
		.has_signature = e->has_signature,
	};
	if (e->has_signature)
		memcpy(out->signature, e->signature.data, SIGNATURE_LEN);
	/* One that is not known here is counted nowhere; the rest of the report is. */
	if (e->kind == PB__EVENT_KIND__EVENT_SYMPTOM && e->has_code)
		out->symptom = (uint8_t)(e->code < SYMPTOMS ? e->code : SYMPTOMS);
}

int report_of(struct desk *d, const struct request *r, uint64_t now_ms, struct report *out)
{
	const Pb__ReportRequest *m = r->report;

	if (m == NULL || m->n_events == 0 || m->n_events > REPORT_EVENTS_MAX || m->first_seq == 0 ||
		m->first_seq > UINT32_MAX - REPORT_EVENTS_MAX)
		return ERR_BAD_RANGE;
	*out = (struct report){
		.job = { .now_ms = now_ms, .run = run },
		.server = d->server,
		.word = r->word,
		.first_seq = m->first_seq,
		.n = m->n_events,
	};
	memcpy(out->id, r->id, ID_LEN);
	for (size_t i = 0; i < m->n_events; i++) {
		const Pb__Event *e = m->events[i];
		if ((size_t)e->kind >= KINDS || !kinds[e->kind].known ||
			(e->has_signature && e->signature.len != SHA256_LEN))
			return ERR_BAD_RANGE;
		take_in(r, e, &out->events[i]);
	}
	return 0;
}

void report_taken(struct report *r)
{
	const struct product *p;

	metric_add(METRIC_REPORTS, 1);
	for (size_t i = r->n - r->taken; i < r->n; i++)
		metric_add(METRIC_EVENT_OFFERED + (enum metric)(r->events[i].kind - 1), 1);
	if (r->changed)
		fleet_update(r->word, &r->device, r->keep);
	p = registry_number(&r->server->registry, r->device.product);
	if (r->first_crash)
		atomic_store(&r->server->registry.crashes[r->device.product], true);
	if (r->stopped_waiting && p != NULL)
		r->server->registry.lines[p->line].waiting--;
}
