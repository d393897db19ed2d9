/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: words, options, the table of commands, exit codes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/core/rollout.h"
#include "server/ctl/cmds.h"
#include "server/ctl/rollout_view.h"

#include "unit.h" /* last: cmocka's fail() is a macro, ours a function */

#define WORDS_MAX 12

static int parse(
	struct args *a, const char *line, const struct command **command, char error[ARGS_ERR_MAX])
{
	static char copy[256];
	char *argv[WORDS_MAX], *save = NULL;
	size_t used;
	int argc = 0, err;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	err = args_split(a, argc, argv, error);
	if (err != 0)
		return err;
	*command = command_find(&a->words, &used, error);
	if (*command == NULL)
		return ERR_CONFIG;
	return args_read(a, (*command)->options | ARGS_GLOBAL, error);
}

static void test_good(void **state)
{
	struct args a;
	const struct command *c;
	char error[ARGS_ERR_MAX] = "";

	(void)state;
	assert_int_equal(
		parse(&a, "--context x rollout create R --build b1 --plan=p --build b2", &c, error),
		0);
	assert_ptr_equal(c->run, cmd_rollout_create);
	assert_string_equal(a.context, "x");
	assert_string_equal(a.plan, "p");
	assert_int_equal(a.builds.n, 2);
	assert_string_equal(a.builds.v[1], "b2");
	assert_int_equal(parse(&a, "status r --timeout 6h -ojson --watch=false", &c, error), 0);
	assert_ptr_equal(c->run, cmd_rollout_status);
	assert_int_equal(a.timeout.v, 6 * 3600 * 1000);
	assert_string_equal(a.output, "json");
	assert_int_equal(a.watch, FLAG_NO);
	assert_int_equal(
		parse(&a, "build sign f -o out.env --counter 18446744073709551615", &c, error), 0);
	assert_string_equal(a.out, "out.env");
	assert_true(a.counter.set && a.counter.v == UINT64_MAX);
	/* After --, nothing is an option. */
	assert_int_equal(parse(&a, "rollout get -- -w", &c, error), 0);
	assert_int_equal(a.watch, FLAG_UNSET);
	assert_int_equal(a.words.n, 3);
}

static const struct {
	const char *line, *want;
} bad[] = {
	{ "rolout get", "'rolout' is no command; did you mean 'rollout'?" },
	{ "hlat x", "'hlat' is no command; did you mean 'halt'?" },
	{ "xyzzy", "'xyzzy' is no command" },
	{ "rollout gte", "'rollout gte' is no command; did you mean 'rollout get'?" },
	{ "device", "'device' needs a verb: why export erase" },
	{ "rollout get --wach", "--wach is no option here; did you mean --watch?" },
	{ "rollout list -w", "-w is no option here" },
	{ "build list --plan x", "--plan is no option here" },
	{ "rollout get -o", "-o needs a value" },
	{ "rollout get -o xml", "-o is one of text|json" },
	{ "rollout get -o jso", "-o is one of text|json" },
	{ "rollout get -o text -o json", "-o stands here twice" },
	{ "rollout get --watch=maybe", "--watch is true or false" },
	{ "rollout status x --timeout 6", "--timeout is a duration such as 90s or 6h" },
	{ "build sign f --counter -1", "--counter is a whole number" },
	{ "build sign f --counter 1 --counter 2", "--counter stands here twice" },
	{ "rollout halt x --reason=", "--reason is empty" },
	{ "init x --profile duo", "--profile is one of solo|team|maker" },
};

static void test_bad(void **state)
{
	struct args a;
	const struct command *c;
	char error[ARGS_ERR_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		error[0] = '\0';
		assert_int_equal(parse(&a, bad[i].line, &c, error), ERR_CONFIG);
		assert_string_equal(error, bad[i].want);
	}
}

