# SPDX-License-Identifier: Apache-2.0
"""Files that no build needs are found, shown, and removed; nobody who uses one notices."""
import hashlib
import os
import time

import pytest

from test_huidud import STABLE, Deployment

DAY = 86400


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    d.start()
    yield d
    d.stop()


def stray(d, name, content):
    """Uploaded, and then its description is refused."""
    path = d.folder / name
    path.write_bytes(content)
    done = d.ctl('build', 'publish', path, '--product', 'phone-a', '--build', name, '--counter', 1)
    assert done.returncode != 0 and 'counter' in done.stderr
    return hashlib.sha256(content).hexdigest()


def file_of(d, sha256):
    return d.folder / 'data/artifacts' / sha256[:2] / sha256


def age(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


def listed(d, *args):
    return {f['sha256']: f for f in d.json('artifact', *args)['artifacts']}


def test_list_and_gc(deployment):
    d = deployment
    assert 'nothing to remove' in d.ctl('artifact', 'gc').stderr
    d.release('1.0', STABLE, b'first')
    first = hashlib.sha256(b'first').hexdigest()
    lost = stray(d, '2.0', b'lost')
    age(file_of(d, first), 400 * DAY)
    files = listed(d, 'list')
    assert files[first]['build'] == '1.0' and files[first]['needed'] == 'signed, and not expired'
    assert 'needed' not in files[lost] and not files[lost]['may_go']
    assert 'may go in' in d.must('artifact', 'list')
    assert max(map(len, d.must('artifact', 'list').splitlines())) <= 80

    # Not before a day has gone by, and asking for it before publishing begins the day anew.
    assert listed(d, 'gc', '--dry-run') == {} and listed(d, 'gc') == {}
    age(file_of(d, lost), DAY + 60)
    assert list(listed(d, 'gc', '--dry-run')) == [lost]
    stray(d, '2.0', b'lost')
    assert listed(d, 'gc') == {}

    age(file_of(d, lost), DAY + 60)
    assert '1 of them may go, 4 B. Next: huiductl artifact gc' in d.ctl('artifact', 'list').stderr
    assert file_of(d, lost).exists()
    assert '1 removed, 4 B' in d.ctl('artifact', 'gc').stderr
    assert not file_of(d, lost).exists() and file_of(d, first).exists()
    assert list(listed(d, 'list')) == [first]
    assert d.metric('huidu_artifacts_removed_total') == 1
    # It can come again.
    path = d.folder / '2.0'
    d.must('build', 'publish', path, '--product', 'phone-a', '--build', '2.0')


def test_download_goes_on(deployment):
    d = deployment
    d.release('1.0', STABLE, b'first')
    content = os.urandom(32 << 20)
    lost = stray(d, '2.0', content)
    c = d.connect()
    c.request('GET', '/v1/artifact/' + lost)
    r = c.getresponse()
    begin = r.read(1 << 20)
    age(file_of(d, lost), 2 * DAY)
    assert list(listed(d, 'gc')) == [lost]
    assert begin + r.read() == content
    c.request('GET', '/v1/artifact/' + lost)
    assert c.getresponse().status == 404


def test_for_ever(deployment):
    """What is named by its hash does not change: its name is its tag, and caches may keep it."""
    d = deployment
    d.release('1.0', STABLE, b'first')
    first = hashlib.sha256(b'first').hexdigest()

    def ask(method='GET', name=first, **headers):
        c = d.connect()
        c.request(method, '/v1/artifact/' + name,
                  headers={k.replace('_', '-'): v for k, v in headers.items()})
        r = c.getresponse()
        return r.status, r.read(), r.headers

    status, body, headers = ask()
    assert (status, body) == (200, b'first')
    assert headers['ETag'] == f'"{first}"'
    assert headers['Cache-Control'] == 'public, max-age=31536000, immutable'
    assert ask(If_None_Match=headers['ETag'])[:2] == (304, b'')
    assert ask(Range='bytes=1-2', If_Range=headers['ETag'])[:2] == (206, b'ir')
    assert ask(Range='bytes=1-2', If_Range='"other"')[:2] == (200, b'first')
    assert ask('HEAD')[:2] == (200, b'')
    assert ask(name=first.upper())[2]['ETag'] == headers['ETag']
    assert ask(name=first[:-1])[0] == 404


def test_many(deployment):
    """More than one request removes, and an upload that ended a week ago."""
    d = deployment
    d.release('1.0', STABLE, b'first')
    for i in range(40):
        sha256 = hashlib.sha256(b'%d' % i).hexdigest()
        file_of(d, sha256).parent.mkdir(exist_ok=True)
        file_of(d, sha256).write_bytes(b'%d' % i)
        age(file_of(d, sha256), 2 * DAY)
    upload = d.folder / 'data/artifacts/upload'
    for days in (6, 8):
        name = upload / hashlib.sha256(b'upload %d' % days).hexdigest()
        name.write_bytes(b'half')
        age(name, days * DAY)
    gone = listed(d, 'gc')
    assert len(gone) == 41 and sum(f['unfinished'] for f in gone.values()) == 1
    assert all(f['removed'] for f in gone.values())
    assert [f.name for f in upload.iterdir()] == [hashlib.sha256(b'upload 6').hexdigest()]
    assert len(listed(d, 'list')) == 2


def test_rows_of_a_fleet(deployment):
    """Brought and never ordered: gone after a week."""
    d = deployment
    d.release('1.0', STABLE, b'first')
    for days in (6, 8):
        content = b'rows %d' % days
        sha256 = hashlib.sha256(content).hexdigest()
        path = d.folder / 'data/imports' / sha256[:2] / sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        age(path, days * DAY)
    assert list(listed(d, 'gc')) == [hashlib.sha256(b'rows 8').hexdigest()]
    assert hashlib.sha256(b'rows 6').hexdigest() in listed(d, 'list')
