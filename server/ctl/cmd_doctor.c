/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: what will stop working, and when, before it does. */
#include <stdarg.h>
#include <stdio.h>

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/mem.h"
#include "server/ctl/cmds.h"
#include "server/ctl/deployed.h"
#include "server/ctl/doctor.h"
#include "server/ctl/follow.h"
#include "server/ctl/root_show.h"
#include "server/ctl/table.h"

#define DAY_S      86400ull
#define SOON_S     (60 * DAY_S)
#define NOW_S      (14 * DAY_S)
#define SKEW_MS    2000u /* worth a word */
#define SKEW_MAX_S 60u   /* beyond it the server takes no commands */

void doctor_find(struct doctor *d, enum grade grade, const char *what, const char *next,
	const char *format, ...)
{
	struct finding f = { .grade = grade,
		.what = mem_strdup(what),
		.next = next != NULL ? mem_strdup(next) : NULL };
	va_list args;

	va_start(args, format);
	f.says = mem_vprintf(format, args);
	va_end(args);
	d->list = mem_resize(d->list, d->n + 1, sizeof(*d->list));
	d->list[d->n++] = f;
}

/* ---- the server ---- */

static void check_clock(struct doctor *d, const Pb__Checkpoint *at)
{
	uint64_t now_ms = clock_ms();
	bool ahead = at->time_ms > now_ms;
	uint64_t off_ms = ahead ? at->time_ms - now_ms : now_ms - at->time_ms;
	enum grade grade = off_ms > SKEW_MAX_S * 1000 ? GRADE_BAD
		: off_ms > SKEW_MS                    ? GRADE_WARN
						      : GRADE_OK;

	if (grade == GRADE_OK)
		doctor_find(d, grade, "clock", NULL, "as the server's");
	else
		doctor_find(d, grade, "clock", "timedatectl, on both machines",
			"the server's is %llu.%llu s %s ours%s", (unsigned long long)off_ms / 1000,
			(unsigned long long)off_ms % 1000 / 100, ahead ? "ahead of" : "behind",
			grade == GRADE_BAD ? ": it takes no commands signed here" : "");
}

static void check_expiry(struct doctor *d, const char *what, uint64_t expires, const char *renewed)
{
	bool by_itself = strcmp(renewed, "by itself") == 0;
	uint64_t left = expires > d->now_s ? expires - d->now_s : 0;
	enum grade grade = left == 0 ? GRADE_BAD
		: by_itself          ? GRADE_OK
		: left < NOW_S       ? GRADE_BAD
		: left < SOON_S      ? GRADE_WARN
				     : GRADE_OK;
	struct buf text = { 0 };

	put_left(&text, expires, d->now_s);
	doctor_find(d, grade, what, by_itself || grade == GRADE_OK ? NULL : renewed, "%s%s",
		buf_text(&text), by_itself ? ", renewed by itself" : "");
	buf_release(&text);
	if (!by_itself || grade != GRADE_OK)
		return;
	d->list[d->n - 1].calm = true;
	if (d->n_calm++ == 0 || expires < d->calm_until)
		d->calm_until = expires;
}

static void check_server(struct doctor *d)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;
	struct reply r;
	bool root_seen = false;
	int err;

	q.kind = PB__QUERY_KIND__QUERY_TRUST;
	q.has_from = true;
	q.from = d->c->root->root->version;
	err = ctl_try(d->c, ENVELOPE_QUERY, &q, &r);
	if (r.m == NULL) {
		doctor_find(d, GRADE_BAD, "server", "huidud -c huidud.yaml", "not reached at %s",
			d->c->context.admin);
	} else if (err != 0) {
		doctor_find(d, GRADE_BAD, "server", "huiductl version, on both ends", "%s",
			r.m->text != NULL ? r.m->text : err_str(err));
	} else {
		doctor_find(d, GRADE_OK, "server", NULL, "answers; log size %llu",
			(unsigned long long)r.m->checkpoint->size);
		check_clock(d, r.m->checkpoint);
		if (r.m->text != NULL)
			doctor_find(d, GRADE_WARN, "load", NULL, "%s", r.m->text);
	}
	for (size_t i = 0; err == 0 && r.m->trust != NULL && i < r.m->trust->n_expiries; i++) {
		const Pb__ExpiryView *e = r.m->trust->expiries[i];
		root_seen |= strcmp(e->what, "root") == 0;
		check_expiry(d, e->what, e->expires, e->renewed);
	}
	reply_release(&r);
	if (!root_seen)
		check_expiry(d, "root", d->c->root->root->expires, "huiductl root renew");
}

/* ---- devices below their floor ---- */

#define SHOWN 3u /* ids, of a product */

struct below {
	const struct config_factory *floor;
	uint64_t n;
	uint8_t id[SHOWN][ID_LEN];
};

/* 0: nobody here knows how old it is. */
static uint64_t counter_of(const Pb__AdminReply *m, const char *product, uint64_t build)
{
	for (size_t i = 0; i < m->n_builds; i++)
		if (strcmp(m->builds[i]->product, product) == 0 &&
			device_build_hash(m->builds[i]->build_id) == build)
			return m->builds[i]->release_counter;
	return 0;
}

