# SPDX-License-Identifier: Apache-2.0
"""huiductl store: looked at and copied beside the real daemon, and put back without losing a halt."""
import concurrent.futures
import fcntl
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import time

import pytest

from test_huidud import (AGENT, CTL, HUIDUD, LIMIT_S, STABLE, Deployment, fleet_status, start_fleet,
                         wait_until)

CORE = STABLE.replace('stable', 'core')
FORMATS = pathlib.Path(__file__).resolve().parent.parent / 'unit' / 'formats'
TABLES = ('meta', 'log', 'envelope', 'device', 'key', 'waiting', 'arm', 'stage', 'row', 'seen',
          'novel', 'hit', 'token', 'foreign')


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    yield d
    d.stop()


@pytest.fixture
def stopped(deployment):
    """With a rollout, a backup from before its halt, and the server stopped after it."""
    d = deployment
    d.start()
    d.release('2.0', STABLE)
    d.must('store', 'backup', d.folder / 'old.mdb')
    d.must('rollout', 'halt', '2.0', '--reason', 'modem')
    d.kill()
    return d


def data(d):
    return d.folder / 'data'


def stores(d):
    return sorted(p.name for p in data(d).iterdir() if p.name.startswith('store'))


def refused(d, *args, code, says):
    done = d.ctl('store', *args)
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stderr and 'try: ' in done.stderr, done.stderr
    return done.stderr


