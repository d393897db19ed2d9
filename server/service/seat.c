/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/seat.h"

#include "proto/bucket.h"
#include "server/base/mem.h"
#include "server/store/device.h"
#include "server/store/entry.h"

/* The device is in no arm of the ring it leaves. */
static void leave_arms(struct writer *w, size_t line, const struct device *d)
{
	for (struct stage *g = w->stages.list; g != NULL; g = g->next) {
		struct stratum *u = stage_stratum(g, d->product);
		struct evidence_device e;
		if (u == NULL || g->line != line || g->ring != d->ring ||
			!arm_get(&w->txn, g->key, d->id, &e))
			continue;
		evidence_leave(&u->evidence, &e);
		arm_put(&w->txn, g->key, d->id, &e);
		u->dirty = true;
	}
}

/* ---- wishes ---- */

struct wish_job {
	struct job job;
	struct server *server;
	uint8_t id[ID_LEN];
	enum ring wish;
	bool changed;
	int waits; /* how the number of waiting devices changes */
	struct fleet_device device;
};

static struct fleet_device fleet_of(const struct device *d)
{
	return (struct fleet_device){
		.product = d->product,
		.ring = d->ring,
		.wish = d->wish,
		.left = d->left,
		.failed_tag = d->failed_tag,
		.enrolled_day = d->enrolled_day,
	};
}

static void wish_run(struct job *job, struct writer *w)
{
	struct wish_job *j = (struct wish_job *)job;
	const struct product *p;
	struct device d;
	bool waited;

	if (!device_get(&w->txn, j->id, &d) || d.left || (d.wish == j->wish && d.wish <= d.ring))
		return;
	p = registry_number(w->registry, d.product);
	if (p == NULL)
		return;
	waited = d.wish < d.ring;
	d.wish = j->wish;
	if (d.wish > d.ring) {
		/* It would not take what its seat is for, and nobody else could. */
		leave_arms(w, p->line, &d);
		d.ring = RING_STABLE;
	}
	device_put(&w->txn, &d);
	if (d.wish < d.ring)
		waiting_put(&w->txn, w->registry->lines[p->line].number, d.id, d.wish);
	else if (waited)
		waiting_delete(&w->txn, w->registry->lines[p->line].number, d.id);
	j->waits = (d.wish < d.ring) - waited;
	j->changed = true;
	j->device = fleet_of(&d);
}

static void wish_done(struct job *job)
{
	struct wish_job *j = (struct wish_job *)job;
	fleet_word *word = fleet_find(j->server->fleet, j->id);
	const struct product *p = registry_number(&j->server->registry, j->device.product);

	if (job->err == 0 && j->changed && word != NULL && p != NULL) {
		struct line *l = &j->server->registry.lines[p->line];
		enum ring old = fleet_unpack(atomic_load(word)).ring;
		fleet_update(word, &j->device, old == j->device.ring ? UINT8_MAX : 0);
		l->devices[old]--;
		l->devices[j->device.ring]++;
		l->waiting += (uint64_t)j->waits;
	}
	free(j);
}

void seat_wish(struct server *s, const uint8_t id[ID_LEN], enum ring wish, uint64_t now_ms)
{
	struct wish_job *j = mem_zalloc(sizeof(*j));

	j->job = (struct job){ .now_ms = now_ms, .run = wish_run, .done = wish_done };
	j->server = s;
	j->wish = wish;
	memcpy(j->id, id, ID_LEN);
	if (writer_submit(&s->writer, &j->job) != 0)
		free(j); /* the next poll says it again */
}

/* ---- choosing ---- */

struct candidate {
	uint64_t order;
	uint8_t id[ID_LEN];
};

