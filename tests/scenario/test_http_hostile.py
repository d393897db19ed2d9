# SPDX-License-Identifier: Apache-2.0
"""What the HTTP layer does with requests meant to be read in two ways, and with too much."""
import os
import random

import pytest

from http_server import HOST, chunked, running

POST = b"POST /echo HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
# Would be executed by whoever takes the first request to end before it.
SECOND = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecond"


@pytest.fixture(scope="module")
def server():
    with running(linger_ms=300) as s:
        yield s


def refused(server, raw, status=400):
    """One answer, then the end; no handler saw anything."""
    before = server.counts()
    c = server.connect()
    c.send(raw)
    a = c.answer()
    assert (a.status, a.headers["connection"]) == (status, "close"), raw
    c.closed()
    c.close()
    after = server.counts()
    assert after["calls"] == before["calls"], raw
    return {name for name in after if after[name] > before[name]}


SMUGGLING = [
    # Content-Length and Transfer-Encoding, alone, together and more than once.
    POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    POST + b"Content-Length: 6\r\nContent-Length: 5\r\n\r\n",
    POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    POST + b"Content-Length: 0,5\r\n\r\nhello",
    POST + b"Content-Length: 5 \x0b\r\n\r\nhello",
    POST + b"Content-Length: +0\r\n\r\n",
    POST + b"Content-Length: -0\r\n\r\n",
    POST + b"Content-Length: 0x0\r\n\r\n",
    POST + b"Content-Length: 1e1\r\n\r\n",
    POST + b"Content-Length:\r\n\r\n",
    POST + b"Content-Length: 0\r\n 5\r\n\r\nhello",
    POST + b"Content-Length : 5\r\n\r\nhello",
    POST + b" Content-Length: 5\r\n\r\nhello",
    POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    POST + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    POST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"X: \rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    POST + b"\x00Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # Chunks.
    CHUNKED + b"0\n\n", CHUNKED + b"0\r\n\n", CHUNKED + b"0\n\r\n", CHUNKED + b"\r\n0\r\n\r\n",
    CHUNKED + b"5\r\nhello0\r\n\r\n", CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    CHUNKED + b"5\nhello\r\n0\r\n\r\n", CHUNKED + b"5\rXhello\r\n0\r\n\r\n",
    CHUNKED + b"5;x\r\nhello\r\n0\r\n\r\n", CHUNKED + b"5;x=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"0;x\ny\r\n\r\n", CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n", CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n", CHUNKED + b"-1\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"5_\r\nhello\r\n0\r\n\r\n", CHUNKED + b"100000005\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n", CHUNKED + b"0\r\nX: y\r\n\r\n",
    # Ends of lines, folds, spaces, NUL.
    b"GET /plain HTTP/1.1\nHost: x\n\n",
    b"GET /plain HTTP/1.1\r\nHost: x\n\r\n",
    b"GET /plain HTTP/1.1\r\nHost: x\r\n\n",
    b"GET /plain\nHost: x\r\nContent-Length: 100\r\n\r\n",
    b"GET /plain\r\nHost: x\r\n\r\n",
    b"GET /plain HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
    b"GET /plain HTTP/1.1\r\n Host: x\r\n\r\n",
    b"GET /plain HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
    b"GET /plain HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    b"GET  /plain HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /plain  HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /plain HTTP/1.1 \r\nHost: x\r\n\r\n",
    b"GET\t/plain HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /plain\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /plain#x HTTP/1.1\r\nHost: x\r\n\r\n",
    # Hosts, names, versions, methods.
    b"GET /plain HTTP/1.1\r\n\r\n",
    b"GET /plain HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    b"GET /plain HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    b"GET /plain HTTP/1.1\r\nHost: x\r\nX y\r\n\r\n",
    b"GET /plain HTTP/1.1\r\nHost: x\r\nX\r\n\r\n",
    b"GET /plain HTTP/1.1\r\nHost: x\r\nX\x80: y\r\n\r\n",
    b"GET /plain HTTP/0.9\r\nHost: x\r\n\r\n",
    b"GET /plain HTTP/1.9\r\nHost: x\r\n\r\n",
    b"GET /plain RTSP/1.0\r\nHost: x\r\n\r\n",
    b"get /plain HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GETX /plain HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03",
    b"\nGET /plain HTTP/1.1\r\nHost: x\r\n\r\n",
    b" GET /plain HTTP/1.1\r\nHost: x\r\n\r\n",
    b"{\"json\": 1}\r\n\r\n",
]


