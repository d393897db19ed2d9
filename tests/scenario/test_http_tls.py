# SPDX-License-Identifier: Apache-2.0
"""TLS: versions, tickets, new certificates, and clients that speak something else."""
import concurrent.futures
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from http_server import HOST, TIMEOUT_S, Raw, chunked, running

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def make_certificate(directory, name):
    certificate, key = f"{directory}/cert.pem", f"{directory}/key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls")
    make_certificate(path, "first")
    (path / "file").write_bytes(os.urandom(2_000_000))
    return path


def run(directory, **options):
    return running(certificate=f"{directory}/cert.pem", key=f"{directory}/key.pem",
                   file=f"{directory}/file", **options)


@pytest.fixture(scope="module")
def server(directory):
    with run(directory, workers=2) as s:
        yield s


def context(low=V12, high=V13):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    c.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that old versions can be offered at all
    c.minimum_version, c.maximum_version = low, high
    return c


def connect(server, ctx=None, session=None):
    sock = socket.create_connection(("127.0.0.1", server.ports["tls"]), TIMEOUT_S)
    return Raw((ctx or context()).wrap_socket(
        sock, session=session, suppress_ragged_eofs=False))


@pytest.mark.parametrize("version, name", [(V12, "TLSv1.2"), (V13, "TLSv1.3")])
def test_versions(server, directory, version, name):
    c = connect(server, context(version, version))
    assert c.sock.version() == name
    assert c.sock.compression() is None
    assert c.get("/plain").body == b"aa"
    body = os.urandom(16384)
    assert c.post("/echo", body).body == body
    c.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" +
           chunked(body, 100))
    assert c.answer().body == body
    assert len(c.get("/big").body) == 8 * 1024 * 1024 + 8
    whole = (directory / "file").read_bytes()
    assert c.get("/file").body == whole
    a = c.get("/file", b"Range: bytes=100000-300000\r\n")
    assert (a.status, a.body) == (206, whole[100000:300001])
    assert c.get("/plain", b"Connection: close\r\n").status == 200
    c.closed()  # with close_notify: a ragged end would raise


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(server, version):
    with pytest.warns(DeprecationWarning):
        old = context(version, version)
    with pytest.raises(ssl.SSLError):
        connect(server, old)


def test_weak_ciphers_are_refused(server):
    for cipher in ("AES256-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-SHA256"):
        ctx = context(V12, V12)
        ctx.set_ciphers(cipher + ":@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            connect(server, ctx)


def test_no_renegotiation(server):
    """OpenSSL's client asks for it with the line "R"; its connection must not get a new handshake."""
    done = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.ports['tls']}"],
        input=b"R\n", capture_output=True, timeout=20)
    assert b"no renegotiation" in done.stderr


@pytest.mark.parametrize("version", [V12, V13])
def test_tickets_resume(server, version):
    ctx = context(version, version)
    session = None
    before = server.counts()
    for i in range(10):
        c = connect(server, ctx, session)
        assert c.sock.session_reused == (i > 0)
        assert c.get("/plain").status == 200
        session = c.sock.session
        assert session.has_ticket
        c.close()
    after = server.counts()
    assert after["handshakes"] - before["handshakes"] == 10
    assert after["resumed"] - before["resumed"] == 9


def test_a_ticket_that_is_nobodys_is_ignored(directory):
    """Of a server before: the handshake becomes a full one."""
    ctx = context()
    with run(directory) as s:
        c = connect(s, ctx)
        c.get("/plain")
        session = c.sock.session
        c.close()
    with run(directory) as s:
        c = connect(s, ctx, session)
        assert not c.sock.session_reused
        assert c.get("/plain").status == 200
        c.close()


def session_of(server, ctx, session=None):
    """A new session, and whether the one given was resumed."""
    c = connect(server, ctx, session)
    assert c.get("/plain").status == 200
    resumed, session = c.sock.session_reused, c.sock.session
    c.close()
    return session, resumed


