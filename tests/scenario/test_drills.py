# SPDX-License-Identifier: Apache-2.0
"""The ceremonies and drills of docs/trust.md, by the commands that the page gives: what it says is
what is run, so that it cannot rot."""
import os
import pathlib
import re
import shutil
import subprocess

from test_ceremony import BUILD, LIMIT_S, Person, Server, agent, free_port, make, \
    wait_until  # noqa: F401

PAGE = pathlib.Path(__file__).parents[2] / 'docs/trust.md'
ASKS = r'(huiductl (?:root sign|rollout approve) )'     # a person answers; here: --yes
ENV = {**os.environ, 'PATH': f"{BUILD / 'server/ctl'}:{BUILD / 'server'}:{os.environ['PATH']}"}


def commands(heading):
    """(who, what) of the block after that heading."""
    text = PAGE.read_text(encoding='utf-8')
    assert f'**{heading}' in text, f'docs/trust.md has no "{heading}"'
    section = re.split(r'\n\*\*|\n## ', text.split(f'**{heading}', 1)[1])[0]
    found = re.findall(r'^    (\w+)\$ +(.+)$', section, re.M)
    assert found
    return found


class Drill:
    """People beside a server, and the files that they send to each other."""

    def __init__(self, server):
        self.server, self.top, self.people = server, server.folder.parent, {}
        shutil.copy(server.folder / 'root.env', server.folder / 'first-root.env')
        plan = server.folder / 'plan.yaml'   # so long that the gate has nothing to say meanwhile
        plan.write_text(plan.read_text().replace('soak: 1s', 'soak: 30m'))
        (server.folder / 'install').write_text('#!/bin/sh\ncp "$1" installed\n')
        (server.folder / 'install').chmod(0o755)

    def person(self, name):
        if name == 'server':
            return self.server
        if name not in self.people:
            self.people[name] = Person(self.server, self.top, name)
            self.people[name].take_keys(self.server)
        return self.people[name]

    def travel(self, to):
        """Public halves and what was signed go to whoever is next."""
        for whose in [self.server, *self.people.values()]:
            for pattern in ('*.pub', 'root-*.env', 'alice.env', 'both.env'):
                for file in whose.folder.glob(pattern):
                    mine = to.folder / file.name
                    if whose is not to and (not mine.exists() or
                                            mine.stat().st_mtime_ns < file.stat().st_mtime_ns):
                        shutil.copy2(file, mine)

    def run(self, heading, name=None):
        for who, what in commands(heading):
            if what.startswith('huidud '):
                self.server.stop()
                self.server.start()
                continue
            person = self.person(who)
            self.travel(person)
            what = re.sub(ASKS, r'\1--yes ', what).replace(' 1.0 ', f' {name or "1.0"} ')
            done = subprocess.run(['sh', '-ec', what], cwd=person.folder, env=ENV, text=True,
                                  capture_output=True, timeout=LIMIT_S)
            assert done.returncode == 0, (who, what, done.stdout, done.stderr)

    def publish(self, build, *keys):
        words = [w for k in keys for w in ('--key', f'../{k.split(".")[0]}/{k}')]
        done = self.server.publish(build, *words)
        assert done.returncode == 0, done.stderr

    def phone(self, want=0):
        done = agent(self.server)
        assert done.returncode == want, (done.returncode, done.stderr)
        return done

    def phone_installs(self, build):
        tries = []
        wait_until(lambda: tries.append(agent(self.server)) or tries[-1].returncode == 10,
                   lambda: tries[-1].stderr)
        assert (self.server.folder / 'installed').read_bytes() == build.encode() * 1000


def test_every_block_is_run():
    """A block of commands that no test runs would rot."""
    text = PAGE.read_text(encoding='utf-8')
    blocks = re.findall(r'\*\*([^*\n]+)\*\*[^\n]*(?:\n(?!\*\*|## |    \w+\$)[^\n]*)*\n    \w+\$',
                        text)
    here = pathlib.Path(__file__).read_text(encoding='utf-8')
    assert len(blocks) == 5
    for heading in blocks:
        assert f"'{heading.rstrip('.')}" in here, heading


