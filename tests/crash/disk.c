/* SPDX-License-Identifier: Apache-2.0 */
/* The trace, as changes of files and names; and which of them a moment leaves open. */
#include "tests/crash/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/base/file.h"
#include "server/base/mem.h"

#define STORE "data/store/data.mdb"

struct loading {
	struct disk *d;
	enum disk_lie lie;
	uint32_t *bound; /* as the run itself sees it */
	struct {
		uint32_t name, file;
		bool synced;
	} * handle;
	size_t n_handles;
};

__attribute__((noreturn)) static void die(const char *what, const char *path)
{
	(void)fprintf(stderr, "crash lab: %s: %s\n", path, what);
	abort();
}

/* ---- names and files ---- */

static uint32_t name_of(struct loading *l, const char *path)
{
	struct disk *d = l->d;

	for (size_t i = 0; i < d->n_names; i++)
		if (strcmp(d->name[i], path) == 0)
			return (uint32_t)i;
	d->name = mem_resize(d->name, d->n_names + 1, sizeof(*d->name));
	d->touched = mem_resize(d->touched, d->n_names + 1, sizeof(*d->touched));
	d->bound = mem_resize(d->bound, d->n_names + 1, sizeof(*d->bound));
	l->bound = mem_resize(l->bound, d->n_names + 1, sizeof(*l->bound));
	d->name[d->n_names] = mem_strdup(path);
	d->touched[d->n_names] = false;
	d->bound[d->n_names] = l->bound[d->n_names] = DISK_NONE;
	return (uint32_t)d->n_names++;
}

static uint32_t file_new(struct disk *d)
{
	d->file = mem_resize(d->file, d->n_files + 1, sizeof(*d->file));
	d->file[d->n_files] = (struct disk_file){ 0 };
	return (uint32_t)d->n_files++;
}

static void file_fill(struct disk_file *f, struct bytes data)
{
	f->size = data.n;
	f->n_pages = (data.n + DISK_PAGE - 1) / DISK_PAGE;
	f->page = mem_zalloc((f->n_pages + 1) * sizeof(*f->page));
	for (size_t i = 0; i < f->n_pages; i++) {
		size_t n = data.n - i * DISK_PAGE < DISK_PAGE ? data.n - i * DISK_PAGE : DISK_PAGE;
		f->page[i] = mem_zalloc(DISK_PAGE);
		memcpy(f->page[i], data.p + i * DISK_PAGE, n);
	}
}

/* What was there before the run. */
static void load_base(struct loading *l, const char *base, const char *below)
{
	char *folder = mem_printf("%s/%s", base, below);
	DIR *dir = opendir(folder);
	const struct dirent *e;

	if (dir == NULL)
		die("cannot be read", folder);
	while ((e = readdir(dir)) != NULL) {
		char *path = mem_printf("%s%s%s", below, below[0] != '\0' ? "/" : "", e->d_name);
		if (e->d_name[0] != '.' && e->d_type == DT_DIR) {
			uint32_t name = name_of(l, path);
			l->bound[name] = l->d->bound[name] = DISK_FOLDER;
			load_base(l, base, path);
		} else if (e->d_name[0] != '.') {
			char *whole = mem_printf("%s/%s", base, path);
			uint32_t name = name_of(l, path), file = file_new(l->d);
			struct buf b = { 0 };
			if (file_read(whole, SIZE_MAX / 2, &b) != 0)
				die("cannot be read", whole);
			file_fill(&l->d->file[file], buf_bytes(&b));
			l->bound[name] = l->d->bound[name] = file;
			buf_release(&b);
			free(whole);
		}
		free(path);
	}
	(void)closedir(dir);
	free(folder);
}

/* ---- records ---- */

static struct disk_op *op_new(struct loading *l, enum disk_kind kind, uint32_t moment)
{
	struct disk *d = l->d;

	if ((d->n_ops & (d->n_ops - 1)) == 0)
		d->op = mem_resize(d->op, d->n_ops == 0 ? 1 : 2 * d->n_ops, sizeof(*d->op));
	d->op[d->n_ops] = (struct disk_op){
		.kind = kind, .moment = moment, .durable = DISK_NEVER, .from = DISK_NONE
	};
	return &d->op[d->n_ops++];
}

static void bind(struct loading *l, uint32_t moment, uint32_t name, uint32_t file, uint32_t from)
{
	struct disk_op *op = op_new(l, DISK_NAME, moment);

	op->name = name;
	op->file = file;
	op->from = from;
	l->bound[name] = file;
	l->d->touched[name] = true;
	if (from != DISK_NONE)
		l->bound[from] = DISK_NONE;
}

