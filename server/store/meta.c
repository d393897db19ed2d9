/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/mem.h"

/* The file as LMDB 0.9 writes it, in the machine's byte order. */
#define MAGIC         0xbeefc0deu
#define NO_PAGE       UINT64_MAX
#define PAGE_LEAF     0x02u
#define PAGE_BRANCH   0x01u
#define PAGE_OVERFLOW 0x04u
#define NODE_BIG      0x01u
#define LEVELS_MAX    16u
/* As often as a server that writes may have moved on while we looked. */
#define TRIES 100u

struct tree {
	uint32_t page_bytes; /* in the first of a meta page, else 0 */
	uint16_t flags, depth;
	uint64_t branch, leaf, overflow, entries, root;
};

struct meta {
	uint32_t magic, version;
	uint64_t address, map_bytes;
	struct tree free, main;
	uint64_t last_page, commit;
};

struct head {
	uint64_t page;
	uint16_t pad, flags;
	uint16_t lower, upper; /* of an overflow page: how many there are, u32 */
};

struct node {
	uint16_t low, high, flags, key_bytes;
};

struct look {
	int fd;
	struct meta slot[2];
	const struct meta *newest;
	uint32_t page_bytes;
	struct tree seen; /* pages and entries counted, and the deepest level */
	uint64_t last_key;
};

static bool read_at(int fd, uint64_t at, void *out, size_t n)
{
	return pread(fd, out, n, (off_t)at) == (ssize_t)n;
}

static bool is_page_size(uint32_t n)
{
	return n >= 512 && n <= 65536 && (n & (n - 1)) == 0;
}

static bool read_slots(struct look *l, struct meta slot[2])
{
	if (!read_at(l->fd, sizeof(struct head), &slot[0], sizeof(slot[0])))
		return false;
	l->page_bytes = slot[0].free.page_bytes;
	return slot[0].magic == MAGIC && is_page_size(l->page_bytes) &&
		read_at(l->fd, l->page_bytes + sizeof(struct head), &slot[1], sizeof(slot[1])) &&
		slot[1].magic == MAGIC;
}

static size_t n_keys(const struct head *h)
{
	return (h->lower - sizeof(*h)) / 2;
}

/* A page of a tree, whole and where it belongs. */
static bool read_page(const struct look *l, uint64_t page, uint8_t *out)
{
	struct head *h = (struct head *)out;

	return page > 1 && page <= l->newest->last_page &&
		read_at(l->fd, page * l->page_bytes, out, l->page_bytes) && h->page == page &&
		h->lower >= sizeof(*h) && h->lower <= h->upper && h->upper <= l->page_bytes &&
		n_keys(h) > 0;
}

/* Node `i` of a page: its key; NULL when it does not lie inside. */
static const uint8_t *read_node(const struct look *l, const uint8_t *page, size_t i, struct node *n)
{
	uint16_t at;
	size_t behind;

	memcpy(&at, page + sizeof(struct head) + 2 * i, 2);
	if (at < sizeof(struct head) || at + sizeof(*n) > l->page_bytes)
		return NULL;
	memcpy(n, page + at, sizeof(*n));
	/* Eight bytes of value at least in a leaf, nothing in a branch. */
	behind = ((const struct head *)page)->flags == PAGE_LEAF ? 8 : 0;
	return at + sizeof(*n) + n->key_bytes + behind <= l->page_bytes ? page + at + sizeof(*n)
									: NULL;
}

/* One list of free pages: its key is the number of the commit that freed them. */
static bool see_entry(struct look *l, const struct node *n, const uint8_t *key)
{
	struct head h;
	uint64_t page;
	uint32_t pages;

	if (n->key_bytes != 8)
		return false;
	memcpy(&l->last_key, key, 8);
	l->seen.entries++;
	if ((n->flags & NODE_BIG) == 0)
		return true;
	memcpy(&page, key + 8, 8);
	if (page <= 1 || page > l->newest->last_page ||
		!read_at(l->fd, page * l->page_bytes, &h, sizeof(h)) || h.page != page ||
		h.flags != PAGE_OVERFLOW)
		return false;
	memcpy(&pages, &h.lower, 4);
	l->seen.overflow += pages;
	return true;
}

