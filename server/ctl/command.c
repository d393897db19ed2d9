/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/command.h"

#include <stdio.h>

#include "server/base/text.h"
#include "server/ctl/cmds.h"

#define MANY ARGS_MAX

/* clang-format off */
const struct command commands[] = {
	{ "init", NULL, NULL, "DIR", "a new deployment: keys, root, config, plans",
		"huiductl init --profile team --repository acme --product phone-a prod",
		cmd_init, ARG(PROFILE) | ARG(REPOSITORY) | ARG(LINE) | ARG(PRODUCTS) |
		ARG(PERSONS) | ARG(LISTEN) | ARG(DEMO), 1, 1 },

	{ "build", "publish", NULL, "[OUT.env] [FILE]", "sign a build, upload its file, publish it",
		"huiductl build publish ota.zip --product phone-a --build 2.4.1",
		cmd_build_publish, ARG(PRODUCT) | ARG(BUILD) | ARG(COUNTER) |
		ARG(ROLLBACK_INDEX) | ARG(RELEASE) | ARG(ROLLBACK_FROM) | ARG(KEY) | ARG(YES),
		1, 2 },
	{ "build", "sign", NULL, "FILE|ENVELOPE.env...", "make or add a signature, offline",
		"huiductl build sign alice.env --key bob.release.pem -o both.env",
		cmd_build_sign, ARG(PRODUCT) | ARG(BUILD) | ARG(COUNTER) | ARG(ROLLBACK_INDEX) |
		ARG(RELEASE) | ARG(ROLLBACK_FROM) | ARG(RENEW) | ARG(KEY) | ARG(OUT), 1, MANY },
	{ "build", "renew", NULL, "BUILD", "sign a build anew before it expires",
		"huiductl build renew 2.4.1 --product phone-a",
		cmd_build_renew, ARG(PRODUCT) | ARG(KEY) | ARG(OUT) | ARG(YES), 1, 1 },
	{ "build", "list", NULL, "", "the builds that were published",
		"huiductl build list -o json", cmd_build_list, ARG(OUTPUT), 0, 0 },

	{ "artifact", "list", NULL, "", "builds' files, and what needs them",
		"huiductl artifact list -o json", cmd_artifact_list, ARG(OUTPUT), 0, 0 },
	{ "artifact", "gc", NULL, "", "remove files that no build needs",
		"huiductl artifact gc --dry-run", cmd_artifact_gc, ARG(DRY_RUN) | ARG(OUTPUT), 0, 0 },

	{ "rollout", "create", NULL, "RELEASE|BUILD", "propose a rollout along a plan",
		"huiductl rollout create 2.4.1 --plan plans/weekly.yaml",
		cmd_rollout_create, ARG(PLAN) | ARG(BUILDS) | ARG(KEY) | ARG(DRY_RUN), 1, 1 },
	{ "rollout", "approve", "approve", "NAME", "check a plan, sign it; resumes a halted one",
		"huiductl rollout approve 2.4.1 --key bob.approver.pem",
		cmd_rollout_approve, ARG(KEY) | ARG(ALL) | ARG(YES), 1, 1 },
	{ "rollout", "start", "start", "NAME", "start an approved rollout",
		"huiductl rollout start 2.4.1", cmd_rollout_start, ARG(REASON) | ARG(KEY), 1, 1 },
	{ "rollout", "pause", "pause", "NAME", "take in no more devices",
		"huiductl rollout pause 2.4.1 --reason 'looking at heat on phone-c'",
		cmd_rollout_pause, ARG(REASON) | ARG(KEY), 1, 1 },
	{ "rollout", "halt", "halt", "NAME", "stop offering it, at once; asks only why",
		"huiductl rollout halt 2.4.1 --reason 'modem crashes on phone-c'",
		cmd_rollout_halt, ARG(REASON) | ARG(KEY), 1, 1 },
	{ "rollout", "get", "get", "[NAME]", "how it goes: stages, counts, evidence",
		"huiductl rollout get 2.4.1 -w", cmd_rollout_get, ARG(OUTPUT) | ARG(WATCH), 0, 1 },
	{ "rollout", "watch", "watch", "[NAME]", "the same, followed until Ctrl-C",
		"huiductl watch 2.4.1", cmd_rollout_watch, ARG(OUTPUT), 0, 1 },
	{ "rollout", "status", "status", "NAME", "wait until it is complete or halted",
		"huiductl rollout status 2.4.1 --timeout 6h",
		cmd_rollout_status, ARG(OUTPUT) | ARG(TIMEOUT) | ARG(WATCH), 1, 1 },
	{ "rollout", "list", NULL, "", "all rollouts, one line each",
		"huiductl rollout list", cmd_rollout_list, ARG(OUTPUT), 0, 0 },
	{ "rollout", "history", "history", "[NAME]", "who did what, and why",
		"huiductl history 2.4.1", cmd_rollout_history, ARG(OUTPUT), 0, 1 },

	{ "gate", "explain", "explain", "NAME", "what speaks for and against it, and until when",
		"huiductl explain 2.4.1", cmd_gate_explain, ARG(OUTPUT), 1, 1 },
	{ "gate", "replay", NULL, "NAME", "recompute every verdict from the evidence",
		"huiductl gate replay 2.4.1", cmd_gate_replay, ARG(OUTPUT), 1, 1 },

	{ "plan", "simulate", NULL, "PLAN", "what a plan does with good and bad builds",
		"huiductl plan simulate plans/weekly.yaml --fleet 1000000 --baseline 1%/day",
		cmd_plan_simulate, ARG(FLEET) | ARG(BASELINE) | ARG(RUNS) | ARG(OUTPUT), 1, 1 },

	{ "device", "why", "why", "ID", "why a device has an update, or none",
		"huiductl why 9f3c0a5be1d24c7f8a6b3d2e1f004512", cmd_device_why, ARG(OUTPUT), 1, 1 },

	{ "fleet", "import", NULL, "FILE", "bring devices, from CSV or JSON lines",
		"huiductl fleet import phones.csv --dry-run",
		cmd_fleet_import, ARG(DRY_RUN) | ARG(SKIP_BAD) | ARG(KEEP_DATES) | ARG(REASON) |
		ARG(KEY) | ARG(OUTPUT), 1, 1 },
	{ "fleet", "export", NULL, "[FILE]", "all devices, as import takes them",
		"huiductl fleet export -o jsonl phones.jsonl",
		cmd_fleet_export, ARG(ROWS) | ARG(PRODUCT) | ARG(CONFIG), 0, 1 },

	{ "device", "export", NULL, "ID", "all that is kept of a device, as JSON",
		"huiductl device export 9f3c0a5be1d24c7f8a6b3d2e1f004512", cmd_device_export,
		ARG(CONFIG), 1, 1 },
	{ "device", "erase", NULL, "ID", "keep nothing of a device; it may enrol anew",
		"huiductl device erase 9f3c0a5be1d24c7f8a6b3d2e1f004512", cmd_device_erase,
		ARG(YES) | ARG(OUTPUT), 1, 1 },

	{ "ring", "show", NULL, "[LINE]", "seats of the rings",
		"huiductl ring show", cmd_ring_show, ARG(OUTPUT), 0, 1 },

	{ "ring", "invite", NULL, "RING DEVICE...", "give devices a seat; core takes two people",
		"huiductl ring invite core 9f3c0a5be1d24c7f8a6b3d2e1f004512 --product phone-a",
		cmd_ring_invite, ARG(PRODUCT) | ARG(REASON) | ARG(KEY), 2, MANY },
	{ "ring", "remove", NULL, "RING DEVICE...", "take devices out of a ring",
		"huiductl ring remove core 9f3c0a5be1d24c7f8a6b3d2e1f004512 --product phone-a",
		cmd_ring_remove, ARG(PRODUCT) | ARG(REASON) | ARG(KEY), 2, MANY },

	{ "pending", NULL, NULL, "", "what waits for more signatures, and until when",
		"huiductl pending", cmd_pending, ARG(OUTPUT), 0, 0 },
	{ "decode", NULL, NULL, "FILE", "signed bytes in words, and who signed them",
		"huiductl decode alice.env", cmd_decode, 0, 1, 1 },
	{ "countersign", NULL, NULL, "NAME|FILE", "see a command that waits, and sign it too",
		"huiductl countersign 8c1f00d2a94be370 --key bob.release.pem",
		cmd_countersign, ARG(KEY) | ARG(YES), 1, 1 },
	{ "withdraw", NULL, NULL, "NAME", "take back what waits for signatures",
		"huiductl withdraw 2.4.1 --reason 'wrong plan'",
		cmd_withdraw, ARG(REASON) | ARG(KEY), 1, 1 },

	{ "log", "verify", NULL, "", "recompute it: signatures, rights, seeds, tree",
		"huiductl log verify", cmd_log_verify, ARG(OUTPUT), 0, 0 },
	{ "log", "tail", NULL, "", "the last entries, and those that come",
		"huiductl log tail", cmd_log_tail, ARG(WATCH) | ARG(TIMEOUT), 0, 0 },
	{ "log", "show", NULL, "INDEX", "one entry in words, and who signed it",
		"huiductl log show 42", cmd_log_show, 0, 1, 1 },
	{ "log", "export", NULL, "DIR", "checkpoint and tiles for a static web server",
		"huiductl log export /srv/www/log", cmd_log_export, 0, 1, 1 },
	{ "log", "checkpoint", NULL, "", "size and root of the log",
		"huiductl log checkpoint -o json", cmd_log_checkpoint, ARG(OUTPUT), 0, 0 },

	{ "clock", "confirm", NULL, "", "the server's clock is right, though it jumped",
		"huiductl clock confirm --reason 'replaced the battery'",
		cmd_clock_confirm, ARG(REASON) | ARG(KEY), 0, 0 },

	{ "key", "create", NULL, "PERSON", "a new key pair, made where it stays",
		"huiductl key create dave --role approver -o ~/keys",
		cmd_key_create, ARG(ROLE) | ARG(DIR) | ARG(DEMO), 1, 1 },
	{ "key", "show", NULL, "FILE", "whose key a file holds: .pub, .pem or a root",
		"huiductl key show dave.approver.pub", cmd_key_show, 0, 1, 1 },
	{ "key", "list", NULL, "", "the keys of the root in force, by role",
		"huiductl key list", cmd_key_list, ARG(OUTPUT), 0, 0 },

	{ "root", "add", NULL, "PUB...", "the next root: give keys a role",
		"huiductl root add dave.approver.pub --role approver",
		cmd_root_add, ARG(ROLE) | ARG(PRODUCTS) | ARG(RINGS) | ARG(DRAFT), 1, MANY },
	{ "root", "revoke", NULL, "PERSON|KEYID", "the next root: take keys out",
		"huiductl root revoke bob --role release",
		cmd_root_revoke, ARG(ROLE) | ARG(DRAFT), 1, 1 },
	{ "root", "rotate", NULL, "PUB...", "the next root: replace a role's keys",
		"huiductl root rotate director-2.director.pub --role director",
		cmd_root_rotate, ARG(ROLE) | ARG(PRODUCTS) | ARG(RINGS) | ARG(DRAFT), 1, MANY },
	{ "root", "threshold", NULL, "ROLE N", "the next root: how many must sign",
		"huiductl root threshold approver 2", cmd_root_threshold, ARG(DRAFT), 2, 2 },
	{ "root", "profile", NULL, "PROFILE", "the next root: solo, team or maker",
		"huiductl root profile team", cmd_root_profile, ARG(DRAFT), 1, 1 },
	{ "root", "renew", NULL, "", "the next root: the same, good for a year",
		"huiductl root renew", cmd_root_renew, ARG(DRAFT), 0, 0 },
	{ "root", "sign", NULL, "FILE...", "what it changes; add or merge signatures",
		"huiductl root sign root-2.env --key alice.root.pem",
		cmd_root_sign, ARG(KEY) | ARG(OUT) | ARG(YES), 1, MANY },
	{ "root", "show", NULL, "[FILE]", "a root, and who signed it",
		"huiductl root show root-2.env", cmd_root_show, 0, 0, 1 },
	{ "root", "publish", NULL, "FILE...", "put a root that enough have signed in force",
		"huiductl root publish root-2.env", cmd_root_publish, 0, 1, MANY },
	{ "root", "update", NULL, "", "follow the server to its newest root",
		"huiductl root update", cmd_root_update, 0, 0, 0 },

	{ "store", "stat", NULL, "[FILE]", "what the store, or a backup, has in it",
		"huiductl store stat", cmd_store_stat, ARG(CONFIG) | ARG(OUTPUT), 0, 1 },
	{ "store", "check", NULL, "[FILE]", "is it whole, and does all of it fit together",
		"huiductl store check", cmd_store_check, ARG(CONFIG) | ARG(OUTPUT), 0, 1 },
	{ "store", "dump", NULL, "[KIND]", "the records of one kind, a line of JSON each",
		"huiductl store dump device --prefix 9f3c", cmd_store_dump,
		ARG(CONFIG) | ARG(PREFIX), 0, 1 },
	{ "store", "backup", NULL, "FILE", "a copy of it, also while the server runs",
		"huiductl store backup /backup/huidu.mdb --force", cmd_store_backup,
		ARG(CONFIG) | ARG(FORCE), 1, 1 },
	{ "store", "restore", NULL, "[FILE]", "a backup in its place, and the log made whole",
		"huiductl store restore /backup/huidu.mdb", cmd_store_restore,
		ARG(CONFIG) | ARG(JOURNAL) | ARG(EMPTY) | ARG(YES), 0, 1 },

	{ "doctor", NULL, NULL, "", "what will stop working, and when",
		"huiductl doctor -o json", cmd_doctor, ARG(OUTPUT) | ARG(CONFIG), 0, 0 },
	{ "version", NULL, NULL, "", "of huiductl", "huiductl version", cmd_version,
		ARG(OUTPUT), 0, 0 },
	{ "help", NULL, NULL, "[NOUN [VERB]]", "this, a command's page, or help exit-codes",
		"huiductl help rollout halt", cmd_help, ARG(VERSION), 0, 2 },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0 },
};
/* clang-format on */

