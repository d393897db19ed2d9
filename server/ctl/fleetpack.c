/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/fleetpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/admin.pb-c.h"
#include "proto/wire.h"
#include "server/base/mem.h"
#include "server/store/device.h"

#define ROW_MAX  512u
#define MAGIC    "huidu-f1"
#define PRODUCTS 256u

/* Where a row lies, and what it is sorted by: 24 bytes a row. */
struct place {
	uint64_t key; /* of those with a seat their number, of the others half the id */
	uint64_t at;
	uint32_t line;
	uint8_t ring, product;
	bool seated, dated;
};

/* What may stand in one row only: 16 bytes, up to three a row. */
struct mark {
	uint64_t half;
	uint32_t line;
	uint32_t what;
};
static const char *const mark_names[] = { "id", "serial_sha256", "key", "token" };

struct fleetpack {
	FILE *rows; /* as they came; has no name */
	uint64_t at;
	struct place *place;
	struct mark *mark;
	size_t n, cap, n_marks, cap_marks;
	char *path;
	char *product[PRODUCTS]; /* in the order in which they were seen */
	size_t n_seen;
	struct fleetpack_sums sums;
};

static char *temporary(void)
{
	const char *folder = getenv("TMPDIR");

	return mem_printf(
		"%s/huiductl-rows-XXXXXX", folder != NULL && folder[0] != '\0' ? folder : "/tmp");
}

int fleetpack_new(struct fleetpack **out)
{
	struct fleetpack *p = mem_zalloc(sizeof(*p));
	char *path = temporary();
	int fd = mkostemp(path, O_CLOEXEC), err = 0;

	if (fd < 0) {
		err = -errno;
	} else {
		(void)unlink(path); /* if it stays, it stays */
		p->rows = fdopen(fd, "w+");
		err = p->rows == NULL ? -errno : 0;
	}
	free(path);
	if (err != 0)
		fleetpack_free(p);
	else
		*out = p;
	return err;
}

void fleetpack_free(struct fleetpack *p)
{
	if (p == NULL)
		return;
	if (p->rows != NULL)
		(void)fclose(p->rows); /* nothing in it is wanted any more */
	if (p->path != NULL)
		(void)unlink(p->path); /* if it stays, it stays */
	for (size_t i = 0; i < p->n_seen; i++)
		free(p->product[i]);
	free(p->sums.products);
	free(p->path);
	free(p->place);
	free(p->mark);
	free(p);
}

/* ---- rows ---- */

static int product_of(struct fleetpack *p, const char *name, uint8_t *out)
{
	size_t i = 0;

	while (i < p->n_seen && strcmp(p->product[i], name) != 0)
		i++;
	if (i == PRODUCTS)
		return -E2BIG;
	if (i == p->n_seen)
		p->product[p->n_seen++] = mem_strdup(name);
	*out = (uint8_t)i;
	return 0;
}

static void mark(struct fleetpack *p, bool has, uint32_t what, const uint8_t *half, uint32_t line)
{
	if (!has)
		return;
	if (p->n_marks == p->cap_marks) {
		p->cap_marks += p->cap_marks / 2 + 1024;
		p->mark = mem_resize(p->mark, p->cap_marks, sizeof(*p->mark));
	}
	p->mark[p->n_marks++] = (struct mark){ get_be64(half), line, what };
}

static void note_place(struct fleetpack *p, const struct fleet_row *r, uint8_t product)
{
	bool seated = r->ring < RING_STABLE;

	if (p->n == p->cap) {
		p->cap += p->cap / 2 + 1024;
		p->place = mem_resize(p->place, p->cap, sizeof(*p->place));
	}
	p->place[p->n] = (struct place){
		.key = seated || !r->has_id ? p->n : get_be64(r->id),
		.at = p->at,
		.line = r->line,
		.ring = (uint8_t)r->ring,
		.product = product,
		.seated = seated,
		.dated = r->has_day,
	};
	p->n++;
}

static uint64_t build_hash(const char *build)
{
	uint8_t hash[8];

	if (build[0] != '#')
		return device_build_hash(build);
	return hex_decode(hash, sizeof(hash), build + 1) ? get_be64(hash) : 0;
}

static size_t pack(const struct fleet_row *r, uint8_t out[2 + ROW_MAX])
{
	Pb__FleetRow m = PB__FLEET_ROW__INIT;
	size_t n;

	m.product = r->product;
	m.has_id = r->has_id && r->protocol == 0;
	m.id = wire_data(r->id, ID_LEN);
	m.has_serial_sha256 = r->has_serial;
	m.serial_sha256 = wire_data(r->serial, SHA256_LEN);
	m.has_public_key = r->has_key;
	m.public_key = wire_data(r->key, sizeof(r->key));
	m.has_token = r->has_token;
	m.token = wire_data(r->token, FLEET_TOKEN_LEN);
	m.has_ring = r->ring != RING_STABLE;
	m.ring = (Pb__Ring)r->ring;
	m.has_wish = r->wish != r->ring;
	m.wish = (Pb__Ring)r->wish;
	m.has_build = r->build[0] != '\0';
	m.build = m.has_build ? build_hash(r->build) : 0;
	m.has_enrolled_day = r->has_day;
	m.enrolled_day = r->enrolled_day;
	m.has_last_seq = r->last_seq > 0;
	m.last_seq = r->last_seq;
	m.has_left = m.left = r->left;
	m.has_protocol = r->protocol != 0;
	m.protocol = r->protocol;
	m.name = r->protocol != 0 ? r->name : NULL;
	m.has_line = 1;
	m.line = r->line;
	n = wire_write(&m, out + 2); /* below 300 bytes, as long as names are */
	put_be16(out, (uint16_t)n);
	return n + 2;
}

