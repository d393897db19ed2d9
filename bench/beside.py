# SPDX-License-Identifier: Apache-2.0
"""Debian's nginx on one core, to stand beside ours, and what a server costs."""
import json
import os
import signal
import socket
import subprocess
import time

SERVER_CPU, CLIENT_CPU = 0, 1


def cpu_us(pid):
    """User and system time of a process, its threads and its children."""
    pids = [pid]
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        pids += [int(p) for p in f.read().split()]
    total = 0
    for p in pids:
        for task in os.listdir(f"/proc/{p}/task"):
            with open(f"/proc/{p}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
    return total / 1000


def median(values):
    values = sorted(values)
    n = len(values)
    return (values[(n - 1) // 2] + values[n // 2]) / 2


def figure(bench, name, value, unit, target=None):
    """One figure a line; with a target, whether it is met (less is better)."""
    line = {"bench": bench, "figure": name, "value": round(value, 3), "unit": unit,
            "target": target, "ok": target is None or value <= target}
    print(json.dumps(line), flush=True)


class Nginx:
    """One worker, `return 200`; plain, or with a certificate, or both with a `tls_port`."""

    def __init__(self, tmp, port, body_bytes, certificate=None, tls_port=None):
        kind = "ssl" if certificate and not tls_port else ""
        listen = f"listen 127.0.0.1:{port} {kind} backlog=4096;"
        if tls_port:
            listen += f" listen 127.0.0.1:{tls_port} ssl backlog=4096;"
        tls = ""
        if certificate:
            tls = f"""ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};
                ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;"""
        conf = f"""
            daemon off; worker_processes 1; pid {tmp}/nginx.pid; error_log {tmp}/error.log;
            worker_rlimit_nofile 32768;
            events {{ worker_connections 16384; }}
            http {{
                access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
                default_type text/plain; sendfile on; root {tmp}/files;
                client_body_temp_path {tmp}; proxy_temp_path {tmp}; fastcgi_temp_path {tmp};
                uwsgi_temp_path {tmp}; scgi_temp_path {tmp};
                server {{
                    {listen} {tls}
                    location / {{ return 200 "{'a' * body_bytes}"; }}
                    location /v1/artifact/ {{ }}
                }}
            }}"""
        with open(f"{tmp}/nginx.conf", "w") as f:
            f.write(conf)
        self.port = port
        self.process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CPU), "nginx", "-p", tmp, "-e", f"{tmp}/error.log",
             "-c", f"{tmp}/nginx.conf"])
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise RuntimeError("nginx does not start")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
