/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/args.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "server/base/text.h"

enum kind { KIND_FLAG, KIND_TEXT, KIND_NUMBER, KIND_DURATION, KIND_LIST };

static const struct option {
	const char *name;
	char letter;
	const char *value;
	enum kind kind;
	size_t at;
	const char *help;
} options[ARG__COUNT] = {
#define OPTION(id, name, letter, value, kind, member, help)                                        \
	[ARG_##id] = { name, letter, value, KIND_##kind, offsetof(struct args, member), help },
#include "server/ctl/args.def"
#undef OPTION
};

static_assert(ARG__COUNT <= 64, "options are bits");

static int bad(char error[ARGS_ERR_MAX], const char *what, size_t n, const char *why)
{
	(void)snprintf(error, ARGS_ERR_MAX, "%.*s %s", (int)(n < 60 ? n : 60), what, why);
	return ERR_CONFIG;
}

/* The option `word` of `n` characters names ("--plan", "-o"), among those in `which`.
 */
static const struct option *find(const char *word, size_t n, uint64_t which)
{
	for (size_t i = 0; i < ARG__COUNT; i++) {
		const struct option *o = &options[i];
		if (!(which >> i & 1))
			continue;
		if (n == 2 && o->letter != 0 && word[1] == o->letter)
			return o;
		if (n == strlen(o->name) + 2 && strncmp(word, "--", 2) == 0 &&
			strncmp(word + 2, o->name, n - 2) == 0)
			return o;
	}
	return NULL;
}

static int unknown(char error[ARGS_ERR_MAX], const char *word, size_t n, uint64_t which)
{
	const char *names[ARG__COUNT + 1], *near;
	char text[32] = "", why[80];
	size_t k = 0;

	for (size_t i = 0; i < ARG__COUNT; i++)
		if (which >> i & 1)
			names[k++] = options[i].name;
	names[k] = NULL;
	(void)snprintf(text, sizeof(text), "%.*s", (int)n, word);
	near = text_nearest(text + strspn(text, "-"), names);
	if (near != NULL)
		(void)snprintf(why, sizeof(why), "is no option here; did you mean --%s?", near);
	return bad(error, word, n, near != NULL ? why : "is no option here");
}

/* One option at argv[*i]; moves on over its value. */
static int split_one(struct args *a, int argc, char *const *argv, int *i, char error[ARGS_ERR_MAX])
{
	const char *word = argv[*i], *equals = strchr(word, '='), *value = NULL;
	size_t n = equals != NULL ? (size_t)(equals - word) : strlen(word);
	const struct option *o;

	if (word[1] != '-' && n > 2) { /* -ojson */
		value = word + 2;
		n = 2;
	} else if (equals != NULL) {
		value = equals + 1;
	}
	/*
	 * Options of one name all take a value, or none does: any of them tells.  A
	 * name that nobody has is refused by args_read(), which knows whose command it
	 * is.
	 */
	o = find(word, n, UINT64_MAX);
	if (o != NULL && o->kind != KIND_FLAG && value == NULL) {
		if (*i + 1 == argc)
			return bad(error, word, n, "needs a value");
		value = argv[++*i];
	}
	if (a->n_pending == ARGS_MAX)
		return bad(error, word, n, "is one option too many");
	a->pending[a->n_pending].name = word;
	a->pending[a->n_pending].length = n;
	a->pending[a->n_pending++].value = value;
	return 0;
}

static int add(struct arg_list *list, const char *word, char error[ARGS_ERR_MAX])
{
	if (list->n == ARGS_MAX)
		return bad(error, word, strlen(word), "is one too many");
	list->v[list->n++] = word;
	return 0;
}

int args_split(struct args *a, int argc, char *const *argv, char error[ARGS_ERR_MAX])
{
	bool words_only = false;
	int err = 0;

	memset(a, 0, sizeof(*a));
	for (int i = 0; err == 0 && i < argc; i++) {
		if (!words_only && strcmp(argv[i], "--") == 0)
			words_only = true;
		else if (!words_only && argv[i][0] == '-' && argv[i][1] != '\0')
			err = split_one(a, argc, argv, &i, error);
		else
			err = add(&a->words, argv[i], error);
	}
	return err;
}

static bool is_one_of(const char *words, const char *value)
{
	size_t n = strlen(value);

	for (const char *w = words; w != NULL; w = strchr(w, '|')) {
		w += w != words;
		if (strcspn(w, "|") == n && strncmp(w, value, n) == 0)
			return true;
	}
	return false;
}

static int read_flag(void *at, const char *value)
{
	bool yes = value == NULL || strcmp(value, "true") == 0;

	*(enum arg_flag *)at = yes ? FLAG_YES : FLAG_NO;
	return yes || strcmp(value, "false") == 0 ? 0 : ERR_CONFIG;
}

static int read_number(struct arg_number *at, enum kind kind, const char *value)
{
	at->set = true;
	return (kind == KIND_DURATION ? text_duration : text_u64)(value, &at->v) ? 0 : ERR_CONFIG;
}

static int read_one(struct args *a, const struct option *o, const char *name, size_t n,
	const char *value, char error[ARGS_ERR_MAX])
{
	void *at = (uint8_t *)a + o->at;
	char why[80];

	switch (o->kind) {
	case KIND_FLAG:
		return read_flag(at, value) == 0 ? 0 : bad(error, name, n, "is true or false");
	case KIND_NUMBER:
	case KIND_DURATION:
		if (((struct arg_number *)at)->set)
			break;
		return read_number(at, o->kind, value) == 0
			? 0
			: bad(error, name, n,
				  o->kind == KIND_NUMBER ? "is a whole number"
							 : "is a duration such as 90s or 6h");
	case KIND_LIST:
		return add(at, value, error);
	case KIND_TEXT:
		if (*(const char **)at != NULL)
			break;
		*(const char **)at = value;
		(void)snprintf(why, sizeof(why), "is one of %s", o->value);
		if (strchr(o->value, '|') != NULL && !is_one_of(o->value, value))
			return bad(error, name, n, why);
		return value[0] != '\0' ? 0 : bad(error, name, n, "is empty");
	}
	return bad(error, name, n, "stands here twice");
}

int args_read(struct args *a, uint64_t allowed, char error[ARGS_ERR_MAX])
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < a->n_pending; i++) {
		const char *name = a->pending[i].name;
		size_t n = a->pending[i].length;
		const struct option *o = find(name, n, allowed);
		err = o == NULL ? unknown(error, name, n, allowed)
				: read_one(a, o, name, n, a->pending[i].value, error);
	}
	return err;
}

void args_drop(struct arg_list *words, size_t n)
{
	words->n -= n <= words->n ? n : words->n;
	memmove(words->v, words->v + n, words->n * sizeof(words->v[0]));
}

void args_help(struct buf *out, uint64_t which)
{
	for (size_t i = 0; i < ARG__COUNT; i++) {
		const struct option *o = &options[i];
		char left[40], letter[8] = "    ";
		if (!(which >> i & 1))
			continue;
		if (o->letter != 0)
			(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		(void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name,
			o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
		buf_printf(out, "  %-31s %s\n", left, o->help);
	}
}
