/* SPDX-License-Identifier: Apache-2.0 */
/* fleet export: what import takes, read from the store, beside a server or without one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/base64.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/ctl/cmds.h"
#include "server/ctl/deployed.h"
#include "server/ctl/fleetfile.h"
#include "server/store/foreign.h"

#define RECORDS     4096u /* in one read transaction: pages it holds on to are not used again */
#define PROGRESS_MS 200u

/* 32 bytes a device that has one. */
struct token {
	uint8_t id[ID_LEN], token[TOKEN_LEN];
};

struct export_run {
	struct ctl *c;
	struct deployed deployed;
	struct token *tokens; /* by id */
	size_t n_tokens;
	FILE *out;
	bool json;
	uint64_t n;
	uint64_t last_ms;
	struct buf line;
};

/* ---- tokens ---- */

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct token *)a)->id, ((const struct token *)b)->id, ID_LEN);
}

static int read_tokens(struct export_run *r)
{
	struct store_cursor c;
	struct store_txn t;
	struct token one;
	size_t cap = 0;

	store_begin(r->deployed.store, &t, false);
	store_foreach(&c, &t, STORE_TOKEN, bytes_of(NULL, 0)) {
		if (!device_token_read(&c, one.token, one.id))
			continue;
		if (r->n_tokens == cap) {
			cap += cap / 2 + 1024;
			r->tokens = mem_resize(r->tokens, cap, sizeof(*r->tokens));
		}
		r->tokens[r->n_tokens++] = one;
	}
	if (r->n_tokens > 0)
		qsort(r->tokens, r->n_tokens, sizeof(*r->tokens), by_id);
	store_abort(&t);
	return t.err;
}

static const struct token *token_of(const struct export_run *r, const uint8_t id[ID_LEN])
{
	struct token key;

	memcpy(key.id, id, ID_LEN);
	return r->n_tokens == 0 ? NULL : bsearch(&key, r->tokens, r->n_tokens, sizeof(key), by_id);
}

/* ---- rows ---- */

struct words {
	char id[2 * ID_LEN + 1], build[FLEET_NAME_MAX], key[BASE64_LEN(33) + 1],
		token[2 * TOKEN_LEN + 1], day[16];
	const char *product, *ring, *wish;
	struct stored_foreign foreign; /* protocol 0: it is none of these */
	uint32_t last_seq;
	bool left;
};

static void words_of(const struct export_run *r, const struct device *d, struct words *w)
{
	const struct token *token = token_of(r, d->id);
	const char *build = deployed_build(&r->deployed, d->build);
	size_t n = 0;

	*w = (struct words){
		.product = deployed_product(&r->deployed, d->product),
		.ring = ring_str(d->ring),
		.wish = ring_str(d->wish),
		.last_seq = d->last_seq,
		.left = d->left,
	};
	(void)hex_encode(w->id, d->id, ID_LEN);
	if (build != NULL)
		(void)snprintf(w->build, sizeof(w->build), "%s", build);
	else if (d->build != 0)
		(void)snprintf(
			w->build, sizeof(w->build), "#%016llx", (unsigned long long)d->build);
	if (device_has_key(d))
		n = base64_write(bytes_of(d->public_key, sizeof(d->public_key)), w->key);
	w->key[n] = '\0';
	if (token != NULL)
		(void)hex_encode(w->token, token->token, TOKEN_LEN);
	fleet_day_write(d->enrolled_day, w->day);
}

/* It has a token of its own in its record. */
static void foreign_words(struct store_txn *t, const struct device *d, struct words *w)
{
	struct stored_foreign f;

	if (!foreign_get(t, d->id, &f))
		return;
	w->foreign = f;
	if (f.has_token)
		(void)hex_encode(w->token, f.token, TOKEN_LEN);
}

static void put_word(struct json *j, const char *key, const char *word)
{
	if (word[0] != '\0')
		json_str(j, key, word);
}

