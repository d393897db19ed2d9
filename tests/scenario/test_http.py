# SPDX-License-Identifier: Apache-2.0
"""What the HTTP layer answers to clients that behave."""
import concurrent.futures
import http.client
import os
import socket
import time

import pytest

from http_server import HOST, Raw, chunked, running

CHUNKED = b"Transfer-Encoding: chunked\r\n"
FILE_BYTES = 3_000_000


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("http") / "file"
    path.write_bytes(os.urandom(FILE_BYTES))
    return path


@pytest.fixture(scope="module")
def server(file):
    with running(file=file, workers=2) as s:
        yield s


@pytest.fixture
def c(server):
    raw = server.connect()
    yield raw
    raw.close()


def test_a_library_gets_along(server):
    conn = http.client.HTTPConnection("127.0.0.1", server.ports["plain"], timeout=20)
    for i in range(3):
        conn.request("POST", "/echo", body=b"x" * 100 * i)
        answer = conn.getresponse()
        assert (answer.status, answer.read()) == (200, b"x" * 100 * i)
    conn.request("POST", "/echo", body=iter([b"a", b"bc"]), encode_chunked=True,
                 headers={"Transfer-Encoding": "chunked"})
    assert conn.getresponse().read() == b"abc"
    conn.close()


def test_headers(c):
    a = c.get("/plain")
    assert (a.status, a.version, a.body) == (200, "HTTP/1.1", b"aa")
    assert set(a.headers) == {"date", "content-type", "content-length", "connection"}
    assert a.headers["connection"] == "keep-alive"
    assert a.headers["content-type"] == "text/plain"
    assert a.headers["date"].endswith(" GMT")


def test_keep_alive_counts_calls(c):
    for i in range(1, 50):
        assert c.get("/show/a").body.endswith(b"|%d" % i)


@pytest.mark.parametrize("target, shown", [
    (b"/show/", b"|"), (b"/show/a/b", b"a/b|"), (b"/show/a?b=c?d", b"a|b=c?d"),
    (b"/show/%2e%2e/%00", b"%2e%2e/%00|"), (b"/show/?", b"|"),
    (b"http://host:1/show/a?b", b"a|b"),
])
def test_target(c, target, shown):
    c.send(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"x-tesT:  one \r\n\r\n")
    assert c.answer().body == shown + b"|one|0|0|1"


def test_head_and_then_more(c):
    for path in ("/plain", "/show/a", "/file", "/big", "/nowhere", "/busy"):
        got, head = c.get(path), c.get(path, method=b"HEAD")
        assert head.status == got.status
        assert head.headers["content-length"] == got.headers["content-length"]
    assert c.get("/plain").body == b"aa"


