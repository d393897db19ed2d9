# SPDX-License-Identifier: Apache-2.0
"""Which of Mender's devices are let in: tenant tokens, keys, what they show from then on, and devices
that were brought."""
import concurrent.futures
import hashlib
import json

import pytest

from mender_client import API, Client
from phones import Phones, bring, phones  # the last is a fixture
from test_huidud import wait_until

MORE = '    - {device_type: phone-y, product: phone-b, tokens: b.tokens}\n'


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
