/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device in a directory: libhuidu with libcurl, files, and programs for what a phone
 * does.
 */
#pragma once

#include "client-sdk/agent/files.h"
#include "client-sdk/agent/settings.h"
#include "client-sdk/curl/huidu_curl.h"

enum agent_exit {
	AGENT_DONE = 0,
	AGENT_FAILED = 1,
	AGENT_USAGE = 2,
	AGENT_RESTART = 10, /* another build is in place: start again */
};

/*
 * The build that runs, as files "current" and "previous" tell it: "id counter
 * rollback_index".
 */
struct agent_build {
	char id[64];
	uint64_t counter, rollback_index;
};

struct agent {
	const struct settings *settings;
	struct files files;
	struct huidu_curl *curl;
	void *root;
	size_t root_len;
	uint8_t voucher[64];
	struct agent_build build;
	char download[4096]; /* the path the install program gets */
	huidu_t *h;
	bool polled;
	bool restart;
	struct huidu_status shown; /* what was last printed */
	_Alignas(16) uint8_t memory[HUIDU_MEMORY];
	_Alignas(16) uint8_t scratch[HUIDU_SCRATCH];
};

/*
 * 0, or an error after a line on stderr.  agent_close takes what a failed open leaves,
 * too.
 */
int agent_open(struct agent *a, const struct settings *settings);
void agent_close(struct agent *a);
/* Lives until it is to be restarted, --once is over, or it is told to end. */
enum agent_exit agent_run(struct agent *a);

/* hooks.c */
struct huidu_platform agent_platform(struct agent *a);
/* The build it was put to instead of --build. */
int agent_load_build(struct agent *a);
/* Puts the previous build back. */
int agent_fall_back(struct agent *a);
/* One line on stderr; `err` 0: none. */
void agent_say(const char *what, int err);
