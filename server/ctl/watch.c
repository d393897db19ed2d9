/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/watch.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/ctl/rollout_view.h"

/* For status: the server may restart meanwhile, not stay away. */
#define GIVE_UP_MS 60000u

/* No wrapping of long lines, and no cursor over the picture. */
#define DRAW_BEGIN "\033[?25l\033[?7l"
#define DRAW_END   "\033[?7h\033[?25h"

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* Half a picture is not left behind: writes go on, only poll and nanosleep end. */
static void catch_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	(void)sigemptyset(&a.sa_mask);
	(void)sigaction(SIGINT, &a, NULL); /* valid arguments: cannot fail */
	(void)sigaction(SIGTERM, &a, NULL);
}

static void pause_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000L };

	(void)nanosleep(&t, NULL); /* cut short by Ctrl-C, which is looked at next */
}

static bool is_over(Pb__RolloutState state)
{
	return state == PB__ROLLOUT_STATE__ROLLOUT_COMPLETE ||
		state == PB__ROLLOUT_STATE__ROLLOUT_SUPERSEDED;
}

void watch_draw(struct ctl *c, const Pb__AdminReply *m, struct buf *out)
{
	size_t shown = 0;

	for (size_t i = 0; i < m->n_rollouts; i++) {
		if (m->n_rollouts > 1 && is_over(m->rollouts[i]->state))
			continue;
		if (shown++ > 0)
			buf_str(out, "\n");
		rollout_screen(out, &c->term, m->rollouts[i], m->checkpoint->time_ms);
	}
	if (shown == 0 && m->n_rollouts > 0)
		rollout_table(out, &c->term, m);
}

struct view {
	struct ctl *c;
	const char *name;
	size_t lines;           /* of the last picture */
	char *last;             /* the shape of what a pipe was told */
	uint64_t lost_since_ms; /* 0: the server answers */
};

/* Over the last picture; what does not fit the screen's height is left out. */
static void draw_in_place(struct view *w, struct buf *text)
{
	struct buf out = { 0 };
	size_t most = w->c->term.height > 2 ? (size_t)w->c->term.height - 1 : SIZE_MAX;
	const char *line = buf_text(text), *end;

	buf_str(&out, DRAW_BEGIN);
	if (w->lines > 0)
		buf_printf(&out, "\033[%zuA", w->lines);
	w->lines = 0;
	for (; (end = strchr(line, '\n')) != NULL && w->lines < most; line = end + 1) {
		buf_printf(&out, "\r%.*s\033[K\n", (int)(end - line), line);
		w->lines++;
	}
	buf_str(&out, "\033[J" DRAW_END);
	(void)!ctl_print(&out); /* no terminal, no reader of the error */
}

static void show_lost(struct view *w, struct buf *text)
{
	uint64_t lost_ms = clock_mono_ms() - w->lost_since_ms;

	put(text, &w->c->term, STYLE_WARN, "%s the server has not answered for %s",
		icon(&w->c->term, ICON_WARNING), show_age(lost_ms).s);
	buf_str(text, "; trying again\n");
}

static int show_on_terminal(struct view *w, const struct reply *r, struct buf *picture)
{
	struct buf text = { 0 };

	if (r->m != NULL) {
		picture->len = 0;
		watch_draw(w->c, r->m, picture);
	}
	if (w->lost_since_ms != 0)
		show_lost(w, &text); /* on top: the end may not fit the screen */
	buf_add(&text, picture->data, picture->len);
	term_measure(&w->c->term, STDOUT_FILENO);
	draw_in_place(w, &text);
	buf_release(&text);
	return 0;
}

static void put_change(struct view *w, const Pb__AdminReply *m, struct buf *out)
{
	char now[CLOCK_TEXT];

	if (ctl_json(w->c)) {
		rollout_json(out, m);
		return;
	}
	for (size_t i = 0; i < m->n_rollouts; i++) {
		buf_printf(out, "%s ", clock_text(m->checkpoint->time_ms, now));
		rollout_line(out, m->rollouts[i]);
		buf_str(out, "\n");
	}
}

static int show_on_pipe(struct view *w, const struct reply *r)
{
	struct buf shape = { 0 }, out = { 0 };

	if (r->m == NULL)
		return 0;
	rollout_shape(&shape, r->m);
	if (w->last != NULL && strcmp(w->last, buf_text(&shape)) == 0) {
		buf_release(&shape);
		return 0;
	}
	free(w->last);
	w->last = mem_strdup(buf_text(&shape));
	buf_release(&shape);
	put_change(w, r->m, &out);
	return ctl_print(&out);
}

