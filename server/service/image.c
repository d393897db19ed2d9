/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/image.h"

#include <assert.h>

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
	buf_release(&image->log.checkpoint);
	buf_release(&image->roots.fields);
	free(image->roots.end);
	free(image);
}

void image_put_field(struct buf *b, uint32_t id, struct bytes value)
{
	uint8_t head[16], *p = head;
	uint64_t tag = id << 3 | 2, n = value.n;

	for (; tag > 127; tag >>= 7)
		*p++ = (uint8_t)(tag | 128);
	*p++ = (uint8_t)tag;
	for (; n > 127; n >>= 7)
		*p++ = (uint8_t)(n | 128);
	*p++ = (uint8_t)n;
	buf_add(b, head, (size_t)(p - head));
	buf_add(b, value.p, value.n);
}

void image_add_root(struct image *image, uint64_t version, struct bytes envelope)
{
	struct image_roots *r = &image->roots;

	assert(r->n == 0 || version == r->first + r->n);
	if (r->n == 0)
		r->first = version;
	image_put_field(&r->fields, 13, envelope);
	r->end = mem_resize(r->end, r->n + 1, sizeof(*r->end));
	r->end[r->n++] = r->fields.len;
}

struct bytes image_roots_after(const struct image *image, uint64_t version)
{
	const struct image_roots *r = &image->roots;
	size_t skip, end, start;

	if (r->n == 0 || version >= r->first + r->n - 1)
		return bytes_of(NULL, 0);
	skip = version < r->first ? 0 : (size_t)(version + 1 - r->first);
	end = r->n - skip > IMAGE_ROOTS ? skip + IMAGE_ROOTS : r->n;
	start = skip == 0 ? 0 : r->end[skip - 1];
	return bytes_of(r->fields.data + start, r->end[end - 1] - start);
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

const struct image_build *image_build(const struct image_product *p, uint64_t build_hash)
{
	for (size_t i = 0; i < p->n_builds; i++)
		if (p->builds[i].hash == build_hash)
			return &p->builds[i];
	return NULL;
}

const struct image_build *image_counted(const struct image_product *p, uint64_t counter)
{
	for (size_t i = 0; i < p->n_builds; i++)
		if (p->builds[i].has_file && p->builds[i].counter == counter)
			return &p->builds[i];
	return NULL;
}

uint8_t image_tag(const struct image_product *p, uint64_t build_hash)
{
	const struct image_build *b = image_build(p, build_hash);

	return b != NULL ? b->tag : 0;
}
