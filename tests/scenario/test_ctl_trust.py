# SPDX-License-Identifier: Apache-2.0
"""What people see of trust: keys, roots, what waits for signatures, the doctor, the log."""
import hashlib
import json
import re
import shutil

import pytest

from test_ctl import ctl, fake, team  # noqa: F401 (fixtures)

DEVICE = '9f3c0a5be1d24c7f8a6b3d2e1f004512'
LOG = ('--log-key', 'online/log.pem')


@pytest.fixture
def log(team, fake):  # noqa: F811
    fake(team, *LOG)
    return team


def fits(text):
    return all(len(line) <= 80 for line in text.splitlines())


# ---- keys and roots, without a server

def test_key_create(tmp_path):
    made = ctl('key', 'create', 'dave', '--role', 'approver', cwd=tmp_path)
    assert made.returncode == 0 and fits(made.stdout)
    assert (tmp_path / 'dave.approver.pem').stat().st_mode & 0o777 == 0o600
    text = (tmp_path / 'dave.approver.pub').read_text()
    assert re.fullmatch(r'# huidu public key: dave, approver, id [0-9a-f]{16}\n[A-Za-z0-9+/=]+\n',
                        text)
    # No context is needed to look at them; the private half says whose it is by the other one.
    for name in ('dave.approver.pub', 'dave.approver.pem'):
        shown = ctl('key', 'show', name, cwd=tmp_path)
        assert shown.returncode == 0 and re.search(r'Name +dave\n', shown.stdout), shown.stdout
    before = (tmp_path / 'dave.approver.pem').read_bytes()
    again = ctl('key', 'create', 'dave', '--role', 'approver', cwd=tmp_path)
    assert again.returncode == 5 and 'nothing was made' in again.stderr
    assert (tmp_path / 'dave.approver.pem').read_bytes() == before
    demo = ctl('key', 'create', 'eve', '--role', 'tester', '--demo', cwd=tmp_path)
    assert demo.returncode == 0 and 'demo' in (tmp_path / 'eve.tester.pub').read_text()
    for words in (('eve', '--role', 'boss'), ('Eve', '--role', 'root'), ('eve',)):
        wrong = ctl('key', 'create', *words, cwd=tmp_path)
        assert wrong.returncode == 2 and 'try: huiductl' in wrong.stderr, words
    near = ctl('key', 'create', 'eve', '--role', 'aprover', cwd=tmp_path)
    assert '--role approver' in near.stderr


def test_key_list(team):  # noqa: F811
    text = ctl('key', 'list', cwd=team).stdout
    assert fits(text) and re.search(r'^approver +2 of 3 +alice', text, re.M)
    assert 'alice, bob, carol: approves, resumes, stops' in text
    seen = json.loads(ctl('key', 'list', '-o', 'json', cwd=team).stdout)
    assert seen['schema'] == 'huidu.keys/1' and seen['profile'] == 'team'
    roles = {r['role']: r for r in seen['roles']}
    assert roles['approver']['threshold'] == 2 and len(roles['approver']['keys']) == 3
    assert len(roles['tester']['keys']) == 3 and roles['observer']['keys'] == []
    wrong = ctl('key', 'show', 'huidud.yaml', cwd=team)
    assert wrong.returncode != 0 and 'try:' in wrong.stderr


