/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/agent/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <huidu/huidu.h>

enum kind { TEXT, NUMBER, RING, SWITCH };

static const struct flag {
	const char *name;
	enum kind kind;
	size_t at;
	bool required;
	const char *help;
} flags[] = {
#define FLAG(name, kind, member, required, help)                                                   \
	{                                                                                          \
		name, kind, offsetof(struct settings, member), required, help                      \
	}
	FLAG("server", TEXT, server, true, "URL of the server"),
	FLAG("ca", TEXT, ca, false, "PEM file of those who vouch for it; else the system's"),
	FLAG("root", TEXT, root, true, "file with the deployment's Root envelope"),
	FLAG("repository", TEXT, repository, true, "name of the deployment"),
	FLAG("product", TEXT, product, true, "what this device is"),
	FLAG("build", TEXT, build, true, "what it left the factory with"),
	FLAG("counter", NUMBER, counter, true, "that build's release counter"),
	FLAG("rollback-index", NUMBER, rollback_index, false, "and its rollback index"),
	FLAG("state", TEXT, state, true, "directory to keep everything in"),
	FLAG("install", TEXT, install, true,
		"program to install a build: gets its file and its id"),
	FLAG("health", TEXT, health, false,
		"program to find out whether a new build works: gets its id"),
	FLAG("wish", RING, wish, false, "innermost ring wanted: core, honour, dev, stable"),
	FLAG("token", TEXT, token, false, "to be enrolled with, from the operator"),
	FLAG("voucher", TEXT, voucher, false, "file with the manufacturer's 64-byte signature"),
	FLAG("anonymous", SWITCH, anonymous, false, "no id, no reports"),
	FLAG("once", SWITCH, once, false, "poll now, do what follows at once, and end"),
	FLAG("poll-min", NUMBER, poll_min_s, false, "seconds, least between polls"),
	FLAG("poll-max", NUMBER, poll_max_s, false, "seconds, most between polls"),
	FLAG("hold-notice", NUMBER, hold_notice_s, false,
		"seconds until a build that is withheld is worth a line"),
	FLAG("build-time", NUMBER, build_time_s, false,
		"Unix time the build was made: it is not earlier"),
};
#define FLAGS (sizeof(flags) / sizeof(flags[0]))

static bool read_number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

static bool read_ring(const char *text, uint64_t *out)
{
	static const char *const names[] = { "core", "honour", "dev", "stable" };

	for (*out = 0; *out < 4; (*out)++)
		if (strcmp(text, names[*out]) == 0)
			return true;
	return false;
}

static bool set(struct settings *s, const struct flag *f, const char *text)
{
	char *at = (char *)s + f->at;
	uint64_t number = 0;
	bool on = true;

	switch (f->kind) {
	case TEXT:
		memcpy(at, &text, sizeof(text));
		return true;
	case SWITCH:
		memcpy(at, &on, sizeof(on));
		return true;
	case NUMBER:
		on = read_number(text, &number);
		break;
	case RING:
		on = read_ring(text, &number);
		break;
	}
	if (on)
		memcpy(at, &number, sizeof(number));
	else
		(void)fprintf(stderr, "huidu-agent: --%s: not %s: %s\n", f->name,
			f->kind == RING ? "a ring" : "a number", text);
	return on;
}

static void help(void)
{
	(void)puts("usage: huidu-agent OPTIONS\n");
	for (size_t i = 0; i < FLAGS; i++)
		(void)printf("  --%-15s %s%s\n", flags[i].name, flags[i].help,
			flags[i].required ? " (required)" : "");
	(void)puts("\nEnds with 10 when a new build was put in place: to be started again.");
}

static bool is_complete(const bool given[FLAGS])
{
	for (size_t k = 0; k < FLAGS; k++) {
		if (!flags[k].required || given[k])
			continue;
		(void)fprintf(stderr, "huidu-agent: --%s is missing (see --help)\n", flags[k].name);
		return false;
	}
	return true;
}

bool settings_read(struct settings *s, int argc, char **argv)
{
	struct option options[FLAGS + 2] = { 0 };
	bool given[FLAGS] = { false };
	int i;

	*s = (struct settings){ .wish = HUIDU_STABLE };
	for (size_t k = 0; k < FLAGS; k++)
		options[k] = (struct option){ flags[k].name,
			flags[k].kind == SWITCH ? no_argument : required_argument, NULL, (int)k };
	options[FLAGS] = (struct option){ "help", no_argument, NULL, FLAGS };
	while ((i = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (i == '?')
			return false;
		if (i == FLAGS) {
			help();
			exit(0);
		}
		given[i] = true;
		if (!set(s, &flags[i], optarg))
			return false;
	}
	if (optind < argc) {
		(void)fprintf(stderr, "huidu-agent: what is %s?\n", argv[optind]);
		return false;
	}
	return is_complete(given);
}
