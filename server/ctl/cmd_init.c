/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "proto/names.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/ctl/cmds.h"
#include "server/ctl/deployment.h"

#define LISTEN "127.0.0.1:8443"

/* $USER as far as it can be part of a file name. */
static const char *you(char out[33])
{
	const char *user = getenv("USER");
	size_t n = 0;

	for (; user != NULL && *user != '\0' && n < 32; user++) {
		char ch = *user >= 'A' && *user <= 'Z' ? (char)(*user - 'A' + 'a') : *user;
		char one[2] = { ch, '\0' };
		if (person_is_valid(one))
			out[n++] = ch;
	}
	out[n] = '\0';
	return n > 0 ? out : "you";
}

static int check_persons(struct ctl *c, const struct deployment *d)
{
	const struct arg_list *given = &c->args.persons;

	if (given->n != 0 && given->n != d->profile->n_persons)
		return fail(EXIT_USAGE, "huiductl help init",
			"profile %s takes %u times --person, not %zu", d->profile->name,
			d->profile->n_persons, given->n);
	for (size_t i = 0; i < given->n; i++) {
		if (!person_is_valid(given->v[i]))
			return fail(EXIT_USAGE, "huiductl help init",
				"--person '%s': a-z, 0-9, '-', '_', at most 32", given->v[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(given->v[k], given->v[i]) == 0)
				return fail(EXIT_USAGE, "huiductl help init",
					"--person '%s' stands here twice", given->v[i]);
	}
	return 0;
}

static int check(struct ctl *c, const struct deployment *d)
{
	char host[256];

	if (!name_ok(d->repository) || !name_ok(d->line))
		return fail(EXIT_USAGE, "huiductl init DIR --repository NAME --line NAME",
			"'%s': letters, digits, '.', '_', '-', at most 63",
			name_ok(d->repository) ? d->line : d->repository);
	for (size_t i = 0; i < d->n_products; i++) {
		if (!name_ok(d->products[i]))
			return fail(EXIT_USAGE, "huiductl help init",
				"--product '%s': letters, digits, '.', '_', '-', at most 63",
				d->products[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(d->products[k], d->products[i]) == 0)
				return fail(EXIT_USAGE, "huiductl help init",
					"--product '%s' stands here twice", d->products[i]);
	}
	if (!deployment_host(d->listen, host, sizeof(host)))
		return fail(EXIT_USAGE, "huiductl init DIR --listen " LISTEN,
			"--listen '%s' is no HOST:PORT", d->listen);
	return check_persons(c, d);
}

static void warn(struct ctl *c, const struct deployment *d)
{
	struct buf text = { 0 };

	if (d->demo)
		put(&text, &c->errors, STYLE_WARN,
			"%s Demo keys: to try it out.  A production server refuses them.\n",
			icon(&c->errors, ICON_WARNING));
	if (strcmp(d->profile->name, "solo") == 0) {
		put(&text, &c->errors, STYLE_WARN, "%s Profile solo: one person, one machine.",
			icon(&c->errors, ICON_WARNING));
		buf_printf(&text,
			"\n  Whoever holds %s holds the fleet: its keys sign builds and approve\n"
			"  plans. Right for trying out and for devices of your own.\n"
			"  The next profile is team. Moving up is a rotation of the root: no\n"
			"  device enrols again.",
			d->folder);
	} else {
		put(&text, &c->errors, STYLE_WARN, "%s Profile %s: %s.",
			icon(&c->errors, ICON_WARNING), d->profile->name, d->profile->sentence);
		buf_printf(&text,
			"\n  Give every person their %s/keys/NAME.*.pem, and take them off this\n"
			"  machine: as long as they lie together, one thief is enough.",
			d->folder);
	}
	buf_str(&text, "\n");
	note_text(&text);
}

static int tell(struct ctl *c, const struct deployment *d)
{
	struct buf out = { 0 };

	put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
	buf_printf(&out,
		" %s: deployment '%s', profile %s\n"
		"  huidud.yaml    the server's configuration\n"
		"  huiductl.yaml  this program's\n"
		"  root.env       who may sign what; devices start with it\n"
		"  keys/          people's keys: keep them offline\n"
		"  online/        the server's keys\n"
		"  enrol.tokens   what a device shows when it enrols, where that is asked\n"
		"  tls/           its certificate: the devices' CA file\n"
		"  plans/         ladders to start from\n"
		"Next:\n"
		"  cd %s\n"
		"  huidud -c huidud.yaml       and in another terminal\n"
		"  huiductl build publish FILE --product %s --build 1.0.0\n"
		"  huiductl rollout create 1.0.0 --plan plans/small.yaml\n"
		"  huiductl rollout approve 1.0.0%s\n"
		"  huiductl rollout start 1.0.0\n"
		"  huiductl rollout get 1.0.0 -w\n",
		d->folder, d->repository, d->profile->name, d->folder, d->products[0],
		d->profile->n_persons > 1 ? " --all" : "");
	return ctl_print(&out);
}

static int make(struct ctl *c, const struct deployment *d)
{
	char *about = NULL;
	int err = deployment_make(d, &about);

	if (err == -EEXIST)
		err = fail(EXIT_CONFLICT, "huiductl init ANOTHER-DIR",
			"%s is there already: nothing was made", about);
	else if (err != 0)
		err = fail(exit_of(err), "huiductl init ANOTHER-DIR", "%s: %s: nothing was made",
			about, err_str(err));
	free(about);
	if (err != 0)
		return err;
	warn(c, d);
	return tell(c, d);
}

/* The folder's own name, when it has one. */
static const char *name_of(const char *folder)
{
	const char *slash = strrchr(folder, '/');
	const char *base = slash != NULL ? slash + 1 : folder;

	return name_ok(base) ? base : "huidu";
}

int cmd_init(struct ctl *c)
{
	static const char *const people[] = { "alice", "bob", "carol", "dave", "erin" };
	static const char *const one_product[] = { "phone" };
	const struct args *a = &c->args;
	char user[33];
	const char *self[] = { you(user) };
	struct deployment d = {
		.folder = a->words.v[0],
		.repository = a->repository != NULL ? a->repository : name_of(a->words.v[0]),
		.line = a->line != NULL ? a->line : "default",
		.listen = a->listen != NULL ? a->listen : LISTEN,
		.products = a->products.n > 0 ? a->products.v : one_product,
		.n_products = a->products.n > 0 ? a->products.n : 1,
		.profile = profile_find(a->profile != NULL ? a->profile : "solo"),
		.now_s = clock_ms() / 1000,
		.demo = a->demo == FLAG_YES,
	};
	int err;

	d.persons = a->persons.n > 0 ? a->persons.v : d.profile->n_persons == 1 ? self : people;
	err = check(c, &d);
	return err != 0 ? err : make(c, &d);
}