static void take_open(struct loading *l, const struct trace_record *r, uint32_t moment)
{
	uint32_t name = name_of(l, (const char *)r->data), file = l->bound[name];

	if (file == DISK_NONE) {
		if ((r->flags & TRACE_CREATED) == 0)
			die("was opened and is not there", l->d->name[name]);
		file = file_new(l->d);
		bind(l, moment, name, file, DISK_NONE);
	} else if ((r->flags & TRACE_EMPTIED) != 0) {
		op_new(l, DISK_SIZE, moment)->file = file;
	}
	if (r->handle >= l->n_handles) {
		l->handle = mem_resize(l->handle, r->handle + 64, sizeof(*l->handle));
		l->n_handles = r->handle + 64;
	}
	l->handle[r->handle].name = name;
	l->handle[r->handle].file = file;
	l->handle[r->handle].synced = (r->flags & TRACE_SYNCED) != 0 && l->lie != LIE_META;
}

static void take_write(struct loading *l, const struct trace_record *r, uint32_t moment)
{
	struct disk_op *op = op_new(l, r->kind == TRACE_WRITE ? DISK_WRITE : DISK_SIZE, moment);

	op->file = l->handle[r->handle].file;
	op->at = r->offset;
	op->data = r->data;
	op->n = r->n;
	l->d->touched[l->handle[r->handle].name] = true;
	if (l->handle[r->handle].synced)
		op->durable = moment;
}