@pytest.mark.parametrize("version", [V12, V13])
def test_servers_share_ticket_keys(directory, tmp_path, version):
    """What one gave out the other resumes; a key is good until it is no more in the file."""
    keys, ctx = [os.urandom(80) for _ in range(3)], context(version, version)
    file = tmp_path / "tickets"

    def write(*which):
        file.write_bytes(b"".join(keys[i] for i in which))
        file.chmod(0o600)

    def reload(*which):
        write(*which)
        for s in (a, b):
            seen = sum("reloaded" in line for line in s.log)
            s.process.send_signal(signal.SIGHUP)
            s.wait_log("reloaded", seen + 1)

    write(0)
    with run(directory, tickets=file, workers=2) as a, run(directory, tickets=file) as b:
        old, _ = session_of(a, ctx)
        assert session_of(b, ctx, old)[1]
        reload(1, 0)
        renewed, resumed = session_of(b, ctx, old)
        assert resumed
        assert session_of(a, ctx, renewed)[1]
        reload(2, 1)
        assert not session_of(a, ctx, old)[1] and not session_of(b, ctx, old)[1]
        assert session_of(a, ctx, renewed)[1] and session_of(b, ctx, renewed)[1]
        # One that is no use changes nothing.
        file.write_bytes(keys[2] + b"x")
        a.process.send_signal(signal.SIGHUP)
        a.wait_log("tickets: is 1 to 8 keys of 80 random bytes")
        assert session_of(a, ctx, renewed)[1]
        assert not any("others than" in line for line in a.log)
        write(2)
        file.chmod(0o644)
        a.process.send_signal(signal.SIGHUP)
        a.wait_log("others than its owner and group can read")


def test_early_data_is_refused(server, tmp_path):
    """A ticket says that none is taken, and OpenSSL's client sends none."""
    address, session = f"127.0.0.1:{server.ports['tls']}", tmp_path / "session"
    request = b"GET /plain HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    (tmp_path / "early").write_bytes(request)
    before = server.counts()["calls"]
    command = ["openssl", "s_client", "-connect", address, "-ign_eof"]
    first = subprocess.run(command + ["-sess_out", session], input=request, capture_output=True,
                           timeout=TIMEOUT_S)
    assert b"Max Early Data: 0" in first.stdout
    again = subprocess.run(
        command + ["-sess_in", session, "-early_data", tmp_path / "early"], input=request,
        capture_output=True, timeout=TIMEOUT_S)
    assert b"Reused, TLSv1.3" in again.stdout and b"Early data was not sent" in again.stdout
    assert server.counts()["calls"] == before + 2


@pytest.mark.parametrize("groups, group", [("X25519:P-256", b"X25519"), ("P-256", b"prime256v1"),
                                           ("X448:P-256", b"prime256v1")])
def test_groups(server, groups, group):
    """Whatever share the client sends; the last is asked for another one."""
    done = subprocess.run(
        ["openssl", "s_client", "-groups", groups, "-ign_eof", "-connect",
         f"127.0.0.1:{server.ports['tls']}"],
        input=b"GET /plain HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        capture_output=True, timeout=TIMEOUT_S)
    assert b"HTTP/1.1 200" in done.stdout
    assert re.search(rb"Server Temp Key: (ECDH, )?" + group, done.stdout)


def peer_name(c):
    der = c.sock.getpeercert(True)
    return "first" if b"first" in der else "second" if b"second" in der else None


def test_a_new_certificate(tmp_path):
    make_certificate(tmp_path, "first")
    (tmp_path / "file").write_bytes(b"x")
    with run(tmp_path, workers=2) as s:
        ctx, old = context(), connect(s)
        assert old.get("/plain").status == 200
        first = connect(s, ctx)
        first.get("/plain")
        assert peer_name(first) == "first"
        # One that is no use changes nothing.
        good = (tmp_path / "key.pem").read_bytes()
        (tmp_path / "key.pem").write_bytes(b"nonsense")
        s.process.send_signal(signal.SIGHUP)
        s.wait_log("key.pem")
        assert peer_name(connect(s)) == "first"
        (tmp_path / "key.pem").write_bytes(good)
        make_certificate(tmp_path, "second")
        s.process.send_signal(signal.SIGHUP)
        s.wait_log("reloaded")
        for _ in range(10):
            assert peer_name(connect(s)) == "second"
        resumed = connect(s, ctx, first.sock.session)
        assert resumed.sock.session_reused
        assert resumed.get("/plain").status == 200
        assert old.get("/plain").status == 200


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\0" * 600,
    os.urandom(3000), b"\x16\x03\x01\xff\xff" + b"\x01" * 70000, b"\x15\x03\x01\x00\x02\x02\x28",
])
def test_garbage(server, data):
    before = server.counts()["tls_failed"]
    sock = socket.create_connection(("127.0.0.1", server.ports["tls"]), TIMEOUT_S)
    try:
        sock.sendall(data)
        while sock.recv(4096):
            pass
    except ConnectionError:
        pass
    sock.close()
    server.wait_count("tls_failed", before + 1)
    assert connect(server).get("/plain").status == 200


