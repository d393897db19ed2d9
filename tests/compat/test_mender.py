# SPDX-License-Identifier: Apache-2.0
"""Mender's devices as scripts, on the real huidud over TLS: a whole update, staged out, halts, wrong
keys and tokens, kills.  The real mender-client is in test_real_mender.py."""
import base64
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'scenario'))

import replay
from mender_client import API, Client
from test_huidud import Deployment, wait_until

TOKEN = 'tenant-token-0001'
CONTENT = os.urandom(300000)
EVENTS = ('downloaded', 'installing', 'installed', 'boot_ok', 'install_failed', 'rolled_back')
THERE = {'downloaded', 'installing', 'installed'}
RECORDED = pathlib.Path(__file__).parent / 'recorded'

STEP = '{{ring: stable, share: {}, soak: {}, max_soak: 1h, tolerance: none}}'
PLAN = '''
name: phones
rings:
  - {}
  - {}
watch: 1m
batch: 200ms
holdback: 0 %
crash_reports: none
'''
# Of one stage, which stays open: it counts to the end.
ALL = PLAN.replace('  - {}\n  - {}', '  - ' + STEP.format('100 %', '1h'))
FEW = PLAN.format(STEP.format('20 %', '1h'), STEP.format('100 %', '1h'))
MORE = '    - {device_type: phone-y, product: phone-b, tokens: b.tokens}\n'


class Phones(Deployment):
    def __init__(self, folder, tenants='', **changes):
        super().__init__(folder, **changes)
        (self.folder / 'tenant.tokens').write_text(f'# phones\n{TOKEN}\n')
        self.config.write_text(self.config.read_text() + f'''
compat:
  patience: 2s
  mender:
    - {{device_type: phone-x, product: phone-a, tokens: tenant.tokens}}
{tenants}''')

    def client(self, name, **options):
        """One that has authenticated, unless it must not."""
        c = Client(self.port, self.folder / 'tls/cert.pem', self.folder, name, **options)
        if options.get('lets_in', True):
            assert c.authenticate() == 200
        return c

    def publish(self, build, plan=ALL, content=CONTENT):
        self.release(build, plan, content)

    def offered(self, client, version=2):
        found = []

        def ready():
            found[:] = [client.next(version)]
            return found[0] is not None
        wait_until(ready, f'{client.name} is offered something', 30)
        return found[0]

    def foreign(self):
        lines = self.must('store', 'dump', 'foreign').splitlines()
        return {r['name']: r for r in map(json.loads, lines)}

    def record(self, client):
        return self.foreign()['imei=' + client.name]

    def state(self, client):
        return self.record(client)['state']

    def halt(self, build):
        self.must('halt', build, '--reason', 'test')

    def again(self):
        self.kill()
        self.start()

    def counts(self, build):
        s = self.rollout(build)['stages'][0]
        return {k: s.get(k) for k in ('offered', 'installed', 'boot_ok', 'failed')}

    def counted(self, client):
        """Of its action; a stage that was halted counts no more."""
        bits = self.record(client)['counted']
        return {e for i, e in enumerate(EVENTS) if bits >> i & 1}

    def comes_to(self, build, **wanted):
        """That it counted these, and nothing else but the offer."""
        want = {'offered': 1, 'installed': 0, 'boot_ok': 0, 'failed': 0, **wanted}
        wait_until(lambda: self.counts(build) == want, f'{want}, not {self.counts(build)}', 15)


@pytest.fixture
def phones(tmp_path):
    d = Phones(tmp_path)
    d.start()
    yield d
    d.stop()


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


# ---- who is let in

def test_unknown(phones):
    for options in ({'tenant_token': 'wrong-token-00001'}, {'tenant_token': ''}, {}):
        c = phones.client('1', lets_in=False, **options)
        assert c.ask()[0] == 401 and c.tell() == 401
        if options:
            assert c.authenticate() == 401
    assert phones.foreign() == {}
    c.authenticate()
    # The token lets in whom nobody knows; later the key does.
    assert phones.client('1', tenant_token='another').next() is None


