# SPDX-License-Identifier: Apache-2.0
"""Answers that offer a halted build though they were asked for after the halt was acknowledged."""
import bisect
import os
import struct
import threading
import time

from both import Generator, show

RATE, ROW, OFFER = 1000, struct.Struct("=QQII"), 2
OFFERED_S, WATCHED_S = 0.05, 0.03
PLAN = """name: halted
rings:
  - {ring: stable, share: 100 %, soak: 1h, max_soak: 1d, tolerance: none}
holdback: 0 %
"""


class Load(threading.Thread):
    """Phones that hold nothing, so that each answer has all that is on offer."""

    def __init__(self, generator):
        super().__init__(daemon=True)
        self.generator, self.enough, self.answers = generator, threading.Event(), 0
        self.wrong = None

    def run(self):
        try:
            while not self.enough.is_set():
                self.answers += self.generator.slice(1, RATE)["requests"]
        except (AssertionError, OSError) as e:  # told by whoever joins it
            self.wrong = e


def read_rows(path):
    with open(path, "rb") as f:
        return sorted(ROW.iter_unpack(f.read()))


def offers_in(rows, begin, end):
    """Of the answers asked for and had in between: how many, and how many of them offer."""
    some = rows[bisect.bisect_right(rows, (begin, 1 << 63)):bisect.bisect_left(rows, (end,))]
    some = [r for r in some if r[1] < end]
    return len(some), sum(answer == OFFER or lowest > 0 for _, _, answer, lowest in some)


def halt_often(server, n):
    """Times of each halt: offered since, asked for, acknowledged, and lifted."""
    times = []
    for _ in range(n):
        offered = time.monotonic_ns()
        time.sleep(OFFERED_S)
        asked = time.monotonic_ns()
        server.run("rollout", "halt", "1.0", "--reason", "bench")
        acknowledged = time.monotonic_ns()
        time.sleep(WATCHED_S)
        times.append((offered, asked, acknowledged, time.monotonic_ns()))
        server.run("rollout", "approve", "1.0", "--yes")
    return times


def halts(bench, n):
    server = bench.start(name="halts", plain=False)
    polls = bench.save_polls(server)
    server.roll_out("1.0", PLAN)
    path = os.path.join(bench.tmp, "offers")
    load = Load(Generator(bench.build, server.port, "--polls", polls + ".first", "--tls",
                          "--connections", "16", "--offers", path, may_refuse=True))
    load.start()
    times = halt_often(server, n)
    load.enough.set()
    load.join(60)
    load.generator.close()
    assert load.wrong is None, load.wrong
    rows = read_rows(path)
    before = [offers_in(rows, t[0], t[1]) for t in times]
    after = [offers_in(rows, t[2], t[3]) for t in times]
    show("halts", n, "halts")
    show("halts_answers", len(rows), "answers that were looked into")
    show("halts_offered_before", sum(b[1] > 0 for b in before), "halts with offers seen before")
    show("halts_watched", sum(a[0] > 0 for a in after), "halts with answers asked for after")
    show("halts_answers_after", sum(a[0] for a in after), "answers asked for after")
    show("halts_offers_after", sum(a[1] for a in after), "offers of what was halted", 0)
