# SPDX-License-Identifier: Apache-2.0
"""hawkBit's devices as scripts, on the real huidud over TLS: a whole update, staged out, halts, wrong
tokens, kills.  The real swupdate is in test_real_swupdate.py."""
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'scenario'))

from ddi_client import Client
from test_huidud import Deployment, wait_until

TOKEN = 'gateway-token-0001'
CONTENT = os.urandom(300000)

PLAN = '''
name: boards
rings:
  - {{ring: stable, share: {share}, soak: {soak}, max_soak: 1h, tolerance: none}}
  - {{ring: stable, share: 100 %, soak: {soak}, max_soak: 1h, tolerance: none}}
watch: 1m
batch: 200ms
holdback: 0 %
crash_reports: none
'''
ALL = '''
name: boards
rings:
  - {ring: stable, share: 100 %, soak: 1s, max_soak: 1h, tolerance: none}
watch: 1m
batch: 200ms
holdback: 0 %
crash_reports: none
'''


class Boards(Deployment):
    def __init__(self, folder, more='', **changes):
        super().__init__(folder, **changes)
        (self.folder / 'gateway.tokens').write_text(f'# boards\n{TOKEN}\n')
        self.config.write_text(self.config.read_text() + f'''
compat:
  patience: 2s
  hawkbit:
    - {{tenant: default, product: phone-a, gateway: gateway.tokens}}
{more}''')

    def client(self, name, **options):
        return Client(self.port, self.folder / 'tls/cert.pem', name, **options)

    def publish(self, build, plan=ALL, content=CONTENT):
        self.release(build, plan, content)

    def stage(self, build):
        return self.rollout(build)['stages'][0]

    def offered(self, client, limit_s=30):
        """Polls until an action is there."""
        found = {}

        def ready():
            found.update(client.poll())
            return 'deploymentBase' in found
        wait_until(ready, f'{client.name} is offered something', limit_s)
        return {'deploymentBase': found['deploymentBase']}

    def foreign(self):
        lines = self.must('store', 'dump', 'foreign').splitlines()
        return {r['name']: r for r in map(json.loads, lines)}

    def why(self, name):
        return self.must('device', 'why', self.foreign()[name]['device'])

    def halt(self, build):
        self.must('halt', build, '--reason', 'test')


@pytest.fixture
def boards(tmp_path):
    d = Boards(tmp_path)
    d.start()
    yield d
    d.stop()


def counts(boards, build):
    s = boards.stage(build)
    return {k: s.get(k) for k in ('offered', 'installed', 'boot_ok', 'failed')}


def test_whole_update(boards):
    c = boards.client('board-1')
    links = c.poll()
    assert 'deploymentBase' not in links and 'configData' in links
    c.tell(serialNo='1')
    assert 'configData' not in c.poll()
    boards.publish('2.0')
    links = boards.offered(c)
    action, artifact = c.begin(links)
    assert (artifact['filename'], artifact['size']) == ('2.0.swu', len(CONTENT))
    assert c.download(artifact) == CONTENT
    assert c.download(artifact, 100000) == CONTENT[100000:]
    c.all_there(action)
    state = boards.foreign()['board-1']
    assert (state['state'], state['action']) == ('installed', action)
    # The restart: the same action is there to be confirmed, and nothing counts twice.
    assert c.confirm(c.poll()) == action
    assert c.feed(action, 'closed', 'success') == 200
    assert c.feed(action + 1, 'closed', 'success') == 404
    links = c.poll()
    assert 'deploymentBase' not in links
    wait_until(lambda: counts(boards, '2.0')['boot_ok'] == 1, 'it is counted')
    assert counts(boards, '2.0') == {'offered': 1, 'installed': 1, 'boot_ok': 1, 'failed': 0}
    # The next one: the same device, another action, and the old one is over.
    boards.publish('3.0')
    links = boards.offered(c)
    assert c.deployment(links)[0] > action
    assert c.feed(action, 'proceeding') == 410


