# SPDX-License-Identifier: Apache-2.0
"""What is measured of huidud and nginx beside each other."""
import hashlib
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.request

import beside
import loop
from both import middle, read_polls, rounds_of, run, show

ARTIFACT_BYTES, READERS = 16 << 20, 8
LOAD = 0.7  # of what a server can do
ASIDE = """name: aside
rings:
  - {ring: stable, share: 100 %, soak: 1h, max_soak: 1d, tolerance: none}
holdback: 0 %
"""


def show_cpu(name, runs, target, unit="us", scale=1.0):
    """CPU of a request of both, the ratio, and who was busy: below 1, the core was not full."""
    for who, what in ("nginx_", runs[0]), ("", runs[1]):
        show(f"{name}_{who}cpu", middle(what, "cpu_us") * scale, unit)
        show(f"{name}_{who}rate", middle(what, "rate"), "1/s")
        show(f"{name}_{who}server_busy", middle(what, "server_busy"), "of a core")
        show(f"{name}_{who}load_busy", middle(what, "busy"), "of a core")
    ratio = beside.median([o["cpu_us"] / n["cpu_us"] for n, o in zip(*runs)])
    show(f"{name}_cpu_of_nginx", ratio, "ratio", target)


def close_all(generators):
    for g in generators:
        g.close()


def polls(bench, name, reuse, tls, connections, target):
    generators = bench.generators(tls, connections, reuse)
    runs = rounds_of(bench.servers(tls), generators, bench.rounds(11), 1)
    close_all(generators)
    if reuse == "ticket":
        assert all(r["resumed"] == r["handshakes"] for r in runs[0] + runs[1]), "not resumed"
    show_cpu(name, runs, target)


def artifact(bench):
    """A file of 16 MiB over TLS; nginx has it in its folder."""
    path = os.path.join(bench.tmp, "build.bin")
    content = os.urandom(ARTIFACT_BYTES)
    with open(path, "wb") as f:
        f.write(content)
    where = "/v1/artifact/" + hashlib.sha256(content).hexdigest()
    bench.tls.run("build", "publish", path, "--product", "phone-a", "--build", "big")
    os.makedirs(os.path.join(bench.tmp, "nginx/files/v1/artifact"), exist_ok=True)
    shutil.copy(path, os.path.join(bench.tmp, "nginx/files" + where))
    os.chmod(bench.tmp, 0o755)  # nginx's worker is somebody else
    generators = bench.generators(True, READERS, what=["--get", where])
    runs = rounds_of(bench.servers(True), generators, bench.rounds(7), 2)
    close_all(generators)
    show_cpu("artifact", runs, 1.05, "ms a file", 1e-3)


def held(bench, server, generator, idle):
    """CPU of a poll without and with idle connections; KiB of one of those, how many closed."""
    n = bench.rounds(6)
    without = [run(server, generator, 1) for _ in range(n)]
    before = server.memory_kib()
    holder = bench.generator(server, True, idle)
    memory = (server.memory_kib() - before) / idle
    kept = time.monotonic()
    runs, closed = [], 0
    for _ in range(n):
        if time.monotonic() - kept > 25:  # a server closes them after a minute
            closed += holder.slice(5, idle / 4)["handshakes"]
            kept = time.monotonic()
        runs.append(run(server, generator, 1))
    closed += holder.slice(5, idle / 4)["handshakes"]
    holder.close()
    without += [run(server, generator, 1) for _ in range(n)]
    return middle(without, "cpu_us"), middle(runs, "cpu_us"), memory, closed


def idle(bench):
    """TLS connections that wait: what they cost others, and how much memory they take."""
    n = 2000 if bench.quick else 10000
    generators = bench.generators(True, 64)
    theirs, ours = (held(bench, s, g, n) for s, g in zip(bench.servers(True), generators))
    close_all(generators)
    show("idle_connections", n, "connections")
    for who, (without, cpu, memory, closed) in ("nginx_", theirs), ("", ours):
        show(f"idle_{who}cpu_without", without, "us")
        show(f"idle_{who}cpu", cpu, "us")
        show(f"idle_{who}memory", memory, "KiB a connection")
        show(f"idle_{who}closed", closed, "of them, and opened again", 0)
    show("idle_nginx_cpu_of_without", theirs[1] / theirs[0], "ratio")
    show("idle_cpu_of_without", ours[1] / ours[0], "ratio", 1.05)
    show("idle_memory_of_nginx", ours[2] / theirs[2], "ratio")


def latency(bench, name, reuse, connections):
    """At 70 % of what each can do, and both at the lower of these rates; arrivals do not wait."""
    servers = bench.servers(True)
    generators = bench.generators(True, connections, reuse, may_refuse=True)
    can = [middle(r, "rate") for r in rounds_of(servers, generators, 3, 1)]
    rates = [LOAD * c for c in can]
    for how, at in ("own", rates), ("same", [min(rates)] * 2):
        runs = rounds_of(servers, generators, bench.rounds(5), 1 if bench.quick else 3, at)
        for i, who in enumerate(("nginx_", "")):
            show(f"latency_{name}_{how}_{who}rate", at[i], "1/s, 70 % of capacity")
            for which in "p50_us", "p99_us", "p999_us":
                show(f"latency_{name}_{how}_{who}{which[:-3]}", middle(runs[i], which), "us")
            refused = sum(r["refused"] + r["lost"] for r in runs[i])
            show(f"latency_{name}_{how}_{who}refused", refused, "requests")
    close_all(generators)


