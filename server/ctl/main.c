/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdio.h>
#include <unistd.h>

#include "server/ctl/cmds.h"

/* Wrong use, and where to read about the right one. */
static int usage(const struct ctl *c, const char *what)
{
	const struct arg_list *words = &c->args.words;
	struct buf next = { 0 };
	int code;

	buf_str(&next, "huiductl help");
	if (c->command != NULL && c->command->verb != NULL)
		buf_printf(&next, " %s %s", c->command->noun, c->command->verb);
	else if (c->command != NULL)
		buf_printf(&next, " %s", c->command->noun);
	else if (words->n > 0 && command_is_noun(words->v[0]))
		buf_printf(&next, " %s", words->v[0]);
	code = fail(EXIT_USAGE, buf_text(&next), "%s", what);
	buf_release(&next);
	return code;
}

static int check_words(const struct ctl *c)
{
	const struct command *k = c->command;
	size_t n = c->args.words.n;
	char what[ARGS_ERR_MAX];

	if (n >= k->min && n <= k->max)
		return 0;
	(void)snprintf(what, sizeof(what), "%s %s: %s", command_str(k).s, k->args,
		n < k->min ? "a word is missing" : "that is a word too many");
	return usage(c, what);
}

static int run(struct ctl *c, int argc, char **argv)
{
	char error[ARGS_ERR_MAX];
	size_t used = 0;
	int code;

	if (args_split(&c->args, argc - 1, argv + 1, error) != 0)
		return usage(c, error);
	c->command = command_find(&c->args.words, &used, error);
	if (c->command == NULL ||
		args_read(&c->args, c->command->options | ARGS_GLOBAL, error) != 0)
		return usage(c, error);
	term_init(&c->errors, STDERR_FILENO, c->args.color, c->args.ascii == FLAG_YES);
	fail_style(&c->errors);
	term_init(&c->term, STDOUT_FILENO, c->args.color, c->args.ascii == FLAG_YES);
	if (argc == 1)
		return cmd_nothing(c);
	if (c->args.help == FLAG_YES)
		return cmd_help(c);
	args_drop(&c->args.words, used); /* what is left are the command's own */
	code = check_words(c);
	return code != 0 ? code : c->command->run(c);
}

int main(int argc, char **argv)
{
	static struct ctl c;
	int code;

	(void)setlocale(LC_CTYPE, ""); /* unknown: the C locale, plain characters */
	code = run(&c, argc, argv);
	ctl_release(&c);
	return code;
}
