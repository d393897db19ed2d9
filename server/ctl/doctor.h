/* SPDX-License-Identifier: Apache-2.0 */
/* What `huiductl doctor` finds; its parts add to one list, in the order in which it is shown. */
#pragma once

#include "server/ctl/cmds.h"

enum grade { GRADE_OK, GRADE_WARN, GRADE_BAD };

struct finding {
	enum grade grade;
	char *what, *says;
	char *next; /* NULL: nothing to do */
	bool calm;  /* renewed by itself, and in time: not worth a line of its own */
};

struct doctor {
	struct ctl *c;
	uint64_t now_s;
	struct finding *list;
	size_t n;
	size_t n_calm;
	uint64_t calm_until; /* when the first of them expires, unix seconds */
};

/* `next` is the command that helps, NULL for none; what is passed in is copied. */
__attribute__((format(printf, 5, 6))) void doctor_find(struct doctor *d, enum grade grade,
	const char *what, const char *next, const char *format, ...);
/* The people behind each role, keys that were made to try huidu out, and files of keys. */
void doctor_keys(struct doctor *d);
