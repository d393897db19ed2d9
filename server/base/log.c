/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/clock.h"

#define LINE_MAX_LEN 1024

static struct {
	const char *name;
	enum log_level max;
	bool journal;
} state = { "huidu", LOG_LEVEL_INFO, false };

static const struct {
	const char *word;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARN] = { "warn", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

void log_init(const char *name, enum log_level max)
{
	state.name = name;
	state.max = max;
	state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_name(const char *name)
{
	state.name = name;
}

void log_write(enum log_level level, const char *format, ...)
{
	int saved = errno, n;
	char line[LINE_MAX_LEN], now[CLOCK_TEXT];
	va_list args;

	if (level > state.max)
		return;
	if (state.journal)
		n = snprintf(line, sizeof(line), "<%d>%s: ", levels[level].priority, state.name);
	else
		n = snprintf(line, sizeof(line), "%s %s %s: ", clock_text(clock_ms(), now),
			state.name, levels[level].word);
	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
	va_end(args);
	if (n > LINE_MAX_LEN - 2)
		n = LINE_MAX_LEN - 2;
	line[n++] = '\n';
	/* One write, so that lines of several threads do not mix. */
	ssize_t ignored = write(STDERR_FILENO, line, (size_t)n);
	(void)ignored; /* there is nowhere to say that stderr is gone */
	errno = saved;
}