def test_draft(team):  # noqa: F811
    """A draft says what is missing until it can be signed; changing it undoes signatures."""
    for what in (('revoke', 'nobody'), ('revoke', 'bob', '--role', 'log')):
        assert ctl('root', *what, cwd=team).returncode == 3
    r = ctl('root', 'revoke', 'bob', '--role', 'approver', cwd=team)
    assert r.returncode == 0 and 'approver takes 2 of 2, was 2 of 3' in r.stdout
    r = ctl('root', 'revoke', 'carol', '--role', 'approver', cwd=team)
    assert 'approver: has 1 keys and takes 2' in r.stdout
    assert 'Next: huiductl root sign' not in r.stdout
    r = ctl('root', 'sign', 'root-2.env', '-y', cwd=team)
    assert r.returncode == 6 and 'approver: has 1 keys' in r.stderr
    assert ctl('root', 'threshold', 'approver', '1', cwd=team).returncode == 0
    assert ctl('root', 'threshold', 'approver', '0', cwd=team).returncode == 2
    assert ctl('root', 'threshold', 'director', '2', cwd=team).returncode == 2
    assert '2 of 2: alice, bob' in ctl('root', 'sign', 'root-2.env', '-y', cwd=team).stdout
    r = ctl('root', 'renew', cwd=team)
    assert 'signatures are gone' in r.stdout and '- carol' in r.stdout
    ctl('key', 'create', 'dave', '--role', 'tester', '-o', 'keys', cwd=team)
    r = ctl('root', 'add', 'keys/dave.tester.pub', '--role', 'tester', '--product', 'phone-a',
            '--ring', 'core', '--ring', 'honour', cwd=team)
    assert re.search(r'\+ dave \(\w{8}\) gives seats, stops for phone-a in core, honour', r.stdout)
    r = ctl('root', 'add', 'keys/dave.tester.pub', '--role', 'tester', cwd=team)
    assert r.returncode == 5
    r = ctl('root', 'add', 'keys/dave.tester.pub', '--role', 'tester', '--ring', 'moon', cwd=team)
    assert r.returncode == 2 and 'moon' in r.stderr
    # A second draft in another file does not touch the first.
    r = ctl('root', 'profile', 'maker', '--draft', 'other.env', cwd=team)
    assert r.returncode == 6 and 'root: keys of 5 people, has 3' in r.stderr
    assert not (team / 'other.env').exists()
    shown = ctl('root', 'show', 'root-2.env', cwd=team)
    assert shown.returncode == 0 and fits(shown.stdout) and 'dave' in shown.stdout


def test_signatures_travel(team):  # noqa: F811
    """Two people sign copies; the copies are put together."""
    assert ctl('root', 'renew', cwd=team).returncode == 0
    for who in ('alice', 'bob'):
        r = ctl('root', 'sign', 'root-2.env', '-y', '--key', f'keys/{who}.root.pem', '-o',
                f'{who}.env', cwd=team)
        assert r.returncode == 0 and '1 of 2' in r.stdout
    r = ctl('root', 'sign', 'alice.env', 'bob.env', '-o', 'both.env', cwd=team)
    assert r.returncode == 0 and '2 of 2: alice, bob' in r.stdout
    r = ctl('root', 'sign', 'alice.env', 'root.env', cwd=team)
    assert r.returncode == 2 and 'not the same root' in r.stderr
    decoded = ctl('decode', 'both.env', cwd=team)
    assert decoded.returncode == 0 and 'by alice (root), bob (root)' in decoded.stdout
    assert ctl('decode', 'huidud.yaml', cwd=team).returncode != 0


# ---- with a server

def test_pending(log):
    assert 'Nothing waits' in ctl('pending', cwd=log).stdout
    r = ctl('ring', 'invite', 'core', DEVICE, '--product', 'phone-a', '--reason', 'new tester',
            cwd=log)
    assert r.returncode == 0 and 'Next:' in r.stdout
    text = ctl('pending', cwd=log).stdout
    assert fits(text) and 'signed 1 of 2: alice; open for 3 days' in text
    name = re.search(r'countersign (\w+) --key', text).group(1)
    asked = ctl('countersign', name, '--key', 'keys/bob.release.pem', cwd=log)
    assert asked.returncode == 2 and DEVICE in asked.stderr and 'new tester' in asked.stderr
    r = ctl('countersign', name, '--key', 'keys/bob.release.pem', '-y', cwd=log)
    assert r.returncode == 0 and 'by bob' in r.stdout
    assert json.loads(ctl('pending', '-o', 'json', cwd=log).stdout)['pending'] == []
    assert ctl('countersign', name, '-y', cwd=log).returncode == 3
    assert (log / 'fake.log').read_text().splitlines()[1:] == [
        'half of a seat by alice: new tester', 'seat by alice: new tester']


def test_withdraw(log):
    ctl('ring', 'remove', 'core', DEVICE, '--product', 'phone-a', cwd=log)
    name = json.loads(ctl('pending', '-o', 'json', cwd=log).stdout)['pending'][0]['name']
    assert ctl('withdraw', name, '--reason', 'typo', cwd=log).returncode == 0
    assert 'withdraw by alice: typo' in (log / 'fake.log').read_text()
    assert ctl('withdraw', 'nothing', cwd=log).returncode == 3


