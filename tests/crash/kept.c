/* SPDX-License-Identifier: Apache-2.0 */
/* What was brought is there, and goes on to be brought; what was erased or forgotten is not. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/mem.h"
#include "server/service/import.h"
#include "server/store/device.h"
#include "server/store/stage.h"
#include "tests/crash/start_private.h"
#include "tests/lib/authority_world.h"

static bool names(struct bytes b, const uint8_t id[ID_LEN])
{
	return memmem(b.p, b.n, id, ID_LEN) != NULL;
}

/* Anywhere but in the log, of which it is said that it stays. */
static unsigned traces(struct checking *c, const uint8_t id[ID_LEN])
{
	struct store_cursor cursor;
	struct store_txn t;
	unsigned n = 0;

	store_begin(c->d.server.store, &t, false);
	for (unsigned table = 0; table < STORE__COUNT; table++) {
		if (table == STORE_LOG)
			continue;
		store_foreach(&cursor, &t, (enum store_table)table, bytes_of(NULL, 0))
			n += names(cursor.key, id) || names(cursor.value, id);
	}
	store_abort(&t);
	return n;
}

static void check_erased(struct checking *c)
{
	for (size_t i = 0; i < c->p->n_erased; i++) {
		const uint8_t *id = c->p->erased[i].id;
		if (!c->p->erased[i].sure)
			continue;
		(void)start_holds(c, traces(c, id) == 0, "an erased device is in the store");
		(void)start_holds(c, fleet_find(c->d.server.fleet, id) == NULL,
			"an erased device is in the fleet");
	}
	for (size_t i = 0; i < c->p->n_devices; i++)
		if (promise_is_erased(c->p, c->p->device[i].id, true))
			(void)start_holds(c, device_poll(&c->d, &c->device[i]) != 0,
				"an erased device is answered");
}

static void check_forgotten(struct checking *c)
{
	static const enum store_table tables[] = { STORE_ARM, STORE_HIT };
	struct store_cursor cursor;
	struct store_txn t;
	uint64_t oldest = UINT64_MAX;

	store_begin(c->d.server.store, &t, false);
	for (size_t i = 0; i < 2; i++)
		store_foreach(&cursor, &t, tables[i], bytes_of(NULL, 0))
			if (get_be32(cursor.key.p) < oldest)
				oldest = get_be32(cursor.key.p);
	store_abort(&t);
	(void)start_holds(c, c->p->forgotten == 0 || oldest > c->p->forgotten,
		"what devices did in a rollout that is over was removed, and is there");
}

void kept_check_gone(struct checking *c)
{
	check_erased(c);
	check_forgotten(c);
}

/* ---- a fleet ---- */

static void check_rows(struct checking *c)
{
	uint8_t id[ID_LEN];

	for (unsigned i = 0; i < SCRIPT_ROWS; i++) {
		struct store_txn t;
		struct device d;
		bool there;
		script_row_id(i, id);
		if (promise_is_erased(c->p, id, false))
			continue;
		store_begin(c->d.server.store, &t, false);
		there = device_get(&t, id, &d);
		store_abort(&t);
		(void)start_holds(c, there && fleet_find(c->d.server.fleet, id) != NULL,
			"import: row %u was acknowledged, and its device is not there", i);
	}
}

void kept_check_import(struct checking *c)
{
	const Pb__ImportView *v;

	if (!c->p->has_import)
		return;
	if (c->p->imported)
		check_rows(c);
	deployment_run(&c->d, 3 * SECOND, SECOND);
	c->d.arena.used = 0;
	v = import_view(&c->d.server, c->p->import, &c->d.arena);
	if (!start_holds(c, v != NULL, "import: it was acknowledged, and is not known") ||
		!start_holds(c, v->done == v->rows, "import: it does not go on: %u of %u rows",
			(unsigned)v->done, (unsigned)v->rows))
		return;
	(void)start_holds(c,
		v->added == SCRIPT_ROWS && v->known == 0 && v->conflicts == SCRIPT_BLANKS,
		"import: another end: %u added, %u known, %u conflicts", (unsigned)v->added,
		(unsigned)v->known, (unsigned)v->conflicts);
	check_rows(c);
	kept_check_gone(c);
}

/* ---- a file ---- */

/* From where it is on, as huiductl does: first what is there is checked. */
static int go_on(struct artifacts *a, const uint8_t sha256[SHA256_LEN], const uint8_t *data)
{
	uint64_t at = artifact_received(a, sha256);
	int err = 0;

	if (at > 0)
		err = artifact_upload(a, sha256, SCRIPT_PIECES, at, bytes_of(NULL, 0));
	if (err == 0 && at < SCRIPT_PIECES)
		err = artifact_upload(
			a, sha256, SCRIPT_PIECES, at, bytes_of(data + at, SCRIPT_PIECES - at));
	return err;
}

/* What a crash left of its bytes is found wrong when they have all come; then they come again. */
void kept_check_upload(struct checking *c)
{
	uint8_t data[SCRIPT_PIECES], sha256[SHA256_LEN];
	struct artifacts *a = c->d.server.artifacts;
	struct bytes all;
	int err;

	if (c->p->upload == UPLOAD_NONE)
		return;
	script_pieces(data);
	all = bytes_of(data, SCRIPT_PIECES);
	deployment_must(crypto_sha256(&all, 1, sha256), "sha256", "");
	(void)start_holds(c, c->p->upload != UPLOAD_WHOLE || artifact_exists(a, sha256),
		"I4: an acknowledged upload is not there");
	if (artifact_exists(a, sha256)) {
		(void)start_holds(c, start_has_file(c, sha256), "I4: an upload that is not whole");
		return;
	}
	err = go_on(a, sha256, data);
	if (err == ERR_BAD_HASH)
		err = go_on(a, sha256, data);
	(void)start_holds(
		c, err == 0, "an upload does not go on: %s: %s", err_str(err), artifact_why(a));
	(void)start_holds(c, start_has_file(c, sha256), "I4: an upload that went on is not whole");
}

/* ---- garbage ---- */

static void make_old(struct checking *c, const uint8_t sha256[SHA256_LEN])
{
	static const struct timespec old[2];
	char hex[2 * SHA256_LEN + 1];
	char *path = mem_printf("%s/data/artifacts/%02x/%s", c->d.dir, sha256[0],
		hex_encode(hex, sha256, SHA256_LEN));

	(void)utimensat(AT_FDCWD, path, old, 0); /* what is not there is found missing */
	free(path);
}

void kept_collect(struct checking *c)
{
	const Pb__AdminReply *reply;

	for (size_t i = 0; i < c->p->n_artifacts; i++)
		make_old(c, c->p->artifact[i]);
	c->d.arena.used = 0;
	reply = world_ask(&c->d, PB__QUERY_KIND__QUERY_GC, "remove", 0);
	(void)start_holds(c, reply->code == 0, "garbage: %s",
		reply->text != NULL ? reply->text : err_str(reply->code));
}
