# SPDX-License-Identifier: Apache-2.0
"""Omaha's devices as scripts, on the real huidud over TLS: a whole update, staged out, halts, failures,
fall back, kills; and what update_engine and go-omaha were seen to send, sent again."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'scenario'))

import ddi_client
import replay
from omaha_client import APP, TOKEN, Client, element
from test_hawkbit import ALL, PLAN
from test_huidud import Deployment, wait_until
from test_room import Cramped

RECORDED = pathlib.Path(__file__).parent / 'recorded'
MACHINE = '0123456789abcdef0123456789abcdef'
CONTENT = os.urandom(300000)
OTHER = 'another-app'


class Machines(Deployment):
    def __init__(self, folder, more=''):
        super().__init__(folder)
        self.edit({'products: [phone-a]': 'products: [phone-a, phone-b]'})
        (self.folder / 'gateway.tokens').write_text(f'{TOKEN}\n')
        (self.folder / 'other.tokens').write_text('gateway-token-0002\n')
        self.config.write_text(self.config.read_text() + f'''
compat:
  patience: 2s
{more}  omaha:
    - {{app: '{APP}', product: phone-a, tokens: gateway.tokens, suffix: .gz}}
    - {{app: {OTHER}, product: phone-b, tokens: other.tokens}}
''')

    def client(self, machine=MACHINE, **options):
        return Client(self.port, self.folder / 'tls/cert.pem', machine, **options)

    def publish(self, build, plan=ALL, content=CONTENT):
        self.release(build, plan, content)

    def offered(self, client, limit_s=30):
        found = []

        def ready():
            found.append(client.poll())
            return found[-1] is not None
        wait_until(ready, f'{client.machine} is offered something', limit_s)
        return found[-1]

    def foreign(self):
        lines = self.must('store', 'dump', 'foreign').splitlines()
        return {r['name']: r for r in map(json.loads, lines)}

    def state(self, machine=MACHINE):
        return self.foreign()[machine]['state']

    def why(self, name):
        return self.must('device', 'why', self.foreign()[name]['device'])

    def halt(self, build):
        self.must('halt', build, '--reason', 'test')

    def counts(self, build):
        s = self.rollout(build)['stages'][0]
        return {k: s.get(k) for k in ('offered', 'installed', 'boot_ok', 'failed')}

    def counted(self, build, **wanted):
        wait_until(lambda: wanted.items() <= self.counts(build).items(), f'{build}: {wanted}')


@pytest.fixture
def machines(tmp_path):
    d = Machines(tmp_path)
    d.start()
    yield d
    assert d.stop() == 0


def test_whole_update(machines):
    c = machines.client()
    assert c.poll() is None
    machines.publish('2.0')
    update = machines.offered(c)
    assert (update['version'], update['name'], update['size']) == ('2.0', '2.0.gz', len(CONTENT))
    assert machines.state() == 'offered'
    assert c.download(update) == CONTENT
    assert c.download(update, 100000) == CONTENT[100000:]
    c.apply(update)
    assert machines.state() == 'installed'
    c.ping() # and waits for its reboot
    machines.counted('2.0', installed=1, boot_ok=0)
    c.reboot(update)
    assert c.poll() is None
    machines.counted('2.0', offered=1, installed=1, boot_ok=1, failed=0)
    assert machines.state() == 'idle'
    # The next one.
    machines.publish('3.0')
    assert machines.offered(c)['version'] == '3.0'


def test_repeats_count_once(machines):
    c = machines.client()
    c.poll()
    machines.publish('2.0')
    update = machines.offered(c)
    for _ in range(2):
        c.apply(update)
    c.reboot(update)
    for _ in range(3):
        c.previous = '1.0'
        assert c.poll() is None
    c.event(3, 2, previous='1.0')
    machines.counted('2.0', offered=1, installed=1, boot_ok=1, failed=0)


def test_a_check_says_3_2_and_has_not_booted(machines):
    """Every check carries it."""
    c = machines.client()
    machines.publish('2.0')
    update = machines.offered(c)
    c.apply(update)
    for previous in ('', '0.0.0.0', '1.0'):
        c.event(3, 2, previous=previous)
        app = c.say(element('updatecheck'), element('event', eventtype=3, eventresult=2,
                                                    previousversion='' if previous == '1.0' else previous))
        # What is there is not offered again.
        assert app.find('updatecheck').get('status') == 'noupdate'
    assert machines.state() == 'installed'
    machines.counted('2.0', installed=1, boot_ok=0, failed=0)
    # The boot of something else is none of this.
    c.version = '1.5'
    c.event(3, 2, previous='1.0')
    assert machines.state() == 'installed'
    c.version = '2.0'
    c.event(3, 2, previous='1.0')
    machines.counted('2.0', boot_ok=1)


def test_the_check_alone_names_the_new_build(machines):
    """The word that it booted may be lost."""
    c = machines.client()
    machines.publish('2.0')
    update = machines.offered(c)
    c.apply(update)
    c.reboot(update)
    c.previous = ''
    assert c.poll() is None
    machines.counted('2.0', installed=1, boot_ok=1)


def test_staged_out_and_canary(machines):
    """Many machines: those outside the share are offered nothing, and asked to come again."""
    clients = [machines.client(f'machine-{i:03}') for i in range(100)]
    for c in clients:
        assert c.poll() is None
    machines.publish('2.0', PLAN.format(share='20 %', soak='1h'))
    inside = {c.machine for c in clients if 'its place is' not in machines.why(c.machine)}
    assert 6 <= len(inside) <= 38
    done = set()

    def go_on():
        # The admission takes them in slowly.
        for c in clients:
            update = None if c.machine in done else c.poll()
            if update:
                c.apply(update)
                c.reboot(update)
                assert c.poll() is None
                done.add(c.machine)
        return len(done) >= len(inside)
    wait_until(go_on, 'all inside the share have it')
    assert done == inside
    machines.counted('2.0', boot_ok=len(inside), failed=0)
    assert not any(c.poll() for c in clients)


def test_beside_devices_of_hawkbit(tmp_path):
    """One rollout for both, by what each of them understands."""
    d = Machines(tmp_path, more='  hawkbit: [{tenant: default, product: phone-a, gateway: gateway.tokens}]\n')
    d.start()
    try:
        machine = d.client()
        board = ddi_client.Client(d.port, d.folder / 'tls/cert.pem', 'board-1')
        assert machine.poll() is None and 'deploymentBase' not in board.poll()
        d.publish('2.0')
        update = d.offered(machine)
        machine.apply(update)
        machine.reboot(update)
        assert machine.poll() is None
        wait_until(lambda: 'deploymentBase' in board.poll(), 'hawkBit has it, too')
        board.install(board.poll())
        board.confirm(board.poll())
        d.counted('2.0', offered=2, installed=2, boot_ok=2, failed=0)
        assert set(d.foreign()) == {MACHINE, 'board-1'}
    finally:
        assert d.stop() == 0


def test_behind_a_proxy(tmp_path):
    """Links name what devices can reach, whatever the request says."""
    d = Machines(tmp_path, more='  url: https://updates.example.com\n')
    d.start()
    try:
        c = d.client()
        c.poll()
        d.publish('2.0')
        found = d.offered(c)
        assert re.fullmatch(r'https://updates\.example\.com/file/[0-9a-f]{64}/', found['codebase'])
    finally:
        assert d.stop() == 0


class Few(Cramped, Machines):
    """With few descriptors."""


def test_files_are_never_refused(tmp_path):
    """A client takes 503 for the file's fault: when there is no room its connection ends."""
    d = Few(tmp_path)
    d.start()
    held, ended = [], 0
    try:
        c = d.client()
        c.poll()
        d.publish('2.0', content=os.urandom(8 << 20))
        update = d.offered(c)
        path = update['codebase'].partition(f':{d.port}')[2] + update['name']
        for _ in range(100):
            # Who takes the first bytes and no more keeps the file open.
            with contextlib.suppress(http.client.HTTPException, OSError):
                held.append(d.connect())
                held[-1].request('GET', path)
                assert held[-1].getresponse().status == 200
                continue
            ended += 1
        assert 0 < ended < 100
        for kept in held:
            kept.close()
        wait_until(lambda: d.connections() == 0, 'they are gone')
        c.download(update)
    finally:
        assert d.stop() == 0


