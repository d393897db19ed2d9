/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/show.h"

#define PIECE       (512u * 1024u)
#define PROGRESS_MS 200u
#define RETRY_MS    500u
/* The server may restart meanwhile, not stay away. */
#define GIVE_UP_MS 60000u

struct sending {
	struct ctl *ctl;
	const char *path;
	int fd;
	Pb__AdminUpload message; /* its offset: where we want to go on */
	uint64_t checked;        /* the server has read so far in what it had */
	uint8_t *piece;
	bool shown; /* on a terminal */
	bool drawn; /* a line without its end */
	uint64_t from, start_ms, drawn_ms, moved_ms;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* ---- what is seen of it ---- */

static void draw(struct sending *s, bool last)
{
	uint64_t now_ms = clock_mono_ms(), spent_ms = now_ms - s->start_ms;
	uint64_t length = s->message.length, done = s->message.offset;
	bool checking = s->checked < done;

	if (!s->shown || length == 0 || (now_ms - s->drawn_ms < PROGRESS_MS && !last))
		return;
	s->drawn_ms = now_ms;
	s->drawn = !last;
	if (checking)
		(void)fprintf(stderr, "\rChecking   %3u %%  of the %s that are there   ",
			(unsigned)(s->checked * 100 / done), show_size(done).s);
	else
		(void)fprintf(stderr, "\rUploading  %3u %%  of %s  %s/s   ",
			(unsigned)(done * 100 / length), show_size(length).s,
			show_size((done - s->from) * 1000 / (spent_ms > 0 ? spent_ms : 1)).s);
	if (last)
		(void)fputs("\n", stderr); /* only decoration */
}

static void end_line(struct sending *s)
{
	if (s->drawn)
		(void)fputs("\n", stderr); /* only decoration */
	s->drawn = false;
}

/* ---- one piece ---- */

/* What the server has decides where we go on; true in `present`: it has all of it. */
static int look(struct sending *s, struct reply *r, bool *present)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;
	int err;

	q.kind = PB__QUERY_KIND__QUERY_ARTIFACT;
	q.has_sha256 = true;
	q.sha256 = s->message.sha256;
	q.has_rows = q.rows = s->message.rows;
	err = ctl_try(s->ctl, ENVELOPE_QUERY, &q, r);
	if (err != 0)
		return err;
	*present = r->m->has_present && r->m->present;
	s->message.offset =
		r->m->has_received && r->m->received <= s->message.length ? r->m->received : 0;
	s->from = s->message.offset;
	s->start_ms = clock_mono_ms();
	s->checked = 0;
	return 0;
}

/* ERR_CONFLICT, too, when the server's answer makes no sense. */
static int send_piece(struct sending *s, struct reply *r)
{
	Pb__AdminUpload *u = &s->message;
	ssize_t n = 0;
	int err;

	if (s->checked == u->offset)
		n = pread(s->fd, s->piece, PIECE, (off_t)u->offset);
	if (n < 0 || (n == 0 && s->checked == u->offset && u->offset < u->length))
		return n < 0 ? -errno : ERR_TRUNCATED;
	u->data = wire_data(s->piece, (size_t)n);
	err = ctl_try(s->ctl, ENVELOPE_UPLOAD, u, r);
	if (err != 0)
		return err;
	u->offset += (uint64_t)n;
	if (!r->m->has_received || r->m->received > u->offset ||
		r->m->received < s->checked + (uint64_t)n)
		return ERR_CONFLICT;
	s->checked = r->m->received;
	return 0;
}

/* ---- all of it ---- */

static int send_rest(struct sending *s, struct reply *r)
{
	int err = 0;

	while (err == 0 && !interrupted) {
		reply_release(r);
		err = send_piece(s, r);
		if (err != 0)
			break;
		s->moved_ms = clock_mono_ms();
		draw(s, s->checked == s->message.length);
		if (s->checked == s->message.length)
			return 0;
	}
	return err != 0 ? err : -EINTR;
}

/* The server was lost, or has no time for us, or somebody else sends the same file. */
static bool may_pass(const struct reply *r, int err)
{
	return err == ERR_BUSY || err == ERR_CONFLICT || (r->m == NULL && err > -1000);
}

static void wait_a_bit(void)
{
	const struct timespec t = { RETRY_MS / 1000, (RETRY_MS % 1000) * 1000000L };

	(void)nanosleep(&t, NULL); /* cut short by Ctrl-C, which is looked at next */
}

static int explain(struct sending *s, const struct reply *r, int err)
{
	end_line(s);
	if (interrupted)
		return fail(EXIT_INTERRUPTED, "the same command again, to go on from there",
			"interrupted: %s of %s are on the server", show_size(s->message.offset).s,
			show_size(s->message.length).s);
	if (r->m == NULL && (err == ERR_TRUNCATED || err == -EIO))
		return fail(EXIT_FAILED, NULL, "%s: %s", s->path,
			err == ERR_TRUNCATED ? "it became shorter" : strerror(-err));
	if (s->ctl->next == NULL)
		s->ctl->next = "the same command again: it goes on where it was";
	return ctl_explain(s->ctl, err, r);
}

/* Until it is there, or a minute went by without a step. */
static int send_all(struct sending *s, struct reply *r)
{
	bool present = false, again = false, resumed = s->message.offset > 0;
	int err = 0;

	while (!present) {
		err = err == 0 ? send_rest(s, r) : err;
		if (err == 0 || interrupted)
			break;
		if (err == ERR_BAD_HASH && resumed && !again) {
			end_line(s);
			note("What was there is of no use: from the beginning");
			again = true; /* the server has thrown it away */
		} else if (!may_pass(r, err) || clock_mono_ms() - s->moved_ms > GIVE_UP_MS) {
			break;
		} else {
			wait_a_bit();
		}
		reply_release(r);
		err = look(s, r, &present);
		resumed |= err == 0 && s->message.offset > 0;
	}
	return present ? 0 : err;
}

static int send_file(struct sending *s)
{
	const struct sigaction ours = { .sa_handler = on_signal };
	struct sigaction before;
	struct reply r = { 0 };
	int err;

	if (s->message.offset > 0)
		note("Going on at %s of %s", show_size(s->message.offset).s,
			show_size(s->message.length).s);
	(void)sigaction(SIGINT, &ours, &before); /* valid arguments: cannot fail */
	s->piece = mem_alloc(PIECE);
	s->shown = isatty(STDERR_FILENO) == 1;
	s->moved_ms = clock_mono_ms();
	err = send_all(s, &r);
	if (err != 0)
		err = explain(s, &r, err);
	reply_release(&r);
	free(s->piece);
	(void)sigaction(SIGINT, &before, NULL);
	return err;
}

int upload(struct ctl *c, const char *path, uint64_t length, ProtobufCBinaryData sha256, bool rows)
{
	struct sending s = { .ctl = c, .path = path, .message = PB__ADMIN_UPLOAD__INIT };
	struct reply r = { 0 };
	bool present = false;
	int err = ctl_context(c);

	if (err != 0)
		return err;
	s.message.sha256 = sha256;
	s.message.length = length;
	s.message.has_rows = s.message.rows = rows;
	err = look(&s, &r, &present);
	if (err != 0)
		err = ctl_explain(c, err, &r);
	reply_release(&r);
	if (err != 0)
		return err;
	if (present) {
		note("The server has the file already");
		return 0;
	}
	s.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s.fd < 0)
		return fail(exit_of(-errno), NULL, "%s: %s", path, strerror(errno));
	err = send_file(&s);
	(void)close(s.fd); /* only read */
	return err;
}
