#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The device front beside nginx's `return 200` with an answer of the same size: CPU of a request in
each way that phones come, latency, memory, and what a change of the image or a halt does.

    bench/front.py [BUILD_DIR] [--quick] [--only CASE,...] [--halts N]

huidud and nginx have one worker each, on one core; the load is on the other.  Rounds alternate and
medians are printed.
"""
import argparse
import json
import os
import re
import resource
import socket
import ssl
import subprocess
import tempfile
import time

import beside
import loop

PHONES = 200
POLLS = {"plain_kept": ("connection", False, 64, 0.95), "tls_new": ("none", True, 32, 0.90),
         "tls_resumed": ("ticket", True, 32, 0.95), "tls_kept": ("connection", True, 64, 1.00)}


def show(name, value, unit, target=None):
    beside.figure("front", name, value, unit, target)


class Generator:
    """bench/front-load on its core, connected to one server's port."""

    def __init__(self, build, port, *options):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(beside.CLIENT_CPU), f"{build}/bench/front-load", "--port",
             str(port), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", "front-load cannot connect"

    def slice(self, seconds, rate=0.0):
        self.begin(seconds, rate)
        return self.end()

    def begin(self, seconds, rate=0.0):
        self.process.stdin.write(f"{seconds} {rate}\n")
        self.process.stdin.flush()

    def end(self):
        line = self.process.stdout.readline()
        assert line, "front-load ended"
        seen = json.loads(line)
        assert seen["refused"] == 0 and seen["lost"] == 0, seen
        return seen

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class Front:
    """A server: its process, and its ports by whether they are of TLS."""

    def __init__(self, process, plain, tls):
        self.process, self.port = process, {False: plain, True: tls}


def run(server, generator, seconds, rate=0.0):
    """What the generator saw, and the server's CPU: microseconds a request, and of its core."""
    before, begun = beside.cpu_us(server.process.pid), time.monotonic()
    seen = generator.slice(seconds, rate)
    used = beside.cpu_us(server.process.pid) - before
    seen["cpu_us"] = used / seen["requests"]
    seen["server_busy"] = used / 1e6 / (time.monotonic() - begun)
    seen["rate"] = seen["requests"] / seen["elapsed_s"]
    return seen


def rounds_of(servers, generators, n, seconds, rates=(0.0, 0.0)):
    """Of both servers, in turn: two lists of what run() says."""
    runs = ([], [])
    for i in range(n):
        for k in (0, 1) if i % 2 == 0 else (1, 0):
            runs[k].append(run(servers[k], generators[k], seconds, rates[k]))
    return runs


def middle(runs, key):
    return beside.median([r[key] for r in runs])


def show_cpu(name, runs, target, unit="us", scale=1.0):
    theirs, ours = runs
    show(f"{name}_nginx_cpu", middle(theirs, "cpu_us") * scale, unit)
    show(f"{name}_cpu", middle(ours, "cpu_us") * scale, unit)
    show(f"{name}_nginx_rate", middle(theirs, "rate"), "1/s")
    show(f"{name}_rate", middle(ours, "rate"), "1/s")
    for who, what in ("nginx_", theirs), ("", ours):
        show(f"{name}_{who}server_busy", middle(what, "server_busy"), "of a core")
        show(f"{name}_{who}load_busy", middle(what, "busy"), "of a core")
    show(f"{name}_cpu_of_nginx", middle(ours, "cpu_us") / middle(theirs, "cpu_us"), "ratio", target)


class Bench:
    """Both servers, and polls that ours knows."""

    def __init__(self, build, tmp, quick):
        self.build, self.tmp, self.quick, self.open = build, tmp, quick, []

    def open_all(self):
        self.plain = self.start(name="plain")
        self.tls = self.start(name="tls", plain=False)
        self.polls = {False: self.save_polls(self.plain), True: self.save_polls(self.tls)}
        certificate = [os.path.join(self.tls.dir, "tls", f) for f in ("cert.pem", "key.pem")]
        folder = os.path.join(self.tmp, "nginx")
        os.mkdir(folder)
        want = self.answer_size(self.tls.port, True)
        ports = loop.free_port(), loop.free_port()
        probe = beside.Nginx(folder, ports[0], 64, certificate, ports[1])
        body = 64 + want - self.answer_size(ports[0], False)
        probe.close()
        self.nginx_server = beside.Nginx(folder, ports[0], body, certificate, ports[1])
        self.open.append(self.nginx_server)
        assert abs(self.answer_size(ports[0], False) - want) <= 1
        self.nginx = Front(self.nginx_server.process, *ports)
        show("poll_answer_bytes", want, "bytes, headers too")

    def start(self, **options):
        self.open.append(loop.Huidud(self.build, self.tmp, workers=1, pin=beside.SERVER_CPU,
                                     **options))
        return self.open[-1]

    def save_polls(self, server):
        path = os.path.join(self.tmp, server.name + ".polls")
        options = [] if server is self.plain else ["--ca", "tls/cert.pem"]
        seen = server.fleet(PHONES, 5, "--save-polls", path, *options)
        assert seen["enrolled"] == PHONES, seen
        return path

    def first_poll(self, tls):
        with open(self.polls[tls], "rb") as f:
            return f.read(int.from_bytes(f.read(4), "big"))

    def answer_size(self, port, tls):
        """Bytes of a whole answer to a poll."""
        body = self.first_poll(tls)
        with socket.create_connection(("127.0.0.1", port)) as s:
            if tls:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                s = context.wrap_socket(s)
            s.sendall(b"POST /v1/poll HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                      b"%d\r\n\r\n" % len(body) + body)
            got = b""
            while b"\r\n\r\n" not in got:
                got += s.recv(65536)
            head, _, rest = got.partition(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
            while len(rest) < length:
                rest += s.recv(65536)
            s.close()
        return len(head) + 4 + len(rest)

    def servers(self, tls):
        return self.nginx, Front((self.tls if tls else self.plain).process, self.plain.port,
                                 self.tls.port)

    def generators(self, tls, connections, reuse="connection", what=None):
        what = what or ["--polls", self.polls[tls]]
        options = what + ["--connections", str(connections), "--reuse", reuse]
        return [Generator(self.build, s.port[tls], *options, *(["--tls"] if tls else []))
                for s in self.servers(tls)]

    def poll_case(self, name):
        reuse, tls, connections, target = POLLS[name]
        generators = self.generators(tls, connections, reuse)
        runs = rounds_of(self.servers(tls), generators, 5 if self.quick else 11, 1)
        if name == "tls_resumed":
            assert all(r["resumed"] == r["handshakes"] for r in runs[0][1:] + runs[1][1:])
        for g in generators:
            g.close()
        show_cpu(name, runs, target)

    def close(self):
        for server in self.open:
            server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", nargs="?", default="build")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", help="these cases, with commas between them")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        bench = Bench(os.path.abspath(args.build), tmp, args.quick)
        cases = {name: lambda name=name: bench.poll_case(name) for name in POLLS}
        try:
            bench.open_all()
            for name in args.only.split(",") if args.only else cases:
                cases[name]()
        finally:
            bench.close()


if __name__ == "__main__":
    main()
