/* SPDX-License-Identifier: Apache-2.0 */
/* From a request's bytes to the answer's, by the calls that the HTTP front makes. */
#include <stdlib.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/service/timeproof.h"
#include "tests/sim/sim.h"

#define RETRY_S 30u

/* One request in the server: it may die of it. */
struct visit {
	struct exchange_sim *x;
	struct sim_phone *from; /* whose request it is, or a copy of */
	struct buf out;
	int err;
	struct enrol enrol;
	struct report report;
};

static struct deployment *deployment(void)
{
	return &world_sim.host.d;
}

static void enrol_done(struct job *job)
{
	if (job->err == 0)
		enrol_taken((struct enrol *)job);
}

static void report_done(struct job *job)
{
	if (job->err == 0)
		report_taken((struct report *)job);
}

static void know(struct sim_phone *p, const struct enrol *e)
{
	if (p->has_id && memcmp(p->id, e->id, ID_LEN) != 0)
		sim_fail("phone %u enrolled again and got another id", p->no);
	world_sim.enrolled += !p->has_id;
	p->has_id = true;
	memcpy(p->id, e->id, ID_LEN);
	if (e->last_seq < p->taken)
		sim_fail("phone %u is told that its events go on behind %u, not %u", p->no,
			e->last_seq, p->taken);
}

static int enrol(struct visit *v, struct bytes body)
{
	struct deployment *d = deployment();
	uint8_t reply[ENROL_REPLY_MAX];
	size_t n = 0;
	struct enrol_ask ask = { .body = body, .now_ms = d->now_ms, .mono_ms = world_sim.now_ms };
	int err = enrol_open(&d->desk, &ask, &v->enrol, reply, &n);

	if (err == 0 && n == 0) {
		v->enrol.job.done = enrol_done;
		err = writer_call(&d->server.writer, &v->enrol.job);
		if (err == 0)
			know(v->from, &v->enrol);
		if (err == 0)
			err = enrol_reply(&d->desk, &v->enrol, reply, &n);
	}
	buf_add(&v->out, reply, n);
	return err;
}

static int take_report(struct visit *v, const struct request *r)
{
	struct sim_phone *p = v->from;
	struct deployment *d = deployment();
	int err = report_of(&d->desk, r, d->now_ms, &v->report);
	uint32_t last;

	if (err != 0)
		return err;
	last = v->report.first_seq + (uint32_t)v->report.n - 1;
	if (last > p->maybe)
		p->maybe = last;
	v->report.job.done = report_done;
	err = writer_call(&d->server.writer, &v->report.job);
	if (err == 0)
		judge_taken(p, v->report.first_seq, v->report.n, &v->report);
	return err;
}

static void note_ring(struct sim_phone *p, const struct request *r)
{
	unsigned ring = r->word == NULL ? RING_STABLE : fleet_unpack(atomic_load(r->word)).ring;

	if (!r->anonymous && p->has_id && memcmp(p->id, r->id, ID_LEN) == 0 && ring < p->inner)
		p->inner = ring;
}

static int poll(struct visit *v, struct bytes body)
{
	struct deployment *d = deployment();
	struct poll_answer answer;
	struct poll_ask ask;
	struct request r;
	int err = request_open(&d->desk, REQUEST_POLL, body, d->now_ms, &r);

	if (err == 0)
		note_ring(v->from, &r);
	if (err == 0)
		err = poll_ask_of(&r, &ask);
	if (err == 0 && r.report != NULL)
		err = take_report(v, &r);
	if (err != 0)
		return err;
	poll_answer(&d->desk, &ask, d->now_ms, &answer);
	for (size_t i = 0; i < POLL_PARTS; i++)
		buf_add(&v->out, answer.part[i].p, answer.part[i].n);
	while (writer_drain(&d->server.writer))
		;
	world_sim.polls++;
	return 0;
}

static int report(struct visit *v, struct bytes body)
{
	struct deployment *d = deployment();
	struct request r;
	int err = request_open(&d->desk, REQUEST_REPORT, body, d->now_ms, &r);

	return err != 0 ? err : take_report(v, &r);
}

static int grant(struct visit *v, struct bytes body)
{
	struct deployment *d = deployment();
	struct grant_ask ask;
	const struct grant_ask *list[] = { &ask };
	struct bytes none;
	int err = grant_open(&d->desk, body, d->now_ms, world_sim.now_ms, &ask);

	if (err != 0)
		return err;
	if (ask.ring != RING_STABLE)
		return grant_sign(&d->server, list, 1, d->now_ms, &v->out);
	err = grant_none(&d->desk, &none);
	buf_add(&v->out, none.p, none.n);
	return err;
}

