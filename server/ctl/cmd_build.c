/* SPDX-License-Identifier: Apache-2.0 */
/* build publish, build list */
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/json.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/table.h"
#include "server/ctl/targets.h"
#include "server/ctl/upload.h"

/* What the server's builds of this product make of the numbers that were not given. */
static int default_numbers(struct ctl *c, uint64_t *counter, uint64_t *index)
{
	uint64_t high_counter = 0, high_index = 0;
	struct reply r;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_BUILDS, NULL, &r);

	if (err != 0)
		return err;
	for (size_t i = 0; i < r.m->n_builds; i++) {
		const Pb__BuildView *b = r.m->builds[i];
		if (c->args.product == NULL || strcmp(b->product, c->args.product) != 0)
			continue;
		if (b->release_counter > high_counter)
			high_counter = b->release_counter;
		if (b->rollback_index > high_index)
			high_index = b->rollback_index;
	}
	reply_release(&r);
	*counter = c->args.counter.set ? c->args.counter.v : high_counter + 1;
	*index = c->args.rollback_index.set ? c->args.rollback_index.v : high_index;
	if (*index <= high_index)
		return 0;
	note("No way back: a device that boots this build (rollback index %llu, so far %llu)\n"
	     "can never again run an older one, whatever happens to the rollout.",
		(unsigned long long)*index, (unsigned long long)high_index);
	(void)ctl_confirm(c, "Raise the rollback index?", &err); /* err says the same */
	return err;
}

static void show(struct ctl *c, const Pb__Targets *t)
{
	struct buf text = { 0 };

	targets_show(&text, &c->errors, t);
	note_text(&text);
}

static int make_and_sign(struct ctl *c, const char *file, const struct hand *hand, struct arena *a,
	struct bytes *out)
{
	const Pb__Targets *t;
	uint64_t counter, index;
	int err = default_numbers(c, &counter, &index);

	if (err == 0)
		err = targets_make(c, file, counter, index, a, out);
	if (err != 0)
		return err;
	t = targets_peek(*out, a, &err);
	if (t != NULL) {
		show(c, t);
		err = hand_sign(hand, *out, a, out);
	}
	return err == 0 ? 0 : fail(exit_of(err), NULL, "signing: %s", err_str(err));
}

static int read_signed(const char *path, struct arena *a, struct bytes *out)
{
	struct buf b = { 0 };
	int err = file_read(path, TARGETS_ENV_MAX, &b);
	uint8_t *p = err == 0 ? arena_alloc(a, b.len) : NULL;

	if (p != NULL) {
		memcpy(p, b.data, b.len);
		*out = bytes_of(p, b.len);
	}
	buf_release(&b);
	return err == 0
		? 0
		: fail(exit_of(err), "huiductl help build publish", "%s: %s", path, err_str(err));
}

/* As the server will: enough release keys. */
static int verify(struct ctl *c, struct bytes envelope, struct arena *a, const Pb__Targets **out)
{
	struct signers who = { 0 };
	struct bytes payload;
	int err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_TARGETS, c->root->root,
		c->root->root->targets, a, &payload, &who);

	if (err == ERR_BELOW_THRESHOLD)
		return fail(EXIT_NOT_AUTHORISED,
			"huiductl build sign ENVELOPE.env --key NEXT.pem -o OUT.env, "
			"then build publish OUT.env FILE",
			"%u of %u release keys signed: not enough", who.n,
			c->root->root->targets->threshold);
	if (err == 0)
		*out = targets_peek(envelope, a, &err);
	if (err == 0 && (*out)->n_targets == 0)
		err = ERR_BAD_BUILD;
	return err == 0
		? 0
		: fail(exit_of(err), "huiductl help build sign", "the envelope: %s", err_str(err));
}

/* The file that somebody else described. */
static int check_file(const char *file, const Pb__Target *t)
{
	struct file_facts facts;
	int err = file_facts(file, &facts);

	if (err != 0)
		return fail(
			exit_of(err), "huiductl help build publish", "%s: %s", file, err_str(err));
	if (t->length == facts.length &&
		bytes_eq(wire_bytes(t->sha256), bytes_of(facts.sha256, SHA256_LEN)))
		return 0;
	return fail(EXIT_REFUSED, "sha256sum FILE", "%s: %s", file, err_str(ERR_BAD_HASH));
}

