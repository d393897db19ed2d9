#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Polls of devices that speak another server's protocol, plaintext over connections that are kept: CPU
of each beside nginx's `return 200` with an answer of the same size, and with a million devices beside
ten thousand.  Exits 1 when a target is missed.

    bench/compat.py [BUILD_DIR] [--quick] [--only PROTOCOL,...] [--in FOLDER]

FOLDER is where the store is made (the working directory).  All servers run on one core, the load is
on the other; slices alternate and medians are printed.
"""
import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

import beside
import loop

SMALL, LARGE = 10000, 1000000
SLICES, SLICE_S = 8, 0.05  # of each server in a round
CONFIG = """
compat:
  hawkbit:
    - {tenant: default, product: phone-a, gateway: gateway.tokens}
  mender:
    - {device_type: board-x, product: phone-a}
  omaha:
    - {app: '{e96281a6-d1af-4bde-9a0a-97b76e56dc57}', product: phone-a}
"""
# A way to poll, and whose devices.
WAYS = {"hawkbit": "hawkbit", "hawkbit-target": "hawkbit", "mender": "mender", "omaha": "omaha"}
met = True


def figure(name, value, unit, target=None):
    """One line; with a target, whether it is met (less is better)."""
    global met
    met &= target is None or value <= target
    beside.figure("compat", name, value, unit, target)


class Fleet:
    """A server with so many devices of each protocol, which have no action."""

    def __init__(self, build, tmp, devices, protocols):
        self.n, self.program, self.loaders = devices, f"{build}/bench/store", {}
        name = str(devices)
        self.server = loop.Huidud(build, tmp, workers=1, pin=beside.SERVER_CPU, name=name)
        self.server.close()
        with open(os.path.join(self.server.dir, "gateway.tokens"), "w", encoding="ascii") as f:
            f.write("gateway-token-0001\n")
        with open(os.path.join(self.server.dir, "huidud.yaml"), "a", encoding="ascii") as f:
            f.write(CONFIG)
        self.server.start()  # draws the secret that ids come from
        self.server.close()
        for protocol in protocols:
            subprocess.run(self.command("fill-foreign", protocol), check=True, timeout=900)
        self.server.start()
        self.port, self.process = self.server.port, self.server.process

    def command(self, part, *args):
        return [self.program, part, os.path.join(self.server.dir, "huidud.yaml"), str(self.n),
                *map(str, args)]

    def request(self, way):
        return subprocess.run(self.command("request-foreign", way), check=True, timeout=60,
                              stdout=subprocess.PIPE).stdout


class Loaded:
    """A server under the polls of one way."""

    def __init__(self, fleet, way, process, port):
        self.process = process
        self.loader = subprocess.Popen(
            ["taskset", "-c", str(beside.CLIENT_CPU), *fleet.command("polls-foreign", port, way)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.slice(1)

    def slice(self, seconds):
        """CPU microseconds of the server, and polls answered."""
        before = beside.cpu_us(self.process.pid)
        self.loader.stdin.write(f"{seconds}\n")
        self.loader.stdin.flush()
        polls = json.loads(self.loader.stdout.readline())["polls"]
        return beside.cpu_us(self.process.pid) - before, polls

    def close(self):
        self.loader.stdin.close()
        self.loader.wait(20)


def answer_bytes(port, request):
    """Of a whole answer, headers too; of whoever answers."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += s.recv(65536)
        head, _, rest = got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        length = int(length[1]) if length else 0  # 204 has none
        while len(rest) < length:
            rest += s.recv(65536)
        return len(head) + 4 + len(rest)


def same_size(tmp, port, request, want):
    """nginx, whose answer to the request is as long; its head alone is longer than a 204."""
    folder = os.path.join(tmp, "nginx")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    probe = beside.Nginx(folder, port, 64)
    body = max(1, 64 + want - answer_bytes(port, request))
    probe.close()
    nginx = beside.Nginx(folder, port, body)
    assert body == 1 or abs(answer_bytes(port, request) - want) <= 1
    return nginx


def a_round(loaded, k):
    """CPU of a poll of each, slice by slice in turn: others disturb all alike."""
    seen = {one: [] for one in loaded}
    for i in range(SLICES):
        for j in range(len(loaded)):
            one = loaded[(i + j + k) % len(loaded)]
            seen[one].append(one.slice(SLICE_S))
    return [sum(us for us, _ in seen[one]) / sum(n for _, n in seen[one]) for one in loaded]


def measure(tmp, small, large, way, rounds):
    request = small.request(way)
    want = answer_bytes(small.port, request)
    nginx_port = loop.free_port()
    nginx = same_size(tmp, nginx_port, request, want)
    loaded = [Loaded(small, way, nginx.process, nginx_port),
              Loaded(small, way, small.process, small.port),
              Loaded(large, way, large.process, large.port)]
    seen = [a_round(loaded, k) for k in range(rounds)]
    for one in loaded:
        one.close()
    nginx.close()
    figure(f"{way}_answer_bytes", want, "bytes, headers too")
    for i, what in enumerate((f"{way}_nginx", f"{way}_{small.n}", f"{way}_{large.n}")):
        cpu = beside.median([s[i] for s in seen])
        figure(f"{what}_cpu", cpu, "us of CPU a poll")
        figure(f"{what}_polls", 1e6 / cpu, "polls in a second of CPU")
    of_nginx, of_small = [s[1] / s[0] for s in seen], [s[2] / s[1] for s in seen]
    figure(f"{way}_of_nginx", beside.median(of_nginx), f"CPU a poll over nginx's answer, median of "
           f"{rounds} rounds, {min(of_nginx):.3f} to {max(of_nginx):.3f}", 2.0)
    figure(f"{way}_flat", beside.median(of_small), f"CPU a poll, {large.n} over {small.n} devices, "
           f"median of {rounds} rounds, {min(of_small):.3f} to {max(of_small):.3f}", 1.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("build", nargs="?", default="build")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", help="these, with commas between them: " + " ".join(WAYS))
    parser.add_argument("--in", dest="folder", default=".", help="where the store is made")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    ways = args.only.split(",") if args.only else list(WAYS)
    protocols = sorted({WAYS[way] for way in ways})
    with tempfile.TemporaryDirectory(prefix="huidu-bench-", dir=args.folder) as tmp:
        tmp = os.path.abspath(tmp)
        fleets = [Fleet(build, tmp, n, protocols) for n in (SMALL, LARGE)]
        for way in ways:
            measure(tmp, *fleets, way, 5 if args.quick else 21)
        for fleet in fleets:
            fleet.server.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
