# SPDX-License-Identifier: Apache-2.0
"""huidud is killed again and again while phones report and people are busy: what was acknowledged
stays, is counted once, and nothing that a phone has seen goes back."""
import itertools
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from load import ANSWER_OFFER, AT_ANSWER, hang_up, start_load
from test_huidud import LIMIT_S, STABLE, Deployment, wait_until
from test_log import STABLE_RING, Phone, fields

KILLS, ROUNDS_FULL = 200, 50  # a deployment each round
PHONES = 12
LOOK_CLOSELY = 25  # at every so manieth kill
# A refusal that says that the command was taken when its answer was cut off.
DONE_BEFORE = ('published already', 'signed it already', 'is running', 'is complete', 'is approved',
               'is halted', 'is proposed', 'nothing to approve')
LOGGED = {'create': 'propose'}  # what the history calls it
TIMESTAMP, SNAPSHOT, DIRECTOR = 1, 2, 3  # fields of PollReply
OFFERS, COUNTER, HALTED = 7, 7, 8        # of Director, of Offer, of Director

LONG = STABLE.replace('soak: 1s', 'soak: 10h').replace('max_soak: 1h', 'max_soak: 30h').replace(
    'watch: 1s', 'watch: 10h') + 'line: other\n'


def two_lines(tmp_path, kind=Deployment):
    """People are busy with phone-a; phones of the other line report about a build of theirs."""
    return kind(tmp_path, **{'# What the codes': '  - name: other\n    products: [phone-b]\n    '
                             'rings: {core: 0, honour: 0, dev: 0}\n\n# What the codes'})


@pytest.fixture
def deployment(tmp_path):
    d = two_lines(tmp_path)
    yield d
    d.stop()


class Admin(threading.Thread):
    """Publishes, proposes, approves, starts and halts, build after build; notes what was acknowledged."""

    def __init__(self, d):
        super().__init__(daemon=True)
        self.d, self.enough = d, threading.Event()
        self.done, self.halted, self.refused = [], [], ''

    def must(self, *args):
        """Until it is acknowledged, or said to be done already; commands are cut off in the middle."""
        while not self.enough.is_set():
            try:
                r = self.d.ctl(*args)
            except subprocess.TimeoutExpired:
                continue
            if r.returncode == 0:
                self.done.append(args)
                return True
            time.sleep(0.02)
            self.refused = r.stdout + r.stderr
            if any(word in self.refused for word in DONE_BEFORE):
                return True
        return False

    def run(self):
        (self.d.folder / 'plan.yaml').write_text(STABLE)
        for i in itertools.count(1):
            name = f'{i}.0'
            (self.d.folder / name).write_bytes(name.encode())
            for words in (('build', 'publish', self.d.folder / name, '--product', 'phone-a',
                           '--build', name),
                          ('rollout', 'create', name, '--plan', 'plan.yaml'),
                          ('rollout', 'approve', name, '--yes'), ('rollout', 'start', name),
                          ('rollout', 'halt', name, '--reason', 'test')):
                if not self.must(*words):
                    return
            self.halted.append(name)


def payload(envelope):
    return fields(fields(envelope)[1][0])


class Seen:
    """By one phone that forgets everything else, so that it is served all of it each time."""

    def __init__(self, d, admin):
        self.phone, self.floor, self.admin = Phone(d, STABLE_RING), {}, admin
        self.looks = 0

    def look(self):
        halted = list(self.admin.halted)  # before the poll
        reply = self.phone.poll(STABLE_RING)
        for kind in (TIMESTAMP, SNAPSHOT, DIRECTOR):
            now = payload(reply[kind][0])[2][0]
            assert now >= self.floor.get(kind, 0), (kind, now, self.floor)
            self.floor[kind] = now
        # Builds of this product are numbered as they are published: 1.0, 2.0, ...
        director = payload(reply[DIRECTOR][0])
        offered = {fields(o)[COUNTER][0] for o in director.get(OFFERS, [])}
        assert not offered & {int(float(name)) for name in halted}, (offered, halted)
        self.looks += 1


def check(d, admin, seen):
    """What was acknowledged before the kill is there after it."""
    halted = list(admin.halted)
    d.must('log', 'verify')
    seen.look()
    states = {r['release']: r['state'] for r in d.json('rollout', 'get')['rollouts']}
    assert all(states[name] == 'halted' for name in halted), states