def refuses_to_start(d):
    done = subprocess.run([HUIDUD, '-c', d.config], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 2
    return done.stderr


def is_whole(d):
    d.must('store', 'check')
    d.must('log', 'verify')


def is_halted(d):
    assert d.rollout('2.0')['state'] == 'halted'


# ---- to look at

def test_looks(deployment):
    d = deployment
    refused(d, 'stat', code=3, says='there is none')
    d.start()
    d.release('2.0', STABLE)
    start_fleet(d, '--phones', '30', '--core', '10', '--seconds', '3', '--poll-min', '1',
              '--spread', '500').wait(LIMIT_S)
    stat = d.json('store', 'stat')
    assert [t['table'] for t in stat['tables']] == list(TABLES)
    records = {t['table']: t['records'] for t in stat['tables']}
    assert records['device'] == records['key'] == 30 and records['arm'] > 0
    assert stat['log'] == records['log'] and stat['ledger'] <= stat['log'] >= stat['journal']
    assert all(len(line) <= 80 for line in d.must('store', 'stat').splitlines()[2:])
    check = d.json('store', 'check')
    assert check['ok'] and check['findings'] == [] and check['journal'] and check['ledger']
    for kind in TABLES:
        lines = d.must('store', 'dump', kind).splitlines()
        assert all(json.loads(line)['kind'] == kind for line in lines)
        if kind in ('device', 'stage'):
            assert len(lines) == records[kind]
    one = json.loads(d.must('store', 'dump', 'device').splitlines()[7])
    assert one['product'] == 'phone-a' and one['ring'] in ('core', 'stable')
    assert json.loads(d.must('store', 'dump', 'device', '--prefix', one['device'])) == one
    entry = json.loads(d.must('store', 'dump', 'log', '--prefix', '00' * 8))
    assert entry['index'] == 0 and entry['type'] == 'root'
    (d.folder / 'fleet.csv').write_text('serial_sha256,product,token\n' +
                                        '5a' * 32 + ',phone-a,one-token-of-many\n')
    d.must('fleet', 'import', 'fleet.csv')
    meta = {r['name']: r for r in map(json.loads, d.must('store', 'dump', 'meta').splitlines())}
    assert meta['serial-secret'].keys() == {'schema', 'kind', 'name', 'secret'}
    assert d.json('store', 'check')['ok']
    refused(d, 'dump', 'devices', code=2, says='no kind of record')
    refused(d, 'dump', 'device', '--prefix', '9f3', code=2, says='--prefix')
    refused(d, 'check', d.folder / 'none.mdb', code=3, says='there is none')


def test_without_a_ledger(deployment):
    """Who may read the store and not the keys is told what was not compared."""
    d = deployment
    d.start()
    d.kill()
    os.rename(d.folder / 'online', d.folder / 'elsewhere')
    said = d.must('store', 'check')
    assert 'not compared with the ledger' in said and 'ledger not read' in d.must('store', 'stat')
    refused(d, 'restore', '--empty', code=3, says='ledger')
    os.rename(d.folder / 'elsewhere', d.folder / 'online')


# ---- backup

def test_backup_is_careful(stopped):
    d, file = stopped, stopped.folder / 'old.mdb'
    assert file.stat().st_mode & 0o777 == 0o600
    assert 'already' in refused(d, 'backup', file, code=5, says='--force')
    before = file.stat().st_ino
    d.must('store', 'backup', file, '--force')
    assert file.stat().st_ino != before and not (d.folder / 'old.mdb.new').exists()
    d.must('store', 'check', file)
    # What a killed one left is no hindrance; one that is at work is.
    (d.folder / 'b.mdb.new').write_bytes(b'half')
    d.must('store', 'backup', d.folder / 'b.mdb')
    with open(d.folder / 'c.mdb.new', 'w', encoding='ascii') as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        refused(d, 'backup', d.folder / 'c.mdb', code=5, says='another backup')
    refused(d, 'backup', d.folder / 'none' / 'c.mdb', code=3, says='none')


# ---- restore

def test_a_copy_by_hand_is_refused(stopped):
    d = stopped
    shutil.copy(d.folder / 'old.mdb', data(d) / 'store' / 'data.mdb')
    os.remove(data(d) / 'store' / 'lock.mdb')
    assert 'huiductl store restore' in refuses_to_start(d)
    assert 'a backup was put in its place by hand' in d.ctl('store', 'check').stdout
    d.must('store', 'restore', d.folder / 'old.mdb', '--yes')
    d.start()
    is_halted(d)
    is_whole(d)


def test_restore_refuses(stopped, tmp_path):
    d, old = stopped, stopped.folder / 'old.mdb'
    before = (data(d) / 'store' / 'data.mdb').read_bytes()
    refused(d, 'restore', code=2, says='which backup')
    refused(d, 'restore', old, '--empty', code=2, says='which')
    refused(d, 'restore', d.folder / 'none.mdb', code=3, says='none.mdb')
    refused(d, 'restore', old, code=2, says='nobody is there to ask')
    (d.folder / 'text').write_bytes(b'no store at all' * 1000)
    refused(d, 'restore', d.folder / 'text', '--yes', code=1, says='store')
    # A backup that is damaged inside.
    spoilt = bytearray(old.read_bytes())
    at = spoilt.rindex(b'phone-a/stable')
    spoilt[at] ^= 1
    (d.folder / 'spoilt.mdb').write_bytes(spoilt)
    refused(d, 'restore', d.folder / 'spoilt.mdb', '--yes', code=1, says='is not whole')
    # The log cannot be made whole.
    os.rename(data(d) / 'journal', d.folder / 'journal')
    assert 'a newer backup' in refused(d, 'restore', old, '--yes', code=6, says='phones have seen')
    refused(d, 'restore', '--empty', '--yes', code=6, says='phones have seen')
    (data(d) / 'journal').write_bytes((d.folder / 'journal').read_bytes()[:-1])
    refused(d, 'restore', old, '--yes', code=6, says='phones have seen')
    # Another deployment's journal.
    (tmp_path / 'b').mkdir()
    other = Deployment(tmp_path / 'b')
    try:
        other.start()
        other.release('2.0', STABLE)
        other.must('rollout', 'halt', '2.0', '--reason', 'more')
        other.must('store', 'backup', other.folder / 'b.mdb')
    finally:
        other.stop()
    refused(d, 'restore', old, '--yes', '--journal', data(other) / 'journal', code=6,
            says='of different logs, from entry 0 on')
    refused(d, 'restore', '--empty', '--yes', '--journal', data(other) / 'journal', code=6,
            says='another time or place')
    refused(d, 'restore', other.folder / 'b.mdb', '--yes', '--journal', data(other) / 'journal',
            code=6, says='another time or place')
    # Nothing of all this has left a trace.
    assert (data(d) / 'store' / 'data.mdb').read_bytes() == before
    assert stores(d) == ['store']
    d.must('store', 'restore', old, '--yes', '--journal', d.folder / 'journal')
    d.start()
    is_halted(d)
    is_whole(d)


def test_not_while_huidud_runs(stopped):
    d = stopped
    d.start()
    refused(d, 'restore', d.folder / 'old.mdb', '--yes', code=5, says='huidud is running')
    is_halted(d)


def test_no_backup_at_all(stopped):
    """The log comes back from the journal: what was halted stays halted."""
    d = stopped
    shutil.rmtree(data(d) / 'store')
    refuses_to_start(d)
    shutil.rmtree(data(d) / 'store')
    done = d.ctl('store', 'restore', '--empty', '--yes')
    assert done.returncode == 0 and 'enrols again by itself' in done.stderr, done.stderr
    assert stores(d) == ['store']
    d.start()
    is_halted(d)
    is_whole(d)


def test_a_store_of_pages_that_cannot_be_read(stopped):
    d = stopped
    file = data(d) / 'store' / 'data.mdb'
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:8192] + os.urandom(size - 8192))
    done = d.ctl('store', 'check')
    assert done.returncode == 1 and 'huiductl' in done.stderr, done.stderr
    done = d.ctl('store', 'restore', d.folder / 'old.mdb', '--yes')
    assert done.returncode == 0 and 'cannot be read' in done.stderr, done.stderr
    d.start()
    is_halted(d)
    is_whole(d)


