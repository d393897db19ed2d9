#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Branches taken in the verify core: what server, CLI and phone believe signed bytes by.

    tests/coverage.py BUILD [--misses]

Runs the tests that are about it, in a build made with -Db_coverage=true -Dbuildtype=debug, and prints
one line a file.  Branches of an assert do not count, and those of UNREACHABLE are named with the
reason.  Exits 1 when any other branch was not taken.
"""
import argparse
import glob
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORE = {
    "proto": ["base64", "bucket", "checkpoint", "crypto", "crypto_key", "envelope", "err", "ladder",
              "lint", "merkle", "names", "root", "wire"],
    "client-sdk/src": ["choose", "grant", "logproof", "metadata", "offer", "root", "time"],
}
TESTS = r"^(base64|bucket|checkpoint|crypto.*|envelope.*|err|ladder|lint.*|merkle|names|root|sdk_.*)$"

# (file, text of the line): why no test takes some branch of it.
UNREACHABLE = {
    ("client-sdk/src/time.c", "if (t->root.len != SHA256_LEN || p->n_hashes > MERKLE_LEVELS)"):
        "lint lets 32 hashes through, the array has room for more",
}


def run_tests(build):
    for data in glob.glob(f"{build}/**/*.gcda", recursive=True):
        os.remove(data)
    listed = subprocess.run(["meson", "test", "-C", build, "--list"], capture_output=True, text=True,
                            check=True).stdout
    names = [line.split("/")[-1].strip() for line in listed.splitlines() if "/" in line]
    names = [name for name in names if re.match(TESTS, name)]
    done = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs", *names],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stdout.write(done.stdout[-8000:])
    return done.returncode == 0


def assert_lines(source):
    """The numbers of the lines of asserts, each up to its semicolon."""
    inside, lines = False, set()
    for number, line in enumerate(source, 1):
        inside = inside or re.match(r"\s*(_Static_)?assert\(", line) is not None
        if inside:
            lines.add(number)
        inside = inside and not line.rstrip().endswith(";")
    return lines


def branches(build, path):
    """[(line, [times each branch was taken])] of one source file."""
    notes = [p for p in glob.glob(f"{build}/**/*.gcno", recursive=True)
             if os.path.basename(p) in (os.path.basename(path) + ".gcno",
                                        path.split("/", 1)[1].replace("/", "_") + ".gcno")
             and f"/{path.split('/')[0]}/" in p]
    assert len(notes) == 1, (path, notes)
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(["gcov", "--branch-probabilities", "--json-format", os.path.abspath(notes[0])],
                       cwd=tmp, capture_output=True, check=True)
        out = []
        for name in os.listdir(tmp):
            with gzip.open(os.path.join(tmp, name)) as f:
                files = json.load(f)["files"]
            for file in files:
                if file["file"].endswith(path):
                    out += [(line["line_number"], [b["count"] for b in line["branches"]])
                            for line in file["lines"] if line["branches"]]
    return out


def judge(build, path):
    """(taken, total, [(line, text, not taken)], [(line, reason)])"""
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        source = f.read().splitlines()
    skip = assert_lines(source)
    taken = total = 0
    missed, named = [], []
    for line, counts in branches(build, path):
        text = source[line - 1].strip()
        if line in skip:
            continue
        if 0 in counts and (path, text) in UNREACHABLE:
            named.append((line, UNREACHABLE[path, text]))
            counts = [count for count in counts if count > 0]
        taken += sum(count > 0 for count in counts)
        total += len(counts)
        if 0 in counts:
            missed.append((line, text, counts.count(0)))
    return taken, total, missed, named


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--no-tests", action="store_true", help="as they ran the last time")
    args = parser.parse_args()
    ok = args.no_tests or run_tests(args.build)
    all_taken = all_total = 0
    for folder, names in CORE.items():
        for name in names:
            path = f"{folder}/{name}.c"
            taken, total, missed, named = judge(args.build, path)
            print(f"{path}: {taken} of {total} branches")
            for line, text, n in missed:
                print(f"  {path}:{line}: {n} not taken: {text}")
            for line, reason in named:
                print(f"  {path}:{line}: not counted: {reason}")
            ok = ok and not missed
            all_taken += taken
            all_total += total
    print(f"verify core: {all_taken} of {all_total} branches, "
          f"{100 * all_taken / all_total:.2f} %")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