def test_http_1_0(server):
    c = server.connect()
    c.send(b"GET /plain HTTP/1.0\r\n\r\n")
    a = c.answer()
    assert (a.status, a.headers["connection"]) == (200, "close")
    c.closed()
    c = server.connect()
    for _ in range(2):
        c.send(b"GET /plain HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert c.answer().headers["connection"] == "keep-alive"
    c.close()


def test_connection_close(c):
    assert c.get("/plain", b"Connection: close\r\n").headers["connection"] == "close"
    c.closed()


def test_a_handler_may_end_the_connection(c):
    assert c.get("/bye").headers["connection"] == "close"
    c.closed()


def test_nothing_and_retry_after(c):
    a = c.get("/nothing")
    assert a.status == 204 and "content-length" not in a.headers
    a = c.get("/busy")
    assert a.status == 503 and a.headers["retry-after"] == "7"
    assert c.get("/plain").status == 200


def test_empty_lines_before_a_request(c):
    c.send(b"\r\n\r\nGET /plain HTTP/1.1\r\n" + HOST + b"\r\n")
    assert c.answer().status == 200


def test_pipelining(c):
    n = 500
    c.send(b"".join(b"GET /show/%d HTTP/1.1\r\n%s\r\n" % (i, HOST) for i in range(n)))
    for i in range(n):
        assert c.answer().body.startswith(b"%d|" % i)


def test_pipelining_of_all_kinds(c):
    post = b"POST %s HTTP/1.1\r\n" + HOST
    kinds = [
        (b"GET /plain HTTP/1.1\r\n" + HOST + b"\r\n", b"aa"),
        (post % b"/echo" + b"Content-Length: 3\r\n\r\nabc", b"abc"),
        (post % b"/echo" + CHUNKED + b"\r\n" + chunked(b"defgh", 2), b"defgh"),
        (post % b"/later?5" + b"Content-Length: 2\r\n\r\nij", b"ij"),
        (b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n", b"Not Found\n"),
        (b"GET /file HTTP/1.1\r\nRange: bytes=0-9\r\n" + HOST + b"\r\n", None),
    ]
    c.send(b"".join(raw for raw, _ in kinds * 20))
    for _, want in kinds * 20:
        a = c.answer()
        assert want is None or a.body == want


def test_pieces(c):
    """Wherever the bytes are cut, the answers are the same."""
    c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw = (b"POST /echo HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + chunked(b"abcde", 3) +
           b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nfg")
    for cut in range(1, len(raw)):
        c.send(raw[:cut])
        c.send(raw[cut:])
        assert c.answer().body == b"abcde"
        assert c.answer().body == b"fg"
    for i in range(len(raw)):
        c.send(raw[i:i + 1])
    assert (c.answer().body, c.answer().body) == (b"abcde", b"fg")


@pytest.mark.parametrize("size", [1, 7, 1000, 16384])
def test_chunks(c, size):
    body = os.urandom(16384)
    c.send(b"POST /echo HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + chunked(body, size))
    assert c.answer().body == body
    assert c.get("/plain").status == 200


def test_large_bodies(c):
    body = os.urandom(4 * 1024 * 1024)
    assert c.post("/upload", body).body == body
    c.send(b"POST /upload HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + chunked(body, 100_000))
    assert c.answer().body == body
    assert c.get("/plain").status == 200


def test_expect_continue(server):
    c = server.connect()
    expect = b"POST /echo HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n"
    c.send(expect + b"Content-Length: 3\r\n\r\n")
    assert c.head()[0] == 100
    assert c.send(b"abc").answer().body == b"abc"
    c.send(expect + CHUNKED + b"\r\n")
    assert c.head()[0] == 100
    assert c.send(chunked(b"abc", 1)).answer().body == b"abc"
    # The body is there already: no need to ask for it.
    c.send(expect + b"Content-Length: 3\r\n\r\nabc")
    assert c.answer().status == 200
    c.send(expect + b"Content-Length: 100000\r\n\r\n")
    assert c.answer().status == 413
    c.closed()


@pytest.mark.parametrize("method, path, allow", [
    (b"DELETE", "/echo", "POST, PUT"), (b"GET", "/echo", "POST, PUT"),
    (b"POST", "/plain", "GET, HEAD"), (b"PUT", "/show/x", "GET, HEAD, POST"),
    (b"OPTIONS", "/plain", "GET, HEAD"),
])
def test_405_says_what_is_allowed(c, method, path, allow):
    a = c.get(path, method=method)
    assert (a.status, a.headers["allow"]) == (405, allow)
    assert c.get("/plain").status == 200


@pytest.mark.parametrize("path", ["/", "/plai", "/plain/", "/plainx", "/show", "//plain", "*"])
def test_404(c, path):
    assert c.get(path).status == 404
    assert c.get("/plain").status == 200


def test_refused_with_a_body_ends_the_connection(server):
    for request, status in (
            (b"POST /nowhere HTTP/1.1\r\nContent-Length: 5\r\n", 404),
            (b"DELETE /echo HTTP/1.1\r\nContent-Length: 5\r\n", 405),
            (b"POST /echo HTTP/1.1\r\nContent-Length: 16385\r\n", 413),
            (b"PUT /echo HTTP/1.1\r\nContent-Length: 5\r\n", 413),
            (b"GET /plain HTTP/1.1\r\nContent-Length: 1\r\n", 413),
            (b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n", 415)):
        c = server.connect()
        c.send(request + HOST + b"\r\nGET /")
        a = c.answer()
        assert (a.status, a.headers["connection"]) == (status, "close")
        c.closed()


def test_413_of_chunks_as_soon_as_announced(server):
    before = server.counts()
    c = server.connect()
    c.send(b"PUT /echo HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n3\r\nabc\r\n2\r\n")
    assert c.answer().status == 413
    c.closed()
    after = server.counts()
    assert after["too_large"] == before["too_large"] + 1
    assert after["calls"] == before["calls"]


@pytest.mark.parametrize("value, status, first, n", [
    ("bytes=0-0", 206, 0, 1), ("bytes=0-99", 206, 0, 100), ("bytes=100-", 206, 100, None),
    ("bytes=-1", 206, FILE_BYTES - 1, 1), ("bytes=-5000", 206, FILE_BYTES - 5000, 5000),
    ("bytes=-99999999", 206, 0, None), (f"bytes={FILE_BYTES - 1}-", 206, FILE_BYTES - 1, 1),
    ("bytes=0-99999999", 206, 0, None),
    (f"bytes={FILE_BYTES}-", 416, 0, 0), ("bytes=-0", 416, 0, 0),
    ("bytes=99999999999999999999-", 416, 0, 0),
    ("bytes=0-1,3-4", 200, 0, None), ("bytes=5-4", 200, 0, None), ("lines=0-1", 200, 0, None),
    ("bytes=x", 200, 0, None),
])
def test_range(c, file, value, status, first, n):
    whole = file.read_bytes()
    a = c.get("/file", f"Range: {value}\r\n".encode())
    assert (a.status, a.headers["accept-ranges"]) == (status, "bytes")
    assert a.headers["etag"] == '"x"'
    want = whole[first:first + n if n is not None else None]
    assert a.body == want
    if status == 206:
        last = first + len(want) - 1
        assert a.headers["content-range"] == f"bytes {first}-{last}/{FILE_BYTES}"
    elif status == 416:
        assert a.headers["content-range"] == f"bytes */{FILE_BYTES}"
    else:
        assert "content-range" not in a.headers
    assert c.get("/plain").status == 200


def test_range_does_not_hold(c, file):
    whole = file.read_bytes()
    for other in (b'"y"', b'W/"x"', b"Sat, 21 Nov 2026 18:56:00 GMT"):
        assert c.get("/file", b"Range: bytes=0-1\r\nIf-Range: " + other + b"\r\n").body == whole
    a = c.get("/file", b'Range: bytes=0-1\r\nIf-Range: "x"\r\n')
    assert (a.status, a.body) == (206, whole[:2])
    assert c.get("/file", b"Range: bytes=0-1\r\nRange: bytes=2-3\r\n").body == whole
    a = c.get("/file", b"Range: bytes=0-1\r\n", method=b"HEAD")
    assert (a.status, a.headers["content-length"]) == (200, str(FILE_BYTES))


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("headers", [
    b'If-None-Match: "x"\r\n', b'If-None-Match: "y", W/"x"\r\n', b"If-None-Match: *\r\n",
    b'Range: bytes=0-1\r\nIf-None-Match: "x"\r\n',
    b'Range: bytes=99999999-\r\nIf-Range: "x"\r\nIf-None-Match: "x"\r\n',
])
def test_not_modified(c, method, headers):
    a = c.get("/file", headers, method)
    assert (a.status, a.headers["etag"], a.body) == (304, '"x"', b"")
    assert "content-length" not in a.headers and "content-range" not in a.headers
    a = c.get("/file", headers.replace(b'"x"', b'"z"').replace(b"*", b'"*"'), b"HEAD")
    assert (a.status, a.headers["content-length"]) == (200, str(FILE_BYTES))


def test_a_file_that_is_shorter_than_said(c):
    c.send(b"GET /short HTTP/1.1\r\n" + HOST + b"\r\n")
    assert c.head()[2]["content-length"] == "1000"
    c.closed()


def test_half_close(server):
    for request, want in ((b"GET /plain HTTP/1.1\r\n" + HOST + b"\r\n", b"aa"),
                          (b"POST /later?100 HTTP/1.1\r\nContent-Length: 1\r\n" + HOST +
                           b"\r\nz", b"z")):
        c = server.connect()
        c.send(request * 3)
        c.sock.shutdown(socket.SHUT_WR)
        for _ in range(3):
            assert c.answer().body == want
        c.closed()
    for part in (b"", b"GET /plain HT", b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\n" + HOST +
                 b"\r\nabc"):
        c = server.connect()
        c.send(part)
        c.sock.shutdown(socket.SHUT_WR)
        c.closed()


def test_half_close_found_together_with_the_request(server):
    c, admin = server.connect(), server.connect("admin")
    assert c.get("/plain").status == 200
    admin.send(b"GET /stall HTTP/1.1\r\n" + HOST + b"\r\n")
    time.sleep(0.1)  # were it too short, the test would be weaker, not wrong
    c.send(b"GET /plain HTTP/1.1\r\n" + HOST + b"\r\n")
    c.sock.shutdown(socket.SHUT_WR)
    assert c.answer().body == b"aa"
    c.closed()
    assert admin.answer().status == 200


def test_deferred_many_at_once(server):
    def one(i):
        c = server.connect()
        body = b"%d" % i * 10
        for _ in range(3):
            assert c.post(f"/later?{i % 7}", body).body == body
        c.close()
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(one, range(200)))


def test_deferred_in_order(c):
    c.send(b"POST /later?200 HTTP/1.1\r\nContent-Length: 1\r\n" + HOST + b"\r\na" +
           b"GET /plain HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (c.answer().body, c.answer().body) == (b"a", b"aa")


@pytest.mark.parametrize("reset", [False, True])
def test_deferred_whose_client_left(server, reset):
    before = server.counts()["left"]
    c = server.connect()
    c.send(b"POST /later?200 HTTP/1.1\r\nContent-Length: 1\r\n" + HOST + b"\r\na")
    if reset:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    c.close()
    if reset:
        server.wait_count("left", before + 1)
    assert server.connect().get("/plain").status == 200


def test_every_worker_runs_what_each_brings(server):
    c = server.connect("admin")
    for _ in range(50):
        assert c.get("/each").body == b"2"
    c.close()


def test_large_answer_to_a_slow_reader(server):
    c = server.connect()
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    big = c.get("/big").body
    assert len(big) == 8 * 1024 * 1024 + 8
    assert big.startswith(b"beginabc") and big.endswith(b"end")
    assert c.get("/plain").status == 200
    c.close()


def test_slow_downloads_do_not_hold_up_others(server):
    slow = []
    for _ in range(100):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", server.ports["plain"]))
        slow.append(Raw(sock).send(b"GET /file HTTP/1.1\r\n" + HOST + b"\r\n"))
    c = server.connect()
    for _ in range(200):
        assert c.get("/plain").status == 200
    c.close()
    assert len(slow[0].answer().body) == FILE_BYTES
    for s in slow:
        s.close()
