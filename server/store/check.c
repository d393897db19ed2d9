/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "server/base/mem.h"
#include "server/store/check_private.h"
#include "server/store/foreign.h"
#include "server/store/novel.h"

#define ARENA_SIZE ((size_t)4 * 1024 * 1024)
#define HALF       16u /* of a SHA-256, as keys have it */

void check_found(struct check *k, const char *format, ...)
{
	struct store_finding f = { .table = k->table, .key = k->key };
	char *says;
	va_list args;

	va_start(args, format);
	says = mem_vprintf(format, args);
	va_end(args);
	f.says = says;
	k->out->findings++;
	if (k->out->found != NULL)
		k->out->found(k->out->ctx, &f);
	free(says);
}

/* ---- walking ---- */

void check_begin(struct check *k, struct check_walk *w, enum store_table table)
{
	memset(w, 0, sizeof(*w));
	k->table = table;
	k->key = bytes_of(NULL, 0);
	store_seek(&w->c, k->t, table, bytes_of(NULL, 0));
}

static bool is_behind(const struct check_walk *w, struct bytes key)
{
	size_t n = key.n < w->last_n ? key.n : w->last_n;
	int order = memcmp(key.p, w->last, n);

	return order > 0 || (order == 0 && key.n > w->last_n);
}

/* Keys that do not go up are those of pages that do not belong here. */
static bool take(struct check *k, struct check_walk *w)
{
	struct bytes key = w->c.key;

	k->key = key;
	if (key.n >= sizeof(w->last) || (w->n > 0 && !is_behind(w, key))) {
		check_found(k, "is not where its key belongs; what follows was not looked at");
		w->stopped = true;
		return false;
	}
	memcpy(w->last, key.p, key.n);
	w->last_n = key.n;
	w->n++;
	return true;
}

static void end(struct check *k, struct check_walk *w)
{
	uint64_t want = store_count(k->t, k->table);

	store_cursor_close(&w->c);
	k->out->records += w->n;
	k->key = bytes_of(w->last, w->last_n);
	if (k->t->err != 0)
		check_found(k, "is the last that can be read: pages behind it are damaged");
	else if (w->n != want && !w->stopped)
		check_found(k, "is the last of %llu records, and there should be %llu",
			(unsigned long long)w->n, (unsigned long long)want);
	k->t->err = 0;
}

bool check_next(struct check *k, struct check_walk *w)
{
	while (store_next(&w->c) && take(k, w)) {
		if (!w->c.damaged)
			return true;
		check_found(k, "is damaged: its checksum is wrong");
	}
	end(k, w);
	return false;
}

bool check_has(struct check *k, enum store_table table, struct bytes key)
{
	struct bytes v;
	bool there = store_get(k->t, table, key, &v) || k->t->err != 0;

	k->t->err = 0;
	return there;
}

bool check_has_any(struct check *k, enum store_table table, struct bytes prefix)
{
	struct store_cursor c;
	bool there;

	store_seek(&c, k->t, table, prefix);
	there = store_next(&c) || k->t->err != 0;
	store_cursor_close(&c);
	k->t->err = 0;
	return there;
}

/* ---- one record after the other ---- */

static bool begins(struct bytes key, const char *word)
{
	return key.n >= strlen(word) && memcmp(key.p, word, strlen(word)) == 0;
}

/* Names that others keep here are theirs. */
static const char *meta(struct check *k, const struct store_cursor *c)
{
	static const struct {
		const char *begin;
		size_t bytes;
	} sizes[] = { { "format", 4 }, { "commit", 8 }, { "product", 2 }, { "line", 2 },
		{ "crashes/", 1 }, { "purged/", 1 } };

	(void)k;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (begins(c->key, sizes[i].begin) && c->value.n != sizes[i].bytes)
			return "is of the wrong size";
	return NULL;
}

static const char *device(struct check *k, const struct store_cursor *c)
{
	struct device d;
	struct bytes next;

	if (!device_read(c, &d))
		return "is no record of a device";
	if (store_get(k->t, STORE_META, bytes_str("product"), &next) && next.n == 2 &&
		d.product >= get_be16(next.p))
		return "is of a product that has no name here";
	return NULL;
}

/* Keys and tokens. */
static const char *names_device(struct check *k, const struct store_cursor *c)
{
	if (c->key.n != HALF || c->value.n != ID_LEN)
		return "is of the wrong size";
	return check_has(k, STORE_DEVICE, c->value) ? NULL : "names a device that is not there";
}

static const char *foreign(struct check *k, const struct store_cursor *c)
{
	struct stored_foreign f;
	uint8_t id[ID_LEN];

	if (!foreign_read(c, id, &f))
		return "is no record of a device of another protocol";
	return check_has(k, STORE_DEVICE, c->key) ? NULL : "names a device that is not there";
}

