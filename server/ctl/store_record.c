/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/store_record.h"

#include <stdio.h>

#include "proto/envelope.h"
#include "server/base/mem.h"
#include "server/store/foreign.h"
#include "server/store/novel.h"

#define DAY_MS 86400000ull

/* ---- names ---- */

static const char *const stream_word[STREAM__COUNT] = { "crash", "crash_loop", "symptom_0",
	"symptom_1", "symptom_2", "symptom_3", "symptom_4", "symptom_5", "symptom_6", "symptom_7",
	"silent", "boot_failed", "install_failed", "rolled_back", "s1", "downloaded", "installing",
	"installed", "boot_ok", "resolved", "entered", "held", "judged", "s1_due", "signature" };
static const char *const arm_word[ARM__COUNT] = { "canary", "control" };

/* "product/phone-a" has the number that devices have. */
static void name_of(struct dump *d, const char *kind, uint16_t number)
{
	struct store_cursor c;
	char prefix[16], name[128] = "";

	(void)snprintf(prefix, sizeof(prefix), "%s/", kind);
	store_foreach(&c, d->t, STORE_META, bytes_str(prefix)) {
		size_t n = c.key.n - strlen(prefix);
		if (c.damaged || c.value.n != 2 || get_be16(c.value.p) != number ||
			n >= sizeof(name))
			continue;
		memcpy(name, c.key.p + strlen(prefix), n);
		name[n] = '\0';
		store_cursor_close(&c);
		break;
	}
	if (name[0] != '\0')
		json_str(&d->j, kind, name);
	else
		json_u64(&d->j, kind, number);
}

static void arms(struct dump *d, const char *key, uint64_t canary, uint64_t control)
{
	json_object(&d->j, key);
	json_u64(&d->j, arm_word[ARM_CANARY], canary);
	json_u64(&d->j, arm_word[ARM_CONTROL], control);
	json_end_object(&d->j);
}

static void stage_words(struct dump *d, const uint8_t *key)
{
	json_u64(&d->j, "rollout", get_be32(key));
	json_u64(&d->j, "step", key[4]);
}

/* ---- records ---- */

static bool is_printable(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < ' ' || b.p[i] > '~')
			return false;
	return b.n > 0;
}

static void name(struct dump *d, struct bytes key)
{
	char *text = mem_printf("%.*s", (int)key.n, (const char *)key.p);

	if (is_printable(key))
		json_str(&d->j, "name", text);
	else
		json_hex(&d->j, "name", key);
	free(text);
}

/* "serial-secret": what ids are derived with is nobody's to see. */
static bool is_secret(struct bytes key)
{
	struct bytes end = bytes_str("-secret");

	return key.n >= end.n && memcmp(key.p + key.n - end.n, end.p, end.n) == 0;
}

static bool meta(struct dump *d, const struct store_cursor *c)
{
	name(d, c->key);
	if (is_secret(c->key))
		json_bool(&d->j, "secret", true);
	else if (c->value.n == 2)
		json_u64(&d->j, "value", get_be16(c->value.p));
	else if (c->value.n == 4)
		json_u64(&d->j, "value", get_be32(c->value.p));
	else if (c->value.n == 8)
		json_u64(&d->j, "value", get_be64(c->value.p));
	else
		json_hex(&d->j, "value", c->value);
	return true;
}

/* "director" of "application/vnd.huidu.director.v1+protobuf" */
static void type_word(struct dump *d, const Pb__Envelope *e)
{
	static const char before[] = "application/vnd.huidu.";
	size_t skip = sizeof(before) - 1;
	const char *end = strstr(e->payload_type, ".v1+");
	char *word;

	if (end == NULL || strncmp(e->payload_type, before, skip) != 0)
		return;
	word = mem_printf(
		"%.*s", (int)(end - e->payload_type - (long)skip), e->payload_type + skip);
	json_str(&d->j, "type", word);
	free(word);
}

static bool envelope_words(struct dump *d, struct bytes envelope)
{
	int err;
	const Pb__Envelope *e = envelope_read(envelope, &d->arena, &err);

	if (e == NULL)
		return false;
	type_word(d, e);
	json_u64(&d->j, "bytes", envelope.n);
	json_array(&d->j, "signed_by");
	for (size_t i = 0; i < e->n_signatures; i++)
		json_hex(&d->j, NULL, wire_bytes(e->signatures[i]->keyid));
	json_end_array(&d->j);
	json_hex(&d->j, "payload", wire_bytes(e->payload));
	return true;
}

