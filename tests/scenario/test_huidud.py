# SPDX-License-Identifier: Apache-2.0
"""huidud, the real daemon: what it refuses, what survives a kill -9, and a whole update by the
real agent."""
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ.get('HUIDU_BUILD', 'build')).resolve()
HUIDUD = BUILD / 'server/huidud'
CTL = BUILD / 'server/ctl/huiductl'
FLEET = BUILD / 'bench/fleet'
AGENT = BUILD / 'client-sdk/huidu-agent'
LIMIT_S = 60


def wait_until(ready, what='', limit_s=LIMIT_S):
    end = time.monotonic() + limit_s
    while not ready():
        assert time.monotonic() < end, f'not within {limit_s} s: {what}'
        time.sleep(0.02)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Deployment:
    """A folder made by `huiductl init`, and the daemon that runs on it."""

    def __init__(self, folder, **changes):
        self.folder = folder / 'd'
        self.port, self.metrics_port = free_port(), free_port()
        subprocess.run([CTL, 'init', '--product', 'phone-a', self.folder], check=True,
                       capture_output=True, timeout=LIMIT_S)
        self.config = self.folder / 'huidud.yaml'
        self.edit({'127.0.0.1:8443': f'127.0.0.1:{self.port}',
                   '127.0.0.1:9464': f'127.0.0.1:{self.metrics_port}',
                   'interval: 4h': 'interval: 1s', 'fill_every: 10m': 'fill_every: 1s',
                   **changes})
        self.environment('trial', 'open')
        self.process, self.fleets = None, []
        self.log = self.folder / 'huidud.log'

    def edit(self, changes):
        text = self.config.read_text()
        for old, new in changes.items():
            assert old in text, old
            text = text.replace(old, new)
        self.config.write_text(text)

    def environment(self, environment, enrol):
        text = re.sub('^(environment|enrol):', r'# \1:', self.config.read_text(), flags=re.M)
        self.config.write_text(f'{text}environment: {environment}\nenrol: {enrol}\n')

    def start(self):
        with open(self.log, 'a', encoding='utf-8') as log:
            self.process = subprocess.Popen([HUIDUD, '-c', self.config], stderr=log, stdout=log)
        wait_until(self.answers, 'huidud answers')

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.metrics() is not None and self.ctl('log', 'checkpoint').returncode == 0
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; returns its exit status."""
        for fleet in self.fleets:
            fleet.kill()
            fleet.wait()
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def ctl(self, *args):
        return subprocess.run([CTL, *map(str, args)], cwd=self.folder, capture_output=True,
                              text=True, timeout=LIMIT_S)

    def must(self, *args):
        done = self.ctl(*args)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *args):
        return json.loads(self.must(*args, '-o', 'json'))

    def rollout(self, name):
        return self.json('rollout', 'get', name)['rollouts'][0]

    def metrics(self):
        c = http.client.HTTPConnection('127.0.0.1', self.metrics_port, timeout=5)
        c.request('GET', '/metrics')
        text = c.getresponse().read().decode()
        c.close()
        return dict(re.findall(r'^([a-z_]+(?:\{[^}]*\})?) ([0-9.]+)$', text, re.M))

    def metric(self, name):
        return float(self.metrics()[name])

    def connect(self):
        context = ssl.create_default_context(cafile=self.folder / 'tls/cert.pem')
        return http.client.HTTPSConnection('localhost', self.port, context=context, timeout=10)

    def post(self, path, body, headers=None):
        """(status, whether the connection was closed, body)"""
        c = self.connect()
        c.request('POST', path, body, headers or {})
        r = c.getresponse()
        text = r.read()
        closed = (r.getheader('Connection') or '').lower() == 'close'
        c.close()
        return r.status, closed, text

    def release(self, build, plan, content=b'build'):
        path = self.folder / f'{build}.bin'
        path.write_bytes(content)
        self.must('build', 'publish', path, '--product', 'phone-a', '--build', build)
        (self.folder / 'plan.yaml').write_text(plan)
        self.must('rollout', 'create', build, '--plan', 'plan.yaml')
        self.must('rollout', 'approve', build, '--yes')
        self.must('rollout', 'start', build)


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    yield d
    d.stop()


STABLE = '''
name: short
rings:
  - {ring: stable, share: 100 %, soak: 1s, max_soak: 1h, tolerance: none}
watch: 1s
batch: 200ms
holdback: 0 %
crash_reports: none
'''


# ---- bad configuration: one clear line, exit 2

@pytest.mark.parametrize('old, new, where, what', [
    ('plain: false', 'plian: false', ':8: plian', "did you mean 'plain'"),
    ('workers: 0 ', 'workers: 2x ', ': workers', "'2x' is a whole number"),
    ('interval: 1s', 'interval: 10', 'poll.interval', 'is a duration'),
    ('core: 100', 'core: many', 'lines[1].rings.core', "'many'"),
    ('products: [phone-a]', 'products: []', 'lines', 'name at least one'),
    ('fill: hash', 'fill: lottery', 'lines[1].fill', 'lottery'),
    ('jitter: 20 %', 'jitter: 90 %', 'poll.jitter', 'not within'),
    ('plain: false', 'plain: true\nplain: true', ': plain', 'twice'),
    ('root: root.env', 'root: nowhere.env', 'nowhere.env', 'No such file'),
    ('online: online', 'online: nowhere', 'nowhere', 'No such file'),
    ('cert: tls/cert.pem', 'cert: tls/key.pem', 'tls/key.pem', ''),
])
def test_bad_configuration(deployment, old, new, where, what):
    deployment.edit({old: new})
    done = subprocess.run([HUIDUD, '-c', deployment.config], capture_output=True, text=True,
                          timeout=LIMIT_S)
    lines = [l for l in done.stderr.splitlines() if l.startswith('huidud: ')]
    assert done.returncode == 2
    assert len(lines) == 1, done.stderr
    assert where in lines[0] and what in lines[0]


def test_configuration_is_checked(deployment):
    done = subprocess.run([HUIDUD, '-n', '-c', deployment.config], capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 0 and done.stdout.endswith(': fine\n')
    assert not (deployment.folder / 'data').exists()
    deployment.edit({'plain: false': 'plian: false'})
    done = subprocess.run([HUIDUD, '-n', '-c', deployment.config], capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 2 and 'plian' in done.stderr


def test_missing_configuration(tmp_path):
    done = subprocess.run([HUIDUD, '-c', tmp_path / 'no.yaml'], capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 2
    assert done.stderr == f'huidud: {tmp_path}/no.yaml: No such file or directory\n'


@pytest.mark.parametrize('which', ['listen', 'metrics'])
def test_busy_port(deployment, which):
    port = deployment.port if which == 'listen' else deployment.metrics_port
    with socket.socket() as s:
        s.bind(('127.0.0.1', port))
        s.listen()
        done = subprocess.run([HUIDUD, '-c', deployment.config], capture_output=True, text=True,
                              timeout=LIMIT_S)
    assert done.returncode == 2
    assert f'127.0.0.1:{port}: Address already in use' in done.stderr


@pytest.mark.parametrize('shared, want', (('keys', 'ledger: another huidud has it open'),
                                          ('socket', 'admin.sock')))
def test_second_server(deployment, shared, want):
    other = free_port(), free_port()
    changes = {f'127.0.0.1:{deployment.port}': f'127.0.0.1:{other[0]}',
               f'127.0.0.1:{deployment.metrics_port}': f'127.0.0.1:{other[1]}',
               'data: data': 'data: data2'}
    if shared == 'socket':
        shutil.copytree(deployment.folder / 'online', deployment.folder / 'online2')
        changes['online: online'] = 'online: online2'
    deployment.start()
    deployment.edit(changes)
    done = subprocess.run([HUIDUD, '-c', deployment.config], capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 2 and want in done.stderr


# ---- bad requests: nothing stored, counted, connection closed

def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


POLL = (field(1, b'phone-a') + field(2, b'1.0') + field(3, 1) + field(4, 0) + field(5, 1) +
        field(6, 0) + field(7, 0))
ID, MAC = b'\x01' * 16, b'\x02' * 16


def sealed(body, device=ID, mac=MAC):
    return ((field(1, device) + field(2, 1) if device else b'') + field(3, body) +
            (field(4, mac) if mac else b''))


@pytest.mark.parametrize('path, body, status', [
    ('/v1/poll', b'', 400),
    ('/v1/poll', b'\xff' * 64, 400),
    ('/v1/poll', sealed(POLL)[:-3], 400),
    ('/v1/poll', sealed(POLL) + b'\x00', 400),
    ('/v1/poll', field(4, MAC) + field(3, POLL), 400),               # fields not in order
    ('/v1/poll', field(3, POLL) + field(9, 1), 400),                 # a field nobody knows
    ('/v1/poll', field(3, POLL) + field(3, POLL), 400),              # twice
    ('/v1/poll', sealed(POLL, device=None, mac=None)[:-1] + b'\x80\x00', 400),
    ('/v1/poll', sealed(POLL.replace(b'phone-a', b'phone\x00a'), None, None), 400),
    ('/v1/poll', sealed(POLL[:9], None, None), 400),                 # required fields missing
    ('/v1/poll', sealed(POLL.replace(b'phone-a', b'phone-z'), None, None), 404),
    ('/v1/poll', b'\x00' * 20000, 413),
    ('/v1/report', b'\x00' * 20000, 413),
    ('/v1/report', sealed(b'', None, None), 401),                    # reports need an id
    ('/v1/poll', sealed(POLL), 401),                                 # nobody we know
    ('/v1/poll', sealed(POLL, mac=None), 401),
    ('/v1/poll', sealed(POLL, device=b'\x01' * 15), 401),
    ('/v1/enroll', b'', 400),
    ('/v1/enroll', field(1, b'\x04' + b'\x01' * 64) + field(2, b'phone-z'), 404),
    ('/v1/enroll', field(1, b'\x01' * 65) + field(2, b'phone-a'), 400),
    ('/v1/enroll', field(1, b'\x04' + b'\x01' * 64) + field(2, b'phone-a') +
     field(4, b'\x01' * 32) + field(5, b'\x01' * 64), 401),
])
def test_bad_request(deployment_running, path, body, status):
    d = deployment_running
    before = d.metrics()
    got, closed, text = d.post(path, body)
    after = d.metrics()
    assert (got, closed) == (status, True)
    assert 0 < len(text) < 100
    refused = [k for k in after if k.startswith('huidu_requests_refused_total') and
               after[k] != before[k]]
    assert len(refused) == 1, refused
    for name in ('huidu_enrolments_total', 'huidu_reports_total', 'huidu_log_entries',
                 'huidu_devices{ring="stable"}'):
        assert after[name] == before[name]
    assert d.post('/v1/poll', sealed(POLL, None, None))[0] == 200


@pytest.fixture(scope='module')
def deployment_running(tmp_path_factory):
    d = Deployment(tmp_path_factory.mktemp('running'))
    d.start()
    yield d
    assert d.stop() == 0


def test_unknown_and_wrong_mac_look_alike(deployment_running):
    d = deployment_running
    known = fleet_ids(d)[0]
    assert d.post('/v1/poll', sealed(POLL, device=bytes.fromhex(known))) == \
        d.post('/v1/poll', sealed(POLL, device=ID))


def fleet_ids(d):
    """Ids of a few phones that have just enrolled."""
    dump = d.folder / 'dump'
    subprocess.run([FLEET, '--server', f'localhost:{d.port}', '--ca', 'tls/cert.pem', '--root',
                    'root.env', '--repository', 'd', '--product', 'phone-a', '--phones', '3',
                    '--spread', '1', '--seconds', '2', '--dump', dump], cwd=d.folder, check=True,
                   capture_output=True, timeout=LIMIT_S)
    return [line.split()[0] for line in dump.read_text().splitlines()]


def test_wrong_paths(deployment_running):
    c = deployment_running.connect()
    for method, path, status in (('GET', '/', 404), ('GET', '/v1/poll', 405),
                                 ('GET', '/v1/artifact/..%2f..%2fetc', 404),
                                 ('GET', '/v1/artifact/' + 'g' * 64, 404),
                                 ('GET', '/v1/artifact/' + 'a' * 64, 404),
                                 ('GET', '/v1/health', 200)):
        c.request(method, path)
        r = c.getresponse()
        r.read()
        assert r.status == status, path


def test_artifact(deployment):
    """A published build's file: whole, by pieces, its head alone; and every byte is counted."""
    content = bytes(range(256)) * 1000
    (deployment.folder / 'file').write_bytes(content)
    deployment.start()
    deployment.must('build', 'publish', 'file', '--product', 'phone-a', '--build', '1')
    path = '/v1/artifact/' + hashlib.sha256(content).hexdigest()
    sent = 0
    for method, wanted, status, body in (
            ('GET', None, 200, content), ('HEAD', None, 200, b''),
            ('GET', 'bytes=1000-1999', 206, content[1000:2000]),
            ('GET', 'bytes=255999-', 206, content[-1:]),
            ('GET', 'bytes=-10', 206, content[-10:]),
            ('HEAD', 'bytes=0-9', 200, b''),  # Range is for GET
            ('GET', 'bytes=256000-', 416, None)):
        c = deployment.connect()
        c.request(method, path, headers={'Range': wanted} if wanted else {})
        r = c.getresponse()
        got = r.read()
        assert (r.status, got if status < 300 else None) == (status, body), wanted
        sent += len(got) if status < 300 else 0
        c.close()
    assert deployment.metric('huidu_artifact_requests_total') == 7
    wait_until(lambda: deployment.metric('huidu_artifact_bytes_total') == sent, 'bytes counted')


