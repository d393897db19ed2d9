/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/json.h"

#include <assert.h>
#include <pthread.h>

#include <jansson.h>

#include "server/base/mem.h"

#define NAME_MAX_LEN 64u

static const json_t *of(const struct json_value *v)
{
	return (const json_t *)v;
}

static const struct json_value *value(const json_t *j)
{
	return (const struct json_value *)j;
}

/* ---- read ---- */

/*
 * Depth and number of values before jansson sees a byte.  As far as the text is JSON the count is
 * right, and where it is not any more jansson goes no further.
 */
static bool within(struct bytes in)
{
	size_t depth = 0, values = 1;
	bool quoted = false;

	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];
		if (c == '"')
			quoted = !quoted;
		else if (quoted)
			i += c == '\\'; /* whatever is behind it ends nothing */
		else if (c == '[' || c == '{')
			depth++;
		else if (c == ']' || c == '}')
			depth -= depth > 0;
		values += !quoted && (c == ',' || c == '[' || c == '{');
		if (depth > JSON_DEPTH_MAX || values > JSON_VALUES_MAX)
			return false;
	}
	return true;
}

static void set_memory(void)
{
	json_set_alloc_funcs(mem_alloc, free);
}

int json_read(struct bytes body, size_t max, struct json_value **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_t *root;

	assert(max <= JSON_BYTES_MAX);
	*out = NULL;
	if (body.n > max || !within(body))
		return ERR_TOO_BIG;
	(void)pthread_once(&once, set_memory); /* cannot fail with a handler and a once of ours */
	root = body.n > 0 ? json_loadb((const char *)body.p, body.n, 0, NULL) : NULL;
	*out = (struct json_value *)root;
	return root != NULL ? 0 : ERR_MALFORMED;
}

void json_free(struct json_value *document)
{
	json_decref((json_t *)document);
}

/* ---- look ---- */

/* Decimal digits and nothing else, and few enough. */
static bool place(const char *name, size_t n, size_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (name[i] < '0' || name[i] > '9' || i > 8)
			return false;
		*out = *out * 10 + (size_t)(name[i] - '0');
	}
	return n > 0;
}

static const json_t *step(const json_t *j, const char *name, size_t n)
{
	char key[NAME_MAX_LEN];
	size_t i;

	if (json_is_array(j))
		return place(name, n, &i) ? json_array_get(j, i) : NULL;
	if (n >= sizeof(key))
		return NULL;
	memcpy(key, name, n);
	key[n] = '\0';
	return json_object_get(j, key); /* NULL of what is no object */
}

const struct json_value *json_at(const struct json_value *v, const char *path)
{
	const json_t *j = of(v);

	while (*path != '\0' && j != NULL) {
		size_t n = strcspn(path, ".");
		j = step(j, path, n);
		path += n + (path[n] == '.');
	}
	return value(j);
}

struct bytes json_text(const struct json_value *v, const char *path)
{
	const json_t *j = of(json_at(v, path));

	if (!json_is_string(j))
		return bytes_of(NULL, 0);
	return bytes_of(json_string_value(j), json_string_length(j));
}

static bool whole_of(struct bytes text, int64_t *out)
{
	bool minus = text.n > 0 && text.p[0] == '-';
	int64_t sum = 0;

	for (size_t i = minus; i < text.n; i++) {
		int digit = text.p[i] - '0';
		if (digit < 0 || digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
			__builtin_add_overflow(sum, minus ? -digit : digit, &sum))
			return false;
	}
	*out = sum;
	return text.n > minus;
}

bool json_whole(const struct json_value *v, const char *path, int64_t *out)
{
	const json_t *j = of(json_at(v, path));

	if (!json_is_integer(j))
		return whole_of(json_text(v, path), out);
	*out = json_integer_value(j);
	return true;
}

bool json_yes(const struct json_value *v, const char *path)
{
	return json_is_true(of(json_at(v, path)));
}

/* jansson iterates through a pointer that might be written to; nothing is. */
static json_t *writable(const struct json_value *v)
{
	union {
		const struct json_value *in;
		json_t *out;
	} u = { v };

	return u.out;
}

bool json_next(const struct json_value *v, struct json_walk *w)
{
	const char *key;

	w->value = NULL;
	if (json_is_array(of(v))) {
		w->value = value(json_array_get(of(v), w->at++));
		return w->value != NULL;
	}
	if (!json_is_object(of(v)))
		return false;
	/* Behind the last member the iterator is NULL, and stays so. */
	w->iter = w->at++ == 0 ? json_object_iter(writable(v))
			       : json_object_iter_next(writable(v), w->iter);
	if (w->iter == NULL)
		return false;
	key = json_object_iter_key(w->iter);
	w->key = bytes_str(key);
	w->value = value(json_object_iter_value(w->iter));
	return true;
}

/* ---- write ---- */

static int add(const char *text, size_t n, void *arg)
{
	buf_add(arg, text, n);
	return 0;
}

void json_sorted(struct buf *out, const struct json_value *v)
{
	int err = json_dump_callback(
		of(v), add, out, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	assert(err == 0); /* what was read can be written */
}

/* ---- scan ---- */

static size_t skip_blank(struct bytes in, size_t i)
{
	while (i < in.n &&
		(in.p[i] == ' ' || in.p[i] == '\t' || in.p[i] == '\r' || in.p[i] == '\n'))
		i++;
	return i;
}

/* The word of small letters in quotation marks behind a colon at `i`. */
static struct bytes word_at(struct bytes in, size_t i)
{
	size_t n = 0;

	i = skip_blank(in, i);
	if (i == in.n || in.p[i] != ':')
		return bytes_of(NULL, 0);
	i = skip_blank(in, i + 1);
	if (i == in.n || in.p[i] != '"')
		return bytes_of(NULL, 0);
	i++;
	while (i + n < in.n && in.p[i + n] >= 'a' && in.p[i + n] <= 'z')
		n++;
	if (n == 0 || i + n == in.n || in.p[i + n] != '"')
		return bytes_of(NULL, 0);
	return bytes_of(in.p + i, n);
}

static struct bytes first_word(struct bytes in, const char *name)
{
	size_t n = strlen(name);
	struct bytes word = { NULL, 0 };

	for (size_t i = 0; word.p == NULL && i + n <= in.n; i++)
		if (in.p[i] == '"' && memcmp(in.p + i, name, n) == 0)
			word = word_at(in, i + n);
	return word;
}

bool json_scan(struct bytes body, struct json_feedback *out)
{
	out->execution = first_word(body, "\"execution\"");
	out->finished = first_word(body, "\"finished\"");
	return out->execution.p != NULL && out->finished.p != NULL;
}
