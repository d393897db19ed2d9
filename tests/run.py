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


def pytest(build, folder, extra=(), aloud=False):
    with tempfile.NamedTemporaryFile(suffix=".xml") as log:
        env = dict(os.environ, HUIDU_BUILD=os.path.abspath(build), PYTHONDONTWRITEBYTECODE="1",
                   PYTHONPATH=os.path.join(TOP, "tests", "lib"))
        done = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-p",
                               "no:cacheprovider", "-x", f"--junitxml={log.name}", *extra,
                               folder], cwd=TOP, env=env, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0 or aloud:
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


def fault_run(args):
    """A story with the n-th call failing, for each n or every so manieth."""
    return lines([os.path.join(args.build, "tests", "fault-run")] + ["--full"] * args.full)


def lines(command):
    """A program that prints `ok NAME` or `FAILED NAME` and ends with `N passed, N failed`."""
    failed, last = [], ""
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as program:
        for last in program.stdout:
            if last.startswith("FAILED"):
                failed.append(last.split(maxsplit=1)[1].strip())
            elif not re.fullmatch(r"\d+ passed, \d+ failed\n", last):
                print(last, end="", flush=True)
    end = re.fullmatch(r"(\d+) passed, (\d+) failed\n", last)
    if end is None or (program.returncode != 0 and not failed):
        failed.append(" ".join(command))
    return int(end[1]) if end else 0, failed


def crash_scenarios(args):
    return pytest(args.build, "tests/crash", ["-s"] + ["--full"] * args.full, aloud=True)


def abuse(build, *options):
    """Floods, bombs, slow and rude clients at the device front of the real server."""
    os.environ["HUIDU_BUILD"] = os.path.abspath(build)
    return lines(["/usr/bin/python3", os.path.join(TOP, "tests", "abuse", "main.py"), *options])


# What needs no program that Debian does not install for huidu itself.
SCRIPTED = ("--ignore-glob=*/test_real_*", "--ignore-glob=*/test_understood_*")


def scenario(build):
    """The whole server over sockets; and by scripts, the devices that others made."""
    passed, failed = pytest(build, "tests/scenario")
    foreign_passed, foreign_failed = pytest(build, "tests/compat", SCRIPTED)
    return passed + foreign_passed, failed + foreign_failed


def soak(args):
    return lines(["/usr/bin/python3", os.path.join(TOP, "tests", "crash", "soak.py"), args.build,
                  "--seconds", str(args.seconds)])


def sim(args):
    """Worlds by seed: one that is lived twice, as many as the time allows, and planted defects."""
    worlds = ["--years", "100", "--jobs", "2"] if args.full else ["--seconds", "45"]
    passed, failed = 0, []
    for options in (["--seed", "11", "--days", "10"], worlds,
                    ["--self-test", "--days", "20"]):
        good, bad = lines([os.path.join(args.build, "tests", "sim"), *options])
        passed += good
        failed += bad
    return passed, failed


def crash_lab(args):
    """What a disk may hold after a crash at any moment; and lies that must be seen through."""
    program = os.path.join(args.build, "tests", "crash-lab")
    passed, failed = lines([program] + ["--full"] * args.full)
    seen, missed = lines([program, "--self-test"])
    return passed + seen, failed + missed


# Each takes the arguments and returns (passed, names of those that failed).
CRASH_PARTS = (crash_lab, fault_run, crash_scenarios, sim)


def crash(args):
    passed, failed = 0, []
    for part in CRASH_PARTS:
        good, bad = part(args)
        passed += good
        failed += bad
    return passed, failed


# What takes too long is run when it is named.
BY_NAME = ("soak", "compat")


def suites(args):
    return {
        "unit": lambda: meson(args.build, "unit"),
        "scenario": lambda: scenario(args.build),
        "attack": lambda: attack(args.build),
        "abuse": lambda: abuse(args.build, *["--full"] * args.full),
        "crash": lambda: crash(args),
        "soak": lambda: soak(args),
        "compat": lambda: pytest(args.build, "tests/compat"),
        "asan": lambda: asan(args.asan),
    }


def asan(build):
    """The same again with the address and undefined behaviour sanitizers."""
    os.environ.setdefault("ASAN_OPTIONS", "abort_on_error=1:detect_leaks=1")
    os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    unit_passed, unit_failed = meson(build, "unit")
    passed, failed = pytest(build, "tests/scenario")
    attack_passed, attack_failed = attack(build)
    abuse_passed, abuse_failed = abuse(build, "--short")
    return (unit_passed + passed + attack_passed + abuse_passed,
            unit_failed + failed + attack_failed + abuse_failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--asan", required=True)
    parser.add_argument("--full", action="store_true", help="the long form of each suite")
    parser.add_argument("--seconds", type=int, default=600, help="how long the soak takes")
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
        return run(args.suites or [n for n in known if n not in BY_NAME], known)


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
