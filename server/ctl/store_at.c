/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/store_at.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/envelope.h"
#include "server/base/mem.h"
#include "server/store/check.h"
#include "server/store/entry.h"

#define ARENA_SIZE ((size_t)1024 * 1024)
#define FIRST      10u /* findings that are told where the file is refused for them */

/* ---- where ---- */

static int find_config(struct ctl *c, char **out)
{
	const char *slash;
	int err;

	if (c->args.config != NULL) {
		*out = mem_strdup(c->args.config);
		return 0;
	}
	err = ctl_context(c);
	if (err != 0)
		return err;
	slash = strrchr(c->context.file, '/');
	*out = mem_printf("%.*shuidud.yaml", (int)(slash == NULL ? 0 : slash + 1 - c->context.file),
		c->context.file);
	return 0;
}

int store_at_find(struct ctl *c, struct store_at *out)
{
	char error[YAML_ERROR_MAX];
	int err;

	*out = (struct store_at){ 0 };
	err = find_config(c, &out->file);
	if (err != 0)
		return err;
	err = config_load(out->file, &out->config, error);
	if (err != 0) {
		free(out->file);
		out->file = NULL;
		return fail(err == ERR_CONFIG ? EXIT_USAGE : exit_of(err),
			"--config FILE, the server's huidud.yaml", "%s", error);
	}
	out->store = mem_printf("%s/store", out->config.data);
	out->journal = mem_printf("%s/journal", out->config.data);
	out->ledger = mem_printf("%s/ledger", out->config.online);
	return 0;
}

void store_at_release(struct store_at *s)
{
	if (s->file != NULL)
		config_release(&s->config);
	free(s->file);
	free(s->store);
	free(s->journal);
	free(s->ledger);
}

int store_at_open(const char *path, struct store **out)
{
	char error[256];

	if (access(path, F_OK) != 0 && errno == ENOENT)
		return fail(EXIT_NOT_FOUND, "huidud, which makes a store at its first start",
			"%s: there is none", path);
	if (access(path, R_OK) != 0 && errno == EACCES)
		return fail(EXIT_NOT_AUTHORISED, "the same as the user that runs huidud",
			"%s: you may not read it", path);
	if (store_open_read(path, out, error) == 0)
		return 0;
	return fail(EXIT_FAILED, "huiductl help store restore", "%s", error);
}

uint64_t disk_free(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? mem_strdup(".") : mem_strdup(path);
	struct statvfs st;
	uint64_t n = 0;

	if (slash != NULL)
		folder[slash == path ? 1 : slash - path] = '\0';
	if (statvfs(folder, &st) == 0)
		n = (uint64_t)st.f_bavail * st.f_frsize;
	free(folder);
	return n;
}

/* ---- when ---- */

static uint64_t issued_ms(struct bytes envelope, struct arena *a)
{
	int err;
	const Pb__Envelope *e = envelope_read(envelope, a, &err);
	const Pb__Timestamp *t = e == NULL ? NULL
					   : wire_read(&pb__timestamp__descriptor,
						     wire_bytes(e->payload), &wire_signed, a, &err);

	return t != NULL ? t->issued_at * 1000 : 0;
}

static uint64_t entry_ms(struct store_txn *t, struct arena *a)
{
	uint64_t n = entry_count(t);
	const Pb__LogEntry *m;
	struct bytes entry;
	int err;

	if (n == 0 || !entry_get(t, n - 1, &entry))
		return 0;
	m = wire_read(&pb__log_entry__descriptor, entry, &wire_signed, a, &err);
	return m != NULL ? m->time_ms : 0;
}

uint64_t stored_last_ms(struct store_txn *t)
{
	struct arena a = { mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	uint64_t last_ms = entry_ms(t, &a);
	struct store_cursor c;

	store_foreach(&c, t, STORE_ENVELOPE, bytes_str("timestamp/")) {
		uint64_t ms;
		a.used = 0;
		ms = issued_ms(c.value, &a);
		last_ms = ms > last_ms ? ms : last_ms;
	}
	free(a.base);
	return last_ms;
}

/* ---- whole ---- */

int in_child(int (*run)(void *ctx), void *ctx)
{
	int status;
	pid_t pid;

	(void)fflush(NULL); /* or both would write it */
	pid = fork();
	if (pid == 0) {
		int code = run(ctx);
		(void)fflush(NULL); /* whoever reads it will miss it */
		_exit(code);
	}
	if (pid < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void put_record(struct buf *out, enum store_table table, struct bytes key)
{
	char hex[2 * 64 + 1];

	buf_str(out, store_table_str(table));
	if (key.n == 0)
		return;
	if (table == STORE_LOG && key.n == 8)
		buf_printf(out, " %llu", (unsigned long long)get_be64(key.p));
	else if (table == STORE_META || table == STORE_ENVELOPE)
		buf_printf(out, " %.*s", (int)key.n, (const char *)key.p);
	else
		buf_printf(out, " %s", hex_encode(hex, key.p, key.n < 64 ? key.n : 64));
}

static void tell(void *ctx, const struct store_finding *f)
{
	unsigned *n = ctx;
	struct buf line = { 0 };

	if ((*n)++ >= FIRST)
		return;
	put_record(&line, f->table, f->key);
	buf_printf(&line, " %s\n", f->says);
	note_text(&line);
}

static int check(void *path)
{
	unsigned n = 0;
	struct store_check c = { .found = tell, .ctx = &n };
	struct store_txn t;
	struct store *s;
	int err = store_at_open(path, &s);

	if (err != 0)
		return err;
	store_begin(s, &t, false);
	err = store_check(&t, &c);
	store_abort(&t);
	store_close(s);
	if (err == 0)
		return 0;
	if (n > FIRST)
		note("and %u more", n - FIRST);
	return fail(EXIT_FAILED, "another backup", "%s: it is not whole", (const char *)path);
}

int store_at_check(const char *path)
{
	union {
		const char *in;
		void *out; /* it is only read */
	} u = { path };
	int code = in_child(check, u.out);

	return code >= 0
		? code
		: fail(EXIT_FAILED, "another backup", "%s: its pages cannot be read", path);
}
