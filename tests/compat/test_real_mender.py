# SPDX-License-Identifier: Apache-2.0
"""Debian's mender-client at the real huidud, over TLS: a whole update, rollback, halts, kills."""
import base64
import hashlib
import pathlib
import tempfile
import time

import pytest

from mender import Mender, make_artifact, make_key
from phones import ALL, EVENTS, THERE, Phones, bring
from test_huidud import wait_until

WAIT_S = 60
MINUTE_S = 60  # until the client asks for its control map again
SLOW = {'poll:': 'bandwidth: {device: 300 KiB}\npoll:'}


class Scene:
    """A server, one device that runs release-1, and release-2 that is not started yet."""

    def __init__(self, tmp_path, place, module='slot', size=20000, **options):
        self.phones = Phones(tmp_path, **options.pop('changes', {}))
        self.artifact = make_artifact(place / 'artifact', 'release-2', options.pop('made_by', None),
                                      module=module, size=size)
        self.device = Mender(place / 'd', f'https://localhost:{self.phones.port}',
                             self.phones.folder / 'tls/cert.pem',
                             tenant_token=options.pop('tenant_token', 'tenant-token-0001'), **options)

    def __enter__(self):
        self.phones.start()
        return self

    def __exit__(self, *_):
        self.device.kill()
        self.phones.stop()

    def publish(self):
        self.phones.publish('release-2', ALL, self.artifact.read_bytes())

    def record(self):
        return next(iter(self.phones.foreign().values()), {})

    def wait_state(self, *states):
        wait_until(lambda: self.record().get('state') in states,
                   f'{states}: {self.record()} {self.device.log()[-3000:]}', WAIT_S)

    def counted(self):
        return {e for i, e in enumerate(EVENTS) if self.record()['counted'] >> i & 1}

    def wait_counted(self, wanted, limit_s=WAIT_S):
        wait_until(lambda: self.record().get('state') == 'idle' and self.counted() == wanted,
                   f'{wanted}: {self.record()} {self.device.log()[-3000:]}', limit_s)


@pytest.fixture
def scene(tmp_path, place):
    with Scene(tmp_path, place) as s:
        s.publish()
        yield s


@pytest.fixture(scope='module')
def resuming(tmp_path_factory):
    """A download in which the server is killed; meanwhile the other tests run."""
    folder = tmp_path_factory.mktemp('resuming')
    with tempfile.TemporaryDirectory(prefix='c-') as place:
        with Scene(folder, pathlib.Path(place), 'single-file', 1_500_000, changes=SLOW) as s:
            s.publish()
            s.device.start()
            s.wait_state('installing')
            time.sleep(1)  # some of it has come
            s.phones.again()
            yield s


@pytest.fixture(autouse=True)
def meanwhile(resuming):
    assert resuming.device.runs()


def test_whole_update(scene):
    scene.device.start()
    scene.device.reboot()
    scene.wait_counted(THERE | {'boot_ok'})
    assert scene.device.installed() == 'release-2'
    wait_until(lambda: scene.record()['runs_hash'] == scene.record()['build_hash'], 'it says so')
    scene.phones.comes_to('release-2', installed=1, boot_ok=1)


def test_no_reboot_and_the_server_restarts(tmp_path, place):
    with Scene(tmp_path, place, 'single-file') as scene:
        scene.device.start()
        scene.wait_state('idle')
        scene.phones.again()
        scene.publish()
        scene.wait_counted(THERE | {'boot_ok'})
        assert scene.device.installed() == 'release-2'


def test_rollback(scene):
    scene.device.bad_boot('release-2')
    scene.device.start()
    scene.device.reboot()
    scene.device.reboot()
    scene.wait_counted(THERE | {'rolled_back'})
    assert scene.device.installed() is None
    scene.phones.comes_to('release-2', installed=1, failed=1)


def test_wrong_device_type(tmp_path, place):
    """The artifact is for another: it says failure."""
    with Scene(tmp_path, place, 'single-file') as scene:
        scene.artifact = make_artifact(place / 'other', 'release-2', device_type='phone-y')
        scene.publish()
        scene.device.start()
        wait_until(lambda: scene.record().get('counted') and 'install_failed' in scene.counted(),
                   'its failure', WAIT_S)
        assert scene.device.installed() is None


def test_wrong_signer(tmp_path, place):
    ours, theirs = (make_key(tmp_path / name, 'rsa') for name in ('ours', 'theirs'))
    with Scene(tmp_path, place, 'single-file', signer=ours, made_by=theirs) as scene:
        scene.publish()
        scene.device.start()
        scene.wait_counted({'install_failed'})
        assert scene.device.installed() is None
        scene.phones.comes_to('release-2', failed=1)


