# SPDX-License-Identifier: Apache-2.0
"""Debian's swupdate at the real huidud over TLS: whole updates, staged out, halts, cut connections,
failures, kills of the server, wrong tokens."""
import pytest

from relay import Relay
from swupdate import FAILED, SUCCESS, SwUpdate, make_bundle, make_signer
from test_hawkbit import ALL, PLAN, TOKEN, Boards, counts, make_client
from test_huidud import wait_until

SLOW = 'bandwidth: {device: 64 KiB}\n'


class Field:
    """A huidud, a signer of images, and devices: each with its own folder."""

    def __init__(self, boards, place, signer):
        self.boards, self.place, self.signer = boards, place, signer
        self.boards.start()
        self.devices = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for d in self.devices:
            d.kill()
        self.boards.stop()

    def device(self, name, port=None, **options):
        """Not started yet."""
        options.setdefault('gatewaytoken', TOKEN)
        self.devices.append(SwUpdate(
            self.place / f'd{len(self.devices)}', f'https://localhost:{port or self.boards.port}',
            self.boards.folder / 'tls/cert.pem', self.signer, name=name, **options))
        return self.devices[-1]

    def publish(self, build, plan=ALL, signer=None, **options):
        bundle = make_bundle(self.place / build, signer or self.signer, build, **options)
        content = bundle.read_bytes()
        self.boards.publish(build, plan, content)
        return len(content)

    def record(self, name):
        return self.boards.foreign().get(name, {'state': None})

    def wait_state(self, name, state):
        wait_until(lambda: self.record(name)['state'] == state, f'{name}: {state}')

    def wait_counts(self, build, **wanted):
        """And nothing else is counted but that."""
        wanted = {'offered': 0, 'installed': 0, 'boot_ok': 0, 'failed': 0, **wanted}
        wait_until(lambda: counts(self.boards, build) == wanted,
                   f'{build}: {wanted}, it is {counts(self.boards, build)}')

    def wait_polls(self, answer, more=3):
        """So many are told that, from now on."""
        name = f'huidu_polls_total{{answer="{answer}"}}'
        want = self.boards.metric(name) + more
        wait_until(lambda: self.boards.metric(name) >= want, f'polls: {answer}')

    def runs_what_it_was_told(self, name):
        record = self.record(name)
        return record['state'] == 'idle' and record['runs_hash'] == record['build_hash']


@pytest.fixture
def field(tmp_path, place, signer):
    with Field(Boards(tmp_path), place, signer) as f:
        yield f


@pytest.fixture
def slow(tmp_path, place, signer):
    """Downloads take their time."""
    boards = Boards(tmp_path)
    boards.config.write_text(boards.config.read_text() + SLOW)
    with Field(boards, place, signer) as f:
        yield f


def install(field, device, build='2.0'):
    """Until it waits for its restart."""
    if not device.runs():
        device.start()
    field.wait_state(device.name, 'installed')
    assert device.installed() == build


# ---- well

def test_whole_update(field):
    """Three side by side; what is installed is not booted before it says so."""
    devices = [field.device(f'dev-{i}') for i in range(3)]
    for d in devices:
        d.start()
    wait_until(lambda: len(field.boards.foreign()) == 3, 'all are known')
    size = field.publish('2.0')
    for d in devices:
        install(field, d)
    field.wait_counts('2.0', offered=3, installed=3)
    field.wait_polls('up_to_date', 0)
    assert [d.installed() for d in devices] == ['2.0'] * 3
    for d in devices:
        d.restart(SUCCESS)
    field.wait_counts('2.0', offered=3, installed=3, boot_ok=3)
    wait_until(lambda: field.boards.rollout('2.0')['state'] == 'complete', 'complete')
    assert all(field.runs_what_it_was_told(d.name) for d in devices)
    # Each had the file once, and the next release finds them.
    assert field.boards.metric('huidu_artifact_bytes_total') == 3 * size
    field.publish('3.0')
    for d in devices:
        install(field, d, '3.0')


def test_the_new_build_names_itself(field):
    """No word of success: the attribute `version`, which the new image has in its configuration."""
    device = field.device('dev-1', identify={'version': '1.0'})
    device.start()
    field.publish('2.0')
    install(field, device)
    field.wait_counts('2.0', offered=1, installed=1)
    device.stop()
    config = device.folder / 'swupdate.cfg'
    config.write_text(config.read_text().replace('value = "1.0"', 'value = "2.0"'))
    device.start()
    field.wait_counts('2.0', offered=1, installed=1, boot_ok=1)
    assert field.runs_what_it_was_told('dev-1')


