# SPDX-License-Identifier: Apache-2.0
"""Bringing a fleet: import and export with the real daemon, phones that move without enrolling."""
import base64
import csv
import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time

import pytest

from test_enrol import Phone, Server
from test_huidud import AGENT, CTL, LIMIT_S, STABLE, Deployment, wait_until


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    yield d
    d.stop()


def key(r):
    return base64.b64encode(bytes([2 + r.getrandbits(1)]) + r.randbytes(32)).decode()


def write_rows(path, n, seed=1, **more):
    r = random.Random(seed)
    with open(path, 'w', encoding='ascii') as f:
        f.write(','.join(['id', 'product', 'key', *more]) + '\n')
        for _ in range(n):
            f.write(','.join([r.randbytes(16).hex(), 'phone-a', key(r), *more.values()]) + '\n')


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_import_export_is_the_identity(deployment, tmp_path):
    deployment.edit({'fill: hash': 'fill: invite'})
    deployment.start()
    file = tmp_path / 'fleet.csv'
    r = random.Random(3)
    lines = ['product,ring,wish,key,id,enrolled,last_seq,token_sha256,left,build']
    for i in range(500):
        ring = 'core' if i < 3 else 'dev' if i < 10 else 'stable'
        wish = 'core' if i in (4, 11) else ''
        lines.append(','.join([
            'phone-a', ring, wish, '' if i % 7 == 6 else key(r), r.randbytes(16).hex(),
            '2025-03-%02d' % (i % 28 + 1), str(i), r.randbytes(16).hex() if i % 5 == 0 else '',
            'true' if i == 20 else '', '#%016x' % i if i % 3 == 1 else '']))
    file.write_text('\n'.join(lines) + '\n')
    out = deployment.json('fleet', 'import', file)
    assert (out['rows'], out['added'], out['conflicts'], out['waiting']) == (500, 500, 0, 2)
    first = deployment.must('fleet', 'export')
    assert len(rows_of(first)) == 500
    by_id = {row['id']: row for row in rows_of(first)}
    for row in rows_of(file.read_text()):
        have = by_id[row['id']]
        for column, value in row.items():
            want = value or (row['ring'] if column == 'wish' else '')
            assert have[column] == want, (column, row, have)
    # The same again changes nothing and says so; so does what was exported, in either form.
    out = deployment.must('fleet', 'import', file)
    assert 'all 500 devices were there: nothing changed' in out
    for form in ('csv', 'jsonl'):
        exported = tmp_path / f'out.{form}'
        deployment.must('fleet', 'export', '-o', form, exported)
        assert exported.stat().st_mode & 0o777 == 0o600
        assert deployment.json('fleet', 'import', exported)['known'] == 500
    assert deployment.must('fleet', 'export') == first
    # Into another server: what comes out again is the same, byte for byte.
    (tmp_path / 'other').mkdir()
    other = Deployment(tmp_path / 'other')
    try:
        other.edit({'fill: hash': 'fill: invite'})
        other.start()
        for form in ('csv', 'jsonl'):
            assert other.json('fleet', 'import', tmp_path / f'out.{form}')['rows'] == 500
        assert other.must('fleet', 'export') == first
        assert other.must('fleet', 'export', '--product', 'phone-z') == first.split('\n')[0] + '\n'
    finally:
        other.stop()
    # And without a server, of what it left.
    assert deployment.stop() == 0
    assert deployment.must('fleet', 'export') == first


def test_bad_rows(deployment, tmp_path):
    deployment.start()
    file = tmp_path / 'bad.csv'
    write_rows(file, 3)
    good = file.read_text().splitlines()
    bad = ['zz,phone-a,', '00,phone-a', ',,'] * 10
    file.write_text('\n'.join([*good, *bad, good[1]]) + '\n')
    done = deployment.ctl('fleet', 'import', file)
    assert done.returncode == 2
    assert f'{file}:5: id is 32 hex digits' in done.stderr
    assert f'{file}:6: too few fields' in done.stderr
    assert done.stderr.count(f'{file}:') == 22 and 'and 11 more' in done.stderr
    assert '31 bad rows: nothing was imported' in done.stderr
    assert '--skip-bad' in done.stderr
    assert deployment.metric('huidu_devices_imported_total') == 0
    done = deployment.json('fleet', 'import', file, '--skip-bad', '--dry-run')
    assert (done['rows'], done['bad']) == (3, 31)
    assert deployment.metric('huidu_devices_imported_total') == 0
    assert deployment.json('fleet', 'import', file, '--skip-bad')['added'] == 3
    # A product nobody knows, a build nobody knows, no header, no file.
    for text, want in (('id,product\n' + '01' * 16 + ',phone-z\n', "no product 'phone-z'"),
                       ('id,product,build\n' + '01' * 16 + ',phone-a,9.9\n',
                        'build 9.9 is not published for phone-a'),
                       ('id,prodct\n', "did you mean 'product'"), ('', 'a header is missing')):
        file.write_text(text)
        done = deployment.ctl('fleet', 'import', file)
        assert done.returncode in (2, 3) and want in done.stderr, done.stderr
    assert 'No such file' in deployment.ctl('fleet', 'import', 'nowhere.csv').stderr


