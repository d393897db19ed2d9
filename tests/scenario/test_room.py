# SPDX-License-Identifier: Apache-2.0
"""The real daemon with few descriptors, flooded: people and scrapers are answered all the while,
phones that ask too, and nothing is left behind."""
import contextlib
import os
import resource
import socket
import subprocess
import threading
import time

import pytest

from test_huidud import HUIDUD, POLL, Deployment, sealed, wait_until

FEW = 128
HOLD_S = 3


class Cramped(Deployment):
    """With a hard limit of descriptors."""

    def start(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, FEW))
        with open(self.log, 'a', encoding='utf-8') as log:
            self.process = subprocess.Popen([HUIDUD, '-c', self.config], stderr=log, stdout=log,
                                            preexec_fn=few)
        wait_until(self.answers, 'huidud answers')

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def connections(self):
        return self.metric('huidu_connections')


@pytest.fixture
def cramped(tmp_path):
    d = Cramped(tmp_path)
    d.start()
    yield d
    assert d.stop() == 0


class Flood:
    """Connections that say `what` and no more, some hundred a second, held for a while."""

    def __init__(self, d, what):
        self.d, self.what, self.going = d, what, True
        self.threads = [threading.Thread(target=self.work) for _ in range(4)]

    def work(self):
        held = []
        while self.going:
            with contextlib.suppress(OSError):
                sock = socket.create_connection(('127.0.0.1', self.d.port), 5)
                sock.sendall(self.what)
                held.append((time.monotonic() + HOLD_S, sock))
            while held and held[0][0] < time.monotonic():
                held.pop(0)[1].close()
            time.sleep(0.02)
        for _, sock in held:
            sock.close()

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.going = False
        for t in self.threads:
            t.join()


@pytest.mark.parametrize('what', [b'', b'\x16\x03\x01\x02\x00\x01'])
def test_flooded(cramped, what):
    d = cramped
    wait_until(lambda: d.connections() == 0)
    before = d.descriptors()
    with Flood(d, what):
        wait_until(lambda: d.metric('huidu_connections_evicted_total{was="unready"}') >= 50)
        for _ in range(5):
            assert d.descriptors() <= FEW - 4
            start = time.monotonic()
            d.must('log', 'checkpoint')
            assert time.monotonic() - start < 10
            polled = False
            for _ in range(5):  # one that was slow may have made room: phones try again
                with contextlib.suppress(OSError):
                    polled = polled or d.post('/v1/poll', sealed(POLL, None, None))[0] == 200
            assert polled
        assert d.metric('huidu_requests_refused_total{reason="descriptors"}') == 0
    wait_until(lambda: d.connections() == 0)
    wait_until(lambda: d.descriptors() <= before, d.descriptors())
    assert d.post('/v1/poll', sealed(POLL, None, None))[0] == 200


def test_the_operators_number(tmp_path):
    d = Deployment(tmp_path)
    d.config.write_text(d.config.read_text() + 'limits: {connections: 8}\n')
    d.start()
    held = [socket.create_connection(('127.0.0.1', d.port), 5) for _ in range(30)]
    wait_until(lambda: d.metric('huidu_connections_evicted_total{was="unready"}') >= 22)
    assert d.metric('huidu_connections') <= 8
    for sock in held:
        sock.close()
    assert d.stop() == 0
