# SPDX-License-Identifier: Apache-2.0
"""Deadlines, connections, descriptors, stopping: each limit with its own counter."""
import contextlib
import select
import socket
import subprocess
import threading
import time

import pytest

from http_server import HOST, PROGRAM, Raw, running

LIMIT_MS = 300
LONG_MS = 20000
SOON_S, LATE_S = 0.25, 5
GET = b"GET /plain HTTP/1.1\r\n" + HOST + b"\r\n"


@contextlib.contextmanager
def in_time():
    """What is in the block begins with the connection, and ends with its deadline."""
    start = time.monotonic()
    yield
    assert SOON_S < time.monotonic() - start < LATE_S


def drip(c, data, every_s=0.1):
    """One byte after the other until the server closes."""
    c.sock.settimeout(every_s)
    for byte in data:
        try:
            c.send(bytes([byte]))
            if not c.sock.recv(1):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    else:
        raise AssertionError("all was sent")


def test_headers_deadline():
    with running(headers_ms=LIMIT_MS) as s:
        with in_time():
            s.connect().closed()  # says nothing at all
        with in_time():
            s.connect().send(b"GET /plain HTTP/1.1\r\n").closed()
        with in_time():
            drip(s.connect(), b"GET /plain HTTP/1.1\r\n" * 10)
        with in_time():
            c = s.connect()
            assert c.get("/plain").status == 200
            drip(c, b"GET /plain HTTP/1.1\r\n" * 10)
        assert s.counts()["timeout_headers"] == 4
        assert s.counts()["timeout_idle"] == 0


def test_body_deadline():
    post = b"POST /echo HTTP/1.1\r\n" + HOST
    with running(body_ms=LIMIT_MS) as s:
        with in_time():
            s.connect().send(post + b"Content-Length: 5\r\n\r\nhell").closed()
        with in_time():
            drip(s.connect().send(post + b"Content-Length: 500\r\n\r\n"), b"x" * 100)
        with in_time():
            drip(s.connect().send(post + b"Transfer-Encoding: chunked\r\n\r\n"),
                 b"1\r\nx\r\n" * 100)
        assert s.counts()["timeout_body"] == 3


def later(ms):
    return b"POST /later?%d HTTP/1.1\r\n" % ms + HOST + b"Content-Length: 1\r\n\r\na"


def thrown_away(c):
    """Nothing waits in the server's kernel for a client that may never read it."""
    waiting = select.poll()
    waiting.register(c.sock, 0)  # ends and errors alone, not what is there to be read
    return bool(waiting.poll(LATE_S * 1000))


