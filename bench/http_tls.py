#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
CPU of a new TLS 1.3 connection with one request on it, beside nginx: full and resumed handshakes.

    bench/http_tls.py [BUILD_DIR [ROUNDS]]

One worker each, the same P-256 certificate, the loader on the other core; rounds alternate and
medians are printed.
"""
import subprocess
import sys
import tempfile

import beside

SECONDS, BODY = 3, 64


def load(program, server, kind):
    """Microseconds of the server's CPU per connection."""
    before = beside.cpu_us(server.process.pid)
    out = subprocess.run(
        ["taskset", "-c", str(beside.CLIENT_CPU), program, str(server.port), str(SECONDS), kind],
        capture_output=True, text=True, check=True).stdout
    return (beside.cpu_us(server.process.pid) - before) / int(out)


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as tmp:
        certificate = f"{tmp}/cert.pem", f"{tmp}/key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-out", certificate[0], "-keyout",
             certificate[1], "-subj", "/CN=localhost"], check=True, capture_output=True)
        nginx = beside.Nginx(tmp, 18443, BODY, certificate)
        ours = beside.Ours(f"{build}/tests/http_echo", BODY, certificate)
        for kind in "full", "resumed":
            runs = [(load(f"{build}/bench/tls_load", nginx, kind),
                     load(f"{build}/bench/tls_load", ours, kind)) for _ in range(rounds)]
            beside.figure("http_tls", f"nginx_cpu_{kind}", beside.median([n for n, _ in runs]),
                          "us")
            beside.figure("http_tls", f"cpu_{kind}", beside.median([o for _, o in runs]), "us")
            beside.figure("http_tls", f"cpu_{kind}_of_nginx",
                          beside.median([o / n for n, o in runs]), "ratio", 1.0)
        nginx.close()
        ours.close()


if __name__ == "__main__":
    main()