def test_staged_out(field):
    """It asks, and is told of nothing, until its share is open."""
    names = [f'dev-{i}' for i in range(4)]
    for name in names:
        field.boards.client(name).poll()
    field.publish('2.0', PLAN.format(share='1 %', soak='1h'))
    name = next(n for n in names if 'its place is' in field.boards.why(n))
    device = field.device(name)
    device.start()
    field.wait_polls('staged_out')
    assert device.installed() is None and field.record(name)['state'] == 'idle'
    assert counts(field.boards, '2.0')['offered'] == 0


def test_rollback_report(field):
    device = field.device('dev-1')
    device.start()
    field.publish('2.0')
    install(field, device)
    device.restart(FAILED)
    field.wait_counts('2.0', offered=1, installed=1, failed=1)
    field.wait_polls('failed_here')
    field.wait_counts('2.0', offered=1, installed=1, failed=1)


# ---- halts

def acknowledged(field, name):
    """The halt was heard of, and is no failure."""
    wait_until(lambda: (field.record(name)['state'], field.record(name)['cancelling']) ==
               ('idle', False), f'{name}: acknowledges the cancel')
    assert counts(field.boards, '2.0')['failed'] == 0


def test_halt_before_the_download(field):
    """It was told of an action, went down, and comes back to find it halted."""
    field.boards.client('dev-1').poll()
    field.publish('2.0')
    field.boards.offered(field.boards.client('dev-1'))
    field.boards.halt('2.0')
    device = field.device('dev-1')
    device.start()
    acknowledged(field, 'dev-1')
    field.wait_polls('halted')
    assert device.installed() is None
    field.wait_counts('2.0', offered=1)


def test_halt_during_the_download(slow):
    device = slow.device('dev-1')
    device.start()
    size = slow.publish('2.0', size=4_000_000) # a minute
    sent = lambda: slow.boards.metric('huidu_artifact_bytes_total')
    wait_until(lambda: sent() > 0, 'it downloads')
    assert slow.record('dev-1')['state'] == 'installing'
    slow.boards.halt('2.0')
    acknowledged(slow, 'dev-1')
    slow.wait_polls('halted')
    assert device.installed() is None and sent() < size
    slow.wait_counts('2.0', offered=1)


def test_halt_after_the_install(field):
    """It acknowledges as well, though the new build is there: fixes are for it from now on."""
    device = field.device('dev-1')
    device.start()
    field.publish('2.0')
    install(field, device)
    field.boards.halt('2.0')
    acknowledged(field, 'dev-1')
    field.wait_counts('2.0', offered=1, installed=1)
    assert field.runs_what_it_was_told('dev-1')
    field.publish('2.1')
    install(field, device, '2.1')
    device.restart(SUCCESS)
    field.wait_counts('2.1', offered=1, installed=1, boot_ok=1)
    field.wait_counts('2.0', offered=1, installed=1)


def test_success_of_another_action(field):
    """swupdate says success to whatever it is offered after its restart: that is no boot of it."""
    device = field.device('dev-1')
    device.start()
    field.publish('2.0')
    install(field, device)
    field.boards.halt('2.0')
    acknowledged(field, 'dev-1')
    device.stop()
    field.publish('2.1')
    field.boards.offered(field.boards.client('dev-1'))
    device.start(SUCCESS)
    wait_until(lambda: counts(field.boards, '2.1')['installed'] == 1, 'it says success of 2.1')
    field.wait_polls('up_to_date')
    assert device.installed() == '2.0'
    field.wait_counts('2.1', offered=1, installed=1)


# ---- connections that are cut, failures

def test_cut_connection_resumes(field):
    with Relay(field.boards.port) as relay:
        device = field.device('dev-1', relay.port)
        device.start()
        relay.cut_after = 500_000
        size = field.publish('2.0', size=1_000_000)
        install(field, device)
        assert relay.cut == 1
        # What was there was not fetched again.
        assert sum(n for n in relay.down if n < 500_000) < 700_000 < size
        device.restart(SUCCESS)
        field.wait_counts('2.0', offered=1, installed=1, boot_ok=1)