# ---- the story

def test_agent_updates(deployment):
    d = deployment
    d.start()
    # Installing is a command, and so is asking whether the new build works.
    (d.folder / 'install').write_text('#!/bin/sh\ncp "$1" installed\n')
    (d.folder / 'install').chmod(0o755)

    def agent():
        return subprocess.run(
            [AGENT, '--server', f'https://localhost:{d.port}', '--ca', 'tls/cert.pem', '--root',
             'root.env', '--repository', 'd', '--product', 'phone-a', '--build', 'factory',
             '--counter', '0', '--state', 'state', '--install', './install', '--poll-min', '1',
             '--once'], cwd=d.folder, capture_output=True, text=True, timeout=LIMIT_S)

    content = os.urandom(300000)
    done = agent()
    assert done.returncode == 0 and 'up to date' in done.stderr, done.stderr
    device = re.search(r'device ([0-9a-f]{32})', done.stderr).group(1)
    assert 'phone-a' in d.must('why', device)
    d.release('2.0', STABLE, content)
    tries = []
    wait_until(lambda: tries.append(agent()) or tries[-1].returncode == 10, 'installed')
    assert (d.folder / 'installed').read_bytes() == content
    done = agent()                              # 10 said: start me again, on the new build
    assert done.returncode == 0 and 'build 2.0' in done.stderr, done.stderr
    wait_until(lambda: d.rollout('2.0')['state'] == 'complete', 'complete')
    assert d.rollout('2.0')['stages'][0]['boot_ok'] == 1


