/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report, and what the server makes of it: numbers of events go up, no event counts twice, and the
 * evidence has what the devices' own records have.
 *
 * The first byte says how the rest is meant: the whole body; a ReportRequest, with the right MAC; or a
 * few bytes an event, numbered from about where the device is.
 */
#include "served.h"
#include "server/metrics/metrics.h"
#include "server/store/device.h"
#include "server/store/stage.h"

#define RAW    128u
#define EVENTS 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* All that may change, of one device. */
struct view {
	struct job job;
	const uint8_t *id;
	bool known;
	uint32_t last_seq;
	bool in_arm;
	struct evidence_device own;
	struct evidence evidence;
	uint64_t told;
};

static void look(struct job *job, struct writer *w)
{
	struct view *v = (struct view *)job;
	const struct stage *stage = w->stages.list;
	struct device d;

	v->known = device_get(&w->txn, v->id, &d);
	v->last_seq = v->known ? d.last_seq : 0;
	assert(stage != NULL && stage->n_strata == 1);
	v->in_arm = arm_get(&w->txn, stage->key, v->id, &v->own);
	v->evidence = stage->strata[0].evidence;
}

static uint64_t events_told(void)
{
	uint64_t sum = 0;

	for (enum metric m = METRIC_EVENT_OFFERED; m <= METRIC_EVENT_REFUSED; m++)
		sum += metric_get(m);
	return sum;
}

static struct view view(struct served *s, const struct test_device *t)
{
	struct view v = { .job = { .now_ms = s->d.now_ms, .run = look }, .id = t->id };
	int err = writer_call(&s->d.server.writer, &v.job);

	assert(err == 0 && v.known);
	v.told = events_told();
	return v;
}

/* The evidence gained what the device's own record did, in its arm, and nothing anywhere else. */
static void check_evidence(const struct view *was, const struct view *is)
{
	const struct evidence *before = &was->evidence, *after = &is->evidence;

	assert(was->in_arm == is->in_arm);
	for (unsigned arm = 0; arm < ARM__COUNT; arm++) {
		assert(after->entered[arm] == before->entered[arm]);
		for (unsigned i = 0; i < STREAM_ENTERED; i++) {
			uint32_t gained = is->in_arm && is->own.arm == arm
				? (is->own.seen >> i & 1) - (was->own.seen >> i & 1)
				: 0;
			assert(after->total[arm][i] - before->total[arm][i] == gained);
			assert(after->total[arm][i] <= after->entered[arm]);
		}
	}
	if (!is->in_arm)
		return;
	assert((was->own.seen & ~is->own.seen) == 0);
	assert(is->own.seq == was->own.seq && is->own.arm == was->own.arm);
}

/* `taken`: how many events are new; -1 when it was refused. */
static void check(const struct view *was, const struct view *is, const Pb__ReportRequest *m)
{
	uint32_t last = m != NULL ? m->first_seq + (uint32_t)m->n_events - 1 : 0;
	uint32_t want = last > was->last_seq ? last : was->last_seq;
	uint32_t fresh = want - was->last_seq;

	if (m != NULL && fresh > m->n_events)
		fresh = (uint32_t)m->n_events;
	assert(is->last_seq == want && is->told - was->told == fresh);
	check_evidence(was, is);
}

static void send(struct served *s, const struct test_device *t, struct bytes body)
{
	struct bytes request = served_seal(s, t, "/v1/report", body);
	const Pb__ReportRequest *m = NULL;
	struct view was = view(s, t), is, again;
	int err = served_ask(s, "/v1/report", request), unread;

	assert(err <= 0 && err != ERR_BAD_MAC && err != ERR_STORE && err != ERR_CORRUPT);
	s->d.arena.used = 0;
	if (err == 0)
		m = wire_read(
			&pb__report_request__descriptor, body, &wire_device, &s->d.arena, &unread);
	assert((err == 0) == (m != NULL));
	is = view(s, t);
	check(&was, &is, m);
	if (err != 0)
		return;
	/* Sent again, as a phone does that had no answer: nothing. */
	err = served_ask(s, "/v1/report", request);
	again = view(s, t);
	assert(err == 0 && again.last_seq == is.last_seq && again.told == is.told);
	check_evidence(&is, &again);
}

/* Three bytes an event: its kind, its build, its code or signature. */
static void send_events(struct served *s, struct test_device *t, struct bytes in)
{
	static const char *const builds[] = { "1.0", "factory", "0.9", "" };
	static uint8_t memory[1 << 16], signature[SHA256_LEN];
	struct arena a = { memory, sizeof(memory), 0 };
	Pb__ReportRequest m = PB__REPORT_REQUEST__INIT;
	Pb__Event event[REPORT_EVENTS_MAX + 1], *list[REPORT_EVENTS_MAX + 1];
	struct bytes body;
	int err;

	m.first_seq = view(s, t).last_seq + in.p[0] - 8u;
	m.events = list;
	for (size_t at = 1; at + 3 <= in.n && m.n_events <= REPORT_EVENTS_MAX; at += 3) {
		Pb__Event *e = &event[m.n_events];
		*e = (Pb__Event)PB__EVENT__INIT;
		e->kind = in.p[at] % 17;
		e->build_id = builds[in.p[at + 1] % 4];
		e->has_code = in.p[at + 1] >> 6 & 1;
		e->code = in.p[at + 2];
		e->has_signature = in.p[at + 1] >> 7;
		memset(signature, in.p[at + 2], sizeof(signature));
		e->signature = wire_data(signature, sizeof(signature));
		list[m.n_events++] = e;
	}
	err = wire_pack(&m, &a, &body);
	assert(err == 0);
	send(s, t, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct served *s = served();
	struct test_device *t = &s->device[n > 0 ? data[0] % SERVED_DEVICES : 0];
	struct bytes in = bytes_of(data + 1, n - 1);

	if (n < 2 || n > 16000)
		return 0;
	/* One that has said all there is to say is of no use here. */
	if (s->turn++ % 32 == 0)
		served_renew(s, s->turn / 32 % SERVED_DEVICES);
	if (data[0] & RAW)
		assert(served_ask(s, "/v1/report", in) < 0);
	else if (data[0] & EVENTS)
		send_events(s, t, in);
	else
		send(s, t, in);
	return 0;
}