@pytest.mark.parametrize('words', [
    ('ring', 'invite', 'stable', DEVICE, '--product', 'phone-a'),
    ('ring', 'invite', 'moon', DEVICE, '--product', 'phone-a'),
    ('ring', 'invite', 'core', DEVICE),
    ('ring', 'invite', 'core', DEVICE[1:], '--product', 'phone-a'),
    ('ring', 'invite', 'core'),
    ('log', 'show', 'first'),
])
def test_wrong_use(log, words):
    r = ctl(*words, cwd=log)
    assert r.returncode == 2 and 'try: huiductl' in r.stderr
    assert (log / 'fake.log').read_text() == 'ready\n'


def test_clock_confirm(log):
    assert ctl('clock', 'confirm', '--reason', 'new battery', cwd=log).returncode == 0
    assert 'confirm by alice: new battery' in (log / 'fake.log').read_text()


def test_root_follows(team, fake, tmp_path):  # noqa: F811
    """Another machine of the same deployment takes up the newer root by itself."""
    fake(team, *LOG)
    other = tmp_path / 'other'
    shutil.copytree(team, other, ignore=shutil.ignore_patterns('admin.sock', '*.log'))
    yaml = other / 'huiductl.yaml'
    yaml.write_text(yaml.read_text().replace('admin: admin.sock', f'admin: {team}/admin.sock'))
    ctl('key', 'create', 'dave', '--role', 'release', '-o', 'keys', cwd=team)
    assert ctl('root', 'add', 'keys/dave.release.pub', '--role', 'release', cwd=team).returncode == 0
    assert ctl('root', 'sign', 'root-2.env', '-y', cwd=team).returncode == 0
    assert ctl('root', 'publish', 'root-2.env', cwd=team).returncode == 0
    # Dave's key is in the newer root alone: the machine looks, follows and goes on.
    shutil.copy(team / 'keys/dave.release.pem', other / 'keys')
    r = ctl('clock', 'confirm', '--key', 'keys/dave.release.pem', cwd=other)
    assert r.returncode == 0 and 'root 2 is in force now' in r.stderr
    assert (other / 'root.env').read_bytes() == (team / 'root-2.env').read_bytes()
    r = ctl('root', 'update', cwd=other)
    assert r.returncode == 0 and 'nothing was changed' in r.stdout
    stranger = ctl('key', 'create', 'eve', '--role', 'release', cwd=other)
    assert stranger.returncode == 0
    r = ctl('clock', 'confirm', '--key', 'eve.release.pem', cwd=other)
    assert r.returncode == 4 and 'this key is not in' in r.stderr


def findings(folder):
    r = ctl('doctor', '-o', 'json', cwd=folder)
    seen = json.loads(r.stdout)
    assert seen['ok'] == (r.returncode == 0)
    return r.returncode, {f['what']: f['grade'] for f in seen['findings']}


def test_doctor(team, fake):  # noqa: F811
    code, seen = findings(team)
    assert code == 1 and seen['server'] == 'bad' and seen['role root'] == 'ok'
    fake(team, *LOG)
    code, seen = findings(team)
    assert code == 0 and seen['server'] == seen['clock'] == seen['root'] == 'ok'
    assert seen['plan 2.4.1 phone-a'] == 'warn' and seen['timestamp phone-a'] == 'ok'
    assert seen['key files'] == 'warn'          # all of the team's keys lie here
    text = ctl('doctor', cwd=team).stdout
    assert fits(text) and '50 days' in text and '1 that the server renews' in text
    for key in (team / 'keys').glob('[bc]*'):
        key.unlink()
    (team / 'keys/alice.root.pem').chmod(0o644)
    code, seen = findings(team)
    assert code == 1 and seen['key file'] == 'bad' and 'key files' not in seen
    assert 'chmod 600 ' in ctl('doctor', cwd=team).stdout


def test_doctor_roles(team):  # noqa: F811
    ctl('root', 'revoke', 'carol', '--role', 'approver', cwd=team)
    ctl('root', 'threshold', 'release', '1', cwd=team)
    ctl('root', 'sign', 'root-2.env', '-y', cwd=team)
    shutil.copy(team / 'root-2.env', team / 'root.env')
    text = ctl('doctor', cwd=team).stdout
    assert re.search(r'role approver +2 of 2: one lost key locks this role; add one', text)
    assert re.search(r'role release +1 of 3: one stolen key is enough', text)


