/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/image.h"

#include "server/base/mem.h"

struct image *image_new(size_t n_products)
{
	struct image *image = mem_zalloc(sizeof(*image) + n_products * sizeof(image->product[0]));

	image->n = n_products;
	return image;
}

static void ring_release(struct image_ring *r)
{
	buf_release(&r->full);
	buf_release(&r->fresh);
	for (size_t i = 0; i < r->rules.n; i++) {
		const struct offer_rule *o = &r->rules.offers[i];
		for (size_t b = 0; b < o->n_from_builds; b++)
			free((void *)(uintptr_t)o->from_builds[b]);
		free((void *)(uintptr_t)o->from_builds);
	}
}

void image_free(struct image *image)
{
	if (image == NULL)
		return;
	for (size_t p = 0; p < image->n; p++) {
		free(image->product[p].builds);
		for (unsigned r = 0; r < RING__COUNT; r++)
			ring_release(&image->product[p].ring[r]);
	}
	free(image);
}

const struct image_product *image_find(const struct image *image, const char *product)
{
	size_t low = 0, high = image->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(product, image->product[middle].name);
		if (order == 0)
			return &image->product[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct image_product *image_number(const struct image *image, uint16_t number)
{
	for (size_t i = 0; i < image->n; i++)
		if (image->product[i].number == number)
			return &image->product[i];
	return NULL;
}

uint8_t image_tag(const struct image_product *p, uint64_t build_hash)
{
	for (size_t i = 0; i < p->n_builds; i++)
		if (p->builds[i].hash == build_hash)
			return p->builds[i].tag;
	return 0;
}