def test_conflicts_are_told(deployment, tmp_path):
    deployment.start()
    file = tmp_path / 'a.csv'
    write_rows(file, 3, seed=1)
    deployment.must('fleet', 'import', file)
    lines = file.read_text().splitlines()
    lines[2] = lines[2].rsplit(',', 1)[0] + ',' + key(random.Random(9))
    file.write_text('\n'.join(lines) + '\n')
    done = deployment.ctl('fleet', 'import', file)
    assert done.returncode == 5
    assert f'{file}:3: the device is there, and has another key' in done.stderr
    assert '1 contradict what is there' in done.stdout


def test_a_million(deployment, tmp_path):
    n = int(os.environ.get('HUIDU_FLEET_ROWS', '100000'))
    deployment.start()
    file = tmp_path / 'fleet.csv'
    write_rows(file, n)
    start = time.monotonic()
    assert deployment.json('fleet', 'import', file)['added'] == n
    first = time.monotonic() - start
    assert deployment.json('fleet', 'import', file)['known'] == n
    second = time.monotonic() - start - first
    print(f'{n} rows: {first:.1f} s, again {second:.1f} s')
    assert first < 60 and second < 60


def test_killed_in_the_middle(deployment, tmp_path):
    n = 60000
    deployment.start()
    file = tmp_path / 'fleet.csv'
    write_rows(file, n)
    ctl = subprocess.Popen([CTL, 'fleet', 'import', file], cwd=deployment.folder,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: deployment.metric('huidu_devices_imported_total') > 5000, 'some rows')
    deployment.kill()
    ctl.wait(LIMIT_S)
    deployment.start()
    wait_until(lambda: len(rows_of(deployment.must('fleet', 'export'))) == n, 'all rows')
    assert deployment.json('fleet', 'import', file)['known'] == n


# ---- phones

def test_phones_move_without_enrolling(tmp_path):
    """Exported at one server, imported at another that has its device keys."""
    for name in 'ab':
        (tmp_path / name).mkdir()
    a = Server(tmp_path / 'a', 'open')
    b = None
    try:
        a.start()
        phones = [Phone(tmp_path) for _ in range(3)]
        for phone in phones:
            assert phone.enrol(a)[0] == 200 and phone.poll(a) == 200
        a.must('fleet', 'export', tmp_path / 'fleet.csv')
        b = Server(tmp_path / 'b', 'closed')
        for file in (a.folder / 'online').glob('device*.key'):
            shutil.copy(file, b.folder / 'online')
        b.start()
        assert [phone.poll(b) for phone in phones] == [401] * 3
        b.must('fleet', 'import', tmp_path / 'fleet.csv')
        assert [phone.poll(b) for phone in phones] == [200] * 3
        assert b.enrolled() == 0
        # A key without an id: that phone enrols once, though the door is closed.
        late = Phone(tmp_path)
        assert late.enrol(b)[0] == 403
        (tmp_path / 'late.csv').write_text(
            'product,key\nphone-a,' + base64.b64encode(late.public).decode() + '\n')
        b.must('fleet', 'import', tmp_path / 'late.csv')
        assert late.enrol(b)[0] == 200 and late.poll(b) == 200
        # A token: whoever shows it first, and nobody else.
        (tmp_path / 'token.jsonl').write_text(json.dumps(
            {'product': 'phone-a', 'token': 'sticker-on-the-box-17', 'ring': 'dev'}) + '\n')
        b.must('fleet', 'import', tmp_path / 'token.jsonl')
        boxed, thief = (Phone(tmp_path, token=b'sticker-on-the-box-17') for _ in range(2))
        assert boxed.enrol(b)[0] == 200
        rings = {v['ring']: v['taken'] for v in b.json('ring', 'show')['rings']}
        assert rings['dev'] == 1 and rings['stable'] == 4
        assert boxed.poll(b) == 200 and thief.enrol(b)[0] == 403
    finally:
        a.stop()
        if b is not None:
            b.stop()


