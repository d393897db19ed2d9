#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The whole story on one machine: a good build reaches every phone, a bad one stops at the canary.

Everything is real: keys, TLS, signatures, the store, the gate and its thresholds.  Only the phones
are simulated, and the plan's hours are seconds.
"""
import argparse
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PHONES = {"core": 160, "honour": 1080, "dev": 1060, "stable": 900}
SEATS = {"core": 100, "honour": 1000, "dev": 1100}
DEADLINE_S = 175
SEED = 20261

TTY = sys.stdout.isatty()


def bold(text):
    return f"\033[1m{text}\033[0m" if TTY and "NO_COLOR" not in os.environ else text


def say(text=""):
    print(text, flush=True)


class Demo:
    def __init__(self, build_dir):
        self.started = time.monotonic()
        self.bin = {
            "huidud": os.path.join(build_dir, "server/huidud"),
            "huiductl": os.path.join(build_dir, "server/ctl/huiductl"),
            "fleet": os.path.join(build_dir, "bench/fleet"),
        }
        self.top = tempfile.mkdtemp(prefix="huidu-demo-")
        self.dir = os.path.join(self.top, "demo")
        self.processes = []
        self.seen = {}

    # ---- tools

    def left(self):
        return DEADLINE_S - (time.monotonic() - self.started)

    def ctl(self, *args, check=True):
        done = subprocess.run([self.bin["huiductl"], *args], cwd=self.dir, text=True,
                              capture_output=True, timeout=60)
        if check and done.returncode != 0:
            raise SystemExit(f"huiductl {' '.join(args)}: exit {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
        return done.stdout

    def rollout(self, name):
        return json.loads(self.ctl("rollout", "get", name, "-o", "json"))["rollouts"][0]

    def fleet(self):
        try:
            with open(os.path.join(self.top, "fleet.json"), encoding="utf-8") as f:
                return json.load(f)
        except (OSError, ValueError):
            return None

    def spawn(self, name, *args):
        log = open(os.path.join(self.top, name + ".log"), "w", encoding="utf-8")
        p = subprocess.Popen([self.bin[name], *args], cwd=self.dir, stdout=log,
                             stderr=subprocess.STDOUT, start_new_session=True)
        log.close()
        self.processes.append((name, p))
        return p

    def check_alive(self):
        for name, p in self.processes:
            if p.poll() is not None:
                with open(os.path.join(self.top, name + ".log"), encoding="utf-8") as f:
                    raise SystemExit(f"{name} ended with {p.returncode}:\n{f.read()[-2000:]}")
        if self.left() < 0:
            raise SystemExit(f"not done within {DEADLINE_S} s; see {self.top}")

    def wait(self, what, ready, every=0.25):
        while not ready():
            self.check_alive()
            time.sleep(every)
        if what:
            say(f"  {what}")

    # ---- the story

    def make_keys(self):
        say(bold("1. Keys"))
        done = subprocess.run([self.bin["huiductl"], "init", "--profile", "team", "--product",
                               "phone-a", self.dir], text=True, capture_output=True, timeout=60)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
        say("  huiductl init --profile team: alice, bob and carol; two of them sign a build,")
        say("  two of them approve a plan; the server's own keys can do neither")
        self.port, self.metrics = free_port(), free_port()
        path = os.path.join(self.dir, "huidud.yaml")
        with open(path, encoding="utf-8") as f:
            config = f.read()
        for old, new in (("127.0.0.1:8443", f"127.0.0.1:{self.port}"),
                         ("127.0.0.1:9464", f"127.0.0.1:{self.metrics}"),
                         ("interval: 4h", "interval: 2s"),
                         ("min_id_age: 1d", "min_id_age: 0s"),
                         ("dev: 100000", f"dev: {SEATS['dev']}"),
                         ("fill_every: 10m", "fill_every: 2s")):
            if old not in config:
                raise SystemExit(f"{path}: no '{old}' in it")
            config = config.replace(old, new)
        config = re.sub("^(environment|enrol):", r"# \1:", config, flags=re.M)
        with open(path, "w", encoding="utf-8") as f:
            f.write(config + "environment: trial  # takes every device\n")
        shutil.copy(os.path.join(HERE, "plan.yaml"), os.path.join(self.dir, "plans/demo.yaml"))

    def start_server(self):
        say(bold("2. Server"))
        self.spawn("huidud", "-c", "huidud.yaml")
        self.wait(f"huidud on https://localhost:{self.port}, {os.cpu_count()} workers",
                  lambda: os.path.exists(os.path.join(self.dir, "admin.sock")) and
                  connects(self.port))

    def start_fleet(self):
        say(bold("3. Phones"))
        total = sum(PHONES.values())
        self.spawn("fleet", "--server", f"localhost:{self.port}", "--ca", "tls/cert.pem",
                   "--root", "root.env", "--repository", "demo", "--product", "phone-a",
                   "--phones", str(total), "--core", str(PHONES["core"]),
                   "--honour", str(PHONES["honour"]), "--dev", str(PHONES["dev"]),
                   "--seed", str(SEED), "--day", "20", "--crashes", "0.03",
                   "--build", "1.0:crash=1", "--build", "2.0:crash=8",
                   "--status", os.path.join(self.top, "fleet.json"))

        def enrolled():
            f = self.fleet()
            return f is not None and f["enrolled"] == total

        self.wait(f"{total:,} phones enrolled, each with its own key and the real SDK", enrolled)

        def seated():
            rings = self.fleet()["rings"]
            return rings[:3] == [SEATS["core"], SEATS["honour"], SEATS["dev"]]

        self.wait(None, seated)
        rings = self.fleet()["rings"]
        say(f"  seats drawn by lot: core {rings[0]}, honour {rings[1]:,}, dev {rings[2]:,}, "
            f"stable {rings[3]:,}")

    def release(self, number, name):
        say(bold(f"{number}. Build {name}"))
        path = os.path.join(self.top, f"build-{name}.bin")
        with open(path, "wb") as f:
            f.write(os.urandom(1 << 20))
        keys = os.path.join(self.dir, "keys")
        self.ctl("build", "publish", path, "--product", "phone-a", "--build", name, "--key",
                 f"{keys}/alice.release.pem", "--key", f"{keys}/bob.release.pem")
        say("  published: 1 MiB, signed by alice and bob on their own machines")
        self.ctl("rollout", "create", name, "--plan", "plans/demo.yaml")
        for person in ("bob", "carol"):
            self.ctl("rollout", "approve", name, "--yes", "--key", f"{keys}/{person}.approver.pem")
        say("  planned, and the plan approved by bob and carol")
        self.ctl("rollout", "start", name, "--reason", "the demo")
        self.watch(name)

    def watch(self, name):
        lines = 0
        told = None
        while True:
            self.check_alive()
            r = self.rollout(name)
            over = r["state"] in ("complete", "halted", "superseded")
            f = self.fleet() or {"builds": []}
            on = sum(b["on"] for b in f["builds"] if b["build"] == name)
            if TTY:
                text = self.ctl("rollout", "get", name, "--color", "always").rstrip("\n")
                text += f"\n\nPhones    {on:,} of {sum(PHONES.values()):,} run build {name}"
                sys.stdout.write(f"\033[{lines}A\033[J" if lines else "")
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
                lines = text.count("\n") + 1
            else:
                now = (r["state"], r.get("step"))
                if now != told:
                    say(f"  {time.monotonic() - self.started:5.1f} s  {step_text(r)}, "
                        f"{on:,} phones on it, evidence {math.exp(r['log_k']):,.1f} : 1")
                    told = now
            if over:
                break
            time.sleep(0.5 if TTY else 0.25)
        say()
        self.seen[name] = self.rollout(name)

    def summary(self):
        self.wait(None, lambda: self.fleet() is not None)
        time.sleep(1.2)  # one more status of the fleet
        fleet = self.fleet()
        builds = {b["build"]: b for b in fleet["builds"]}
        say(bold("6. What happened"))
        say(f"  {'RING':<8} {'PHONES':>7} {'OFFERED 1.0':>12} {'OFFERED 2.0':>12}")
        for i, ring in enumerate(("core", "honour", "dev", "stable")):
            say(f"  {ring:<8} {fleet['rings'][i]:>7,} {offered(self.seen['1.0'], ring):>12,} "
                f"{offered(self.seen['2.0'], ring):>12,}")
        bad = builds["2.0"]
        total = fleet["phones"]
        say(f"  build 1.0: {builds['1.0']['ran']:,} of {total:,} phones took it")
        say(f"  build 2.0: {bad['ran']} phones took it and {bad['crashed']} of them crashed; "
            f"{total - bad['ran']:,} never saw it")
        say(f"  stopped: {self.seen['2.0']['gate']}")
        say(f"  {fleet['requests']:,} requests over TLS, {fleet['fetched'] / 2**30:.1f} GiB "
            f"fetched and hashed, in {time.monotonic() - self.started:.0f} s")
        say()
        say(bold("7. huiductl history"))
        # Not through a pipe: it looks how wide the terminal is.
        subprocess.run([self.bin["huiductl"], "history"], cwd=self.dir, check=True, timeout=60)
        say()

    def verdict(self):
        one, two = self.seen["1.0"], self.seen["2.0"]
        ring = two["stages"][two["step"]]["ring"]
        good = self.fleet()["builds"][0]["ran"]
        say(f"build 1: {one['state']}")
        say(f"build 2: {two['state']}")
        return one["state"] == "complete" and two["state"] == "halted" and \
            ring in ("core", "honour") and good == sum(PHONES.values())

    def keep(self):
        say()
        say(f"Left running in {self.dir}.  To look around:")
        say(f"  cd {self.dir}")
        say(f"  {self.bin['huiductl']} rollout get 2.0")
        say(f"  {self.bin['huiductl']} ring show")
        say(f"  curl http://127.0.0.1:{self.metrics}/metrics")
        pids = " ".join(str(p.pid) for _, p in reversed(self.processes))
        say(f"To end it:  kill {pids} && rm -r {self.top}")

    def end(self):
        for _, p in reversed(self.processes):
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
                try:
                    p.wait(15)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
        shutil.rmtree(self.top, ignore_errors=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connects(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def step_text(r):
    if r["state"] in ("complete", "halted", "paused"):
        return r["state"]
    s = r["stages"][r["step"]]
    if s["holdback"]:
        return f"{s['ring']}: the last 1 %"
    return f"{s['ring']} up to {s['upper_ppm'] / 1e4:g} %"


def offered(r, ring):
    return sum(s["offered"] for s in r["stages"] if s["ring"] == ring)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    parser.add_argument("build_dir")
    args = parser.parse_args()
    demo = Demo(os.path.abspath(args.build_dir))
    kept = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    try:
        demo.make_keys()
        demo.start_server()
        demo.start_fleet()
        demo.release(4, "1.0")
        demo.release(5, "2.0")
        demo.summary()
        right = demo.verdict()
        if args.keep:
            kept = True
            demo.keep()
        return 0 if right else 1
    except KeyboardInterrupt:
        return 130
    finally:
        if not kept:
            demo.end()


if __name__ == "__main__":
    sys.exit(main())
