/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <unistd.h>

#include "server/ctl/cmds.h"

static int usage(const struct command *command, const char *what)
{
	struct buf next = { 0 };
	int code;

	buf_str(&next, "huiductl help");
	if (command != NULL)
		buf_printf(&next, " %s%s%s", command->noun,
			command->verb != NULL ? " " : "",
			command->verb != NULL ? command->verb : "");
	code = fail(EXIT_USAGE, buf_text(&next), "%s", what);
	buf_release(&next);
	return code;
}

static int check_words(const struct ctl *c)
{
	const struct command *k = c->command;

	if (c->args.words.n < k->min)
		return usage(k, "a word is missing");
	if (c->args.words.n > k->max)
		return usage(k, "that is a word too many");
	return 0;
}

/* Noun and verb are known: what is left are the words of the command. */
static void drop_words(struct arg_list *words, size_t n)
{
	words->n -= n <= words->n ? n : words->n;
	memmove(words->v, words->v + n, words->n * sizeof(words->v[0]));
}

static int run(struct ctl *c, int argc, char **argv)
{
	struct term plain = { 0 };
	char error[ARGS_ERR_MAX];
	size_t used = 0;
	int code;

	if (args_split(&c->args, argc - 1, argv + 1, error) != 0)
		return usage(NULL, error);
	c->command = command_find(&c->args.words, &used, error);
	if (c->command == NULL)
		return usage(NULL, error);
	if (args_read(&c->args, c->command->options | ARGS_GLOBAL, error) != 0)
		return usage(c->command, error);
	term_init(&plain, STDERR_FILENO, c->args.color, c->args.ascii == FLAG_YES);
	fail_style(&plain);
	term_init(&c->term, STDOUT_FILENO, c->args.color, c->args.ascii == FLAG_YES);
	if (c->args.help == FLAG_YES)
		return cmd_help(c);
	drop_words(&c->args.words, used);
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
