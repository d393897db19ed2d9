/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/admin.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/base/mem.h"
#include "server/service/import.h"
#include "server/service/query.h"

#define ARENA_SIZE ((size_t)64 * 1024 * 1024)

void admin_open(struct admin *a, struct server *server)
{
	a->server = server;
	a->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
}

void admin_release(struct admin *a)
{
	free(a->arena.base);
}

void *query_alloc(struct query *q, size_t n)
{
	void *p = arena_alloc(q->arena, n);

	assert(p != NULL);
	memset(p, 0, n);
	return p;
}

char *query_printf(struct query *q, const char *format, ...)
{
	va_list args;
	char *s;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(n >= 0);
	s = query_alloc(q, (size_t)n + 1);
	va_start(args, format);
	(void)vsnprintf(s, (size_t)n + 1, format, args);
	va_end(args);
	return s;
}

/* ---- what may be asked ---- */

static int ask_checkpoint(struct query *q, Pb__AdminReply *reply)
{
	(void)q;
	(void)reply; /* every answer has it */
	return 0;
}

static int ask_artifact(struct query *q, Pb__AdminReply *reply)
{
	struct artifacts *files;

	if (!q->ask->has_sha256 || q->ask->sha256.len != SHA256_LEN) {
		q->text = "artifact: ask for a SHA-256";
		return ERR_BAD_RANGE;
	}
	files = q->ask->rows ? q->server->imports : q->server->artifacts;
	reply->has_present = reply->has_received = 1;
	/* Asked before publishing: it is not collected in between. */
	reply->present = artifact_touch(files, q->ask->sha256.data);
	reply->received = artifact_received(files, q->ask->sha256.data);
	if (q->ask->rows)
		reply->import = import_view(q->server, q->ask->sha256.data, q->arena);
	return 0;
}

static const struct {
	Pb__QueryKind kind;
	int (*answer)(struct query *q, Pb__AdminReply *reply);
} queries[] = {
	{ PB__QUERY_KIND__QUERY_CHECKPOINT, ask_checkpoint },
	{ PB__QUERY_KIND__QUERY_ROLLOUT, query_rollouts },
	{ PB__QUERY_KIND__QUERY_PROPOSAL, query_proposal },
	{ PB__QUERY_KIND__QUERY_HISTORY, query_history },
	{ PB__QUERY_KIND__QUERY_DEVICE, query_device },
	{ PB__QUERY_KIND__QUERY_RINGS, query_rings },
	{ PB__QUERY_KIND__QUERY_BUILDS, query_builds },
	{ PB__QUERY_KIND__QUERY_ARTIFACT, ask_artifact },
	{ PB__QUERY_KIND__QUERY_GATE, query_gate },
	{ PB__QUERY_KIND__QUERY_REPLAY, query_replay },
	{ PB__QUERY_KIND__QUERY_PENDING, query_pending },
	{ PB__QUERY_KIND__QUERY_LOG, query_log },
	{ PB__QUERY_KIND__QUERY_TRUST, query_trust },
	{ PB__QUERY_KIND__QUERY_GC, query_files },
	{ PB__QUERY_KIND__QUERY_ERASE, query_erase },
};

static int take_query(struct query *q, struct bytes payload, Pb__AdminReply *reply)
{
	int err;

	q->ask = wire_read(&pb__admin_query__descriptor, payload, &wire_signed, q->arena, &err);
	for (size_t i = 0; q->ask != NULL && i < sizeof(queries) / sizeof(queries[0]); i++)
		if (queries[i].kind == q->ask->kind)
			return queries[i].answer(q, reply);
	return err;
}

static int take_upload(struct query *q, struct bytes payload, Pb__AdminReply *reply)
{
	struct artifacts *a;
	int err;
	const Pb__AdminUpload *m =
		wire_read(&pb__admin_upload__descriptor, payload, &wire_admin, q->arena, &err);

	if (m == NULL || m->sha256.len != SHA256_LEN)
		return m == NULL ? err : ERR_BAD_RANGE;
	a = m->rows ? q->server->imports : q->server->artifacts;
	err = artifact_upload(a, m->sha256.data, m->length, m->offset, wire_bytes(m->data));
	reply->has_received = 1;
	if (err != 0)
		reply->received = artifact_received(a, m->sha256.data);
	else if (artifact_received(a, m->sha256.data) > 0)
		reply->received = artifact_checked(a, m->sha256.data);
	else
		reply->received = m->length; /* whole, and in its place */
	if (err != 0)
		q->text = query_printf(q, "%s", artifact_why(a));
	return err;
}