def test_wrong_signer(field):
    """It counts once a device, and the gate sees it."""
    devices = [field.device('dev-1'), field.device('dev-2')]
    for d in devices:
        d.start()
    wait_until(lambda: len(field.boards.foreign()) == 2, 'both are known')
    field.publish('2.0', signer=make_signer(field.place, 'stranger'))
    field.wait_counts('2.0', offered=2, failed=2)
    wait_until(lambda: field.boards.rollout('2.0')['state'] == 'paused', 'the gate sees it')
    assert 'failed installs' in field.boards.rollout('2.0')['gate']
    for d in devices: # and says so again, perhaps
        d.restart(FAILED)
    field.wait_polls('failed_here')
    field.wait_counts('2.0', offered=2, failed=2)
    assert [d.installed() for d in devices] == [None, None]
    streams = {s['name']: s for s in
               field.boards.json('gate', 'explain', '2.0')['stages'][0]['streams']}
    assert streams['failed installs']['canary'] == 2


def test_wrong_hardware(field):
    right, wrong = field.device('dev-1'), field.device('dev-2', hardware='9.9')
    for d in (right, wrong):
        d.start()
    wait_until(lambda: len(field.boards.foreign()) == 2, 'both are known')
    field.publish('2.0')
    install(field, right)
    field.wait_counts('2.0', offered=2, installed=1, failed=1)
    assert wrong.installed() is None and field.record('dev-2')['state'] == 'idle'


# ---- the server goes, and comes

def test_killed_during_the_download(slow):
    device = slow.device('dev-1', retry=60)
    device.start()
    slow.publish('2.0', size=250_000)
    wait_until(lambda: slow.boards.metric('huidu_artifact_bytes_total') > 60_000, 'it downloads')
    slow.boards.kill()
    assert device.installed() is None
    slow.boards.start()
    install(slow, device)
    device.restart(SUCCESS)
    slow.wait_counts('2.0', offered=1, installed=1, boot_ok=1)
    assert slow.boards.must('store', 'check')


def test_killed_before_the_confirmation(field):
    device = field.device('dev-1')
    device.start()
    field.publish('2.0')
    install(field, device)
    device.stop()
    field.boards.kill()
    device.start(SUCCESS) # nobody is there to be told
    wait_until(lambda: 'ERROR' in device.log(), 'it asks')
    field.boards.start()
    field.wait_counts('2.0', offered=1, installed=1, boot_ok=1)
    assert field.runs_what_it_was_told('dev-1')
    assert field.boards.must('store', 'check')


# ---- who is who

def test_wrong_token(field):
    refused = 'huidu_requests_refused_total{reason="unauthorised"}'
    device = field.device('dev-1', gatewaytoken='not-the-gateway-token')
    device.start()
    wait_until(lambda: field.boards.metric(refused) >= 3, 'it is refused')
    assert field.boards.foreign() == {}
    assert field.boards.metric('huidu_devices{ring="stable"}') == 0
    field.publish('2.0')
    # Its own, when the device was brought with one.
    (field.boards.folder / 'boards.csv').write_text(
        'product,protocol,name,token\nphone-a,hawkbit,dev-1,a-token-of-its-own-1\n')
    assert field.boards.json('fleet', 'import', 'boards.csv')['added'] == 1
    device.stop()
    again = field.device('dev-1', gatewaytoken=None, targettoken='a-token-of-its-own-1')
    install(field, again)


def test_client_certificate(tmp_path, place, signer):
    boards = Boards(tmp_path, '    - {tenant: certified, product: phone-a, certificates: true}\n')
    make_client(boards.folder, 'maker')
    mine = make_client(boards.folder, 'dev-1', 'maker')
    boards.edit({'tls: {': 'tls: {clients: maker.pem, '} if 'tls: {' in boards.config.read_text()
                else {'tls:\n': 'tls:\n  clients: maker.pem\n'})
    with Field(boards, place, signer) as field:
        device = field.device('dev-1', gatewaytoken=None, tenant='CERTIFIED', client=mine)
        other = field.device('dev-2', gatewaytoken=None, tenant='CERTIFIED', client=mine)
        for d in (device, other):
            d.start()
        field.publish('2.0')
        install(field, device)
        device.restart(SUCCESS)
        field.wait_counts('2.0', offered=1, installed=1, boot_ok=1)
        assert set(boards.foreign()) == {'dev-1'} # nobody else by its certificate