static void count_below(const struct deployed *at, const Pb__AdminReply *m, struct below *b)
{
	struct store_cursor c;
	struct store_txn t;
	struct device d;
	uint64_t build = 0, counter = 0;

	store_begin(at->store, &t, false);
	store_foreach(&c, &t, STORE_DEVICE, bytes_of(NULL, 0)) {
		if (!device_read(&c, &d) || d.build == 0 ||
			strcmp(deployed_product(at, d.product), b->floor->product) != 0)
			continue;
		if (d.build != build) /* mostly it is that of the device before */
			counter = counter_of(m, b->floor->product, d.build);
		build = d.build;
		if (counter == 0 || counter >= b->floor->counter)
			continue;
		if (b->n < SHOWN)
			memcpy(b->id[b->n], d.id, ID_LEN);
		b->n++;
	}
	store_abort(&t);
}

static void tell_below(struct doctor *d, const struct below *b)
{
	char hex[2 * ID_LEN + 1];
	char *what = mem_printf("floor of %s", b->floor->product);
	struct buf ids = { 0 };

	for (size_t i = 0; i < b->n && i < SHOWN; i++)
		buf_printf(&ids, "%s%s", i > 0 ? " " : "", hex_encode(hex, b->id[i], ID_LEN));
	if (b->n == 0)
		doctor_find(d, GRADE_OK, what, NULL, "no device reports a build below %s",
			b->floor->build);
	else
		doctor_find(d, GRADE_WARN, what, "huiductl device why ID",
			"%llu device%s on a build below %s: %s%s", (unsigned long long)b->n,
			b->n == 1 ? "" : "s", b->floor->build, buf_text(&ids),
			b->n > SHOWN ? " ..." : "");
	buf_release(&ids);
	free(what);
}

/* Where the store is, it is read: the server has more to do than count. */
static void check_floors(struct doctor *d)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;
	struct deployed at;
	struct reply r;
	int err;

	if (!deployed_is_here(d->c) || deployed_open(d->c, &at) != 0)
		return;
	q.kind = PB__QUERY_KIND__QUERY_BUILDS;
	err = ctl_try(d->c, ENVELOPE_QUERY, &q, &r);
	for (size_t l = 0; err == 0 && l < at.config.n_lines; l++)
		for (size_t i = 0; i < at.config.lines[l].n_factory; i++) {
			struct below b = { .floor = &at.config.lines[l].factory[i] };
			if (!b.floor->floor)
				continue;
			count_below(&at, r.m, &b);
			tell_below(d, &b);
		}
	reply_release(&r);
	deployed_close(&at);
}

/* ---- telling ---- */

static void json(const struct doctor *d, struct buf *out, bool ok)
{
	static const char *const word[] = { "ok", "warn", "bad" };
	struct json j = { out, false };

	json_object(&j, NULL);
	json_str(&j, "schema", "huidu.doctor/1");
	json_bool(&j, "ok", ok);
	json_array(&j, "findings");
	for (size_t i = 0; i < d->n; i++) {
		json_object(&j, NULL);
		json_str(&j, "grade", word[d->list[i].grade]);
		json_str(&j, "what", d->list[i].what);
		json_str(&j, "says", d->list[i].says);
		if (d->list[i].next != NULL)
			json_str(&j, "next", d->list[i].next);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_str(out, "\n");
}

static void text(const struct doctor *d, struct buf *out, bool ok)
{
	static const struct {
		enum icon icon;
		enum style style;
	} look[] = { { ICON_DONE, STYLE_GOOD }, { ICON_WARNING, STYLE_WARN },
		{ ICON_HALTED, STYLE_BAD } };
	const struct term *t = &d->c->term;
	int width = 0;

	root_line(out, t, d->c->root->root, d->now_s);
	buf_str(out, "\n\n");
	for (size_t i = 0; i < d->n; i++)
		if (!d->list[i].calm && (int)strlen(d->list[i].what) > width)
			width = (int)strlen(d->list[i].what);
	for (size_t i = 0; i < d->n; i++) {
		const struct finding *f = &d->list[i];
		if (f->calm)
			continue;
		put(out, t, look[f->grade].style, "%s", icon(t, look[f->grade].icon));
		buf_printf(out, " %-*s  %s\n", width, f->what, f->says);
		if (f->next != NULL)
			buf_printf(out, "  %-*s  try: %s\n", width, "", f->next);
	}
	if (d->n_calm > 0) {
		put(out, t, STYLE_GOOD, "%s", icon(t, ICON_DONE));
		buf_printf(out, " %-*s  %zu that the server renews, the first within ", width,
			"by itself", d->n_calm);
		put_left(out, d->calm_until, d->now_s);
		buf_str(out, "\n");
	}
	buf_str(out, ok ? "\nNext: huiductl log verify\n" : "\nNext: what it says to try\n");
}

int cmd_doctor(struct ctl *c)
{
	struct doctor d = { .c = c, .now_s = clock_ms() / 1000 };
	struct buf out = { 0 };
	bool ok = true;
	int err = ctl_root(c);

	if (err != 0)
		return err;
	(void)root_follow(c); /* without it, what is here is judged */
	check_server(&d);
	doctor_keys(&d);
	check_floors(&d);
	for (size_t i = 0; i < d.n; i++)
		ok &= d.list[i].grade != GRADE_BAD;
	(ctl_json(c) ? json : text)(&d, &out, ok);
	for (size_t i = 0; i < d.n; i++) {
		free(d.list[i].what);
		free(d.list[i].says);
		free(d.list[i].next);
	}
	free(d.list);
	err = ctl_print(&out);
	return err != 0 ? err : ok ? EXIT_DONE : EXIT_FAILED;
}