def test_tenant_in_any_case_and_names(boards):
    for tenant in ('default', 'DEFAULT', 'Default'):
        assert boards.client('a:b', tenant=tenant).poll() is not None
    assert boards.client('a%3Ab').poll() is not None
    assert set(boards.foreign()) == {'a:b'}
    for path, method in (('/OTHER/controller/v1/x', 'GET'), ('/DEFAULT/controller/v2/x', 'GET'),
                         ('/DEFAULT/controller/v1/', 'GET'), ('/DEFAULT/controller/v1/a%', 'GET'),
                         ('/DEFAULT/controller/v1/a%2Fb', 'GET'),
                         ('/DEFAULT/controller/v1/x/deploymentBase/0', 'GET'),
                         ('/DEFAULT/controller/v1/x/deploymentBase/2147483648', 'GET'),
                         ('/DEFAULT/controller/v1/x/deploymentBase/7x', 'GET'),
                         ('/DEFAULT/controller/v1/x/nothing', 'POST'), ('/', 'GET')):
        assert boards.client('x').call(method, path)[0] == 404, path


@pytest.mark.parametrize('auth', [None, 'GatewayToken wrong-token-00001', 'GatewayToken ', 'GatewayToken',
                                  'TargetToken ' + TOKEN, 'Basic ' + TOKEN, TOKEN])
def test_wrong_token(boards, auth):
    c = boards.client('board-1', auth=auth)
    for method, path, body in (('GET', '', None), ('PUT', '/configData', '{}'),
                               ('GET', '/deploymentBase/1', None),
                               ('POST', '/deploymentBase/1/feedback', '{}'),
                               ('GET', '/cancelAction/1', None),
                               ('POST', '/cancelAction/1/feedback', '{}')):
        assert c.call(method, c.base + path, body)[:2] == (401, b'')
    assert boards.foreign() == {}


def openssl(folder, *args):
    subprocess.run(['openssl', *args], cwd=folder, check=True, capture_output=True, timeout=60)


def make_client(folder, name, signer=None):
    key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', f'/CN={name}',
           '-days', '2', '-keyout', f'{name}.key', '-out', f'{name}.pem']
    by = ['-CA', f'{signer}.pem', '-CAkey', f'{signer}.key'] if signer else []
    openssl(folder, 'req', '-x509', *key, *by)
    return folder / f'{name}.pem', folder / f'{name}.key'


def test_certificates(tmp_path):
    d = Boards(tmp_path, more='    - {tenant: certified, product: phone-a, certificates: true}\n')
    make_client(d.folder, 'maker')
    make_client(d.folder, 'stranger')
    d.edit({'tls: {': 'tls: {clients: maker.pem, '} if 'tls: {' in d.config.read_text() else
           {'tls:\n': 'tls:\n  clients: maker.pem\n'})
    mine = make_client(d.folder, 'board-1', 'maker')
    false = make_client(d.folder, 'board-2', 'stranger')
    d.start()
    try:
        c = d.client('board-1', tenant='certified', auth=None, client=mine)
        assert 'configData' in c.poll()
        assert 'configData' in c.poll()
        # Another's name, no certificate, a tenant that takes none, and a token that is wrong beside it.
        assert d.client('board-3', tenant='certified', auth=None, client=mine).call(
            'GET', '/certified/controller/v1/board-3')[0] == 401
        assert d.client('board-1', tenant='certified', auth=None).call('GET', c.base)[0] == 401
        assert d.client('board-1', auth=None, client=mine).call(
            'GET', '/default/controller/v1/board-1')[0] == 401
        assert d.client('board-1', tenant='certified', auth='GatewayToken x', client=mine).call(
            'GET', c.base)[0] == 401
        with pytest.raises((ssl.SSLError, ConnectionError)):
            d.client('board-2', tenant='certified', auth=None, client=false).call(
                'GET', '/certified/controller/v1/board-2')
        # Who has a token needs no certificate.
        assert d.client('board-9').poll() is not None
        assert set(d.foreign()) == {'board-1', 'board-9'}
    finally:
        d.stop()


def test_gateway_tokens_are_read_again(boards):
    (boards.folder / 'gateway.tokens').write_text('gateway-token-0002\n')
    boards.process.send_signal(1)
    wait_until(lambda: boards.client('b').call('GET', '/DEFAULT/controller/v1/b')[0] == 401, 'SIGHUP')
    assert boards.client('b', auth='gatewaytoken gateway-token-0002').poll() is not None