def test_new_key_holder(make):  # noqa: F811
    drill = Drill(make('--profile', 'team'))
    for name in ('alice', 'bob', 'carol'):
        drill.person(name)
    drill.run('A new key holder, or one who leaves')
    approvers = next(r for r in drill.person('bob').json('key', 'list')['roles']
                     if r['role'] == 'approver')
    assert [k['name'] for k in approvers['keys']] == ['alice', 'bob', 'dave']


def test_build_and_plan_are_renewed(make):  # noqa: F811
    """While the rollout soaks; the phone takes what was signed last."""
    drill = Drill(make('--profile', 'team', '--demo'))
    for name in ('alice', 'bob', 'carol'):
        drill.person(name)
    drill.phone()
    drill.publish('1.0', 'alice.release.pem', 'bob.release.pem')
    alice = drill.person('alice')
    shutil.copy(drill.server.folder / 'plan.yaml', alice.folder)
    alice.must('rollout', 'create', '1.0', '--plan', 'plan.yaml', '--key', 'alice.release.pem')
    for name in ('bob', 'carol'):
        drill.person(name).must('approve', '1.0', '-y', '--key', f'{name}.approver.pem')
    alice.must('start', '1.0', '--key', 'alice.release.pem')
    drill.run('Before something expires')
    assert alice.json('pending')['pending'] == []
    assert alice.json('rollout', 'get', '1.0')['rollouts'][0]['state'] in ('running', 'complete')
    what = [e['what'] for e in alice.json('history')['entries']]
    assert 'publish 1.0 for phone-a, signed anew (2)' in what
    drill.phone_installs('1.0')
    alice.must('log', 'verify')


def test_online_key_stolen(make):  # noqa: F811
    drill = Drill(make('--profile', 'team', '--demo'))
    for name in ('alice', 'bob', 'carol'):
        drill.person(name)
    drill.phone()
    drill.run('An online key was stolen, or the server was')
    names = {r['role']: r['keys'][0]['name'] for r in drill.server.json('key', 'list')['roles']
             if r['role'] in ('director', 'snapshot', 'timestamp', 'log')}
    assert set(names.values()) == {'director-2', 'snapshot-2', 'timestamp-2', 'log-2'}
    drill.phone()


def test_two_signers_out_of_reach(make):  # noqa: F811
    drill = Drill(make('--profile', 'maker', '--demo'))
    server = drill.server
    for name in ('alice', 'bob', 'carol', 'dave', 'erin'):
        drill.person(name)
    bob, carol = drill.person('bob'), drill.person('carol')
    drill.publish('1.0', 'alice.release.pem', 'bob.release.pem')
    shutil.copy(server.folder / 'plan.yaml', bob.folder)
    bob.must('rollout', 'create', '1.0', '--plan', 'plan.yaml', '--key', 'bob.release.pem')
    carol.must('approve', '1.0', '-y', '--key', 'carol.approver.pem')
    own = bob.ctl('approve', '1.0', '-y', '--key', 'bob.approver.pem')
    assert own.returncode != 0 and 'propose' in own.stderr, own.stdout
    early = bob.ctl('start', '1.0', '--key', 'bob.release.pem')
    assert early.returncode != 0
    drill.phone()
    drill.run('Two signers cannot be reached')
    bob.must('start', '1.0', '--key', 'bob.release.pem')
    drill.phone_installs('1.0')
    late = drill.person('dave').ctl('halt', '1.0', '--reason', 'back', '--key',
                                    'dave.approver.pem')
    assert late.returncode in (4, 5), late.stdout
    bob.must('log', 'verify')


