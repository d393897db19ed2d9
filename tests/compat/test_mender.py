# SPDX-License-Identifier: Apache-2.0
"""Mender's devices as scripts, on the real huidud over TLS: a whole update, staged out, halts, kills,
and what was recorded.  Who is let in is in test_mender_who.py, the real mender-client in
test_real_mender.py."""
import base64
import hashlib
import json
import pathlib
import re

import pytest

import replay
from mender_client import Client
from phones import CONTENT, FEW, THERE, bring, phones  # the last is a fixture
from test_huidud import Deployment, wait_until

RECORDED = pathlib.Path(__file__).parent / 'recorded'


def test_whole_update(phones):
    c = phones.client('1')
    assert c.tell() == 200
    assert c.next() is None
    phones.publish('2.0')
    offer = phones.offered(c)
    assert offer['artifact']['artifact_name'] == '2.0'
    assert c.path_of(offer).endswith('/2.0.mender')
    assert offer == c.next()
    assert c.install(offer) == CONTENT
    assert c.download(offer, 100000) == CONTENT[100000:]
    assert phones.state(c) == 'installed'
    c.boot(offer)
    assert c.next() is None and c.tell() == 200
    phones.comes_to('2.0', installed=1, boot_ok=1)
    # The next one: another deployment, and the old one is over.
    phones.publish('3.0')
    other = phones.offered(c)
    assert other['id'] != offer['id'] and other['artifact']['artifact_name'] == '3.0'
    assert c.say(offer, 'installing') == 409
    assert c.say(offer, 'success') == 204
    assert phones.state(c) == 'offered'


@pytest.mark.parametrize('version', [0, 1, 2])
def test_versions_of_the_check(phones, version):
    c = phones.client('1')
    phones.publish('2.0')
    offer = phones.offered(c, version)
    c.install(offer)
    c.boot(offer)
    assert c.next(version) is None


@pytest.mark.parametrize('key', ['rsa', 'ecdsa', 'ed25519'])
def test_keys(phones, key):
    c = phones.client('1', key=key)
    assert c.authenticate() == 200 and c.next() is None
    assert phones.record(c)['name'] == 'imei=1'


def test_each_status_counts_once(phones):
    c = phones.client('1')
    phones.publish('2.0')
    offer = phones.offered(c)
    for word, state in (('downloading', 'installing'), ('pause_before_installing', 'installing'),
                        ('installing', 'installing'), ('pause_before_rebooting', 'installing'),
                        ('rebooting', 'installed'), ('installing', 'installed'),
                        ('pause_before_committing', 'installed'), ('success', 'idle')):
        assert c.say(offer, word, word, word, substate='x') == 204
        assert phones.state(c) == state, word
    phones.comes_to('2.0', installed=1, boot_ok=1)
    assert c.say(offer, 'rebooting') == 409
    phones.comes_to('2.0', installed=1, boot_ok=1)


def test_no_reboot(phones):
    """Success is of the old build then; its next check shows which it runs."""
    c = phones.client('1')
    assert c.next() is None
    phones.publish('2.0')
    offer = phones.offered(c)
    assert c.say(offer, 'downloading', 'installing', 'success') == 204
    phones.comes_to('2.0', installed=1)
    assert phones.state(c) == 'awaiting'
    c.runs = '2.0'
    assert c.next() is None
    phones.comes_to('2.0', installed=1, boot_ok=1)


def test_failure_and_its_log(phones):
    c = phones.client('1')
    phones.publish('2.0')
    offer = phones.offered(c)
    for _ in range(2):
        assert c.say(offer, 'downloading', 'failure')
    assert c.log(offer) == 204
    assert c.log(offer, 'a "quoted"\nline' + 'l' * 180000) == 204
    assert c.log(offer, 'l' * 900000) == 413
    phones.comes_to('2.0', failed=1)
    assert c.next() is None and phones.state(c) == 'idle'


def test_rollback(phones):
    c = phones.client('1')
    phones.publish('2.0')
    offer = phones.offered(c)
    c.install(offer)
    assert c.authenticate() == 200
    assert c.say(offer, 'failure', 'failure') == 204
    assert c.tell() == 200
    phones.comes_to('2.0', installed=1, failed=1)
    assert c.next() is None


def test_a_failure_that_is_lost(phones):
    """It asks only when it is at nothing: so it fell back, and is not offered the same again."""
    c = phones.client('1')
    phones.publish('2.0')
    c.install(phones.offered(c))
    assert c.next() is None
    phones.comes_to('2.0', installed=1, failed=1)
    assert c.next() is None


def test_already_installed(phones):
    c = phones.client('1', runs='2.0')
    phones.publish('1.9')
    phones.publish('2.0')
    d = phones.client('2', runs='something')
    offer = phones.offered(d)
    assert d.say(offer, 'already-installed', 'already-installed') == 204
    assert phones.state(d) == 'idle'
    assert c.next() is None
    assert phones.counts('2.0')['failed'] == 0


# ---- staged, halted

def test_staged_out(phones):
    clients = [phones.client(f'{i:03}') for i in range(60)]
    phones.publish('2.0', FEW)
    records = phones.foreign()
    why = {c: phones.must('device', 'why', records['imei=' + c.name]['device']) for c in clients}
    inside = {c for c in clients if 'its place is' not in why[c]}
    assert 2 <= len(inside) <= 28
    done = set()

    def go_on():
        for c in clients:
            offer = c.next() if c not in done else None
            if offer:
                c.install(offer)
                c.boot(offer)
                done.add(c)
        return len(done) == len(inside)
    wait_until(go_on, 'all inside the share have it')
    assert done == inside
    wait_until(lambda: phones.counts('2.0')['boot_ok'] == len(inside), 'all told')
    assert not any(c.next() for c in clients)


