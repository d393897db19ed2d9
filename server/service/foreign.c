/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/foreign.h"

#include <assert.h>

#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/service/digest.h"
#include "server/service/poll.h"

#define DAY_MS 86400000ull
#define NEW_S  10u /* a new device asks again so soon: it may be offered something then */
#define BUSY_S 60u /* and one with an action: a halt must reach it */

/* ---- in the transaction ---- */

/* In the order of enum foreign_event. */
static const Pb__EventKind kinds[FOREIGN_EV__COUNT] = {
	[FOREIGN_EV_DOWNLOADED] = PB__EVENT_KIND__EVENT_DOWNLOADED,
	[FOREIGN_EV_INSTALLING] = PB__EVENT_KIND__EVENT_INSTALLING,
	[FOREIGN_EV_INSTALLED] = PB__EVENT_KIND__EVENT_INSTALLED,
	[FOREIGN_EV_BOOT_OK] = PB__EVENT_KIND__EVENT_BOOT_OK,
	[FOREIGN_EV_INSTALL_FAILED] = PB__EVENT_KIND__EVENT_INSTALL_FAILED,
	[FOREIGN_EV_ROLLED_BACK] = PB__EVENT_KIND__EVENT_ROLLED_BACK,
};
static_assert(FOREIGN_EV__COUNT <= REPORT_EVENTS_MAX, "one report takes them all");

static void make_report(struct foreign_exchange *x, uint64_t build)
{
	struct report *r = &x->report;

	*r = (struct report){
		.job = { .now_ms = x->job.now_ms }, .server = x->server, .word = x->word
	};
	memcpy(r->id, x->id, ID_LEN);
	for (unsigned i = 0; i < FOREIGN_EV__COUNT; i++)
		if (x->turn.events >> i & 1)
			r->events[r->n++] = (struct report_event){
				.kind = (uint8_t)kinds[i],
				.build = build,
				.tag = build == x->tagged ? x->tag : 0,
			};
}

/* Its first half is drawn from a secret: that it is another device's does not happen. */
static bool is_half_taken(struct store_txn *t, const uint8_t id[ID_LEN])
{
	struct store_cursor c;
	bool taken;

	store_seek(&c, t, STORE_DEVICE, bytes_of(id, ID_LEN / 2));
	taken = store_next(&c);
	store_cursor_close(&c);
	return taken;
}

static bool is_own(const struct stored_foreign *f, const uint8_t token[TOKEN_LEN])
{
	return crypto_equal(f->token, token, TOKEN_LEN) && f->has_token;
}

static int enrol(struct foreign_exchange *x, struct writer *w, struct stored_foreign *f)
{
	struct device d = {
		.product = x->product,
		.ring = RING_STABLE,
		.wish = RING_STABLE,
		.enrolled_day = (uint32_t)(x->job.now_ms / DAY_MS),
	};

	if (!x->enrols)
		return ERR_BAD_MAC;
	if (is_half_taken(&w->txn, x->id))
		return ERR_CONFLICT;
	memcpy(d.id, x->id, ID_LEN);
	device_put(&w->txn, &d);
	*f = (struct stored_foreign){ .state = { .protocol = x->protocol, .wants = true },
		.has_token = x->has_token };
	memcpy(f->token, x->token, TOKEN_LEN);
	memcpy(f->name, x->name, sizeof(f->name));
	/* It may hear what there is for it when it is known here. */
	x->world.answer = ANSWER_ADMISSION;
	x->is_new = true;
	return 0;
}

/* What `device why` shows of it. */
static void note_build(struct foreign_exchange *x, struct writer *w, uint64_t runs)
{
	struct device d;

	if (runs == 0 || !device_get(&w->txn, x->id, &d) || d.build == runs)
		return;
	d.build = runs;
	device_put(&w->txn, &d);
}

static void run(struct job *job, struct writer *w)
{
	struct foreign_exchange *x = (struct foreign_exchange *)job;
	enum answer answer = x->world.answer;
	struct stored_foreign f;
	uint64_t build;

	x->is_new = false;
	x->report.n = 0;
	if (!foreign_get(&w->txn, x->id, &f)) {
		job->err = w->txn.err;
		if (job->err == 0)
			job->err = enrol(x, w, &f);
	} else if (x->has_token && !is_own(&f, x->token)) {
		/* Two came at once, and the other was first; or only the beginning was compared. */
		job->err = ERR_BAD_MAC;
	}
	if (job->err != 0)
		return;
	build = f.state.build;
	x->world.halted &= build == x->tagged;
	x->turn = foreign_step(&f.state, &x->said, &x->world);
	x->world.answer = answer;
	if (!x->turn.changed && x->turn.events == 0 && !x->is_new)
		return;
	note_build(x, w, x->turn.next.runs != f.state.runs ? x->turn.next.runs : 0);
	f.state = x->turn.next;
	foreign_put(&w->txn, x->id, &f);
	if (x->turn.events == 0)
		return;
	make_report(x, build);
	report_take(&x->report, w);
	job->err = x->report.job.err;
}