def start_fleet(d, *options):
    log = open(d.folder / 'fleet.log', 'a', encoding='utf-8')
    fleet = subprocess.Popen(
        [FLEET, '--server', f'localhost:{d.port}', '--ca', 'tls/cert.pem', '--root', 'root.env',
         '--repository', 'd', '--product', 'phone-a', '--status', 'fleet.json', *options],
        cwd=d.folder, stdout=log, stderr=log)
    d.fleets.append(fleet)
    return fleet


def fleet_status(d, name='fleet.json'):
    try:
        return json.loads((d.folder / name).read_text())
    except (OSError, ValueError):
        return None


def test_kill_9_in_mid_rollout(deployment):
    """Nothing acknowledged is gone; phones go on."""
    d = deployment
    phones = 120
    d.start()
    fleet = start_fleet(d, '--phones', str(phones), '--day', '5', '--crashes', '0.2', '--build',
                        '2.0:crash=1', '--dump', 'dump')
    wait_until(lambda: (fleet_status(d) or {}).get('enrolled') == phones, 'enrolled')
    d.release('2.0', STABLE, os.urandom(200000))
    kills = 0
    while d.rollout('2.0')['state'] != 'complete' or kills < 3:
        offered = d.rollout('2.0')['stages'][0]['offered']
        entries = d.metric('huidu_log_entries')
        if kills < 3 and offered > 20 * kills:
            d.kill()
            kills += 1
            d.start()
            r = d.rollout('2.0')
            assert r['state'] in ('running', 'complete')
            assert r['stages'][0]['offered'] >= offered
            assert d.metric('huidu_log_entries') >= entries
            assert d.metric('huidu_devices{ring="stable"}') == phones
        time.sleep(0.1)
    wait_until(lambda: fleet_status(d)['builds'][0]['on'] == phones, 'all on it')
    fleet.terminate()
    assert fleet.wait(20) == 0
    # What the server said 200 to is in its store, for every phone; and nobody enrolled twice.
    lines = (d.folder / 'dump').read_text().splitlines()
    assert len(lines) == phones
    for line in lines:
        device, acknowledged = line.split()
        assert d.json('device', 'why', device)['last_seq'] >= int(acknowledged) > 0
    assert d.metric('huidu_devices{ring="stable"}') == phones
    assert d.must('rollout', 'history', '2.0').count('start 2.0') == 1


