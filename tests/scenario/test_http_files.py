# SPDX-License-Identifier: Apache-2.0
"""Downloads: no faster than they may, never killed for that, and no weight on anybody else."""
import concurrent.futures
import os
import socket
import ssl
import struct
import subprocess
import time

import pytest

from http_server import HOST, TIMEOUT_S, Raw, running

MIB = 1 << 20
SLACK_S = 0.2
PIECE = 16384
FILE_BYTES = 4 * MIB


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    d = tmp_path_factory.mktemp("files")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", d / "key", "-out", d / "cert",
                    "-days", "2", "-subj", "/CN=localhost"], check=True, capture_output=True)
    (d / "file").write_bytes(os.urandom(FILE_BYTES))
    return d


def run(folder, **options):
    return running(file=folder / "file", certificate=folder / "cert", key=folder / "key",
                   **options)


def connect(server, name):
    if name == "plain":
        return server.connect()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = socket.create_connection(("127.0.0.1", server.ports["tls"]), TIMEOUT_S)
    return Raw(context.wrap_socket(sock))


def download(c, n, start=0):
    a = c.get("/file", b"Range: bytes=%d-%d\r\n" % (start, start + n - 1))
    assert (a.status, len(a.body)) == (206, n)
    return a.body


def cpu_s(server):
    fields = open(f"/proc/{server.process.pid}/stat", encoding="utf-8").read().rsplit(")")[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def least_s(n, rate, connections=1):
    """So long it takes when everything that may come early does: buckets are full at first."""
    return max(0, n - connections * PIECE) / rate - SLACK_S


@pytest.mark.parametrize("name", ["plain", "tls"])
def test_each_has_its_rate(folder, name):
    rate, n = 256 * 1024, 512 * 1024
    content = (folder / "file").read_bytes()
    with run(folder, each_bytes_s=rate) as s:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            start, used = time.monotonic(), cpu_s(s)
            got = list(pool.map(lambda i: download(connect(s, name), n, i), range(4)))
            took = time.monotonic() - start
        assert got == [content[i:i + n] for i in range(4)]
        assert took >= least_s(n, rate)
        assert cpu_s(s) - used < took / 4, "it waits, and does not spin"


@pytest.mark.parametrize("name", ["plain", "tls"])
def test_all_share_the_total(folder, name):
    """However many workers and connections there are."""
    rate, n = MIB, 384 * 1024
    with run(folder, total_bytes_s=rate, workers=3) as s:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            start = time.monotonic()
            list(pool.map(lambda i: download(connect(s, name), n, i), range(6)))
            took = time.monotonic() - start
        assert took >= least_s(6 * n, rate)


@pytest.mark.parametrize("name", ["plain", "tls"])
def test_the_last_bytes_do_not_wait(folder, name):
    """A socket that stays corked lets go of them after 200 ms."""
    with run(folder) as s:
        c = connect(s, name)
        start = time.monotonic()
        for i in range(50):
            download(c, 100, i)
            assert c.get("/file", b'If-None-Match: "x"\r\n').status == 304
        assert time.monotonic() - start < 50 * 0.2 / 2
        c.close()


def test_a_connection_kept_has_no_second_bucket(folder):
    rate, n = 256 * 1024, 64 * 1024
    with run(folder, each_bytes_s=rate) as s:
        c = s.connect()
        start = time.monotonic()
        for i in range(8):
            download(c, n, i)
        assert time.monotonic() - start >= least_s(8 * n, rate)
        c.close()


def test_held_back_is_not_too_slow(folder):
    """Who takes what he is given stays, however little that is; who does not goes."""
    with run(folder, each_bytes_s=20000, file_window_ms=300, file_window_bytes=100000) as s:
        c = s.connect()
        download(c, 60000)
        assert s.counts()["timeout_file"] == 0
        c.close()
    with run(folder, each_bytes_s=10 * MIB, file_window_ms=300, file_window_bytes=100000) as s:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(TIMEOUT_S)
        sock.connect(("127.0.0.1", s.ports["plain"]))
        sock.sendall(b"GET /file HTTP/1.1\r\n" + HOST + b"\r\n")
        s.wait_count("timeout_file", 1)
        sock.close()


@pytest.mark.parametrize("name", ["plain", "tls"])
def test_who_resets_while_held_back_is_gone(folder, name):
    """Not when his turn comes, in half a minute: until then he would have others' room."""
    with run(folder, total_bytes_s=500) as s:
        for gone in range(1, 4):
            c = connect(s, name).send(b"GET /file HTTP/1.1\r\n" + HOST + b"\r\n")
            assert c.head()[0] == 200
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            c.close()
            s.wait_count("left", gone)


def test_polls_do_not_wait_for_who_is_held_back(folder):
    with run(folder, each_bytes_s=20000, total_bytes_s=100000) as s:
        slow = [connect(s, "tls").send(b"GET /file HTTP/1.1\r\n" + HOST + b"\r\n")
                for _ in range(20)]
        assert all(c.head()[0] == 200 for c in slow)
        c = s.connect()
        before = s.counts()["file_bytes"]
        start = time.monotonic()
        for _ in range(200):
            assert c.get("/plain").status == 200
        took = time.monotonic() - start
        assert s.counts()["file_bytes"] - before <= 100000 * (took + SLACK_S + 1)
        for one in slow + [c]:
            one.close()


def memory_kib(server):
    for line in open(f"/proc/{server.process.pid}/status", encoding="utf-8"):
        if line.startswith("RssAnon"):
            return int(line.split()[1])
    return 0


def sanitized(server):
    """Keeps what was freed."""
    return "libasan" in open(f"/proc/{server.process.pid}/maps", encoding="utf-8").read()


@pytest.mark.parametrize("name", ["plain", "tls"])
def test_many_slow_readers(folder, name):
    """Nothing of a file is kept for who does not read it, and nobody else notices."""
    n = 200
    with run(folder) as s:
        connect(s, name).get("/file")
        before, slow = memory_kib(s), []
        for _ in range(n):
            one = connect(s, name)
            slow.append(one.send(b"GET /file HTTP/1.1\r\n" + HOST + b"\r\n"))
        for one in slow:
            assert one.head()[0] == 200
        c = s.connect()
        for _ in range(100):
            assert c.get("/plain").status == 200
        # A TLS connection, and the record of it that the socket did not take.
        assert sanitized(s) or memory_kib(s) - before < n * (8 if name == "plain" else 64)
        used = cpu_s(s)
        for _ in range(20):
            for one in slow:
                assert one.sock.recv(1024)
        assert cpu_s(s) - used < 1
        for one in slow + [c]:
            one.close()
