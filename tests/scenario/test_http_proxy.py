# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol, and how many connections one network may have: each refusal its own counter."""
import ipaddress
import signal
import socket
import ssl
import struct
import time

import pytest

from http_server import HOST, Raw, running, stand_still
from test_http_tls import make_certificate

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\0\0\0"
GET = b"GET /plain HTTP/1.1\r\n" + HOST + b"\r\n"
ONE = {"proxy": "127.0.0.1"}


def header(client, more=b""):
    """For a client of this address."""
    source = ipaddress.ip_address(client)
    family = b"\x11" if source.version == 4 else b"\x21"
    body = 2 * source.packed + struct.pack(">HH", 4711, 443) + more
    return SIGNATURE + b"\x21" + family + struct.pack(">H", len(body)) + body


def refused(server, c):
    """It is closed, or reset, without a word."""
    try:
        assert c.rest() == b""
    except ConnectionResetError:
        pass
    c.close()
    return server.counts()


@pytest.mark.parametrize("first", [
    header("192.0.2.1"), header("2001:db8::7"), header("192.0.2.1", b"\x04\x00\x01\x00"),
    header("192.0.2.1", b"x" * 508), LOCAL, SIGNATURE + b"\x21\0\0\0",
])
def test_what_a_proxy_says(first):
    with running(**ONE) as s:
        c = s.connect().send(first + GET)
        assert c.answer().status == 200
        assert c.get("/plain").status == 200  # once a connection, not once a request
        c.close()
        assert s.counts()["proxy"] == 0


def test_byte_by_byte():
    with running(**ONE) as s:
        c = s.connect()
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header("192.0.2.1", b"\x04\x00\x01\x00") + GET:
            c.send(bytes([byte]))
            time.sleep(0.001)
        assert c.answer().status == 200
        c.close()


@pytest.mark.parametrize("first", [
    GET, b"\x16\x03\x01", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + GET,
    SIGNATURE + b"\x21\x11\0\x0b" + b"x" * 11 + GET, SIGNATURE + b"\x21\x12\0\x0c" + b"x" * 12,
    header("192.0.2.1", b"x" * 509) + GET,
])
def test_what_a_proxy_may_not_say(first):
    with running(**ONE) as s:
        counts = refused(s, s.connect().send(first))
        assert (counts["proxy"], counts["calls"], counts["bad_request"]) == (1, 0, 0)
        assert s.connect().send(LOCAL + GET).answer().status == 200


def test_a_proxy_that_resets_half_a_header():
    """Both are there when it is looked at: the reset is no event of its own."""
    with running(**ONE, handshake_ms=60000) as s:
        stand_still(s.process.pid)
        for _ in range(20):
            c = s.connect().send(SIGNATURE[:7])
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            c.close()
        s.process.send_signal(signal.SIGCONT)
        s.wait_count("closed", 20)


def test_a_proxy_that_says_nothing_or_not_all():
    with running(**ONE, handshake_ms=300, headers_ms=20000) as s:
        for said in b"", header("192.0.2.1")[:-1]:
            before = s.counts()["proxy"]
            start = time.monotonic()
            assert refused(s, s.connect().send(said))["proxy"] == before + 1
            assert time.monotonic() - start > 0.25
        c = s.connect().send(header("192.0.2.1")[:-1])
        c.sock.shutdown(socket.SHUT_WR)
        assert refused(s, c)["proxy"] == 3
        c = s.connect()  # as a proxy does to see whether we are there
        c.close()
        s.wait_count("closed", 4)
        assert s.counts()["proxy"] == 3


@pytest.mark.parametrize("options", [{}, {"proxy": "127.0.0.2"}, {"proxy": "::1"}])
def test_from_others_it_is_not_understood(options):
    with running(**options) as s:
        c = s.connect().send(header("192.0.2.1") + GET)
        assert c.answer().status == 400
        c.close()
        counts = s.counts()
        assert (counts["proxy"], counts["bad_request"], counts["calls"]) == (0, 1, 0)


def test_before_tls(tmp_path):
    certificate, key = make_certificate(tmp_path, "a")
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    with running(**ONE, certificate=certificate, key=key) as s:
        for first in header("2001:db8::7"), LOCAL:
            sock = socket.create_connection(("127.0.0.1", s.ports["tls"]), 20)
            sock.sendall(first)
            c = Raw(context.wrap_socket(sock))
            assert c.get("/plain").status == 200
            c.close()
        assert s.counts()["handshakes"] == 2


def test_connections_of_one_network():
    """Of one /24, or /56: those that are there count, at any number of workers; others do not care."""
    with running(**ONE, per_prefix=3, workers=2) as s:
        for inside, also, outside in (("192.0.2.1", "192.0.2.200", "192.0.3.1"),
                                      ("2001:db8:0:aa01::1", "2001:db8:0:aaff::1",
                                       "2001:db8:0:ab00::1")):
            held = [s.connect().send(header(inside) + GET) for _ in range(3)]
            for c in held:
                assert c.answer().status == 200
            before = s.counts()
            for client in inside, also:
                refused(s, s.connect().send(header(client) + GET))
            counts = s.counts()
            assert counts["prefix"] == before["prefix"] + 2
            assert counts["calls"] == before["calls"]
            others = [s.connect().send(first + GET) for first in (header(outside), LOCAL)]
            for c in others:
                assert c.answer().status == 200
            closed = s.counts()["closed"]
            held.pop().close()
            s.wait_count("closed", closed + 1)
            last = s.connect().send(header(also) + GET)
            assert last.answer().status == 200
            for c in held + others + [last]:
                c.close()


def test_this_machine_is_not_a_network():
    """Behind a proxy that tells nothing, all would be one."""
    with running(per_prefix=2) as s:
        held = [s.connect() for _ in range(5)]
        for c in held:
            assert c.get("/plain").status == 200
        for c in held:
            c.close()
