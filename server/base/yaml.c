/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "server/base/mem.h"
#include "server/base/text.h"

#define KEYS_MAX 64

struct loader {
	const char *path;
	yaml_document_t doc;
	char *error;
};

/* Where we are: the innermost key, and the way to it. */
struct place {
	const struct place *outer;
	const char *key;
	int index; /* in a list, from 1; 0: not in one */
	unsigned line;
};

static size_t put_path(char *out, size_t size, const struct place *p)
{
	size_t n = p->outer == NULL ? 0 : put_path(out, size, p->outer);

	if (n < size && p->key != NULL)
		n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "." : "", p->key);
	if (n < size && p->index > 0)
		n += (size_t)snprintf(out + n, size - n, "[%d]", p->index);
	return n;
}

static int fail(const struct loader *l, const struct place *p, const char *what)
{
	char path[128] = "";

	(void)put_path(path, sizeof(path), p);
	(void)snprintf(l->error, YAML_ERROR_MAX, "%s:%u: %s%s%s", l->path, p->line, path,
		path[0] != '\0' ? ": " : "", what);
	return ERR_CONFIG;
}

static int fail_unknown(
	const struct loader *l, const struct place *p, const struct yaml_schema *schema)
{
	const char *known[KEYS_MAX + 1], *near;
	char text[128] = "unknown key";
	size_t n = 0;

	for (size_t i = 0; i < schema->n && n < KEYS_MAX; i++)
		if (schema->fields[i].key != NULL)
			known[n++] = schema->fields[i].key;
	known[n] = NULL;
	near = text_nearest(p->key, known);
	if (near != NULL)
		(void)snprintf(text, sizeof(text), "unknown key; did you mean '%s'?", near);
	return fail(l, p, text);
}

static bool ratio(const char *s, uint32_t *out)
{
	char percent[32];
	uint32_t v;

	*out = 0;
	if (strcmp(s, "none") == 0)
		return true;
	/* 1.5 is 150 % is 1 500 000 ppm: a hundred times the percentage of the same digits. */
	if (strlen(s) > 16 || snprintf(percent, sizeof(percent), "%s%%", s) < 0 ||
		!text_ppm(percent, &v) || v > UINT32_MAX / 100)
		return false;
	/* "0" could mean "none at all" or "not the least": only the word says it. */
	*out = v * 100;
	return v > 0;
}