def test_gate_explains_and_replays(deployment):
    """Bricks are silent, and that halts; what it rested on can be looked at and computed again."""
    d = deployment
    d.edit({'honour: 1000': 'honour: 0', 'core: 100': 'core: 0', 'dev: 100000': 'dev: 0'})
    d.start()
    fleet = start_fleet(d, '--phones', '400', '--day', '5', '--crashes', '0.05', '--build',
                        '2.0:brick=0.5')
    wait_until(lambda: (fleet_status(d) or {}).get('enrolled') == 400, 'enrolled')
    d.release('2.0', '''
name: compared
rings:
  - {ring: stable, share: 30 %, soak: 5m, max_soak: 1h, tolerance: 2.0}
silence: {s1: 4s, after: 1s, polls: 2}
batch: 300ms
settle: 1s
holdback: 1 %
''')
    wait_until(lambda: d.rollout('2.0')['state'] == 'halted', 'halted')
    gate = d.json('gate', 'explain', '2.0')
    assert gate['schema'] == 'huidu.gate/1'
    stage = gate['stages'][0]
    assert stage['judged'] > 0 and stage['control_judged'] > 0
    assert {s['name'] for s in stage['streams']} >= {'crashes', 'silence', 'battery'}
    assert any(word in gate['rollout']['gate'] for word in ('silence', 'no boot in time'))
    assert d.must('gate', 'replay', '2.0').rstrip().endswith(' 0 differ')
    # The same after a crash of the server: rows are never rewritten, and nothing is forgotten.
    d.kill()
    d.start()
    assert d.json('gate', 'explain', '2.0')['log_k'] == gate['log_k']
    assert d.must('gate', 'replay', '2.0').rstrip().endswith(' 0 differ')
    assert d.rollout('2.0')['state'] == 'halted'
    fleet.kill()
    fleet.wait()


