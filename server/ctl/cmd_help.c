/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/json.h"
#include "server/ctl/cmds.h"

int cmd_version(struct ctl *c)
{
	struct buf out = { 0 };
	struct json j = { &out, false };

	if (!ctl_json(c)) {
		buf_str(&out, "huiductl " CTL_VERSION "\n");
		return ctl_print(&out);
	}
	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.version/1");
	json_str(&j, "version", CTL_VERSION);
	json_end_object(&j);
	buf_str(&out, "\n");
	return ctl_print(&out);
}

/* init, version: a noun without verbs has its page. */
static bool stands_alone(const char *noun)
{
	for (const struct command *k = commands; k->noun != NULL; k++)
		if (k->verb == NULL && strcmp(k->noun, noun) == 0)
			return true;
	return false;
}

static int help_on(struct ctl *c, const struct arg_list *words)
{
	char error[ARGS_ERR_MAX];
	struct buf out = { 0 };
	const struct command *k;
	size_t used;

	if (strcmp(words->v[0], "exit-codes") == 0) {
		exit_help(&out);
	} else if (words->n == 1 && command_is_noun(words->v[0]) && !stands_alone(words->v[0])) {
		command_help_noun(&out, &c->term, words->v[0]);
	} else {
		k = command_find(words, &used, error);
		if (k == NULL)
			return fail(EXIT_USAGE, "huiductl help", "%s", error);
		command_help(&out, &c->term, k);
	}
	return ctl_print(&out);
}

/* Of `help ...`, and of --help after anything. */
int cmd_help(struct ctl *c)
{
	struct buf out = { 0 };

	if (c->args.version == FLAG_YES)
		return cmd_version(c);
	if (c->args.help == FLAG_YES && c->command->run != cmd_help) {
		command_help(&out, &c->term, c->command);
		return ctl_print(&out);
	}
	if (c->args.words.n > 0)
		return help_on(c, &c->args.words);
	command_help_all(&out, &c->term);
	return ctl_print(&out);
}

int cmd_nothing(struct ctl *c)
{
	struct buf text = { 0 };

	command_help_all(&text, &c->errors);
	note_text(&text);
	return EXIT_USAGE;
}
