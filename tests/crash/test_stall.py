# SPDX-License-Identifier: Apache-2.0
"""Parts of huidud stand still for a while: the others go on, and nothing is lost or counted twice."""
import hashlib
import os
import signal
import threading
import time

import pytest

from faults import DISK, FOREVER, OPEN, SERVER, Faulty, errno
from http_server import stand_still
from load import hang_up, start_load
from test_huidud import wait_until
from test_kill import check_counts, start_counted, two_lines

STALL_S = 10
FILE = bytes(range(256)) * 4096


@pytest.fixture
def deployment(tmp_path):
    d = two_lines(tmp_path, Faulty)
    yield d
    d.stop()


class Downloads(threading.Thread):
    """The file of a build, again and again."""

    def __init__(self, d):
        super().__init__(daemon=True)
        self.d, self.enough = d, threading.Event()
        self.done, self.wrong = 0, []

    def run(self):
        path = '/v1/artifact/' + hashlib.sha256(FILE).hexdigest()
        while not self.enough.is_set():
            try:
                c = self.d.connect()
                c.timeout = 3 * STALL_S
                c.request('GET', path)
                r = c.getresponse()
                if (r.status, r.read()) != (200, FILE):
                    self.wrong.append(r.status)
                self.done += 1
                c.close()
            except OSError as e:
                self.wrong.append(e)
            self.enough.wait(0.02)


def begin(d, seed):
    d.start()
    (d.folder / 'file').write_bytes(FILE)
    d.must('build', 'publish', 'file', '--product', 'phone-a', '--build', '1.0')
    loads = start_load(d, 'phone-b', 6, 'b1', seed)
    start_counted(d, loads)
    downloads = Downloads(d)
    downloads.start()
    return loads, downloads


def go_on(d, loads, downloads):
    reports = [load.reports for load in loads]
    wait_until(lambda: all(l.reports > r + 5 for l, r in zip(loads, reports)), 'reports go on')
    (d.folder / 'again').write_bytes(b'again')
    d.must('build', 'publish', 'again', '--product', 'phone-a', '--build', '2.0')
    done = downloads.done
    wait_until(lambda: downloads.done > done, 'a download')
    downloads.enough.set()
    downloads.join(30)
    assert not downloads.wrong, downloads.wrong[:3]
    for load in loads:
        load.finish()
        # What was refused was told when to come back, and came back.
        assert all(status == 503 and retry for status, retry in load.refused), load.refused
    check_counts(d, loads)
    # Nobody was silent: it was the server that did not listen.
    stage = d.json('gate', 'explain', 'b1')['stages'][0]
    assert not [s for s in stage['streams'] if s['name'] == 'silent devices' and s['canary']]
    hang_up(loads)
    d.must('log', 'verify')


def polls_during(d, loads, seconds):
    """Polls of phones that report nothing, as they are answered."""
    polls, end = 0, time.monotonic() + seconds
    phone = loads[0].phone.__class__(d, 'phone-b', 'watch')
    body = b'\n\x07phone-b\x12\x07factory\x18\x00 \x00(\x010\x008\x00'
    sealed = b'\x1a' + bytes([len(body)]) + body
    while time.monotonic() < end:
        began = time.monotonic()
        status, _, _ = phone.post('/v1/poll', sealed)
        assert status == 200 and time.monotonic() - began < 2, status
        polls += 1
        time.sleep(0.02)
    return polls


def test_signer_stands_still(deployment, seed):
    d = deployment
    loads, downloads = begin(d, seed)
    reports = sum(load.reports for load in loads)
    stand_still(d.signer())
    assert polls_during(d, loads, STALL_S) > 50
    # What needs no signature goes on.
    assert sum(load.reports for load in loads) > reports + 50
    os.kill(d.signer(), signal.SIGCONT)
    go_on(d, loads, downloads)


def test_server_stands_still(deployment, seed):
    d = deployment
    loads, downloads = begin(d, seed)
    stand_still(d.process.pid)
    time.sleep(STALL_S)
    os.kill(d.process.pid, signal.SIGCONT)
    go_on(d, loads, downloads)


def test_disk_stands_still(deployment, seed):
    d = deployment
    loads, downloads = begin(d, seed)
    d.page.slow(STALL_S)
    assert polls_during(d, loads, STALL_S + 2) > 50
    d.page.slow(0)
    go_on(d, loads, downloads)


@pytest.mark.parametrize('first', [5, 6, 7, 8])
@pytest.mark.parametrize('kind, error', [(DISK, errno.ENOSPC), (OPEN, errno.EMFILE)])
def test_nothing_left_for_a_while(deployment, seed, kind, error, first):
    """No space, or no descriptor, from some call on until there is again: nobody restarts anything, but
    after a meta page that could not be written."""
    d = deployment
    loads, downloads = begin(d, seed)
    d.page.arm(SERVER, kind, error, first, FOREVER)
    wait_until(lambda: d.page.failed() > 3 or d.page.meta() > 0, 'calls fail')
    if kind == DISK:
        assert polls_during(d, loads, 3) > 20
    else:
        time.sleep(3)
        downloads.wrong.clear()  # they could not connect
    assert d.process.poll() is None
    d.page.disarm()
    if d.page.meta() > 0:
        d.kill()
        d.start()
        downloads.wrong.clear()
    go_on(d, loads, downloads)