def test_a_fault_of_one_component(deployment):
    """Two of three products share a modem that the release breaks: it stands before the third."""
    d = deployment
    d.edit({'products: [phone-a]': 'products: [phone-a, phone-b, phone-c]\n'
            '    components: [{name: modem-x, products: [phone-a, phone-b]}]',
            'honour: 1000': 'honour: 0', 'core: 100': 'core: 0', 'dev: 100000': 'dev: 0'})
    d.start()
    builds = []
    for letter, ratio in (('a', 20), ('b', 20), ('c', 1)):
        name, status = f'phone-{letter}', f'{letter}.json'
        start_fleet(d, '--product', name, '--phones', '200', '--day', '5', '--crashes', '0.05',
                    '--build', f'5-{letter}:crash={ratio}', '--status', status)
        wait_until(lambda: (fleet_status(d, status) or {}).get('enrolled') == 200, status)
        (d.folder / 'file').write_bytes(name.encode())
        d.must('build', 'publish', 'file', '--product', name, '--build', f'5-{letter}',
               '--release', '5')
        builds += ['--build', f'5-{letter}']
    (d.folder / 'plan.yaml').write_text('''
name: compared
rings:
  - {ring: stable, share: 30 %, soak: 5m, max_soak: 1h, tolerance: 2.0}
batch: 300ms
settle: 1s
holdback: 1 %
''')
    d.must('rollout', 'create', '5', '--plan', 'plan.yaml', *builds)
    d.must('rollout', 'approve', '5', '--yes')
    d.must('rollout', 'start', '5')
    wait_until(lambda: d.rollout('5')['state'] == 'halted', 'halted')
    strata = d.json('gate', 'explain', '5')['stages'][0]['strata']
    assert [s['name'] for s in strata if s['component']] == ['modem-x']
    names = [s['name'] for s in strata]
    assert names.index('modem-x') < names.index('phone-c'), strata
    assert {s['name'] for s in strata} == {'modem-x', 'phone-a', 'phone-b', 'phone-c'}
    assert d.must('gate', 'replay', '5').rstrip().endswith(' 0 differ')