def test_staged_out_and_canary(boards):
    """Many devices: those outside the share are offered nothing, and the shares are about right."""
    names = [f'board-{i:03}' for i in range(120)]
    clients = [boards.client(n) for n in names]
    for c in clients:
        c.poll()
    boards.publish('2.0', PLAN.format(share='20 %', soak='1h'))
    done, out = set(), {n: boards.why(n) for n in names}
    inside = {n for n in names if 'its place is' not in out[n]}
    assert 8 <= len(inside) <= 45

    def go_on():
        # The admission takes them in slowly.
        for c in clients:
            links = {} if c.name in done else c.poll()
            if 'deploymentBase' in links:
                c.install(links)
                c.confirm(c.poll())
                done.add(c.name)
        return len(done) == len(inside)
    wait_until(go_on, 'all inside the share have it')
    assert done == inside
    wait_until(lambda: counts(boards, '2.0')['boot_ok'] == len(inside), 'all told')
    assert not any('deploymentBase' in c.poll() for c in clients)


# ---- brought

ROWS = '''product,protocol,name,token,build
phone-a,hawkbit,board-1,a-token-of-its-own-1,1.0
phone-a,hawkbit,"board,2",a-token-of-its-own-2,2.0
phone-a,hawkbit,board-3,,1.0
'''


def bring(boards, rows=ROWS):
    boards.publish('1.0')
    boards.publish('2.0')
    (boards.folder / 'boards.csv').write_text(rows)
    return boards.json('fleet', 'import', 'boards.csv')


def test_brought_with_tokens(boards):
    assert bring(boards)['added'] == 3
    assert bring_again(boards) == (0, 3)
    c = boards.client('board-1', auth='TargetToken a-token-of-its-own-1')
    for auth in ('TargetToken a-token-of-its-own-2', 'TargetToken x', None):
        assert boards.client('board-1', auth=auth).call('GET', c.base)[0] == 401
    assert boards.client('board-3', auth='TargetToken a-token-of-its-own-1').call(
        'GET', '/DEFAULT/controller/v1/board-3')[0] == 401
    assert boards.client('unknown', auth='TargetToken a-token-of-its-own-1').call(
        'GET', '/DEFAULT/controller/v1/unknown')[0] == 401
    # It was told to run 1.0, so 2.0 is for it; who runs 2.0 gets nothing.
    c.install(boards.offered(c))
    c.confirm(c.poll())
    other = boards.client('board,2', auth='TargetToken a-token-of-its-own-2')
    for _ in range(5):
        assert 'deploymentBase' not in other.poll()
    # A gateway may still speak for each of them.
    assert boards.client('board-1').poll() is not None
    assert set(boards.foreign()) == {'board-1', 'board,2', 'board-3'}


def bring_again(boards):
    out = boards.json('fleet', 'import', 'boards.csv')
    return out['added'], out['known']


def test_exported_and_brought_again(boards):
    bring(boards)
    first = boards.must('fleet', 'export')
    assert ',hawkbit,"board,2"' in first and ',hawkbit,board-1' in first
    (boards.folder / 'boards.csv').write_text(first)
    assert bring_again(boards) == (0, 3)
    (boards.folder / 'boards.csv').write_text(boards.must('fleet', 'export', '-o', 'jsonl'))
    assert bring_again(boards) == (0, 3)
    # Who comes by itself before it is brought keeps what it is.
    boards.client('board-9').poll()
    (boards.folder / 'boards.csv').write_text(ROWS.replace('board-1', 'board-9'))
    assert bring_again(boards) == (0, 3)


@pytest.mark.parametrize('row, why', [
    ('phone-a,hawkbit,,,', 'protocol and name: both or none'),
    ('phone-a,,board,t,', 'token is 16 to 128'),
    ('phone-a,hawkbat,board,,', 'protocol is hawkbit, mender or omaha'),
    ('phone-a,hawkbit,a/b,,', 'name is 1 to 128 printable characters'),
])
def test_rows_that_are_none(boards, row, why):
    (boards.folder / 'boards.csv').write_text('product,protocol,name,token,build\n' + row + '\n')
    done = boards.ctl('fleet', 'import', 'boards.csv')
    assert done.returncode == 2 and why in done.stderr, done.stderr