def test_request_deadline():
    """From the first byte in to the last byte out, whatever it was spent on."""
    with running(request_ms=LIMIT_MS, big_bytes=50_000_000) as s:
        with in_time():
            s.connect().send(later(1000)).closed()
        s.wait_count("left", 1)  # the answer that came too late went nowhere
        c = s.connect().send(b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n")
        s.wait_count("timeout_request", 2)
        assert thrown_away(c)
        with pytest.raises((EOFError, ConnectionResetError)):
            c.answer()
        with in_time():
            s.connect().send(b"POST /echo HTTP/1.1\r\n" + HOST +
                             b"Content-Length: 5\r\n\r\nhell").closed()
        assert s.counts()["timeout_body"] == 1
        assert s.connect().get("/plain").status == 200


def test_idle_deadline():
    with running(idle_ms=1500) as s:
        c = s.connect()
        for _ in range(4):  # longer than the limit: each request starts it anew
            assert c.get("/plain").status == 200
            time.sleep(0.5)
        start = time.monotonic()
        assert c.get("/plain").status == 200
        c.closed()
        assert 1.4 < time.monotonic() - start < LATE_S
        assert s.counts()["timeout_idle"] == 1


def slow_reader(server):
    """With small segments, as on a network: loopback's own come and are acknowledged in bursts."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", server.ports["plain"]))
    return Raw(sock).send(b"GET /file HTTP/1.1\r\n" + HOST + b"\r\n")


def test_downloads_have_a_rate_not_a_deadline(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 20_000_000)
    with running(file=file, file_window_ms=1000, file_window_bytes=5_000,
                 request_ms=LIMIT_MS) as s:
        stuck, steady = slow_reader(s), slow_reader(s)
        # So slow that whole windows pass in which the server's kernel takes nothing more.
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert len(steady.sock.recv(3_000)) > 0
            time.sleep(0.1)
        assert s.counts()["timeout_file"] == 1
        assert thrown_away(stuck)
        with pytest.raises((EOFError, ConnectionResetError)):
            stuck.answer()
        steady.close()
        stuck.close()


def test_connections_beyond_the_most_wait():
    with running(connections_max=4, grace_ms=LONG_MS) as s:
        busy = [s.connect().send(b"GET /plain HT") for _ in range(4)]
        waiting = s.connect().send(GET)
        s.wait_count("connections_max", 1)
        waiting.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.answer()
        waiting.sock.settimeout(20)
        busy[0].close()
        assert waiting.answer().status == 200
        for c in busy[1:]:
            c.send(b"TP/1.1\r\n" + HOST + b"\r\n")
            assert c.answer().status == 200


def test_who_waits_is_let_in_when_another_leaves():
    """At once, not when the second of the pause is over."""
    with running(connections_max=1, grace_ms=LONG_MS) as s:
        start, before = time.monotonic(), s.connect().send(b"GET /plain HT")
        for i in range(8):
            waiting = s.connect().send(b"GET /plain HT")
            s.wait_count("connections_max", i + 1)
            before.close()
            s.wait_count("accepted", i + 2)
            before = waiting
        assert time.monotonic() - start < 4
        before.close()


def test_idle_connections_make_room():
    with running(connections_max=4) as s:
        idle = [s.connect() for _ in range(4)]
        for c in idle:
            assert c.get("/plain").status == 200
        assert idle[0].get("/plain").status == 200  # so idle[1] is the oldest now
        assert s.connect().get("/plain").status == 200
        idle[1].closed()
        for c in idle[0], idle[2], idle[3]:
            assert c.get("/plain").status == 200
        counts = s.counts()
        assert (counts["evicted"], counts["connections_max"]) == (1, 0)


def test_who_says_nothing_makes_room():
    """The oldest first, after a moment; who is being answered stays, whatever comes."""
    with running(connections_max=4, grace_ms=LIMIT_MS, headers_ms=LONG_MS) as s:
        busy = [s.connect().send(later(4000))]
        s.wait_count("calls", 1)
        rude = [s.connect(), s.connect().send(b"GET /plain HT"),
                s.connect().send(b"POST /echo HTTP/1.1\r\n" + HOST +
                                 b"Content-Length: 5\r\n\r\n")]
        s.wait_count("accepted", 4)
        start = time.monotonic()
        for c in rude:
            busy.append(s.connect().send(later(4000)))
            c.closed()
        assert time.monotonic() - start > LIMIT_MS / 1000 - 0.2
        for c in busy:
            assert c.answer().body == b"a"
        assert s.counts()["evicted_unready"] == 3


def test_a_flood_of_the_silent_leaves_the_honest():
    with running(connections_max=50, grace_ms=LIMIT_MS, headers_ms=LONG_MS) as s:
        silent = [s.connect() for _ in range(400)]
        start = time.monotonic()
        for _ in range(5):
            c = s.connect()
            assert c.get("/plain").status == 200
            c.close()
        assert time.monotonic() - start < 20
        counts = s.counts()
        assert counts["evicted_unready"] >= 300
        assert counts["timeout_headers"] == 0
        for c in silent:
            c.close()


def test_no_descriptors_left():
    with running(nofile=40, grace_ms=LONG_MS) as s:
        clients = [s.connect().send(b"GET /plain HT") for _ in range(60)]
        s.wait_log("Too many open files")
        for c in clients[:40]:
            c.close()
        for c in clients[40:]:
            c.send(b"TP/1.1\r\n" + HOST + b"\r\n")
        for c in clients[40:]:
            assert c.answer().status == 200
        for c in clients[40:]:
            c.close()
    assert s.stopped["emfile"] >= 1
    assert len([line for line in s.log if "Too many open files" in line]) < 5


def test_no_descriptors_left_but_idle_ones():
    with running(nofile=40) as s:
        idle = []
        for _ in range(60):
            c = s.connect()
            assert c.get("/plain").status == 200
            idle.append(c)
    assert s.stopped["evicted"] >= 20
    assert s.stopped["emfile"] == 0


class Clients:
    """Threads that ask as fast as they can until the server is gone; lost: asked, not answered."""

    def __init__(self, server, n, request):
        self.server, self.request, self.done, self.lost = server, request, 0, []
        self.threads = [threading.Thread(target=self.work) for _ in range(n)]
        for t in self.threads:
            t.start()

    def work(self):
        while True:
            try:
                c = self.server.connect()
            except OSError:
                return
            with contextlib.closing(c):
                calls = 0
                try:
                    while True:
                        c.send(self.request)
                        a = c.answer()
                        self.done += 1
                        calls += 1
                        if a.headers["connection"] == "close":
                            c.closed()
                            break
                except (EOFError, OSError) as e:
                    # The kernel took this connection, the server did not: as good as refused.
                    if calls > 0:
                        self.lost.append(e)
                    return

    def join(self):
        for t in self.threads:
            t.join()


@pytest.mark.parametrize("request_", [GET, later(20)])
def test_stopping_loses_no_answer(request_):
    with running(workers=2) as s:
        idle = s.connect()
        assert idle.get("/plain").status == 200
        clients = Clients(s, 16, request_)
        time.sleep(0.5)
        start = time.monotonic()
        s.terminate()
        clients.join()
        s.process.wait(20)
        assert time.monotonic() - start < 3
        assert clients.done > 100 and clients.lost == []
        idle.closed()


def test_stopping_waits_for_what_is_in_flight():
    with running() as s:
        c = s.connect().send(later(600))
        s.wait_count("calls", 1)
        s.terminate()
        a = c.answer()
        assert (a.body, a.headers["connection"]) == (b"a", "close")
        c.closed()


def test_stopping_does_not_wait_for_ever():
    with running(drain_ms=LIMIT_MS) as s:
        c = s.connect().send(later(3000))
        half = s.connect().send(b"GET /pl")
        s.wait_count("calls", 1)
        start = time.monotonic()
        s.terminate()
        c.closed()
        half.closed()
        assert SOON_S < time.monotonic() - start < 2.5


def test_a_socket_from_elsewhere():
    """As systemd hands one over: who connects before the server runs is served."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        early = Raw(socket.create_connection(listening.getsockname(), 20)).send(GET)
        with running(inherit=listening.fileno(), workers=2):
            assert early.answer().status == 200
            for _ in range(20):
                c = Raw(socket.create_connection(listening.getsockname(), 20))
                assert c.get("/plain").status == 200
                c.close()
    with socket.socket() as deaf:
        done = subprocess.run([PROGRAM, f"inherit={deaf.fileno()}"], pass_fds=[deaf.fileno()],
                              capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stderr) == (1, "inherit: no listening socket\n")


@pytest.mark.parametrize("options, error", [
    ({"listen": "127.0.0.1:{busy}"}, "listen 127.0.0.1:{busy}: Address already in use"),
    ({"admin": "127.0.0.1:{busy}"}, "listen 127.0.0.1:{busy}: Address already in use"),
    ({"listen": "nowhere:80"}, "listen nowhere:80: Invalid argument"),
    ({"listen": "192.0.2.1:80"}, "listen 192.0.2.1:80: Cannot assign requested address"),
    ({"certificate": "/none", "key": "/none"}, "tls /none: No such file or directory"),
    ({"certificate": "/etc/passwd", "key": "/none"}, "tls /etc/passwd: no start line"),
])
def test_it_says_why_it_does_not_start(options, error):
    with running(workers=2) as s:
        busy = s.ports["plain"]
        args = [f"{k}={v.format(busy=busy)}" for k, v in options.items()]
        done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1
        assert done.stderr == error.format(busy=busy) + "\n"