def test_doctor_demo(tmp_path):
    assert ctl('init', tmp_path / 'd', '--demo').returncode == 0
    text = ctl('doctor', cwd=tmp_path / 'd').stdout
    assert 'a production server refuses them' in text


# ---- the log

def test_log(log):
    for i in range(9):
        assert ctl('clock', 'confirm', '--reason', f'{i}', cwd=log).returncode == 0
    first = ctl('log', 'verify', cwd=log)
    assert first.returncode == 0 and fits(first.stdout) and 'for the first time' in first.stdout
    ctl('clock', 'confirm', '--reason', 'more', cwd=log)
    seen = json.loads(ctl('log', 'verify', '-o', 'json', cwd=log).stdout)
    assert (seen['size'], seen['commands'], seen['seen_before']) == (11, 10, 10)
    tail = ctl('log', 'tail', '--timeout', '1s', cwd=log).stdout.splitlines()
    assert len(tail) == 10 and tail[0].split()[0] == '1' and tail[-1].endswith(': more')
    shown = ctl('log', 'show', '10', cwd=log).stdout
    assert 'Signed     by alice (release)' in shown and 'Reason     more' in shown
    assert ctl('log', 'show', '11', cwd=log).returncode == 3


def test_log_names(team, fake):  # noqa: F811
    """Rollouts by the names that people gave them."""
    fake(team, *LOG, '--scenes', 'running')
    assert ctl('halt', '2.4.1', '--reason', 'heat', cwd=team).returncode == 0
    text = ctl('log', 'tail', '--watch=false', cwd=team).stdout
    assert re.search('alice +halt 2.4.1: heat', text)
    assert 'Command    halt 2.4.1, in acme' in ctl('log', 'show', '1', cwd=team).stdout
    # The stand-in never took a proposal: the audit does not let that pass.
    r = ctl('log', 'verify', cwd=team)
    assert r.returncode == 1 and 'of a rollout nobody proposed' in r.stderr


def test_log_export(log):
    for _ in range(3):
        ctl('clock', 'confirm', cwd=log)
    assert ctl('log', 'export', 'www/log', cwd=log).returncode == 0
    www = log / 'www/log'
    assert sorted(str(p.relative_to(www)) for p in www.rglob('*') if p.is_file()) == [
        'checkpoint', 'tile/0/000.p/4', 'tile/entries/000.p/4']
    assert (www / 'checkpoint').read_text().splitlines()[:2] == ['acme', '4']
    # Leaves are hashes of the entries, each of which has its length before it.
    bundle, leaves, n = (www / 'tile/entries/000.p/4').read_bytes(), b'', 0
    while n < len(bundle):
        size = int.from_bytes(bundle[n:n + 2], 'big')
        leaves += hashlib.sha256(b'\0' + bundle[n + 2:n + 2 + size]).digest()
        n += 2 + size
    assert (www / 'tile/0/000.p/4').read_bytes() == leaves


def test_log_shrinks_and_forks(team, fake):  # noqa: F811
    """A server that tells another story than before is found out, whatever it signs."""
    server = fake(team, *LOG)
    ctl('clock', 'confirm', cwd=team)
    assert ctl('log', 'verify', cwd=team).returncode == 0
    server.stop()
    fake(team, *LOG)                      # its log begins anew: shorter, then another
    r = ctl('log', 'verify', cwd=team)
    assert r.returncode == 1 and 'shorter' in r.stderr
    assert re.search(r'seen +2 entries, root [0-9a-f]{64}\n +now +1 entries, root', r.stderr)
    ctl('clock', 'confirm', cwd=team)
    ctl('clock', 'confirm', cwd=team)
    r = ctl('log', 'verify', cwd=team)
    assert r.returncode == 1 and 'not a continuation' in r.stderr
    assert re.search(r'seen +2 entries.*\n +now +3 entries', r.stderr)


def test_log_of_another_key(team, fake):  # noqa: F811
    fake(team, '--log-key', 'online/director.pem')
    r = ctl('log', 'verify', cwd=team)
    assert r.returncode == 1 and 'the checkpoint' in r.stderr
    assert not (team / 'log.seen').exists()