#define COMMANDS (sizeof(commands) / sizeof(commands[0]) - 1)

struct shown command_str(const struct command *c)
{
	struct shown out;

	(void)snprintf(out.s, sizeof(out.s), "huiductl %s%s%s", c->noun, c->verb != NULL ? " " : "",
		c->verb != NULL ? c->verb : "");
	return out;
}

struct shown command_page(const struct command *c)
{
	struct shown out;

	(void)snprintf(out.s, sizeof(out.s), "huiductl help %s%s%s", c->noun,
		c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "");
	return out;
}

static const char *nearest_word(const char *word)
{
	const char *known[2 * COMMANDS + 1];
	size_t n = 0;

	for (size_t i = 0; i < COMMANDS; i++) {
		known[n++] = commands[i].noun;
		if (commands[i].alias != NULL)
			known[n++] = commands[i].alias;
	}
	known[n] = NULL;
	return text_nearest(word, known);
}

static const char *nearest_verb(const char *noun, const char *verb)
{
	const char *known[COMMANDS + 1];
	size_t n = 0;

	for (size_t i = 0; i < COMMANDS; i++)
		if (text_same(commands[i].noun, noun))
			known[n++] = commands[i].verb;
	known[n] = NULL;
	return text_nearest(verb, known);
}

bool command_is_noun(const char *word)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (text_same(commands[i].noun, word))
			return true;
	return false;
}