def test_wrong_key(phones):
    c = phones.client('1')
    own = c.key
    c.key = phones.client('2').key
    assert c.authenticate() == 401
    body, headers = c.request_of()
    c.key = own
    signature = c.request_of()[1]['X-MEN-Signature']
    for changed in ({**headers, 'X-MEN-Signature': signature}, {**headers, 'X-MEN-Signature': '!'},
                    {k: v for k, v in headers.items() if k != 'X-MEN-Signature'}):
        assert c.call('POST', f'{API}/v1/authentication/auth_requests', body, changed)[0] == 401
    assert c.authenticate() == 200
    assert len(phones.foreign()) == 2


def test_two_of_one_name(phones):
    """They come at once: one of them is the device from then on, whoever it is."""
    pairs = []
    for i in range(8):
        clients = [phones.client(f'{i}{which}', lets_in=False, identity={'imei': str(i)})
                   for which in 'ab']
        pairs.append([(c, *c.request_of()) for c in clients])
    path = f'{API}/v1/authentication/auth_requests'
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        asked = [[pool.submit(c.call, 'POST', path, body, headers) for c, body, headers in pair]
                 for pair in pairs]
        for pair in asked:
            assert sorted(f.result()[0] for f in pair) == [200, 401]
    for pair, was in zip(pairs, asked):
        for (c, _, _), answer in zip(pair, was):
            assert c.authenticate() == answer.result()[0]


def test_names_are_of_a_product(tmp_path):
    """The token tells the product; without one, where the name is known."""
    d = Phones(tmp_path, MORE, **{'products: [phone-a]': 'products: [phone-a, phone-b]'})
    (d.folder / 'b.tokens').write_text('b-token-000000001\n')
    d.start()
    try:
        one = d.client('1')
        other = Client(d.port, d.folder / 'tls/cert.pem', tmp_path, '1', device_type='phone-y',
                       tenant_token='b-token-000000001')
        assert other.authenticate() == 200
        records = [json.loads(r) for r in d.must('store', 'dump', 'foreign').splitlines()]
        assert [r['name'] for r in records] == ['imei=1', 'imei=1']
        d.publish('2.0')
        d.offered(one)
        assert other.next() is None
        third = d.client('3', tenant_token='b-token-000000001', device_type='phone-y')
        third.tenant_token = ''
        assert third.authenticate() == 200 and third.next() is None
    finally:
        d.stop()


@pytest.mark.parametrize('spoil', [
    lambda t: '', lambda t: t[:-4], lambda t: t + 'AAAA', lambda t: t[::-1],
    lambda t: ('B' if t[0] == 'A' else 'A') + t[1:], lambda t: t[:-1] + ('B' if t[-1] == 'A' else 'A'),
    lambda t: t[:24] + 'AAAA' + t[28:], lambda t: 'x' * 4000, lambda t: '=' * 72])
def test_forged_token(phones, spoil):
    c = phones.client('1')
    token, c.token = c.token, spoil(c.token)
    assert c.ask()[0] in (401, 431)
    assert c.tell() in (401, 431)
    for name in ('status', 'log'):
        path = f'/v1/deployments/device/deployments/01234567-89ab-cdef-0123-456789abcdef/{name}'
        assert c.send('PUT', path, {'status': 'success'})[0] in (401, 431)
    c.token = token
    assert c.next() is None


def test_token_of_another(phones):
    """Its deployments are its own."""
    one, other = phones.client('1'), phones.client('2')
    phones.publish('2.0')
    offer = phones.offered(one)
    assert other.say(offer, 'failure') == 404 and other.log(offer) == 404
    assert phones.state(one) == 'offered'
    assert one.say({'id': offer['id'].upper()}, 'failure') == 404
    assert one.say({'id': offer['id'][:-1]}, 'failure') == 404
    action = int(offer['id'][-8:], 16)
    for n in (0, action - 1, action + 1, 2 ** 32 - 1):
        assert one.say({'id': f"{offer['id'][:-8]}{n:08x}"}, 'downloading') in (404, 409), n
    path = f"/v1/deployments/device/deployments/{offer['id']}"
    for tail in ('', '/', '/stat', '/status/', '/status/x'):
        assert one.send('PUT', path + tail, {'status': 'failure'})[0] == 404, tail
    assert phones.state(one) == 'offered'


def test_gone(phones):
    c = phones.client('1')
    device = phones.record(c)['device']
    phones.must('device', 'erase', device, '--yes')
    assert c.ask()[0] == 401 and c.tell() == 401
    c.authenticate()
    assert c.next() is None and phones.record(c)['device'] == device