# ---- halts: there is no word for it, so what has not begun is taken back, and nobody is offered it again

def test_halt_before_the_download(machines):
    c = machines.client()
    machines.publish('2.0')
    machines.offered(c)
    machines.halt('2.0')
    wait_until(lambda: c.poll() is None, 'the halt')
    assert machines.state() == 'idle'
    assert c.poll() is None


def test_halt_during_the_download(machines):
    c = machines.client()
    machines.publish('2.0')
    update = machines.offered(c)
    c.event(13, 1)
    machines.halt('2.0')
    c.download(update, 5) # it cannot be told, and an error would be the file's fault
    wait_until(lambda: c.poll() is None, 'the halt')
    assert machines.state() == 'idle'
    # It has gone on all the same: that is no failure, and no pass.
    c.event(14, 1)
    c.event(3, 1)
    c.version = '2.0'
    c.previous = '1.0'
    assert c.poll() is None
    assert machines.counts('2.0')['failed'] == 0
    record = machines.foreign()[MACHINE]
    assert record['runs_hash'] == record['build_hash']
    machines.publish('2.1')
    assert machines.offered(c)['version'] == '2.1'


def test_halt_after_the_install(machines):
    c = machines.client()
    machines.publish('2.0')
    update = machines.offered(c)
    c.apply(update)
    machines.halt('2.0')
    c.previous = ''
    assert c.poll() is None
    assert machines.state() == 'installed' # it cannot be called back: its boot is waited for
    c.previous = '1.0'
    c.reboot(update)
    assert c.poll() is None
    record = machines.foreign()[MACHINE]
    assert (record['state'], record['runs_hash']) == ('idle', record['build_hash'])
    assert record['counted'] >> 3 & 1 # its boot
    assert machines.counts('2.0')['failed'] == 0
    machines.publish('2.1')
    assert machines.offered(c)['version'] == '2.1'


