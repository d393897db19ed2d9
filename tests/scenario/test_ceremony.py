# SPDX-License-Identifier: Apache-2.0
"""Keys and roots, from hand to hand: people in folders of their own, files that travel between
them, and the real server that takes the new root or does not."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ.get('HUIDU_BUILD', 'build')).resolve()
CTL = BUILD / 'server/ctl/huiductl'
HUIDUD = BUILD / 'server/huidud'
AGENT = BUILD / 'client-sdk/huidu-agent'
LIMIT_S = 30
ONLINE = ('director', 'snapshot', 'timestamp', 'log')
PLAN = """\
name: quick
line: default
rings:
  - {ring: stable, share_ppm: 1000000, soak: 1s, max_soak: 1h, tolerance: none,
     limits: {boot: 2 %, install: 5 %, rollback: 2 %, s1: 2 %}}
settle: 1s
watch: 0s
batch: 1s
restart: 24h
silence: {s1: 6h, after: 2h, polls: 3}
holdback_ppm: 0
"""


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_until(done, what):
    end = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.05)


class Person:
    """A folder with a context of its own: the root, and whatever keys and files were brought."""

    def __init__(self, server, folder, name):
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        shutil.copy(server.folder / 'root.env', self.folder)
        (self.folder / 'huiductl.yaml').write_text(
            f'repository: d\nadmin: {server.folder}/admin.sock\nroot: root.env\n')

    def ctl(self, *args):
        return subprocess.run([CTL, *map(str, args)], cwd=self.folder, capture_output=True,
                              text=True, timeout=LIMIT_S)

    def must(self, *args):
        done = self.ctl(*args)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *args):
        return json.loads(self.must(*args, '-o', 'json'))

    def bring(self, name, whose):
        shutil.copy(whose.folder / name, self.folder)

    def take_keys(self, server):
        """Their keys leave the machine they were made on."""
        for key in server.folder.glob(f'keys/{self.name}.*.pem'):
            shutil.move(key, self.folder)


class Server:
    """What init made, and the server on it; huiductl with all that is in that folder."""

    def __init__(self, top, *options):
        self.folder, self.port = top / 'd', free_port()
        self.log = top / 'huidud.log'
        subprocess.run([CTL, 'init', self.folder, '--product', 'phone-a', '--listen',
                        f'127.0.0.1:{self.port}', *options], check=True, capture_output=True,
                       timeout=LIMIT_S)
        yaml = self.folder / 'huidud.yaml'
        text = yaml.read_text().replace('127.0.0.1:9464', f'127.0.0.1:{free_port()}')
        yaml.write_text(re.sub(r'min_id_age: \S+', 'min_id_age: 0s', text)
                        .replace('fill: hash', 'fill: invite'))
        (self.folder / 'plan.yaml').write_text(PLAN)
        self.process = None

    ctl, must, json = Person.ctl, Person.must, Person.json

    def start(self):
        with open(self.log, 'a', encoding='utf-8') as log:
            self.process = subprocess.Popen([HUIDUD, '-c', 'huidud.yaml'], cwd=self.folder,
                                            stderr=log, stdout=log)
        wait_until(lambda: self.process.poll() is not None or
                   self.ctl('log', 'checkpoint').returncode == 0, 'huidud answers')
        assert self.process.poll() is None, self.log.read_text()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(LIMIT_S) == 0, self.log.read_text()

    def publish(self, build, *options):
        (self.folder / 'ota').write_bytes(build.encode() * 1000)
        return self.ctl('build', 'publish', 'ota', '--product', 'phone-a', '--build', build, '-y',
                        *options)


@pytest.fixture
def make(tmp_path):
    servers = []

    def start(*options):
        servers.append(Server(tmp_path, *options))
        servers[-1].start()
        return servers[-1]
    yield start
    for s in servers:
        s.stop()


def test_create_add_sign_publish(make, tmp_path):
    server = make('--profile', 'team')
    alice, bob, carol, dave = (Person(server, tmp_path, n)
                               for n in ('alice', 'bob', 'carol', 'dave'))
    for person in (alice, bob, carol):
        person.take_keys(server)
    assert server.ctl('doctor').returncode == 0

    # Dave makes a key where it stays; only its public half travels.
    said = dave.must('key', 'create', 'dave', '--role', 'approver')
    assert 'dave.approver.pub' in said and 'Next: huiductl root add' in said
    assert (dave.folder / 'dave.approver.pem').stat().st_mode & 0o777 == 0o600
    alice.bring('dave.approver.pub', dave)
    assert '+ dave: key' in alice.must('root', 'add', 'dave.approver.pub', '--role', 'approver')
    said = alice.must('root', 'revoke', 'carol', '--role', 'approver')
    assert '- carol: key' in said and 'Next: huiductl root sign' in said

    # Nobody but holders of the root role, and not with the server's word for it.
    alone = alice.ctl('root', 'sign', 'root-2.env', '--key', 'alice.release.pem', '-y')
    assert alone.returncode == 4 and 'no root key' in alone.stderr
    said = alice.must('root', 'sign', 'root-2.env', '--key', 'alice.root.pem', '-y')
    assert '1 of 2: alice; 1 more of bob, carol' in said
    early = alice.ctl('root', 'publish', 'root-2.env')
    assert early.returncode == 4 and '1 more of' in early.stderr

    # It goes to Bob, who sees what it changes before he signs.
    bob.bring('root-2.env', alice)
    asked = bob.ctl('root', 'sign', 'root-2.env', '--key', 'bob.root.pem')
    assert asked.returncode == 2 and '+ dave: key' in asked.stderr
    signed = bob.ctl('root', 'sign', 'root-2.env', '--key', 'bob.root.pem', '-y')
    assert '- carol: key' in signed.stderr and 'Next: huiductl root publish' in signed.stdout
    bob.must('root', 'publish', 'root-2.env')
    again = bob.ctl('root', 'publish', 'root-2.env')
    assert again.returncode == 5 and 'does not follow' in again.stderr

    # Carol's key is refused, Dave's works; both machines follow by themselves.
    for name in ('alice.release.pem', 'bob.release.pem'):
        server.bring = Person.bring.__get__(server)
        server.bring(name, alice if name.startswith('alice') else bob)
    assert server.publish('1.0', '--key', 'alice.release.pem', '--key',
                          'bob.release.pem').returncode == 0
    server.must('rollout', 'create', '1.0', '--plan', 'plan.yaml', '--key', 'alice.release.pem')
    old = carol.ctl('rollout', 'approve', '1.0', '--key', 'carol.approver.pem', '-y')
    assert old.returncode in (4, 5), old.stderr
    dave.must('rollout', 'approve', '1.0', '--key', 'dave.approver.pem', '-y')
    bob.must('rollout', 'approve', '1.0', '--key', 'bob.approver.pem', '-y')
    assert '"root_version":2' in dave.must('key', 'list', '-o', 'json').replace(' ', '')
    carol.must('root', 'update')
    said = dave.must('log', 'verify')
    assert 'roots      2' in said


def test_one_becomes_three(make, tmp_path):
    """Profile solo to team: the same server, the same devices, another root."""
    server = make('--person', 'alice')
    assert server.publish('1.0').returncode == 0
    lacking = server.ctl('root', 'profile', 'team')
    assert lacking.returncode == 6 and 'approver: keys of 3 people, has 1' in lacking.stderr
    for person in ('bob', 'carol'):
        for role in ('root', 'release', 'approver'):
            server.must('key', 'create', person, '--role', role, '-o', 'keys')
            server.must('root', 'add', f'keys/{person}.{role}.pub', '--role', role)
    assert '~ profile team, was solo' in server.must('root', 'profile', 'team')
    said = server.must('root', 'sign', 'root-2.env', '-y')  # the old root's one key is not enough
    assert 'in force  1 of 1: alice' in said and 'the next  1 of 2: alice' in said
    server.must('root', 'sign', 'root-2.env', '-y', '--key', 'keys/bob.root.pem')
    server.must('root', 'publish', 'root-2.env')
    one = server.publish('1.1')
    assert one.returncode == 4, one.stdout + one.stderr
    two = server.publish('1.1', '--key', 'keys/alice.release.pem', '--key',
                         'keys/bob.release.pem')
    assert two.returncode == 0, two.stderr
    server.must('log', 'verify')
    server.stop()
    server.start()                       # it remembers which root is in force
    assert server.json('key', 'list')['profile'] == 'team'
    assert server.publish('1.2').returncode == 4


def agent(server, *options):
    return subprocess.run(
        [AGENT, '--server', f'https://localhost:{server.port}', '--ca', 'tls/cert.pem', '--root',
         'first-root.env', '--repository', 'd', '--product', 'phone-a', '--build', 'factory',
         '--counter', '0', '--state', 'state', '--install', './install', '--poll-min', '1',
         '--once', *options], cwd=server.folder, capture_output=True, text=True, timeout=LIMIT_S)


def test_drill_online_keys_stolen(make):
    """docs/trust.md, "An online key was stolen": minutes, and no phone is touched."""
    server = make('--person', 'alice')
    shutil.copy(server.folder / 'root.env', server.folder / 'first-root.env')
    (server.folder / 'install').write_text('#!/bin/sh\ncp "$1" installed\n')
    (server.folder / 'install').chmod(0o755)
    first = agent(server)
    assert first.returncode == 0, first.stderr

    for role in ONLINE:
        server.must('key', 'create', f'{role}-2', '--role', role, '-o', 'online')
    server.stop()
    server.start()                       # it holds both, and uses those that the root names
    for role in ONLINE:
        server.must('root', 'rotate', f'online/{role}-2.{role}.pub', '--role', role)
    server.must('root', 'sign', 'root-2.env', '-y')
    server.must('root', 'publish', 'root-2.env')
    server.stop()
    for role in ONLINE:
        (server.folder / f'online/{role}.pem').unlink()
    server.start()
    server.must('log', 'verify')
    names = {r['role']: r['keys'][0]['name'] for r in server.json('key', 'list')['roles']
             if r['role'] in ONLINE}
    assert names == {role: f'{role}-2' for role in ONLINE}

    # The phone that knows nothing but the first root follows, and updates.
    assert server.publish('2.0').returncode == 0
    server.must('rollout', 'create', '2.0', '--plan', 'plan.yaml')
    server.must('rollout', 'approve', '2.0', '-y')
    server.must('rollout', 'start', '2.0')
    tries = []
    wait_until(lambda: tries.append(agent(server)) or tries[-1].returncode == 10,
               lambda: tries[-1].stderr)
    assert (server.folder / 'installed').read_bytes() == b'2.0' * 1000


def test_two_for_a_seat(make, tmp_path):
    """Core takes two tester managers; what waits is seen, countersigned or taken back."""
    server = make('--profile', 'team', '--demo')
    alice, bob = (Person(server, tmp_path, n) for n in ('alice', 'bob'))
    for person in (alice, bob):
        person.take_keys(server)
    shutil.copy(server.folder / 'root.env', server.folder / 'first-root.env')
    device = re.search(r'device ([0-9a-f]{32})', agent(server, '--wish', 'core').stderr).group(1)
    invite = ('ring', 'invite', 'core', device, '--product', 'phone-a')

    alice.must(*invite, '--key', 'alice.release.pem', '--reason', 'new tester')
    waiting, = bob.json('pending')['pending']
    assert (waiting['by'], waiting['signed_by'], waiting['needed']) == ('alice', ['alice'], 2)
    again = alice.ctl('countersign', waiting['name'], '--key', 'alice.release.pem', '-y')
    assert again.returncode != 0, again.stdout
    assert server.json('device', 'why', device)['ring'] == 'stable'
    done = bob.ctl('countersign', waiting['name'], '--key', 'bob.release.pem', '-y')
    assert done.returncode == 0 and device in done.stderr and 'new tester' in done.stderr
    assert server.json('device', 'why', device)['ring'] == 'core'
    assert bob.json('pending')['pending'] == []

    alice.must('ring', 'remove', *invite[2:], '--key', 'alice.release.pem')
    waiting, = bob.json('pending')['pending']
    alice.must('withdraw', waiting['name'], '--key', 'alice.release.pem', '--reason', 'typo')
    assert bob.json('pending')['pending'] == []
    late = bob.ctl('countersign', waiting['name'], '--key', 'bob.release.pem', '-y')
    assert late.returncode == 3
    assert server.json('device', 'why', device)['ring'] == 'core'
    bob.must('log', 'verify')


def test_demo_keys_are_refused(make, tmp_path):
    """A production server starts with no key that was made to try it out."""
    server = make('--demo')
    server.stop()
    yaml = server.folder / 'huidud.yaml'
    yaml.write_text(yaml.read_text().replace('environment: trial     ', 'environment: production'))
    done = subprocess.run([HUIDUD, '-c', 'huidud.yaml'], cwd=server.folder, capture_output=True,
                          text=True, timeout=LIMIT_S)
    assert done.returncode != 0 and 'try huidu out' in done.stderr