def test_halt_before_it_begins(phones):
    c = phones.client('1')
    phones.publish('2.0')
    offer = phones.offered(c)
    phones.halt('2.0')
    wait_until(lambda: c.next() is None, 'the halt')
    assert phones.state(c) == 'idle'
    assert c.say(offer, 'downloading') == 409
    assert c.say(offer, 'failure') == 204
    phones.comes_to('2.0')


@pytest.mark.parametrize('before, after', [
    ((), 'downloading'), (('downloading',), 'downloading'),
    (('downloading', 'installing'), 'pause_before_rebooting'),
    (('downloading', 'installing'), 'rebooting'),
    (('downloading', 'installing', 'rebooting'), 'installing')])
def test_halt(phones, before, after):
    """It is told by 409, as often as it goes on; what it took back is no failure of the build."""
    c = phones.client('1')
    phones.publish('2.0')
    offer = phones.offered(c)
    if before:
        assert c.say(offer, *before) == 204
    phones.halt('2.0')
    wait_until(lambda: c.say(offer, after) == 409, 'the halt')
    assert c.say(offer, after) == 409
    phones.again()
    assert c.say(offer, after) == 409
    assert c.download(offer) == CONTENT # who is at it is not told by an error
    assert c.say(offer, 'failure', 'failure') == 204 and c.log(offer) == 204
    assert c.next() is None and phones.state(c) == 'idle'
    assert phones.counted(c) == (THERE if 'rebooting' in (*before, after) else
                                 {'downloaded'} if 'installing' in before else set())
    assert phones.counts('2.0')['failed'] == 0


FAIL = dict.fromkeys(('ArtifactInstall_Enter', 'ArtifactReboot_Enter', 'ArtifactCommit_Enter'), 'fail')


@pytest.mark.parametrize('said', [
    (), ('downloading',), ('downloading', 'installing'), ('downloading', 'installing', 'rebooting')])
def test_control_map(phones, said):
    """It is asked for before each step; what was halted is given up there, and has not failed."""
    c = phones.client('1')
    phones.publish('2.0')
    offer = phones.offered(c)
    assert c.control({'id': 'x'}) is None
    if said:
        assert c.say(offer, *said) == 204
    assert c.control(offer) == {}
    phones.halt('2.0')
    wait_until(lambda: c.control(offer) == FAIL, 'the halt')
    phones.again()
    assert c.control(offer) == FAIL
    assert c.say(offer, 'failure') == 204 and c.control(offer) is None
    assert phones.counts('2.0')['failed'] == 0
    assert phones.client('2').control(offer) is None # another's


def test_success_in_spite_of_a_halt(phones):
    c = phones.client('1')
    phones.publish('2.0')
    offer = phones.offered(c)
    c.install(offer)
    phones.halt('2.0')
    c.boot(offer)
    assert c.next() is None
    assert phones.counted(c) == THERE | {'boot_ok'}


# ---- the server goes, and comes

def test_killed_in_the_middle(phones):
    """After each exchange: what was answered is so when it is back.  Tokens go on, too."""
    c = phones.client('1')
    phones.again()
    assert c.tell() == 200
    phones.publish('2.0')
    offer = phones.offered(c)
    phones.again()
    assert c.next() == offer
    for word in ('downloading', 'installing', 'rebooting', 'installing', 'success'):
        phones.again()
        assert c.say(offer, word) == 204
    phones.again()
    assert c.say(offer, 'success') == 204
    phones.comes_to('2.0', installed=1, boot_ok=1)
    assert phones.must('store', 'check')


# ---- recorded

def opening(name):
    """What the device of a recording showed at first."""
    return json.loads(replay.parse((RECORDED / name).read_text())[0].body)


def bring_recorded(phones, name):
    key = opening(name)['pubkey'].split('-----')[2]
    fingerprint = hashlib.sha256(base64.b64decode(key)).hexdigest()
    phones.publish('release-1')
    assert bring(phones, f'phone-a,mender,imei=356938035643809,{fingerprint},release-1\n')['added'] == 1
    phones.publish('release-2')


def wait_offer(phones):
    """What was started is offered a moment later: to others first."""
    phones.offered(phones.client('first', runs='release-1'))


def test_recorded_update(phones, tmp_path):
    bring_recorded(phones, 'mender-update.txt')
    wait_offer(phones)
    text = (RECORDED / 'mender-update.txt').read_text()
    text = re.sub(r'(auth_requests .*?\n--- 200\n)', r'\1save token body\n', text, flags=re.S)
    text = text.replace('"release-1","device_type":"phone-x"},"update_control_map":true}\n--- 200\n',
                        '"release-1","device_type":"phone-x"},"update_control_map":true}\n--- 200\n'
                        'save deployment json id\n'
                        'save artifact json artifact.source.uri ~ https://[^/]*(/.*)\n')
    assert text.count('save ') == 4
    file = tmp_path / 'update.txt'
    file.write_text(text)
    replay.replay(file, phones.port, phones.folder / 'tls/cert.pem')
    wait_until(lambda: phones.counts('release-2')['boot_ok'] == 1, 'it is counted')


def test_recorded_malformed(phones):
    bring_recorded(phones, 'mender-malformed.txt')
    wait_offer(phones)
    replay.replay(RECORDED / 'mender-malformed.txt', phones.port, phones.folder / 'tls/cert.pem')
    wait_until(lambda: phones.counts('release-2')['failed'] == 1, 'it is counted')


def test_off_by_default(tmp_path):
    d = Deployment(tmp_path)
    d.start()
    try:
        c = Client(d.port, d.folder / 'tls/cert.pem', d.folder, '1')
        assert c.authenticate() == 404 and c.ask()[0] == 404
    finally:
        d.stop()