/* No word of a row has a quote in it, and only a name a comma. */
static void put_row(struct export_run *r, const struct words *w)
{
	const char *name = w->foreign.name, *quote = strchr(name, ',') != NULL ? "\"" : "";
	const char *protocol =
		name[0] != '\0' ? foreign_protocol_str(w->foreign.state.protocol) : "";
	struct json j = { &r->line, false };

	if (!r->json) {
		buf_printf(&r->line, "%s,%s,%s,%s,%s,%s,%s,%s,%u,%s,%s,%s%s%s\n", w->id, w->product,
			w->build, w->ring, w->wish, w->key, w->token, w->day, w->last_seq,
			w->left ? "true" : "", protocol, quote, name, quote);
		return;
	}
	json_object(&j, NULL);
	json_str(&j, "id", w->id);
	json_str(&j, "product", w->product);
	put_word(&j, "build", w->build);
	json_str(&j, "ring", w->ring);
	json_str(&j, "wish", w->wish);
	put_word(&j, "key", w->key);
	put_word(&j, "token_sha256", w->token);
	json_str(&j, "enrolled", w->day);
	json_u64(&j, "last_seq", w->last_seq);
	if (w->left)
		json_bool(&j, "left", true);
	put_word(&j, "protocol", protocol);
	put_word(&j, "name", name);
	json_end_object(&j);
	buf_str(&r->line, "\n");
}

static void show(struct export_run *r, bool end)
{
	uint64_t now_ms = clock_mono_ms();

	if (isatty(STDERR_FILENO) != 1 || isatty(fileno(r->out)) == 1 ||
		(!end && now_ms - r->last_ms < PROGRESS_MS))
		return;
	r->last_ms = now_ms;
	(void)fprintf(stderr, "\rExporting  %s devices %s", show_count(r->n).s,
		end ? "\n" : ""); /* only decoration */
}

/* Some thousand records behind `id`, which goes on to the last of them; false at the end. */
static bool write_some(struct export_run *r, uint8_t id[ID_LEN], bool first, int *err)
{
	struct store_cursor c;
	struct store_txn t;
	struct device d;
	struct words w;
	unsigned n = 0;

	r->line.len = 0;
	store_begin(r->deployed.store, &t, false);
	store_seek_from(&c, &t, STORE_DEVICE, bytes_of(NULL, 0), bytes_of(id, first ? 0 : ID_LEN));
	while (n < RECORDS && store_next(&c)) {
		if (!first && memcmp(c.key.p, id, c.key.n < ID_LEN ? c.key.n : ID_LEN) == 0)
			continue;
		n++;
		if (!device_read(&c, &d)) {
			t.err = ERR_CORRUPT;
			continue;
		}
		memcpy(id, d.id, ID_LEN);
		words_of(r, &d, &w);
		foreign_words(&t, &d, &w);
		first = false;
		if (r->c->args.product != NULL && strcmp(r->c->args.product, w.product) != 0)
			continue;
		put_row(r, &w);
		r->n++;
	}
	store_cursor_close(&c);
	*err = t.err;
	store_abort(&t);
	if (*err == 0 && r->line.len > 0 &&
		fwrite(r->line.data, 1, r->line.len, r->out) != r->line.len)
		*err = errno != 0 ? -errno : -EIO;
	return *err == 0 && n == RECORDS;
}

static int write_rows(struct export_run *r)
{
	uint8_t id[ID_LEN] = { 0 };
	bool first = true;
	int err = read_tokens(r);

	if (err == 0 && !r->json &&
		fputs("id,product,build,ring,wish,key,token_sha256,enrolled,last_seq,left,"
		      "protocol,name\n",
			r->out) < 0)
		err = -errno;
	while (err == 0 && write_some(r, id, first, &err)) {
		first = false;
		show(r, false);
	}
	if (err == 0 && fflush(r->out) != 0)
		err = -errno;
	return err;
}

/* ---- the file ---- */

/* Whole under its name, or not at all; nobody else's to read. */
static int write_file(struct export_run *r, const char *path)
{
	char *part = mem_printf("%s.part", path);
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : 0;

	r->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (err == 0 && r->out == NULL)
		err = -errno;
	if (err == 0)
		err = write_rows(r);
	if (err == 0)
		show(r, true);
	if (r->out != NULL && fclose(r->out) != 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(part, path) != 0)
		err = -errno;
	if (err != 0)
		(void)unlink(part); /* if it stays, its name says what it is */
	free(part);
	return err;
}

int cmd_fleet_export(struct ctl *c)
{
	const char *format = c->args.output, *path = c->args.words.v[0];
	struct export_run r = { .c = c, .json = format != NULL && format[0] == 'j' };
	int err = deployed_open(c, &r.deployed);

	if (err != 0)
		return err;
	r.out = stdout;
	err = c->args.words.n > 0 ? write_file(&r, path) : write_rows(&r);
	deployed_close(&r.deployed);
	free(r.tokens);
	buf_release(&r.line);
	return err == 0 ? 0
			: fail(exit_of(err), err == ERR_CORRUPT ? "huiductl store check" : "df -h",
				  "the export is not complete: %s", err_str(err));
}
