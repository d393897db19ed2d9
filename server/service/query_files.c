/* SPDX-License-Identifier: Apache-2.0 */
/* Builds' files: what each is needed for, and away with those that are not. */
#include <errno.h>
#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/metrics/metrics.h"
#include "server/service/garbage.h"
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

static int remove_one(struct query *q, const struct artifact_file *f, Pb__FileView *v)
{
	char hex[2 * SHA256_LEN + 1];
	int err = artifact_remove(q->server->artifacts, f);

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

static int answer(struct query *q, const struct garbage *g, struct artifact_file *file, size_t n,
	Pb__AdminReply *reply)
{
	bool remove = q->ask->name != NULL && strcmp(q->ask->name, "remove") == 0;
	unsigned removed = 0;
	int err = 0;

	reply->files = query_alloc(q, n * sizeof(*reply->files));
	for (size_t i = 0; err == 0 && i < n && reply->n_files < FILES_MAX; i++) {
		Pb__FileView *v;
		bool due = garbage_due_ms(g, &file[i]) <= q->now_ms;
		if (remove && (!due || removed == REMOVE_MAX))
			continue; /* only what goes is told */
		v = view(q, g, &file[i]);
		if (remove)
			err = remove_one(q, &file[i], v);
		removed += remove;
		reply->files[reply->n_files++] = v;
	}
	return err;
}

int query_files(struct query *q, Pb__AdminReply *reply)
{
	struct arena a = { mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	struct garbage g = { 0 };
	struct artifact_file *file = NULL;
	size_t n = 0;
	int err = garbage_look(control_state(q->server), q->now_ms, &a, &g);

	if (err == 0)
		err = artifact_list(q->server->artifacts, &file, &n);
	if (err == 0)
		err = answer(q, &g, file, n, reply);
	else
		q->text = query_printf(q, "artifacts: %s", err_str(err));
	free(file);
	garbage_release(&g);
	free(a.base);
	return err;
}