static bool see_page(struct look *l, uint64_t page, unsigned level);

static bool see_nodes(struct look *l, const uint8_t *page, unsigned level)
{
	const struct head *h = (const struct head *)page;
	bool leaf = h->flags == PAGE_LEAF, ok = leaf || h->flags == PAGE_BRANCH;
	struct node n;

	*(leaf ? &l->seen.leaf : &l->seen.branch) += 1;
	if (level > l->seen.depth)
		l->seen.depth = (uint16_t)level;
	for (size_t i = 0; ok && i < n_keys(h); i++) {
		const uint8_t *key = read_node(l, page, i, &n);
		if (key == NULL)
			return false;
		ok = leaf ? see_entry(l, &n, key)
			  : see_page(l, n.low | (uint64_t)n.high << 16 | (uint64_t)n.flags << 32,
				    level + 1);
	}
	return ok;
}

static bool see_page(struct look *l, uint64_t page, unsigned level)
{
	uint8_t *bytes;
	bool ok;

	if (level > LEVELS_MAX)
		return false;
	bytes = mem_alloc(l->page_bytes);
	ok = read_page(l, page, bytes) && see_nodes(l, bytes, level);
	free(bytes);
	return ok;
}

/* The tree is as large as its root says, and the last commit is in it. */
static bool free_is_whole(struct look *l)
{
	const struct tree *want = &l->newest->free, *have = &l->seen;

	l->seen = (struct tree){ 0 };
	/* The first commit, and a compacted copy, have freed nothing. */
	if (want->root == NO_PAGE)
		return l->newest->commit == 1 && want->entries == 0 && want->depth == 0 &&
			want->branch == 0 && want->leaf == 0 && want->overflow == 0;
	return see_page(l, want->root, 1) && l->last_key == l->newest->commit &&
		have->depth == want->depth && have->branch == want->branch &&
		have->leaf == want->leaf && have->overflow == want->overflow &&
		have->entries == want->entries;
}

/* The table of tables fits one page, always. */
static bool main_is_whole(const struct look *l)
{
	const struct tree *want = &l->newest->main;
	uint8_t *page = mem_alloc(l->page_bytes);
	const struct head *h = (const struct head *)page;
	bool ok = want->depth == 1 && want->branch == 0 && want->leaf == 1 && want->overflow == 0 &&
		read_page(l, want->root, page) && h->flags == PAGE_LEAF &&
		n_keys(h) == want->entries;

	free(page);
	return ok;
}

static bool is_whole(struct look *l)
{
	/* Not LMDB's, as LMDB will say: it never writes these bytes again. */
	if (!read_slots(l, l->slot))
		return true;
	l->newest = &l->slot[l->slot[0].commit < l->slot[1].commit];
	/* Made, and nothing written yet. */
	return l->newest->commit == 0 || (main_is_whole(l) && free_is_whole(l));
}

int meta_check(const char *path)
{
	char *file = mem_printf("%s/data.mdb", path);
	struct look l = { .fd = open(file, O_RDONLY | O_CLOEXEC) };
	struct meta now[2] = { 0 };
	bool ok = false, moved = true;
	unsigned tries = 0;

	if (l.fd < 0 && errno == ENOTDIR)
		l.fd = open(path, O_RDONLY | O_CLOEXEC);
	free(file);
	if (l.fd < 0)
		return errno == ENOENT ? 0 : -errno;
	for (; !ok && moved && tries < TRIES; tries++) {
		ok = is_whole(&l);
		moved = read_slots(&l, now) && memcmp(now, l.slot, sizeof(now)) != 0;
	}
	(void)close(l.fd);
	/* What moves on all the time is a server's, which looked when it started. */
	return ok || tries == TRIES ? 0 : ERR_CORRUPT;
}
