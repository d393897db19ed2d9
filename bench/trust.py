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

PLAN = ("name: trust\n"
        "rings: [{ring: stable, share: 100 %, soak: 1h, max_soak: 1d, tolerance: none}]\n"
        "holdback: 0 %\n")
STEADY_MAX, FULL_MAX = 260, 4096


def figure(name, value, unit, target=None):
    """One line; with a target, whether it is met (less is better)."""
    ok = target is None or value <= target
    print(json.dumps({"bench": "trust", "figure": name, "value": value, "unit": unit,
                      "target": target, "ok": ok}), flush=True)
    return ok


# ---- messages, by hand ----

def number(field, value):
    out = bytes([field << 3])
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def text(field, value):
    return bytes([field << 3 | 2, len(value)]) + value


def anonymous_poll(product, build, snapshot_version):
    """A Sealed without an id, around a PollRequest."""
    request = (text(1, product) + text(2, build) + number(3, 0) + number(4, 0) + number(5, 1) +
               number(6, snapshot_version) + number(7, 0))
    return text(3, request)


def poll(port, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/poll", data=body)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


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
    server.fleet(1, 4, "--save-poll", body)
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
    ok &= figure("steady_answer", steady, "bytes of the body", STEADY_MAX)
    figure("steady_answer_whole", post_size(server.port, "/v1/poll", held), "bytes, headers too")
    return ok


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    with tempfile.TemporaryDirectory() as tmp:
        server = Huidud(build, tmp, workers=1)
        try:
            ok = serving(server, tmp)
            server.roll_out("1.0", PLAN)
            full = poll(server.port, anonymous_poll(b"phone-a", b"0.9", 0))
            ok &= figure("full_answer", len(full), "bytes of the body, everything changed", FULL_MAX)
        finally:
            server.close()
    done = subprocess.run([f"{build}/bench/trust"], check=False)
    return 0 if ok and done.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
