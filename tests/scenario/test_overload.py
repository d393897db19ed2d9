# SPDX-License-Identifier: Apache-2.0
"""A server that is late: what it refuses, what it does not, and how it comes back."""
import signal
import socket
import time

from http_server import HOST, running, stand_still
from test_huidud import Deployment, field, varint, wait_until
from test_huidud import deployment  # noqa: F401, a fixture

LATE_S = 2.5  # enough that all background polls are refused
SHED = 'huidu_requests_refused_total{reason="shed_%s"}'


def poll(urgent=False):
    """An anonymous poll, sealed."""
    body = (field(1, b'phone-a') + field(2, b'b1') +
            b''.join(varint(n << 3) + varint(v) for n, v in ((3, 1), (4, 0), (5, 1), (6, 0), (7, 0))) +
            (varint(11 << 3) + varint(1) if urgent else b''))
    return field(3, body)


def ask(c, path, body):
    c.request('POST', path, body)
    r = c.getresponse()
    r.read()
    return r


def test_late_server_sheds_and_recovers(deployment):  # noqa: F811
    deployment.start()
    plain, urgent, enrol = (deployment.connect() for _ in range(3))
    for c in (plain, urgent, enrol):
        assert ask(c, '/v1/poll', poll()).status == 200
    stand_still(deployment.process.pid)
    plain.request('POST', '/v1/poll', poll())
    urgent.request('POST', '/v1/poll', poll(urgent=True))
    enrol.request('POST', '/v1/enroll', b'')
    time.sleep(LATE_S)  # that long it gets nothing done
    deployment.process.send_signal(signal.SIGCONT)
    answers = [c.getresponse() for c in (plain, urgent, enrol)]
    for r in answers:
        r.read()
    assert [r.status for r in answers] == [503, 200, 400]  # that enrolment makes no sense
    assert 1 <= int(answers[0].getheader('Retry-After')) <= 2
    assert answers[0].getheader('Connection') == 'keep-alive'
    assert deployment.metric(SHED % 'poll') >= 1
    assert deployment.metric(SHED % 'enrol') == 0
    wait_until(lambda: ask(plain, '/v1/poll', poll()).status == 200, 'polls are answered again')
    shed = deployment.metric(SHED % 'poll')
    wait_until(lambda: all(ask(plain, '/v1/poll', poll()).status == 200 for _ in range(200)),
               'all of them')
    assert deployment.metric(SHED % 'connection') == 0
    assert deployment.metric('huidu_poll_interval_seconds') in (1, 2)
    assert shed < 1000


def test_standing_queue_is_cut(tmp_path):
    """One connection is served at a time, and slowly: who waited too long is sent away."""
    n, most_ms = 150, 200
    with running(connections_max=1, accept_ms=most_ms, headers_ms=20000, workers=1) as s:
        waiting = [s.connect() for _ in range(n)]
        for c in waiting:
            c.send(b"GET /plain HTTP/1.1\r\n" + HOST)
        served = 0
        for c in waiting:
            time.sleep(0.03)  # a slow client
            try:
                c.send(b"Connection: close\r\n\r\n")
                served += c.answer().status == 200
            except (ConnectionError, EOFError):
                pass
            c.close()
        # Not at once: it is first seen whether the queue gets shorter by itself.
        assert 20 < served < 100, served
        with_a_new_one = s.connect()
        assert with_a_new_one.get("/plain").status == 200
        with_a_new_one.close()
    assert s.stopped["turned_away"] == n - served
