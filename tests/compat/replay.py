#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends a recorded exchange over TLS and compares what the server answers.

usage: replay.py FILE PORT CERTIFICATE [NAME=VALUE...]

A file is steps; lines that begin with # before the first one are remarks.  A step:

    === what it is
    PUT /a/${name} HTTP/1.1             the request, as it goes out; its lines end with LF here
    Content-Length: ${length}

    the body, without its last LF; with `Transfer-Encoding: chunked` it goes out in small chunks
    --- 200|204                         what the answer's status must be; closed: none, but an end
    json _links.x.href ~ https://.*     what else must be so

WHERE PATH = VALUE, WHERE PATH ~ PATTERN (of all of it), WHERE PATH is text or number, or WHERE
PATH absent:
`header NAME`, `json a.b.0.c` (as JSON, so that "7" is no 7; a.# is how many a has),
`xml app/updatecheck/@status`, `body` (no PATH).
`save NAME WHERE PATH` keeps a value, as text, for the steps that follow; with `~ PATTERN` behind
it, what the pattern's parentheses hold.

In all lines ${NAME} is a value given or saved, ${length} the body's, ${x:0a} a byte,
${repeat:N:TEXT} text N times."""
import dataclasses
import json
import re
import socket
import ssl
import sys
import xml.etree.ElementTree as ET

TIMEOUT_S = 20
CHUNK = 60
ABSENT = object()
PLACE = re.compile(r"\$\{(?:x:([0-9a-f]{2})|repeat:(\d+):([^}]*)|([a-z_0-9]+))\}")


class Differs(AssertionError):
    """The server's answer is not what the file says."""


@dataclasses.dataclass
class Step:
    name: str
    request: str   # line and headers
    body: str
    statuses: list
    checks: list   # lines


def parse(text):
    steps = []
    for part in re.split(r"^=== ", text, flags=re.M)[1:]:
        name, _, rest = part.partition("\n")
        sent, _, expected = rest.partition("\n--- ")
        head, _, body = sent.partition("\n\n")
        statuses, *checks = expected.rstrip("\n").split("\n")
        steps.append(Step(name, head, body, statuses.split("|"), [c for c in checks if c]))
    return steps


def fill(text, values):
    """The bytes of a text with places in it."""
    out, at = b"", 0
    for m in PLACE.finditer(text):
        out += text[at:m.start()].encode()
        at = m.end()
        byte, times, what, name = m.groups()
        if byte:
            out += bytes.fromhex(byte)
        elif times:
            out += what.encode() * int(times)
        elif name in values:
            out += str(values[name]).encode()
        else:
            raise Differs(f"nobody has said what ${{{name}}} is")
    return out + text[at:].encode()


@dataclasses.dataclass
class Answer:
    status: str
    headers: dict = dataclasses.field(default_factory=dict)  # names in lower case
    body: bytes = b""


class Line:
    """A connection that is made anew when the server has ended it."""

    def __init__(self, port, certificate, client=None):
        self.port = port
        self.context = ssl.create_default_context(cafile=certificate)
        if client:
            self.context.load_cert_chain(*client)
        self.sock = self.file = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.sock:
            self.file.close()
            self.sock.close()
        self.sock = None

    def connect(self):
        raw = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        self.sock = self.context.wrap_socket(raw, server_hostname="127.0.0.1")
        self.file = self.sock.makefile("rb")

    def exchange(self, head, body):
        if self.sock is None:
            self.connect()
        try:
            answer = self.ask(head, body)
        except OSError:
            answer = Answer("closed")
        if answer.status == "closed" or answer.headers.get("connection") == "close":
            self.close()
        return answer

    def ask(self, head, body):
        names = head.lower()
        if b"\ntransfer-encoding: chunked" in names:
            pieces = [body[i:i + CHUNK] for i in range(0, len(body), CHUNK)] + [b""]
            body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
        self.sock.sendall(head.replace(b"\n", b"\r\n") + b"\r\n\r\n")
        if b"\nexpect: 100-continue" in names:
            answer = self.read(head)
            if answer.status != "100":
                return answer
        try:
            self.sock.sendall(body)
        except OSError:
            pass  # it may have answered before all of it was there
        return self.read(head)

    def read(self, head):
        first = self.file.readline()
        if not first:
            return Answer("closed")
        answer = Answer(first.split()[1].decode())
        while (line := self.file.readline().strip()):
            name, _, value = line.decode().partition(":")
            answer.headers[name.lower()] = value.strip()
        if not head.startswith(b"HEAD ") and answer.status not in ("100", "204", "304"):
            answer.body = self.read_body(answer.headers)
        return answer

    def read_body(self, headers):
        if headers.get("transfer-encoding") != "chunked":
            return self.file.read(int(headers.get("content-length", 0)))
        body = b""
        while size := int(self.file.readline(), 16):
            body += self.file.read(size)
            self.file.readline()
        self.file.readline()
        return body


def find_json(answer, path):
    value = json.loads(answer.body)
    for name in path.split("."):
        if name == "#" and isinstance(value, (list, dict)):
            return len(value)
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return ABSENT
    return value


def find_xml(answer, path):
    root = ET.fromstring(answer.body)
    where, _, attribute = path.rpartition("@")
    element = root.find(where.rstrip("/")) if where else root
    return ABSENT if element is None else element.get(attribute, ABSENT)


FINDERS = {
    "json": find_json,
    "xml": find_xml,
    "header": lambda answer, name: answer.headers.get(name.lower(), ABSENT),
    "body": lambda answer, _: answer.body.decode(errors="replace"),
}


def find(answer, where, path):
    try:
        return FINDERS[where](answer, path)
    except (ValueError, ET.ParseError) as e:
        raise Differs(f"{where} cannot be read: {e}: {answer.body[:200]}") from e


CHECK = re.compile(r"(json|xml|header|body)(?: (\S+))?(?: (=|~|is)(?: (.*))?| absent)")
SAVE = re.compile(r"save (\w+) (json|xml|header|body)(?: (\S+))?(?: ~ (.*))?")
TYPES = {"text": str, "number": int}


def text_of(value):
    return value if isinstance(value, str) else json.dumps(value)


def holds(found, operator, wanted):
    if operator is None:
        return found is ABSENT
    if found is ABSENT:
        return False
    if operator == "~":
        return re.fullmatch(wanted, text_of(found), re.S) is not None
    if operator == "is":
        return type(found) is TYPES[wanted]  # a bool is an int, too
    return found == wanted


def save(line, m, answer, values):
    name, where, path, pattern = m.groups()
    found = find(answer, where, path)
    part = None if found is ABSENT else re.fullmatch(pattern or "(.*)", text_of(found), re.S)
    if part is None:
        raise Differs(f"{line}: there is none: {answer.body[:500]}")
    values[name] = part[1]


def check(line, answer, values):
    if m := SAVE.fullmatch(line):
        save(line, m, answer, values)
        return
    m = CHECK.fullmatch(line)
    if m is None:
        raise ValueError(f"not a check: {line}")
    where, path, operator, wanted = m.groups()
    found = find(answer, where, path)
    if operator is not None:
        wanted = fill(wanted or "", values).decode()
    if operator == "=" and where == "json":
        wanted = json.loads(wanted)
    if not holds(found, operator, wanted):
        raise Differs(f"{line}: it is {'absent' if found is ABSENT else text_of(found)}")


def replay(path, port, certificate, client=None, **values):
    """All steps of a file; Differs says which was answered otherwise.  Returns the values."""
    values.setdefault("host", f"127.0.0.1:{port}")
    with open(path, encoding="utf-8", newline="\n") as f:
        steps = parse(f.read())
    assert steps, f"{path}: no steps"
    with Line(port, certificate, client) as line:
        for step in steps:
            body = fill(step.body, values)
            head = fill(step.request, {**values, "length": len(body)})
            answer = line.exchange(head, body)
            try:
                if answer.status not in step.statuses:
                    raise Differs(f"status {answer.status}, not {'|'.join(step.statuses)}: "
                                  f"{answer.body[:200]}")
                for c in step.checks:
                    check(c, answer, values)
            except Differs as e:
                raise Differs(f"{path}: {step.name}: {e}") from None
    return values


def main(arguments):
    if len(arguments) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    path, port, certificate, *pairs = arguments
    try:
        replay(path, int(port), certificate, **dict(p.split("=", 1) for p in pairs))
    except Differs as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
