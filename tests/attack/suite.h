/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs attacks, each in a process of its own: one line a case, `N passed, N failed` at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/envelope.h"

struct lab;
struct repo;

struct attack {
	const char *name;
	/* Returns when it has passed. */
	void (*run)(struct lab *l, const struct attack *a);
	enum envelope_type type;                     /* whom it is about, */
	void (*edit)(struct repo *r, void *message); /* what is done to that, */
	int want;                                    /* the error it must meet, */
	const void *more;                            /* and what else the case needs */
};

/* Rows of a table of them. */
#define CASE(name, run)       CASE_MORE(name, run, ENVELOPE__COUNT, NULL)
#define CASE_OF(name, run, t) CASE_MORE(name, run, t, NULL)
#define CASE_MORE(n, r, t, m)                                                                      \
	{                                                                                          \
		.name = n, .run = r, .type = t, .more = m                                          \
	}
#define CASE_EDIT(n, r, t, e, w)                                                                   \
	{                                                                                          \
		.name = n, .run = r, .type = t, .edit = e, .want = w                               \
	}

struct attack_group {
	const struct attack *attacks;
	size_t n;
};

/* A case that has no meaning here. */
struct attack_void {
	const char *name, *why;
	unsigned n; /* parametrisations of it */
};

struct suite {
	const struct attack_group *groups;
	size_t n_groups;
	const struct attack_void *voids;
	size_t n_voids;
	/* Sets the stage, runs the attack, and sees to what must hold after each. */
	void (*stage)(const struct attack *a);
};

/* main(): `--list`, or the beginnings of the names to run.  Returns the exit status. */
int suite_main(const struct suite *s, int argc, char **argv);

/* Ends the case as failed, with a line that says where. */
_Noreturn void suite_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A remark behind the case's name: what was counted. */
void suite_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			suite_fail(__FILE__, __LINE__, "%s", #condition);                          \
	} while (0)
#define CHECK_EQ(got, want)                                                                        \
	do {                                                                                       \
		uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                         \
		if (got_ != want_)                                                                 \
			suite_fail(__FILE__, __LINE__, "%s is %llu, not %llu", #got,               \
				(unsigned long long)got_, (unsigned long long)want_);              \
	} while (0)
#define CHECK_ERR(got, want)                                                                       \
	do {                                                                                       \
		int got_ = (got), want_ = (want);                                                  \
		if (got_ != want_)                                                                 \
			suite_fail(__FILE__, __LINE__, "%s is %s, not %s", #got,                   \
				got_ == 0 ? "0" : err_name(got_),                                  \
				want_ == 0 ? "0" : err_name(want_));                               \
	} while (0)
