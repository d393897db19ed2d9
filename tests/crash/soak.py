#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ten minutes of fleet load with a promote, a halt and a restart in it: memory stays flat, no descriptor
is lost, and the store does not grow beyond what is in it."""
import argparse
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'scenario'))

import test_huidud  # noqa: E402 (found by the line above)
from test_huidud import Deployment, fleet_status, start_fleet, wait_until  # noqa: E402

PHONES = 500
# What happens when, as shares of the whole.
BEGIN, RESTART, BAD, HALT, BASE, BASE_END, END = 0.03, 0.25, 0.3, 0.4, 0.45, 0.65, 0.8
FLAT = 0.05        # by which memory may differ between the two windows
STORE_MORE = 0.10  # the share by which the store's file may grow between them, and so many bytes
STORE_BYTES = 1 << 20

PLAN = '''
name: soak
rings:
  - {{ring: stable, share: 10 %, soak: {soak}s, max_soak: 10h, tolerance: none}}
  - {{ring: stable, share: 100 %, soak: 10h, max_soak: 30h, tolerance: none}}
watch: 10h
batch: 5s
holdback: 0 %
crash_reports: none
'''


def signer_of(pid):
    return int(pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()[0])


def rss(pid):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS'):
            return int(line.split()[1]) * 1024
    return 0


def sample(d):
    pid = d.process.pid
    return {'server memory': rss(pid), 'signer memory': rss(signer_of(pid)),
            # Connections of phones come and go; what is lost stays.
            'descriptors': len(os.listdir(f'/proc/{pid}/fd')) - int(d.metric('huidu_connections')),
            'store': (d.folder / 'data/store/data.mdb').stat().st_blocks * 512}


class Story:
    """What happens once the time for it has come; each thing once."""

    def __init__(self, d, seconds):
        self.d, self.seconds = d, seconds
        self.left = [(BEGIN, self.begin), (RESTART, self.restart), (BAD, self.bad),
                     (HALT, self.halt)]
        self.told = []

    def begin(self):
        self.d.release('1.0', PLAN.format(soak=max(1, int(self.seconds / 20))), os.urandom(100000))

    def restart(self):
        wait_until(lambda: self.d.rollout('1.0')['stages'][1]['state'] != 'waiting', 'promoted',
                   0.1 * self.seconds)
        assert self.d.stop_server() == 0
        self.d.start()

    def bad(self):
        self.d.release('2.0', PLAN.format(soak=36000), os.urandom(100000))

    def halt(self):
        self.d.ctl('rollout', 'halt', '2.0', '--reason', 'soak')  # or the gate was first
        assert self.d.rollout('2.0')['state'] == 'halted'

    def go_on(self, now):
        while self.left and now >= self.left[0][0] * self.seconds:
            what = self.left.pop(0)[1]
            what()
            print(f'{now:5.0f} s  {what.__name__}', flush=True)


class Server(Deployment):
    def stop_server(self):
        """Its phones go on."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def run(d, seconds):
    """Samples, (seconds since the start, {name: value}) each."""
    samples, story, began = [], Story(d, seconds), time.monotonic()
    d.start()
    start_fleet(d, '--phones', str(PHONES), '--day', str(max(5, int(seconds / 40))), '--crashes', '0.3', '--reconnect',
                '--build', '2.0:crash=3')
    wait_until(lambda: (fleet_status(d) or {}).get('enrolled') == PHONES, 'enrolled')
    while time.monotonic() - began < seconds:
        now = time.monotonic() - began
        story.go_on(now)
        samples.append((now, sample(d)))
        time.sleep(1)
    assert not story.left
    return samples, fleet_status(d)


def median(samples, name, first, last):
    return statistics.median(s[name] for at, s in samples if first <= at < last)


def judge(samples, seconds):
    """Prints the table; how many lines of it are wrong."""
    bad = 0
    print(f'\n{"":16}{"%d to %d s" % (BASE * seconds, BASE_END * seconds):>16}'
          f'{"%d to %d s" % (END * seconds, seconds):>16}{"change":>10}')
    for name in samples[0][1]:
        before = median(samples, name, BASE * seconds, BASE_END * seconds)
        after = median(samples, name, END * seconds, seconds)
        if name == 'descriptors':
            good = after <= before
        elif name == 'store':
            good = after <= before * (1 + STORE_MORE) + STORE_BYTES
        else:
            good = abs(after / before - 1) <= FLAT
        bad += not good
        print(f'{name:16}{before:16,.0f}{after:16,.0f}{100 * (after / before - 1):9.1f} %'
              f'{"" if good else "  too much"}')
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('build')
    parser.add_argument('--seconds', type=float, default=600)
    args = parser.parse_args()
    build = pathlib.Path(args.build).resolve()
    test_huidud.HUIDUD, test_huidud.CTL = build / 'server/huidud', build / 'server/ctl/huiductl'
    test_huidud.FLEET = build / 'bench/fleet'
    with tempfile.TemporaryDirectory(prefix='huidu-soak-') as folder:
        d = Server(pathlib.Path(folder))
        try:
            samples, fleet = run(d, args.seconds)
        finally:
            d.stop()
    bad = judge(samples, args.seconds)
    print(f'{fleet}\n{4 - bad} passed, {bad} failed')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
