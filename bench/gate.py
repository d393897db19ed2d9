#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The gate's figures: its arithmetic against vectors, single streams and whole rollouts on simulated
fleets.  The programs run side by side, one a core.  Exits 1 when a target is missed.

    bench/gate.py [BUILD_DIR] [--quick | --full]

--quick (the default) takes less than a minute; --full has at least 10 000 runs for each share of
good builds and takes about twenty.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys

PROGRAMS = ("gate-streams", "gate-rollouts")
VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "vectors",
                       "gate.json")


def vectors(build):
    done = subprocess.run([f"{build}/tests/check-vectors", VECTORS], capture_output=True, text=True,
                          check=False)
    worst = re.search(r"^worst error (\S+)$", done.stdout, re.M)
    cases = re.search(r"^(\d+) passed, 0 failed$", done.stdout, re.M)
    ok = done.returncode == 0 and worst is not None and cases is not None
    print(json.dumps({"bench": "gate", "figure": "T12_vectors_worst_error",
                      "value": float(worst[1]) if worst else None,
                      "unit": f"relative, {cases[1] if cases else 'not all'} cases",
                      "target": 1e-9, "ok": ok}), flush=True)
    return ok


def figures(command):
    """Passes the program's lines through; whether it ended well and met all its targets."""
    ok, seen = True, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        for line in program.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            ok = json.loads(line)["ok"] and ok
            seen += 1
    if program.returncode != 0 or seen == 0:
        print(f"gate: {command[0]} ended with {program.returncode} after {seen} figures",
              file=sys.stderr)
        return False
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", default="build")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="less than a minute, the default")
    length.add_argument("--full", action="store_true", help="about twenty minutes")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    commands = [[f"{build}/bench/{name}", "--full" if args.full else "--quick"]
                for name in PROGRAMS if os.path.exists(f"{build}/bench/{name}")]
    ok = [vectors(build)]
    with concurrent.futures.ThreadPoolExecutor(len(PROGRAMS)) as pool:
        ok += pool.map(figures, commands)
    return 0 if commands and all(ok) else 1


if __name__ == "__main__":
    sys.exit(main())