static int by_order(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return memcmp(x->id, y->id, ID_LEN);
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

uint64_t seat_free(const struct server *s, size_t line, enum ring ring)
{
	const struct line *l = &s->registry.lines[line];
	uint64_t seats = l->config->rings.seats[ring], taken = atomic_load(&l->devices[ring]);

	return seats > taken ? seats - taken : 0;
}

uint64_t seat_left(const struct line *l, enum ring ring)
{
	uint64_t taken = atomic_load(&l->devices[ring]) + l->granting[ring];
	uint64_t seats = l->config->rings.seats[ring];

	return seats > taken ? seats - taken : 0;
}

int seat_seed(const uint8_t log_root[SHA256_LEN], uint8_t out[SEED_LEN])
{
	static const char domain[] = "huidu/fill/v1"; /* its NUL is part of it */
	struct bytes part[] = { bytes_of(domain, sizeof(domain)), bytes_of(log_root, SHA256_LEN) };

	return crypto_sha256(part, 2, out);
}

/* Everybody of the line who opted in that far and is further out. */
static size_t gather(struct writer *w, const struct seat_fill *fill, struct candidate **out)
{
	struct candidate *list = NULL;
	struct store_cursor c;
	uint8_t key[2];
	size_t n = 0, cap = 0;

	store_foreach(&c, &w->txn, STORE_WAITING,
		waiting_prefix(w->registry->lines[fill->line].number, key)) {
		struct candidate one;
		struct device d;
		if (waiting_read(&c, one.id) > fill->ring || !device_get(&w->txn, one.id, &d) ||
			d.ring <= fill->ring)
			continue;
		one.order = bucket_seat(fill->seed, one.id);
		if (n == cap) {
			cap = cap > 0 ? 2 * cap : 256;
			list = mem_resize(list, cap, sizeof(*list));
		}
		list[n++] = one;
	}
	*out = list;
	return n;
}

static void choose_run(struct job *job, struct writer *w)
{
	struct seat_fill *fill = (struct seat_fill *)job;
	const struct line *l = &w->registry->lines[fill->line];
	uint64_t taken = atomic_load(&l->devices[fill->ring]);
	uint64_t seats = l->config->rings.seats[fill->ring];
	struct candidate *list = NULL;
	struct bytes all;
	size_t n = seats > taken ? gather(w, fill, &list) : 0;

	if (n > 0)
		qsort(list, n, sizeof(*list), by_order);
	if (n > seats - taken)
		n = (size_t)(seats - taken);
	fill->ids = mem_alloc(n * ID_LEN);
	fill->n = n;
	for (size_t i = 0; i < n; i++)
		memcpy(fill->ids[i], list[i].id, ID_LEN);
	free(list);
	qsort(fill->ids, n, ID_LEN, by_id);
	all = bytes_of(fill->ids, n * ID_LEN);
	job->err = crypto_sha256(&all, 1, fill->digest);
}

int seat_choose(struct server *s, struct seat_fill *fill)
{
	fill->ids = NULL;
	fill->n = 0;
	fill->job.run = choose_run;
	fill->job.done = NULL;
	return writer_call(&s->writer, &fill->job);
}

/* ---- giving ---- */

static void give_run(struct job *job, struct writer *w)
{
	struct seat_fill *fill = (struct seat_fill *)job;
	struct line *l = &w->registry->lines[fill->line];

	fill->granted = false;
	if (fill->ring < RING_STABLE && fill->n > seat_left(l, fill->ring)) {
		job->err = ERR_WRONG_STATE;
		return;
	}
	l->granting[fill->ring] += fill->n;
	fill->granted = true;
	entry_append(&w->txn, fill->index, fill->entry);
	for (size_t i = 0; i < fill->n; i++) {
		struct device d;
		if (!device_get(&w->txn, fill->ids[i], &d))
			continue;
		leave_arms(w, fill->line, &d);
		d.ring = fill->ring;
		device_put(&w->txn, &d);
		if (d.wish < d.ring && !d.left)
			waiting_put(&w->txn, l->number, d.id, d.wish);
		else
			waiting_delete(&w->txn, l->number, d.id);
	}
}

/* After the commit, on the writer's thread as all changes of words: the rings, and the counts. */
static void give_done(struct job *job)
{
	struct seat_fill *fill = (struct seat_fill *)job;
	struct line *l = &fill->server->registry.lines[fill->line];

	if (fill->granted)
		l->granting[fill->ring] -= fill->n;
	for (size_t i = 0; job->err == 0 && i < fill->n; i++) {
		fleet_word *word = fleet_find(fill->server->fleet, fill->ids[i]);
		struct fleet_device f;
		if (word == NULL)
			continue;
		f = fleet_unpack(atomic_load(word));
		l->devices[f.ring]--;
		l->devices[fill->ring]++;
		if (!f.left)
			l->waiting += (uint64_t)(f.wish < fill->ring) - (f.wish < f.ring);
		f.ring = fill->ring;
		fleet_update(word, &f, 0);
	}
}

int seat_give(struct server *s, struct seat_fill *fill)
{
	fill->server = s;
	fill->job.run = give_run;
	fill->job.done = give_done;
	return writer_call(&s->writer, &fill->job);
}

void seat_fill_release(struct seat_fill *fill)
{
	free(fill->ids);
	fill->ids = NULL;
	fill->n = 0;
}