def test_side_by_side(tmp_path, place):
    """Three of one product: each with an action of its own."""
    with Scene(tmp_path, place, 'single-file') as scene:
        scene.publish()
        devices = [Mender(place / str(i), f'https://localhost:{scene.phones.port}',
                          scene.phones.folder / 'tls/cert.pem', identity={'imei': str(i)},
                          tenant_token='tenant-token-0001') for i in range(3)]
        try:
            for d in devices:
                d.start()
            wait_until(lambda: scene.phones.counts('release-2')['boot_ok'] == 3, 'all of them', WAIT_S)
            assert [d.installed() for d in devices] == ['release-2'] * 3
            assert set(scene.phones.foreign()) == {f'imei={i}' for i in range(3)}
        finally:
            for d in devices:
                d.kill()


def test_wrong_tenant_token(tmp_path, place):
    with Scene(tmp_path, place, tenant_token='wrong-token-00001') as scene:
        scene.device.start()

        def refused():
            return sum(float(v) for k, v in scene.phones.metrics().items() if 'unauthorised' in k)
        wait_until(lambda: refused() >= 2, 'it is refused, and comes again', WAIT_S)
        assert scene.phones.foreign() == {}


def test_halt_while_downloading(tmp_path, place):
    """A download of seconds; it goes on, and then is told."""
    with Scene(tmp_path, place, size=1_500_000, changes=SLOW) as scene:
        scene.publish()
        scene.device.start()
        scene.wait_state('installing')
        scene.phones.halt('release-2')

        def over():
            if (scene.device.lib / 'reboots').exists():
                scene.device.reboot()
            return scene.record()['state'] == 'idle'
        wait_until(over, 'it stops', WAIT_S)
        assert not scene.counted() & {'install_failed', 'rolled_back', 'boot_ok'}
        assert scene.device.installed() is None
        assert scene.phones.counts('release-2')['failed'] == 0


def test_halt_before_the_confirmation(scene):
    scene.device.start()
    scene.wait_state('installed')
    scene.phones.halt('release-2')
    scene.device.reboot()
    scene.device.reboot()
    scene.wait_state('idle')
    assert scene.counted() == THERE
    assert scene.device.installed() is None


def test_halt_before_it_asks(scene):
    scene.phones.halt('release-2')
    scene.device.start()
    wait_until(lambda: scene.record().get('tells_build'), 'it asked', WAIT_S)
    time.sleep(3)
    assert scene.record()['action'] == 0 and scene.device.installed() is None


def test_brought(tmp_path, place):
    """Only its address was switched: it has no tenant token, and the key it always had."""
    with Scene(tmp_path, place, 'single-file', tenant_token='', key='rsa') as scene:
        scene.phones.publish('release-1')
        scene.publish()
        key = hashlib.sha256(base64.b64decode(scene.device.public_key().split('-----')[2]))
        row = f'phone-a,mender,imei=356938035643809,{key.hexdigest()},release-1\n'
        assert bring(scene.phones, row)['added'] == 1
        scene.device.start()
        scene.wait_counted(THERE | {'boot_ok'})
        assert scene.device.installed() == 'release-2'


def test_erased(tmp_path, place):
    """What it shows is worth nothing any more: it authenticates again, and is taken in anew."""
    with Scene(tmp_path, place) as scene:
        scene.device.start()
        wait_until(lambda: scene.record().get('tells_build'), 'it asked', WAIT_S)
        scene.phones.must('device', 'erase', scene.record()['device'], '--yes')
        wait_until(lambda: scene.record().get('tells_build'), 'it is back', WAIT_S)


def test_server_killed_while_it_reboots(scene):
    scene.device.start()
    scene.wait_state('installed')
    scene.phones.kill()
    scene.device.reboot()
    wait_until(lambda: 'connection refused' in scene.device.log(), 'it asks in vain', WAIT_S)
    scene.phones.start()
    scene.wait_counted(THERE | {'boot_ok'}, MINUTE_S + WAIT_S)
    assert scene.device.installed() == 'release-2'


def test_server_killed_while_it_downloads(resuming):
    """Last: the client waits what is left of a minute, and goes on where it was."""
    resuming.wait_counted(THERE | {'boot_ok'})
    assert resuming.device.installed() == 'release-2'
    assert 'bytes=' in resuming.device.log() or 'Range' in resuming.device.log()
