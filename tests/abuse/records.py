# SPDX-License-Identifier: Apache-2.0
"""TLS by hand: records cut, lengthened, made up, repeated by the thousand."""
import contextlib
import multiprocessing
import random
import ssl
import struct
import time

from rude import TLS_1_2, TLS_1_3, Rude, blast
from victim import Answers

HEALTH = b'GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n'
LATE_S = 0.5  # what an honest poll may take while others shout


def hello(victim):
    """A client's first bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = victim.context.wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def record(kind, data, length=None, version=0x0303):
    return struct.pack('>BHH', kind, version, len(data) if length is None else length) + data


def refused(victim, data):
    """It is no connection for long, and says nothing that a client of ours would take."""
    with victim.raw() as sock:
        with contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(1)
        with contextlib.suppress(OSError):
            while sock.recv(65536):
                pass


def garbage(victim, options):
    r, first, before = random.Random(6), hello(victim), victim.refused()
    fds, rss = victim.descriptors(), victim.rss_kib()
    inputs = [b'', b'\x16', HEALTH, record(22, b''), record(22, b'', 65535), record(22, b'x' * 20000),
              record(21, b'\x02\x28'), record(23, b'x' * 100), record(20, b'\x01') * 1000,
              record(21, b'\x01\x00') * 1000, record(22, b'\x01\xff\xff\xff'), b'\x80\x80' + b'x' * 128,
              record(22, b'\x01\x00\xff\xff' + b'x' * 1000), record(99, b'x'), first * 50]
    inputs += [record(22, bytes([kind]) + b'\0\0\4abcd') for kind in range(0, 256, 5)]
    inputs += [first[:n] for n in range(1, len(first), 7)]
    inputs += [first[:n] + r.randbytes(len(first)) for n in range(0, len(first), 11)]
    for data in inputs:
        refused(victim, data)
    grown = victim.settles(fds, rss, 8192)
    failed = sum(victim.refused().values()) - sum(before.values())
    assert failed > 60, failed
    return f'{len(inputs)} beginnings, {failed:.0f} counted as refused; {grown} KiB more'


def splits(victim, options):
    """A ClientHello in records and segments of every size: read, or refused, and no more."""
    del options
    whole, answered = hello(victim)[5:], 0
    for size in (1, 2, 3, 4, 5, 6, 7, 50, 100, 500):
        data = b''.join(record(22, whole[i:i + size], version=0x0301)
                        for i in range(0, len(whole), size))
        with victim.raw() as sock:
            for i in range(0, len(data), 97):
                sock.sendall(data[i:i + 97])
            answered += sock.recv(5)[:1] == b'\x16'
    assert answered >= 8, answered
    return f'{answered} of 10 answered'


def torn(victim, options):
    """Records of a good connection cut off, changed or followed by the end of the socket."""
    r, fds, rss = random.Random(8), victim.descriptors(), victim.rss_kib()
    polls = victim.polls()
    n = 20 if options.short else 150
    for i in range(n):
        client = Rude(victim, (TLS_1_2, TLS_1_3)[i % 2])
        data = bytearray(client.write(victim.devices[1].request()))
        if i % 3 == 0:
            del data[r.randrange(len(data)):]
        else:
            data[r.randrange(5 if i % 3 == 1 else len(data))] ^= 1 << r.randrange(8)
        with contextlib.suppress(OSError):
            client.sock.sendall(data)
            client.sock.shutdown(1)
            while client.sock.recv(65536):
                pass
        client.close()
    grown = victim.settles(fds, rss, 4096)
    # A changed version in the record's head is nothing to OpenSSL 3.0 in TLS 1.3: it may be a poll.
    assert victim.polls() - polls <= n // 3
    return f'{n} connections; {grown} KiB more'


def shout(victim, make, source, ready, go, sent):
    """In a process of its own: a connection that has served once, then all that `make` has written."""
    client = Rude(victim, make.version, source)
    client.sock.sendall(client.write(HEALTH))
    client.sock.recv(65536)
    data = make(client)
    ready.release()
    go.wait()
    sent.put(blast(client.sock, data))


def calm(victim, make, options):
    """Honest polls while several shout; none of them waits."""
    n, sent = 4, multiprocessing.Queue()
    ready, go, cpu, worst = multiprocessing.Semaphore(0), multiprocessing.Event(), victim.cpu_s(), 0.0
    crowd = [multiprocessing.Process(target=shout, args=(victim, make, i, ready, go, sent))
             for i in range(n)]
    fds = victim.descriptors()
    for process in crowd:
        process.start()
    for _ in crowd:
        assert ready.acquire(timeout=60)
    go.set()
    end, polls = time.monotonic() + (1 if options.short else 3), 0
    while time.monotonic() < end:
        start = time.monotonic()
        answer = victim.answered(victim.devices[2], 70 + polls)
        assert victim.own(victim.devices[2], answer)
        worst, polls = max(worst, time.monotonic() - start), polls + 1
    ended = [sent.get(timeout=30) for _ in crowd]
    for process in crowd:
        process.join(30)
    assert worst < (5 if options.short else LATE_S), f'a poll took {worst:.2f} s'
    assert all(ended), 'they were listened to until they had said it all'
    victim.settles(fds, victim.rss_kib(), 1024)
    return (f'{polls} polls beside {n} who shout, the slowest {1000 * worst:.0f} ms; '
            f'{victim.cpu_s() - cpu:.1f} s of CPU')


def key_updates(client):
    return client.key_updates(8000)


key_updates.version = TLS_1_3


def key_update_flood(victim, options):
    return calm(victim, key_updates, options)


def a_few_key_updates(victim, options):
    """They are part of TLS: who asks for some is served on."""
    del options
    client = Rude(victim, TLS_1_3)
    client.sock.sendall(client.write(HEALTH) + client.key_updates(3) + client.write(HEALTH))
    got = b''
    while len(got) < 400:
        data = client.sock.recv(65536)
        assert data
        got += data
    client.close()
    return f'{len(got)} bytes of answers'


def renegotiation(victim, options):
    """Refused with a warning; the connection goes on."""
    del options
    client = Rude(victim, TLS_1_2)
    client.sock.sendall(client.renegotiation())
    got = client.sock.recv(65536)
    assert got[0] == 21, got[:5]
    client.close()
    return 'answered by an alert'


def tickets(victim, options):
    """Sessions whose tickets are changed: a full handshake, and never an error of the server's."""
    n, r = 10 if options.short else 100, random.Random(9)
    with victim.connect() as sock:
        sock.sendall(HEALTH)
        Answers(sock).next()
        session = sock.session
    assert session.has_ticket
    with contextlib.closing(victim.context.wrap_socket(victim.raw(), session=session)) as sock:
        assert sock.session_reused
    full = hello_with(victim, session)
    for _ in range(n):
        data = bytearray(full)
        data[r.randrange(150, len(data))] ^= 1 << r.randrange(8)
        refused(victim, bytes(data))
    return f'{n} changed hellos'


def hello_with(victim, session):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = victim.context.wrap_bio(incoming, outgoing, session=session)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def ragged(victim, options):
    """Closed without close_notify, in every way and place: nothing stays."""
    n, fds, rss = 50 if options.short else 500, victim.descriptors(), victim.rss_kib()
    for i in range(n):
        sock = victim.connect(i)
        sock.sendall(HEALTH[:i % len(HEALTH)])
        if i % 2:
            sock.setsockopt(1, 13, struct.pack('ii', 1, 0))  # SO_LINGER: a reset
        sock.close()
    return f'{n} connections; {victim.settles(fds, rss, 4096)} KiB more'


CASES = (
    ('tls: garbage', 'tls', garbage), ('tls: hello in pieces', 'tls', splits),
    ('tls: torn records', 'tls', torn), ('tls: a few key updates', 'tls', a_few_key_updates),
    ('tls: key update flood', 'tls', key_update_flood),
    ('tls: renegotiation', 'tls', renegotiation), ('tls: tickets', 'tls', tickets),
    ('tls: no close_notify', 'tls', ragged),
)
