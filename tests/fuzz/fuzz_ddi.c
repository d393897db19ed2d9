/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hawkBit client's body, read and scanned: what is taken is within its bounds, is written as one text
 * that is read as it was, and a scan finds what the reader finds.
 */
#include <assert.h>

#include "server/http/compat/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t walk(const struct json_value *v, unsigned depth)
{
	struct json_walk w = { 0 };
	size_t values = 1;
	int64_t number;

	while (json_next(v, &w)) {
		assert(depth < JSON_DEPTH_MAX && w.value != NULL);
		assert(w.key.p == NULL || memchr(w.key.p, '\0', w.key.n) == NULL);
		values += walk(w.value, depth + 1);
	}
	assert(!json_next(v, &w));
	if (json_text(v, "").p != NULL)
		assert(memchr(json_text(v, "").p, '\0', json_text(v, "").n) == NULL);
	assert(!json_whole(v, "", &number) || !json_yes(v, ""));
	return values;
}

static void look(const struct json_value *v)
{
	static const char *const path[] = { "id", "status.result.finished",
		"status.result.progress.cnt", "status.details.0", "data", "0.0", "mode", ".." };
	int64_t number;

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		(void)json_whole(v, path[i], &number); /* that it returns */
		if (json_text(v, path[i]).p != NULL)
			assert(json_at(v, path[i]) != NULL);
	}
}

static void write_again(const struct json_value *v)
{
	struct buf once = { 0 }, twice = { 0 };
	struct json_value *again;
	int err;

	json_sorted(&once, v);
	/* Control characters take six bytes. */
	err = json_read(buf_bytes(&once), JSON_BYTES_MAX, &again);
	assert(err == 0 || (err == ERR_TOO_BIG && once.len > JSON_BYTES_MAX));
	if (err == 0) {
		json_sorted(&twice, again);
		assert(bytes_eq(buf_bytes(&once), buf_bytes(&twice)));
	}
	json_free(again);
	buf_release(&once);
	buf_release(&twice);
}

static void check_word(struct bytes in, struct bytes word)
{
	if (word.p == NULL)
		return;
	assert(word.n > 0 && word.p > in.p && word.p + word.n < in.p + in.n);
	assert(word.p[-1] == '"' && word.p[word.n] == '"');
	for (size_t i = 0; i < word.n; i++)
		assert(word.p[i] >= 'a' && word.p[i] <= 'z');
}

static bool once(struct bytes in, const char *name)
{
	const uint8_t *at = memmem(in.p, in.n, name, strlen(name));
	size_t used = at != NULL ? (size_t)(at - in.p) + 1 : 0;

	return at != NULL && memmem(in.p + used, in.n - used, name, strlen(name)) == NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in = bytes_of(data, n), word;
	struct json_value *v;
	struct json_feedback f;
	int err = json_read(in, JSON_BYTES_MAX, &v);

	assert((v != NULL) == (err == 0));
	assert(json_scan(in, &f) == (f.execution.p != NULL && f.finished.p != NULL));
	check_word(in, f.execution);
	check_word(in, f.finished);
	if (err != 0) {
		assert(err == ERR_TOO_BIG || err == ERR_MALFORMED);
		return 0;
	}
	assert(walk(v, 0) <= JSON_VALUES_MAX);
	look(v);
	write_again(v);
	word = json_text(v, "status.execution");
	if (word.p != NULL && f.execution.p != NULL && memchr(in.p, '\\', n) == NULL &&
		once(in, "\"execution\""))
		assert(bytes_eq(word, f.execution));
	json_free(v);
	return 0;
}
