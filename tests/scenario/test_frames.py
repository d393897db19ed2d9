# SPDX-License-Identifier: Apache-2.0
"""Length-prefixed frames over a Unix socket."""
import concurrent.futures
import os
import socket
import stat
import struct
import subprocess
import time

import pytest

from http_server import PROGRAM, TIMEOUT_S, running

FRAME_MAX = 1024 * 1024


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


@pytest.fixture
def server(path):
    with running(frame=path) as s:
        yield s


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(TIMEOUT_S)
    sock.connect(path)
    return sock


def frame(data):
    return struct.pack(">I", len(data)) + data


def receive(sock):
    head = sock.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        raise EOFError
    n, = struct.unpack(">I", head)
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def ask(sock, data):
    sock.sendall(frame(data))
    return receive(sock)


def test_one_after_the_other(server, path):
    sock = connect(path)
    for data in (b"", b"a", b"hello" * 1000, os.urandom(FRAME_MAX), b"again"):
        assert ask(sock, data) == data
    sock.close()


def test_all_sent_at_once(server, path):
    sock = connect(path)
    sock.sendall(b"".join(frame(b"%d" % i) for i in range(100)))
    assert [receive(sock) for _ in range(100)] == [b"%d" % i for i in range(100)]


def test_pieces(server, path):
    sock = connect(path)
    data = frame(b"in pieces") + frame(b"")
    for cut in range(len(data)):
        sock.sendall(data[:cut])
        sock.sendall(data[cut:])
        assert (receive(sock), receive(sock)) == (b"in pieces", b"")
    for byte in data:
        sock.sendall(bytes([byte]))
    assert (receive(sock), receive(sock)) == (b"in pieces", b"")


@pytest.mark.parametrize("n", [FRAME_MAX + 1, 0x7fffffff, 0xffffffff])
def test_too_large_ends_the_connection(server, path, n):
    sock = connect(path)
    sock.sendall(struct.pack(">I", n) + b"x")
    try:
        assert sock.recv(1) == b""
    except ConnectionResetError:
        pass  # the byte behind it was not read
    assert ask(connect(path), b"still there") == b"still there"


def test_large_answer(server, path):
    assert len(ask(connect(path), b"big")) == 8 * 1024 * 1024


def test_half_close(server, path):
    sock = connect(path)
    sock.sendall(frame(b"later"))
    sock.shutdown(socket.SHUT_WR)
    assert receive(sock) == b"it is later"
    assert sock.recv(1) == b""


def test_the_client_left_before_its_answer(server, path):
    for _ in range(3):
        sock = connect(path)
        sock.sendall(frame(b"later"))
        sock.close()
    sock = connect(path)
    assert ask(sock, b"later") == b"it is later"


def test_several_clients(server, path):
    """More than may be connected: they wait for each other."""
    def one(i):
        with connect(path) as sock:
            for k in range(20):
                data = b"%d.%d" % (i, k) * 100
                assert ask(sock, data) == data
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        list(pool.map(one, range(40)))


def test_deadline(server, path):
    start = time.monotonic()
    silent, begun = connect(path), connect(path)
    begun.sendall(b"\0\0\0\5hell")
    assert (silent.recv(1), begun.recv(1)) == (b"", b"")
    assert 0.9 < time.monotonic() - start < 5
    # Each frame has the time anew.
    sock = connect(path)
    for _ in range(4):
        time.sleep(0.4)
        assert ask(sock, b"x") == b"x"
    stuck = connect(path)
    stuck.sendall(frame(b"big"))
    time.sleep(1.3)
    with pytest.raises((EOFError, ConnectionError)):
        receive(stuck)


def test_mode_and_removal(path):
    with running(frame=path):
        mode = os.stat(path).st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    assert not os.path.exists(path)


def start(path):
    return subprocess.run([PROGRAM, f"frame={path}"], capture_output=True, text=True,
                          timeout=TIMEOUT_S)


def test_a_path_in_use(server, path):
    done = start(path)
    assert done.returncode == 1
    assert done.stderr == f"listen {path}: Address already in use\n"
    assert ask(connect(path), b"still ours") == b"still ours"


def test_what_a_dead_server_left_is_replaced(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with running(frame=path):
        assert ask(connect(path), b"new") == b"new"


def test_a_file_is_not_replaced(path):
    with open(path, "w") as f:
        f.write("precious")
    assert start(path).returncode == 1
    with open(path) as f:
        assert f.read() == "precious"