def test_no_crash_reports_is_no_pass(deployment):
    """Phones that never sent a crash report are not green: people are asked, and say so."""
    d = deployment
    d.start()
    fleet = start_fleet(d, '--phones', '30', '--crashes', '0')
    wait_until(lambda: (fleet_status(d) or {}).get('enrolled') == 30, 'enrolled')
    d.release('1.0', STABLE.replace('crash_reports: none\n', ''))
    wait_until(lambda: d.rollout('1.0')['state'] == 'paused', 'paused')
    assert 'never sent a crash report' in d.rollout('1.0')['gate']
    assert d.rollout('1.0')['stages'][0]['boot_ok'] >= 28
    d.must('rollout', 'approve', '1.0', '--yes')
    wait_until(lambda: d.rollout('1.0')['state'] == 'complete', 'complete')
    assert d.must('gate', 'replay', '1.0').rstrip().endswith(' 0 differ')
    fleet.kill()
    fleet.wait()


def test_stops_gracefully(deployment):
    d = deployment
    d.start()
    fleet = start_fleet(d, '--phones', '20')
    wait_until(lambda: (fleet_status(d) or {}).get('enrolled') == 20, 'enrolled')
    begun = time.monotonic()
    d.process.send_signal(signal.SIGTERM)
    assert d.process.wait(20) == 0
    assert time.monotonic() - begun < 12
    d.start()
    assert d.metric('huidu_devices{ring="stable"}') == 20
    fleet.terminate()
    assert fleet.wait(20) == 0


def test_signer_death_ends_the_server(deployment):
    d = deployment
    d.start()
    children = pathlib.Path(f'/proc/{d.process.pid}/task/{d.process.pid}/children').read_text()
    os.kill(int(children.split()[0]), signal.SIGKILL)
    assert d.process.wait(10) == 1
    assert 'signer: died' in d.log.read_text()
