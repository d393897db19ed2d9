/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/ctl/follow.h"

#define OVERHEAD 4096u

void ctl_release(struct ctl *c)
{
	conn_close(c->conn);
	rootfile_free(c->root);
	context_release(&c->context);
}

int ctl_context(struct ctl *c)
{
	char error[YAML_ERROR_MAX];
	char *file;
	int err;

	if (c->context.file != NULL)
		return 0;
	file = context_find(c->args.context);
	if (file == NULL)
		return fail(EXIT_USAGE, "huiductl init DIR, or huiductl --context FILE ...",
			"no huiductl.yaml here or in a folder above");
	err = context_load(file, &c->context, error);
	free(file);
	return err == 0 ? 0
			: fail(err == ERR_CONFIG ? EXIT_USAGE : exit_of(err),
				  "huiductl help init, for what the file holds", "%s", error);
}

int ctl_root(struct ctl *c)
{
	int err = ctl_context(c);

	if (err != 0 || c->root != NULL)
		return err;
	err = rootfile_read(c->context.root, &c->root);
	if (err != 0)
		return fail(exit_of(err), "set root: to the deployment's root.env",
			"%s: root: %s: %s", c->context.file, c->context.root, err_str(err));
	if (strcmp(c->root->root->repository, c->context.repository) != 0)
		return fail(EXIT_REFUSED, "set root: or repository: to match",
			"%s: repository '%s', but %s is for '%s'", c->context.file,
			c->context.repository, c->context.root, c->root->root->repository);
	return 0;
}

static int pack(enum envelope_type type, const void *message, struct arena *a, struct bytes *out)
{
	struct bytes payload;
	int err;

	a->size = 2 * wire_size(message) + OVERHEAD;
	a->used = 0;
	a->base = mem_resize(a->base, a->size, 1);
	err = wire_pack(message, a, &payload);
	return err != 0 ? err : envelope_wrap(type, payload, a, out);
}

int ctl_try_envelope(struct ctl *c, struct bytes envelope, struct reply *out)
{
	int err = 0;

	*out = (struct reply){ 0 };
	if (c->conn == NULL)
		err = conn_open(c->context.admin, &c->conn);
	if (err == 0)
		err = conn_ask(c->conn, envelope, out);
	if (err != 0) { /* whatever follows would answer another question */
		conn_close(c->conn);
		c->conn = NULL;
		return err;
	}
	if (out->m->code != 0)
		return out->m->code;
	if (out->m->checkpoint == NULL)
		return ERR_MISSING_FIELD;
	return strcmp(out->m->checkpoint->repository, c->context.repository) == 0
		? 0
		: ERR_WRONG_REPOSITORY;
}

int ctl_try(struct ctl *c, enum envelope_type type, const void *message, struct reply *out)
{
	struct arena a = { 0 };
	struct bytes envelope;
	int err;

	*out = (struct reply){ 0 };
	err = pack(type, message, &a, &envelope);
	if (err == 0)
		err = ctl_try_envelope(c, envelope, out);
	free(a.base);
	return err;
}

static int unreachable(const struct ctl *c, const char *why)
{
	const char *slash = strrchr(c->context.file, '/');
	char *next = mem_printf("huidud -c %.*shuidud.yaml",
		(int)(slash == NULL ? 0 : slash + 1 - c->context.file), c->context.file);
	int code = fail(EXIT_UNREACHABLE, next,
		"cannot reach the server at %s: is huidud running? (%s)", c->context.admin, why);

	free(next);
	return code;
}

/* The server knows best; then whoever asked it. */
static const char *what_next(const struct ctl *c, const Pb__AdminReply *m)
{
	if (m->hint != NULL)
		return m->hint;
	return c->next != NULL ? c->next : "huiductl rollout list; huiductl build list";
}

