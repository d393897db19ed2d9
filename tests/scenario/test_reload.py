# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: the configuration is read again, all of it or nothing, and no phone notices but by what changed."""
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from test_enrol import Phone as Comer
from test_huidud import HUIDUD, LIMIT_S, STABLE, Deployment, wait_until
from test_log import STABLE_RING, Phone

OK, FAILED = 'huidu_config_reloads_total{result="ok"}', 'huidu_config_reloads_total{result="failed"}'
GOOD, AT = ('huidu_config_last_reload_successful',
            'huidu_config_last_reload_success_timestamp_seconds')


class Reloading(Deployment):
    def reload(self, good=True):
        """What the log says of it."""
        name, before = (OK if good else FAILED), len(self.log.read_text())
        done = self.metric(name)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.metric(name) > done, f'a reload; {self.log.read_text()}')
        assert self.metric(GOOD) == good
        wait_until(lambda: 'SIGHUP' in self.log.read_text()[before:])
        return self.log.read_text()[before:]

    def change(self, old, new, good=True):
        self.edit({old: new})
        return self.reload(good)


@pytest.fixture
def deployment(tmp_path):
    d = Reloading(tmp_path)
    d.start()
    yield d
    d.stop()


def told(phone):
    return phone.poll(STABLE_RING)[11][0]


def test_files_are_elsewhere(deployment):
    """A CDN is sent to while it is named, for files that are here."""
    d = deployment
    d.release('1.0', STABLE, b'first')
    first = hashlib.sha256(b'first').hexdigest()

    def ask(method='GET', name=first, headers=()):
        c = d.connect()
        c.request(method, '/v1/artifact/' + name, headers=dict(headers))
        r = c.getresponse()
        return r.status, r.headers['Location'], r.read()

    assert ask() == (200, None, b'first')
    d.config.write_text(d.config.read_text() + 'cdn: https://cdn.example/huidu/\n')
    d.reload()
    there = f'https://cdn.example/huidu/{first}'
    assert ask() == ask('HEAD') == (302, there, b'')
    assert ask(name=first.upper()) == (302, there, b'')
    assert ask(name='0' * 64)[0] == 404
    # The CDN itself.
    for name in ('CDN-Loop', 'Via'):
        assert ask(headers={name: '1.1 cdn.example'}.items()) == (200, None, b'first')
    assert 'cdn: is https://HOST/PATH' in d.change('https://cdn.example', 'cdn.example', good=False)
    assert ask()[0] == 302
    d.change('cdn: cdn.example/huidu/', '# none')
    assert ask() == (200, None, b'first')


def test_bandwidth(deployment):
    """A limit holds for downloads under way too, and when it goes they do not wait for it."""
    d = deployment
    content = os.urandom(8 << 20)
    d.release('1.0', STABLE, content)
    c = d.connect()
    d.config.write_text(d.config.read_text() + 'bandwidth: {device: 64 KiB}\n')
    d.reload()
    c.request('GET', '/v1/artifact/' + hashlib.sha256(content).hexdigest())
    r, start = c.getresponse(), time.monotonic()
    begin = r.read(128 << 10)
    assert time.monotonic() - start >= ((128 - 16) << 10) / (64 << 10) - 0.2
    d.change('device: 64 KiB', 'total: 1 KiB')
    begin += r.read(16 << 10)
    d.change('bandwidth: {total', '# {total')
    assert begin + r.read() == content