def test_a_ledger_that_is_lost(stopped):
    """huidud makes an empty one and refuses; nothing is taken for signed because of it."""
    d, ledger = stopped, stopped.folder / 'online' / 'ledger'
    kept = ledger.read_bytes()
    ledger.unlink()
    assert 'put it back' in refuses_to_start(d)
    refused(d, 'restore', d.folder / 'old.mdb', '--yes', code=6, says='it is empty')
    ledger.write_bytes(b'x' * len(kept))
    assert 'newest copy' in refused(d, 'restore', d.folder / 'old.mdb', '--yes', code=1,
                                    says='neither of its two copies')
    ledger.write_bytes(kept)
    d.must('store', 'restore', d.folder / 'old.mdb', '--yes')
    d.start()
    is_halted(d)


def test_a_journal_that_is_damaged(stopped):
    d, journal = stopped, data(stopped) / 'journal'
    whole = journal.read_bytes()
    spoilt = bytearray(whole)
    spoilt[len(spoilt) // 3] ^= 1
    journal.write_bytes(spoilt)
    check = d.ctl('store', 'check')
    assert check.returncode == 1 and 'is damaged at entry' in check.stdout, check.stdout
    assert 'start huidud again' in check.stdout
    refused(d, 'restore', d.folder / 'old.mdb', '--yes', code=6, says='and then it is damaged')
    # One that was named is meant, also where the backup would do without.
    (data(d) / 'store' / 'data.mdb').rename(d.folder / 'newest.mdb')
    refused(d, 'restore', d.folder / 'newest.mdb', '--yes', '--journal', d.folder / 'none', code=3,
            says='none')
    d.must('store', 'restore', d.folder / 'newest.mdb', '--yes')
    d.start()
    is_halted(d)
    d.kill()
    assert journal.read_bytes()[:len(whole)] == whole
    is_whole_now = d.must('store', 'check')
    assert 'so has the journal' in is_whole_now


def test_a_backup_of_an_older_format(stopped):
    """It is brought to this one on the way: only then its log is looked at."""
    d = stopped
    for old in (FORMATS / 'format-1.mdb', FORMATS / 'format-2.mdb'):
        before = old.read_bytes()
        refused(d, 'restore', old, '--yes', code=6, says='of different logs')
        assert old.read_bytes() == before
    (d.folder / 'none').write_bytes(b'')
    refused(d, 'restore', d.folder / 'none', '--yes', code=1, says='is empty')


def test_not_onto_the_store(stopped):
    d, file = stopped, data(stopped) / 'store' / 'data.mdb'
    before = file.stat().st_ino
    refused(d, 'backup', file, '--force', code=2, says='the store itself')
    assert file.stat().st_ino == before


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be another user')
def test_root_looks_first(stopped):
    """What root leaves behind does not keep the server's user from starting."""
    d, store = stopped, data(stopped) / 'store'
    nobody = pwd.getpwnam('nobody')
    for path in (data(d), *data(d).rglob('*')):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    d.must('store', 'restore', d.folder / 'old.mdb', '--yes')
    is_there = d.must('store', 'check')
    assert is_there and (store / 'lock.mdb').exists()
    assert {p.stat().st_uid for p in (store, *store.iterdir())} == {nobody.pw_uid}


def test_a_device_that_is_damaged(deployment):
    """Who starts on it is told what to type."""
    d = deployment
    d.start()
    device = bytes.fromhex(device_of(agent(d, 'first')))
    d.must('store', 'backup', d.folder / 'b.mdb')
    d.kill()
    file = data(d) / 'store' / 'data.mdb'
    content = bytearray(file.read_bytes())
    at = content.find(device)
    while at >= 0:
        content[at + len(device)] ^= 1
        at = content.find(device, at + 1)
    file.write_bytes(content)
    said = refuses_to_start(d)
    assert 'of table device is damaged' in said and 'huiductl store restore' in said, said
    assert device.hex() in d.ctl('store', 'check').stdout
    d.must('store', 'restore', d.folder / 'b.mdb', '--yes')
    d.start()
    assert device_of(agent(d, 'first')) == device.hex()


# ---- while all are busy

def agent(d, state):
    return subprocess.run(
        [AGENT, '--server', f'https://localhost:{d.port}', '--ca', 'tls/cert.pem', '--root',
         'root.env', '--repository', 'd', '--product', 'phone-a', '--build', 'factory', '--counter',
         '0', '--state', state, '--install', 'true', '--poll-min', '1', '--once'],
        cwd=d.folder, capture_output=True, text=True, timeout=LIMIT_S)


def device_of(done):
    found = re.search(r'device ([0-9a-f]{32})', done.stderr)
    return found.group(1) if found else None


def test_life_goes_on(deployment):
    """Backups while phones report and an admin rolls out; the disk is lost, and the last one put back."""
    d = deployment
    d.start()
    fleet = start_fleet(d, '--phones', '200', '--core', '30', '--poll-min', '1', '--spread', '1000',
                      '--crashes', '0.3')
    first = device_of(agent(d, 'first'))
    assert first
    d.release('2.0', CORE)
    for i in range(5):
        d.must('store', 'backup', d.folder / 'b.mdb', '--force')
        d.must('store', 'check')
        time.sleep(0.5)
    second = device_of(agent(d, 'second'))
    assert second
    d.release('3.0', CORE)
    d.must('rollout', 'halt', '3.0', '--reason', 'modem')
    wait_until(lambda: (fleet_status(d) or {}).get('enrolled') == 200, 'enrolled')
    d.kill()
    (data(d) / 'store' / 'data.mdb').write_bytes(b'')
    done = d.ctl('store', 'restore', d.folder / 'b.mdb', '--yes')
    assert done.returncode == 0, done.stderr
    is_whole_now = d.ctl('store', 'check')
    assert is_whole_now.returncode == 0, is_whole_now.stdout
    d.start()
    assert d.rollout('3.0')['state'] == 'halted'
    d.must('log', 'verify')
    # Who was there is there; who came since comes again by itself, and nobody is offered 3.0.
    assert device_of(agent(d, 'first')) == first
    wait_until(lambda: device_of(agent(d, 'second')) not in (None, second), 'enrolled anew')
    d.release('4.0', STABLE)
    wait_until(lambda: d.metric('huidu_reports_total') > 50, 'reports')
    fleet.send_signal(signal.SIGTERM)
    fleet.wait(LIMIT_S)
    is_whole(d)
    assert d.rollout('3.0')['state'] == 'halted'


# ---- killed

def test_killed_in_mid_restore(stopped):
    """There is the old store or the new one, and the next try goes through."""
    d, old = stopped, stopped.folder / 'old.mdb'
    command = [CTL, 'store', 'restore', old, '--yes']
    begun = time.monotonic()
    d.must('store', 'restore', old, '--yes')
    took = time.monotonic() - begun
    old_ones = 0
    for i in range(40):
        store = data(d) / 'store' / 'data.mdb'
        before = store.stat().st_ino
        process = subprocess.Popen(command, cwd=d.folder, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(took * i / 40)
        process.kill()
        process.wait()
        old_ones += store.stat().st_ino == before
        check = d.ctl('store', 'check')
        assert check.returncode == 0, (i, check.stdout, check.stderr)
    assert 0 < old_ones
    d.must('store', 'restore', old, '--yes')
    assert not (data(d) / 'store.new').exists()
    d.start()
    is_halted(d)
    is_whole(d)


def test_two_at_once(stopped):
    d = stopped
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(
            lambda _: d.ctl('store', 'restore', d.folder / 'old.mdb', '--yes'), range(4)))
    assert any(r.returncode == 0 for r in done)
    assert all(r.returncode in (0, 5) for r in done), [r.stderr for r in done]
    d.start()
    is_halted(d)
    is_whole(d)
