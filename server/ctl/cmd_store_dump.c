/* SPDX-License-Identifier: Apache-2.0 */
/* store dump: records in words, a line of JSON each. */
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/sign.h"
#include "server/ctl/store_at.h"
#include "server/ctl/store_record.h"
#include "server/ctl/table.h"

#define ENTRY_ARENA ((size_t)1024 * 1024)
#define FLUSH_BYTES 65536u

static int dump(struct dump *d, enum store_table table, struct bytes prefix)
{
	struct buf out = { 0 };
	struct store_cursor c;
	int err = 0;

	d->j.out = &out;
	d->arena = arena_new(ENTRY_ARENA);
	store_seek(&c, d->t, table, prefix);
	while (err == 0 && store_next(&c)) {
		dump_record(d, table, &c);
		if (out.len >= FLUSH_BYTES)
			err = ctl_print(&out);
	}
	store_cursor_close(&c);
	free(d->arena.base);
	if (err == 0)
		err = ctl_print(&out);
	if (err == 0 && d->t->err != 0)
		err = fail(EXIT_FAILED, "huiductl store check", "%s: %s", store_table_str(table),
			err_str(d->t->err));
	buf_release(&out);
	return err;
}

static int list_kinds(struct ctl *c, struct store_txn *t)
{
	static const struct column columns[] = { { "KIND", false }, { "RECORDS", true } };
	struct table table = { .columns = columns, .n_columns = 2 };
	struct buf out = { 0 };

	for (unsigned i = 0; i < STORE__COUNT; i++) {
		table_cell(&table, STYLE_PLAIN, "%s", store_table_str((enum store_table)i));
		table_cell(&table, STYLE_PLAIN, "%s",
			show_count(store_count(t, (enum store_table)i)).s);
	}
	table_print(&table, &c->term, &out);
	buf_str(&out, "Next: huiductl store dump KIND\n");
	return ctl_print(&out);
}

static int find_kind(const char *word, enum store_table *out)
{
	for (unsigned i = 0; i < STORE__COUNT; i++)
		if (strcmp(word, store_table_str((enum store_table)i)) == 0) {
			*out = (enum store_table)i;
			return 0;
		}
	return fail(EXIT_USAGE, "huiductl store dump, for the kinds there are",
		"'%s' is no kind of record", word);
}

static int read_prefix(const char *hex, uint8_t out[STORE_KEY_MAX], size_t *n)
{
	*n = hex == NULL ? 0 : strlen(hex) / 2;
	if (hex == NULL || (*n < STORE_KEY_MAX && hex_decode(out, *n, hex)))
		return 0;
	return fail(EXIT_USAGE, "--prefix 9f3c, an even number of hex digits",
		"--prefix '%s': no bytes of a key", hex);
}

int cmd_store_dump(struct ctl *c)
{
	const char *word = c->args.words.n > 0 ? c->args.words.v[0] : NULL;
	enum store_table table = STORE_META;
	uint8_t prefix[STORE_KEY_MAX];
	struct store *s = NULL;
	struct store_at at = { 0 };
	struct store_txn t;
	size_t n = 0;
	int err = word != NULL ? find_kind(word, &table) : 0;

	if (err == 0)
		err = read_prefix(c->args.prefix, prefix, &n);
	if (err == 0)
		err = store_at_find(c, &at);
	if (err == 0)
		err = store_at_open(at.store, &s);
	if (err == 0) {
		struct dump d = { .t = &t };
		store_begin(s, &t, false);
		t.tolerant = true;
		err = word != NULL ? dump(&d, table, bytes_of(prefix, n)) : list_kinds(c, &t);
		store_abort(&t);
	}
	store_close(s);
	store_at_release(&at);
	return err;
}