def metric(server, name):
    """The sum of it over all labels, as huidud says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=10) as r:
        text = r.read().decode()
    return sum(map(int, re.findall(rf"^{name}(?:\{{.*\}})? (\d+)$", text, re.M)))


class Swaps(threading.Thread):
    """A new image every second: a person pauses another product's rollout, and lets it go on."""

    def __init__(self, server, paused):
        super().__init__(daemon=True)
        self.server, self.enough, self.paused = server, threading.Event(), paused

    def run(self):
        while not self.enough.wait(1):
            if self.paused:
                self.server.run("rollout", "approve", "b1", "--yes")
            else:
                self.server.run("rollout", "pause", "b1", "--reason", "bench")
            self.paused = not self.paused


def swaps(bench):
    server, front = bench.plain, bench.servers(False)[1]
    path = os.path.join(bench.tmp, "aside.bin")
    with open(path, "wb") as f:
        f.write(b"aside")
    with open(os.path.join(bench.tmp, "aside.yaml"), "w", encoding="utf-8") as f:
        f.write(ASIDE)
    server.run("build", "publish", path, "--product", "phone-b", "--build", "b1")
    server.run("rollout", "create", "b1", "--plan", f.name)
    server.run("rollout", "approve", "b1", "--yes")
    server.run("rollout", "start", "b1")
    generator = bench.generator(front, False, 64)
    still, moving, made, swapping = [], [], 0, None
    for _ in range(bench.rounds(6)):
        still.append(run(front, generator, 3))
        swapping = Swaps(server, swapping is not None and swapping.paused)
        swapping.start()
        before = metric(server, "huidu_image_generation")
        moving.append(run(front, generator, 3))
        made += metric(server, "huidu_image_generation") - before
        swapping.enough.set()
        swapping.join()
    generator.close()
    show("swap_images", made, f"new images in {3 * len(moving)} s")
    show("swap_answer_bytes", middle(moving, "answer_bytes"), "bytes")
    show("swap_cpu_without", middle(still, "cpu_us"), "us")
    show("swap_cpu", middle(moving, "cpu_us"), "us")
    more = sum((m["cpu_us"] - s["cpu_us"]) * m["requests"] for m, s in zip(moving, still))
    show("swap_image_cpu", more / made / 1e3, "ms an image, its commands and signatures too")
    ratio = beside.median([m["cpu_us"] / s["cpu_us"] for m, s in zip(moving, still)])
    show("swap_cpu_of_without", ratio, "ratio", 1.05)


def cpu_of_polls(server, seconds):
    """Microseconds of CPU a poll, by the server's own count, while something loads it."""
    before = metric(server, "huidu_polls_total"), beside.cpu_us(server.process.pid)
    time.sleep(seconds)
    after = metric(server, "huidu_polls_total"), beside.cpu_us(server.process.pid)
    return (after[1] - before[1]) / (after[0] - before[0])


def wrk_cpu(server, tls, script, seconds):
    """The load is wrk's; the second in which it connects does not count."""
    url = f"http{'s' if tls else ''}://127.0.0.1:{server.port}/v1/poll"
    with subprocess.Popen(["taskset", "-c", str(beside.CLIENT_CPU), "wrk", "-t1", "-c64",
                           f"-d{seconds + 2}s", "-s", script, url], stdout=subprocess.PIPE,
                          text=True) as load:
        time.sleep(1)
        cpu = cpu_of_polls(server, seconds)
        out, _ = load.communicate(timeout=60)
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    return cpu


def own_cpu(server, generator, seconds):
    generator.begin(seconds + 2)
    time.sleep(1)
    cpu = cpu_of_polls(server, seconds)
    generator.end()
    return cpu


def wrk(bench):
    """Do the two loads find the same cost?"""
    seconds = 1 if bench.quick else 3
    for tls, server in (False, bench.plain), (True, bench.tls):
        body, script = (os.path.join(bench.tmp, name) for name in ("wrk.bin", "wrk.lua"))
        with open(body, "wb") as f:
            f.write(read_polls(bench.polls[tls])[0])
        with open(script, "w", encoding="utf-8") as f:
            f.write(loop.LUA % body)
        generator = bench.generator(bench.servers(tls)[1], tls, 64)
        pairs = [(wrk_cpu(server, tls, script, seconds), own_cpu(server, generator, seconds))
                 for _ in range(bench.rounds(5))]
        generator.close()
        name = f"check_{'tls' if tls else 'plain'}_kept"
        show(f"{name}_wrk_cpu", beside.median([w for w, _ in pairs]), "us")
        show(f"{name}_cpu", beside.median([o for _, o in pairs]), "us")
        show(f"{name}_cpu_of_wrk", beside.median([o / w for w, o in pairs]), "ratio")