static int send_publish(struct ctl *c, struct bytes envelope, const struct held_key *key)
{
	Pb__AdminCommand command = PB__ADMIN_COMMAND__INIT;
	Pb__Publish publish = PB__PUBLISH__INIT;
	struct reply seen, r;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_CHECKPOINT, NULL, &seen);

	if (err != 0)
		return err;
	publish.targets = wire_data(envelope.p, envelope.n);
	command.publish = &publish;
	err = ctl_command(c, &command, key, seen.m->checkpoint, &r);
	if (err == 0)
		reply_release(&r);
	reply_release(&seen);
	return err;
}

static int tell_published(struct ctl *c, const Pb__Targets *t)
{
	const char *release = t->release != NULL ? t->release : t->build_id;
	struct buf out = { 0 };

	put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
	buf_printf(&out, " published %s for %s, counter %llu\n", t->build_id, t->product,
		(unsigned long long)t->release_counter);
	buf_printf(&out, "Next: huiductl rollout create %s --plan PLAN.yaml\n", release);
	return ctl_print(&out);
}

int cmd_build_publish(struct ctl *c)
{
	bool is_signed = c->args.words.n == 2;
	const char *file = c->args.words.v[c->args.words.n - 1];
	struct arena a = arena_new(TARGETS_ARENA);
	const Pb__Targets *t = NULL;
	struct bytes envelope;
	struct hand hand = { 0 };
	int err = ctl_root(c);

	if (err == 0)
		err = hand_take(
			c, HAND(RELEASE), is_signed ? 1 : c->root->root->targets->threshold, &hand);
	if (err == 0)
		err = is_signed ? read_signed(c->args.words.v[0], &a, &envelope)
				: make_and_sign(c, file, &hand, &a, &envelope);
	if (err == 0)
		err = verify(c, envelope, &a, &t);
	if (err == 0 && is_signed) {
		show(c, t);
		err = check_file(file, t->targets[0]);
	}
	if (err == 0)
		err = upload(c, file, t->targets[0]->length, t->targets[0]->sha256);
	if (err == 0)
		err = send_publish(c, envelope, &hand.key[0]);
	if (err == 0)
		err = tell_published(c, t);
	hand_release(&hand);
	free(a.base);
	return err;
}

static void list_json(struct buf *out, const Pb__AdminReply *m)
{
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.build/1");
	json_array(&j, "builds");
	for (size_t i = 0; i < m->n_builds; i++) {
		const Pb__BuildView *b = m->builds[i];
		json_object(&j, NULL);
		json_str(&j, "product", b->product);
		json_str(&j, "build", b->build_id);
		if (b->release != NULL)
			json_str(&j, "release", b->release);
		json_u64(&j, "counter", b->release_counter);
		json_u64(&j, "rollback_index", b->rollback_index);
		json_u64(&j, "length", b->length);
		json_hex(&j, "sha256", wire_bytes(b->sha256));
		json_time(&j, "published", b->published_ms);
		json_str(&j, "state", b->state);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

static void list_text(struct buf *out, const struct term *term, const Pb__AdminReply *m)
{
	static const struct column columns[] = { { "PRODUCT", false }, { "BUILD", false },
		{ "RELEASE", false }, { "COUNTER", true }, { "SIZE", true }, { "AGE", true },
		{ "STATE", false } };
	struct table t = { columns, sizeof(columns) / sizeof(columns[0]), NULL, 0 };
	uint64_t now_ms = m->checkpoint->time_ms;

	for (size_t i = 0; i < m->n_builds; i++) {
		const Pb__BuildView *b = m->builds[i];
		uint64_t age_ms = now_ms > b->published_ms ? now_ms - b->published_ms : 0;
		table_cell(&t, STYLE_PLAIN, "%s", b->product);
		table_cell(&t, STYLE_PLAIN, "%s", b->build_id);
		table_cell(&t, STYLE_PLAIN, "%s", b->release != NULL ? b->release : "-");
		table_cell(&t, STYLE_PLAIN, "%llu", (unsigned long long)b->release_counter);
		table_cell(&t, STYLE_PLAIN, "%s", show_size(b->length).s);
		table_cell(&t, STYLE_PLAIN, "%s", show_age(age_ms).s);
		table_cell(&t, STYLE_PLAIN, "%s", b->state);
	}
	table_print(&t, term, out);
}

int cmd_build_list(struct ctl *c)
{
	struct buf out = { 0 };
	struct reply r;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_BUILDS, NULL, &r);

	if (err != 0)
		return err;
	if (ctl_json(c))
		list_json(&out, r.m);
	else if (r.m->n_builds > 0)
		list_text(&out, &c->term, r.m);
	else
		note("no build yet. Next: huiductl build publish FILE --product P --build ID");
	reply_release(&r);
	return ctl_print(&out);
}
