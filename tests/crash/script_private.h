/* SPDX-License-Identifier: Apache-2.0 */
/* What the script's two files share. */
#pragma once

#include "tests/crash/script.h"
#include "tests/crash/sdk.h"

#define MINUTE 60000ull
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

struct script {
	struct deployment d;
	struct test_device device[SCRIPT_DEVICES];
	struct test_plan plan;
	struct sdk phone;
};

/* Ends the run, unless err is 0. */
void script_must(const struct script *s, int err, const char *what);
void script_mark(enum mark_kind kind, uint64_t a, uint32_t b, const char *text);
/* A person was answered. */
void script_acknowledged(struct script *s, int err, const char *what);
void script_wait(struct script *s, uint64_t ms);
/* A phone asks for all there is, and is answered. */
void script_show(struct script *s, struct test_device *t);
void script_report(struct script *s, unsigned i, const char *build, Pb__EventKind kind);
void script_restart(struct script *s);

/* ---- steps: what comes, and what goes ---- */

void script_bring_fleet(struct script *s);
void script_erase(struct script *s);
void script_upload(struct script *s);
void script_half_a_year(struct script *s);
void script_collect(struct script *s);
