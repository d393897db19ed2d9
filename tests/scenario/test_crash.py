# SPDX-License-Identifier: Apache-2.0
"""huidud is killed again and again while people are busy: what was acknowledged stays, and nothing that
a phone has seen goes back."""
import itertools
import random
import subprocess
import threading
import time

import pytest

from test_huidud import LIMIT_S, STABLE, Deployment
from test_log import STABLE_RING, Phone, fields

KILLS, BUSY_S = 30, 50
LOGGED = {'create': 'propose'}  # what the history calls it
SEED = 4
TIMESTAMP, SNAPSHOT, DIRECTOR = 1, 2, 3  # fields of PollReply


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    yield d
    d.stop()


class Admin(threading.Thread):
    """Publishes, proposes, approves, starts and halts, build after build; notes what was acknowledged."""

    def __init__(self, d):
        super().__init__()
        self.d, self.enough = d, threading.Event()
        self.done, self.halted = [], []

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
            if any(word in r.stdout + r.stderr for word in ('already', 'is running', 'is approved',
                                                            'is halted', 'is proposed',
                                                            'nothing to approve')):
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


def version(envelope):
    return fields(fields(envelope)[1][0])[2][0]


class Seen:
    """By one phone that forgets everything else, so that it is served all of it each time."""

    def __init__(self, d):
        self.phone, self.floor = Phone(d, STABLE_RING), {}

    def look(self):
        reply = self.phone.poll(STABLE_RING)
        for kind in (TIMESTAMP, SNAPSHOT, DIRECTOR):
            now = version(reply[kind][0])
            assert now >= self.floor.get(kind, 0), (kind, now, self.floor)
            self.floor[kind] = now


def check(d, admin, seen):
    """What was acknowledged before the kill is there after it."""
    halted = list(admin.halted)
    d.must('log', 'verify')
    seen.look()
    states = {r['release']: r['state'] for r in d.json('rollout', 'get')['rollouts']}
    assert all(states[name] == 'halted' for name in halted), states


def test_killed_while_people_are_busy(deployment):
    d, chance = deployment, random.Random(SEED)
    d.start()
    seen, admin, kills = Seen(d), Admin(d), 0
    end = time.monotonic() + BUSY_S
    admin.start()
    try:
        while kills < KILLS and time.monotonic() < end:
            time.sleep(chance.uniform(0, 0.6))
            seen.look()
            d.kill()
            kills += 1
            d.start()
            check(d, admin, seen)
    finally:
        admin.enough.set()
        admin.join(LIMIT_S)
    assert not admin.is_alive() and kills >= 10 and len(admin.done) >= kills
    check(d, admin, seen)
    history = d.must('rollout', 'history')
    for words in admin.done:
        name = words[-1] if words[0] == 'build' else words[2]
        text = f"{LOGGED.get(words[1], words[1])} {name}"
        assert text in history, (text, history)
