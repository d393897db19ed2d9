/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event on stderr: "object: what: why".  Under systemd lines carry the journal's
 * priority prefix instead of a time.  errno is kept.  Any thread.
 */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `max` are dropped; `name` stands before each ("huidud"). Call before threads. */
void log_init(const char *name, enum log_level max);
/* From now on lines are another's: of a process that was forked. */
void log_name(const char *name);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