static bool word(const char *s, const char *const *words, uint32_t *out)
{
	for (uint32_t i = 0; words[i] != NULL; i++) {
		if (strcmp(s, words[i]) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool is_map(const struct yaml_field *f)
{
	return f->type == YAML_MAP || f->type == YAML_WORD_MAP;
}

static const char *what_it_is(enum yaml_type type)
{
	switch (type) {
	case YAML_U32:
	case YAML_U64:
		return "is a whole number";
	case YAML_BOOL:
		return "is true or false";
	case YAML_DURATION:
		return "is a duration such as 30s, 15m, 4h or 7d";
	case YAML_PPM:
		return "is a share such as 1 %, or parts per million";
	case YAML_RATIO:
		return "is a ratio such as 1.5, or none";
	case YAML_SIZE:
		return "is a size such as 64 MiB";
	case YAML_WORD:
		return "is none of the words known here";
	case YAML_STRING:
	case YAML_MAP:
	case YAML_WORD_MAP:
	case YAML_LIST:
	case YAML_LINE:
		break;
	}
	return "is of another type";
}

/* Reads `s` into the field's type; `*v` is its number for the range check. */
static bool scalar(const struct yaml_field *f, const char *s, void *at, uint64_t *v)
{
	uint32_t u = 0;
	bool ok = false;

	switch (f->type) {
	case YAML_STRING:
		*(char **)at = mem_strdup(s);
		return true;
	case YAML_BOOL:
		*(bool *)at = strcmp(s, "true") == 0;
		return strcmp(s, "true") == 0 || strcmp(s, "false") == 0;
	case YAML_DURATION:
		ok = text_duration(s, v);
		*(uint64_t *)at = *v;
		return ok;
	case YAML_U64:
		ok = text_u64(s, v);
		*(uint64_t *)at = *v;
		return ok;
	case YAML_SIZE:
		ok = text_size(s, v);
		*(uint64_t *)at = *v;
		return ok;
	case YAML_U32:
		ok = text_u64(s, v) && *v <= UINT32_MAX;
		*(uint32_t *)at = (uint32_t)*v;
		return ok;
	case YAML_PPM:
		ok = text_ppm(s, &u);
		break;
	case YAML_RATIO:
		ok = ratio(s, &u);
		break;
	case YAML_WORD:
		ok = word(s, f->words, &u);
		break;
	case YAML_MAP:
	case YAML_WORD_MAP:
	case YAML_LIST:
	case YAML_LINE:
		return false;
	}
	*v = u;
	*(uint32_t *)at = u;
	return ok;
}

static int load_scalar(const struct loader *l, const struct place *p, const struct yaml_field *f,
	const char *s, void *at)
{
	char text[128];
	uint64_t v = f->min;

	if (!scalar(f, s, at, &v)) {
		(void)snprintf(text, sizeof(text), "'%.40s' %s", s, what_it_is(f->type));
		return fail(l, p, text);
	}
	if (f->max == 0 || (v >= f->min && v <= f->max))
		return 0;
	(void)snprintf(text, sizeof(text), "'%.40s' is not within %llu to %llu%s", s,
		(unsigned long long)f->min, (unsigned long long)f->max,
		f->type == YAML_DURATION ? " ms" : "");
	return fail(l, p, text);
}

static int load_map(struct loader *l, const struct place *p, const yaml_node_t *node,
	const struct yaml_schema *schema, void *out);

static int load_list(struct loader *l, const struct place *p, const yaml_node_t *node,
	const struct yaml_field *f, uint8_t *out)
{
	size_t size = f->of != NULL ? f->of->size : sizeof(char *);
	size_t *count = (size_t *)(void *)(out + f->count_at);
	uint8_t **list = (uint8_t **)(void *)(out + f->at);
	int err = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return fail(l, p, "is a list");
	for (const yaml_node_item_t *i = node->data.sequence.items.start;
		err == 0 && i < node->data.sequence.items.top; i++) {
		const yaml_node_t *item = yaml_document_get_node(&l->doc, *i);
		struct place at = { p, NULL, (int)*count + 1, (unsigned)item->start_mark.line + 1 };
		*list = mem_resize(*list, *count + 1, size);
		uint8_t *element = *list + *count * size;
		memset(element, 0, size);
		(*count)++;
		if (f->of != NULL)
			err = load_map(l, &at, item, f->of, element);
		else if (item->type == YAML_SCALAR_NODE)
			*(char **)(void *)element =
				mem_strdup((const char *)item->data.scalar.value);
		else
			err = fail(l, &at, "is a word");
	}
	return err;
}

/* All defaults but for the first key. */
static int load_word(struct loader *l, const struct place *p, const char *word,
	const struct yaml_schema *schema, uint8_t *out)
{
	const struct yaml_field *first = schema->fields;
	int err = load_map(l, p, NULL, schema, out);

	while (first->key == NULL)
		first++;
	struct place at = { p, first->key, 0, p->line };
	return err != 0 ? err : load_scalar(l, &at, first, word, out + first->at);
}

static int load_value(struct loader *l, const struct place *p, const yaml_node_t *node,
	const struct yaml_field *f, uint8_t *out)
{
	if (f->type == YAML_WORD_MAP && node->type == YAML_SCALAR_NODE)
		return load_word(l, p, (const char *)node->data.scalar.value, f->of, out + f->at);
	if (is_map(f))
		return load_map(l, p, node, f->of, out + f->at);
	if (f->type == YAML_LIST)
		return load_list(l, p, node, f, out);
	if (node->type != YAML_SCALAR_NODE)
		return fail(l, p, "is one value, not a list or a map");
	return load_scalar(l, p, f, (const char *)node->data.scalar.value, out + f->at);
}

static int load_default(
	struct loader *l, const struct place *p, const struct yaml_field *f, uint8_t *out)
{
	if (f->def == NULL)
		return fail(l, p, "is missing");
	if (is_map(f))
		return load_map(l, p, NULL, f->of, out + f->at);
	if (f->type == YAML_LIST)
		return 0;
	return load_scalar(l, p, f, f->def, out + f->at);
}

static const yaml_node_pair_t *find_pair(struct loader *l, const yaml_node_t *map, const char *key)
{
	if (map == NULL)
		return NULL;
	for (const yaml_node_pair_t *i = map->data.mapping.pairs.start;
		i < map->data.mapping.pairs.top; i++) {
		const yaml_node_t *k = yaml_document_get_node(&l->doc, i->key);
		if (k->type == YAML_SCALAR_NODE &&
			strcmp((const char *)k->data.scalar.value, key) == 0)
			return i;
	}
	return NULL;
}

/* Every key of the file is known and occurs once. */
static int check_keys(struct loader *l, const struct place *p, const yaml_node_t *map,
	const struct yaml_schema *schema)
{
	for (const yaml_node_pair_t *i = map->data.mapping.pairs.start;
		i < map->data.mapping.pairs.top; i++) {
		const yaml_node_t *k = yaml_document_get_node(&l->doc, i->key);
		struct place at = { p, NULL, 0, (unsigned)k->start_mark.line + 1 };
		bool known = false;
		if (k->type != YAML_SCALAR_NODE)
			return fail(l, &at, "a key is one word");
		at.key = (const char *)k->data.scalar.value;
		for (size_t f = 0; f < schema->n; f++)
			known |= schema->fields[f].key != NULL &&
				strcmp(schema->fields[f].key, at.key) == 0;
		if (!known)
			return fail_unknown(l, &at, schema);
		if (find_pair(l, map, at.key) != i)
			return fail(l, &at, "stands here twice");
	}
	return 0;
}

/* `node` NULL: an absent map, all defaults. */
static int load_map(struct loader *l, const struct place *p, const yaml_node_t *node,
	const struct yaml_schema *schema, void *out)
{
	int err = 0;

	if (node != NULL && node->type != YAML_MAPPING_NODE)
		return fail(l, p, "is a map of keys and values");
	if (node != NULL)
		err = check_keys(l, p, node, schema);
	for (size_t i = 0; err == 0 && i < schema->n; i++) {
		const struct yaml_field *f = &schema->fields[i];
		struct place at = { p, f->key, 0, p->line };
		if (f->type == YAML_LINE) {
			*(uint32_t *)(void *)((uint8_t *)out + f->at) = p->line;
			continue;
		}
		const yaml_node_pair_t *pair = find_pair(l, node, f->key);
		if (pair == NULL) {
			err = load_default(l, &at, f, out);
			continue;
		}
		const yaml_node_t *value = yaml_document_get_node(&l->doc, pair->value);
		at.line = (unsigned)value->start_mark.line + 1;
		err = load_value(l, &at, value, f, out);
	}
	return err;
}

static int load_document(struct loader *l, const struct yaml_schema *schema, void *out)
{
	struct place top = { .line = 1 };
	const yaml_node_t *root = yaml_document_get_root_node(&l->doc);
	int err;

	if (root == NULL)
		return fail(l, &top, "the file is empty");
	memset(out, 0, schema->size);
	err = load_map(l, &top, root, schema, out);
	if (err != 0)
		yaml_release(schema, out);
	return err;
}

static int fail_parse(const struct loader *l, const yaml_parser_t *parser)
{
	struct place at = { .line = (unsigned)parser->problem_mark.line + 1 };

	return fail(l, &at, parser->problem != NULL ? parser->problem : "no YAML");
}

/* What stands behind the first document would be overlooked. */
static int check_end(const struct loader *l, yaml_parser_t *parser)
{
	const yaml_node_t *root;
	yaml_document_t next;
	struct place at = { 0 };

	if (yaml_parser_load(parser, &next) != 1)
		return fail_parse(l, parser);
	root = yaml_document_get_root_node(&next);
	at.line = root != NULL ? (unsigned)root->start_mark.line + 1 : 0;
	yaml_document_delete(&next);
	return at.line > 0 ? fail(l, &at, "a second document begins here") : 0;
}

int yaml_read_file(
	const char *path, const struct yaml_schema *schema, void *out, char error[YAML_ERROR_MAX])
{
	struct loader l = { .path = path, .error = error };
	yaml_parser_t parser;
	FILE *f = fopen(path, "re");
	int err;

	if (f == NULL) {
		err = -errno;
		(void)snprintf(error, YAML_ERROR_MAX, "%s: %s", path, strerror(errno));
		return err;
	}
	if (yaml_parser_initialize(&parser) != 1)
		abort(); /* out of memory */
	yaml_parser_set_input_file(&parser, f);
	if (yaml_parser_load(&parser, &l.doc) == 1) {
		err = check_end(&l, &parser);
		if (err == 0)
			err = load_document(&l, schema, out);
		yaml_document_delete(&l.doc);
	} else {
		err = fail_parse(&l, &parser);
	}
	yaml_parser_delete(&parser);
	(void)fclose(f); /* only read */
	return err;
}

static void free_field(const struct yaml_field *f, uint8_t *out)
{
	size_t size = f->of != NULL ? f->of->size : sizeof(char *);
	uint8_t *list;

	if (f->type == YAML_STRING) {
		free(*(char **)(void *)(out + f->at));
	} else if (is_map(f)) {
		yaml_release(f->of, out + f->at);
	} else if (f->type == YAML_LIST) {
		list = *(uint8_t **)(void *)(out + f->at);
		for (size_t i = 0; i < *(size_t *)(void *)(out + f->count_at); i++) {
			if (f->of != NULL)
				yaml_release(f->of, list + i * size);
			else
				free(*(char **)(void *)(list + i * size));
		}
		free(list);
	}
}

void yaml_release(const struct yaml_schema *schema, void *out)
{
	for (size_t i = 0; i < schema->n; i++)
		free_field(&schema->fields[i], out);
	memset(out, 0, schema->size);
}
