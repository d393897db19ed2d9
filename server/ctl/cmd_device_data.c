/* SPDX-License-Identifier: Apache-2.0 */
/* device export, device erase: what people may ask of who keeps data about their phone. */
#include "proto/base64.h"
#include "server/base/json.h"
#include "server/base/mem.h"
#include "server/core/ring.h"
#include "server/ctl/cmds.h"
#include "server/ctl/deployed.h"
#include "server/store/entry.h"
#include "server/store/novel.h"
#include "server/trust/named.h"

#define DAY_MS      86400000ull
#define ENTRY_ARENA ((size_t)512 * 1024)

static int read_id(const char *word, uint8_t id[ID_LEN])
{
	if (hex_decode(id, ID_LEN, word))
		return 0;
	return fail(EXIT_USAGE, "huiductl device export ID, as the device shows it",
		"'%s' is no device: an id is 32 hex digits", word);
}

/* ---- export ---- */

static void put_record(
	struct json *j, const struct deployed *d, struct store_txn *t, const struct device *dev)
{
	const char *build = deployed_build(d, dev->build);
	char key[BASE64_LEN(33) + 1];
	uint8_t hash[8];
	struct store_cursor c;

	json_str(j, "product", deployed_product(d, dev->product));
	json_str(j, "ring", ring_str(dev->ring));
	json_str(j, "wish", ring_str(dev->wish));
	json_bool(j, "waiting", dev->wish < dev->ring && !dev->left);
	json_bool(j, "left", dev->left);
	json_time(j, "enrolled", dev->enrolled_day * DAY_MS);
	json_u64(j, "last_seq", dev->last_seq);
	if (build != NULL)
		json_str(j, "build", build);
	put_be64(hash, dev->build);
	json_hex(j, "build_hash", bytes_of(hash, sizeof(hash)));
	json_u64(j, "failed_tag", dev->failed_tag);
	if (device_has_key(dev)) {
		key[base64_write(bytes_of(dev->public_key, sizeof(dev->public_key)), key)] = '\0';
		json_str(j, "key", key);
	}
	json_array(j, "tokens_sha256");
	store_foreach(&c, t, STORE_TOKEN, bytes_of(NULL, 0)) {
		uint8_t token[TOKEN_LEN], id[ID_LEN];
		if (device_token_read(&c, token, id) && memcmp(id, dev->id, ID_LEN) == 0)
			json_hex(j, NULL, bytes_of(token, sizeof(token)));
	}
	json_end_array(j);
}

static void put_arm(struct json *j, struct stage_key key, const struct evidence_device *d)
{
	json_object(j, NULL);
	json_u64(j, "rollout", key.rollout);
	json_u64(j, "step", key.step);
	json_str(j, "arm", d->arm == ARM_CANARY ? "canary" : "control");
	json_time(j, "entered", d->entered_ms);
	json_time(j, "installing", d->installing_ms);
	json_u64(j, "last_seq", d->seq);
	json_bool(j, "left", d->gone);
	json_array(j, "first_events"); /* streams by number, as docs/health-gate.md has them */
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		if (d->seen >> s & 1)
			json_u64(j, NULL, s);
	json_end_array(j);
	json_end_object(j);
}

/* By the stages there are: an arm's record begins with its stage, not with its device. */
static void put_arms(struct json *j, struct store_txn *t, const struct device *dev)
{
	struct store_cursor c;
	struct stage_key key;
	uint16_t product;

	json_array(j, "arms");
	store_foreach(&c, t, STORE_STAGE, bytes_of(NULL, 0)) {
		struct evidence_device d;
		if (stage_key_read(&c, &key, &product) && product == dev->product &&
			arm_get(t, key, dev->id, &d))
			put_arm(j, key, &d);
	}
	json_end_array(j);
	json_array(j, "crash_signatures");
	store_foreach(&c, t, STORE_NOVEL, bytes_of(NULL, 0)) {
		uint8_t signature[SIGNATURE_LEN];
		struct novel n;
		if (!novel_read(&c, signature, &n))
			continue;
		key = (struct stage_key){ get_be32(c.key.p), c.key.p[4] };
		if (hit_has(t, key, signature, dev->id))
			json_hex(j, NULL, bytes_of(signature, SIGNATURE_LEN));
	}
	json_end_array(j);
}

static void put_entries(struct json *j, struct store_txn *t, const uint8_t id[ID_LEN])
{
	struct arena a = { mem_alloc(ENTRY_ARENA), ENTRY_ARENA, 0 };
	struct bytes entry;

	json_array(j, "log_entries");
	for (uint64_t i = 0; entry_get(t, i, &entry); i++)
		if (named_in_entry(entry, id, &a))
			json_u64(j, NULL, i);
	json_end_array(j);
	free(a.base);
}

static int export_device(const struct deployed *d, const uint8_t id[ID_LEN], struct buf *out)
{
	struct json j = { out, false };
	struct store_txn t;
	struct device dev;
	bool found;
	int err;

	store_begin(d->store, &t, false);
	found = device_get(&t, id, &dev);
	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.device-data/1");
	json_hex(&j, "device", bytes_of(id, ID_LEN));
	json_bool(&j, "kept", found);
	if (found) {
		put_record(&j, d, &t, &dev);
		put_arms(&j, &t, &dev);
	}
	put_entries(&j, &t, id);
	json_end_object(&j);
	buf_str(out, "\n");
	err = t.err;
	store_abort(&t);
	return err;
}

int cmd_device_export(struct ctl *c)
{
	struct deployed d;
	struct buf out = { 0 };
	uint8_t id[ID_LEN];
	int err = read_id(c->args.words.v[0], id);

	if (err == 0)
		err = deployed_open(c, &d);
	if (err != 0)
		return err;
	err = export_device(&d, id, &out);
	deployed_close(&d);
	if (err == 0)
		return ctl_print(&out);
	buf_release(&out);
	return fail(exit_of(err), "huiductl store check", "store: %s", err_str(err));
}

/* ---- erase ---- */

int cmd_device_erase(struct ctl *c)
{
	const char *word = c->args.words.v[0];
	struct json j = { NULL, false };
	struct buf out = { 0 };
	uint8_t id[ID_LEN];
	struct reply r;
	int err = read_id(word, id);

	c->next = "ask the device for its id again";
	if (err != 0 ||
		!ctl_confirm(c, "Erase all that is kept of it? It cannot be brought back.", &err))
		return err;
	err = ctl_query(c, PB__QUERY_KIND__QUERY_ERASE, word, &r);
	if (err != 0)
		return err;
	if (ctl_json(c)) {
		j.out = &out;
		json_object(&j, NULL);
		json_str(&j, "schema", "huidu.device-erased/1");
		json_hex(&j, "device", bytes_of(id, ID_LEN));
		json_str(&j, "text", r.m->text != NULL ? r.m->text : "");
		json_end_object(&j);
		buf_str(&out, "\n");
	} else {
		put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
		buf_printf(&out, " erased: %s\nNext: huiductl device export %s\n",
			r.m->text != NULL ? r.m->text : "", word);
	}
	reply_release(&r);
	return ctl_print(&out);
}
