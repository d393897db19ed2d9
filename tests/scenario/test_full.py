# SPDX-License-Identifier: Apache-2.0
"""The disk is full: what changes something is refused with a sentence, the rest goes on, and all of it
goes on by itself once there is space."""
import hashlib
import hmac
import os
import subprocess
import time

import pytest

from test_enrol import Phone
from test_huidud import LIMIT_S, STABLE, Deployment, field, wait_until

CRASH, EVENTS_MAX = 8, 32
SENTENCE = "the store's disk is full: nothing was changed; free some space and repeat"


class Disk:
    """A small file system of its own, where mounting is allowed."""

    def __init__(self, folder):
        self.folder, self.filler = folder, folder / 'filler'
        folder.mkdir()
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'huidu-full', folder],
                              capture_output=True, text=True, check=False, timeout=LIMIT_S)
        if done.returncode != 0:
            pytest.skip(f'mount: {done.stderr.strip()}')

    def fill(self):
        with open(self.filler, 'ab', buffering=0) as f:
            for n in (65536, 4096, 1):
                try:
                    while True:
                        assert f.write(b'x' * n) > 0
                except OSError as e:
                    assert 'No space' in str(e)

    def empty(self):
        self.filler.unlink()

    def close(self):
        subprocess.run(['umount', '-l', self.folder], check=False, timeout=LIMIT_S)


@pytest.fixture
def deployment(tmp_path):
    disk = None
    try:
        disk = Disk(tmp_path / 'disk')
        d = Deployment(tmp_path, **{'data: data ': f'data: {disk.folder}/data '})
        d.disk = disk
        yield d
        d.stop()
    finally:
        if disk is not None:
            disk.close()


def report(phone, d, seq):
    """Crashes that nobody saw before: the store must grow."""
    body = field(1, seq) + b''.join(
        field(2, field(1, CRASH) + field(2, b'1.0') + field(3, os.urandom(32)))
        for _ in range(EVENTS_MAX))
    mac = hmac.new(phone.key, b'/v1/report\0' + body, hashlib.sha256).digest()[:16]
    return phone.post(d, '/v1/report', field(1, phone.id) + field(2, phone.epoch) +
                      field(3, body) + field(4, mac))[0]


def download(d, content):
    c = d.connect()
    c.request('GET', '/v1/artifact/' + hashlib.sha256(content).hexdigest())
    r = c.getresponse()
    body = r.read()
    c.close()
    return r.status == 200 and body == content


def test_full_disk(deployment):
    d, content = deployment, os.urandom(100000)
    d.start()
    phone = Phone(d.folder)
    assert phone.enrol(d) == (200, b'')
    d.release('1.0', STABLE.replace('soak: 1s', 'soak: 30m'), content)
    assert report(phone, d, 1) == 200
    assert d.metric('huidu_store_writable') == 1
    assert d.metric('huidu_store_bytes') > 50000

    d.disk.fill()
    # Of the pages that are free in the file already some commits are still made.
    seq = 1
    end = time.monotonic() + LIMIT_S
    status = 200
    while status == 200:
        assert time.monotonic() < end
        seq += EVENTS_MAX
        status = report(phone, d, seq)
    assert status == 503 and int(phone.retry_after) > 0
    wait_until(lambda: d.metric('huidu_store_free_bytes') < 65536, 'the metric says it')
    assert d.metric('huidu_store_commits_total{result="failed"}') >= 1
    done, state = None, 'running'
    while done is None or done.returncode == 0:
        assert time.monotonic() < end
        state = d.rollout('1.0')['state']
        before = d.json('log', 'checkpoint')['size']
        done = d.ctl('rollout', 'pause' if state == 'running' else 'start', '1.0')
    assert SENTENCE in done.stdout + done.stderr
    assert d.rollout('1.0')['state'] == state
    assert d.json('log', 'checkpoint')['size'] == before
    # Polls and downloads go on.
    for _ in range(20):
        assert phone.poll(d) == 200
        assert download(d, content)

    d.disk.empty()
    wait_until(lambda: report(phone, d, seq) == 200, 'reports are taken again')
    wait_until(lambda: d.metric('huidu_store_writable') == 1, 'the metric says it')
    d.must('rollout', 'halt', '1.0', '--reason', 'test')
    assert d.rollout('1.0')['state'] == 'halted'
    d.must('log', 'verify')
    text = d.log.read_text()
    assert text.count('store: nothing can be written: No space left on device') >= 1
    assert 'store: it takes writes again' in text
    assert d.stop() == 0
    d.start()
    assert d.rollout('1.0')['state'] == 'halted'
    d.must('log', 'verify')
    assert report(phone, d, seq) == 200
