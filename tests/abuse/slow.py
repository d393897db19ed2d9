# SPDX-License-Identifier: Apache-2.0
"""One byte a second, by the thousand, in each phase of a connection; beside them, honest polls."""
import contextlib
import os
import select
import time

from honest import WINDOW_S, Honest
from records import hello

TURNS = 10       # of a second; each byte's turn comes once in it
LATE_S = 3       # that a deadline may be late
TIMES = 2        # what a poll may take, of what it takes where nobody is slow
NOISE_S = 0.005  # a window has few polls


class Slow:
    """A connection that says one byte a second, and when it has said all reads one a second."""

    def __init__(self, sock, kind, data, since):
        self.sock, self.kind, self.data, self.at, self.since = sock, kind, data, 0, since

    def act(self):
        with contextlib.suppress(OSError):
            if self.at < len(self.data):
                self.at += self.sock.send(self.data[self.at:self.at + 1])
            else:
                os.read(self.sock.fileno(), 1)


class Crowd:
    """Keeps `n` of them, each made by `make(number)`, and notes how old each became."""

    def __init__(self, n, make, per_tick):
        self.n, self.make, self.per_tick, self.number = n, make, per_tick, 0
        self.live, self.ages, self.epoll, self.turn = {}, {}, select.epoll(), 0

    def refill(self):
        for _ in range(min(self.n - len(self.live), self.per_tick)):
            slow = self.make(self.number)
            self.number += 1
            self.epoll.register(slow.sock.fileno(), select.EPOLLRDHUP)
            self.live[slow.sock.fileno()] = slow

    def bury(self):
        for fd, _ in self.epoll.poll(0, 20000):
            slow = self.live.pop(fd)
            self.ages.setdefault(slow.kind, []).append(time.monotonic() - slow.since)
            slow.sock.close()

    def tick(self, refill=True):
        """A tenth of a second."""
        end = time.monotonic() + 1 / TURNS
        self.bury()
        if refill:
            self.refill()
        for fd, slow in list(self.live.items()):
            if fd % TURNS == self.turn:
                slow.act()
        self.turn = (self.turn + 1) % TURNS
        time.sleep(max(0, end - time.monotonic()))

    def run(self, seconds, refill=True):
        end = time.monotonic() + seconds
        while time.monotonic() < end and (refill or self.live):
            self.tick(refill)

    def close(self):
        for slow in self.live.values():
            slow.sock.close()
        self.epoll.close()


def beside(victim, options, crowd, deadlines):
    """Honest polls there, and at a server that nobody abuses; then each of the crowd dies of its
    deadline.  What other programs, and the crowd's own, do to a poll they do to both."""
    fds, rss, span = victim.descriptors(), victim.rss_kib(), (2 if options.short else 6) * WINDOW_S
    with Honest(victim) as honest, Honest(options.calm()) as calm, contextlib.closing(crowd):
        while len(crowd.live) < crowd.n * 0.9:
            crowd.tick()
        began = time.monotonic()
        crowd.run(span)
        ended, most, top = time.monotonic(), len(crowd.live), victim.rss_kib()
        crowd.run(max(deadlines.values()) + LATE_S + 2, refill=False)
        assert not crowd.live, f'{len(crowd.live)} are still there'
        without, among = calm.p99(began, ended), honest.p99(began, ended)
    for kind, ages in crowd.ages.items():
        assert max(ages) < deadlines[kind] + LATE_S, (kind, max(ages))
    grown = victim.settles(fds, rss, 96 << 10)
    assert options.short or among < TIMES * without + NOISE_S, (without, among)
    ages = ', '.join(f'{kind} {min(a):.1f} to {max(a):.1f} s' for kind, a in crowd.ages.items())
    return (f'{most} at once, p99 of polls {1000 * without:.1f} ms without them, '
            f'{1000 * among:.1f} ms among them; closed: {ages}; '
            f'{rss >> 10} MiB, {top >> 10}, then {(rss + grown) >> 10}')


def before_handshake(victim, options):
    data = hello(victim)

    def make(number):
        since = time.monotonic()
        return Slow(victim.raw(number), 'hello', data, since)
    n = 300 if options.short else 10000 if options.full else 9000
    return beside(victim, options, Crowd(n, make, 500), {'hello': 5})


POST = b'POST /v1/poll HTTP/1.1\r\nHost: x\r\n'
# What is said at once behind the handshake, what a byte a second, and when the server ends it.
KINDS = {
    'headers': (lambda victim: b'', POST, 5),
    'body': (lambda victim: POST + b'Content-Length: 500\r\n\r\n', b'x' * 500, 10),
    # More answers than the sockets between hold.
    'answers': (lambda victim: victim.devices[0].request() * 2000, b'', 20),
    'file': (lambda victim: b'GET ' + victim.artifact.encode() + b' HTTP/1.1\r\nHost: x\r\n\r\n',
             b'', 60),
}


def after_handshake(kinds):
    def case(victim, options):
        def make(number):
            kind = kinds[number % len(kinds)]
            begin, drip, _ = KINDS[kind]
            sock = victim.context.wrap_socket(victim.raw(number, SO_RCVBUF=2048))
            since = time.monotonic()
            sock.settimeout(0.001)
            with contextlib.suppress(OSError):
                sock.sendall(begin(victim))
            return Slow(sock, kind, drip, since)
        n = 100 if options.short else 2000
        return beside(victim, options, Crowd(n, make, 100), {k: KINDS[k][2] for k in kinds})
    return case


CASES = (
    ('slow: before the handshake', 'tls', before_handshake),
    ('slow: after it', 'tls', after_handshake(('headers', 'body', 'answers'))),
)
LONG = (('slow: reading a file', 'tls', after_handshake(('file',))),)
