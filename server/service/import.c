/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/import.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/service/import_record.h"
#include "server/service/import_row.h"
#include "server/service/seat.h"
#include "server/service/state.h"

#define ROW_MAX 512u
#define ROWS    4096u /* in one transaction: some tens of milliseconds */
#define MAGIC   "huidu-f1"

struct import {
	struct job job;
	struct server *server;
	struct row_taker taker;
	_Atomic bool stop, in_flight;
	_Atomic bool active; /* there are rows to take */
	int file;            /* -1: none */
	Pb__Import *command; /* in arena; NULL: there never was one */
	struct arena arena;  /* of what lives as long as the command */
	struct arena row;    /* of the row, or record, under way */
	uint32_t day;
	struct import_progress next; /* in the transaction */
	uint8_t *buffer;
	struct row_device *added;
	size_t n_added;
	/* What control reads, under `lock`. */
	pthread_mutex_t lock;
	struct import_progress now;
	bool dropped; /* the file, after the end */
};

static const struct lint_rules row_rules = { ROW_MAX, 1, 0 };

struct import *import_new(struct server *s)
{
	struct import *im = mem_zalloc(sizeof(*im));

	im->server = s;
	im->file = -1;
	im->dropped = true;
	im->arena = (struct arena){ mem_alloc(IMPORT_RECORD_ARENA), IMPORT_RECORD_ARENA, 0 };
	im->row = (struct arena){ mem_alloc(IMPORT_RECORD_ARENA), IMPORT_RECORD_ARENA, 0 };
	(void)pthread_mutex_init(&im->lock, NULL); /* of this kind it cannot fail */
	return im;
}

static void finish(struct import *im)
{
	if (im->file >= 0)
		(void)close(im->file); /* only read */
	im->file = -1;
	free(im->buffer);
	free(im->added);
	im->buffer = NULL;
	im->added = NULL;
	row_taker_release(&im->taker);
}

void import_free(struct import *im)
{
	if (im == NULL)
		return;
	finish(im);
	(void)pthread_mutex_destroy(&im->lock);
	free(im->arena.base);
	free(im->row.base);
	free(im);
}

void import_stop(struct import *im)
{
	atomic_store(&im->stop, true);
}

/* ---- at the start ---- */

static bool is_over(const struct import *im)
{
	return im->now.at >= im->command->length;
}

/* The newest import in the store becomes ours. */
static int load(struct import *im)
{
	const Pb__ImportRecord *r;
	int err;

	im->arena.used = 0;
	im->command = NULL;
	err = import_record_get(im->server->store, &im->arena, &r);
	if (r == NULL)
		return err;
	(void)pthread_mutex_lock(&im->lock);
	im->command = r->command;
	im->day = r->day;
	im->now = import_progress_of(r);
	im->dropped = false;
	(void)pthread_mutex_unlock(&im->lock);
	return 0;
}

int import_resume(struct server *s)
{
	struct import *im = s->import;
	uint64_t length;
	int err = load(im);

	if (err != 0 || im->command == NULL || is_over(im))
		return err;
	err = artifact_open(s->imports, im->command->sha256.data, &im->file, &length);
	if (err != 0 || length != im->command->length) {
		log_error(
			"import: the file of its rows is gone: %u of %u were taken; send it again",
			im->now.done, im->command->rows);
		finish(im);
		return 0;
	}
	err = row_taker_init(&im->taker, im->server);
	im->buffer = mem_alloc((size_t)ROWS * (ROW_MAX + 2));
	im->added = mem_alloc(ROWS * sizeof(*im->added));
	atomic_store(&im->active, err == 0);
	return err;
}

/* ---- in the transaction ---- */

static bool is_listed(const struct import *im, const char *product)
{
	for (size_t i = 0; i < im->command->n_products; i++)
		if (strcmp(im->command->products[i], product) == 0)
			return true;
	return false;
}

/* No more seats than the command says, nor than there are. */
static bool take_seat(struct import *im, struct line *l, enum ring ring)
{
	const Pb__Import *m = im->command;
	uint32_t allowed[RING_STABLE] = { m->core, m->honour, m->dev };

	if (ring >= RING_STABLE || im->next.given[ring] >= allowed[ring] || seat_left(l, ring) == 0)
		return false;
	im->next.given[ring]++;
	l->granting[ring]++;
	return true;
}

static void take_row(struct import *im, struct writer *w, struct bytes bytes)
{
	struct row_device *d = &im->added[im->n_added];
	enum row_end end = ROW_UNREADABLE;
	const Pb__FleetRow *m;
	struct line *l;
	int err;

	im->row.used = 0;
	im->next.done++;
	m = wire_read(&pb__fleet_row__descriptor, bytes, &row_rules, &im->row, &err);
	if (m != NULL)
		end = row_look(&im->taker, w, m, d);
	if (end == ROW_ADDED && !is_listed(im, m->product))
		end = ROW_NOT_LISTED;
	if (end == ROW_KNOWN)
		im->next.known++;
	else if (end != ROW_ADDED)
		import_note(&im->next, m != NULL ? m->line : 0, end);
	if (end != ROW_ADDED)
		return;
	l = &w->registry->lines[d->line];
	if (!im->command->dates || d->device.enrolled_day > im->day)
		d->device.enrolled_day = im->day;
	if (d->device.ring < RING_STABLE && !take_seat(im, l, d->device.ring))
		d->device.ring = RING_STABLE;
	row_put_device(w, l->number, d);
	im->next.added++;
	im->next.waiting += row_waits(d);
	im->n_added++;
}