static const char *waiting(struct check *k, const struct store_cursor *c)
{
	uint8_t id[ID_LEN];
	enum ring wish = waiting_read(c, id);
	struct device d;

	if (k->t->err != 0)
		return "is no record of a device that waits";
	if (!check_has(k, STORE_DEVICE, bytes_of(id, ID_LEN)))
		return "names a device that is not there";
	if (!device_get(k->t, id, &d))
		return NULL; /* it has a finding of its own */
	return d.wish == wish ? NULL : "waits for another ring than its device wishes";
}

/* Where a device was erased a made-up one, that is gone, takes its place. */
static const char *arm(struct check *k, const struct store_cursor *c)
{
	uint8_t stage_key[7], id[ID_LEN];
	struct evidence_device d;
	struct stage_key stage;
	struct device device;

	if (!arm_read(c, &stage, id, &d))
		return "is no record of a device in a stage";
	memcpy(stage_key, c->key.p, 5);
	if (device_get(k->t, id, &device)) {
		put_be16(stage_key + 5, device.product);
		return check_has(k, STORE_STAGE, bytes_of(stage_key, 7))
			? NULL
			: "is of a stage that is not there";
	}
	if (k->t->err == 0 && !d.gone)
		return "names a device that is not there";
	k->t->err = 0;
	return check_has_any(k, STORE_STAGE, bytes_of(stage_key, 5))
		? NULL
		: "is of a stage that is not there";
}

static const char *stage(struct check *k, const struct store_cursor *c)
{
	struct stage_key key;
	struct evidence e;

	if (c->key.n != 7)
		return "is of the wrong size";
	key = (struct stage_key){ get_be32(c->key.p), c->key.p[4] };
	if (!stage_get(k->t, key, get_be16(c->key.p + 5), &e))
		return "is no record of a stage";
	return get_be32(c->key.p) < store_count(k->t, STORE_LOG)
		? NULL
		: "is of a rollout that the log does not have";
}

static const char *row(struct check *k, const struct store_cursor *c)
{
	struct stored_row r;
	uint64_t number;
	uint8_t before[12];

	if (!row_unpack(c->key, c->value, &number, &r))
		return "is no row of evidence";
	if (number > 0 && !check_has(k, STORE_ROW, row_key(r.stage.rollout, number - 1, before)))
		return "does not follow the row before it: some are lost";
	return NULL;
}

static const char *seen(struct check *k, const struct store_cursor *c)
{
	(void)k;
	return c->key.n == 2 + SIGNATURE_LEN && c->value.n == 8 ? NULL : "is of the wrong size";
}

static const char *novel(struct check *k, const struct store_cursor *c)
{
	uint8_t signature[SIGNATURE_LEN];
	struct novel n;

	if (!novel_read(c, signature, &n))
		return "is no record of a signature";
	return check_has_any(k, STORE_STAGE, bytes_of(c->key.p, 5))
		? NULL
		: "is of a stage that is not there";
}

/* The first 5 are those of the stage, the next 8 those of its signature. */
static const char *hit(struct check *k, const struct store_cursor *c)
{
	uint8_t arm_key[5 + ID_LEN];

	if (c->key.n != 5 + 8 + ID_LEN)
		return "is of the wrong size";
	if (!check_has_any(k, STORE_NOVEL, bytes_of(c->key.p, 13)))
		return "is of a signature that is not there";
	memcpy(arm_key, c->key.p, 5);
	memcpy(arm_key + 5, c->key.p + 13, ID_LEN);
	return check_has(k, STORE_ARM, bytes_of(arm_key, sizeof(arm_key)))
		? NULL
		: "names a device that is in no arm of the stage";
}

/* The log and the envelopes are looked at together. */
static const char *(*const records[STORE__COUNT])(struct check *, const struct store_cursor *) = {
	[STORE_META] = meta,
	[STORE_DEVICE] = device,
	[STORE_KEY] = names_device,
	[STORE_WAITING] = waiting,
	[STORE_ARM] = arm,
	[STORE_STAGE] = stage,
	[STORE_ROW] = row,
	[STORE_SEEN] = seen,
	[STORE_NOVEL] = novel,
	[STORE_HIT] = hit,
	[STORE_TOKEN] = names_device,
	[STORE_FOREIGN] = foreign,
};

static void check_table(struct check *k, enum store_table table)
{
	struct check_walk w;

	check_begin(k, &w, table);
	while (check_next(k, &w)) {
		const char *says = records[table](k, &w.c);
		k->t->err = 0;
		if (says != NULL)
			check_found(k, "%s", says);
	}
}

int store_check(struct store_txn *t, struct store_check *c)
{
	struct check k = { .t = t, .out = c };
	bool tolerant = t->tolerant;

	if (t->err != 0)
		return t->err;
	c->findings = c->records = c->log_size = 0;
	c->has_at = false;
	t->tolerant = true;
	k.arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	for (unsigned i = 0; i < STORE__COUNT; i++)
		if (records[i] != NULL)
			check_table(&k, (enum store_table)i);
	check_log(&k);
	check_counts(&k);
	t->tolerant = tolerant;
	free(k.arena.base);
	if (k.err != 0)
		return k.err;
	return c->findings > 0 ? ERR_CORRUPT : 0;
}