def test_polls_rings_and_doors(deployment):
    d = deployment
    phone = Phone(d, STABLE_RING)
    assert told(phone) == 1 and d.metric(GOOD) == 1 and d.metric(AT) > 1e9
    assert 'huidud.yaml is in force' in d.change('interval: 1s', 'interval: 100m')
    assert 4800 <= told(phone) <= 7200
    d.change('core: 100', 'core: 7')
    assert '"seats":7' in d.must('ring', 'show', '-o', 'json')
    d.change('enrol: open', 'enrol: closed')
    assert Comer(d.folder).enrol(d)[0] == 403
    (d.folder / 'tokens').write_text('a-token-of-the-operator\n')
    d.change('enrol: closed', 'enrol: {mode: token, tokens: tokens}')
    assert Comer(d.folder).enrol(d)[0] == 403
    assert Comer(d.folder, token=b'a-token-of-the-operator').enrol(d)[0] == 200
    (d.folder / 'tokens').write_text('another-of-the-operator\n')
    d.reload()
    assert Comer(d.folder, token=b'a-token-of-the-operator').enrol(d)[0] == 403
    assert Comer(d.folder, token=b'another-of-the-operator').enrol(d)[0] == 200
    d.change('{mode: token, tokens: tokens}', '{mode: open, per_minute: 1}')
    assert [Comer(d.folder).enrol(d)[0] for _ in range(2)] == [200, 429]


def hook(d, name, answer):
    path = d.folder / name
    path.write_text(f'#!/bin/sh\nwhile read -r line; do echo {answer}; done\n')
    path.chmod(0o755)
    return path


def running(path):
    return subprocess.run(['pgrep', '-f', str(path)], capture_output=True, text=True,
                          timeout=LIMIT_S).stdout.split()


def test_hooks(deployment):
    d = deployment
    yes, no = hook(d, 'yes.sh', 'yes'), hook(d, 'no.sh', 'no')
    d.change('enrol: open', 'enrol: {mode: hook, hook: yes.sh}')
    assert Comer(d.folder).enrol(d)[0] == 200
    pid = running(yes)
    assert len(pid) == 1
    d.reload()
    assert running(yes) == pid  # not started again for nothing
    assert 'gone.sh' in d.change('hook: yes.sh', 'hook: gone.sh', good=False)
    assert Comer(d.folder).enrol(d)[0] == 200 and running(yes) == pid
    d.change('hook: gone.sh', 'hook: no.sh')
    assert Comer(d.folder).enrol(d)[0] == 403
    wait_until(lambda: running(yes) == [], 'the old one has ended')
    d.change('{mode: hook, hook: no.sh}', 'open')
    assert Comer(d.folder).enrol(d)[0] == 200
    wait_until(lambda: running(no) == [])


def certificate(d):
    return ssl.get_server_certificate(('localhost', d.port))


def new_certificate(d, name):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                    '-nodes', '-days', '30', '-subj', '/CN=localhost', '-addext',
                    'subjectAltName=DNS:localhost', '-keyout', d.folder / f'tls/{name}.key', '-out',
                    d.folder / f'tls/{name}.pem'], check=True, capture_output=True, timeout=LIMIT_S)


def test_certificates(deployment):
    d = deployment
    first = certificate(d)
    kept = d.connect()
    kept.request('GET', '/v1/health')
    kept.getresponse().read()
    new_certificate(d, 'second')
    log = d.change('cert: tls/cert.pem', 'cert: tls/second.pem', good=False)
    assert 'tls/key.pem' in log and 'stays as it was' in log  # the key of another
    assert certificate(d) == first
    d.edit({'interval: 1s': 'interval: 100m'})
    d.change('key: tls/key.pem', 'key: tls/second.key')
    second = certificate(d)
    assert second != first and second == (d.folder / 'tls/second.pem').read_text()
    # The same files with something else in them, as those who renew them do it.
    new_certificate(d, 'third')
    os.replace(d.folder / 'tls/third.pem', d.folder / 'tls/second.pem')
    os.replace(d.folder / 'tls/third.key', d.folder / 'tls/second.key')
    assert certificate(d) == second
    d.reload()
    assert certificate(d) not in (first, second)
    kept.request('GET', '/v1/health')  # and who was connected still is
    assert kept.getresponse().read() == b'ready\n'


