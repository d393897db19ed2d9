/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the manual page, as scdoc, from the tables that huiductl itself uses. */
#include <stdio.h>

#include "server/ctl/cmds.h"

static const struct {
	const char *name, *value, *help;
	char letter;
} options[] = {
#define OPTION(id, name, letter, value, kind, member, help) { name, value, help, letter },
#include "server/ctl/args.def"
#undef OPTION
};

static const struct {
	int number;
	const char *sentence;
} codes[] = {
#define EXIT(name, number, sentence) { number, sentence },
#include "server/ctl/exits.def"
#undef EXIT
};

/* What scdoc would take for markup. */
static void text(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (strchr("_*\\<>#[]", *s) != NULL)
			buf_str(out, "\\");
		buf_add(out, s, 1);
	}
}

static void put_commands(struct buf *out)
{
	buf_str(out, "\n# COMMANDS\n");
	for (const struct command *c = commands; c->noun != NULL; c++) {
		buf_printf(out, "\n*%s%s%s* ", c->noun, c->verb != NULL ? " " : "",
			c->verb != NULL ? c->verb : "");
		text(out, c->args);
		buf_str(out, "\n\t");
		text(out, c->help);
		buf_str(out, ".");
		if (c->alias != NULL)
			buf_printf(out, " Short: *huiductl %s*.", c->alias);
		for (unsigned i = 0, n = 0; i < ARG__COUNT; i++)
			if (c->options >> i & 1)
				buf_printf(out, "%s--%s", n++ == 0 ? " Options: " : ", ",
					options[i].name);
		buf_str(out, "\n\n\tExample: ");
		text(out, c->example);
		buf_str(out, "\n");
	}
}

static bool is_first(unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (strcmp(options[k].name, options[i].name) == 0)
			return false;
	return true;
}

static void put_options(struct buf *out)
{
	buf_str(out, "\n# OPTIONS\n");
	for (unsigned i = 0; i < ARG__COUNT; i++) {
		if (!is_first(i))
			continue;
		buf_str(out, "\n");
		if (options[i].letter != 0)
			buf_printf(out, "*-%c*, ", options[i].letter);
		buf_printf(out, "*--%s*%s", options[i].name, options[i].value != NULL ? " " : "");
		text(out, options[i].value != NULL ? options[i].value : "");
		buf_str(out, "\n\t");
		text(out, options[i].help);
		buf_str(out, "\n");
	}
}

static void put_codes(struct buf *out)
{
	buf_str(out, "\n# EXIT STATUS\n");
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		buf_printf(out, "\n*%d*\n\t%s\n", codes[i].number, codes[i].sentence);
}

int main(void)
{
	struct buf out = { 0 };
	bool ok;

	buf_str(&out,
		"huiductl(1)\n\n# NAME\n\n"
		"huiductl - staged rollouts, from the release engineer's side\n\n"
		"# SYNOPSIS\n\n*huiductl* NOUN VERB \\[NAME\\] \\[options\\]\n\n"
		"# DESCRIPTION\n\n"
		"huiductl makes a deployment, signs and publishes builds, proposes, approves, "
		"starts and halts rollouts, and shows how they go. It talks to *huidud* over a "
		"socket of the machine; what changes anything is signed here, by a person's own "
		"key, and an approver signs only what this program worked out itself.\n\n"
		"Data goes to standard output, everything else to standard error. Options may "
		"stand anywhere. Every error ends with what to type next.\n");
	put_commands(&out);
	put_options(&out);
	put_codes(&out);
	buf_str(&out,
		"\n# ENVIRONMENT\n\n*HUIDU\\_CONTEXT*\n\tThe context, when --context is not "
		"given.\n\n*NO\\_COLOR*\n\tNo colours, when set.\n"
		"\n# FILES\n\n*huiductl.yaml*\n\tThe context: searched here, then in each folder "
		"above. repository: the deployment; admin: the server's socket; root: root.env; "
		"keys: lists of key files under root, release, approver.\n");
	ok = fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
	buf_release(&out);
	return ok ? 0 : 1;
}
