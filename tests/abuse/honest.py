# SPDX-License-Identifier: Apache-2.0
"""Phones that poll at a fixed rate, in a process of their own: what a poll takes, and when."""
import multiprocessing
import time

RATE = 60  # a second: each with a connection of its own
WINDOW_S = 2


def poll_on(victim, stop, out):
    """Late from when it was due: a server that lets one wait makes the next ones late, too."""
    due, n = time.monotonic(), 0
    while not stop.is_set():
        time.sleep(max(0, due - time.monotonic()))
        device = victim.devices[n % len(victim.devices)]
        try:
            good = [victim.own(device, a) for a in victim.ask(device.request(), source=9000 + n % 40)]
        except OSError:
            good = []
        out.put((due, time.monotonic() - due, good == [True]))
        due, n = due + 1 / RATE, n + 1


def p99(took):
    return sorted(took)[int(len(took) * 0.99)]


class Honest:
    """with Honest(victim) as h: ...; h.p99(start, end)"""

    def __init__(self, victim):
        self.stop, self.out = multiprocessing.Event(), multiprocessing.Queue()
        victim.extension(0)
        self.process = multiprocessing.Process(target=poll_on, args=(victim, self.stop, self.out))
        self.seen = []

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.read()
        self.process.join(30)

    def read(self):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                self.seen.append(self.out.get(timeout=0.1))
            except Exception:  # queue.Empty: it has said all
                return

    def p99(self, start, end):
        """Seconds: the median of what the windows between say.  Every poll was answered."""
        self.read()
        windows = {}
        for due, took, good in self.seen:
            assert good, f'a poll failed after {took:.2f} s'
            if start <= due < end:
                windows.setdefault(int((due - start) / WINDOW_S), []).append(took)
        full = sorted(p99(w) for w in windows.values() if len(w) > RATE * WINDOW_S / 2)
        assert len(full) > 1, {k: len(w) for k, w in windows.items()}
        return full[len(full) // 2]