def test_root_lost(make):  # noqa: F811
    """A build that carries another deployment's root: the phone that boots it lives there."""
    drill = Drill(make('--profile', 'team', '--demo'))
    old = drill.server
    first = drill.phone()
    who, what = commands('The root is lost')[0]
    assert who == 'server'
    done = subprocess.run(['sh', '-ec', what + f' --demo --listen 127.0.0.1:{free_port()}'],
                          cwd=old.folder, env=ENV, capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    new = object.__new__(Server)
    new.folder, new.log, new.process = old.folder.parent / 'acme-2', old.log, None
    yaml = new.folder / 'huidud.yaml'
    new.port = int(re.search(r'listen: 127.0.0.1:(\d+)', yaml.read_text()).group(1))
    yaml.write_text(yaml.read_text().replace('127.0.0.1:9464', f'127.0.0.1:{free_port()}'))
    new.start()
    try:
        moved = ('--server', f'https://localhost:{new.port}', '--ca', new.folder / 'tls/cert.pem',
                 '--root', new.folder / 'root.env', '--repository', 'acme-2')
        ids = [re.search(r'device ([0-9a-f]{32})', done.stderr).group(1)
               for done in (first, agent(old, *moved), agent(old, *moved))]
        assert ids[0] != ids[1] == ids[2]
        assert new.json('device', 'why', ids[1])['ring'] == 'stable'
    finally:
        new.stop()


def roll_out(server, build):
    assert server.publish(build).returncode == 0
    server.must('rollout', 'create', build, '--plan', 'plan.yaml')
    server.must('rollout', 'approve', build, '--all', '-y')
    server.must('rollout', 'start', build)


def test_backup_restored(make):  # noqa: F811
    """Of the data alone: refused.  With its ledger: phones and people see it; then other keys."""
    drill = Drill(make('--person', 'alice', '--demo'))
    server, data = drill.server, drill.server.folder / 'data'
    drill.phone()
    server.stop()
    shutil.copytree(data, drill.top / 'yesterday')
    ledger = (server.folder / 'online/ledger').read_bytes()
    server.start()
    roll_out(server, '1.0')
    drill.phone_installs('1.0')
    server.must('log', 'verify')
    server.stop()
    shutil.copytree(data, drill.top / 'today')

    shutil.rmtree(data)
    shutil.copytree(drill.top / 'yesterday', data)
    done = subprocess.run([BUILD / 'server/huidud', '-c', 'huidud.yaml'], cwd=server.folder,
                          capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode != 0 and 'a backup was restored' in done.stderr
    shutil.rmtree(data)
    shutil.copytree(drill.top / 'today', data)
    server.start()
    server.must('log', 'verify')
    drill.phone()

    server.stop()
    shutil.rmtree(data)
    shutil.copytree(drill.top / 'yesterday', data)
    (server.folder / 'online/ledger').write_bytes(ledger)
    server.start()
    seen = server.ctl('log', 'verify')
    assert seen.returncode != 0 and 'shorter than the one this machine saw' in seen.stderr
    drill.phone(want=1)

    # One person has all keys here.
    for role in ('root', 'release', 'approver'):
        shutil.copy(server.folder / f'keys/alice.{role}.pem', server.folder)
    for who, what in commands('An online key was stolen, or the server was'):
        if what.startswith('huidud '):
            server.stop()
            server.start()
        elif who == 'server' or 'publish' in what or 'alice.root.pem' in what:
            (server.folder / 'log.seen').unlink(missing_ok=True)
            done = subprocess.run(['sh', '-ec', re.sub(ASKS, r'\1--yes ', what)],
                                  cwd=server.folder, env=ENV, capture_output=True, text=True,
                                  timeout=LIMIT_S)
            assert done.returncode == 0, (what, done.stdout, done.stderr)
    drill.phone()
    (server.folder / 'ota').write_bytes(b'1.1' * 1000)
    server.must('build', 'publish', 'ota', '--product', 'phone-a', '--build', '1.1', '--counter',
                '7', '-y')
    server.must('rollout', 'create', '1.1', '--plan', 'plan.yaml')
    server.must('rollout', 'approve', '1.1', '-y')
    server.must('rollout', 'start', '1.1')
    drill.phone_installs('1.1')
