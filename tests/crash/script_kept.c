/* SPDX-License-Identifier: Apache-2.0 */
/* Steps in which more is kept, or less: rows, a device, a file, time. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "server/base/mem.h"
#include "server/service/import.h"
#include "server/store/stage.h"
#include "tests/crash/script_private.h"
#include "tests/lib/authority_world.h"
#include "tests/lib/rows.h"

static void mark_hash(enum mark_kind kind, const uint8_t *hash, size_t n)
{
	struct mark m = { .kind = kind };

	memcpy(m.hash, hash, n);
	crash_mark(&m);
}

static void sha256_of(struct bytes data, uint8_t out[SHA256_LEN])
{
	deployment_must(crypto_sha256(&data, 1, out), "sha256", "");
}

static const Pb__AdminReply *ask(struct script *s, Pb__QueryKind kind, const char *name)
{
	const Pb__AdminReply *reply;

	s->d.arena.used = 0;
	reply = world_ask(&s->d, kind, name, 0);
	script_must(s, reply->code == 0 ? 0 : ERR_WRONG_STATE,
		reply->text != NULL ? reply->text : "query");
	return reply;
}

/* ---- a fleet ---- */

void script_row_id(unsigned row, uint8_t id[ID_LEN])
{
	memset(id, (int)(0x40 + row), ID_LEN);
}

static void add_row(struct rows *r, unsigned row)
{
	Pb__FleetRow m = PB__FLEET_ROW__INIT;
	uint8_t id[ID_LEN], key[33], token[TOKEN_LEN];

	script_row_id(row, id);
	memset(key, (int)(0x40 + row), sizeof(key));
	memset(token, (int)(0x40 + row), sizeof(token));
	key[0] = 2;
	m.product = (char *)(uintptr_t)SDK_PRODUCT;
	m.has_id = m.has_public_key = m.has_token = m.has_line = 1;
	m.id = wire_data(id, sizeof(id));
	m.public_key = wire_data(key, sizeof(key));
	m.token = wire_data(token, sizeof(token));
	m.line = row;
	rows_add(r, &m);
}

static void make_rows(struct rows *r)
{
	static const uint8_t blank[2];

	rows_begin(r);
	for (unsigned i = 0; i < SCRIPT_ROWS; i++) {
		add_row(r, i);
		for (unsigned k = 0; i == SCRIPT_ROWS / 2 - 1 && k < SCRIPT_BLANKS; k++) {
			buf_add(&r->file, blank, sizeof(blank));
			r->import.rows++;
		}
	}
}

static void erase(struct script *s, const uint8_t id[ID_LEN])
{
	char hex[2 * ID_LEN + 1];

	mark_hash(MARK_ERASING, id, ID_LEN);
	(void)ask(s, PB__QUERY_KIND__QUERY_ERASE, hex_encode(hex, id, ID_LEN));
	mark_hash(MARK_ERASED, id, ID_LEN);
}

/* One that came with its first transaction is erased before its second. */
void script_bring_fleet(struct script *s)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	const Pb__ImportView *v;
	uint8_t id[ID_LEN];
	struct rows r;

	s->d.arena.used = 0;
	make_rows(&r);
	rows_end(&r, &s->d);
	m.import = &r.import;
	script_acknowledged(s, world_do(&s->d, &m, 0, KEY_RELEASE), "import");
	mark_hash(MARK_IMPORT, r.sha256, SHA256_LEN);
	script_mark(MARK_TIME, s->d.now_ms + 1000, 0, "");
	deployment_tick(&s->d, 1000);
	(void)writer_drain(&s->d.server.writer);
	script_row_id(0, id);
	erase(s, id);
	while (writer_drain(&s->d.server.writer))
		;
	s->d.arena.used = 0;
	v = import_view(&s->d.server, r.sha256, &s->d.arena);
	script_must(s,
		v != NULL && v->done == v->rows && v->added == SCRIPT_ROWS ? 0 : ERR_MISMATCH,
		"import");
	mark_hash(MARK_IMPORTED, r.sha256, SHA256_LEN);
	script_wait(s, HOUR);
	buf_release(&r.file);
}

void script_erase(struct script *s)
{
	struct test_device *t = &s->device[SCRIPT_DEVICES - 1];

	script_report(s, SCRIPT_DEVICES - 1, "3.0", PB__EVENT_KIND__EVENT_ALIVE);
	erase(s, t->id);
	script_must(s, device_poll(&s->d, t) != 0 ? 0 : ERR_WRONG_STATE, "an erased device");
	script_wait(s, HOUR);
}