# ---- what fails

@pytest.mark.parametrize('code', [10, 10 | 1 << 31, 12, 15, 0])
def test_failure(machines, code):
    c = machines.client()
    machines.publish('2.0')
    c.event(13, 1)
    machines.offered(c)
    for _ in range(2):
        c.event(3, 0, code)
    machines.counted('2.0', failed=1, boot_ok=0)
    assert machines.state() == 'idle'
    assert c.poll() is None # never the same again
    machines.publish('2.1')
    assert machines.offered(c)['version'] == '2.1'


@pytest.mark.parametrize('kind, code', [(3, 2), (3, 9), (3, 34), (3, 40), (3, 2404), (14, 9)])
def test_what_is_no_failure_of_the_build(machines, kind, code):
    c = machines.client()
    machines.publish('2.0')
    update = machines.offered(c)
    c.event(13, 1)
    c.event(kind, 0, code)
    assert machines.counts('2.0')['failed'] == 0
    assert c.poll() == update


def test_rolled_back(machines):
    c = machines.client()
    machines.publish('2.0')
    update = machines.offered(c)
    c.apply(update)
    assert c.poll() is None # says 3/0 with 44: it runs what it ran before
    machines.counted('2.0', installed=1, boot_ok=0, failed=1)
    machines.publish('2.1')
    # The request in which it was said comes again, with the next one offered already.
    c.previous = '1.0'
    assert machines.offered(c)['version'] == '2.1'
    c.previous = '1.0'
    assert c.poll()['version'] == '2.1'
    assert machines.counts('2.1')['failed'] == 0
    assert machines.counts('2.0')['failed'] == 1


def test_fell_back_and_says_nothing(machines):
    c = machines.client()
    machines.publish('2.0')
    c.apply(machines.offered(c))

    def fell_back():
        c.previous = ''
        assert c.poll() is None
        return machines.counts('2.0')['failed'] == 1
    wait_until(fell_back, 'the old build, for longer than patience')


# ---- who asks

def test_several_apps(machines):
    machines.publish('2.0')
    mine = machines.client()
    other = machines.client(app=OTHER)
    unknown = machines.client(app='{00000000-0000-0000-0000-000000000000}')
    offered = []

    def ready():
        # phone-b's machines come in by another token, and this one does not open for them.
        a, b, c = mine.post(mine.app_element(*mine.check_elements()),
                            unknown.app_element(*unknown.check_elements()),
                            other.app_element(*other.check_elements()))
        assert (b.get('status'), b.find('updatecheck')) == ('error-unknownApplication', None)
        assert (c.get('status'), c.find('updatecheck').get('status')) == ('ok', 'noupdate')
        offered.append(a.find('updatecheck').get('status'))
        return offered[-1] == 'ok'
    wait_until(ready, 'the first is offered it')
    records = list(map(json.loads, machines.must('store', 'dump', 'foreign').splitlines()))
    assert [r['name'] for r in records] == [MACHINE]
    # By its own one it does; and they are two devices.
    assert machines.client(app=OTHER, token='gateway-token-0002').poll() is None
    records = list(map(json.loads, machines.must('store', 'dump', 'foreign').splitlines()))
    assert len({r['device'] for r in records}) == 2
    a, b = mine.post(mine.app_element(element('event', eventtype=13, eventresult=1),
                                      element('event', eventtype=14, eventresult=1),
                                      element('event', eventtype=3, eventresult=1)),
                     other.app_element(*other.check_elements()))
    assert len(a.findall('event')) == 3 and b.find('updatecheck').get('status') == 'noupdate'
    machines.counted('2.0', installed=1)


def test_wrong_token(machines):
    for path in ('/omaha/wrong-token-00001/v1/update/', f'/omaha/{TOKEN}x/v1/update',
                 '/omaha/x/v1/update'):
        c = machines.client()
        status, _, _ = c.call('POST', path, '<request protocol="3.0"/>')
        assert status == 401, path
    for path in ('/omaha/', '/omaha/v1/update/', f'/omaha/{TOKEN}', f'/omaha/{TOKEN}/v2/update/',
                 f'/omaha/{TOKEN}/x/v1/update', '/v1/update/x', '/omaha/' + 'x' * 129 + '/v1/update'):
        assert c.call('POST', path, '<request protocol="3.0"/>')[0] == 404, path
    assert c.call('GET', '/v1/update/')[0] == 405
    # Who shows none is let in only if it is known.
    stranger = machines.client(token=None)
    app = stranger.check()
    assert (app.get('status'), app.find('updatecheck').get('status')) == ('ok', 'noupdate')
    assert machines.foreign() == {}
    assert machines.client().poll() is None
    machines.publish('2.0')
    assert machines.offered(stranger)['version'] == '2.0'