static bool log_entry(struct dump *d, const struct store_cursor *c)
{
	int err;
	const Pb__LogEntry *m =
		wire_read(&pb__log_entry__descriptor, c->value, &wire_signed, &d->arena, &err);

	if (m == NULL || c->key.n != 8)
		return false;
	json_u64(&d->j, "index", get_be64(c->key.p));
	json_time(&d->j, "time", m->time_ms);
	return envelope_words(d, wire_bytes(m->envelope));
}

static bool envelope(struct dump *d, const struct store_cursor *c)
{
	char *note;

	name(d, c->key);
	if (!bytes_eq(c->key, bytes_str("checkpoint")))
		return envelope_words(d, c->value);
	note = mem_printf("%.*s", (int)c->value.n, (const char *)c->value.p);
	json_str(&d->j, "note", note);
	free(note);
	return true;
}

static bool device(struct dump *d, const struct store_cursor *c)
{
	struct device x;

	if (!device_read(c, &x))
		return false;
	json_hex(&d->j, "device", c->key);
	name_of(d, "product", x.product);
	json_str(&d->j, "ring", ring_str(x.ring));
	json_str(&d->j, "wish", ring_str(x.wish));
	json_bool(&d->j, "left", x.left);
	json_time(&d->j, "enrolled", x.enrolled_day * DAY_MS);
	json_u64(&d->j, "last_seq", x.last_seq);
	json_u64(&d->j, "failed_tag", x.failed_tag);
	json_u64(&d->j, "build_hash", x.build);
	json_hex(&d->j, "public_key", bytes_of(x.public_key, sizeof(x.public_key)));
	return true;
}

/* Keys and tokens. */
static bool names_device(struct dump *d, const struct store_cursor *c)
{
	json_hex(&d->j, "sha256_first_half", c->key);
	json_hex(&d->j, "device", c->value);
	return true;
}

static bool foreign(struct dump *d, const struct store_cursor *c)
{
	struct stored_foreign f;
	uint8_t id[ID_LEN];

	if (!foreign_read(c, id, &f))
		return false;
	json_hex(&d->j, "device", c->key);
	json_str(&d->j, "protocol", foreign_protocol_str(f.state.protocol));
	json_str(&d->j, "name", f.name);
	json_bool(&d->j, "has_token", f.has_token);
	json_str(&d->j, "state", foreign_state_str(f.state.state));
	json_bool(&d->j, "cancelling", f.state.cancelling);
	json_bool(&d->j, "tells_build", f.state.tells_build);
	json_bool(&d->j, "asked_for_build", f.state.wants);
	json_u64(&d->j, "counted", f.state.counted);
	json_u64(&d->j, "action", f.state.action);
	json_u64(&d->j, "build_hash", f.state.build);
	json_u64(&d->j, "release_counter", f.state.counter);
	json_u64(&d->j, "runs_hash", f.state.runs);
	json_time(&d->j, "since", f.state.since_ms);
	return true;
}

static bool waiting(struct dump *d, const struct store_cursor *c)
{
	uint8_t id[ID_LEN];
	enum ring wish = waiting_read(c, id);

	if (d->t->err != 0)
		return false;
	name_of(d, "line", get_be16(c->key.p));
	json_hex(&d->j, "device", bytes_of(id, ID_LEN));
	json_str(&d->j, "wish", ring_str(wish));
	return true;
}

static bool arm(struct dump *d, const struct store_cursor *c)
{
	struct evidence_device e;
	struct stage_key stage;
	uint8_t id[ID_LEN];

	if (!arm_read(c, &stage, id, &e))
		return false;
	stage_words(d, c->key.p);
	json_hex(&d->j, "device", bytes_of(id, ID_LEN));
	json_str(&d->j, "arm", arm_word[e.arm]);
	json_u64(&d->j, "group", e.group);
	json_bool(&d->j, "gone", e.gone);
	json_u64(&d->j, "seq", e.seq);
	json_time(&d->j, "entered", e.entered_ms);
	json_u64(&d->j, "entered_batch", e.entered_batch);
	json_u64(&d->j, "slot", e.slot);
	json_time(&d->j, "installing", e.installing_ms);
	json_array(&d->j, "had");
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		if (e.seen >> s & 1)
			json_str(&d->j, NULL, stream_word[s]);
	json_end_array(&d->j);
	return true;
}

