# SPDX-License-Identifier: Apache-2.0
"""A TLS server for one test: it hands each request to `answer`, and remembers all of them."""
import contextlib
import dataclasses
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time

IDLE_S = 30  # a connection on which nothing comes
WAIT_S = 120  # for what takes seconds where nothing else runs


def make_certificate(folder):
    """(certificate, key) of 127.0.0.1; who trusts the certificate trusts the server."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True, timeout=30)
    return certificate, key


@dataclasses.dataclass
class Request:
    method: str
    target: str     # path and query, as sent
    headers: list   # (name, value), as sent and in that order
    body: bytes
    status: int = 0  # of the answer
    answer: bytes = b""

    @property
    def path(self):
        return self.target.partition("?")[0]

    def header(self, name, default=None):
        return next((v for n, v in self.headers if n.lower() == name.lower()), default)


@dataclasses.dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = dataclasses.field(default_factory=dict)
    cut_after: int = None   # bytes of the body; then the connection is dropped
    pause_s: float = 0      # before each 4 KiB of the body


def json_answer(value, status=200):
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def file_answer(request, data, **how):
    """GET or HEAD of a file, or of one range `bytes=N-` or `bytes=N-M` of it."""
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    wanted = request.header("Range")
    if wanted is None:
        return Answer(200, data, headers, **how)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    first, last = int(first), min(int(last or len(data)), len(data) - 1)
    if first >= len(data):
        return Answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Answer(206, data[first:last + 1], headers, **how)


class Peer:
    """Serves from `with` to its end.  A subclass says `answer(request)`; one lock is held then."""

    def __init__(self, certificate, key, clients=None):
        """`clients`: who does not show a certificate that this file trusts is not let in."""
        self.requests, self.lock = [], threading.Condition()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        peer = self

        class ForThis(Handler):
            tls, owner = context, peer
        self.server = Quiet(("127.0.0.1", 0), ForThis)
        self.port = self.server.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, request):
        raise NotImplementedError

    def handle(self, request):
        with self.lock:
            answer = self.answer(request)
            request.status, request.answer = answer.status, answer.body
            self.requests.append(request)
            self.lock.notify_all()
            return answer

    def wait(self, condition, timeout_s=WAIT_S):
        """Until condition() holds of what has come; the test fails when it never does."""
        end = time.monotonic() + timeout_s
        with self.lock:
            while not condition():
                left = end - time.monotonic()
                assert left > 0, "\n".join(f"{r.method} {r.target} {r.status} {r.body[:200]}"
                                           for r in self.requests[-30:])
                self.lock.wait(min(left, 0.5))  # a condition may look at files too


class Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Clients that go away, or do not trust the certificate, are part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True  # headers and body are written apart
    tls = owner = None

    def setup(self):
        self.request.settimeout(IDLE_S)
        self.request = self.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def log_message(self, *_):
        """Nothing on the screen."""

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def serve(self):
        request = Request(self.command, self.path, self.headers.items(), self.body())
        answer = self.owner.handle(request)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.send(answer)

    def send(self, answer):
        body = answer.body[:answer.cut_after]
        for at in range(0, len(body), 4096):
            if answer.pause_s:
                time.sleep(answer.pause_s)
            self.wfile.write(body[at:at + 4096])
        if answer.cut_after is not None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = serve
