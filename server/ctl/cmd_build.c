/* SPDX-License-Identifier: Apache-2.0 */
/* build publish, build list */
#include "server/base/file.h"
#include "server/base/json.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/publish.h"
#include "server/ctl/table.h"
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
		targets_note(c, t);
		err = hand_sign(hand, *out, a, out);
	}
	return err == 0 ? 0 : fail(exit_of(err), NULL, "signing: %s", err_str(err));
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

/* What others signed: with the file, or, when it is only signed anew, without. */
static int take_signed(struct ctl *c, const char *file, struct bytes envelope, struct arena *a)
{
	const Pb__Targets *t;
	int err = publish_verify(c, envelope, a, &t);

	if (err != 0)
		return err;
	targets_note(c, t);
	if (file != NULL)
		return check_file(file, t->targets[0]);
	c->next = "huiductl build publish OUT.env FILE";
	return 0;
}

/* The first word is an envelope, or the file of a build that is to be described. */
static int find_words(
	struct ctl *c, struct arena *a, bool *is_signed, const char **file, struct bytes *out)
{
	const struct arg_list *words = &c->args.words;
	int err = targets_read(c, words->v[0], a, is_signed, out);

	if (err == 0 && words->n == 2 && !*is_signed)
		return fail(EXIT_USAGE, "huiductl help build publish", "%s: no envelope of a build",
			words->v[0]);
	*file = *is_signed ? (words->n == 2 ? words->v[1] : NULL) : words->v[0];
	return err;
}

int cmd_build_publish(struct ctl *c)
{
	struct arena a = arena_new(2 * TARGETS_ARENA);
	const Pb__Targets *t = NULL;
	const char *file = NULL;
	struct bytes envelope;
	struct hand hand = { 0 };
	bool is_signed = false;
	int err = ctl_root(c);

	if (err == 0)
		err = find_words(c, &a, &is_signed, &file, &envelope);
	if (err == 0)
		err = hand_take(
			c, HAND(RELEASE), is_signed ? 1 : c->root->root->targets->threshold, &hand);
	if (err == 0)
		err = is_signed ? take_signed(c, file, envelope, &a)
				: make_and_sign(c, file, &hand, &a, &envelope);
	if (err == 0)
		err = publish_verify(c, envelope, &a, &t);
	if (err == 0 && file != NULL)
		err = upload(c, file, t->targets[0]->length, t->targets[0]->sha256, false);
	if (err == 0)
		err = publish_send(c, envelope, t, &hand.key[0]);
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
		if (b->sha256.len > 0) { /* of the factory there is no file */
			json_u64(&j, "length", b->length);
			json_hex(&j, "sha256", wire_bytes(b->sha256));
			json_time(&j, "published", b->published_ms);
		}
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
		table_cell(&t, STYLE_PLAIN, "%s", b->length > 0 ? show_size(b->length).s : "-");
		table_cell(&t, STYLE_PLAIN, "%s", b->length > 0 ? show_age(age_ms).s : "-");
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