int ctl_explain(struct ctl *c, int err, const struct reply *r)
{
	const Pb__AdminReply *m = r->m;

	/* Refused for its signature: the keys may be those of an older root. */
	if (m != NULL && (err == ERR_NOT_AUTHORISED || err == ERR_BELOW_THRESHOLD) &&
		root_follow(c))
		return fail(EXIT_CONFLICT, "the same again, under the newer root", "%s",
			m->text != NULL ? m->text : err_str(err));
	if (m != NULL && m->code != 0)
		return fail(exit_of(err), what_next(c, m), "%s",
			m->text != NULL ? m->text : err_str(err));
	if (err == ERR_WRONG_REPOSITORY)
		return fail(EXIT_REFUSED, "huiductl --context FILE ...",
			"the server at %s is for '%s', %s for '%s'", c->context.admin,
			m->checkpoint->repository, c->context.file, c->context.repository);
	if (err > -1000)
		return unreachable(c, strerror(-err));
	return fail(exit_of(err), "huiductl version, on both ends",
		"the server's answer cannot be read: %s", err_str(err));
}

int ctl_ask(struct ctl *c, enum envelope_type type, const void *message, struct reply *out)
{
	int err = ctl_context(c);

	*out = (struct reply){ 0 };
	if (err != 0)
		return err;
	err = ctl_try(c, type, message, out);
	if (err == 0)
		return 0;
	err = ctl_explain(c, err, out);
	reply_release(out);
	return err;
}

int ctl_send(struct ctl *c, struct bytes envelope, struct reply *out)
{
	int err = ctl_try_envelope(c, envelope, out);

	if (err == 0)
		return 0;
	err = ctl_explain(c, err, out);
	reply_release(out);
	return err;
}

int ctl_query(struct ctl *c, Pb__QueryKind kind, const char *name, struct reply *out)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;

	q.kind = kind;
	q.name = name;
	return ctl_ask(c, ENVELOPE_QUERY, &q, out);
}

static int sign(const Pb__AdminCommand *command, const struct held_key *key, struct arena *a,
	struct bytes *out)
{
	struct bytes unsigned_one;
	int err = pack(ENVELOPE_COMMAND, command, a, &unsigned_one);
	struct arena more = { 0 };

	if (err != 0)
		return err;
	/* envelope_sign needs the payload twice more beside what it reads. */
	more.size = 4 * unsigned_one.n + OVERHEAD;
	more.base = mem_alloc(more.size);
	err = envelope_sign(unsigned_one, key->key, key->id, &more, out);
	free(a->base);
	*a = more;
	return err;
}

int ctl_command(struct ctl *c, Pb__AdminCommand *what, const struct held_key *key,
	const Pb__Checkpoint *seen, struct reply *out)
{
	uint8_t nonce[ID_LEN];
	struct arena a = { 0 };
	struct bytes envelope;
	int err = crypto_random(nonce, sizeof(nonce));

	*out = (struct reply){ 0 };
	what->spec_version = 1;
	what->repository = c->context.repository;
	what->nonce = wire_data(nonce, sizeof(nonce));
	what->issued_at = clock_ms() / 1000;
	what->expires = what->issued_at + (what->expires != 0 ? what->expires : COMMAND_LIFE_S);
	what->audit_size = seen->size;
	what->audit_root = seen->root;
	if (err == 0)
		err = sign(what, key, &a, &envelope);
	if (err == 0)
		err = ctl_send(c, envelope, out);
	else
		err = ctl_explain(c, err, out);
	free(a.base);
	return err;
}

bool ctl_confirm(struct ctl *c, const char *question, int *code)
{
	char answer[16] = "";

	*code = 0;
	if (c->args.yes == FLAG_YES)
		return true;
	if (isatty(STDIN_FILENO) != 1) {
		char *next = mem_printf("%s ... --yes", command_str(c->command).s);
		*code = fail(EXIT_USAGE, next, "nobody is there to ask: %s", question);
		free(next);
		return false;
	}
	(void)fprintf(stderr, "%s [y/N] ", question); /* the answer tells if it was seen */
	if (fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
		return true;
	*code = fail(EXIT_FAILED, NULL, "not confirmed: nothing was done");
	return false;
}

int ctl_print(struct buf *out)
{
	bool ok = out->len == 0 || fwrite(out->data, 1, out->len, stdout) == out->len;

	buf_release(out);
	if (ok && fflush(stdout) == 0)
		return 0;
	return fail(EXIT_FAILED, NULL, "cannot write the output: %s", strerror(errno));
}
