#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The store's figures with ten million devices: reports acknowledged durable beside raw LMDB puts,
commit latency, bytes a device on disk and in memory, start-up, and what a poll costs beside a fleet
of ten thousand.  Exits 1 when a target is missed.

    bench/store.py [BUILD_DIR] [--quick] [--in FOLDER]

FOLDER is on the disk that is measured (the working directory).
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import beside
from loop import Huidud

PLAN = ("name: store\nrings: [{ring: stable, share: 100 %, soak: 1d, max_soak: 7d, tolerance: none}]\n"
        "holdback: 0 %\n")
SMALL = 10000
BATCH, BATCHES, ROUNDS, PAIRS = 10000, 3, 3, 20
SLICES, SLICE_S = 16, 0.05  # of a pair
LIGHT = 100  # reports in a commit when little is to do
met = True


def figure(name, value, unit, target=None, at_least=False):
    """One line; with a target, whether it is met (less is better, unless at_least)."""
    global met
    ok = target is None or (value >= target if at_least else value <= target)
    met &= ok
    print(json.dumps({"bench": "store", "figure": name, "value": value, "unit": unit,
                      "target": target, "ok": ok}), flush=True)


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p))]


class Fleet:
    """A deployment with so many devices made up in its store, and a poll to seal for them."""

    def __init__(self, build, tmp, name, devices, order="sorted"):
        self.n, self.program = devices, f"{build}/bench/store"
        self.server = Huidud(build, tmp, workers=1, pin=beside.SERVER_CPU, name=name)
        self.poll = os.path.join(tmp, name + ".poll")
        self.server.fleet(1, 4, "--save-poll", self.poll)
        self.server.close()
        began = time.monotonic()
        self.part("fill", order)
        self.seconds = time.monotonic() - began
        self.file = os.path.join(self.server.dir, "data", "store", "data.mdb")

    def command(self, name):
        return [self.program, name, os.path.join(self.server.dir, "huidud.yaml"), str(self.n)]

    def part(self, name, *args, pin=None):
        out = subprocess.run((["taskset", "-c", str(pin)] if pin is not None else []) +
                             self.command(name) + [str(a) for a in args], check=True,
                             stdout=subprocess.PIPE, text=True, timeout=600).stdout
        return [json.loads(line) for line in out.splitlines()]

    def start_polls(self):
        self.loader = subprocess.Popen(
            ["taskset", "-c", str(beside.CLIENT_CPU), *self.command("polls"), str(self.server.port),
             self.poll], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def polls(self, seconds):
        """CPU microseconds of the server, and what the loader saw."""
        before = beside.cpu_us(self.server.process.pid)
        self.loader.stdin.write(f"{seconds}\n")
        self.loader.stdin.flush()
        seen = json.loads(self.loader.stdout.readline())
        return beside.cpu_us(self.server.process.pid) - before, seen

    def end_polls(self):
        self.loader.stdin.close()
        self.loader.wait(20)

    def first_poll(self):
        """Seconds from the start of huidud to the first poll answered."""
        with open(self.poll, "rb") as f:
            request = urllib.request.Request(f"http://127.0.0.1:{self.server.port}/v1/poll", f.read())
        began = time.monotonic()
        self.server.process = subprocess.Popen(self.server.command, stderr=subprocess.DEVNULL)
        while time.monotonic() - began < 60:
            try:
                urllib.request.urlopen(request, timeout=10).close()
                return time.monotonic() - began
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.01)
        raise RuntimeError("huidud does not start")

    def forget_cache(self):
        with open(self.file, "rb") as f:
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def reports(fleet):
    """
    In turn, on one core, on the same file: reports from their bytes to the commit, and raw puts.
    The fleet's server runs, and ends.
    """
    fleet.server.roll_out("1.0", PLAN)
    fleet.server.close()
    took = {}
    first = 0
    for _ in range(ROUNDS):
        for batch, batches in ((BATCH, BATCHES), (LIGHT, 40)):
            args = (first, batch, batches)
            for part in ("reports", "raw"):
                for line in fleet.part(part, *args, pin=beside.SERVER_CPU):
                    took.setdefault((part, line["kind"], batch), []).append(line)
            first += 2 * batch * batches
    for kind, records in (("alive", "1 record"), ("boot_ok", "2 records and the stage's")):
        ours, raw = took["reports", kind, BATCH], took["raw", kind, BATCH]
        per_s = beside.median([BATCH * 1e6 / r["us"] for r in ours])
        raw_s = beside.median([BATCH * 1e6 / r["us"] for r in raw])
        figure(f"reports_{kind}", round(per_s), f"reports/s acknowledged durable on one core; lint, "
               f"MAC, queue, {records}, commit; {BATCH} a commit")
        figure(f"raw_{kind}", round(raw_s), "the same records put by LMDB alone, as many a commit; "
               "reports/s that would be")
        figure(f"reports_{kind}_of_raw", round(per_s / raw_s, 3), "ratio", 0.5, at_least=True)
        for batch in (BATCH, LIGHT):
            us = [r["commit_us"] for r in took["reports", kind, batch]]
            for p in (50, 99):
                figure(f"commit_{kind}_{batch}_p{p}", round(percentile(us, p / 100) / 1000, 2),
                       f"ms from the queue to all {batch} acknowledged, {len(us)} commits")


