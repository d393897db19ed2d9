/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/start.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/bucket.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/device.h"
#include "tests/crash/served.h"
#include "tests/crash/start_private.h"

bool start_holds(struct checking *c, bool condition, const char *format, ...)
{
	va_list args;

	if (condition || c->out->kind != VERDICT_GOOD)
		return condition;
	c->out->kind = VERDICT_BROKEN;
	va_start(args, format);
	(void)vsnprintf(c->out->text, sizeof(c->out->text), format, args);
	va_end(args);
	return false;
}

/* I3, I7: the log is the one that was shown, and has all that was acknowledged. */
static void check_log(struct checking *c)
{
	const struct state *s = control_state(&c->d.server);
	uint8_t root[SHA256_LEN];

	if (!start_holds(c, s->log.size >= c->p->log_size,
		    "I3: the log has %" PRIu64 " entries, %" PRIu64 " were acknowledged",
		    s->log.size, c->p->log_size) ||
		c->p->log_size == 0)
		return;
	deployment_must(logtree_root(s->tree, c->p->log_size, root), "log", "root");
	(void)start_holds(c, memcmp(root, c->p->log_root, SHA256_LEN) == 0,
		"I7: the log's first %" PRIu64 " entries are not those that were shown",
		c->p->log_size);
}

/* I2 */
static void check_halts(struct checking *c)
{
	for (size_t i = 0; i < c->p->n_halted; i++) {
		const struct rollout *r =
			state_rollout(control_state(&c->d.server), c->p->halted[i]);
		(void)start_holds(c, r != NULL && r->state == ROLLOUT_HALTED,
			"I2: %s was halted, and is not", c->p->halted[i]);
	}
}

bool start_has_file(struct checking *c, const uint8_t sha256[SHA256_LEN])
{
	uint8_t data[SCRIPT_PIECES + 1], have[SHA256_LEN];
	struct bytes bytes;
	uint64_t length;
	ssize_t n = -1;
	int fd;

	if (artifact_open(c->d.server.artifacts, sha256, &fd, &length) != 0)
		return false;
	n = read(fd, data, sizeof(data));
	(void)close(fd);
	bytes = bytes_of(data, n > 0 ? (size_t)n : 0);
	return n >= 0 && (uint64_t)n == length && crypto_sha256(&bytes, 1, have) == 0 &&
		memcmp(have, sha256, SHA256_LEN) == 0;
}

static void check_artifacts(struct checking *c)
{
	for (size_t i = 0; i < c->p->n_artifacts; i++)
		(void)start_holds(c, start_has_file(c, c->p->artifact[i]),
			"I4: an acknowledged build's file is not there whole");
}

/* I1 */
static void check_version(struct checking *c, const char *name, uint64_t version)
{
	for (size_t i = 0; i < c->p->n_shown; i++)
		(void)start_holds(c,
			strcmp(c->p->shown[i].name, name) != 0 || version >= c->p->shown[i].version,
			"I1: %s %" PRIu64 " is served, %" PRIu64 " was before", name, version,
			c->p->shown[i].version);
}

static void check_offer(struct checking *c, const struct served_offer *o)
{
	(void)start_holds(
		c, start_has_file(c, o->sha256), "I4: %s is offered without its file", o->build_id);
	for (size_t i = 0; i < c->p->n_halted; i++)
		(void)start_holds(c, strcmp(o->build_id, c->p->halted[i]) != 0,
			"I2: %s is offered, and was halted", o->build_id);
}

/* I1, I2, I4, I5: what a phone is shown. */
static void check_poll(struct checking *c, struct test_device *t)
{
	char why[SERVED_TEXT], director[32];
	struct buf body = { 0 };
	struct served s;
	int err = device_poll_body(&c->d, t, &body);

	if (start_holds(c, err == 0, "a poll is refused: %s", err_str(err)) &&
		start_holds(c, served_read(&c->d, buf_bytes(&body), t->product, &s, why), "I4: %s",
			why)) {
		(void)snprintf(director, sizeof(director), "director/%u", s.ring);
		check_version(c, "root", s.root);
		check_version(c, "timestamp", s.timestamp);
		check_version(c, "snapshot", s.snapshot);
		check_version(c, director, s.director);
		(void)start_holds(c, s.log_size >= c->p->log_size,
			"I7: the checkpoint served has %" PRIu64 " entries, %" PRIu64 " were shown",
			s.log_size, c->p->log_size);
		for (size_t i = 0; i < s.n_offers; i++)
			check_offer(c, &s.offer[i]);
	}
	buf_release(&body);
}

/* ---- reports ---- */

static bool stored(struct checking *c, const struct test_device *t, struct device *out)
{
	struct store_txn txn;
	bool found;

	store_begin(c->d.server.store, &txn, false);
	found = device_get(&txn, t->id, out);
	store_abort(&txn);
	return found;
}

