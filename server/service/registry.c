/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/registry.h"

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
		if (number >= FLEET_PRODUCTS) {
			t->err = t->err != 0 ? t->err : ERR_BAD_RANGE;
			return;
		}
		line->products.bits[number / 64] |= 1ull << number % 64;
		r->products = mem_resize(r->products, r->n_products + 1, sizeof(*r->products));
		r->products[r->n_products++] =
			(struct product){ c->products[p], number, r->n_lines };
	}
	r->n_lines++;
}

int registry_open(struct store *s, const struct config *config, struct registry *out)
{
	struct store_txn t;
	int err;

	*out = (struct registry){ 0 };
	out->lines = mem_zalloc(config->n_lines * sizeof(*out->lines));
	store_begin(s, &t, true);
	for (size_t l = 0; l < config->n_lines; l++)
		add_line(out, &t, &config->lines[l]);
	err = store_commit(&t);
	if (err != 0)
		registry_release(out);
	else
		qsort(out->products, out->n_products, sizeof(*out->products), compare);
	return err;
}

void registry_release(struct registry *r)
{
	free(r->products);
	free(r->lines);
	*r = (struct registry){ 0 };
}

const struct product *registry_product(const struct registry *r, const char *name)
{
	struct product key = { .name = name };

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
