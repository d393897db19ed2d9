# SPDX-License-Identifier: Apache-2.0
"""Builds' files on their way in: large ones, several at once, a server that dies meanwhile, a disk that is
full; and that nobody else waits for them."""
import errno
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from http_server import stand_still
from test_huidud import CTL, LIMIT_S, Deployment, wait_until
from test_log import STABLE_RING, Phone

MIB = 1 << 20
LARGE, MEDIUM = 3 << 30, 384 * MIB


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    yield d
    d.stop()


def sparse(path, size, word):
    """Mostly a hole: quick to make, and no two the same."""
    with open(path, 'wb') as f:
        f.write(word)
        f.truncate(size)
    return path


class Publisher:
    """`huiductl build publish` beside us."""

    def __init__(self, d, path, build, *words, stderr=subprocess.PIPE):
        self.process = subprocess.Popen(
            [CTL, 'build', 'publish', path, '--product', 'phone-a', '--build', build, *words],
            cwd=d.folder, stdout=subprocess.PIPE, stderr=stderr, text=True)

    def end(self, limit_s=300):
        out, err = self.process.communicate(timeout=limit_s)
        return self.process.returncode, out, err


def coming(d):
    """Bytes of each upload under way."""
    return sorted(f.stat().st_size for f in (d.folder / 'data/artifacts/upload').iterdir())


def has(d, size):
    return any(n >= size for n in coming(d))


def files(d):
    return [f for f in (d.folder / 'data/artifacts').rglob('*') if f.is_file()]


def test_killed_in_the_middle(deployment):
    d = deployment
    d.start()
    path = sparse(d.folder / 'large.bin', LARGE, b'large')
    publisher = Publisher(d, path, '1.0')
    wait_until(lambda: has(d, 100 * MIB), 'its hash, and a tenth of a gigabyte', 300)
    for _ in range(2):
        d.kill()
        before = max(coming(d))
        assert before < LARGE
        d.start()
        wait_until(lambda: files(d)[0].parent.name != 'upload' or max(coming(d)) > before,
                   'it goes on')
    code, out, err = publisher.end()
    assert code == 0 and 'published 1.0' in out, out + err
    assert coming(d) == [] and files(d)[0].stat().st_size == LARGE


def test_interrupted_by_hand(deployment):
    d = deployment
    d.start()
    path = sparse(d.folder / 'large.bin', MEDIUM, b'by hand')
    publisher = Publisher(d, path, '1.0')
    wait_until(lambda: has(d, 50 * MIB))
    publisher.process.send_signal(signal.SIGINT)
    code, _, err = publisher.end()
    assert code == 130
    assert re.search(r'interrupted: .* of 384\.0 MiB are on the server', err), err
    assert 'try: the same command again' in err
    code, _, err = Publisher(d, path, '1.0').end()
    assert code == 0 and re.search('Going on at .* of 384.0 MiB', err), err


def test_terminal(deployment):
    d = deployment
    d.start()
    ours, theirs = pty.openpty()
    path = sparse(d.folder / 'large.bin', MEDIUM, b'terminal')
    publisher = Publisher(d, path, '1.0', stderr=theirs)
    os.close(theirs)
    seen = b''
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        seen += more
    assert publisher.end()[0] == 0
    assert re.search(rb'\rUploading +\d+ %  of 384\.0 MiB  .*/s', seen) and b'100 %' in seen
    assert max(len(line) for line in re.split(rb'[\r\n]', seen)) <= 80


