/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/show.h"

#define PIECE       (512u * 1024u)
#define PROGRESS_MS 200u

struct progress {
	bool shown; /* on a terminal */
	uint64_t from, start_ms, last_ms;
};

static void show(struct progress *p, uint64_t done, uint64_t length)
{
	uint64_t now_ms = clock_mono_ms(), spent_ms = now_ms - p->start_ms;

	if (!p->shown || (now_ms - p->last_ms < PROGRESS_MS && done < length))
		return;
	p->last_ms = now_ms;
	(void)fprintf(stderr, "\rUploading  %3u %%  of %s  %s/s   %s",
		(unsigned)(done * 100 / length), show_size(length).s,
		show_size((done - p->from) * 1000 / (spent_ms > 0 ? spent_ms : 1)).s,
		done == length ? "\n" : ""); /* only decoration */
}

static int send_piece(struct ctl *c, int fd, Pb__AdminUpload *u, uint8_t *piece, uint64_t *next)
{
	struct reply r;
	ssize_t n = pread(fd, piece, PIECE, (off_t)u->offset);
	int err;

	if (n <= 0)
		return fail(EXIT_FAILED, NULL, "reading the file: %s",
			n < 0 ? strerror(errno) : "it became shorter");
	u->data = wire_data(piece, (size_t)n);
	err = ctl_ask(c, ENVELOPE_UPLOAD, u, &r);
	if (err != 0)
		return err;
	*next = r.m->has_received ? r.m->received : u->offset + (uint64_t)n;
	reply_release(&r);
	if (*next <= u->offset || *next > u->length)
		return fail(EXIT_FAILED, command_page(c->command).s,
			"the upload does not go on at byte %llu", (unsigned long long)u->offset);
	return 0;
}

static int send_all(struct ctl *c, int fd, Pb__AdminUpload *u)
{
	struct progress p = { isatty(STDERR_FILENO) == 1, u->offset, clock_mono_ms(), 0 };
	uint8_t *piece = mem_alloc(PIECE);
	int err = 0;

	if (u->offset > 0)
		note("Going on at %s of %s", show_size(u->offset).s, show_size(u->length).s);
	while (err == 0 && u->offset < u->length) {
		uint64_t next = 0;
		err = send_piece(c, fd, u, piece, &next);
		u->offset = next;
		if (err == 0)
			show(&p, u->offset, u->length);
	}
	free(piece);
	return err;
}

int upload(struct ctl *c, const char *path, uint64_t length, ProtobufCBinaryData sha256)
{
	Pb__AdminQuery q = PB__ADMIN_QUERY__INIT;
	Pb__AdminUpload u = PB__ADMIN_UPLOAD__INIT;
	struct reply r;
	bool present;
	int fd, err;

	q.kind = PB__QUERY_KIND__QUERY_ARTIFACT;
	q.has_sha256 = true;
	q.sha256 = sha256;
	err = ctl_ask(c, ENVELOPE_QUERY, &q, &r);
	if (err != 0)
		return err;
	present = r.m->has_present && r.m->present;
	u.sha256 = sha256;
	u.length = length;
	u.offset = r.m->has_received && r.m->received < length ? r.m->received : 0;
	reply_release(&r);
	if (present) {
		note("The server has the file already");
		return 0;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(exit_of(-errno), NULL, "%s: %s", path, strerror(errno));
	err = send_all(c, fd, &u);
	(void)close(fd); /* only read */
	return err;
}
