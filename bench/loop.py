#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The closed loop's figures: exactness of tokens, shares and seats under concurrency, and what a poll
costs beside nginx's `return 200`.

    bench/loop.py [BUILD_DIR] [--quick]
"""
import argparse
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time

import beside

CONNECTIONS = 64
TOKENS = 10
SEATS = 100


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Huidud:
    """A deployment of its own on loopback, plain HTTP unless told otherwise."""

    def __init__(self, build, tmp, workers=0, pin=None, changes=(), name="d", plain=True):
        self.build, self.name, self.dir = build, name, os.path.join(tmp, name)
        self.port, self.metrics = free_port(), free_port()
        self.run("init", "--product", "phone-a", self.dir, cwd=tmp)
        path = os.path.join(self.dir, "huidud.yaml")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for old, new in (("127.0.0.1:8443", f"127.0.0.1:{self.port}"),
                         ("127.0.0.1:9464", f"127.0.0.1:{self.metrics}"),
                         ("plain: false", f"plain: {str(plain).lower()}"),
                         ("workers: 0 ", f"workers: {workers} "),
                         ("interval: 4h", "interval: 1s"),
                         ("fill_every: 10m", "fill_every: 100ms"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        text = re.sub("^(environment|enrol):", r"# \1:", text, flags=re.M)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "environment: trial\nenrol: open\n")
        command = [f"{build}/server/huidud", "-c", path]
        self.command = (["taskset", "-c", str(pin)] if pin is not None else []) + command
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                if os.path.exists(os.path.join(self.dir, "admin.sock")):
                    return
            except ConnectionRefusedError:
                pass
            time.sleep(0.05)
        raise RuntimeError("huidud does not start")

    def run(self, *args, cwd=None):
        return subprocess.run([f"{self.build}/server/ctl/huiductl", *args], cwd=cwd or self.dir,
                              check=True, capture_output=True, text=True, timeout=60).stdout

    def json(self, *args):
        return json.loads(self.run(*args, "-o", "json"))

    def roll_out(self, build, plan):
        path = os.path.join(self.dir, "build.bin")
        with open(path, "wb") as f:
            f.write(os.urandom(65536))
        with open(os.path.join(self.dir, "plan.yaml"), "w", encoding="utf-8") as f:
            f.write(plan)
        self.run("build", "publish", path, "--product", "phone-a", "--build", build)
        self.run("rollout", "create", build, "--plan", "plan.yaml")
        self.run("rollout", "approve", build, "--yes")
        self.run("rollout", "start", build)

    def fleet(self, phones, seconds, *options):
        out = subprocess.run(
            [f"{self.build}/bench/fleet", "--server", f"127.0.0.1:{self.port}", "--root",
             "root.env", "--repository", self.name, "--product", "phone-a", "--phones", str(phones),
             "--connections", str(CONNECTIONS), "--spread", "1", "--seconds", str(seconds),
             *options], cwd=self.dir, check=True, capture_output=True, text=True, timeout=120)
        return json.loads(out.stdout)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def figure(name, value, unit, target, ok):
    print(json.dumps({"bench": "loop", "figure": name, "value": value, "unit": unit,
                      "target": target, "ok": ok}), flush=True)


def tokens(build):
    """Phones that were told "offer" beyond the plan's number, all asking at once."""
    plan = ("name: tokens\n"
            f"rings: [{{ring: stable, share: 100 %, devices: {TOKENS}, soak: 1h, max_soak: 1d, "
            "tolerance: none}]\nholdback: 0 %\n")
    with tempfile.TemporaryDirectory() as tmp:
        server = Huidud(build, tmp)
        server.roll_out("1.0", plan)
        seen = server.fleet(600, 8)
        in_arm = server.json("rollout", "get", "1.0")["rollouts"][0]["stages"][0]["offered"]
        server.close()
    beyond = max(seen["offered"], in_arm) - TOKENS
    figure("offers_beyond_tokens", beyond, f"offers, of {TOKENS} tokens, {CONNECTIONS} connections",
           0, beyond == 0 and in_arm == TOKENS)