# ---- one device

def test_export_and_erase_one(tmp_path):
    d = Server(tmp_path, 'open')
    try:
        d.edit({'fill: hash': 'fill: invite'})
        d.start()
        phone = Phone(tmp_path)
        assert phone.enrol(d)[0] == 200 and phone.poll(d) == 200
        data = json.loads(d.must('device', 'export', phone.id.hex()))
        assert data['schema'] == 'huidu.device-data/1' and data['kept'] is True
        assert data['product'] == 'phone-a' and data['ring'] == 'stable'
        assert base64.b64decode(data['key'])[1:] == phone.public[1:33]
        assert data['log_entries'] == [] and data['arms'] == []
        refused = d.ctl('device', 'erase', phone.id.hex())
        assert refused.returncode == 2 and '--yes' in refused.stderr
        assert 'erased: its record, key' in d.must('device', 'erase', phone.id.hex(), '--yes')
        assert phone.poll(d) == 401
        old = phone.id
        assert json.loads(d.must('device', 'export', old.hex()))['kept'] is False
        done = d.ctl('device', 'erase', old.hex(), '--yes')
        assert done.returncode == 3 and 'not enrolled here' in done.stderr
        assert phone.enrol(d)[0] == 200 and phone.id != old and phone.poll(d) == 200
        assert d.metric('huidu_devices_erased_total') == 1
    finally:
        d.stop()


# ---- builds of the factory

FACTORY = """    factory:
      - {product: phone-a, build: shipped-9, counter: 9}
      - {product: phone-a, build: shipped-10, counter: 10, floor: true}
    fill: invite"""


def test_factory_builds_and_the_floor(deployment, tmp_path):
    deployment.edit({'    fill: hash': FACTORY})
    deployment.start()
    file = tmp_path / 'fleet.csv'
    r = random.Random(1)
    ids = [r.randbytes(16).hex() for _ in range(6)]
    file.write_text('id,product,build\n' + ''.join(
        f'{i},phone-a,shipped-{9 + (n > 3)}\n' for n, i in enumerate(ids)))
    assert deployment.json('fleet', 'import', file)['added'] == 6
    # By name wherever a build is shown.
    names = sorted(row['build'] for row in rows_of(deployment.must('fleet', 'export')))
    assert names == ['shipped-10'] * 2 + ['shipped-9'] * 4
    assert deployment.json('device', 'why', ids[5])['last_build'] == 'shipped-10'
    builds = {b['build']: b for b in deployment.json('build', 'list')['builds']}
    assert builds['shipped-9']['state'] == 'factory' and builds['shipped-10']['state'] == 'floor'
    assert 'shipped-10' in deployment.must('build', 'list')
    # Four run what lies below.
    found = [f for f in deployment.json('doctor')['findings'] if f['what'] == 'floor of phone-a']
    assert found[0]['grade'] == 'warn'
    assert found[0]['says'].startswith('4 devices on a build below shipped-10: ')
    assert found[0]['says'].endswith(' ...')
    # Nothing at or below it is published; the next counter is above it by itself.
    (deployment.folder / 'a.bin').write_bytes(b'a')
    for counter in (9, 10):
        done = deployment.ctl('build', 'publish', 'a.bin', '--product', 'phone-a', '--build', 'old',
                              '--counter', counter)
        assert done.returncode != 0
        assert f'counter {counter} is not above 10 of shipped-10, the floor of phone-a' in done.stderr
    deployment.release('2.0', STABLE.replace('watch:', 'fixes: [shipped-9]\nwatch:'))
    assert {b['build']: b['counter'] for b in deployment.json('build', 'list')['builds']}['2.0'] == 11
    assert deployment.rollout('2.0')['state'] in ('running', 'complete')
    # A floor that is raised above it: it is offered to nobody, nor proposed again.
    phone = Phone(tmp_path)
    assert phone.enrol(deployment)[0] == 200
    assert deployment.metric('huidu_polls_below_floor_total') == 0
    assert phone.poll(deployment) == 200  # it says counter 1
    assert deployment.metric('huidu_polls_below_floor_total') == 1
    wait_until(lambda: phone.poll(deployment) == 200 and
               deployment.metric('huidu_polls_total{answer="offer"}') > 0, 'an offer')
    assert deployment.stop() == 0
    deployment.edit({'counter: 10,': 'counter: 12,'})
    deployment.start()
    offers = deployment.metric('huidu_polls_total{answer="offer"}')
    for _ in range(5):
        assert phone.poll(deployment) == 200
    assert deployment.metric('huidu_polls_total{answer="offer"}') == offers