/* ---- a file ---- */

void script_pieces(uint8_t out[SCRIPT_PIECES])
{
	for (unsigned i = 0; i < SCRIPT_PIECES; i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
}

/* The server is started again in its middle. */
void script_upload(struct script *s)
{
	uint8_t data[SCRIPT_PIECES], sha256[SHA256_LEN];
	const uint64_t half = SCRIPT_PIECES / 2;

	script_pieces(data);
	sha256_of(bytes_of(data, SCRIPT_PIECES), sha256);
	script_mark(MARK_UPLOAD, UPLOAD_BEGUN, 0, "");
	script_must(s,
		artifact_upload(
			s->d.server.artifacts, sha256, SCRIPT_PIECES, 0, bytes_of(data, half)),
		"upload");
	script_restart(s);
	script_must(s, artifact_received(s->d.server.artifacts, sha256) == half ? 0 : ERR_MISMATCH,
		"received");
	script_must(s,
		artifact_upload(
			s->d.server.artifacts, sha256, SCRIPT_PIECES, half, bytes_of(NULL, 0)),
		"check");
	script_must(s,
		artifact_upload(s->d.server.artifacts, sha256, SCRIPT_PIECES, half,
			bytes_of(data + half, SCRIPT_PIECES - half)),
		"upload");
	script_mark(MARK_UPLOAD, UPLOAD_WHOLE, 0, "");
}

/* ---- time ---- */

/* What single devices did in rollouts that are over is gone; 2.0 expires, and nothing needs it. */
void script_half_a_year(struct script *s)
{
	const struct rollout *r = deployment_rollout(&s->d, "2.0");
	struct stage_key key;
	struct evidence_device d;
	struct store_cursor c;
	struct store_txn t;
	uint8_t id[ID_LEN], sha256[SHA256_LEN];
	unsigned left = 0;

	sha256_of(bytes_str("2.0"), sha256);
	mark_hash(MARK_NOT_NEEDED, sha256, SHA256_LEN);
	/* It signs every day: no start may find that half a year went by since. */
	for (unsigned i = 0; i < 14; i++)
		script_wait(s, 13 * DAY);
	store_begin(s->d.server.store, &t, false);
	store_foreach(&c, &t, STORE_ARM, bytes_of(NULL, 0)) {
		script_must(s, arm_read(&c, &key, id, &d) ? 0 : ERR_CORRUPT, "arm");
		left += key.rollout <= r->no;
	}
	store_abort(&t);
	script_must(s, left == 0 ? 0 : ERR_WRONG_STATE, "retention");
	script_mark(MARK_FORGOTTEN, r->no, 0, "");
	script_acknowledged(
		s, deployment_publish_as(&s->d, SDK_PRODUCT, "3.0", 3, "3.0", 3), "renew");
	script_show(s, &s->device[0]);
}

/* The machine's clock says how old a file is, not the one set by hand. */
static void make_old(struct script *s, const uint8_t sha256[SHA256_LEN])
{
	static const struct timespec old[2];
	char hex[2 * SHA256_LEN + 1];
	char *path = mem_printf("%s/data/artifacts/%02x/%s", s->d.dir, sha256[0],
		hex_encode(hex, sha256, SHA256_LEN));

	script_must(s, utimensat(AT_FDCWD, path, old, 0) == 0 ? 0 : ERR_NOT_FOUND, path);
	free(path);
}

/* 2.0 was superseded and has expired, the other was never published; 1.0 may go on, 3.0 does. */
void script_collect(struct script *s)
{
	static const char *const build[] = { "1.0", "2.0", "3.0" };
	uint8_t data[SCRIPT_PIECES], sha256[4][SHA256_LEN];

	script_pieces(data);
	for (unsigned i = 0; i < 3; i++)
		sha256_of(bytes_str(build[i]), sha256[i]);
	sha256_of(bytes_of(data, SCRIPT_PIECES), sha256[3]);
	for (unsigned i = 0; i < 4; i++)
		make_old(s, sha256[i]);
	script_mark(MARK_UPLOAD, UPLOAD_DROPPED, 0, "");
	script_must(s, ask(s, PB__QUERY_KIND__QUERY_GC, "remove")->n_files == 2 ? 0 : ERR_MISMATCH,
		"garbage");
	for (unsigned i = 0; i < 4; i++)
		script_must(s,
			artifact_exists(s->d.server.artifacts, sha256[i]) == (i % 2 == 0)
				? 0
				: ERR_MISMATCH,
			"kept");
}