static bool is_in(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	if (n == 0)
		return strchr(path, '/') == NULL;
	return strncmp(path, folder, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

static bool is_lie(const struct loading *l, const char *path, bool folder)
{
	static const char *const about[LIE__COUNT] = { [LIE_LEDGER] = "ledger",
		[LIE_STORE] = STORE,
		[LIE_ARTIFACT] = "data/artifacts/upload",
		[LIE_IMPORT] = "data/imports/upload",
		[LIE_PHONE] = "phone/" };

	if (folder)
		return l->lie == LIE_FOLDER;
	return about[l->lie] != NULL && strncmp(path, about[l->lie], strlen(about[l->lie])) == 0;
}

static void take_sync(struct loading *l, const struct trace_record *r, uint32_t moment)
{
	uint32_t name = l->handle[r->handle].name, file = l->handle[r->handle].file;
	const char *path = l->d->name[name];

	if (is_lie(l, path, file == DISK_FOLDER)) {
		l->d->first_lie = l->d->first_lie > 0 ? l->d->first_lie : moment;
		return;
	}
	for (size_t i = 0; i < l->d->n_ops; i++) {
		struct disk_op *op = &l->d->op[i];
		bool same = file == DISK_FOLDER
			? op->kind == DISK_NAME && is_in(l->d->name[op->name], path)
			: op->kind != DISK_NAME && op->file == file;
		if (same && op->durable == DISK_NEVER)
			op->durable = moment;
	}
}

static void take(struct loading *l, const struct trace_record *r, uint32_t moment)
{
	const char *path = (const char *)r->data;
	uint32_t from, to;

	switch ((enum trace_kind)r->kind) {
	case TRACE_OPEN:
		take_open(l, r, moment);
		break;
	case TRACE_WRITE:
	case TRACE_TRUNCATE:
		take_write(l, r, moment);
		break;
	case TRACE_SYNC:
		take_sync(l, r, moment);
		break;
	case TRACE_RENAME:
		from = name_of(l, path);
		to = name_of(l, path + strlen(path) + 1);
		bind(l, moment, to, l->bound[from], from);
		break;
	case TRACE_UNLINK:
		bind(l, moment, name_of(l, path), DISK_NONE, DISK_NONE);
		break;
	case TRACE_MKDIR:
		bind(l, moment, name_of(l, path), DISK_FOLDER, DISK_NONE);
		break;
	case TRACE_MARK:
		break;
	}
}

/* Its file is far larger than what is in it. */
static uint8_t *map_trace(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *p = fd < 0 ? MAP_FAILED : mmap(NULL, TRACE_ROOM, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED || ((const struct trace_head *)(const void *)p)->magic != TRACE_MAGIC)
		die("is no trace", path);
	(void)close(fd);
	return p;
}

void disk_load(struct disk *d, const char *base, const char *trace, enum disk_lie lie)
{
	struct loading l = { .d = d, .lie = lie };
	const struct trace_head *head;

	*d = (struct disk){ .n_moments = 0 };
	(void)name_of(&l, ""); /* the folder itself: number 0 */
	l.bound[0] = d->bound[0] = DISK_FOLDER;
	load_base(&l, base, "");
	d->trace = map_trace(trace);
	head = (const struct trace_head *)(const void *)d->trace;
	for (uint64_t at = 0; at < head->used; d->n_moments++) {
		const struct trace_record *r = (const void *)(d->trace + sizeof(*head) + at);
		d->record = mem_resize(d->record, d->n_moments + 1u, sizeof(*d->record));
		d->record[d->n_moments] = r;
		take(&l, r, d->n_moments);
		at += r->size;
	}
	d->open = mem_zalloc((d->n_ops + 1) * sizeof(*d->open));
	free(l.handle);
	free(l.bound);
}

/* ---- moments ---- */

/* Their order matters. */
static bool conflict(const struct disk_op *a, const struct disk_op *b)
{
	if ((a->kind == DISK_NAME) != (b->kind == DISK_NAME))
		return false;
	if (a->kind != DISK_NAME)
		return a->file == b->file;
	return a->name == b->name || a->name == b->from || a->from == b->name ||
		(a->from != DISK_NONE && a->from == b->from);
}

static bool is_free(const struct disk *d, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (conflict(&d->op[d->open[k]], &d->op[d->open[i]]))
			return false;
	return true;
}

/* A name that something durable gave away since: whether it was there first is all the same. */
static bool is_over(const struct disk *d, size_t i, uint32_t moment)
{
	const struct disk_op *op = &d->op[d->open[i]];

	if (op->kind != DISK_NAME || op->from != DISK_NONE)
		return false;
	for (size_t k = i + 1; k < d->n_open; k++)
		if (disk_is_durable(&d->op[d->open[k]], moment) && conflict(op, &d->op[d->open[k]]))
			return true;
	return false;
}

static void file_grow(struct disk_file *f, uint64_t size)
{
	size_t n = (size + DISK_PAGE - 1) / DISK_PAGE;

	if (size > f->size)
		f->size = size;
	if (n <= f->n_pages)
		return;
	f->page = mem_resize(f->page, n, sizeof(*f->page));
	memset(f->page + f->n_pages, 0, (n - f->n_pages) * sizeof(*f->page));
	f->n_pages = n;
}

static void fold_write(struct disk_file *f, const struct disk_op *op)
{
	file_grow(f, op->at + op->n);
	for (size_t done = 0; done < op->n;) {
		uint64_t at = op->at + done;
		size_t in = at % DISK_PAGE, n = DISK_PAGE - in;
		uint8_t **page = &f->page[at / DISK_PAGE];
		if (n > op->n - done)
			n = op->n - done;
		if (*page == NULL)
			*page = mem_zalloc(DISK_PAGE);
		memcpy(*page + in, op->data + done, n);
		done += n;
	}
}

static void fold_size(struct disk_file *f, uint64_t size)
{
	file_grow(f, size);
	for (size_t i = 0; i < f->n_pages; i++) {
		size_t from = i * DISK_PAGE >= size ? 0 : size - i * DISK_PAGE;
		if (f->page[i] != NULL && from < DISK_PAGE)
			memset(f->page[i] + from, 0, DISK_PAGE - from);
	}
	f->size = size;
}

static void fold(struct disk *d, const struct disk_op *op)
{
	if (op->kind == DISK_WRITE) {
		fold_write(&d->file[op->file], op);
	} else if (op->kind == DISK_SIZE) {
		fold_size(&d->file[op->file], op->at);
	} else {
		d->bound[op->name] = op->file;
		if (op->from != DISK_NONE)
			d->bound[op->from] = DISK_NONE;
	}
}

void disk_go(struct disk *d, uint32_t moment)
{
	size_t kept = 0;

	while (d->next_op < d->n_ops && d->op[d->next_op].moment <= moment)
		d->open[d->n_open++] = (uint32_t)d->next_op++;
	for (size_t i = 0; i < d->n_open; i++) {
		uint32_t number = d->open[i];
		if (is_over(d, i, moment))
			continue;
		d->open[kept] = number;
		if (disk_is_durable(&d->op[number], moment) && is_free(d, kept))
			fold(d, &d->op[number]);
		else
			kept++;
	}
	d->n_open = kept;
}

const struct disk_op *disk_under_way(const struct disk *d, uint32_t moment)
{
	const struct disk_op *last = d->n_open > 0 ? &d->op[d->open[d->n_open - 1]] : NULL;

	return last != NULL && last->moment == moment ? last : NULL;
}

unsigned disk_sectors(const struct disk_op *op)
{
	if (op->kind != DISK_WRITE || op->n == 0)
		return 1;
	return (unsigned)((op->at + op->n - 1) / DISK_SECTOR - op->at / DISK_SECTOR + 1);
}
