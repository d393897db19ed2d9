/* SPDX-License-Identifier: Apache-2.0 */
/* The help, from the table of commands: all on one screen, a noun's verbs, a command's page. */
#include <stdio.h>

#include "server/base/text.h"
#include "server/ctl/command.h"

#define WIDTH 80u
#define LEFT  14u /* where the verbs begin */

/* The nouns, by what one comes for. */
static const struct topic {
	const char *heading; /* above it; NULL: as before */
	const char *noun;
} topics[] = {
	{ "Ship", "init" },
	{ NULL, "build" },
	{ NULL, "artifact" },
	{ NULL, "plan" },
	{ NULL, "rollout" },
	{ "Look", "gate" },
	{ NULL, "device" },
	{ NULL, "ring" },
	{ NULL, "log" },
	{ "Together", "pending" },
	{ NULL, "decode" },
	{ NULL, "countersign" },
	{ NULL, "withdraw" },
	{ "Keys", "key" },
	{ NULL, "root" },
	{ NULL, "clock" },
	{ NULL, "doctor" },
	{ "Keep", "fleet" },
	{ NULL, "store" },
	{ "And", "version" },
	{ NULL, "help" },
};
#define TOPICS (sizeof(topics) / sizeof(topics[0]))

static void list_one(struct buf *out, const struct command *c)
{
	struct shown name;

	(void)snprintf(name.s, sizeof(name.s), "%s%s%s%s%s", c->noun, c->verb != NULL ? " " : "",
		c->verb != NULL ? c->verb : "", c->args[0] != '\0' ? " " : "", c->args);
	buf_printf(out, "  %-31s %s\n", name.s, c->help);
}

static void list_aliases(struct buf *out)
{
	buf_str(out, "\nNeed no noun: ");
	for (const struct command *c = commands; c->noun != NULL; c++)
		if (c->alias != NULL)
			buf_printf(out, " %s", c->alias);
	buf_str(out, "\n");
}

/* A noun's verbs on as many lines as they take; without verbs, what it is for. */
static void list_noun(struct buf *out, const char *noun)
{
	size_t at = LEFT;

	buf_printf(out, "  %-*s", (int)LEFT - 2, noun);
	for (const struct command *c = commands; c->noun != NULL; c++) {
		const char *word = c->verb != NULL ? c->verb : c->help;
		if (!text_same(c->noun, noun))
			continue;
		if (at > LEFT && at + 2 + strlen(word) > WIDTH) {
			buf_printf(out, "\n%*s", (int)LEFT, "");
			at = LEFT;
		}
		buf_printf(out, "%s%s", at > LEFT ? "  " : "", word);
		at += strlen(word) + (at > LEFT ? 2 : 0);
	}
	buf_str(out, "\n");
}

void command_help_all(struct buf *out, const struct term *t)
{
	put(out, t, STYLE_BOLD, "huiductl");
	buf_str(out,
		": staged rollouts, from the release engineer's side\n\n"
		"  huiductl NOUN VERB [NAME] [options]\n");
	for (size_t i = 0; i < TOPICS; i++) {
		if (topics[i].heading != NULL) {
			buf_str(out, "\n");
			put(out, t, STYLE_BOLD, "%s", topics[i].heading);
			buf_str(out, "\n");
		}
		list_noun(out, topics[i].noun);
	}
	list_aliases(out);
	buf_str(out, "\nEverywhere\n");
	args_help(out, ARGS_GLOBAL);
	buf_str(out, "\nNext: huiductl help NOUN, help NOUN VERB, or help exit-codes\n");
}

void command_help_noun(struct buf *out, const struct term *t, const char *noun)
{
	put(out, t, STYLE_BOLD, "huiductl %s", noun);
	buf_str(out, "\n\n");
	for (const struct command *c = commands; c->noun != NULL; c++)
		if (text_same(c->noun, noun))
			list_one(out, c);
	buf_printf(out, "\nNext: huiductl help %s VERB\n", noun);
}

void command_help(struct buf *out, const struct term *t, const struct command *c)
{
	put(out, t, STYLE_BOLD, "%s", command_str(c).s);
	buf_printf(out, "%s%s%s\n\n  %s\n", c->args[0] != '\0' ? " " : "", c->args,
		c->options != 0 ? " [options]" : "", c->help);
	if (c->alias != NULL)
		buf_printf(out, "  Short: huiductl %s\n", c->alias);
	if (c->options != 0) {
		buf_str(out, "\nOptions\n");
		args_help(out, c->options);
	}
	buf_str(out, "\nEverywhere\n");
	args_help(out, ARGS_GLOBAL);
	buf_printf(out, "\nExample\n  %s\n", c->example);
}