def seats(build):
    """Seats of a 100-seat ring when six times as many enrol at once and all want one."""
    with tempfile.TemporaryDirectory() as tmp:
        server = Huidud(build, tmp)
        server.fleet(600, 6, "--core", "600")
        taken = next(r["taken"] for r in server.json("ring", "show")["rings"]
                     if r["ring"] == "core")
        server.close()
    figure("seats_taken", taken, f"seats, {CONNECTIONS} connections", SEATS, taken == SEATS)


def exposure(build, devices):
    share = float(subprocess.run([f"{build}/bench/exposure", str(devices)], check=True,
                                 capture_output=True, text=True, timeout=900).stdout)
    figure("exposed_after_24h", share, f"% of {devices} devices, hourly polls, nominal 1 %", 1.0,
           abs(share - 1.0) <= 0.1)


LUA = """
local file = io.open("%s", "rb")
wrk.method = "POST"
wrk.body = file:read("a")
wrk.headers["Content-Type"] = "application/x-protobuf"
"""


def load(process, port, path, script):
    """Microseconds of the server's CPU per request, and requests a second."""
    before = beside.cpu_us(process.pid)
    out = subprocess.run(["taskset", "-c", str(beside.CLIENT_CPU), "wrk", "-t1",
                          f"-c{CONNECTIONS}", "-d3s", "-s", script,
                          f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True,
                         check=True).stdout
    used = beside.cpu_us(process.pid) - before
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    requests = int(re.search(r"(\d+) requests in", out)[1])
    return used / requests, float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def post_size(port, path, body, tls=False):
    """Bytes of a whole answer to POST, headers too; of whoever answers."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            s = context.wrap_socket(s)
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                  "\r\n".encode() + body)
        got = b""
        while b"\r\n\r\n" not in got:
            got += s.recv(65536)
        head, _, rest = got.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        while len(rest) < length:
            rest += s.recv(65536)
        s.close()
        return len(head) + 4 + len(rest)


def polls(build, rounds):
    """A poll of an enrolled phone that holds the newest snapshot: the answer nearly all get."""
    with tempfile.TemporaryDirectory() as tmp:
        server = Huidud(build, tmp, workers=1, pin=beside.SERVER_CPU)
        # The first poll asks for everything; the last of a few seconds is the usual one.
        body_path = os.path.join(tmp, "poll.bin")
        server.fleet(1, 4, "--save-poll", body_path)
        with open(body_path, "rb") as f:
            body = f.read()
        with open(os.path.join(tmp, "poll.lua"), "w", encoding="utf-8") as f:
            f.write(LUA % body_path)
        os.mkdir(os.path.join(tmp, "nginx"))
        want = post_size(server.port, "/v1/poll", body)
        nginx_port = free_port()
        probe = beside.Nginx(os.path.join(tmp, "nginx"), nginx_port, 64)
        fill = 64 + want - post_size(nginx_port, "/", body)
        probe.close()
        nginx = beside.Nginx(os.path.join(tmp, "nginx"), nginx_port, fill)
        assert abs(post_size(nginx_port, "/", body) - want) <= 1
        script = os.path.join(tmp, "poll.lua")
        runs = [(load(nginx.process, nginx_port, "/", script),
                 load(server.process, server.port, "/v1/poll", script)) for _ in range(rounds)]
        nginx.close()
        server.close()
    figure("poll_answer_bytes", want, "bytes, headers too", None, True)
    figure("nginx_per_second", round(beside.median([n[1] for n, _ in runs])),
           "answers/s on one core", None, True)
    figure("polls_per_second", round(beside.median([o[1] for _, o in runs])),
           "polls/s on one core, plain, kept alive", None, True)
    figure("nginx_cpu", round(beside.median([n[0] for n, _ in runs]), 2), "us of CPU an answer",
           None, True)
    figure("poll_cpu", round(beside.median([o[0] for _, o in runs]), 2), "us of CPU a poll",
           None, True)
    figure("poll_cpu_of_nginx", round(beside.median([o[0] / n[0] for n, o in runs]), 3),
           f"ratio, median of {rounds} rounds in turn", None, True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", nargs="?", default="build")
    parser.add_argument("--quick", action="store_true", help="a tenth of the devices")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    tokens(build)
    seats(build)
    exposure(build, 10000 if args.quick else 100000)
    polls(build, 3 if args.quick else 7)


if __name__ == "__main__":
    main()