/* ---- before ---- */

static uint64_t counter_of(const struct image_product *p, uint64_t runs, uint64_t mask)
{
	for (size_t i = 0; runs != 0 && i < p->n_builds; i++)
		if ((p->builds[i].hash & mask) == (runs & mask))
			return p->builds[i].counter;
	return 0;
}

static const char *name_of(const struct image_product *p, uint64_t runs, uint64_t mask)
{
	for (size_t i = 0; runs != 0 && i < p->n_builds; i++)
		if ((p->builds[i].hash & mask) == (runs & mask))
			return p->builds[i].name;
	return "";
}

/* A build that is known, whose file can be described to it. */
static const struct image_build *offered(struct desk *d, const struct foreign_ask *ask,
	const struct offer_decision *decision, const struct fleet_device *f)
{
	const struct offer_rules *rules = &ask->product->ring[f->ring].rules;
	const struct image_build *b;
	uint8_t sha1[SHA1_LEN];

	if (decision->answer != ANSWER_OFFER)
		return NULL;
	b = image_counted(ask->product, rules->offers[decision->offer].release_counter);
	if (b == NULL || b->stopped ||
		(ask->needs_sha1 && !digests_sha1(d->server->digests, b->sha256, sha1)))
		return NULL;
	return b;
}

/* `runs` is all of a build's hash, or what `mask` has of it. */
static void judge(struct desk *d, const struct foreign_ask *ask, uint64_t runs, uint64_t mask,
	struct foreign_exchange *x)
{
	struct fleet_device f = fleet_unpack(atomic_load(x->word));
	struct poll_ask poll = {
		.word = x->word,
		.product = x->product,
		.release_counter = counter_of(ask->product, runs, mask),
		.seq = POLL_SEQ_STORED,
	};
	const char *name = name_of(ask->product, runs, mask);
	const struct image_build *b;
	struct offer_decision decision;

	memcpy(poll.id, x->id, ID_LEN);
	memcpy(poll.build_id, name, strlen(name) + 1); /* name_ok(): 63 at most */
	decision = poll_decide(d, &poll, ask->product, &f, ask->now_ms);
	b = offered(d, ask, &decision, &f);
	x->world.answer =
		decision.answer == ANSWER_OFFER && b == NULL ? ANSWER_ADMISSION : decision.answer;
	if (b != NULL) {
		x->world.build = b->hash;
		x->world.counter = b->counter;
	}
	metric_add(METRIC_POLL_UP_TO_DATE + (enum metric)(x->world.answer - 1), 1);
}

static void describe(struct desk *d, const struct foreign_ask *ask, struct foreign_exchange *x)
{
	x->job = (struct job){ .now_ms = ask->now_ms, .run = run };
	x->server = d->server;
	x->protocol = ask->protocol;
	x->product = ask->product->number;
	memset(x->name, 0, sizeof(x->name));
	if (ask->name.n > 0)
		memcpy(x->name, ask->name.p, ask->name.n);
	x->enrols = ask->enrols;
	x->has_token = ask->token != NULL;
	if (x->has_token)
		memcpy(x->token, ask->token, TOKEN_LEN);
	x->said = ask->said;
	x->world = (struct foreign_world){
		.now_ms = ask->now_ms,
		.answer = ANSWER_ADMISSION,
		.no_cancel = ask->no_cancel,
		.undoes = ask->undoes,
		.patience_ms = d->image->settings.compat->patience_ms,
	};
	x->tagged = 0;
	x->tag = 0;
	x->turn = (struct foreign_turn){ .tell = FOREIGN_NOTHING };
	x->is_new = false;
	x->report.n = 0;
}

/* Who guessed these 64 bits would learn that there is nothing for it; for more, all are compared. */
static bool seems_own(const struct foreign_ask *ask, const struct fleet_foreign *m)
{
	return ask->token == NULL || (m->token != 0 && m->token == get_be64(ask->token));
}

/* Most polls: it has no action, says nothing new, and there is nothing for it. */
static bool is_idle(const struct foreign_ask *ask, const struct fleet_foreign *m)
{
	const struct foreign_said *said = &ask->said;

	return said->word == FOREIGN_POLL && m->state == FOREIGN_IDLE && seems_own(ask, m) &&
		!(said->names_build && (m->wants || (said->build & FLEET_RUNS) != m->runs));
}

/* With its record, and as the writer will. */
static void look(struct desk *d, const struct foreign_ask *ask, const struct stored_foreign *f,
	struct foreign_exchange *x, bool *write)
{
	const struct image_build *b = image_build(ask->product, f->state.build);
	bool asks = ask->said.word == FOREIGN_POLL;