def test_many_new_ones(tmp_path):
    """Those that come too fast are told that there is nothing, and come again."""
    d = Machines(tmp_path)
    d.edit({'enrol: open': 'enrol: {mode: open, per_minute: 2}'})
    d.start()
    try:
        assert not any(d.client(f'm-{i}').poll() for i in range(5))
        assert set(d.foreign()) == {'m-0', 'm-1'}
        d.client('m-1').ping()
    finally:
        assert d.stop() == 0


@pytest.mark.parametrize('machine', ['', 'a b', 'a/b', 'ü', 'x' * 120 + '&quot;'])
def test_names_that_are_none(machines, machine):
    machines.publish('2.0')
    for _ in range(3):
        assert machines.client(machine).poll() is None
    assert machines.foreign() == {}


def test_an_app_with_and_without_braces(machines):
    for app in (APP, APP.strip('{}'), APP.upper()):
        assert machines.client(app=app).poll() is None
    assert set(machines.foreign()) == {MACHINE}


def test_tokens_are_read_again(machines):
    (machines.folder / 'gateway.tokens').write_text('gateway-token-0003\n')
    machines.process.send_signal(1)
    path = f'/omaha/{TOKEN}/v1/update/'
    wait_until(lambda: machines.client().call('POST', path, '')[0] == 401, 'SIGHUP')
    assert machines.client(token='gateway-token-0003').poll() is None
    assert set(machines.foreign()) == {MACHINE}


def test_brought(machines):
    machines.publish('1.0')
    machines.publish('2.0')
    (machines.folder / 'm.csv').write_text(
        f'product,protocol,name,build\nphone-a,omaha,{MACHINE},1.0\nphone-a,omaha,m-2,2.0\n')
    assert machines.json('fleet', 'import', 'm.csv')['added'] == 2
    c, other = machines.client(token=None), machines.client('m-2', token=None, version='2.0')
    update = machines.offered(c)
    assert update['version'] == '2.0'
    assert other.poll() is None
    c.apply(update)
    c.reboot(update)
    assert c.poll() is None
    machines.counted('2.0', boot_ok=1, failed=0)
    assert f',omaha,{MACHINE}' in machines.must('fleet', 'export')


# ---- the server goes, and comes

def test_killed_in_the_middle(machines):
    """After each exchange: what was answered is so when it is back."""
    c = machines.client()

    def again():
        machines.kill()
        machines.start()
    c.poll()
    again()
    machines.publish('2.0')
    update = machines.offered(c)
    again()
    assert machines.offered(c) == update
    c.event(13, 1)
    again()
    assert c.download(update) == CONTENT
    c.event(14, 1)
    c.event(3, 1)
    again()
    c.event(3, 1)
    c.previous = '1.0'
    c.reboot(update)
    again()
    assert c.poll() is None
    again()
    c.previous = '1.0'
    assert c.poll() is None
    machines.counted('2.0', offered=1, installed=1, boot_ok=1, failed=0)
    assert machines.must('store', 'check')


# ---- what was recorded

def test_recorded_where_nothing_is_open(machines):
    machines.client().poll()
    for name in ('omaha-noupdate', 'omaha-malformed'):
        replay.replay(RECORDED / f'{name}.txt', machines.port, machines.folder / 'tls/cert.pem',
                      app=APP, track='stable', machine=MACHINE, new_version='2.0')
    assert set(machines.foreign()) == {MACHINE}


@pytest.mark.parametrize('name, wanted', [
    ('omaha-update', {'installed': 1, 'boot_ok': 1, 'failed': 0}),
    ('omaha-flatcar', {'installed': 1, 'boot_ok': 1, 'failed': 0}),
    ('omaha-rollback', {'installed': 1, 'boot_ok': 0, 'failed': 1}),
    ('omaha-failure', {'installed': 0, 'boot_ok': 0, 'failed': 1})])
def test_recorded(machines, name, wanted):
    c = machines.client(version='1.2.3')
    c.poll()
    machines.publish('2.0')
    machines.offered(c)
    replay.replay(RECORDED / f'{name}.txt', machines.port, machines.folder / 'tls/cert.pem',
                  app=APP, track='stable', machine=MACHINE, new_version='2.0')
    machines.counted('2.0', offered=1, **wanted)