static int take_command(struct query *q, struct bytes envelope, Pb__AdminReply *reply)
{
	char *text = query_alloc(q, STATE_TEXT);
	int err = control_command(q->server, envelope, q->now_ms, text);

	q->text = text;
	if (text[0] != '\0')
		reply->text = text;
	return err;
}

static int take_root(struct query *q, struct bytes envelope, Pb__AdminReply *reply)
{
	char *text = query_alloc(q, STATE_TEXT);
	int err = control_root(q->server, envelope, q->now_ms, text);

	q->text = text;
	reply->text = text;
	return err;
}

static int take(struct query *q, struct bytes frame, Pb__AdminReply *reply)
{
	enum envelope_type type;
	int err;
	/* An upload is larger than any envelope that is signed. */
	const Pb__Envelope *e =
		wire_read(&pb__envelope__descriptor, frame, &wire_admin, q->arena, &err);

	if (e == NULL)
		return err;
	if (!envelope_type_of(e, &type))
		return ERR_WRONG_TYPE;
	if (type == ENVELOPE_COMMAND)
		return take_command(q, frame, reply);
	if (type == ENVELOPE_ROOT)
		return take_root(q, frame, reply);
	if (type == ENVELOPE_UPLOAD)
		return take_upload(q, wire_bytes(e->payload), reply);
	if (type == ENVELOPE_QUERY)
		return take_query(q, wire_bytes(e->payload), reply);
	return ERR_WRONG_TYPE;
}

/* ---- the answer ---- */

static const char *const hint_halted = "huiductl rollout approve NAME, to let it go on";

static const struct {
	int code;
	const char *hint;
} hints[] = {
	{ ERR_NO_ARTIFACT, "huiductl build publish FILE ..." },
	{ ERR_NOT_FOUND, "huiductl build list; huiductl rollout list" },
	{ ERR_CONFLICT, "huiductl rollout history, and try again" },
	{ ERR_BELOW_THRESHOLD, "huiductl build sign, with another release key" },
	{ ERR_CLOCK, "huiductl clock confirm, once the server's clock is right" },
};

static const char *hint_for(int code, const char *text)
{
	if (code == ERR_BUILD_HALTED && text != NULL)
		return hint_halted;
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].code == code)
			return hints[i].hint;
	return NULL;
}

static void add_checkpoint(struct query *q, Pb__AdminReply *reply)
{
	const struct state *s = control_state(q->server);
	Pb__Checkpoint *c = query_alloc(q, sizeof(*c));

	*c = (Pb__Checkpoint)PB__CHECKPOINT__INIT;
	c->size = s->log.size;
	c->root = wire_data(state_root(s), SHA256_LEN);
	c->repository = s->root->repository;
	c->time_ms = q->now_ms;
	reply->checkpoint = c;
}

static void refuse(struct query *q, int err, Pb__AdminReply *reply)
{
	bool has_received = reply->has_received;
	uint64_t received = reply->received;

	*reply = (Pb__AdminReply)PB__ADMIN_REPLY__INIT;
	reply->code = err;
	reply->text = q->text != NULL && q->text[0] != '\0' ? q->text : err_str(err);
	reply->hint = hint_for(err, q->text);
	reply->has_received = has_received;
	reply->received = received;
}

void admin_answer(struct admin *a, struct bytes frame, uint64_t now_ms, struct buf *out)
{
	struct query q = { .server = a->server, .arena = &a->arena, .now_ms = now_ms };
	Pb__AdminReply reply = PB__ADMIN_REPLY__INIT;
	Pb__Envelope envelope = PB__ENVELOPE__INIT;
	uint8_t *payload;
	int err;

	a->arena.used = 0;
	err = take(&q, frame, &reply);
	if (err != 0)
		refuse(&q, err, &reply);
	else
		add_checkpoint(&q, &reply);
	payload = query_alloc(&q, wire_size(&reply));
	envelope.payload = wire_data(payload, wire_write(&reply, payload));
	envelope.payload_type = envelope_type_str(ENVELOPE_REPLY);
	out->len = 0;
	out->len = wire_write(&envelope, buf_room(out, wire_size(&envelope)));
}
