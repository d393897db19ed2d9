# SPDX-License-Identifier: Apache-2.0
"""Too much of everything: headers, bodies, ranges."""
import re

from victim import Answers

POST = b'POST /v1/poll HTTP/1.1\r\nHost: x\r\n'


def refused(victim, data, status, times):
    """Each of them is answered with the status and the end, and memory stays."""
    before, fds = victim.rss_kib(), victim.descriptors()
    for _ in range(times):
        with victim.connect() as sock:
            try:
                sock.sendall(data)
            except OSError:
                continue  # refused and reset while it was being sent
            answers = Answers(sock)
            got, head, _ = answers.next()
            assert got == status and '\r\nConnection: close' in head, (got, data[:80])
            assert answers.ends()
    return victim.settles(fds, before, 4096)


HEADERS = (b'GET /' + b'a' * 5000 + b' HTTP/1.1\r\nHost: x\r\n\r\n',
           b'GET /v1/health HTTP/1.1\r\nHost: x\r\nX: ' + b'y' * 60000 + b'\r\n\r\n',
           b'GET /v1/health HTTP/1.1\r\nHost: x\r\n' + b'X: y\r\n' * 900 + b'\r\n',
           b'GET /v1/health HTTP/1.1\r\nHost: x\r\n' + b'X:\r\n' * 300000,
           b'G' * 1000000, b'GET /v1/health HTTP/1.1\r\nHost: x\r\n' + b'a' * 1000000)
BODIES = (POST + b'Content-Length: 20000\r\n\r\n', POST + b'Content-Length: 18446744073709551615\r\n\r\n',
          POST + b'Content-Length: 1000000\r\n\r\n' + b'x' * 1000000,
          POST + b'Transfer-Encoding: chunked\r\n\r\nfffffff\r\n' + b'x' * 1000000,
          POST + b'Transfer-Encoding: chunked\r\n\r\n' + b'3e8\r\n' + b'x' * 1000 + b'\r\n' +
          (b'3e8\r\n' + b'x' * 1000 + b'\r\n') * 99)


def headers(victim, options):
    grown = [refused(victim, data, 431, 5 if options.short else 30) for data in HEADERS]
    return f'{len(HEADERS)} kinds, 431 each; {max(grown)} KiB more'


def bodies(victim, options):
    grown = [refused(victim, data, 413, 5 if options.short else 30) for data in BODIES]
    return f'{len(BODIES)} kinds, 413 each; {max(grown)} KiB more'


def small_chunks(victim, options):
    """A poll in chunks of one byte is a poll, and one in more of them than a body may have is none."""
    del options
    device = victim.devices[3]
    head = POST + b'Transfer-Encoding: chunked\r\n\r\n'
    ones = b''.join(b'1\r\n%c\r\n' % b for b in device.poll)
    (answer,) = victim.ask(head + ones + b'0\r\n\r\n')
    assert victim.own(device, answer)
    refused(victim, head + b'1\r\nx\r\n' * 20000, 413, 3)
    refused(victim, head + b'00000001\r\nx\r\n' * 9000, 413, 3)
    return '1 byte each'


def lies(victim, options):
    """Less than was announced, then the end; more than was announced is the next request."""
    del options
    device, polls = victim.devices[4], victim.polls()
    for cut in (1, len(device.poll) // 2, len(device.poll) - 1):
        with victim.connect() as sock:
            sock.sendall(device.request()[:-cut])
            sock.close()
    (status, head, _), *more = victim.ask(POST + b'Content-Length: 5\r\n\r\n' + device.poll)
    assert status == 400 and 'Connection: close' in head and not more
    assert victim.polls() == polls
    return 'nothing counted'


def ranges(victim):
    size, many = len(victim.file), b','.join(b'%d-%d' % (i, i) for i in range(0, 1000, 2))
    whole = (200, size)
    return (
        (b'bytes=0-0', (206, 1)), (b'bytes=-1', (206, 1)), (b'bytes=%d-' % (size - 1), (206, 1)),
        (b'bytes=0-18446744073709551615', (206, size)), (b'bytes=-18446744073709551615', (206, size)),
        (b'bytes=%d-' % size, (416, 0)), (b'bytes=18446744073709551615-', (416, 0)),
        (b'bytes=-0', (416, 0)), (b'bytes=99999999999999999999999-', None),
        (b'bytes=0-99999999999999999999999', None), (b'bytes=5-1', whole), (b'bytes=', whole),
        (b'bytes=-', whole), (b'bytes=1', whole), (b'bytes=a-b', whole), (b'lines=0-1', whole),
        (b'bytes=0-0,1-1', whole), (b'bytes=0-,0-,0-', whole), (b'bytes=' + many, whole),
        (b'bytes=0-0\r\nRange: bytes=1-1', whole), (b'bytes=--1', whole), (b'bytes=+1-2', whole))


def range_abuse(victim, options):
    path = victim.artifact.encode()
    for value, want in ranges(victim):
        request = b'GET ' + path + b' HTTP/1.1\r\nHost: x\r\nRange: ' + value + b'\r\n\r\n'
        (status, head, body), = victim.ask(request)
        assert status in (200, 206, 416) and (want is None or (status, len(body)) == want), (
            value[:80], status, len(body))
        if status == 206:
            at = int(re.search(r'bytes (\d+)-', head)[1])
            assert body == victim.file[at:at + len(body)]
    n, before, fds = 300 if options.short else 3000, victim.rss_kib(), victim.descriptors()
    one = b''.join(b'GET ' + path + b' HTTP/1.1\r\nHost: x\r\nRange: bytes=%d-%d\r\n\r\n' %
                   (i * 1000, i * 1000) for i in range(100))
    with victim.connect() as sock:
        answers = Answers(sock)
        for _ in range(n // 100):
            sock.sendall(one)
            for i in range(100):
                assert answers.next()[::2] == (206, victim.file[i * 1000:i * 1000 + 1])
    grown = victim.settles(fds, before, 4096)
    return f'{len(ranges(victim))} kinds; {n} of one byte on one connection, {grown} KiB more'


CASES = (
    ('header bombs', 'plain', headers), ('header bombs, tls', 'tls', headers),
    ('body bombs', 'plain', bodies), ('body bombs, tls', 'tls', bodies),
    ('small chunks', 'plain', small_chunks), ('lengths that lie', 'plain', lies),
    ('range abuse', 'plain', range_abuse), ('range abuse, tls', 'tls', range_abuse),
)
