/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/registry.h"

#include <stdio.h>

#include "server/base/mem.h"
#include "server/store/entry.h"

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct product *)a)->name, ((const struct product *)b)->name);
}

static void add_line(struct registry *r, struct store_txn *t, const struct config_line *c)
{
	struct line *line = &r->lines[r->n_lines];

	line->config = c;
	line->number = name_number(t, "line", c->name);
	for (size_t p = 0; p < c->n_products; p++) {
		uint16_t number = name_number(t, "product", c->products[p]);
		if (number >= FLEET_ERASED) {
			t->err = t->err != 0 ? t->err : ERR_BAD_RANGE;
			return;
		}
		line->products.bits[number / 64] |= 1ull << number % 64;
		r->products = mem_resize(r->products, r->n_products + 1, sizeof(*r->products));
		r->products[r->n_products++] =
			(struct product){ mem_strdup(c->products[p]), number, r->n_lines };
	}
	r->n_lines++;
}

static struct bytes crash_key(uint16_t product, char key[16])
{
	return bytes_of(key, (size_t)snprintf(key, 16, "crashes/%u", product));
}

void registry_crashed(struct store_txn *t, uint16_t product)
{
	char key[16];

	store_put(t, STORE_META, crash_key(product, key), bytes_of("", 1));
}

static void read_crashes(struct registry *r, struct store_txn *t)
{
	for (size_t i = 0; i < r->n_products; i++) {
		uint16_t number = r->products[i].number;
		struct bytes v;
		char key[16];
		r->crashes[number] = store_get(t, STORE_META, crash_key(number, key), &v);
	}
}

int registry_open(struct store *s, const struct config *config, struct registry *out)
{
	struct store_txn t;
	int err;

	memset(out, 0, sizeof(*out));
	out->lines = mem_zalloc(config->n_lines * sizeof(*out->lines));
	store_begin(s, &t, true);
	for (size_t l = 0; l < config->n_lines; l++)
		add_line(out, &t, &config->lines[l]);
	read_crashes(out, &t);
	err = store_commit(&t);
	if (err != 0)
		registry_release(out);
	else
		qsort(out->products, out->n_products, sizeof(*out->products), compare);
	return err;
}

void registry_release(struct registry *r)
{
	for (size_t i = 0; i < r->n_products; i++)
		free(r->products[i].name);
	free(r->products);
	free(r->lines);
	memset(r, 0, sizeof(*r));
}

const struct product *registry_product(const struct registry *r, const char *name)
{
	struct product key = { .name = (char *)(uintptr_t)name };

	return bsearch(&key, r->products, r->n_products, sizeof(key), compare);
}

const struct product *registry_number(const struct registry *r, uint16_t number)
{
	for (size_t i = 0; i < r->n_products; i++)
		if (r->products[i].number == number)
			return &r->products[i];
	return NULL;
}

struct line *registry_line(const struct registry *r, const char *name)
{
	for (size_t i = 0; i < r->n_lines; i++)
		if (strcmp(r->lines[i].config->name, name) == 0)
			return &r->lines[i];
	return NULL;
}

void registry_use(struct registry *r, const struct config *config)
{
	for (size_t i = 0; i < r->n_lines; i++)
		for (size_t l = 0; l < config->n_lines; l++)
			if (strcmp(config->lines[l].name, r->lines[i].config->name) == 0) {
				r->lines[i].config = &config->lines[l];
				break;
			}
}
