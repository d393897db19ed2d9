#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The device front beside nginx's `return 200` with an answer of the same size: CPU of a request in
each way that phones come, latency, memory, and what a change of the image or a halt does.

    bench/front.py [BUILD_DIR] [--quick] [--only CASE,...] [--halts N]

huidud and nginx have one worker each, on one core; the load is on the other.  Rounds alternate and
medians are printed.  `busy` is how full the core was of a server and of the load: where the load's
is full and the server's is not, rates are the load's, and CPU a request is still the server's.
"""
import argparse
import os
import resource
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "front"))
import cases
import halts
from both import Bench

POLLS = {"plain_kept": ("connection", False, 64, 0.95), "tls_new": ("none", True, 32, 0.90),
         "tls_resumed": ("ticket", True, 32, 0.95), "tls_kept": ("connection", True, 64, 1.00)}


def all_cases(bench, n_halts):
    table = {name: lambda name=name: cases.polls(bench, name, *POLLS[name]) for name in POLLS}
    table["artifact"] = lambda: cases.artifact(bench)
    table["idle"] = lambda: cases.idle(bench)
    table["latency_kept"] = lambda: cases.latency(bench, "kept", "connection", 256)
    table["latency_resumed"] = lambda: cases.latency(bench, "resumed", "ticket", 256)
    table["swaps"] = lambda: cases.swaps(bench)
    table["wrk"] = lambda: cases.wrk(bench)
    table["halts"] = lambda: halts.halts(bench, n_halts)
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("build", nargs="?", default="build")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, connections and halts")
    parser.add_argument("--only", help="these cases, with commas between them")
    parser.add_argument("--halts", type=int, help="how many (1000)")
    args = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    n_halts = args.halts or (100 if args.quick else 1000)
    with tempfile.TemporaryDirectory() as tmp:
        bench = Bench(os.path.abspath(args.build), tmp, args.quick)
        table = all_cases(bench, n_halts)
        try:
            bench.open_all()
            for name in args.only.split(",") if args.only else table:
                table[name]()
        finally:
            bench.close()


if __name__ == "__main__":
    main()