static bool stage(struct dump *d, const struct store_cursor *c)
{
	struct evidence e;

	if (c->key.n != 7 ||
		!stage_get(d->t, (struct stage_key){ get_be32(c->key.p), c->key.p[4] },
			get_be16(c->key.p + 5), &e))
		return false;
	stage_words(d, c->key.p);
	name_of(d, "product", get_be16(c->key.p + 5));
	json_time(&d->j, "started", e.started_ms);
	json_u64(&d->j, "settle_ms", e.settle_ms);
	json_u64(&d->j, "batch", e.batch);
	json_time(&d->j, "batch_opened", e.opened_ms);
	json_u64(&d->j, "batch_events", e.events);
	json_u64(&d->j, "closed_groups", e.closed_groups);
	arms(d, "entered", e.entered[ARM_CANARY], e.entered[ARM_CONTROL]);
	json_object(&d->j, "had");
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		if (e.total[ARM_CANARY][s] + e.total[ARM_CONTROL][s] > 0)
			arms(d, stream_word[s], e.total[ARM_CANARY][s], e.total[ARM_CONTROL][s]);
	json_end_object(&d->j);
	return true;
}

static bool row(struct dump *d, const struct store_cursor *c)
{
	struct stored_row r;
	uint64_t number;

	if (!row_unpack(c->key, c->value, &number, &r))
		return false;
	json_u64(&d->j, "rollout", r.stage.rollout);
	json_u64(&d->j, "number", number);
	json_u64(&d->j, "step", r.stage.step);
	name_of(d, "product", r.product);
	json_str(&d->j, "stream", stream_word[r.row.stream]);
	json_u64(&d->j, "batch", r.row.batch);
	json_time(&d->j, "closed", r.row.closed_ms);
	json_bool(&d->j, "young", r.row.age == AGE_YOUNG);
	json_u64(&d->j, "signature", r.row.signature);
	arms(d, "events", r.row.xc, r.row.xk);
	arms(d, "at_risk", r.row.ec, r.row.ek);
	return true;
}

static bool seen(struct dump *d, const struct store_cursor *c)
{
	if (c->key.n != 2 + SIGNATURE_LEN || c->value.n != 8)
		return false;
	name_of(d, "line", get_be16(c->key.p));
	json_hex(&d->j, "signature", bytes_of(c->key.p + 2, SIGNATURE_LEN));
	json_time(&d->j, "first", get_be64(c->value.p));
	return true;
}

static bool novel(struct dump *d, const struct store_cursor *c)
{
	uint8_t signature[SIGNATURE_LEN];
	struct novel n;

	if (!novel_read(c, signature, &n))
		return false;
	stage_words(d, c->key.p);
	json_hex(&d->j, "signature", bytes_of(signature, SIGNATURE_LEN));
	if (n.number != NOVEL_ONCE)
		json_u64(&d->j, "number", n.number);
	json_time(&d->j, "first", n.first_ms);
	arms(d, "open", n.open[ARM_CANARY], n.open[ARM_CONTROL]);
	arms(d, "devices", n.total[ARM_CANARY], n.total[ARM_CONTROL]);
	return true;
}

static bool hit(struct dump *d, const struct store_cursor *c)
{
	if (c->key.n != 5 + 8 + ID_LEN)
		return false;
	stage_words(d, c->key.p);
	json_hex(&d->j, "signature", bytes_of(c->key.p + 5, 8));
	json_hex(&d->j, "device", bytes_of(c->key.p + 13, ID_LEN));
	return true;
}

static bool (*const writers[STORE__COUNT])(struct dump *, const struct store_cursor *) = {
	[STORE_META] = meta,
	[STORE_LOG] = log_entry,
	[STORE_ENVELOPE] = envelope,
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

static void begin(struct dump *d, enum store_table table)
{
	d->j.comma = false;
	json_object(&d->j, NULL);
	json_str(&d->j, "schema", "huidu.store-record/1");
	json_str(&d->j, "kind", store_table_str(table));
}

void dump_record(struct dump *d, enum store_table table, const struct store_cursor *c)
{
	size_t before = d->j.out->len;

	d->arena.used = 0;
	begin(d, table);
	if (c->damaged || !writers[table](d, c)) {
		d->j.out->len = before;
		begin(d, table);
		json_bool(&d->j, "damaged", true);
		json_hex(&d->j, "key", c->key);
		json_hex(&d->j, "value", c->value);
	}
	d->t->err = 0; /* a damaged one is told as such, and the next one is looked at */
	json_end_object(&d->j);
	buf_str(d->j.out, "\n");
}