static int tell_time(struct visit *v, struct bytes body)
{
	struct deployment *d = deployment();
	uint8_t nonce[1][TIME_NONCE_LEN];
	int err = timeproof_open(&d->desk, body, nonce[0]);

	if (err == 0)
		err = timeproof_sign(
			&d->server, (const uint8_t(*)[TIME_NONCE_LEN])nonce, 1, d->now_ms, &v->out);
	return err;
}

static int artifact(struct visit *v)
{
	const char *hex = v->x->path + strlen("/v1/artifact/");
	uint8_t sha256[SHA256_LEN], bytes[FILE_MAX];
	uint64_t length;
	ssize_t n;
	int fd, err = ERR_NOT_FOUND;

	if (hex_decode(sha256, SHA256_LEN, hex))
		err = artifact_open(deployment()->server.artifacts, sha256, &fd, &length);
	if (err != 0)
		return err;
	n = read(fd, bytes, sizeof(bytes));
	(void)close(fd);
	if (n < 0 || (uint64_t)n != length)
		sim_fail("a file of %llu bytes is read as %zd", (unsigned long long)length, n);
	if (v->x->range_from < length)
		buf_add(&v->out, bytes + v->x->range_from, length - v->x->range_from);
	return 0;
}

static const struct {
	const char *path;
	int (*answer)(struct visit *v, struct bytes body);
} doors[] = {
	{ "/v1/enroll", enrol },
	{ "/v1/poll", poll },
	{ "/v1/report", report },
	{ "/v1/grant", grant },
	{ "/v1/time", tell_time },
};

static void serve(void *arg)
{
	struct visit *v = arg;
	struct bytes body = bytes_of(v->x->body, v->x->body_len);

	v->err = ERR_NOT_FOUND;
	(void)desk_refresh(&deployment()->desk);
	if (v->x->stream)
		v->err = artifact(v);
	for (size_t i = 0; !v->x->stream && i < sizeof(doors) / sizeof(doors[0]); i++)
		if (strcmp(v->x->path, doors[i].path) == 0)
			v->err = doors[i].answer(v, body);
}

static int status_of(int err)
{
	static const struct {
		int err, status;
	} list[] = {
		{ 0, 200 },
		{ ERR_BAD_MAC, 401 },
		{ ERR_BAD_SIGNATURE, 401 },
		{ ERR_STALE, 401 },
		{ ERR_CLOSED, 403 },
		{ ERR_TOO_MANY, 429 },
		{ ERR_NOT_FOUND, 404 },
		{ ERR_WRONG_PRODUCT, 409 },
		{ ERR_TOO_BIG, 413 },
		{ ERR_NO_ROOM, 413 },
		{ ERR_BUSY, 503 },
		{ ERR_STORE, 503 },
		{ -28, 503 },
		{ ERR_SIGNER, 503 },
		{ ERR_CLOCK, 503 },
		{ ERR_CRYPTO, 500 },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i].err == err)
			return list[i].status;
	return 400;
}

void router_serve(struct exchange_sim *x, struct sim_phone *from)
{
	struct visit *v = mem_zalloc(sizeof(*v));

	host_clock();
	v->x = x;
	v->from = from;
	x->served_ms = world_sim.now_ms;
	if (!host_do(serve, v)) {
		x->status = -111; /* nobody is there, or it died of it */
	} else {
		x->status = status_of(v->err);
		if (v->err == 0 && x->stream && x->range_from > 0)
			x->status = 206;
		x->retry_after_s = x->status == 503 || x->status == 429 ? RETRY_S : 0;
		if (v->err == 0 && v->out.len > 0) {
			x->answer.p = mem_alloc(v->out.len);
			x->answer.n = v->out.len;
			memcpy(x->answer.p, v->out.data, v->out.len);
		}
		judge_server();
	}
	trace(x->path, (uint64_t)x->status, from->no);
	trace_bytes(x->answer.p, x->answer.n);
	buf_release(&v->out);
	free(v);
}

void router_stray(const struct stray *s)
{
	struct exchange_sim *x = mem_zalloc(sizeof(*x));

	memcpy(x->path, s->path, sizeof(x->path));
	memcpy(x->body, s->body, s->len);
	x->body_len = s->len;
	router_serve(x, &world_sim.phones[s->phone]);
	free(x->answer.p);
	free(x);
}
