/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/src/private.h"

#define BIT(kind) (1u << PB__EVENT_KIND__EVENT_##kind)

/* The first to be dropped when the queue is full: there will be others like them. */
static const unsigned droppable = BIT(ALIVE) | BIT(SYMPTOM) | BIT(CRASH);

/* Not to wait for the next poll. */
static const unsigned urgent = BIT(INSTALLING) | BIT(BOOT_OK) | BIT(BOOT_FAILED) |
	BIT(ROLLED_BACK) | BIT(CRASH) | BIT(INSTALL_FAILED) | BIT(CRASH_LOOP);

static bool is_among(unsigned set, unsigned kind)
{
	return set >> kind & 1;
}

static void drop(struct state *s, uint32_t i)
{
	s->n_events--;
	memmove(&s->events[i], &s->events[i + 1], (s->n_events - i) * sizeof(s->events[0]));
}

/* Room for one more of this kind, if need be in place of another. */
static bool make_room(struct state *s, unsigned kind)
{
	uint32_t i = 0;

	if (s->n_events < EVENTS_MAX)
		return true;
	while (i < EVENTS_MAX && !is_among(droppable, s->events[i].kind))
		i++;
	if (i == EVENTS_MAX && is_among(droppable, kind))
		return false;
	drop(s, i == EVENTS_MAX ? 0 : i);
	return true;
}

struct event *events_add(
	huidu_t *h, struct state *next, Pb__EventKind kind, const char *build_id, uint32_t code)
{
	struct event *e;

	if (!h->config.reports || !make_room(next, kind))
		return NULL;
	e = &next->events[next->n_events++];
	memset(e, 0, sizeof(*e));
	e->seq = ++next->last_seq;
	e->at_s = (uint32_t)sdk_now_s(h);
	e->code = code;
	e->kind = (uint8_t)kind;
	state_set_text(e->build_id, build_id);
	return e;
}

bool events_waiting(const struct state *s, uint32_t seq)
{
	for (uint32_t i = 0; i < s->n_events; i++)
		if (s->events[i].seq == seq)
			return true;
	return false;
}

void events_go_on(struct state *next, uint32_t taken)
{
	uint32_t first = next->n_events > 0 ? next->events[0].seq : next->last_seq + 1;

	/* Half of all numbers are more than a device has events in its life. */
	if (first > taken || taken > UINT32_MAX / 2)
		return;
	for (uint32_t i = 0; i < next->n_events; i++)
		next->events[i].seq += taken;
	if (next->candidate.installing_seq != 0)
		next->candidate.installing_seq += taken;
	next->last_seq += taken;
}

bool events_urgent(const struct state *s)
{
	for (uint32_t i = 0; i < s->n_events; i++)
		if (is_among(urgent, s->events[i].kind))
			return true;
	return false;
}

/*
 * One request numbers its events without gaps: those up to the first that was dropped.
 */
static uint32_t run_length(const struct state *s)
{
	uint32_t n = 0;

	while (n < s->n_events && s->events[n].seq == s->events[0].seq + n)
		n++;
	return n;
}

static void fill(Pb__Event *out, const struct event *e, uint64_t now_s)
{
	*out = (Pb__Event)PB__EVENT__INIT;
	out->kind = (Pb__EventKind)e->kind;
	out->build_id = e->build_id;
	out->has_signature = e->has_signature;
	out->signature = wire_data(e->signature, SHA256_LEN);
	out->has_code = e->code != 0;
	out->code = e->code;
	out->has_age_s = 1;
	out->age_s = now_s > e->at_s ? (uint32_t)(now_s - e->at_s) : 0;
}

int events_pack(huidu_t *h, struct arena *a, Pb__ReportRequest **out)
{
	const struct state *s = &h->state;
	uint32_t all = run_length(s), n = h->one_by_one && all > 1 ? 1 : all;
	Pb__ReportRequest *r = arena_alloc(a, sizeof(*r));
	Pb__Event *events = arena_alloc(a, n * sizeof(*events));
	Pb__Event **list = arena_alloc(a, n * sizeof(*list));

	if (r == NULL || events == NULL || list == NULL)
		return ERR_NO_ROOM;
	*r = (Pb__ReportRequest)PB__REPORT_REQUEST__INIT;
	for (uint32_t i = 0; i < n; i++) {
		fill(&events[i], &s->events[i], sdk_now_s(h));
		list[i] = &events[i];
	}
	r->events = list;
	r->n_events = n;
	r->first_seq = n > 0 ? s->events[0].seq : s->last_seq + 1;
	h->sent_seq = n > 0 ? s->events[n - 1].seq : 0;
	*out = r;
	return 0;
}

int events_body(huidu_t *h, struct arena *a, struct bytes *out)
{
	Pb__ReportRequest *r;
	int err = events_pack(h, a, &r);

	return err != 0 ? err : wire_pack(r, a, out);
}

int events_taken(huidu_t *h)
{
	struct state *next = state_begin(h);

	while (next->n_events > 0 && next->events[0].seq <= h->sent_seq)
		drop(next, 0);
	return state_commit(h);
}

/*
 * The server will never read this: sent one by one, the event that it is about is given up, lest no
 * other follow.  Not by a server that answers nothing else either.
 */
static int unreadable(huidu_t *h)
{
	bool found = h->one_by_one && h->poll.failures == 0;

	h->one_by_one = !found;
	return found ? events_taken(h) : 0;
}

int events_done(huidu_t *h, int status, struct bytes body)
{
	int err = exchange_error(h, status), saved = 0;

	(void)body; /* the status says it all */
	if (err == 0)
		err = events_taken(h);
	else if (status == HTTP_BAD_REQUEST)
		saved = unreadable(h);
	h->one_by_one = h->one_by_one && h->state.n_events > 0;
	return saved != 0 ? saved : err;
}