# ---- halts

def test_halt_before_the_download(boards):
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    links = boards.offered(c)
    action, _ = c.deployment(links)
    boards.halt('2.0')
    for _ in range(3): # until it is acknowledged
        links = c.poll()
        assert 'deploymentBase' not in links
        assert c.call('GET', f'{c.base}/deploymentBase/{action}')[0] == 404
    assert c.cancel(links) == action
    assert 'cancelAction' not in c.poll()
    assert boards.foreign()['board-1']['state'] == 'idle'
    assert counts(boards, '2.0')['failed'] == 0
    assert c.call('GET', f'{c.base}/cancelAction/{action}')[0] == 410


def test_halt_during_the_download(boards):
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    action, artifact = c.begin(boards.offered(c))
    c.download(artifact)
    boards.halt('2.0')
    # A file that has begun goes on: the device is told by its next poll, not by an error.
    c.download(artifact, 5)
    assert c.feed(action, 'proceeding') == 200
    assert c.cancel(c.poll()) == action
    assert c.poll().keys() <= {'configData'}
    assert counts(boards, '2.0') == {'offered': 1, 'installed': 0, 'boot_ok': 0, 'failed': 0}


def test_halt_after_the_install(boards):
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    action = c.install(boards.offered(c))
    boards.halt('2.0')
    assert c.cancel(c.poll()) == action
    record = boards.foreign()['board-1']
    # It may run the halted build: that is what fixes and newer builds go by.
    assert record['state'] == 'idle' and record['runs_hash'] == record['build_hash']
    wait_until(lambda: counts(boards, '2.0')['installed'] == 1, 'it was installed')
    assert counts(boards, '2.0')['failed'] == 0
    boards.publish('2.1')
    boards.offered(c)


def test_a_rejected_cancel(boards):
    c = boards.client('rauc-1')
    c.tell(version='1.0')
    boards.publish('2.0')
    action, _ = c.deployment(boards.offered(c))
    assert c.feed(action, 'proceeding', detail='installing') == 200
    boards.halt('2.0')
    for execution in ('rejected', 'canceled'):
        c.cancel(c.poll(), execution) # and it is told again
    assert c.feed(action, 'closed', 'success') == 200
    assert not c.poll().keys() & {'cancelAction', 'deploymentBase'}
    c.tell(version='2.0')
    record = boards.foreign()['rauc-1']
    assert (record['state'], record['runs_hash']) == ('idle', record['build_hash'])
    assert record['counted'] >> 3 & 1 # its boot


# ---- what is success, and what is not

def test_rauc_says_success_before_the_reboot(boards):
    c = boards.client('rauc-1')
    c.tell(version='1.0', mac_address='ff:ff')
    boards.publish('2.0')
    action, artifact = c.deployment(boards.offered(c))
    c.download(artifact)
    for percent in (5, 100):
        assert c.feed(action, 'proceeding', detail=f'{percent}% Installing') == 200
    assert c.feed(action, 'closed', 'success', 'Software bundle installed successfully.') == 200
    links = c.poll()
    assert links.keys() == {'configData'}
    c.tell(version='1.0')
    wait_until(lambda: counts(boards, '2.0')['installed'] == 1, 'installed')
    assert counts(boards, '2.0')['boot_ok'] == 0
    c.tell(version='2.0')
    wait_until(lambda: counts(boards, '2.0')['boot_ok'] == 1, 'its new build runs')


def test_rauc_falls_back(boards):
    c = boards.client('rauc-1')
    c.tell(version='1.0')
    boards.publish('2.0')
    action, _ = c.deployment(boards.offered(c))
    assert c.feed(action, 'closed', 'success') == 200

    def fell_back():
        c.tell(version='1.0')
        return counts(boards, '2.0')['failed'] == 1
    wait_until(fell_back, 'the old build, for longer than patience')
    assert counts(boards, '2.0')['boot_ok'] == 0
    assert 'deploymentBase' not in c.poll()


