# SPDX-License-Identifier: Apache-2.0
"""Who gets which answer: pipelines, garbage behind good requests, thousands of connections at once."""
import random
import select

from victim import Answers


def ranged(victim, at, n):
    return (b'GET ' + victim.artifact.encode() +
            b' HTTP/1.1\r\nHost: x\r\nRange: bytes=%d-%d\r\n\r\n' % (at, at + n - 1))


class Script:
    """Requests of one connection, each with what its answer must be."""

    def __init__(self, victim, seed):
        r = random.Random(seed)
        self.data, self.want = b'', []
        device = victim.devices[seed % len(victim.devices)]
        for _ in range(r.randrange(1, 6)):
            kind = r.randrange(4)
            at, n = r.randrange(len(victim.file) - 3000), r.randrange(1, 3000)
            if kind == 0:
                self.add(ranged(victim, at, n),
                         lambda a, at=at, n=n: a[0] == 206 and a[2] == victim.file[at:at + n])
            elif kind == 1:
                self.add(b'GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n', lambda a: a[2] == b'ready\n')
            else:
                self.add(device.request(), lambda a: victim.own(device, a))

    def add(self, data, want):
        self.data += data
        self.want.append(want)


def pipelines(victim, options):
    """64 KiB of requests in one go; the answers in order."""
    del options
    script, seed = Script(victim, 0), 1
    while len(script.data) < 65536:
        more = Script(victim, seed)
        script.data, script.want, seed = script.data + more.data, script.want + more.want, seed + 1
    answers = victim.ask(script.data, *[b''] * (len(script.want) - 1))
    assert len(answers) == len(script.want)
    assert all(want(a) for want, a in zip(script.want, answers))
    return f'{len(answers)} answers in order'


def garbage_behind(victim, options):
    """The good ones are answered, the first bad one ends it, and nothing behind it is executed."""
    r, n = random.Random(3), 20 if options.short else 200
    for seed in range(n):
        script = Script(victim, seed)
        junk = bytes([r.randrange(1, 32)]) + r.randbytes(r.randrange(1, 2000))
        polls = victim.polls()
        mine = script.data.count(b'POST /v1/poll')
        got = victim.ask(script.data + junk + victim.devices[9].request(),
                         *[b''] * (len(script.want) + 5))
        assert len(got) in (len(script.want), len(script.want) + 1), (len(got), len(script.want))
        assert all(want(a) for want, a in zip(script.want, got))
        assert all(a[0] == 400 for a in got[len(script.want):])
        assert victim.polls() == polls + mine
    return f'{n} pipelines'


class Talk:
    """One of the many: its script sent in pieces, when its turn comes."""

    def __init__(self, victim, seed):
        self.script, self.at, self.n = Script(victim, seed), 0, 0
        self.sock = victim.raw(seed)
        self.answers = Answers(self.sock)
        self.sock.setblocking(False)

    def send(self, r):
        piece = self.script.data[self.at:self.at + r.randrange(1, 400)]
        self.at += self.sock.send(piece) if piece else 0
        return self.at < len(self.script.data)

    def read(self):
        """True when all its answers came."""
        try:
            while self.n < len(self.script.want):
                answer = self.answers.next()
                assert self.script.want[self.n](answer), answer[:2]
                self.n += 1
        except BlockingIOError:
            return False
        self.sock.close()
        return True


def cross_talk(victim, options):
    """Thousands of connections interleaved byte by byte: everyone gets his own answers."""
    n, r, fds, rss = 300 if options.short else 3000, random.Random(4), victim.descriptors(), \
        victim.rss_kib()
    talks = {t.sock.fileno(): t for t in (Talk(victim, i) for i in range(n))}
    asked = sum(len(t.script.want) for t in talks.values())
    sending, epoll = list(talks), select.epoll()
    for fd in talks:
        epoll.register(fd, select.EPOLLIN)
    while talks:
        sending = [fd for fd in r.sample(sending, len(sending)) if talks[fd].send(r)]
        for fd, _ in epoll.poll(0 if sending else 20, 20000) or []:
            if talks[fd].read():
                del talks[fd]
                if fd in sending:
                    sending.remove(fd)
    epoll.close()
    grown = victim.settles(fds, rss, 64 << 10)
    return f'{n} connections, {asked} requests, each its own answer; {grown} KiB more'


CASES = (
    ('pipelines of 64 KiB', 'plain', pipelines), ('pipelines of 64 KiB, tls', 'tls', pipelines),
    ('garbage behind good requests', 'plain', garbage_behind), ('cross-talk', 'plain', cross_talk),
)
