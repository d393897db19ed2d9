/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a server that is not what it should be. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/base/buf.h"
#include "server/base/mem.h"
#include "server/ctl/conn.h"
#include "tmpdir.h"

/* Takes one frame, says `answer`, hangs up. */
struct server {
	int fd;
	struct bytes answer;
};

static void *serve(void *arg)
{
	const struct server *s = arg;
	uint8_t frame[4096];
	int fd = accept(s->fd, NULL, NULL);

	if (fd >= 0 && recv(fd, frame, 4, MSG_WAITALL) == 4 &&
		recv(fd, frame, get_be32(frame), MSG_WAITALL) >= 0)
		(void)!send(fd, s->answer.p, s->answer.n, MSG_NOSIGNAL); /* client may be gone */
	(void)close(fd);
	return NULL;
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int ask(struct bytes answer, struct reply *r)
{
	const char *path = tmpdir_path("s");
	struct server s = { listen_at(path), answer };
	struct conn *c;
	pthread_t t;
	int err;

	assert_int_equal(pthread_create(&t, NULL, serve, &s), 0);
	assert_int_equal(conn_open(path, &c), 0);
	err = conn_ask(c, bytes_str("question"), r);
	conn_close(c);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(close(s.fd), 0);
	assert_int_equal(unlink(path), 0);
	return err;
}

/* A frame around an envelope of `type` around `payload`. */
static struct bytes frame(struct buf *out, enum envelope_type type, struct bytes payload)
{
	struct arena a = { mem_alloc(payload.n + 8192), payload.n + 8192, 0 };
	struct bytes envelope;
	uint8_t header[4];

	assert_int_equal(envelope_wrap(type, payload, &a, &envelope), 0);
	put_be32(header, (uint32_t)envelope.n);
	buf_add(out, header, 4);
	buf_add(out, envelope.p, envelope.n);
	free(a.base);
	return buf_bytes(out);
}

static void test_good(void **state)
{
	Pb__AdminReply m = PB__ADMIN_REPLY__INIT;
	uint8_t wire[64];
	struct buf b = { 0 };
	struct reply r;

	(void)state;
	m.code = ERR_NOT_FOUND;
	m.text = "no such thing";
	assert_int_equal(
		ask(frame(&b, ENVELOPE_REPLY, bytes_of(wire, wire_write(&m, wire))), &r), 0);
	assert_int_equal(r.m->code, ERR_NOT_FOUND);
	assert_string_equal(r.m->text, "no such thing");
	reply_release(&r);
	assert_null(r.m);
	buf_release(&b);
}

/* A year of builds, each with many stages that are nothing but numbers: the most memory for a byte. */
static void test_many_rollouts(void **state)
{
	enum { ROLLOUTS = 400, STAGES = 12 };
	Pb__AdminReply m = PB__ADMIN_REPLY__INIT;
	Pb__StageView stage = PB__STAGE_VIEW__INIT, *stages[STAGES];
	Pb__RolloutView rollout = PB__ROLLOUT_VIEW__INIT, *rollouts[ROLLOUTS];
	struct buf wire = { 0 }, b = { 0 };
	struct reply r;

	(void)state;
	for (size_t i = 0; i < STAGES; i++)
		stages[i] = &stage;
	rollout.release = rollout.plan = rollout.line = "1";
	rollout.rollout_id = wire_data("", 0);
	rollout.n_stages = STAGES;
	rollout.stages = stages;
	for (size_t i = 0; i < ROLLOUTS; i++)
		rollouts[i] = &rollout;
	m.n_rollouts = ROLLOUTS;
	m.rollouts = rollouts;
	wire.len = wire_write(&m, buf_room(&wire, wire_size(&m)));
	assert_int_equal(ask(frame(&b, ENVELOPE_REPLY, buf_bytes(&wire)), &r), 0);
	assert_int_equal(r.m->n_rollouts, ROLLOUTS);
	assert_int_equal(r.m->rollouts[ROLLOUTS - 1]->n_stages, STAGES);
	reply_release(&r);
	buf_release(&wire);
	buf_release(&b);
}

static const struct {
	const char *why;
	const char *bytes;
	size_t n;
	int want;
} broken[] = {
	{ "hangs up", "", 0, -ECONNRESET },
	{ "hangs up in the header", "\0\0", 2, -ECONNRESET },
	{ "hangs up in the frame",
		"\0\0\0\x05"
		"abc",
		7, -ECONNRESET },
	{ "larger than a frame may be", "\x02\x00\x00\x01", 4, ERR_TOO_BIG },
	{ "an empty frame", "\0\0\0\0", 4, ERR_MISSING_FIELD },
	{ "no envelope",
		"\0\0\0\x03"
		"abc",
		7, ERR_TRUNCATED },
};

static void test_broken(void **state)
{
	struct reply r;

	(void)state;
	for (size_t i = 0; i < COUNT(broken); i++) {
		int err = ask(bytes_of(broken[i].bytes, broken[i].n), &r);
		if (err != broken[i].want)
			fail_msg("%s: %d", broken[i].why, err);
		assert_null(r.m);
		reply_release(&r);
	}
}

/* A terminal must not be told what to do by a server's text. */
static void test_no_escapes(void **state)
{
	Pb__AdminReply m = PB__ADMIN_REPLY__INIT;
	uint8_t wire[64];
	struct buf b = { 0 };
	struct reply r;

	(void)state;
	m.text = "\033[2J";
	assert_int_equal(ask(frame(&b, ENVELOPE_REPLY, bytes_of(wire, wire_write(&m, wire))), &r),
		ERR_BAD_STRING);
	reply_release(&r);
	b.len = 0;
	m.text = "fine";
	assert_int_equal(ask(frame(&b, ENVELOPE_QUERY, bytes_of(wire, wire_write(&m, wire))), &r),
		ERR_WRONG_TYPE);
	reply_release(&r);
	buf_release(&b);
}

static void test_nobody_there(void **state)
{
	char path[200];
	struct conn *c;

	(void)state;
	assert_int_equal(conn_open(tmpdir_path("none"), &c), -ENOENT);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(conn_open(path, &c), -ENAMETOOLONG);
	conn_close(NULL);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_good),
		IN_TMPDIR(test_many_rollouts),
		IN_TMPDIR(test_broken),
		IN_TMPDIR(test_no_escapes),
		IN_TMPDIR(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