def test_garbage_after_the_handshake(server):
    for _ in range(20):
        c = connect(server)
        assert c.get("/plain").status == 200
        raw = socket.socket(fileno=os.dup(c.sock.fileno()))
        raw.sendall(b"\x17\x03\x03\x00\x20" + os.urandom(32))
        raw.settimeout(TIMEOUT_S)
        while raw.recv(4096):
            pass
        raw.close()
        c.close()
        assert connect(server).get("/plain").status == 200


def test_failures_are_logged_with_reason_and_not_often(directory):
    with run(directory) as s:
        for _ in range(200):
            sock = socket.create_connection(("127.0.0.1", s.ports["tls"]), TIMEOUT_S)
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            sock.close()
        s.wait_count("tls_failed", 200)
    lines = [line for line in s.log if "tls handshake" in line]
    assert "tls handshake: http request" in lines[0] and "127.0.0.1:" in lines[0]
    assert len(lines) < 10


def test_handshake_deadline(directory):
    with run(directory, handshake_ms=300) as s:
        for part in (b"", b"\x16\x03\x01\x02\x00\x01"):
            start = time.monotonic()
            sock = socket.create_connection(("127.0.0.1", s.ports["tls"]), TIMEOUT_S)
            sock.sendall(part)
            assert sock.recv(100) == b""
            assert 0.25 < time.monotonic() - start < 5
        assert s.counts()["timeout_handshake"] == 2


def test_many_connections_of_all_kinds(server):
    """Objects that are used again do not remember: good ones after bad ones, resumed or not."""
    def one(seed):
        rng = random.Random(seed)
        contexts = [context(V12, V12), context(V13, V13)]
        sessions = [None, None]
        for _ in range(30):
            kind = rng.randrange(2)
            session = sessions[kind] if rng.random() < 0.5 else None
            c = connect(server, contexts[kind], session)
            assert c.sock.session_reused == (session is not None)
            body = os.urandom(rng.randrange(1, 3000))
            assert c.post("/echo", body).body == body
            sessions[kind] = c.sock.session
            if rng.random() < 0.3:
                raw = socket.socket(fileno=os.dup(c.sock.fileno()))
                raw.sendall(os.urandom(100))
                raw.close()
            if rng.random() < 0.3:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            c.close()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))


def test_pipelining_and_deferred(server):
    c = connect(server)
    later = (b"POST /later?20 HTTP/1.1\r\nContent-Length: 1\r\n" + HOST + b"\r\na")
    plain = b"GET /plain HTTP/1.1\r\n" + HOST + b"\r\n"
    c.send((later + plain) * 30)
    for _ in range(30):
        assert (c.answer().body, c.answer().body) == (b"a", b"aa")
    c.close()


def test_a_flood_leaves_room_for_others(directory, tmp_path):
    """Requests faster than they are answered, on connections that are never short of them."""
    request = b"GET /plain HTTP/1.1\r\n" + HOST + b"\r\n"
    (tmp_path / "flood").write_bytes(request * 1_000_000)
    with run(directory) as s:
        floods = [subprocess.Popen(
            ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{s.ports['tls']}"],
            stdin=open(tmp_path / "flood", "rb"), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL) for _ in range(3)]
        s.wait_count("calls", 10_000)
        start = time.monotonic()
        for _ in range(20):
            assert connect(s).get("/plain").status == 200
        took = time.monotonic() - start
        assert all(f.poll() is None for f in floods), "the flood was over too soon"
        assert took < 5
        for f in floods:
            f.kill()
            f.wait()


def test_more_than_a_turn_takes_is_answered(server):
    """Some of it waits in TLS buffers, of which the socket says nothing."""
    n = 2000
    c = connect(server)
    request = b"POST /echo HTTP/1.1\r\nContent-Length: 0\r\n" + HOST + b"\r\n"
    for _ in range(5):
        c.send(request * n)
        for _ in range(n):
            assert c.answer().status == 200
    c.close()
