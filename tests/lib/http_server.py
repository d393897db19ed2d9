# SPDX-License-Identifier: Apache-2.0
"""Starts http_echo for a test, and speaks to it in raw bytes."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

PROGRAM = os.path.join(os.environ.get("HUIDU_BUILD", "build"), "tests/http_echo")
TIMEOUT_S = 20
HOST = b"Host: x\r\n"


class Server:
    """http_echo with `name=value` arguments; `ports` by name, `log` its stderr so far."""

    def __init__(self, **options):
        args = [PROGRAM] + [f"{k}={v}" for k, v in options.items()]
        inherit = [options["inherit"]] if "inherit" in options else []
        self.process = subprocess.Popen(
            args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=inherit)
        self.ports, self.log, self.terminated = {}, [], False
        self.reader = threading.Thread(target=self._read_log)
        self.reader.start()
        for line in self.process.stdout:
            if line == "ready\n":
                break
            name, port = line.split()
            self.ports[name] = int(port)

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def connect(self, name="plain", **options):
        return Raw(socket.create_connection(("127.0.0.1", self.ports[name]), TIMEOUT_S),
                   **options)

    def counts(self):
        with contextlib.closing(self.connect("admin")) as c:
            c.send(b"GET /counts HTTP/1.1\r\n" + HOST + b"\r\n")
            return parse_counts(c.answer().body.decode())

    def wait_count(self, name, at_least):
        """Until a counter is there; the test fails when it never gets there."""
        end = time.monotonic() + TIMEOUT_S
        while self.counts()[name] < at_least:
            assert time.monotonic() < end, (name, self.counts())
            time.sleep(0.01)

    def wait_log(self, text, times=1):
        end = time.monotonic() + TIMEOUT_S
        while sum(text in line for line in self.log) < times:
            assert time.monotonic() < end, self.log
            time.sleep(0.01)

    def terminate(self):
        """Asks it to end, once: a second signal may come when nobody handles it any more."""
        if not self.terminated:
            self.process.send_signal(signal.SIGTERM)
        self.terminated = True

    def stop(self):
        """Ends it in good order and returns the last counts; a sanitizer's findings fail here."""
        self.terminate()
        out = self.process.stdout.read()
        code = self.process.wait(TIMEOUT_S)
        self.reader.join()
        assert code == 0, "".join(self.log)
        counts = parse_counts(out)
        assert counts["accepted"] == counts["closed"], counts
        return counts


def stand_still(pid):
    """Stops a process; returns when no thread of it runs any more, which is later than kill() does."""
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + TIMEOUT_S
    for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < end, stat.read_text()
            time.sleep(0.001)


def parse_counts(text):
    return {name: int(n) for name, n in (line.split() for line in text.splitlines())}


@contextlib.contextmanager
def running(**options):
    """A server for the block; stopped and judged after it."""
    server = Server(**options)
    try:
        yield server
    except BaseException:
        server.process.kill()
        server.process.wait()
        raise
    server.stopped = server.stop()


class Answer:
    def __init__(self, status, version, headers, body):
        self.status, self.version, self.headers, self.body = status, version, headers, body


class Raw:
    """A connection: bytes out, answers in, one after the other."""

    def __init__(self, sock):
        self.sock, self.got = sock, b""

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def get(self, path, headers=b"", method=b"GET"):
        self.send(method + b" " + path.encode() + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n")
        return self.answer(head=method == b"HEAD")

    def post(self, path, body, headers=b""):
        self.send(b"POST " + path.encode() + b" HTTP/1.1\r\n" + HOST + headers +
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return self.answer()

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the server closed after {self.got[:100]!r}")
        self.got += data

    def head(self):
        while b"\r\n\r\n" not in self.got:
            self._more()
        head, _, self.got = self.got.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        headers = {}
        for line in lines:
            name, value = re.fullmatch(r"([^:\s]+): (.*)", line).groups()
            assert name.lower() not in headers, line
            headers[name.lower()] = value
        return int(status), version, headers

    def answer(self, head=False):
        status, version, headers = self.head()
        n = 0 if head else int(headers.get("content-length", 0))
        parts = [self.got[:n]]
        self.got, n = self.got[n:], n - len(parts[0])
        while n > 0:
            data = self.sock.recv(min(n, 1 << 20))
            if not data:
                raise EOFError(f"{n} bytes of the body are missing")
            parts.append(data)
            n -= len(data)
        return Answer(status, version, headers, b"".join(parts))

    def rest(self):
        """What still comes until the server closes; a reset fails the test."""
        while True:
            data = self.sock.recv(65536)
            if not data:
                return self.got
            self.got += data

    def closed(self):
        """The server closes without another byte."""
        assert self.rest() == b""


def chunked(body, size):
    """The body in chunks of `size`."""
    out = b""
    for i in range(0, len(body), size):
        piece = body[i:i + size]
        out += b"%x\r\n%s\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"
