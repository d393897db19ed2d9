/* SPDX-License-Identifier: Apache-2.0 */
/* The network: what is sent may be lost, late, twice, cut, changed, or an old answer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "tests/sim/sim.h"

static void forget_answer(struct exchange_sim *x)
{
	free(x->answer.p);
	x->answer = (struct reply){ 0 };
}

static void add_stray(struct chance *c, const struct sim_phone *p)
{
	struct stray *s;

	if (world_sim.n_strays == STRAYS_MAX || p->net.stream)
		return;
	s = &world_sim.strays[world_sim.n_strays++];
	s->phone = p->no;
	memcpy(s->path, p->net.path, sizeof(s->path));
	memcpy(s->body, p->net.body, p->net.body_len);
	s->len = p->net.body_len;
	s->at_ms = world_sim.now_ms +
		chance_within(c, 10, chance_hit(c, 200000) ? 3 * SIM_DAY_MS : 5 * MINUTE_MS);
}

/* A sealed request that says it is from p and is not: it must be refused. */
static void forge(struct chance *c, const struct sim_phone *p)
{
	struct exchange_sim *x = mem_zalloc(sizeof(*x));

	*x = p->net;
	x->answer = (struct reply){ 0 };
	x->body[x->body_len - 1 - chance_below(c, 8)] ^= (uint8_t)chance_within(c, 1, 255);
	router_serve(x, &world_sim.phones[p->no]);
	if (x->status == 200)
		sim_fail("a forged %s of phone %u is taken", x->path, p->no);
	free(x->answer.p);
	free(x);
}

void net_take(struct sim_phone *p, const struct huidu_request *q)
{
	struct chance *c = &p->chance;
	struct exchange_sim *x = &p->net;

	forget_answer(x);
	x->open = true;
	x->asked = x->lost_answer = false;
	x->honest = true;
	x->status = -ETIMEDOUT;
	x->retry_after_s = 0;
	x->range_from = q->range_from;
	x->stream = q->stream != 0;
	(void)snprintf(x->path, sizeof(x->path), "%s", q->path);
	x->body_len = q->body_len;
	if (q->body_len > 0)
		memcpy(x->body, q->body, q->body_len);
	x->at_ms = world_sim.now_ms + chance_within(c, 20, 200);
	x->back_ms = chance_within(c, 20, 200);
	if (fault_hits(c, FAULT_DELAYED)) {
		x->at_ms += chance_below(c, 20 * MINUTE_MS);
		x->back_ms += chance_below(c, 20 * MINUTE_MS);
	}
	if (p->cut_off || fault_hits(c, FAULT_LOST)) {
		/* Given up on after a while. */
		x->asked = true;
		x->at_ms += 30000;
	}
}

static void ask(struct sim_phone *p)
{
	struct chance *c = &p->chance;
	struct exchange_sim *x = &p->net;
	bool sealed = strcmp(x->path, "/v1/poll") == 0 || strcmp(x->path, "/v1/report") == 0;

	if (fault_hits(c, FAULT_DOUBLED))
		add_stray(c, p);
	if (p->forges && sealed && p->has_id && fault_hits(c, FAULT_FORGED))
		forge(c, p);
	router_serve(x, p);
	x->asked = true;
	x->at_ms = world_sim.now_ms + x->back_ms;
	if (fault_hits(c, FAULT_LOST_ANSWER)) {
		x->lost_answer = true;
		x->at_ms += 30000;
	}
}

/* ---- back ---- */

static void spoil(struct sim_phone *p)
{
	struct chance *c = &p->chance;
	struct exchange_sim *x = &p->net;
	struct reply *old = &p->kept[chance_below(c, KEPT_MAX)];
	bool poll = strcmp(x->path, "/v1/poll") == 0;

	if (poll && old->p != NULL && fault_hits(c, FAULT_REPLAYED)) {
		forget_answer(x);
		x->answer.p = mem_alloc(old->n);
		x->answer.n = old->n;
		memcpy(x->answer.p, old->p, old->n);
		x->status = 200;
		x->honest = false;
	} else if (x->answer.n > 0 && fault_hits(c, FAULT_CUT)) {
		x->answer.n = chance_below(c, x->answer.n);
		x->honest = false;
	} else if (x->answer.n > 0 && fault_hits(c, FAULT_FLIPPED)) {
		x->answer.p[chance_below(c, x->answer.n)] ^= (uint8_t)chance_within(c, 1, 255);
		x->honest = false;
	}
}

static void keep(struct sim_phone *p)
{
	struct reply *to = &p->kept[chance_below(&p->chance, KEPT_MAX)];
	const struct exchange_sim *x = &p->net;

	if (!x->honest || x->answer.n == 0 || strcmp(x->path, "/v1/poll") != 0)
		return;
	free(to->p);
	to->p = mem_alloc(x->answer.n);
	to->n = x->answer.n;
	memcpy(to->p, x->answer.p, x->answer.n);
}

static void bring_file(struct sim_phone *p)
{
	struct chance *c = &p->chance;
	struct exchange_sim *x = &p->net;
	int status = x->status, err = 0;
	size_t n = x->answer.n;

	if (status == 206 && fault_hits(c, FAULT_NO_RANGE))
		status = 416;
	if (n > 0 && fault_hits(c, FAULT_FILE_FLIPPED))
		x->answer.p[chance_below(c, n)] ^= 1;
	if (n > 0 && fault_hits(c, FAULT_FILE_CUT)) {
		n = chance_below(c, n);
		x->status = -ECONNRESET;
	}
	for (size_t at = 0; (status == 200 || status == 206) && err == 0 && at < n; at += 16)
		err = huidu_data(p->h, status, x->answer.p + at, n - at < 16 ? n - at : 16);
	if (p->died)
		return;
	huidu_response(p->h, err != 0 ? err : x->status < 0 ? x->status : status, 0, NULL, 0);
}

static void bring(struct sim_phone *p)
{
	struct exchange_sim *x = &p->net;
	bool poll = strcmp(x->path, "/v1/poll") == 0;
	struct inside in;

	x->open = false;
	if (x->lost_answer) {
		forget_answer(x);
		x->status = -ETIMEDOUT;
		x->retry_after_s = 0;
	}
	if (x->stream) {
		bring_file(p);
		return;
	}
	keep(p);
	spoil(p);
	huidu_response(p->h, x->status, x->retry_after_s, x->answer.p, x->answer.n);
	inside_read(p->h, &in);
	if (p->died || !poll || x->status != 200 || in.last_error != 0)
		return;
	p->answered_ms = world_sim.now_ms;
	if (x->honest)
		p->polled_ms = x->served_ms;
}

void net_run(struct sim_phone *p)
{
	if (!p->net.asked)
		ask(p);
	else
		bring(p);
}

/* ---- copies that arrive whenever ---- */

void net_strays(void)
{
	for (unsigned i = 0; i < world_sim.n_strays;) {
		struct stray s = world_sim.strays[i];
		if (s.at_ms > world_sim.now_ms) {
			i++;
			continue;
		}
		world_sim.strays[i] = world_sim.strays[--world_sim.n_strays];
		router_stray(&s);
	}
}

uint64_t net_stray_due(void)
{
	uint64_t due = NEVER;

	for (unsigned i = 0; i < world_sim.n_strays; i++)
		if (world_sim.strays[i].at_ms < due)
			due = world_sim.strays[i].at_ms;
	return due;
}
