# SPDX-License-Identifier: Apache-2.0
"""Phones that poll at a fixed rate, in a process of their own: what a poll takes, and when."""
import collections
import contextlib
import multiprocessing
import queue
import time

from victim import PRIORITY, prefer, shed

RATE = 60  # a second: each with a connection of its own
WINDOW_S = 2
LATE_S = 10  # that the last poll may be
FEW = 5      # polls that say nothing of a window
STARVED = 0.1  # of the time, in which a thread of the server could run and had no processor
GOOD, SHED, BAD = range(3)

# p99_s: the median of what the windows say; shed: answered by "busy"; cpu, waited: of one processor.
Seen = collections.namedtuple('Seen', 'p99_s, shed, cpu, waited, starved')


def poll(victim, number):
    """(GOOD, SHED or BAD, what there is to say of it)"""
    device = victim.devices[number % len(victim.devices)]
    try:
        answers = victim.ask(device.request(), source=9000 + number % 40)
    except OSError as error:
        return BAD, repr(error)
    if len(answers) == 1 and victim.own(device, answers[0]):
        return GOOD, ''
    return SHED if len(answers) == 1 and shed(answers[0]) else BAD, repr([a[:2] for a in answers])


def poll_on(victim, stop, out):
    """Late from when it was due: a server that lets one wait makes the next ones late, too."""
    prefer(PRIORITY, [0])
    due, n = time.monotonic(), 0
    while not stop.is_set():
        time.sleep(max(0, due - time.monotonic()))
        how, what = poll(victim, n)
        out.put((due, time.monotonic() - due, how, what))
        due, n = max(due + 1 / RATE, time.monotonic() - WINDOW_S), n + 1


def p99(took):
    return sorted(took)[int(len(took) * 0.99)]


class Honest:
    """with Honest(victim) as h: h.begin() ... seen = h.end()"""

    def __init__(self, victim):
        self.victim, self.stop, self.out = victim, multiprocessing.Event(), multiprocessing.Queue()
        self.process = multiprocessing.Process(target=poll_on, args=(victim, self.stop, self.out))
        self.polls = []

    def __enter__(self):
        self.victim.extension(0)
        self.refused = self.victim.refused()
        self.process.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.wait(0.1)
        while self.process.is_alive():  # what it has said must be read before it can end
            self.wait(0.1)
        self.process.join()

    def wait(self, seconds):
        """Reads what it says meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self.polls.append(self.out.get(timeout=left))

    def begin(self):
        self.began, self.cpu, self.waited = \
            time.monotonic(), self.victim.cpu_s(), self.victim.waited_s()

    def end(self):
        """What was seen since begin().  Every poll was answered; by "busy" only when it is true."""
        ended = time.monotonic()
        cpu, waited = ((now - then) / (ended - self.began) for now, then in
                       ((self.victim.cpu_s(), self.cpu), (self.victim.waited_s(), self.waited)))
        starved, windows, later = waited > STARVED, {}, 0
        while time.monotonic() < ended + LATE_S and self.polls[-1:] < [(ended,)]:
            self.wait(0.1)
        for due, took, how, what in self.polls:
            assert how == GOOD or (how == SHED and starved), self.complaint(took, what, waited)
            if self.began <= due < ended:
                windows.setdefault(int((due - self.began) / WINDOW_S), []).append(took)
                later += how == SHED
        full = sorted(p99(w) for w in windows.values() if len(w) >= FEW)
        assert full, {k: len(w) for k, w in windows.items()}
        return Seen(full[len(full) // 2], later, cpu, waited, starved)

    def complaint(self, took, what, waited):
        """Which of its refusals, and how late it says it is."""
        now = self.victim.metrics()
        more = {k: float(now[k]) - v for k, v in self.refused.items() if float(now[k]) > v}
        late = {k: v for k, v in now.items() if k.startswith(('huidu_worker', 'huidu_accept'))}
        return f'a poll failed after {took:.2f} s: {what}; {more}; {late}; waited {waited:.0%}'
