/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/json.h"

#include <math.h>

#include "server/base/clock.h"

static void quoted(struct buf *b, const char *s)
{
	buf_str(b, "\"");
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20)
			buf_printf(b, "\\u%04x", c);
		else
			buf_add(b, s, 1);
	}
	buf_str(b, "\"");
}

static void lead(struct json *j, const char *key)
{
	if (j->comma)
		buf_str(j->out, ",");
	if (key != NULL) {
		quoted(j->out, key);
		buf_str(j->out, ":");
	}
	j->comma = true;
}

static void open_with(struct json *j, const char *key, const char *bracket)
{
	lead(j, key);
	buf_str(j->out, bracket);
	j->comma = false;
}

static void close_with(struct json *j, const char *bracket)
{
	buf_str(j->out, bracket);
	j->comma = true;
}

void json_object(struct json *j, const char *key)
{
	open_with(j, key, "{");
}

void json_array(struct json *j, const char *key)
{
	open_with(j, key, "[");
}

void json_end_object(struct json *j)
{
	close_with(j, "}");
}

void json_end_array(struct json *j)
{
	close_with(j, "]");
}

void json_str(struct json *j, const char *key, const char *value)
{
	lead(j, key);
	quoted(j->out, value);
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	buf_printf(j->out, "%llu", (unsigned long long)value);
}

void json_double(struct json *j, const char *key, double value)
{
	lead(j, key);
	if (isfinite(value))
		buf_printf(j->out, "%.17g", value);
	else
		buf_str(j->out, "null");
}

void json_bool(struct json *j, const char *key, bool value)
{
	lead(j, key);
	buf_str(j->out, value ? "true" : "false");
}

void json_hex(struct json *j, const char *key, struct bytes value)
{
	lead(j, key);
	buf_str(j->out, "\"");
	(void)buf_room(j->out, 2 * value.n + 1);
	(void)hex_encode((char *)j->out->data + j->out->len, value.p, value.n);
	j->out->len += 2 * value.n;
	buf_str(j->out, "\"");
}

void json_time(struct json *j, const char *key, uint64_t unix_ms)
{
	char text[CLOCK_TEXT];

	if (unix_ms != 0) {
		json_str(j, key, clock_text(unix_ms, text));
		return;
	}
	lead(j, key);
	buf_str(j->out, "null");
}