static void list_verbs(const char *noun, char error[ARGS_ERR_MAX])
{
	size_t n = (size_t)snprintf(error, ARGS_ERR_MAX, "'%s' needs a verb:", noun);

	for (size_t i = 0; i < COMMANDS && n < ARGS_ERR_MAX; i++)
		if (text_same(commands[i].noun, noun))
			n += (size_t)snprintf(error + n, ARGS_ERR_MAX - n, " %s", commands[i].verb);
}

static void explain(const struct arg_list *words, char error[ARGS_ERR_MAX])
{
	const char *noun = words->v[0], *verb = words->n > 1 ? words->v[1] : NULL;
	const char *near;

	if (command_is_noun(noun) && verb == NULL) {
		list_verbs(noun, error);
	} else if (command_is_noun(noun)) {
		near = nearest_verb(noun, verb);
		(void)snprintf(error, ARGS_ERR_MAX, "'%s %.40s' is no command%s%s%s%s%s", noun,
			verb, near != NULL ? "; did you mean '" : "", near != NULL ? noun : "",
			near != NULL ? " " : "", near != NULL ? near : "",
			near != NULL ? "'?" : "");
	} else {
		near = nearest_word(noun);
		(void)snprintf(error, ARGS_ERR_MAX, "'%.40s' is no command%s%s%s", noun,
			near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
			near != NULL ? "'?" : "");
	}
}

const struct command *command_find(
	const struct arg_list *words, size_t *used, char error[ARGS_ERR_MAX])
{
	const char *first = words->n > 0 ? words->v[0] : "help";
	const char *second = words->n > 1 ? words->v[1] : NULL;

	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		bool whole = text_same(c->noun, first) && text_same(c->verb, second);
		if (!whole && !text_same(c->alias, first) &&
			!(text_same(c->noun, first) && c->verb == NULL))
			continue;
		*used = whole ? 2 : 1;
		return c;
	}
	explain(words, error);
	return NULL;
}
