# SPDX-License-Identifier: Apache-2.0
"""One byte a second, by the thousand, in each phase of a connection; beside them, honest polls."""
import select
import subprocess

from honest import WINDOW_S, Honest
from records import hello
from test_huidud import BUILD
from victim import PRIORITY, prefer

LATE_S = 3       # that a deadline may be late
LATE_STARVED_S = 12  # the same, where server and looker-on wait for a processor
TIMES = 2        # what a poll may take, of what it takes where nobody is slow
NOISE_S = 0.005  # a window has few polls
THERE_S = 20     # until all are there
SHORT_S = 10     # with --short none lives longer
CPU = 0.5        # of one processor: what a crowd may cost, where the clock says nothing


class Crowd:
    """The program `crowd`: keeps `n` of them until it is told that it is enough.  A kind is (name,
    what is said at once, what a byte a second)."""

    def __init__(self, victim, n, rate, tls, kinds):
        args = []
        for name, begin, drip in kinds:
            for part, data in (('begin', begin), ('drip', drip)):
                (victim.folder / f'{name}.{part}').write_bytes(data)
            args += [name, victim.folder / f'{name}.begin', victim.folder / f'{name}.drip']
        self.n, self.command = n, [
            BUILD / 'tests/crowd', str(victim.port), str(n), str(rate), tls, *args]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        prefer(PRIORITY + 5, [self.process.pid])
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()

    def there(self):
        """All, or those that could come so far."""
        if select.select([self.process.stdout], [], [], THERE_S)[0]:
            assert self.process.stdout.readline() == 'there\n'

    def ages(self, limit_s):
        """{kind: (how many, youngest, oldest)}, when the server has ended the last of them."""
        out, _ = self.process.communicate('enough\n', timeout=limit_s)
        assert self.process.returncode == 0, self.process.returncode
        rows = (line.split() for line in out.splitlines())
        return {row[0]: (int(row[1]), float(row[2]), float(row[3])) for row in rows if len(row) == 4}


def judge(without, among, short):
    """What phones had here beside what they had there; figures."""
    figures = f'p99 of polls {1000 * without.p99_s:.1f} ms without them, {1000 * among.p99_s:.1f} among them'
    if short or among.starved or without.starved:
        # The clock says what others do: waits for a processor are not the server's.
        assert short or among.cpu - without.cpu < CPU, (without, among)
        return figures + ', the processor being waited for ' + \
            f'{without.waited:.0%} and {among.waited:.0%}, {without.shed} and {among.shed} told to come later'
    assert among.p99_s < TIMES * without.p99_s + NOISE_S, (without, among)
    return figures


def beside(victim, options, crowd, deadlines):
    """Honest polls there, and at a server that nobody abuses; then each of the crowd dies of its
    deadline.  What other programs, and the crowd's own, do to a poll they do to both."""
    calm, span = options.calm(), (1 if options.short else 6) * WINDOW_S
    fds, rss = victim.descriptors(), victim.rss_kib()
    with crowd, Honest(victim) as honest, Honest(calm) as apart:
        crowd.there()
        honest.begin()
        apart.begin()
        honest.wait(span)
        among, without, most, top = honest.end(), apart.end(), victim.descriptors(), victim.rss_kib()
        ages = crowd.ages(max(deadlines.values()) + LATE_S + 30)
    for kind, (_, _, oldest) in ages.items():
        # It begins when the server has accepted, and what it ends must be seen here.
        late = LATE_S if not among.starved else LATE_STARVED_S
        assert oldest < deadlines[kind] + late, (kind, oldest)
    assert among.starved or most - fds > 0.9 * crowd.n, f'{most - fds} came'
    figures = judge(without, among, options.short)
    grown = victim.settles(fds, rss, 96 << 10)
    closed = ', '.join(f'{kind} {low} to {high} s' for kind, (_, low, high) in ages.items())
    return (f'{most - fds} descriptors more, {figures}, {among.cpu:.0%} of a processor; closed: {closed}; '
            f'{rss >> 10} MiB, {top >> 10}, then {(rss + grown) >> 10}')


def before_handshake(victim, options):
    crowd = Crowd(victim, 300 if options.short else 10000, 4000, 'tcp', [('hello', b'', hello(victim))])
    return beside(victim, options, crowd, {'hello': 5})


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
        wanted = [k for k in kinds if not options.short or KINDS[k][2] <= SHORT_S]
        crowd = Crowd(victim, 100 if options.short else 2000, 400, 'tls',
                      [(kind, KINDS[kind][0](victim), KINDS[kind][1]) for kind in wanted])
        return beside(victim, options, crowd, {k: KINDS[k][2] for k in wanted})
    return case


CASES = (
    ('slow: before the handshake', 'tls', before_handshake),
    ('slow: after it', 'tls', after_handshake(('headers', 'body', 'answers'))),
)
LONG = (('slow: reading a file', 'tls', after_handshake(('file',))),)