/* 0, or the error when the server said no. */
static int look(struct view *w, struct reply *r)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;
	int err;

	q.kind = PB__QUERY_KIND__QUERY_ROLLOUT;
	q.name = w->name;
	err = ctl_try(w->c, ENVELOPE_QUERY, &q, r);
	if (err == 0) {
		w->lost_since_ms = 0;
		return 0;
	}
	if (r->m != NULL)
		return err; /* it answered: asking again changes nothing */
	reply_release(r);
	if (w->lost_since_ms == 0) {
		w->lost_since_ms = clock_mono_ms();
		if (!w->c->term.tty && !interrupted)
			note("the server does not answer; trying again");
	}
	return 0;
}

static int say_resume(struct view *w)
{
	note("\nTo go on watching: huiductl rollout get%s%s -w", w->name != NULL ? " " : "",
		w->name != NULL ? w->name : "");
	return EXIT_INTERRUPTED;
}

static int follow(struct view *w, struct reply *r)
{
	bool pictures = w->c->term.tty && !ctl_json(w->c);
	struct buf picture = { 0 };
	int err = 0;

	while (err == 0 && !interrupted) {
		err = pictures ? show_on_terminal(w, r, &picture) : show_on_pipe(w, r);
		reply_release(r);
		if (err == 0)
			pause_ms(WATCH_EVERY_MS);
		if (err == 0 && !interrupted) {
			err = look(w, r);
			if (err != 0)
				err = ctl_explain(w->c, err, r);
		}
	}
	reply_release(r);
	buf_release(&picture);
	free(w->last);
	return interrupted ? say_resume(w) : err;
}

int watch_rollouts(struct ctl *c, const char *name)
{
	struct view w = { .c = c, .name = name };
	struct reply r;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_ROLLOUT, name, &r);

	if (err != 0)
		return err;
	if (r.m->n_rollouts == 0 && name != NULL) {
		reply_release(&r);
		return fail(EXIT_NOT_FOUND, "huiductl rollout list", "no rollout '%s'", name);
	}
	catch_signals();
	return follow(&w, &r);
}

/* -1: not decided yet. */
static int verdict(const Pb__RolloutView *v)
{
	if (v->state == PB__ROLLOUT_STATE__ROLLOUT_COMPLETE)
		return EXIT_DONE;
	if (v->state == PB__ROLLOUT_STATE__ROLLOUT_HALTED)
		return EXIT_HALTED;
	return v->state == PB__ROLLOUT_STATE__ROLLOUT_SUPERSEDED ? EXIT_CONFLICT : -1;
}

static int last_word(struct ctl *c, const struct reply *r, int code)
{
	struct buf out = { 0 };
	int err;

	if (!ctl_json(c) || r->m == NULL)
		return code;
	rollout_json(&out, r->m);
	err = ctl_print(&out);
	return err != 0 ? err : code;
}

/* One look after the first; -1: go on. */
static int look_again(struct view *w, struct reply *r, uint64_t end_ms)
{
	int err;

	reply_release(r);
	pause_ms(WATCH_EVERY_MS);
	err = interrupted ? 0 : look(w, r);
	if (interrupted)
		return say_resume(w);
	if (err != 0)
		return ctl_explain(w->c, err, r);
	if (end_ms != 0 && clock_mono_ms() >= end_ms)
		return fail(EXIT_TIMED_OUT, "huiductl rollout get NAME",
			"%s: still under way when the time was up", w->name);
	if (w->lost_since_ms != 0 && clock_mono_ms() - w->lost_since_ms >= GIVE_UP_MS)
		return fail(EXIT_UNREACHABLE, "huiductl rollout status NAME, again",
			"the server has not answered for %s", show_age(GIVE_UP_MS).s);
	return -1;
}

int watch_status(struct ctl *c, const char *name, uint64_t timeout_ms, bool once)
{
	struct view w = { .c = c, .name = name };
	uint64_t end_ms = timeout_ms == 0 ? 0 : clock_mono_ms() + timeout_ms;
	const Pb__RolloutView *v;
	struct reply r;
	int code = rollout_find(c, name, &r, &v);

	if (code != 0)
		return code;
	catch_signals();
	for (code = -1; code < 0;) {
		if (r.m != NULL && !ctl_json(c))
			(void)!show_on_pipe(&w, &r); /* said on stderr */
		code = r.m != NULL && r.m->n_rollouts > 0 ? verdict(r.m->rollouts[0]) : -1;
		if (code < 0 && once)
			code = 0;
		if (code < 0)
			code = look_again(&w, &r, end_ms);
	}
	code = last_word(c, &r, code);
	reply_release(&r);
	free(w.last);
	return code;
}
