# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: what was asked is answered, what was answered is on disk, and it does not take for ever."""
import hashlib
import hmac
import http.client
import os
import signal
import socket
import ssl
import threading
import time

import pytest

import p256
from test_huidud import STABLE, Deployment, field
from test_log import STABLE_RING, Phone, fields

PHONES, ALIVE = 6, 10


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    d.start()
    yield d
    d.stop()


class Reporter(Phone):
    """Sends report after report over connections it keeps, as long as it can connect."""

    def __init__(self, d, name):
        super().__init__(d, STABLE_RING)
        self.key = self.key.rename(d.folder / name)
        self.taken, self.cut = 0, []

    def sealed(self, seq):
        event = field(1, ALIVE) + field(2, b'factory')
        body = field(1, seq) + field(2, event)
        mac = hmac.new(self.report_key, b'/v1/report\0' + body, hashlib.sha256).digest()[:16]
        return field(1, self.id) + field(2, self.epoch) + field(3, body) + field(4, mac)

    def run(self):
        while True:
            c = self.d.connect()
            try:
                c.connect()
            except OSError:
                return  # nobody is there any more
            try:
                while c.sock is not None:
                    c.request('POST', '/v1/report', self.sealed(self.taken + 1))
                    r = c.getresponse()
                    assert r.status == 200, r.status
                    r.read()
                    self.taken += 1
            except (OSError, http.client.HTTPException) as e:
                self.cut.append(e)
            c.close()

    def last_seq(self):
        """As the server knows it: who enrols again with its key is told."""
        der = os.popen(f'openssl ec -in {self.key} -pubout -outform DER 2>/dev/null', 'r').buffer.read()
        first = field(1, der[-65:]) + field(2, b'phone-a') + field(3, STABLE_RING)
        challenge = fields(self.d.post('/v1/enroll', first)[2])[1][0]
        text = b'huidu/enroll/v1\0' + challenge + b'phone-a'
        status, _, reply = self.d.post('/v1/enroll', first + field(4, challenge) +
                                       field(5, p256.sign(self.key, text)))
        assert status == 200 and fields(reply)[2][0] == self.id
        return fields(reply).get(8, [0])[0]


@pytest.mark.parametrize('number', (signal.SIGTERM, signal.SIGINT))
def test_reports_under_load(deployment, number):
    d = deployment
    phones = [Reporter(d, f'{i}.pem') for i in range(PHONES)]
    for _ in range(3):
        threads = [threading.Thread(target=p.run) for p in phones]
        before = sum(p.taken for p in phones)
        for t in threads:
            t.start()
        while sum(p.taken for p in phones) < before + 300:
            time.sleep(0.01)
        start = time.monotonic()
        d.process.send_signal(number)
        assert d.process.wait(20) == 0
        assert time.monotonic() - start < 5
        for t in threads:
            t.join(20)
        # Each request that was sent had its answer, and each answer is in the store.
        assert [p.cut for p in phones] == [[]] * PHONES
        d.start()
        assert [p.last_seq() for p in phones] == [p.taken for p in phones]
    assert 'stopped: all that was answered is on disk' in d.log.read_text()


def test_slow_download_and_health(deployment):
    """A reader that does not read has ten seconds; meanwhile those still connected are told to go."""
    d = deployment
    content = os.urandom(64 << 20)
    d.release('1.0', STABLE, content)
    path = '/v1/artifact/' + hashlib.sha256(content).hexdigest()
    slow, health = d.connect(), d.connect()
    slow.connect()
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    slow.request('GET', path)
    reply = slow.getresponse()
    assert reply.status == 200
    health.request('GET', '/v1/health')
    r = health.getresponse()
    assert r.status == 200 and r.read() == b'ready\n'
    start = time.monotonic()
    d.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)  # within the half second that a kept connection has
    health.request('GET', '/v1/health')
    r = health.getresponse()
    assert r.status == 503 and r.getheader('Connection') == 'close'
    with pytest.raises(OSError):
        d.connect().connect()
    assert d.process.wait(20) == 0
    assert 9 < time.monotonic() - start < 13
    try:
        short = len(reply.read())
    except (http.client.IncompleteRead, ssl.SSLError, OSError):
        short = 0
    assert short < len(content)


def test_download_is_finished(deployment):
    """A reader that does read gets all of it."""
    d = deployment
    content = os.urandom(64 << 20)
    d.release('1.0', STABLE, content)
    c = d.connect()
    c.request('GET', '/v1/artifact/' + hashlib.sha256(content).hexdigest())
    r = c.getresponse()
    first = r.read(1 << 20)
    d.process.send_signal(signal.SIGTERM)
    assert first + r.read() == content
    start = time.monotonic()
    assert d.process.wait(20) == 0
    assert time.monotonic() - start < 5  # not the sixty seconds of an idle connection


def test_second_signal(deployment):
    d = deployment
    content = os.urandom(64 << 20)
    d.release('1.0', STABLE, content)
    c = d.connect()
    c.request('GET', '/v1/artifact/' + hashlib.sha256(content).hexdigest())
    assert c.getresponse().status == 200
    start = time.monotonic()
    d.process.send_signal(signal.SIGTERM)
    while 'stopping' not in d.log.read_text():
        time.sleep(0.01)
    d.process.send_signal(signal.SIGTERM)
    assert d.process.wait(20) == -signal.SIGTERM
    assert time.monotonic() - start < 5
    d.start()
    assert d.rollout('1.0')['state'] in ('running', 'complete')