/* All that reports change. */
static uint64_t counted(struct checking *c)
{
	static const enum store_table tables[] = { STORE_DEVICE, STORE_ARM, STORE_STAGE, STORE_ROW,
		STORE_NOVEL, STORE_HIT };
	struct store_cursor cursor;
	struct store_txn t;
	uint64_t h = 0;

	store_begin(c->d.server.store, &t, false);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		store_foreach(&cursor, &t, tables[i], bytes_of(NULL, 0))
			h = disk_random(h ^ hash64(cursor.value.p, cursor.value.n));
	}
	store_abort(&t);
	return h;
}

/* What was acknowledged is counted, and sent again it is not counted twice. */
static void check_reports(struct checking *c, struct test_device *t, uint32_t acknowledged)
{
	struct device have;
	uint64_t before;
	int err;

	if (!start_holds(c, stored(c, t, &have), "an acknowledged device is not known") ||
		!start_holds(c, have.last_seq >= acknowledged,
			"I6: event %u was acknowledged, the last that is stored is %u",
			acknowledged, have.last_seq))
		return;
	if (have.last_seq > 0) {
		before = counted(c);
		t->seq = have.last_seq - 1;
		err = device_report_one(&c->d, t, "1.0", PB__EVENT_KIND__EVENT_CRASH);
		(void)start_holds(c, err == 0, "a report sent again is refused: %s", err_str(err));
		(void)start_holds(
			c, counted(c) == before, "I6: a report sent again was counted again");
	}
	t->seq = have.last_seq;
	err = device_report_one(&c->d, t, "1.0", PB__EVENT_KIND__EVENT_ALIVE);
	(void)start_holds(c, err == 0, "a new report is refused: %s", err_str(err));
	(void)start_holds(
		c, stored(c, t, &have) && have.last_seq == t->seq, "I6: a new report is lost");
}

/* ---- what goes on ---- */

/* I8: the phone's state was cut with the server's. */
static void check_phone(struct checking *c)
{
	struct sdk *s = &c->phone;
	struct huidu_status status;
	int err = sdk_start(s, &c->d, c->p->phone_build, c->p->phone_counter);

	if (!start_holds(c, err == 0, "I8: the phone does not start: %s", err_str(err)))
		return;
	huidu_status(s->h, &status);
	(void)start_holds(c, status.log_size >= c->p->phone_log,
		"I8: the phone had seen %" PRIu64 " entries of the log, and knows of %" PRIu64,
		c->p->phone_log, status.log_size);
	sdk_poll(s);
	/* A download is not synced: what is left of it is thrown away, and fetched again. */
	for (unsigned i = 0; i < 3 && s->error == HUIDU_EBAD_HASH; i++) {
		deployment_run(&c->d, HOUR, HOUR);
		deployment_run(&c->d, 2 * MINUTE, MINUTE);
		sdk_poll(s);
	}
	(void)start_holds(c, s->error == 0 || s->error == HUIDU_EBUILD_HALTED,
		"I8: the phone's next poll: %s: %s", s->said, err_str(s->error));
	sdk_stop(s);
}

static void check_command(struct checking *c)
{
	uint64_t size = control_state(&c->d.server)->log.size;
	int err = deployment_publish(&c->d, SDK_PRODUCT, "after", 1000, "after");

	(void)start_holds(c, err == 0, "the next command is refused: %s", c->d.text);
	(void)start_holds(
		c, control_state(&c->d.server)->log.size > size, "the next command is lost");
}

static void check_all(struct checking *c)
{
	const struct promise *p = c->p;

	check_log(c);
	check_halts(c);
	check_artifacts(c);
	kept_check_gone(c);
	for (size_t i = 0; i < p->n_devices; i++)
		if (!promise_is_erased(p, p->device[i].id, false))
			check_poll(c, &c->device[i]);
	for (size_t i = 0; i < p->n_devices; i++)
		if (!promise_is_erased(p, p->device[i].id, false))
			check_reports(c, &c->device[i], p->device[i].seq);
	kept_check_import(c);
	kept_check_upload(c);
	kept_collect(c);
	check_artifacts(c);
	check_phone(c);
	check_command(c);
	if (p->n_devices > 0)
		check_poll(c, &c->device[0]);
}

void start_check(const char *folder, const struct promise *p, struct verdict *out)
{
	struct checking *c = mem_zalloc(sizeof(*c));
	char error[256] = "";
	int err;

	log_init("lab", LOG_LEVEL_ERROR);
	*out = (struct verdict){ VERDICT_GOOD, "" };
	c->p = p;
	c->out = out;
	memcpy(c->device, p->device, sizeof(c->device));
	deployment_adopt(&c->d, folder, p->now_ms + SECOND);
	err = deployment_start(&c->d, error);
	if (err != 0) {
		out->kind = VERDICT_REFUSED;
		(void)snprintf(out->text, sizeof(out->text), "%s",
			error[0] != '\0' ? error : err_str(err));
	} else {
		check_all(c);
	}
	signer_stop(c->d.signer);
}