def test_ticket_keys(deployment):
    """Made here at first; from a file when one is named, and then as it is rotated."""
    d, keys = deployment, [os.urandom(80) for _ in range(3)]
    context = ssl.create_default_context(cafile=d.folder / 'tls/cert.pem')

    def resumes(session):
        with socket.create_connection(('127.0.0.1', d.port), LIMIT_S) as plain, \
                context.wrap_socket(plain, server_hostname='localhost', session=session) as c:
            c.sendall(b'GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n')
            assert c.recv(4096).startswith(b'HTTP/1.1 200')
            return c.session_reused, c.session

    def write(*which):
        (d.folder / 'tls/tickets').write_bytes(b''.join(keys[i] for i in which))
        (d.folder / 'tls/tickets').chmod(0o600)

    made_here = resumes(None)[1]
    d.reload()
    assert resumes(made_here)[0]
    write(0)
    d.edit({'interval: 1s': 'interval: 100m'})
    d.change('key: tls/key.pem', 'key: tls/key.pem\n  tickets: tls/tickets')
    assert not resumes(made_here)[0]
    first = resumes(None)[1]
    write(1, 0)
    d.reload()
    assert resumes(first)[0]
    write(2, 1)
    d.reload()
    assert not resumes(first)[0]


@pytest.mark.parametrize('old, new, want', (
    ('workers: 0', 'workers: 3', 'needs a restart: workers'),
    ('data: data', 'data: elsewhere', 'needs a restart: data'),
    ('workers: 0', 'workers: 0\nlimits: {connections: 99, per_prefix: 9}',
     'needs a restart: limits.connections, limits.per_prefix'),
    ('workers: 0', 'workers: 0\nproxy: [192.0.2.0/24]', 'needs a restart: proxy'),
    ('workers: 0', 'workers: 0\nbandwidth: {device: 1000}', 'bandwidth: bytes a second, from 1 KiB'),
    ('products: [phone-a]', 'products: [phone-a, phone-b]',
     'needs a restart: lines and their products'),
    ('interval: 1s', 'intervall: 1s', 'intervall'),
    ('core: 100', 'core: many', "'many'"),
    ('enrol: open', 'enrol: {mode: token, tokens: gone.txt}', 'gone.txt'),
    ('cert: tls/cert.pem', 'cert: tls/gone.pem', 'gone.pem'),
    ('key: tls/key.pem', 'key: tls/key.pem\n  tickets: tls/key.pem', '1 to 8 keys of 80 random'),
))
def test_refused(deployment, old, new, want):
    d = deployment
    phone = Phone(d, STABLE_RING)
    d.edit({old: new})
    if 'interval' not in old:
        d.edit({'interval: 1s': 'interval: 100m'})
    before, at = certificate(d), d.metric(AT)
    log = d.reload(good=False)
    assert want in log and log.count('\n') == 1
    assert told(phone) == 1 and certificate(d) == before and d.metric(AT) == at
    assert Comer(d.folder).enrol(d)[0] == 200
    # -n says the same of what is wrong with the file itself.
    done = subprocess.run([HUIDUD, '-n', '-c', d.config], capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == (0 if 'restart' in want else 2)
    assert 'restart' in want or want in done.stderr


def test_file_is_gone(deployment):
    d = deployment
    d.config.rename(d.folder / 'away')
    assert 'No such file' in d.reload(good=False)
    (d.folder / 'away').rename(d.config)
    d.reload()


def test_many_under_load(deployment):
    """Two hundred, while phones poll: not one poll fails, nothing is lost."""
    d = deployment
    phones = []
    for _ in range(4):
        phones.append(Phone(d, STABLE_RING))
    enough, counts, failed = threading.Event(), [0] * len(phones), []

    def keep_polling(i):
        while not enough.is_set():
            try:
                phones[i].poll(STABLE_RING)
                counts[i] += 1
            except Exception as e:  # whatever it is: it is one too many
                failed.append(repr(e))

    threads = [threading.Thread(target=keep_polling, args=(i,)) for i in range(len(phones))]
    for t in threads:
        t.start()
    fds = d.metric('process_open_fds')
    for i in range(200):
        old, new = ('core: 100', 'core: 99') if i % 2 == 0 else ('core: 99', 'core: 100')
        d.change(old, new)
    enough.set()
    for t in threads:
        t.join(LIMIT_S)
    assert failed == [] and min(counts) > 50, counts
    time.sleep(0.2)
    assert d.metric('process_open_fds') <= fds + 4
    print(f'{sum(counts)} polls during 200 reloads')
