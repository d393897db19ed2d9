# SPDX-License-Identifier: Apache-2.0
"""Every refusal of the device front moves its own metric and no other's, and is in docs/front.md."""
import contextlib
import pathlib
import re
import socket
import ssl

import pytest

from test_huidud import POLL, Deployment, field, sealed, wait_until

FAMILY = 'huidu_requests_refused_total'
HOST = b'Host: x\r\n'
PROXY = '127.0.0.2'  # speaks for others, when it comes from there
POST = b'POST /v1/poll HTTP/1.1\r\n' + HOST
DOCS = pathlib.Path(__file__).parents[2] / 'docs/front.md'


@pytest.fixture(scope='module')
def running(tmp_path_factory):
    d = Deployment(tmp_path_factory.mktemp('refusals'))
    d.config.write_text(d.config.read_text() + f'proxy: [{PROXY}]\nlimits: {{per_prefix: 2}}\n')
    d.start()
    yield d
    assert d.stop() == 0


def refused(d):
    """{reason: how often}"""
    return {re.search('reason="(.*)"', name)[1]: int(value)
            for name, value in d.metrics().items() if name.startswith(FAMILY)}


def moved(d, before):
    after = refused(d)
    return {reason for reason in after if after[reason] != before[reason]}


def raw(d, data, tls=True):
    """A connection that has sent `data`."""
    sock = socket.create_connection(('127.0.0.1', d.port), 30)
    if tls:
        context = ssl.create_default_context(cafile=d.folder / 'tls/cert.pem')
        context.check_hostname = False
        sock = context.wrap_socket(sock)
    sock.sendall(data)
    return sock


def read_to_the_end(sock):
    got = b''
    with contextlib.closing(sock), contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := sock.recv(65536):
            got += data
    return got


def request(path, body=b'', headers=b'', method=b'POST'):
    return (method + b' ' + path + b' HTTP/1.1\r\nConnection: close\r\n' + HOST + headers +
            b'Content-Length: %d\r\n\r\n' % len(body) + body)


KEY = field(1, b'\x04' + b'\x01' * 64)

REFUSALS = [
    ('malformed', 400, request(b'/v1/poll', b'\xff')),
    ('unauthorised', 401, request(b'/v1/poll', sealed(POLL, mac=b'\x01' * 16))),
    ('bad_proof', 401, request(b'/v1/enroll', KEY + field(2, b'phone-a') +
                               field(4, b'\x01' * 32) + field(5, b'\x01' * 64))),
    ('unknown_product', 404, request(b'/v1/enroll', KEY + field(2, b'phone-z'))),
    ('missing', 404, request(b'/v1/artifact/' + b'a' * 64, method=b'GET')),
    ('missing', 404, request(b'/v1/log/tile/0/x009', method=b'GET')),
    ('bad_request', 400, b'GET / HTTP/1.1\r\n\r\n'),
    ('bad_request', 400, request(b'/v1/poll', headers=b'Content-Length: 1\r\n')),
    ('headers_too_large', 431, request(b'/v1/poll', headers=b'X: ' + b'x' * 4096 + b'\r\n')),
    ('body_too_large', 413, request(b'/v1/poll', b'x' * 4097)),
    ('body_too_large', 413, request(b'/v1/report', b'x' * 16385)),
    ('not_found', 404, request(b'/v1/nothing', method=b'GET')),
    ('method', 405, request(b'/v1/poll', method=b'GET')),
    ('encoded', 415, request(b'/v1/poll', b'x', headers=b'Content-Encoding: gzip\r\n')),
]


@pytest.mark.parametrize('reason, status, data', REFUSALS)
def test_refused(running, reason, status, data):
    before = refused(running)
    answer = read_to_the_end(raw(running, data))
    assert answer.startswith(b'HTTP/1.1 %d ' % status), answer
    assert moved(running, before) == {reason}


def test_largest_bodies_are_read(running):
    """4 KiB of a poll, 16 KiB of a report: refused for what they say, not for their size."""
    for path, n in (b'/v1/poll', 4096), (b'/v1/report', 16384):
        before = refused(running)
        assert read_to_the_end(raw(running, request(path, b'\xff' * n))).startswith(
            b'HTTP/1.1 400 ')
        assert moved(running, before) == {'malformed'}


def test_range(running):
    running.must('build', 'publish', __file__, '--product', 'phone-a', '--build', 'r1')
    path = f"/v1/artifact/{next((running.folder / 'data/artifacts').glob('??/*')).name}"
    before = refused(running)
    answer = read_to_the_end(raw(running, request(
        path.encode(), headers=b'Range: bytes=999999999-\r\n', method=b'GET')))
    assert answer.startswith(b'HTTP/1.1 416 ')
    assert moved(running, before) == {'range'}


def test_tls(running):
    before = refused(running)
    read_to_the_end(raw(running, b'GET / HTTP/1.1\r\n\r\n', tls=False))
    assert moved(running, before) == {'tls'}


def by_proxy(d, said):
    sock = socket.create_connection(('127.0.0.1', d.port), 30, (PROXY, 0))
    sock.sendall(said)
    return sock


def test_proxy(running):
    """What it must say, and who it may say it for: the third of a network is one too many."""
    before = refused(running)
    assert read_to_the_end(by_proxy(running, b'\x16\x03\x01')) == b''
    assert moved(running, before) == {'proxy'}
    before = refused(running)
    for_one = (b'\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c' + socket.inet_aton('192.0.2.7') +
               socket.inet_aton('127.0.0.1') + b'\x12\x34\x01\xbb')
    context = ssl.create_default_context(cafile=running.folder / 'tls/cert.pem')
    context.check_hostname = False
    held = [context.wrap_socket(by_proxy(running, for_one)) for _ in range(2)]
    assert read_to_the_end(by_proxy(running, for_one)) == b''
    assert moved(running, before) == {'prefix'}
    held[0].sendall(request(b'/v1/health', method=b'GET'))
    assert read_to_the_end(held[0]).startswith(b'HTTP/1.1 200 ')
    held[1].close()


@pytest.mark.parametrize('reason, data, tls', [
    ('timeout_handshake', b'', False),
    ('timeout_headers', b'', True),
    ('timeout_headers', b'POST /v1/poll HT', True),
    ('timeout_body', POST + b'Content-Length: 100\r\n\r\nx', True),
])
def test_timeouts(running, reason, data, tls):
    before = refused(running)
    assert read_to_the_end(raw(running, data, tls)) == b''
    wait_until(lambda: moved(running, before), reason)
    assert moved(running, before) == {reason}


def test_each_is_documented_once(running):
    documented = re.findall(r'^\| `([a-z_]+)` \|', DOCS.read_text(), re.M)
    reasons = refused(running)
    assert sorted(name for name in documented if name in reasons) == sorted(reasons)
