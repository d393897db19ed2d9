#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Abuse of the device front, over sockets, against the real huidud.  A line a case; after each one the
server lives, and phones, the operator and the metrics are answered."""
import argparse
import os
import pathlib
import resource
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
sys.path[:0] = [str(pathlib.Path(__file__).parent.parent / name) for name in ('scenario', 'lib')]

import bodies  # noqa: E402 (all of them are found by the line above)
import flood  # noqa: E402
import mixed  # noqa: E402
import records  # noqa: E402
import slow  # noqa: E402
import smuggle  # noqa: E402
import starve  # noqa: E402
from victim import Victim  # noqa: E402

# (name, what it talks to, the case: takes the victim and the options, returns figures)
CASES = (*smuggle.CASES, *bodies.CASES, *mixed.CASES, *records.CASES, *flood.CASES, *slow.CASES,
         *starve.CASES)
VICTIMS = {'plain': {'plain': True}, 'tls': {'plain': False}, 'calm': {'plain': False},
          
           'few': {'plain': False, 'nofile': starve.DESCRIPTORS}}


class Victims:
    """Started when they are first needed."""

    def __init__(self, folder, short):
        self.folder, self.short, self.all = pathlib.Path(folder), short, {}

    def get(self, name):
        if name not in self.all:
            (self.folder / name).mkdir()
            self.all[name] = Victim(self.folder / name, sanitized=self.short, **VICTIMS[name])
            self.all[name].prepare()
        return self.all[name]

    def stop(self):
        """Statuses of their ends that were not 0: a sanitizer's findings, too."""
        ended = {name: victim.stop() for name, victim in self.all.items()}
        return {name: (status, self.all[name].log.read_text()[-4000:])
                for name, status in ended.items() if status != 0}


def run(case, victims, options):
    name, wanted, function = case
    start = time.monotonic()
    try:
        victim = victims.get(wanted)
        victim.well()
        figures = function(victim, options)
        victim.well()
    except Exception:  # whatever it was, the next case is run
        print(f'FAILED {name}', flush=True)
        traceback.print_exc()
        return False
    print(f'ok {name} ({figures}; {time.monotonic() - start:.0f} s)', flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--full', action='store_true', help='longer')
    parser.add_argument('--short', action='store_true', help='smaller numbers, for sanitizers')
    parser.add_argument('names', nargs='*', help='beginnings of cases; without them all')
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cases = CASES + slow.LONG if options.full else CASES
    chosen = [c for c in cases if not options.names or c[0].startswith(tuple(options.names))]
    with tempfile.TemporaryDirectory(prefix='abuse-', dir=os.environ.get('HUIDU_TESTS_IN')) as folder:
        victims = Victims(folder, options.short)
        options.calm = lambda: victims.get('calm')
        good = [run(case, victims, options) for case in chosen]
        bad = victims.stop()
    for name, (status, log) in bad.items():
        print(log, file=sys.stderr)
        print(f'FAILED the end of {name}: {status}')
    print(f'{sum(good)} passed, {len(good) - sum(good) + len(bad)} failed')
    return 1 if bad or not all(good) else 0


if __name__ == '__main__':
    sys.exit(main())
