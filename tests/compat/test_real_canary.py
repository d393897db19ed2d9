# SPDX-License-Identifier: Apache-2.0
"""Rollouts of many: two hundred devices of hawkBit as scripts and two real swupdate among them, and
phones with the SDK beside them."""
import concurrent.futures
import http.client
import threading

import pytest

from ddi_client import Client
from swupdate import SUCCESS, SwUpdate, make_bundle
from test_hawkbit import TOKEN, Boards, boards, counts
from test_huidud import fleet_status, start_fleet, wait_until

DEVICES = 202
WORKERS = 8
WHOLE = 1_000_000 # buckets
TRIES, ROUNDS = 12, 3

PLAN = '''
name: canary
rings:
{rings}
silence: {{s1: {s1}, after: 1h}}
watch: {s1}
batch: 200ms
holdback: 0 %
crash_reports: none
'''
RING = '  - {{ring: stable, share: {}, soak: 1s, max_soak: 1h, tolerance: none}}'


def plan(*shares, s1='1h'):
    return PLAN.format(rings='\n'.join(RING.format(s) for s in shares), s1=s1)


class Kept(Client):
    """One of many behind a gateway: a thread has one connection for all of its devices."""
    mine = threading.local()

    def call(self, method, path, body=None, headers=None):
        for again in (True, False):
            c = getattr(self.mine, 'c', None)
            if c is None or c.port != self.port:
                c = self.mine.c = http.client.HTTPSConnection(
                    'localhost', self.port, context=self.context, timeout=30)
            try:
                c.request(method, path, body, {**self.headers, **(headers or {})})
                r = c.getresponse()
                return r.status, r.read(), r.headers
            except (OSError, http.client.HTTPException):
                c.close()
                if not again: # the server may have ended one that was idle
                    raise


class Crowd:
    def __init__(self, folder):
        self.boards = Boards(folder)
        self.boards.start()
        self.pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
        certificate = self.boards.folder / 'tls/cert.pem'
        self.clients = {f'board-{i:03}': Kept(self.boards.port, certificate, f'board-{i:03}')
                        for i in range(DEVICES)}
        self.each(Kept.poll)
        self.ids = {n: r['device'] for n, r in self.boards.foreign().items()}
        assert set(self.ids) == set(self.clients)

    def each(self, act, names=None):
        """{name: what became of it}, of all or of some, side by side."""
        names = list(self.clients if names is None else names)
        return dict(zip(names, self.pool.map(lambda n: act(self.clients[n]), names)))

    def places(self, build):
        """{name: where in its ring it comes}, of a million."""
        def place(name):
            found = self.boards.json('device', 'why', self.ids[name])
            return next(o['bucket'] for o in found['offers'] if o['release'] == build)
        return dict(zip(self.ids, self.pool.map(place, self.ids)))

    def states(self):
        return {n: r['state'] for n, r in self.boards.foreign().items()}

    def polls(self, names):
        """All of them ask once; who is offered something."""
        links = self.each(Kept.poll, names)
        return {n: l for n, l in links.items() if 'deploymentBase' in l}

    def offer(self, names, done):
        """All ask until those in `done` were offered the build, and did that; nobody else is."""
        left = set(done)

        def go_on():
            offered = self.polls(set(names) - (set(done) - left))
            assert set(offered) <= left, offered.keys() - left
            self.each(lambda c: done[c.name](c, offered[c.name]), offered)
            left.difference_update(offered)
            return not left
        wait_until(go_on, f'{sorted(left)} are offered it')

    def stop(self):
        self.pool.shutdown()
        self.boards.stop()


@pytest.fixture(scope='module')
def crowd(tmp_path_factory):
    c = Crowd(tmp_path_factory.mktemp('crowd'))
    yield c
    c.stop()


def publish(crowd, count, least, share_ppm, *shares, **options):
    """A build of which so many devices at least are in the first stage: each draws anew.  Some of
    them are offered it already: a small share of which nobody came passes when its soak is over."""
    b, content = crowd.boards, options.pop('content', b'content')
    for i in range(TRIES):
        build = f'{count}.{i}'
        b.publish(build, plan(*shares, **options), content(build) if callable(content) else content)
        offered = {}
        for _ in range(ROUNDS):
            offered = offered or crowd.polls(crowd.clients)
        places = crowd.places(build)
        inside = {n for n, p in places.items() if p < share_ppm}
        if offered and len(inside) >= least:
            assert b.rollout(build)['step'] == 0 and set(offered) <= inside
            return build, places, inside
        b.halt(build)
        crowd.each(lambda c: c.cancel(c.poll()), offered)
    raise AssertionError(f'never {least} inside')