def agent(d, folder):
    return subprocess.run(
        [AGENT, '--server', f'https://localhost:{d.port}', '--ca', 'tls/cert.pem', '--root',
         'root.env', '--repository', 'd', '--product', 'phone-a', '--build', 'factory',
         '--counter', '0', '--state', folder / 'state', '--install', './install', '--poll-min',
         '1', '--once'], cwd=d.folder, capture_output=True, text=True, timeout=LIMIT_S)


def copy_of(deployment, folder, *, log):
    """Another machine: the same keys and root; with `log`, ledger and journal too."""
    other = Deployment.__new__(Deployment)
    other.__dict__.update(deployment.__dict__)
    other.folder = folder
    leave = ['data', '*.sock', '*.log'] + ([] if log else ['ledger*'])
    shutil.copytree(deployment.folder, folder, ignore=shutil.ignore_patterns(*leave))
    if log:
        (folder / 'data').mkdir(0o700)
        shutil.copy(deployment.folder / 'data/journal', folder / 'data')
    other.config, other.log = folder / 'huidud.yaml', folder / 'huidud.log'
    other.process, other.fleets = None, []
    (folder / 'install').write_text('#!/bin/sh\ncp "$1" installed\n')
    (folder / 'install').chmod(0o755)
    other.config.write_text(re.sub('^enrol:.*$', 'enrol: closed', other.config.read_text(),
                                   flags=re.M))
    return other


def test_an_agent_moves(deployment, tmp_path):
    """The real SDK follows to a server that goes on with the log, without enrolling."""
    deployment.start()
    done = agent(deployment, tmp_path)
    assert done.returncode == 0, done.stderr
    device = re.search(r'device ([0-9a-f]{32})', done.stderr).group(1)
    deployment.must('fleet', 'export', tmp_path / 'fleet.csv')
    assert deployment.stop() == 0
    other = copy_of(deployment, tmp_path / 'other', log=True)
    try:
        assert other.ctl('store', 'restore', '--empty', '--yes').returncode == 0
        other.start()
        assert other.json('fleet', 'import', tmp_path / 'fleet.csv')['added'] == 1
        done = agent(other, tmp_path)
        assert done.returncode == 0 and 'up to date' in done.stderr, done.stderr
        assert 'refused' not in done.stderr and 'enrolling' not in done.stderr, done.stderr
        # And takes an update there: what it reports is counted, under the id it always had.
        other.release('2.0', STABLE, os.urandom(50000))
        wait_until(lambda: agent(other, tmp_path).returncode == 10, 'installed')
        assert agent(other, tmp_path).returncode == 0
        wait_until(lambda: other.rollout('2.0')['state'] == 'complete', 'complete')
        row = rows_of(other.must('fleet', 'export'))[0]
        assert row['id'] == device and row['build'] == '2.0' and int(row['last_seq']) >= 4
        assert other.metric('huidu_enrolments_total') == 0
    finally:
        other.stop()


def test_a_log_of_its_own_is_not_followed(deployment, tmp_path):
    """Importing the fleet is not enough: what a phone has seen, the server must go on with."""
    deployment.start()
    assert agent(deployment, tmp_path).returncode == 0
    deployment.must('fleet', 'export', tmp_path / 'fleet.csv')
    assert deployment.stop() == 0
    other = copy_of(deployment, tmp_path / 'other', log=False)
    try:
        other.start()
        other.must('fleet', 'import', tmp_path / 'fleet.csv')
        other.release('2.0', STABLE, os.urandom(50000))
        wait_until(lambda: 'the log is not a continuation of the one seen before' in
                   agent(other, tmp_path).stderr, 'a refusal')
        assert not (other.folder / 'installed').exists()
        assert other.metric('huidu_enrolments_total') == 0
    finally:
        other.stop()