def test_two_at_once(deployment):
    """And reports are answered as ever meanwhile, commands too."""
    d = deployment
    d.start()
    phone = Phone(d, STABLE_RING)
    both = [Publisher(d, sparse(d.folder / f'{i}.bin', MEDIUM, b'%d' % i), f'{i}.0', '--counter',
                      str(i)) for i in (1, 2)]
    wait_until(lambda: len(coming(d)) == 2)
    polls, asks, together = [], [], 0
    while any(p.process.poll() is None for p in both):
        together += len(coming(d)) == 2
        start = time.monotonic()
        phone.poll(STABLE_RING)
        polls.append(time.monotonic() - start)
        start = time.monotonic()
        d.must('log', 'checkpoint')
        asks.append(time.monotonic() - start)
    for p in both:
        code, out, err = p.end()
        assert code == 0 or 'is not above' in err, out + err  # who came second
    print(f'{len(polls)} polls: median {sorted(polls)[len(polls) // 2]:.4f} s, most {max(polls):.4f}; '
          f'asked: median {sorted(asks)[len(asks) // 2]:.4f} s, most {max(asks):.4f}')
    assert together > 3 and len(files(d)) == 2
    assert sorted(polls)[len(polls) // 2] < 0.2 and max(asks) < 2


def test_damaged_file(deployment):
    """What is there is not what was sent: that is found at the end, thrown away, and sent anew."""
    d = deployment
    d.start()
    path = sparse(d.folder / 'large.bin', MEDIUM, b'right')
    publisher = Publisher(d, path, '1.0')
    wait_until(lambda: has(d, 50 * MIB))
    publisher.process.send_signal(signal.SIGINT)
    assert publisher.end()[0] == 130
    d.stop()
    with open(next((d.folder / 'data/artifacts/upload').iterdir()), 'r+b') as f:
        f.seek(MIB)
        f.write(b'damaged')
    d.start()
    code, _, err = Publisher(d, path, '1.0').end()
    assert code == 0 and 'from the beginning' in err, err


class Small:
    """A file system of its own for the artifacts."""

    def __init__(self, d, megabytes, kind):
        self.at, image = d.folder / 'data/artifacts', d.folder / 'disk.img'
        self.at.mkdir(parents=True)
        os.chmod(d.folder / 'data', 0o700)
        if kind == 'tmpfs':
            words = ['-t', 'tmpfs', '-o', f'size={megabytes}m', 'huidu']
        else:
            with open(image, 'wb') as f:
                f.truncate(megabytes * MIB)
            subprocess.run(['mkfs.' + kind, '-q', '-F', image], check=True, timeout=LIMIT_S)
            words = ['-o', 'loop', image]
        done = subprocess.run(['mount', *words, self.at], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f'a small disk needs mount: {done.stderr.strip()}')

    def fill(self):
        with open(self.at / 'other', 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(bytes(MIB))
            except OSError as e:
                assert e.errno == errno.ENOSPC

    def clear(self):
        (self.at / 'other').unlink()

    def close(self):
        subprocess.run(['umount', '-l', self.at], check=True, timeout=LIMIT_S)


@pytest.fixture(params=['tmpfs', 'ext4', 'ext2'])
def small(deployment, request):
    disk = Small(deployment, 128, request.param)
    yield disk
    deployment.stop()
    disk.close()


def test_no_room(deployment, small):
    """Said before the first byte, with what is needed and what is there."""
    d = deployment
    d.start()
    code, _, err = Publisher(d, sparse(d.folder / 'big.bin', 200 * MIB, b'big'), '1.0').end()
    assert code == 1
    assert re.search(r'needs 200\.0 MiB, \d+\.\d MiB are free for it \(\d\.\d MiB stay free', err), err
    assert coming(d) == [] and 'make room' in err
    small.fill()
    fits = d.folder / 'fits.bin'
    fits.write_bytes(b'fits' * (80 * MIB // 4))
    code, _, err = Publisher(d, fits, '1.0').end()
    assert code == 1 and 'needs 80.0 MiB, 0 B are free' in err, err
    small.clear()
    code, out, err = Publisher(d, fits, '1.0').end()
    assert code == 0, out + err


def begun(d):
    """An upload of 80 MiB, and some of it is here."""
    path = d.folder / 'fits.bin'
    path.write_bytes(b'fits' * (80 * MIB // 4))
    publisher = Publisher(d, path, '1.0')
    wait_until(lambda: has(d, 5 * MIB))
    return path, publisher


def test_disk_fills_up(deployment, small):
    """Where room can be set aside it was; where not, what has come stays, and goes on."""
    d = deployment
    d.start()
    path, publisher = begun(d)
    stand_still(publisher.process.pid)
    assert coming(d), 'too quick to be stopped'
    small.fill()
    publisher.process.send_signal(signal.SIGCONT)
    code, out, err = publisher.end()
    if code != 0:
        assert re.search(r'is full: \d+\.\d MiB of 80\.0 MiB are here and stay', err), err
        assert coming(d)[0] >= 5 * MIB
        small.clear()
        code, out, err = Publisher(d, path, '1.0').end()
        assert 'Going on at' in err
    assert code == 0, out + err
    print(err)


def test_room_is_set_aside_once(deployment, small):
    """After a restart what was set aside before it is still the file's own."""
    d = deployment
    d.start()
    path, publisher = begun(d)
    publisher.process.kill()
    publisher.process.wait()
    d.kill()
    assert coming(d), 'too quick to be stopped'
    d.start()
    code, out, err = Publisher(d, path, '1.0').end()
    assert code == 0 and 'Going on at' in err, out + err