int fleetpack_add(struct fleetpack *p, const struct fleet_row *row)
{
	uint8_t out[2 + ROW_MAX], product;
	size_t n = pack(row, out);
	int err = product_of(p, row->product, &product);

	if (err != 0)
		return err;
	if (fwrite(out, 1, n, p->rows) != n)
		return errno != 0 ? -errno : -EIO;
	note_place(p, row, product);
	mark(p, row->has_id, 0, row->id, row->line);
	mark(p, row->has_serial, 1, row->serial, row->line);
	mark(p, row->has_key, 2, row->key + 1, row->line);
	mark(p, row->has_token, 3, row->token, row->line);
	p->at += n;
	return 0;
}

/* ---- twins ---- */

static int by_mark(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	if (x->what != y->what)
		return x->what < y->what ? -1 : 1;
	if (x->half != y->half)
		return x->half < y->half ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static int by_line(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	return x->line < y->line ? -1 : x->line > y->line;
}

/* Of each run of equal ones all but the first stay in the list, which then is that of the twins. */
static size_t find_twins(struct fleetpack *p)
{
	struct mark first = { 0, 0, UINT32_MAX };
	size_t n = 0;

	for (size_t i = 0; i < p->n_marks; i++) {
		struct mark m = p->mark[i];
		if (m.what != first.what || m.half != first.half) {
			first = m;
			continue;
		}
		/* Its half is not needed any more: it says whose twin it is. */
		m.half = first.line;
		p->mark[n++] = m;
	}
	return n;
}

static void drop_places(struct fleetpack *p, const struct mark *twin, size_t n_twins)
{
	size_t kept = 0;

	for (size_t i = 0, k = 0; i < p->n; i++) {
		while (k < n_twins && twin[k].line < p->place[i].line)
			k++;
		if (k < n_twins && twin[k].line == p->place[i].line)
			p->sums.bad++;
		else
			p->place[kept++] = p->place[i];
	}
	p->n = kept;
}

void fleetpack_drop_twins(
	struct fleetpack *p, void (*tell)(void *ctx, uint32_t line, const char *why), void *ctx)
{
	char why[FLEET_WHY_MAX];
	size_t n;

	if (p->n_marks > 1)
		qsort(p->mark, p->n_marks, sizeof(*p->mark), by_mark);
	n = find_twins(p);
	if (n > 1)
		qsort(p->mark, n, sizeof(*p->mark), by_line);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && p->mark[i].line == p->mark[i - 1].line)
			continue;
		(void)snprintf(why, sizeof(why), "%s stands in line %llu already",
			mark_names[p->mark[i].what], (unsigned long long)p->mark[i].half);
		tell(ctx, p->mark[i].line, why);
	}
	drop_places(p, p->mark, n);
	free(p->mark);
	p->mark = NULL;
	p->n_marks = 0;
}

/* ---- the file ---- */

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->seated != y->seated)
		return x->seated ? -1 : 1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sum_up(struct fleetpack *p)
{
	bool used[PRODUCTS] = { false };

	p->sums.rows = p->n;
	for (size_t i = 0; i < p->n; i++) {
		used[p->place[i].product] = true;
		p->sums.ring[p->place[i].ring]++;
		p->sums.dated += p->place[i].dated;
	}
	p->sums.products = mem_alloc((p->n_seen + 1) * sizeof(char *));
	for (size_t i = 0; i < p->n_seen; i++)
		if (used[i])
			p->sums.products[p->sums.n_products++] = p->product[i];
	qsort(p->sums.products, p->sums.n_products, sizeof(char *), by_text);
}

static int copy_rows(struct fleetpack *p, FILE *out)
{
	const uint8_t *map =
		p->at == 0 ? NULL : mmap(NULL, p->at, PROT_READ, MAP_SHARED, fileno(p->rows), 0);
	bool good = fputs(MAGIC, out) >= 0;
	union {
		const void *in;
		void *out; /* it is unmapped, not written */
	} u = { map };

	if (map == MAP_FAILED)
		return -errno;
	for (size_t i = 0; good && i < p->n; i++) {
		const uint8_t *row = map + p->place[i].at;
		size_t n = 2u + get_be16(row);
		good = fwrite(row, 1, n, out) == n;
	}
	if (map != NULL)
		(void)munmap(u.out, p->at); /* it was mapped */
	return good && fflush(out) == 0 ? 0 : -errno;
}

int fleetpack_write(struct fleetpack *p, const char **path)
{
	FILE *out = NULL;
	int fd, err;

	if (fflush(p->rows) != 0)
		return -errno;
	if (p->n > 1)
		qsort(p->place, p->n, sizeof(*p->place), by_place);
	sum_up(p);
	p->path = temporary();
	fd = mkostemp(p->path, O_CLOEXEC);
	if (fd >= 0)
		out = fdopen(fd, "w");
	if (out == NULL)
		return -errno;
	err = copy_rows(p, out);
	if (fclose(out) != 0 && err == 0)
		err = -errno;
	*path = p->path;
	return err;
}

const struct fleetpack_sums *fleetpack_sums(const struct fleetpack *p)
{
	return &p->sums;
}
