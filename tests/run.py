#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs test suites and adds up what they say.  The last line is `N passed, N failed`."""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

SCRATCH = "/dev/shm"
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def count(path):
    """(passed, failed, names of those that failed) of a JUnit file."""
    passed, failed = 0, []
    for case in ET.parse(path).iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        if bad:
            failed.append(f"{case.get('classname', '')} {case.get('name')}".strip())
        elif case.find("skipped") is None:
            passed += 1
    return passed, failed


def meson(build, suite):
    """Every test of the suite; one of several cases counts as so many."""
    log = os.path.join(build, "meson-logs", "testlog.junit.xml")
    if os.path.exists(log):
        os.remove(log)
    done = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--suite", suite,
                           "--print-errorlogs"], capture_output=True, text=True, check=False)
    if not os.path.exists(log):
        return 0, [done.stdout + done.stderr]
    passed, failed = count(log)
    # A test that died has fewer cases than it should, but it has failed all the same.
    if done.returncode != 0:
        sys.stdout.write(done.stdout)
        failed = failed or ["meson test"]
    return passed, failed


def pytest(build, folder, extra=()):
    with tempfile.NamedTemporaryFile(suffix=".xml") as log:
        env = dict(os.environ, HUIDU_BUILD=os.path.abspath(build), PYTHONDONTWRITEBYTECODE="1",
                   PYTHONPATH=os.path.join(TOP, "tests", "lib"))
        done = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-p",
                               "no:cacheprovider", "-x", f"--junitxml={log.name}", *extra,
                               folder], cwd=TOP, env=env, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            sys.stdout.write(done.stdout[-20000:] + done.stderr[-4000:])
        if os.path.getsize(log.name) == 0:
            return 0, [f"pytest {folder}"]
        passed, failed = count(log.name)
        return passed, failed or ([f"pytest {folder}"] if done.returncode != 0 else [])


ATTACKS = ("attack_sdk", "attack_server", "attack_story")


def attack(build, *options):
    """A line a case, as they end."""
    passed, failed = 0, []
    for name in ATTACKS:
        with subprocess.Popen([os.path.join(build, "tests", name), *options], text=True,
                              stdout=subprocess.PIPE) as program:
            last = ""
            for last in program.stdout:
                if last.startswith("FAILED"):
                    failed.append(f"attack {last.split(maxsplit=1)[1].strip()}")
                passed += last.startswith("ok ")
                if not re.fullmatch(r"\d+ passed, \d+ failed\n", last):
                    print(last, end="", flush=True)
        if program.returncode != 0 and not last.endswith("failed\n"):
            failed.append(name)
    return passed, failed


# What `crash` is made of: programs and their arguments, in the short form and with --full.
CRASH = (
    (("tests/sim", "--seed", "11", "--days", "10"), None),
    (("tests/sim", "--seconds", "45"), ("--years", "100", "--jobs", "2")),
    (("tests/sim", "--self-test", "--days", "25", "--seconds", "60"), None),
)


def crash(build, full):
    """Each program says what it did, and in its last line how much of it was right."""
    passed, failed = 0, []
    for (program, *short), long in CRASH:
        command = [os.path.join(build, program), *(long if full and long else short)]
        with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as run_of:
            last = ""
            for last in run_of.stdout:
                print(f"  {last}", end="", flush=True)
        counted = re.fullmatch(r"(\d+) passed, (\d+) failed\n", last)
        passed += int(counted[1]) if counted else 0
        if run_of.returncode != 0 or not counted:
            failed.append(" ".join(command))
    return passed, failed


def suites(args):
    return {
        "unit": lambda: meson(args.build, "unit"),
        "scenario": lambda: pytest(args.build, "tests/scenario"),
        "attack": lambda: attack(args.build),
        "crash": lambda: crash(args.build, args.full),
        "asan": lambda: asan(args.asan),
    }


def asan(build):
    """The same again with the address and undefined behaviour sanitizers."""
    os.environ.setdefault("ASAN_OPTIONS", "abort_on_error=1:detect_leaks=1")
    os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    unit_passed, unit_failed = meson(build, "unit")
    passed, failed = pytest(build, "tests/scenario")
    attack_passed, attack_failed = attack(build)
    return (unit_passed + passed + attack_passed, unit_failed + failed + attack_failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--asan", required=True)
    parser.add_argument("--full", action="store_true", help="the long form of each suite")
    parser.add_argument("--list", action="store_true",
                        help="the attacks' cases, and those that do not apply")
    parser.add_argument("suites", nargs="*")
    args = parser.parse_args()
    known = suites(args)
    for name in args.suites:
        if name not in known:
            print(f"there is no suite '{name}'; there are: {' '.join(known)}", file=sys.stderr)
            return 2
    if args.list:
        attack(args.build, "--list")
        return 0
    with tempfile.TemporaryDirectory(dir=SCRATCH if os.access(SCRATCH, os.W_OK) else None,
                                     prefix="huidu-", ignore_cleanup_errors=True) as folder:
        # Tests that die leave things behind; here they go with the rest.
        os.environ["HUIDU_TESTS_IN"] = folder
        return run(args.suites or known, known)


def run(names, known):
    passed, failed = 0, []
    for name in names:
        started = time.monotonic()
        good, bad = known[name]()
        print(f"{name}: {good} passed, {len(bad)} failed, "
              f"{time.monotonic() - started:.0f} s", flush=True)
        for test in bad:
            print(f"  FAILED {test}")
        passed += good
        failed += bad
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