def test_tokens_are_read_again(phones):
    (phones.folder / 'tenant.tokens').write_text('tenant-token-0002\n')
    phones.process.send_signal(1)
    n = iter(range(1000))
    wait_until(lambda: phones.client(f'a{next(n)}', lets_in=False).authenticate() == 401, 'SIGHUP')
    assert phones.client('1', tenant_token='tenant-token-0002').next() is None


def test_other_paths(phones):
    c = phones.client('1')
    for method, path, status in (
            ('GET', '/v1/nothing', 404), ('GET', '/v1/artifact/', 404), ('GET', '/v1/artifact/x/y', 404),
            ('DELETE', '/v1/inventory/device/attributes', 405),
            ('GET', '/v2/deployments/device/deployments/x/update_control_map', 404),
            ('POST', '/v3/deployments/device/deployments/next', 404)):
        assert c.call(method, API + path)[0] == status, path
    assert c.tell('PATCH') == 200


def test_another_type(phones):
    """It is heard, and offered nothing."""
    c = phones.client('1', device_type='phone-y')
    phones.publish('2.0')
    phones.offered(phones.client('2'))
    assert c.next() is None and c.next(0) is None
    assert phones.record(c)['tells_build'] and phones.state(c) == 'idle'


# ---- brought

def bring(phones, rows):
    (phones.folder / 'fleet.csv').write_text('product,protocol,name,token_sha256,build\n' + rows)
    return phones.json('fleet', 'import', 'fleet.csv')


def test_brought(phones):
    """Its key is enough; and no other's."""
    phones.publish('1.0')
    phones.publish('2.0')
    one = phones.client('1', lets_in=False, tenant_token='')
    two = phones.client('2', lets_in=False, tenant_token='', runs='2.0')
    three = phones.client('3', lets_in=False, tenant_token='')
    rows = ''.join(f'phone-a,mender,imei={c.name},{c.fingerprint()},{c.runs}\n' for c in (one, two))
    assert bring(phones, rows + 'phone-a,mender,imei=3,,1.0\n')['added'] == 3
    assert bring(phones, rows)['known'] == 2
    assert (one.authenticate(), two.authenticate(), three.authenticate()) == (200, 200, 401)
    two.key = one.key
    assert two.authenticate() == 401
    offer = phones.offered(one)
    one.install(offer)
    one.boot(offer)
    assert two.next() is None
    export = phones.must('fleet', 'export')
    assert f',{one.fingerprint()[:32]},' in export and ',mender,imei=1' in export
    (phones.folder / 'fleet.csv').write_text(export)
    assert phones.json('fleet', 'import', 'fleet.csv')['known'] == 3


def test_brought_with_keys(phones):
    """As PEM, or what stands in it."""
    clients = [phones.client(f'{i}', lets_in=False, tenant_token='', key=kind)
               for i, kind in enumerate(('ecdsa', 'rsa', 'ed25519'))]
    path = phones.folder / 'fleet.csv'
    path.write_text(''.join(json.dumps({
        'product': 'phone-a', 'protocol': 'mender', 'name': f'imei={c.name}', 'key': c.public_key()})
        + '\n' for c in clients))
    assert phones.json('fleet', 'import', 'fleet.csv')['added'] == 3
    path.write_text('key,name,protocol,product\n' + ''.join(
        ''.join(c.public_key().split('-----')[2].split()) + f',imei={c.name},mender,phone-a\n'
        for c in clients))
    assert phones.json('fleet', 'import', 'fleet.csv')['known'] == 3
    assert [c.authenticate() for c in clients] == [200] * 3
    path.write_text('product,protocol,name,key\nphone-a,mender,x,AAAA\n')
    done = phones.ctl('fleet', 'import', 'fleet.csv')
    assert done.returncode == 2 and 'key is a public key: PEM, or what stands in it' in done.stderr


def test_name_of_a_long_identity(phones):
    """As the guide's program makes it."""
    identity = {'b': 'x y', 'a': 'ü' * 90}
    name = 'sha256:' + hashlib.sha256(json.dumps(
        identity, sort_keys=True, separators=(',', ':'), ensure_ascii=False).encode()).hexdigest()
    phones.client('1', identity=identity)
    phones.client('2', identity={'serial': '7', 'imei': '35'})
    assert set(phones.foreign()) == {name, 'imei=35,serial=7'}


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
