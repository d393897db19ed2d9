#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What trust costs: that polls cause no signature and no access to the store, how large their answers
are, and what proofs cost the phone and the log.  Exits 1 when a target is missed.

    bench/trust.py [BUILD_DIR]
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

from loop import LUA, Huidud, load, post_size

SHARES = {"core": [100], "honour": [30, 100], "dev": [10, 100],
          "stable": [1, 5, 10, 25, 50, 100]}
STEPS = sum(map(len, SHARES.values()))  # 11
PLAN = "name: trust\nholdback: 0 %\nrings:\n" + "".join(
    f"  - {{ring: {ring}, share: {share} %, soak: 1h, max_soak: 1d, tolerance: none}}\n"
    for ring, shares in SHARES.items() for share in shares)
# Both are in the answers, the product twice.
REPOSITORY, PRODUCT = "example", "phone-a"
STEADY_MAX, FULL_MAX = 260, 4096
ENTRIES = 100000


def figure(name, value, unit, target=None):
    """One line; with a target, whether it is met (less is better)."""
    ok = target is None or value <= target
    print(json.dumps({"bench": "trust", "figure": name, "value": value, "unit": unit,
                      "target": target, "ok": ok}), flush=True)
    return ok


# ---- messages, by hand ----

def poll(port, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/poll", data=body)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def fields(message):
    """(number, value) of each, in order; 64-bit and 32-bit ones do not occur."""
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            at += value
            value = message[at - value:at]
        yield tag >> 3, value


def subtrees(old, new):
    """How many complete subtrees lie between a log of `old` entries and one of `new`."""
    n = 0
    while old < new:
        size = 1
        while old % (2 * size) == 0 and old + 2 * size <= new:
            size *= 2
        old += size
        n += 1
    return n


def full(answer):
    """The same answer for phones whose log is long, and for a root that asks for two signatures."""
    reply = dict(fields(answer))
    proof = list(fields(reply[7]))
    checkpoint, hashes = next(v for f, v in proof if f == 1), sum(f == 4 for f, _ in proof)
    size = int(checkpoint.split(b"\n")[1])
    plan, targets = reply[4], reply[5]
    steps = sum(f == 9 for f, _ in fields(next(v for f, v in fields(plan) if f == 1)))
    assert steps == STEPS, steps
    unit = f"bytes of the body: everything new, one offer, {steps} steps"
    ok = figure("full_answer", len(answer), f"{unit}, {size} entries", FULL_MAX)
    # Of all phones, the one that is told the most.
    more = (34 * ((ENTRIES - 1).bit_length() - hashes) + len(str(ENTRIES)) - len(str(size)) +
            2 * 2 + 32 * max(subtrees(m, ENTRIES) for m in range(ENTRIES)) - len(reply.get(12, b"")))
    long = len(answer) + more
    ok &= figure("full_answer_long_log", long, f"{unit}, computed for {ENTRIES} entries and the "
                 "longest extension", FULL_MAX)
    signature = sum(len(s) + 2 for f, s in fields(plan) if f == 3)
    assert signature == sum(len(s) + 2 for f, s in fields(targets) if f == 3)
    return figure("full_answer_team", long + 2 * (signature + 1), "bytes, the same with a second "
                  "signature on build and plan", FULL_MAX) and ok


# ---- counters ----

COUNTERS = ("huidu_store_transactions_total", "huidu_signer_requests_total")


def counters(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode()
    polls = sum(float(v) for v in re.findall(r"^huidu_polls_total\{[^}]*\} (\S+)$", lines, re.M))
    return [polls] + [float(re.search(rf"^{name} (\S+)$", lines, re.M)[1]) for name in COUNTERS]


def change(port, during):
    """What the counters did; they are shown every second."""
    time.sleep(1.5)
    before, began = counters(port), time.monotonic()
    during()
    took = time.monotonic() - began
    time.sleep(1.5)
    return [b - a for a, b in zip(before, counters(port))], took


def serving(server, tmp):
    """Signatures and transactions while polls are answered, less those of a server at rest."""
    body = os.path.join(tmp, "poll.bin")
    server.fleet(1, 4, "--core", "1", "--save-poll", body)
    script = os.path.join(tmp, "poll.lua")
    with open(script, "w", encoding="utf-8") as f:
        f.write(LUA % body)
    busy, took = change(server.metrics, lambda: load(server.process, server.port, "/v1/poll", script))
    rest, _ = change(server.metrics, lambda: time.sleep(took))
    polls = busy[0] - rest[0]
    assert polls > 1000, polls
    figure("polls", int(polls), f"answered in {took:.1f} s", None)
    ok = True
    for name, i in (("store_reads_per_poll", 1), ("signatures_per_poll", 2)):
        # Timers run in either window; one more or less is no poll's doing.
        more = max(0, busy[i] - rest[i])
        ok &= figure(name, 0 if more <= 2 else more / polls,
                     f"{busy[i]:.0f} under load, {rest[i]:.0f} at rest", 0)
    with open(body, "rb") as f:
        held = f.read()
    steady = len(poll(server.port, held))
    ok &= figure("steady_answer", steady, f"bytes of the body; repository {REPOSITORY}, product {PRODUCT}",
                 STEADY_MAX)
    figure("steady_answer_whole", post_size(server.port, "/v1/poll", held), "bytes, headers too")
    return ok, held


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    with tempfile.TemporaryDirectory() as tmp:
        server = Huidud(build, tmp, workers=1, name=REPOSITORY)
        try:
            ok, held = serving(server, tmp)
            server.roll_out("1.0", PLAN)
            ok &= full(poll(server.port, held))  # what it holds is no longer the newest
        finally:
            server.close()
    done = subprocess.run([f"{build}/bench/trust"], check=False)
    return 0 if ok and done.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