@pytest.mark.parametrize("raw", SMUGGLING)
def test_smuggling(server, raw):
    assert "bad_request" in refused(server, raw + SECOND)


@pytest.mark.parametrize("raw", SMUGGLING)
def test_smuggling_after_a_good_request(server, raw):
    """Also in pieces, and when the connection has served before."""
    c = server.connect()
    assert c.get("/plain").status == 200
    calls = server.counts()["calls"]
    data = raw + SECOND
    try:
        for i in range(0, len(data), 3):
            c.send(data[i:i + 3])
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused long ago
    else:
        assert c.answer().status == 400
        c.closed()
    c.close()
    assert server.counts()["calls"] == calls


def test_other_statuses(server):
    get = b"GET /plain HTTP/%s\r\nHost: x\r\n"
    assert "bad_request" in refused(server, get % b"2.0" + b"\r\n" + SECOND, 505)
    assert "bad_request" in refused(
        server, get % b"1.1" + b"Expect: the-unexpected\r\n\r\n" + SECOND, 417)


def test_headers_too_large(server):
    assert "headers_too_large" in refused(
        server, b"GET /" + b"a" * 4096 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431)
    assert "headers_too_large" in refused(
        server, b"GET /plain HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 700 + b"\r\n", 431)
    assert "headers_too_large" in refused(server, b"A" * 100_000, 431)
    # Exactly as much as there may be.
    c = server.connect()
    start = b"GET /plain HTTP/1.1\r\nHost: x\r\nX: "
    c.send(start + b"y" * (4096 - len(start) - 4) + b"\r\n\r\n")
    assert c.answer().status == 200
    c.send(start + b"y" * (4097 - len(start) - 4) + b"\r\n\r\n")
    assert c.answer().status == 431
    c.closed()


def test_body_too_large(server):
    assert "too_large" in refused(
        server, POST + b"Content-Length: 18446744073709551615\r\n\r\n", 413)
    assert "too_large" in refused(server, POST + b"Content-Length: 16385\r\n\r\n", 413)
    assert "too_large" in refused(server, CHUNKED + chunked(b"x" * 16385, 1000), 413)
    assert "too_large" in refused(server, CHUNKED + b"ffffffff\r\n", 413)


def test_a_refused_client_reads_its_answer_though_it_sends_on(server):
    """No reset while megabytes are under way."""
    c = server.connect()
    c.send(POST + b"Content-Length: 3000000\r\n\r\n")
    c.send(b"x" * 3_000_000)
    assert c.answer().status == 413
    c.closed()


def test_noise(server):
    """Random bytes and broken requests: the server lives, and serves."""
    rng = random.Random(1)
    whole = CHUNKED + chunked(b"hello", 2) + SECOND
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        c = server.connect()
        c.send(bytes(data))
        c.close()
    for _ in range(50):
        c = server.connect()
        try:
            c.send(os.urandom(rng.randrange(1, 9000)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        c.close()
    assert server.connect().get("/plain").status == 200


def test_a_flood_of_requests_leaves_room_for_others(server):
    flood = server.connect()
    flood.sock.settimeout(0.05)
    requests = b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000
    with pytest.raises(TimeoutError):
        while True:
            flood.send(requests)
    c = server.connect()
    for _ in range(50):
        assert c.get("/plain").status == 200
    c.close()
    flood.close()
