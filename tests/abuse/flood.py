# SPDX-License-Identifier: Apache-2.0
"""Connections by the thousand that want nothing: half open, ended, reset."""
import struct
import time

from records import hello

RESET = struct.pack('ii', 1, 0)
HEAD = b'POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n'


def each(victim, n, act):
    """So many connections of this kind, as fast as they come, honest polls between them."""
    start, worst, fds, rss = time.monotonic(), 0.0, victim.descriptors(), victim.rss_kib()
    for i in range(n):
        sock = victim.raw(i)
        act(sock)
        if i % 200 == 0:
            asked = time.monotonic()
            answer = victim.answered(victim.devices[5], 300 + i)
            assert victim.own(victim.devices[5], answer)
            worst = max(worst, time.monotonic() - asked)
    rate = n / (time.monotonic() - start)
    grown = victim.settles(fds, rss, 64 << 10)
    assert worst < 1, worst
    return f'{n} at {rate:.0f}/s, the slowest poll {1000 * worst:.0f} ms, {grown} KiB more'


def reset(sock):
    sock.setsockopt(1, 13, RESET)  # SO_LINGER, no time at all
    sock.close()


def said(data, end):
    def act(sock):
        sock.sendall(data)
        end(sock)
    return act


def end(sock):
    sock.close()


def half_hello(victim, options):
    """What was said of a handshake, and the reset, come together."""
    return case(said(hello(victim)[:150], reset))(victim, options)


def case(act):
    return lambda victim, options: each(victim, 500 if options.short else 10000, act)


def held(victim, options):
    """Connected and silent, some thousands at once: their deadline ends them, and who polls does not wait."""
    if options.short and victim.plain:
        return 'left out'
    n, fds, rss = 500 if options.short else 3000, victim.descriptors(), victim.rss_kib()
    start = time.monotonic()
    socks = [victim.raw(i) for i in range(n)]
    asked = time.monotonic()
    answer = victim.answered(victim.devices[6], 77)
    asked = time.monotonic() - asked
    assert victim.own(victim.devices[6], answer) and asked < 1, asked
    for sock in socks:
        sock.settimeout(10)
        assert sock.recv(1) == b''
        sock.close()
    took = time.monotonic() - start
    assert 4.5 < took < 9, took
    return f'{n} held, gone after {took:.1f} s, {victim.settles(fds, rss, 64 << 10)} KiB more'


CASES = tuple((f'flood: {name}, {victim}', victim, case(act)) for victim in ('plain', 'tls')
              for name, act in (('ended', end), ('reset', reset), ('half a head', said(HEAD[:30], reset)),
                                ('no body', said(HEAD, reset)), ('no body, ended', said(HEAD, end)))) + (
    ('flood: half a hello, tls', 'tls', half_hello),
    ('flood: silent', 'plain', held), ('flood: silent, tls', 'tls', held))
