#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
CPU of a request on kept connections, beside nginx's `return 200` with an answer of the same size.

    bench/http_plain.py [BUILD_DIR [ROUNDS]]

64 connections, one worker each, wrk on the other core; rounds alternate and medians are printed.
"""
import re
import subprocess
import sys
import tempfile

import beside

CONNECTIONS, SECONDS, BODY = 64, 3, 64


def load(server):
    """Microseconds of the server's CPU per request, and requests a second."""
    url = f"http://127.0.0.1:{server.port}{server.path}"
    before = beside.cpu_us(server.process.pid)
    out = subprocess.run(
        ["taskset", "-c", str(beside.CLIENT_CPU), "wrk", "-t1", f"-c{CONNECTIONS}",
         f"-d{SECONDS}s", url], capture_output=True, text=True, check=True).stdout
    used = beside.cpu_us(server.process.pid) - before
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    requests = int(re.search(r"(\d+) requests in", out)[1])
    return used / requests, float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    program = f"{build}/tests/http_echo"
    with tempfile.TemporaryDirectory() as tmp:
        nginx = beside.Nginx(tmp, 18080, BODY)
        want = beside.answer_size(nginx.port, nginx.path)
        probe = beside.Ours(program, BODY)
        body = BODY + want - beside.answer_size(probe.port, probe.path)
        probe.close()
        ours = beside.Ours(program, body)
        assert beside.answer_size(ours.port, ours.path) == want
        runs = [(load(nginx), load(ours)) for _ in range(rounds)]
        nginx.close()
        ours.close()
    theirs_us = beside.median([n[0] for n, _ in runs])
    ours_us = beside.median([o[0] for _, o in runs])
    beside.figure("http", "answer_bytes", want, "bytes")
    beside.figure("http", "nginx_cpu_per_request", theirs_us, "us")
    beside.figure("http", "cpu_per_request", ours_us, "us")
    beside.figure("http", "nginx_rate", beside.median([n[1] for n, _ in runs]), "1/s")
    beside.figure("http", "rate", beside.median([o[1] for _, o in runs]), "1/s")
    beside.figure("http", "cpu_of_nginx", beside.median([o[0] / n[0] for n, o in runs]), "ratio",
                  0.95)


if __name__ == "__main__":
    main()