static void test_too_many(void **state)
{
	static char word[] = "x", option[] = "--key", value[] = "k";
	char *argv[3 * ARGS_MAX], error[ARGS_ERR_MAX];
	struct args a;

	(void)state;
	for (size_t i = 0; i <= ARGS_MAX; i++)
		argv[i] = word;
	assert_int_equal(args_split(&a, ARGS_MAX, argv, error), 0);
	assert_int_equal(args_split(&a, ARGS_MAX + 1, argv, error), ERR_CONFIG);
	for (size_t i = 0; i <= ARGS_MAX; i++) {
		argv[2 * i] = option;
		argv[2 * i + 1] = value;
	}
	assert_int_equal(args_split(&a, 2 * (ARGS_MAX + 1), argv, error), ERR_CONFIG);
}

/* Help, dispatch and completion live on the table: it must be whole. */
static void test_table(void **state)
{
	(void)state;
	for (const struct command *c = commands; c->noun != NULL; c++) {
		assert_non_null(c->run);
		assert_true(c->help[0] != '\0' && strlen(c->help) <= 46);
		assert_true(strncmp(c->example, "huiductl ", 9) == 0);
		assert_true(c->max >= c->min && (c->max == 0) == (c->args[0] == '\0'));
		for (const struct command *d = commands; d != c; d++) {
			assert_false(strcmp(c->noun, d->noun) == 0 && c->verb != NULL &&
				d->verb != NULL && strcmp(c->verb, d->verb) == 0);
			assert_false(c->alias != NULL && strcmp(c->alias, d->noun) == 0);
		}
	}
}

/* An example must pass the checks that its command does on words and options. */
static void test_examples(void **state)
{
	struct args a;
	const struct command *found;
	char error[ARGS_ERR_MAX] = "";

	(void)state;
	for (const struct command *c = commands; c->noun != NULL; c++) {
		char line[200], *quote;
		(void)snprintf(line, sizeof(line), "%s", c->example + 9);
		quote = strchr(line, '\'');
		if (quote != NULL)
			(void)snprintf(quote, 4, "why");
		if (parse(&a, line, &found, error) != 0)
			fail_msg("%s: %s", c->example, error);
		assert_ptr_equal(found, c);
	}
}

static void test_exits(void **state)
{
	static const struct {
		int err;
		enum exit_code want;
	} row[] = {
		{ 0, EXIT_DONE },
		{ ERR_NOT_FOUND, EXIT_NOT_FOUND },
		{ ERR_NOT_AUTHORISED, EXIT_NOT_AUTHORISED },
		{ ERR_BELOW_THRESHOLD, EXIT_NOT_AUTHORISED },
		{ ERR_CONFLICT, EXIT_CONFLICT },
		{ ERR_EXISTS, EXIT_CONFLICT },
		{ ERR_WRONG_STATE, EXIT_REFUSED },
		{ ERR_BAD_PLAN, EXIT_USAGE },
		{ ERR_BUILD_HALTED, EXIT_HALTED },
		{ ERR_UNREACHABLE, EXIT_UNREACHABLE },
		{ ERR_STORE, EXIT_FAILED },
		{ -EIO, EXIT_FAILED },
		{ -ENOENT, EXIT_NOT_FOUND },
		{ 12345, EXIT_FAILED },
	};
	struct buf out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		assert_int_equal(exit_of(row[i].err), row[i].want);
	exit_help(&out);
	assert_non_null(strstr(buf_text(&out), "    7  the rollout is halted\n"));
	assert_non_null(strstr(buf_text(&out), "  130  interrupted by Ctrl-C\n"));
	buf_release(&out);
}

/* The screens say what the server says. */
static void test_words(void **state)
{
	(void)state;
	for (int i = 0; i < ROLLOUT__COUNT; i++)
		assert_string_equal(rollout_look((Pb__RolloutState)i)->word,
			rollout_str((enum rollout_state)i));
	assert_string_equal(rollout_look((Pb__RolloutState)99)->word, "unknown");
	assert_string_equal(stage_look((Pb__StageState)-1)->word, "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_exits),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