@pytest.mark.parametrize('body', [
    '{ "id": %d, "status": { "result": { "progress": { "cnt" : 0, "of" : 1 }, "finished": "failure" }, '
    '"execution": "closed", "details" : [ "No artifact download URL reported by server.\n" ] } }',
    '{ "id": %d, "status": { "result": { "finished": "failure" }, "execution": "closed", '
    '"details" : [ "could not open "/dev/x"" ] } }',
    '{"id":"%d","status":{"execution":"closed","result":{"finished":"failure"}}}'])
def test_failure(boards, body):
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    action, _ = c.begin(boards.offered(c))
    for _ in range(2):
        assert c.call('POST', f'{c.base}/deploymentBase/{action}/feedback', body % action)[0] == 200
    wait_until(lambda: counts(boards, '2.0')['failed'] == 1, 'it failed')
    assert 'deploymentBase' not in c.poll()
    assert boards.foreign()['board-1']['state'] == 'idle'


def test_rollback_report(boards):
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    c.install(boards.offered(c))
    c.confirm(c.poll(), 'failure')
    wait_until(lambda: counts(boards, '2.0')['failed'] == 1, 'it came back')
    assert counts(boards, '2.0')['boot_ok'] == 0


@pytest.mark.parametrize('body', ['', '{', '[]', '{"status":{}}', '{"status":{"execution":"dancing"}}',
                                  '{"status":{"execution":7}}', '[' * 20000])
def test_a_feedback_that_says_nothing(boards, body):
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    action, _ = c.begin(boards.offered(c))
    status = c.call('POST', f'{c.base}/deploymentBase/{action}/feedback', body)[0]
    assert status in (400, 413)
    assert boards.foreign()['board-1']['state'] == 'installing'


def test_a_large_log(boards):
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    action, _ = c.begin(boards.offered(c))
    assert c.feed(action, 'proceeding', detail='x' * 126000) == 200


# ---- the server goes, and comes

def test_killed_in_the_middle(boards):
    """After each exchange: what was answered is so when it is back."""
    c = boards.client('board-1')

    def again():
        boards.kill()
        boards.start()
    c.poll()
    again()
    c.tell(serialNo='1')
    boards.publish('2.0')
    links = boards.offered(c)
    action, artifact = c.deployment(links)
    again()
    assert c.deployment(c.poll())[0] == action
    assert c.feed(action, 'proceeding') == 200
    again()
    assert c.download(artifact) == CONTENT
    c.all_there(action)
    again()
    c.all_there(action)
    assert c.confirm(c.poll()) == action
    again()
    assert c.feed(action, 'closed', 'success') == 200
    assert 'deploymentBase' not in c.poll()
    wait_until(lambda: counts(boards, '2.0')['boot_ok'] == 1, 'once')
    assert counts(boards, '2.0') == {'offered': 1, 'installed': 1, 'boot_ok': 1, 'failed': 0}
    boards.halt('2.0')
    again()
    assert not c.poll().keys() & {'cancelAction', 'deploymentBase'}


def test_killed_while_cancelling(boards):
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    action, _ = c.begin(boards.offered(c))
    boards.halt('2.0')
    assert 'cancelAction' in c.poll()
    boards.kill()
    boards.start()
    assert c.cancel(c.poll()) == action
    boards.kill()
    boards.start()
    assert 'cancelAction' not in c.poll()
    assert boards.must('store', 'check')


def test_erased_and_back(boards):
    c = boards.client('board-1')
    c.poll()
    device = boards.foreign()['board-1']['device']
    assert 'phone-a' in boards.must('device', 'why', device)
    boards.must('device', 'erase', device, '--yes')
    assert boards.foreign() == {}
    assert 'configData' in c.poll()
    assert boards.foreign()['board-1']['device'] == device


def test_off_by_default(tmp_path):
    d = Deployment(tmp_path)
    d.start()
    try:
        c = Client(d.port, d.folder / 'tls/cert.pem', 'board-1')
        assert c.call('GET', c.base)[0] == 404
        assert re.search(r'foreign +0', d.must('store', 'stat'))
    finally:
        d.stop()
