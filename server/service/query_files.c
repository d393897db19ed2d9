/* SPDX-License-Identifier: Apache-2.0 */
/* Builds' files: what each is needed for, and away with those that are not. */
#include <errno.h>
#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/metrics/metrics.h"
#include "server/service/garbage.h"
#include "server/service/import.h"
#include "server/service/query.h"

#define ARENA_SIZE ((size_t)1024 * 1024)
#define FILES_MAX  4000u /* so that an answer fits its frame */
/* Of one request: unlinking gigabytes takes its time, and a halt may be waiting. */
#define REMOVE_MAX 16u

static const char *const needs[] = {
	[NEED_SIGNED] = "signed, and not expired",
	[NEED_ROLLOUT] = "its rollout",
	[NEED_NAMED] = "named by a build that is needed",
	[NEED_WAITING] = "a command that waits for signatures",
};

static Pb__FileView *view(struct query *q, const struct garbage *g, const struct artifact_file *f)
{
	const struct garbage_keep *k = f->unfinished ? NULL : garbage_find(g, f->sha256);
	Pb__FileView *v = query_alloc(q, sizeof(*v));
	uint8_t *sha256 = query_alloc(q, SHA256_LEN);

	*v = (Pb__FileView)PB__FILE_VIEW__INIT;
	memcpy(sha256, f->sha256, SHA256_LEN);
	v->sha256 = wire_data(sha256, SHA256_LEN);
	v->length = f->length;
	v->since_ms = f->since_ms;
	v->has_unfinished = v->unfinished = f->unfinished;
	v->needed = k != NULL ? needs[k->need] : NULL;
	v->has_due_ms = k == NULL;
	v->due_ms = k == NULL ? garbage_due_ms(g, f) : 0;
	if (k != NULL && k->build != NULL) {
		v->build_id = k->build->build_id;
		v->product = k->build->product;
	}
	return v;
}

static int remove_one(
	struct query *q, struct artifacts *from, const struct artifact_file *f, Pb__FileView *v)
{
	char hex[2 * SHA256_LEN + 1];
	int err = artifact_remove(from, f);

	if (err != 0) {
		q->text = query_printf(
			q, "%s: %s", hex_encode(hex, f->sha256, SHA256_LEN), err_str(err));
		return err;
	}
	log_info("artifact %s: %s removed: nothing names it",
		hex_encode(hex, f->sha256, SHA256_LEN), show_size(f->length).s);
	metric_add(METRIC_ARTIFACTS_REMOVED, 1);
	v->has_removed = v->removed = true;
	return 0;
}

/* Rows of a fleet: they go when they were taken in; what nobody ordered, as an unfinished upload. */
static Pb__FileView *view_rows(struct query *q, struct artifact_file *f)
{
	static const struct garbage none;
	Pb__FileView *v;

	f->unfinished = true;
	v = view(q, &none, f);
	if (import_view(q->server, f->sha256, q->arena) == NULL)
		return v;
	v->needed = "a fleet that is brought in";
	v->has_due_ms = false;
	return v;
}

static int answer(
	struct query *q, struct artifacts *from, const struct garbage *g, Pb__AdminReply *reply)
{
	bool remove = q->ask->name != NULL && strcmp(q->ask->name, "remove") == 0;
	bool rows = from == q->server->imports;
	struct artifact_file *file = NULL;
	size_t n = 0;
	int err = artifact_list(from, &file, &n);

	for (size_t i = 0; err == 0 && i < n && reply->n_files < FILES_MAX; i++) {
		bool whole = !file[i].unfinished;
		Pb__FileView *v = rows ? view_rows(q, &file[i]) : view(q, g, &file[i]);
		bool due = v->has_due_ms && v->due_ms <= q->now_ms;
		file[i].unfinished = !whole;
		if (remove && (!due || reply->n_files == REMOVE_MAX))
			continue; /* only what goes is told */
		if (remove)
			err = remove_one(q, from, &file[i], v);
		reply->files[reply->n_files++] = v;
	}
	free(file);
	return err;
}

int query_files(struct query *q, Pb__AdminReply *reply)
{
	struct arena a = { mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	struct garbage g = { 0 };
	int err = garbage_look(control_state(q->server), q->now_ms, &a, &g);

	reply->files = query_alloc(q, FILES_MAX * sizeof(*reply->files));
	if (err == 0)
		err = answer(q, q->server->artifacts, &g, reply);
	if (err == 0)
		err = answer(q, q->server->imports, &g, reply);
	if (err != 0 && q->text == NULL)
		q->text = query_printf(q, "artifacts: %s", err_str(err));
	garbage_release(&g);
	free(a.base);
	return err;
}
