/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "proto/names.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/show.h"

#define PIECE 65536u

static int digest(int fd, struct crypto_hash *h, struct file_facts *out)
{
	uint8_t piece[PIECE];
	int err = crypto_hash_start(h);

	while (err == 0) {
		ssize_t n = read(fd, piece, sizeof(piece));
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		out->length += (uint64_t)n;
		err = crypto_hash_add(h, piece, (size_t)n);
	}
	return err != 0 ? err : crypto_hash_end(h, out->sha256);
}

int file_facts(const char *path, struct file_facts *out)
{
	struct crypto_hash *h;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	*out = (struct file_facts){ 0 };
	if (fd < 0)
		return -errno;
	h = crypto_hash_new();
	err = h == NULL ? ERR_CRYPTO : digest(fd, h, out);
	crypto_hash_free(h);
	(void)close(fd); /* only read */
	return err == 0 && out->length == 0 ? ERR_BAD_BUILD : err;
}

static int check_names(const struct ctl *c, const char *base)
{
	const struct {
		const char *what, *name;
		bool optional;
	} name[] = {
		{ "--product", c->args.product, false },
		{ "--build", c->args.build, false },
		{ "--release", c->args.release, true },
		{ "the file's name", base, false },
	};

	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		if (name[i].name == NULL && name[i].optional)
			continue;
		if (name[i].name == NULL)
			return fail(EXIT_USAGE, command_page(c->command).s, "%s is missing",
				name[i].what);
		if (!name_ok(name[i].name))
			return fail(EXIT_USAGE, command_page(c->command).s,
				"%s: '%s': letters, digits, '.', '_', '-', at most 63",
				name[i].what, name[i].name);
	}
	for (size_t i = 0; i < c->args.rollback_from.n; i++)
		if (!name_ok(c->args.rollback_from.v[i]))
			return fail(EXIT_USAGE, command_page(c->command).s,
				"--rollback-from: '%s' is no build", c->args.rollback_from.v[i]);
	return 0;
}

static int pack(struct ctl *c, const struct file_facts *facts, const char *base, Pb__Targets *t,
	struct arena *a, struct bytes *out)
{
	char *path = mem_printf("%s/%s/%s", c->args.product, c->args.build, base);
	Pb__Target target = PB__TARGET__INIT, *list[] = { &target };
	struct bytes payload;
	int err;

	target.path = path;
	target.length = facts->length;
	target.sha256 = wire_data(facts->sha256, SHA256_LEN);
	t->targets = list;
	t->n_targets = 1;
	err = wire_pack(t, a, &payload);
	if (err == 0)
		err = envelope_wrap(ENVELOPE_TARGETS, payload, a, out);
	free(path);
	return err == 0 ? 0 : fail(exit_of(err), NULL, "%s", err_str(err));
}

int targets_make(struct ctl *c, const char *path, uint64_t counter, uint64_t rollback_index,
	struct arena *a, struct bytes *out)
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	Pb__Targets t = PB__TARGETS__INIT;
	struct file_facts facts;
	int err = check_names(c, base);

	if (err != 0)
		return err;
	err = file_facts(path, &facts);
	if (err == ERR_BAD_BUILD)
		return fail(EXIT_USAGE, NULL, "%s: is empty", path);
	if (err != 0)
		return fail(exit_of(err), command_page(c->command).s, "%s: %s", path, err_str(err));
	t.spec_version = 1;
	t.version = 1;
	t.expires = clock_ms() / 1000 + TARGETS_LIFE_S;
	t.repository = c->context.repository;
	t.product = c->args.product;
	t.build_id = c->args.build;
	t.release = c->args.release != NULL ? c->args.release : c->args.build;
	t.release_counter = counter;
	t.rollback_index = rollback_index;
	t.rollback_from = c->args.rollback_from.v;
	t.n_rollback_from = c->args.rollback_from.n;
	return pack(c, &facts, base, &t, a, out);
}

int targets_renew(const Pb__Targets *old, struct arena *a, struct bytes *out)
{
	Pb__Targets t = *old;
	struct bytes payload;
	int err;

	t.version++;
	t.expires = clock_ms() / 1000 + TARGETS_LIFE_S;
	err = wire_pack(&t, a, &payload);
	return err != 0 ? err : envelope_wrap(ENVELOPE_TARGETS, payload, a, out);
}

int targets_read(struct ctl *c, const char *path, struct arena *a, bool *is, struct bytes *out)
{
	struct buf b = { 0 };
	int err = file_read(path, TARGETS_ENV_MAX, &b);
	uint8_t *p = NULL;

	*is = false;
	if (err == 0) {
		p = arena_alloc(a, b.len);
		if (p != NULL && b.len > 0)
			memcpy(p, b.data, b.len);
		*out = bytes_of(p, p != NULL ? b.len : 0);
		*is = targets_peek(*out, a, &err) != NULL;
		err = 0; /* it is a build's file, then */
	}
	buf_release(&b);
	if (err == 0 || err == ERR_TOO_BIG)
		return 0;
	return fail(exit_of(err), command_page(c->command).s, "%s: %s", path, err_str(err));
}

const Pb__Targets *targets_peek(struct bytes envelope, struct arena *a, int *err)
{
	const Pb__Envelope *e = envelope_read(envelope, a, err);
	enum envelope_type type;

	if (e == NULL)
		return NULL;
	*err = ERR_WRONG_TYPE;
	if (!envelope_type_of(e, &type) || type != ENVELOPE_TARGETS)
		return NULL;
	return wire_read(&pb__targets__descriptor, wire_bytes(e->payload), &wire_signed, a, err);
}

void targets_show(struct buf *out, const struct term *t, const Pb__Targets *x)
{
	put(out, t, STYLE_BOLD, "Build      %s for %s", x->build_id, x->product);
	buf_printf(out, "\nRelease    %s, counter %llu, in %s\n",
		x->release != NULL ? x->release : x->build_id,
		(unsigned long long)x->release_counter, x->repository);
	for (size_t i = 0; i < x->n_targets; i++) {
		char hex[2 * SHA256_LEN + 1] = "";
		if (x->targets[i]->sha256.len == SHA256_LEN)
			(void)hex_encode(hex, x->targets[i]->sha256.data, SHA256_LEN);
		buf_printf(out, "File       %s, %s\nSHA-256    %s\n", x->targets[i]->path,
			show_size(x->targets[i]->length).s, hex);
	}
	buf_printf(out, "Rollback   index %llu", (unsigned long long)x->rollback_index);
	for (size_t i = 0; i < x->n_rollback_from; i++)
		buf_printf(
			out, "%s%s", i == 0 ? "; may replace newer " : ", ", x->rollback_from[i]);
	buf_printf(out, "\nExpires    %s UTC", show_minute(x->expires * 1000).s);
	if (x->version > 1)
		buf_printf(out, "; signed anew, version %llu", (unsigned long long)x->version);
	buf_str(out, "\n");
}

void targets_note(struct ctl *c, const Pb__Targets *targets)
{
	struct buf text = { 0 };

	targets_show(&text, &c->errors, targets);
	note_text(&text);
}
