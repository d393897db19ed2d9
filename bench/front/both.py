# SPDX-License-Identifier: Apache-2.0
"""huidud and nginx on one core, the load on the other, and what is measured of both."""
import json
import os
import re
import subprocess
import time

import beside
import loop

PHONES = 200


def show(name, value, unit, target=None):
    beside.figure("front", name, value, unit, target)


class Generator:
    """bench/front-load on its core, connected to one server's port."""

    def __init__(self, build, port, *options, may_refuse=False):
        self.may_refuse = may_refuse
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
        assert self.may_refuse or seen["refused"] == seen["lost"] == 0, seen
        return seen

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class Front:
    """A server: its process, and its ports by whether they are of TLS."""

    def __init__(self, process, plain, tls):
        self.process, self.port = process, {False: plain, True: tls}

    def memory_kib(self):
        """Resident, of the process and its children."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            pids = [pid, *map(int, f.read().split())]
        return sum(resident_kib(p) for p in pids)


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def run(server, generator, seconds, rate=0.0):
    """What the generator saw, and the server's CPU: microseconds a request, and of its core."""
    before, begun = beside.cpu_us(server.process.pid), time.monotonic()
    seen = generator.slice(seconds, rate)
    used = beside.cpu_us(server.process.pid) - before
    seen["cpu_us"] = used / seen["requests"]
    seen["server_busy"] = used / 1e6 / (time.monotonic() - begun)
    seen["answer_bytes"] = seen["bytes"] / seen["requests"]
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


def read_polls(path):
    """Bodies, each after its length."""
    polls = []
    with open(path, "rb") as f:
        while n := f.read(4):
            polls.append(f.read(int.from_bytes(n, "big")))
    return polls


class Bench:
    """Both servers, and polls that ours knows."""

    def __init__(self, build, tmp, quick):
        self.build, self.tmp, self.quick, self.open = build, tmp, quick, []

    def open_all(self):
        two = ("products: [phone-a]", "products: [phone-a, phone-b]")
        self.plain = self.start(name="plain", changes=[two])
        self.tls = self.start(name="tls", plain=False)
        self.polls = {False: self.save_polls(self.plain), True: self.save_polls(self.tls)}
        certificate = [os.path.join(self.tls.dir, "tls", f) for f in ("cert.pem", "key.pem")]
        folder = os.path.join(self.tmp, "nginx")
        os.mkdir(folder)
        poll = read_polls(self.polls[True])[0]
        want = loop.post_size(self.tls.port, "/v1/poll", poll, tls=True)
        ports = loop.free_port(), loop.free_port()
        probe = beside.Nginx(folder, ports[0], 64, certificate, ports[1])
        body = 64 + want - loop.post_size(ports[0], "/v1/poll", poll)
        probe.close()
        self.nginx_server = beside.Nginx(folder, ports[0], body, certificate, ports[1])
        self.open.append(self.nginx_server)
        assert abs(loop.post_size(ports[0], "/v1/poll", poll) - want) <= 1
        self.nginx = Front(self.nginx_server.process, *ports)
        show("poll_answer_bytes", want, "bytes, headers too")

    def start(self, **options):
        self.open.append(loop.Huidud(self.build, self.tmp, workers=1, pin=beside.SERVER_CPU,
                                     **options))
        return self.open[-1]

    def save_polls(self, server):
        """Of phones that hold what is newest: each polled twice at least."""
        path = os.path.join(self.tmp, server.name + ".polls")
        options = [] if server is self.plain else ["--ca", "tls/cert.pem"]
        for seconds in 5, 20, 60:
            server.fleet(PHONES, seconds, "--save-polls", path, *options)
            first, newest = read_polls(path + ".first"), read_polls(path)
            if len(newest) == PHONES and not set(first) & set(newest):
                return path
        raise RuntimeError("the phones do not come to poll twice")

    def servers(self, tls):
        return self.nginx, Front((self.tls if tls else self.plain).process, self.plain.port,
                                 self.tls.port)

    def generator(self, server, tls, connections, reuse="connection", what=None, **options):
        what = what or ["--polls", self.polls[tls]]
        return Generator(self.build, server.port[tls], *what, "--connections", str(connections),
                         "--reuse", reuse, *(["--tls"] if tls else []), **options)

    def generators(self, tls, *args, **options):
        return [self.generator(s, tls, *args, **options) for s in self.servers(tls)]

    def rounds(self, full):
        return max(3, full // 3) if self.quick else full

    def close(self):
        for server in self.open:
            server.close()