def install(client, links):
    client.install(links)


def number(client, links):
    """Of the action: what it is may be withheld by now, for it was halted."""
    return int(client.follow(links['deploymentBase']).rsplit('/', 1)[1])


def fail(client, links):
    action = number(client, links)
    assert client.feed(action, 'proceeding', detail='Installing Update Chunk Artifacts.') == 200
    assert client.feed(action, 'closed', 'failure', 'it does not fit') == 200


def vanish(client, links):
    client.all_there(number(client, links))


def whole(client, links):
    client.install(links)
    client.confirm(client.poll())


def real(crowd, place, name, signer):
    return SwUpdate(place / name, f'https://localhost:{crowd.boards.port}',
                    crowd.boards.folder / 'tls/cert.pem', signer, name=name, gatewaytoken=TOKEN)


def test_canary(crowd, place, signer):
    """1 % has it, then half, then all; a real one is inside, and another comes when it widens."""
    b = crowd.boards
    build, places, inside = publish(
        crowd, 2, 2, WHOLE // 100, '1 %', '50 %', '100 %',
        content=lambda v: make_bundle(place / v, signer, v).read_bytes())
    first = min(inside)
    second = min(n for n, p in places.items() if WHOLE // 100 <= p < WHOLE // 2)
    scripts = set(crowd.clients) - {first, second}
    with real(crowd, place, first, signer) as inner, real(crowd, place, second, signer) as outer:
        inner.start()
        crowd.offer(inside - {first}, {n: install for n in inside - {first}})
        wait_until(lambda: inner.installed() == build, 'the real one inside has it')
        outer.start()
        # Nobody else has heard of it, though all go on asking.
        told = b.metric('huidu_polls_total{answer="staged_out"}')
        for _ in range(2):
            assert not crowd.polls(scripts - inside)
        assert b.metric('huidu_polls_total{answer="staged_out"}') >= \
            told + 2 * len(scripts - inside)
        wait_until(lambda: {n for n, s in crowd.states().items() if s != 'idle'} == inside,
                   'installed')
        assert outer.installed() is None
        want = {'offered': len(inside), 'installed': len(inside), 'boot_ok': 0, 'failed': 0}
        wait_until(lambda: counts(b, build) == want, f'{want}')
        assert b.rollout(build)['step'] == 0
        # They confirm: it widens, to whom it is meant for.
        crowd.each(lambda c: c.confirm(c.poll()), inside - {first})
        inner.restart(SUCCESS)
        half = {n for n, p in places.items() if p < WHOLE // 2}
        wait_until(lambda: b.rollout(build)['step'] == 1, 'half of them')
        crowd.offer(scripts, {n: whole for n in half - inside - {second}})
        wait_until(lambda: crowd.states()[second] == 'installed', 'the real one outside has it now')
        assert outer.installed() == build
        outer.restart(SUCCESS)
        wait_until(lambda: b.rollout(build)['step'] == 2, 'all of them')
        crowd.offer(scripts, {n: whole for n in scripts - half})
        wait_until(lambda: b.rollout(build)['state'] == 'complete', 'complete')
        wait_until(lambda: set(crowd.states().values()) == {'idle'}, 'all of them')
    assert all(r['runs_hash'] == r['build_hash'] for r in b.foreign().values())
    # The gate does not wait for the last of many; who is late has it, and is in no arm.
    want = [len(inside), len(half - inside), DEVICES - len(half)]
    for stage, n in zip(b.rollout(build)['stages'], want):
        assert 0.9 * n <= stage['boot_ok'] <= n and stage['failed'] == 0


@pytest.mark.parametrize('number, what, act, s1', [(3, 'failed installs', fail, '1h'),
                                                    (4, 'no boot in time', vanish, '2s')])
def test_bad_build(crowd, number, what, act, s1):
    """Who was inside says failure, or nothing any more: the gate halts it, and the rest has never
    heard of it."""
    b = crowd.boards
    build, _, inside = publish(crowd, number, 8, WHOLE // 10, '10 %', '100 %', s1=s1)
    rest = set(crowd.clients) - inside
    gone = set()

    def halted():
        # Who was offered it is not heard of again.
        offered = crowd.polls(set(crowd.clients) - gone)
        assert set(offered) <= inside
        crowd.each(lambda c: act(c, offered[c.name]), offered)
        gone.update(offered)
        return b.rollout(build)['state'] == 'halted'
    wait_until(halted, 'the gate halts it')
    assert what in b.rollout(build)['gate']
    assert len(gone) >= 3 and not crowd.polls(rest)
    assert counts(b, build)['boot_ok'] == 0
    records = b.foreign()
    (bad,) = {records[n]['build_hash'] for n in gone}
    assert not any(records[n]['build_hash'] == bad for n in rest)
    assert b.must('gate', 'replay', build).rstrip().endswith(' 0 differ')


# ---- phones of the same product beside them

PHONES, BOARDS = 30, 20 # and a real one


def test_one_line_with_phones(boards, place, signer):
    """One rollout for both: both are counted, and a halt reaches both."""
    fleet = start_fleet(boards, '--phones', str(PHONES), '--crashes', '0')
    names = [f'board-{i}' for i in range(BOARDS)]
    scripts = {n: Kept(boards.port, boards.folder / 'tls/cert.pem', n) for n in names}
    for c in scripts.values():
        c.poll()
    device = SwUpdate(place / 'd', f'https://localhost:{boards.port}',
                      boards.folder / 'tls/cert.pem', signer, name='dev-1', gatewaytoken=TOKEN)
    with device:
        device.start()
        wait_until(lambda: len(boards.foreign()) == BOARDS + 1, 'all boards are known')
        wait_until(lambda: (fleet_status(boards) or {}).get('enrolled') == PHONES, 'all phones')
        boards.publish('2.0', plan('100 %'), make_bundle(place / '2.0', signer, '2.0').read_bytes())

        def go_on(act):
            for c in scripts.values():
                links = c.poll()
                if 'deploymentBase' in links:
                    act(c, links)
            if boards.foreign()['dev-1']['state'] == 'installed' and device.runs():
                device.restart(SUCCESS)
            return counts(boards, '2.0')['boot_ok'] == PHONES + BOARDS + 1
        wait_until(lambda: go_on(whole), 'phones and boards run it')
        assert counts(boards, '2.0')['failed'] == 0
        wait_until(lambda: boards.rollout('2.0')['state'] == 'complete', 'complete')
        # The next is halted while it is under way.
        boards.publish('3.0', plan('60 %'), make_bundle(place / '3.0', signer, '3.0').read_bytes())
        busy = {}
        wait_until(lambda: busy.update({c: c.begin(l) for c in scripts.values() if c not in busy
                                        for l in [c.poll()] if 'deploymentBase' in l}) or
                   len(busy) >= 3 and counts(boards, '3.0')['installed'] >= 3, 'some of both')
        boards.halt('3.0')
        for c, (action, _) in busy.items():
            assert c.cancel(c.poll()) == action
        assert asked_again(boards, scripts) == asked_again(boards, scripts)
    fleet.terminate()
    assert fleet.wait(20) == 0


def asked_again(boards, scripts):
    """How many were offered it, when those who were not have been told so about twice."""
    halted = 'huidu_polls_total{answer="halted"}'
    offered = counts(boards, '3.0')['offered']
    want = boards.metric(halted) + 2 * (PHONES + BOARDS + 1 - offered)

    def go_on():
        assert not any('deploymentBase' in c.poll() for c in scripts.values())
        return boards.metric(halted) >= want
    wait_until(go_on, 'all have asked again')
    assert 0 < offered < PHONES + BOARDS + 1 and counts(boards, '3.0')['failed'] == 0
    return counts(boards, '3.0')['offered']


def test_reports_of_phones_are_not_theirs(boards):
    """Phones of the product report crashes, the boards beside them do not: people are asked."""
    fleet = start_fleet(boards, '--phones', str(PHONES), '--day', '1', '--crashes', '1')
    c = boards.client('board-1')
    c.poll()
    wait_until(lambda: (fleet_status(boards) or {}).get('enrolled') == PHONES, 'all phones')
    boards.publish('2.0', plan('100 %').replace('crash_reports: none\n', ''))
    c.install(boards.offered(c))
    c.confirm(c.poll())
    wait_until(lambda: boards.stage('2.0')['crashed'] > 0, 'phones report crashes')
    wait_until(lambda: boards.rollout('2.0')['state'] == 'paused', 'paused')
    assert 'no crash reports come from phone-a (hawkbit)' in boards.rollout('2.0')['gate']
    fleet.terminate()
    fleet.wait(20)
