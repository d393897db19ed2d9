/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on a loopback connection, both ends in turn, so that each step can be looked at. */
#include "server/http/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/trust/tlscert.h"
#include "tmpdir.h"
#include "unit.h"

#define WAIT_MS 10000

static struct {
	struct tls *tls;
	SSL_CTX *ctx;         /* the client's, as the next two */
	SSL_SESSION *session; /* the last of TLS 1.3 */
	SSL *client;
	int client_fd;
	struct stream server;
} t;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	if (SSL_version(ssl) != TLS1_3_VERSION)
		return 0;
	SSL_SESSION_free(t.session);
	t.session = session;
	return 1;
}

static int open_all(void **state)
{
	static const char *const names[] = { "localhost" };
	struct tls_files files;
	char error[TLS_ERROR_MAX];

	assert_int_equal(tmpdir_make(state), 0);
	files = (struct tls_files){ tmpdir_path("cert"), tmpdir_path("key"), NULL, NULL };
	assert_int_equal(tlscert_write(files.certificate, files.key, names, 1), 0);
	assert_int_equal(tls_open(&files, &t.tls, error), 0);
	t.ctx = SSL_CTX_new(TLS_client_method());
	(void)SSL_CTX_set_session_cache_mode(t.ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(t.ctx, keep_session);
	return 0;
}

static int close_all(void **state)
{
	SSL_SESSION_free(t.session);
	SSL_CTX_free(t.ctx);
	tls_close(t.tls);
	return tmpdir_drop(state);
}

/* Until there is something to read, so that what is looked at next does not depend on time. */
static void await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

static void dial(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t len = sizeof(at);

	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	t.client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(t.client_fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(fcntl(t.client_fd, F_SETFL, O_NONBLOCK), 0);
	t.server = (struct stream){ .fd = accept4(
					    listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) };
	assert_true(t.server.fd >= 0);
	assert_int_equal(setsockopt(t.client_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(t.server.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	assert_int_equal(stream_secure(&t.server, t.tls), 0);
	assert_int_equal(close(listener), 0);
}

static int begin(void **state)
{
	(void)state;
	dial();
	t.client = SSL_new(t.ctx);
	assert_int_equal(SSL_set_fd(t.client, t.client_fd), 1);
	SSL_set_connect_state(t.client);
	return 0;
}

static int end(void **state)
{
	(void)state;
	/* A session whose connection broke off is not used again. */
	SSL_set_shutdown(t.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t.client);
	SSL_free(t.server.ssl);
	assert_int_equal(close(t.client_fd), 0);
	assert_int_equal(close(t.server.fd), 0);
	return 0;
}

static unsigned segments_sent(void)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(t.server.fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_data_segs_out;
}

static int server_step(void)
{
	const char *why;

	await(t.server.fd);
	t.server.drained = false;
	return stream_handshake(&t.server, &why);
}

/* The client's Finished is sent; how many segments the server's part of it took. */
static unsigned flight(void)
{
	unsigned before = segments_sent();

	assert_int_equal(SSL_do_handshake(t.client), -1);
	assert_int_equal(server_step(), -EAGAIN);
	await(t.client_fd);
	assert_int_equal(SSL_do_handshake(t.client), 1);
	return segments_sent() - before;
}

static void say(void)
{
	unsigned char answer[8];
	size_t n;

	assert_int_equal(stream_write(&t.server, "answer", 6), 6);
	await(t.client_fd);
	assert_int_equal(SSL_read_ex(t.client, answer, sizeof(answer), &n), 1);
	assert_int_equal(n, 6);
}

static void the_ticket_goes_with_the_answer(void **state)
{
	unsigned before;

	(void)state;
	assert_int_equal(flight(), 1);
	before = segments_sent();
	assert_int_equal(server_step(), 0);
	say();
	assert_int_equal(segments_sent() - before, 1);
	assert_int_equal(SSL_SESSION_is_resumable(t.session), 1);
}

/* A client that sends nothing before it has heard something does not wait for it. */
static void the_ticket_goes_when_there_is_no_question(void **state)
{
	unsigned char got[8];
	unsigned before;

	(void)state;
	(void)flight();
	before = segments_sent();
	assert_int_equal(server_step(), 0);
	assert_int_equal(segments_sent() - before, 0);
	assert_int_equal(stream_read(&t.server, got, sizeof(got)), -EAGAIN);
	assert_int_equal(segments_sent() - before, 1);
	say();
	assert_int_equal(segments_sent() - before, 2);
}

/* Another share is asked for: that must not wait for anything. */
static void the_answer_to_a_share_that_is_not_wanted_goes_at_once(void **state)
{
	unsigned before = segments_sent();

	(void)state;
	assert_int_equal(SSL_set1_groups_list(t.client, "X448:P-256"), 1);
	assert_int_equal(SSL_do_handshake(t.client), -1);
	assert_int_equal(server_step(), -EAGAIN);
	assert_int_equal(segments_sent() - before, 1);
	await(t.client_fd);
	assert_int_equal(flight(), 1);
	assert_int_equal(server_step(), 0);
	say();
}

static void tls12_waits_for_nothing(void **state)
{
	(void)state;
	assert_int_equal(SSL_set_max_proto_version(t.client, TLS1_2_VERSION), 1);
	assert_int_equal(SSL_do_handshake(t.client), -1);
	assert_int_equal(server_step(), -EAGAIN);
	await(t.client_fd);
	assert_int_equal(SSL_do_handshake(t.client), -1);
	unsigned before = segments_sent();
	assert_int_equal(server_step(), 0);
	assert_int_equal(segments_sent() - before, 1);
	await(t.client_fd);
	assert_int_equal(SSL_do_handshake(t.client), 1);
	say();
}

/* A short read says that there is no more, but for what OpenSSL has of it. */
static void an_empty_socket_is_not_read_again(void **state)
{
	unsigned char got[8];
	size_t n;

	(void)state;
	(void)flight();
	assert_int_equal(server_step(), 0);
	assert_int_equal(SSL_write_ex(t.client, "asked and asked", 15, &n), 1);
	await(t.server.fd);
	assert_int_equal(stream_read(&t.server, got, sizeof(got)), 8);
	assert_true(t.server.drained);
	assert_false(stream_is_drained(&t.server));
	assert_int_equal(stream_read(&t.server, got, sizeof(got)), 7);
	assert_true(stream_is_drained(&t.server));
	t.server.drained = false; /* as an event does */
	assert_int_equal(stream_read(&t.server, got, sizeof(got)), -EAGAIN);
}

/* Half a record, and a reset in the same event. */
static void a_reset_behind_half_a_record_is_seen(void **state)
{
	static const struct linger at_once = { .l_onoff = 1 };
	static const unsigned char half[] = { 22, 3, 1, 1, 0, 1 };
	int other = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *why;

	(void)state;
	assert_int_equal(write(t.client_fd, half, sizeof(half)), sizeof(half));
	assert_int_equal(
		setsockopt(t.client_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	/* Closes it, and end() has something to close. */
	assert_int_equal(dup2(other, t.client_fd), t.client_fd);
	assert_int_equal(close(other), 0);
	await(t.server.fd);
	assert_int_equal(stream_handshake(&t.server, &why), -EPROTO);
}

/* With the end came the last event: what is before it is read, and then the end. */
static void the_end_is_read_behind_the_last_bytes(void **state)
{
	unsigned char got[8];
	size_t n;

	(void)state;
	(void)flight();
	assert_int_equal(server_step(), 0);
	assert_int_equal(SSL_write_ex(t.client, "asked", 5, &n), 1);
	assert_int_equal(shutdown(t.client_fd, SHUT_WR), 0);
	await(t.server.fd);
	t.server.drained = false;
	t.server.ended = true;
	assert_int_equal(stream_read(&t.server, got, sizeof(got)), 5);
	assert_int_equal(stream_read(&t.server, got, sizeof(got)), 0);
}

/* Of a client that was never told it may: thrown away, and the handshake goes on. */
static void early_data_is_refused(void **state)
{
	SSL_SESSION *early = SSL_SESSION_dup(t.session);
	unsigned char got[8];
	size_t n;

	(void)state;
	assert_int_equal(SSL_SESSION_get_max_early_data(t.session), 0);
	assert_int_equal(SSL_SESSION_set_max_early_data(early, 1000), 1);
	assert_int_equal(SSL_set_session(t.client, early), 1);
	SSL_SESSION_free(early);
	assert_int_equal(SSL_write_early_data(t.client, "early", 5, &n), 1);
	assert_int_equal(server_step(), -EAGAIN);
	await(t.client_fd);
	assert_int_equal(SSL_do_handshake(t.client), 1);
	assert_int_equal(SSL_session_reused(t.client), 1);
	assert_int_equal(SSL_get_early_data_status(t.client), SSL_EARLY_DATA_REJECTED);
	assert_int_equal(SSL_write_ex(t.client, "asked", 5, &n), 1);
	assert_int_equal(server_step(), 0);
	t.server.drained = false;
	assert_int_equal(stream_read(&t.server, got, sizeof(got)), 5);
	assert_memory_equal(got, "asked", 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(the_ticket_goes_with_the_answer),
		TEST(the_ticket_goes_when_there_is_no_question),
		TEST(the_answer_to_a_share_that_is_not_wanted_goes_at_once),
		TEST(tls12_waits_for_nothing),
		TEST(an_empty_socket_is_not_read_again),
		TEST(a_reset_behind_half_a_record_is_seen),
		TEST(the_end_is_read_behind_the_last_bytes),
		TEST(early_data_is_refused),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