	if (b != NULL) {
		x->tagged = b->hash;
		x->tag = b->tag;
		x->world.halted = b->stopped;
	}
	if (asks && (f->state.state == FOREIGN_IDLE || f->state.state == FOREIGN_OFFERED))
		judge(d, ask, ask->said.names_build ? ask->said.build : f->state.runs, UINT64_MAX,
			x);
	x->turn = foreign_step(&f->state, &ask->said, &x->world);
	*write = x->turn.changed || x->turn.events != 0;
}

static int read_record(
	const struct foreign_exchange *x, const struct foreign_ask *ask, struct stored_foreign *f)
{
	struct store_txn t;
	int err = 0;

	store_begin(x->server->store, &t, false);
	if (!foreign_get(&t, x->id, f))
		err = t.err != 0 ? t.err : ERR_BAD_MAC;
	store_abort(&t);
	if (err == 0 && ask->token != NULL && !is_own(f, ask->token))
		err = ERR_BAD_MAC;
	return err;
}

/* Somebody the fleet does not know. */
static int knock(struct desk *d, const struct foreign_ask *ask, const struct foreign_exchange *x)
{
	struct stored_foreign f;

	if (!ask->enrols) {
		(void)read_record(x, ask, &f); /* takes as long as a token that is wrong */
		return ERR_BAD_MAC;
	}
	return flood_take_from(d->server->flood, ask->network, ask->mono_ms) &&
			flood_take(d->server->flood, ask->mono_ms)
		? 0
		: ERR_TOO_MANY;
}

int foreign_begin(
	struct desk *d, const struct foreign_ask *ask, struct foreign_exchange *x, bool *write)
{
	struct stored_foreign f;
	struct fleet_foreign m;
	int err = 0;

	describe(d, ask, x);
	if (ask->id != NULL)
		memcpy(x->id, ask->id, ID_LEN);
	else
		err = foreign_id(d, ask->protocol, ask->product->name, ask->name, x->id);
	if (err != 0)
		return err;
	x->word = fleet_find(d->server->fleet, x->id);
	*write = x->word == NULL || !fleet_foreign_get(d->server->fleet, x->word, &m);
	if (*write)
		return knock(d, ask, x);
	if (is_idle(ask, &m)) {
		fleet_hear(x->word, ask->now_ms);
		judge(d, ask, m.runs, FLEET_RUNS, x);
		x->turn.wants = m.wants;
		*write = x->world.answer == ANSWER_OFFER;
		return 0;
	}
	err = read_record(x, ask, &f);
	if (err != 0)
		return err;
	fleet_hear(x->word, ask->now_ms);
	look(d, ask, &f, x, write);
	return 0;
}

/* ---- after ---- */

void foreign_show(
	struct server *s, const uint8_t id[ID_LEN], const struct foreign *f, const uint8_t *token)
{
	fleet_word *word = fleet_find(s->fleet, id);
	struct fleet_foreign m = { 0 };

	if (word == NULL)
		return;
	(void)fleet_foreign_get(s->fleet, word, &m); /* if not, it has no token yet */
	m.state = (uint8_t)f->state;
	m.wants = f->wants;
	m.runs = f->runs;
	m.token = token != NULL ? get_be64(token) : m.token;
	fleet_foreign_set(s->fleet, word, &m);
}

static void add(struct server *s, const struct foreign_exchange *x)
{
	struct fleet_device f = {
		.product = x->product,
		.ring = RING_STABLE,
		.wish = RING_STABLE,
		.enrolled_day = (uint32_t)(x->job.now_ms / DAY_MS),
	};
	const struct product *p = registry_number(&s->registry, x->product);

	metric_add(METRIC_ENROLLED, 1);
	if (fleet_add(s->fleet, x->id, &f) && p != NULL)
		s->registry.lines[p->line].devices[RING_STABLE]++;
}

void foreign_taken(struct foreign_exchange *x)
{
	if (x->is_new)
		add(x->server, x);
	if (x->is_new || x->turn.changed)
		foreign_show(x->server, x->id, &x->turn.next,
			x->is_new && x->has_token ? x->token : NULL);
	if (x->report.n > 0)
		report_taken(&x->report);
}

uint32_t foreign_next_poll_s(struct desk *d, const struct foreign_exchange *x)
{
	uint32_t s = poll_next_s(d), soon = x->is_new ? NEW_S : BUSY_S;
	bool hurries = x->is_new || x->turn.tell == FOREIGN_DEPLOY ||
		x->turn.tell == FOREIGN_CANCEL || x->turn.next.state != FOREIGN_IDLE;

	return hurries && s > soon ? soon : s;
}