def start_up(fleet):
    fleet.first_poll()
    fleet.server.close()
    warm, cpu = [], []
    for _ in range(3):
        warm.append(fleet.first_poll())
        cpu.append(beside.cpu_us(fleet.server.process.pid) / 1e6)
        fleet.server.close()
    figure("start", round(beside.median(warm), 2), f"s to the first poll answered, {fleet.n} devices, "
           "store in the page cache, median of 3", 5.0)
    figure("start_cpu", round(beside.median(cpu), 2), "s of CPU until then")
    fleet.forget_cache()
    figure("start_cold", round(fleet.first_poll(), 2), "s, store not in the page cache")


def pair(small, large):
    """(CPU a poll, 99th percentile) of both, slice by slice in turn: others disturb both alike."""
    seen = {small: [], large: []}
    for i in range(SLICES):
        for fleet in (small, large) if i % 2 == 0 else (large, small):
            seen[fleet].append(fleet.polls(SLICE_S))
    return [(sum(us for us, _ in seen[fleet]) / sum(s["polls"] for _, s in seen[fleet]),
             beside.median([s["p99_us"] for _, s in seen[fleet]])) for fleet in (small, large)]


def polls(small, large):
    """With nothing rolled out: the answer nearly all get.  The large one runs already, and goes on."""
    small.server.start()
    for fleet in (small, large):
        fleet.start_polls()
        fleet.polls(1)
    pairs = [pair(small, large) for _ in range(PAIRS)]
    for i, fleet in enumerate((small, large)):
        fleet.end_polls()
        figure(f"poll_cpu_{fleet.n}", round(beside.median([p[i][0] for p in pairs]), 2),
               f"us of CPU a poll, {fleet.n} devices, drawn at random")
        figure(f"poll_p99_{fleet.n}", round(beside.median([p[i][1] for p in pairs])),
               "us to the answer, 99th of 100; 32 connections that always ask")
    ratios = [b[0] / a[0] for a, b in pairs]
    figure("poll_cpu_ratio", round(beside.median(ratios), 3),
           f"CPU a poll, {large.n} over {small.n} devices, median of {PAIRS} pairs in turn, "
           f"{min(ratios):.3f} to {max(ratios):.3f}", 1.05)
    small.server.close()


def disk(build, tmp, large):
    random = Fleet(build, tmp, "random", 1000000, order="shuffled")
    for name, fleet, how in (("disk", random, "enrolled in no order, 10000 a commit"),
                             ("disk_sorted", large, "written in order of id")):
        seen = fleet.part("size")[0]
        figure(name, round(seen["used"] / fleet.n, 1),
               f"bytes a device on disk, record and key; {fleet.n} {how}")
        figure(f"{name}_file", round(seen["file"] / fleet.n, 1),
               "bytes a device of the file, with pages that are free again")
    shutil.rmtree(random.server.dir)


def memory(fleet):
    seen = fleet.part("table")[0]
    figure("table", seen["most"], f"bytes of memory a device, the most while growing from 100000 to "
           f"{fleet.n}", 24)
    figure("table_add", round(seen["seconds"] * 1e6 / fleet.n, 3), "us of CPU to add a device, growing and measuring")
    figure("table_pause", round(seen["longest_us"] / 1000, 2), "ms of CPU that adding one device took at most")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", nargs="?", default="build")
    parser.add_argument("--quick", action="store_true", help="a million devices")
    parser.add_argument("--in", dest="folder", default=".", help="where the store is made")
    args = parser.parse_args()
    devices = 1000000 if args.quick else 10000000
    room, free = devices * 400 + (1 << 30), shutil.disk_usage(args.folder).free
    if free < room:
        sys.exit(f"bench/store.py: {room >> 20} MiB are needed in {os.path.abspath(args.folder)}, "
                 f"{free >> 20} are free: choose another place with --in FOLDER")
    build = os.path.abspath(args.build)
    with tempfile.TemporaryDirectory(prefix="huidu-bench-", dir=args.folder) as tmp:
        tmp = os.path.abspath(tmp)
        large = Fleet(build, tmp, "large", devices)
        figure("fill", round(devices / large.seconds), "devices/s into the store, in order of id")
        memory(large)
        disk(build, tmp, large)
        start_up(large)
        polls(Fleet(build, tmp, "small", SMALL), large)
        reports(large)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