def start_counted(d, loads, build='b1'):
    """A stage that stays open, and every phone in it."""
    (d.folder / 'b').write_bytes(b'b')
    (d.folder / 'long.yaml').write_text(LONG)
    d.must('build', 'publish', 'b', '--product', 'phone-b', '--build', build)
    d.must('rollout', 'create', build, '--plan', 'long.yaml')
    d.must('rollout', 'approve', build, '--yes')
    d.must('rollout', 'start', build)
    for load in loads:
        wait_until(lambda: load.phone.poll()[AT_ANSWER] == [ANSWER_OFFER], 'an offer')
    wait_until(lambda: counted(d, build)['offered'] == len(loads), 'all are in their arm')
    for load in loads:
        load.start()


def counted(d, build='b1'):
    return d.json('rollout', 'get', build)['rollouts'][0]['stages'][0]


def check_counts(d, loads, build='b1'):
    """Each event that was acknowledged once, and no other: all of them have an answer by now."""
    for load in loads:
        assert load.phone.unanswered is None, 'a report was never answered'
        last = d.json('device', 'why', load.phone.id.hex())['last_seq']
        assert last == load.phone.taken, (load.phone.number, last, load.phone.taken)
    crashed = sum(load.crashed for load in loads)
    stage = d.json('gate', 'explain', build)['stages'][0]
    streams = {s['name']: s for s in stage['streams']}
    assert streams['crashes']['canary'] == crashed, (streams['crashes'], crashed)
    assert streams['battery']['canary'] == sum(load.had_symptom for load in loads)


def check_log(d, admin):
    history = d.must('rollout', 'history')
    for words in admin.done:
        name = words[-1] if words[0] == 'build' else words[2]
        text = f"{LOGGED.get(words[1], words[1])} {name}"
        assert text in history, (text, history)


def pytest_generate_tests(metafunc):
    if 'round_' in metafunc.fixturenames:
        full = metafunc.config.getoption('--full')
        metafunc.parametrize('round_', range(ROUNDS_FULL if full else 1))


def test_killed_while_all_are_busy(deployment, round_, seed):
    seed += round_
    d, chance = deployment, random.Random(seed)
    d.start()
    admin = Admin(d)
    seen, loads = Seen(d, admin), start_load(d, 'phone-b', PHONES, 'b1', seed)
    start_counted(d, loads)
    admin.start()
    began = time.monotonic()
    for kill in range(KILLS):
        time.sleep(chance.uniform(0, 0.4))
        assert d.process.poll() is None, d.log.read_text()[-2000:]
        d.kill()
        d.start()
        if kill % LOOK_CLOSELY == 0:
            check(d, admin, seen)
        else:
            seen.look()
    took = time.monotonic() - began
    for load in loads:
        load.finish()
    admin.enough.set()
    admin.join(LIMIT_S)
    assert not admin.is_alive() and len(admin.done) >= KILLS / 4, admin.refused
    check(d, admin, seen)
    check_counts(d, loads)
    check_log(d, admin)
    print(f'\nseed {seed}: {KILLS} kills in {took:.0f} s, {sum(l.reports for l in loads)} reports '
          f'answered, {sum(l.phone.retried for l in loads)} sent again, {len(admin.done)} commands '
          f'acknowledged, {len(admin.halted)} builds halted, {seen.looks} looks')
    hang_up(loads)


def test_signer_is_killed(deployment, seed):
    """huidud ends with it, at once, and starts again with all that was acknowledged."""
    d, chance = deployment, random.Random(seed)
    d.start()
    admin = Admin(d)
    seen = Seen(d, admin)
    admin.start()
    for _ in range(10):
        time.sleep(chance.uniform(0.1, 0.5))
        with open(f'/proc/{d.process.pid}/task/{d.process.pid}/children', encoding='ascii') as f:
            os.kill(int(f.read().split()[0]), signal.SIGKILL)
        assert d.process.wait(10) == 1
        d.start()
        check(d, admin, seen)
    admin.enough.set()
    admin.join(LIMIT_S)
    check(d, admin, seen)
    check_log(d, admin)