/* As many whole rows as lie in `piece`, at most a batch. */
static void take_rows(struct import *im, struct writer *w, struct bytes piece)
{
	size_t at = 0;
	unsigned n = 0;

	while (n < ROWS && im->next.done < im->command->rows && piece.n - at >= 2) {
		size_t length = get_be16(piece.p + at);
		if (length > ROW_MAX) {
			/* No row behind it can be found either. */
			im->next.conflicts += im->command->rows - im->next.done;
			im->next.done = im->command->rows;
			im->next.at = im->command->length;
			return;
		}
		if (length > piece.n - at - 2)
			break;
		take_row(im, w, bytes_of(piece.p + at + 2, length));
		at += 2 + length;
		n++;
	}
	/* What ends in the middle of a row is the end, and so is the last that people signed for. */
	im->next.at = n == 0 || im->next.done == im->command->rows ? im->command->length
								   : im->next.at + at;
}

/* Its seats are counted among the devices from here on, or were not given. */
static void ungrant(struct import *im)
{
	for (size_t i = 0; i < im->n_added; i++) {
		struct line *l = &im->server->registry.lines[im->added[i].line];
		l->granting[im->added[i].device.ring] -= im->added[i].device.ring < RING_STABLE;
	}
	im->n_added = 0;
}

static void run(struct job *job, struct writer *w)
{
	struct import *im = (struct import *)job;
	ssize_t n = pread(im->file, im->buffer, (size_t)ROWS * (ROW_MAX + 2), (off_t)im->now.at);

	ungrant(im); /* of a transaction that a damaged record has undone: this is it again */
	im->next = im->now;
	if (n < 0) {
		job->err = -errno;
		return;
	}
	take_rows(im, w, bytes_of(im->buffer, (size_t)n));
	im->row.used = 0;
	import_record_put(&w->txn, im->command, im->day, &im->next, &im->row);
}

/* ---- after the commit ---- */

static void show(struct import *im)
{
	for (size_t i = 0; i < im->n_added; i++)
		row_show(im->server, &im->added[i]);
	metric_add(METRIC_IMPORTED, im->n_added);
	(void)pthread_mutex_lock(&im->lock);
	im->now = im->next;
	(void)pthread_mutex_unlock(&im->lock);
}

static void done(struct job *job)
{
	struct import *im = (struct import *)job;

	if (job->err == 0)
		show(im);
	ungrant(im);
	if (job->err != 0 && job->err != ERR_CORRUPT)
		log_error("import: %s; tried again", err_str(job->err));
	if (job->err == ERR_CORRUPT) {
		/* It would be again, and fail who is in one transaction with it. */
		log_error("import: a row names a device whose record is damaged: %u of %u were "
			  "taken; huiductl store check, then send it again",
			im->now.done, im->command->rows);
		finish(im);
		atomic_store(&im->active, false);
	} else if (is_over(im)) {
		log_info("import: %u rows: %u devices added, %u were there, %u conflicts",
			im->now.done, im->now.added, im->now.known, im->now.conflicts);
		finish(im);
		atomic_store(&im->active, false);
	}
	/* After a failure not at once: the tick does it. */
	if (job->err != 0 || !atomic_load(&im->active) || atomic_load(&im->stop) ||
		atomic_load(&im->server->writer.stopping) ||
		writer_submit(&im->server->writer, job) != 0)
		atomic_store(&im->in_flight, false);
}

/* ---- control ---- */

/* What stays takes room, and is no danger. */
static void drop_rows(struct server *s)
{
	struct artifact_file rows = { .unfinished = false };

	memcpy(rows.sha256, s->import->command->sha256.data, SHA256_LEN);
	if (artifact_exists(s->imports, rows.sha256) && artifact_remove(s->imports, &rows) != 0)
		log_warn("import: its rows cannot be removed");
	s->import->dropped = true;
}

void import_tick(struct server *s)
{
	struct import *im = s->import;
	bool idle = false;

	if (im->command != NULL && !im->dropped && !atomic_load(&im->active) && is_over(im))
		drop_rows(s);
	if (!atomic_load(&im->active) || atomic_load(&im->stop) ||
		!atomic_compare_exchange_strong(&im->in_flight, &idle, true))
		return;
	im->job = (struct job){ .run = run, .done = done };
	if (writer_submit(&s->writer, &im->job) != 0)
		atomic_store(&im->in_flight, false);
}

int import_check(const struct server *s, const Pb__Import *m, char *text)
{
	const struct import *im = s->import;
	uint8_t head[IMPORT_MAGIC_LEN];
	uint64_t length;
	bool good = false;
	int fd, err;

	if (atomic_load(&im->active)) {
		(void)snprintf(text, STATE_TEXT,
			"import: another one is under way; it goes on by itself: try again later");
		return ERR_WRONG_STATE;
	}
	err = artifact_open(s->imports, m->sha256.data, &fd, &length);
	if (err == 0) {
		good = length == m->length &&
			pread(fd, head, IMPORT_MAGIC_LEN, 0) == IMPORT_MAGIC_LEN &&
			memcmp(head, MAGIC, IMPORT_MAGIC_LEN) == 0;
		(void)close(fd); /* only read */
	}
	if (good)
		return 0;
	(void)snprintf(text, STATE_TEXT, "import: the file of its rows was not uploaded");
	return ERR_NO_ARTIFACT;
}

Pb__ImportView *import_view(
	const struct server *s, const uint8_t sha256[SHA256_LEN], struct arena *a)
{
	struct import *im = s->import;
	Pb__ImportView *v = arena_alloc(a, sizeof(*v));
	struct import_progress p;

	if (im->command == NULL || v == NULL ||
		memcmp(im->command->sha256.data, sha256, SHA256_LEN) != 0)
		return NULL;
	(void)pthread_mutex_lock(&im->lock);
	p = im->now;
	(void)pthread_mutex_unlock(&im->lock);
	import_progress_view(im->command, &p, v);
	import_progress_troubles(&p, v, a);
	return v;
}
