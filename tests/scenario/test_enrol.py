# SPDX-License-Identifier: Apache-2.0
"""Who may enrol: the real daemon in every mode, its hook alive, slow and dead, floods, epochs, and
keys that were made to try huidu out."""
import base64
import hashlib
import hmac
import http.client
import os
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

import p256
from test_huidud import HUIDUD, LIMIT_S, POLL, Deployment, field, sealed, wait_until

CLOSED = b'the server takes only devices that it was told of\n'


def openssl(*args, data=None):
    return subprocess.run(['openssl', *args], input=data, check=True, capture_output=True,
                          timeout=LIMIT_S).stdout


def read_varint(message, at):
    value = shift = 0
    while True:
        value |= (message[at] & 127) << shift
        shift += 7
        at += 1
        if message[at - 1] < 128:
            return value, at


def read_fields(message):
    """{number: value}; of what a server answers."""
    return {number: value for number, value, _ in each_field(message)}


def each_field(message):
    """[(number, value, its bytes with the tag)]"""
    out, at = [], 0
    while at < len(message):
        start = at
        tag, at = read_varint(message, at)
        value, at = read_varint(message, at)
        if tag & 7 == 2:
            at += value
            value = message[at - value:at]
        out.append((tag >> 3, value, message[start:at]))
    return out


class Phone:
    """A device key, and what it enrolled as."""

    def __init__(self, folder, token=None, voucher=None, source=None):
        self.path = folder / f'phone-{os.urandom(4).hex()}.pem'
        openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out',
                self.path)
        self.public = openssl('pkey', '-in', self.path, '-pubout', '-outform', 'DER')[-65:]
        self.token, self.voucher, self.source = token, voucher, source
        self.id = self.epoch = self.key = None

    def post(self, d, path, body):
        context = ssl.create_default_context(cafile=d.folder / 'tls/cert.pem')
        context.check_hostname = False
        c = http.client.HTTPSConnection('127.0.0.1', d.port, context=context, timeout=30,
                                        source_address=(self.source or '127.0.0.1', 0))
        c.request('POST', path, body)
        r = c.getresponse()
        text = r.read()
        c.close()
        self.retry_after = r.getheader('Retry-After')
        return r.status, text

    def request(self, challenge=None):
        body = field(1, self.public) + field(2, b'phone-a')
        if challenge:
            text = b'huidu/enroll/v1\0' + challenge + b'phone-a'
            body += field(4, challenge) + field(5, p256.sign(self.path, text))
        if self.token:
            body += field(6, self.token)
        if self.voucher:
            body += field(7, self.voucher)
        return body

    def enrol(self, d):
        """(status, text of a refusal)"""
        status, text = self.post(d, '/v1/enroll', self.request())
        if status != 200:
            return status, text
        status, text = self.post(d, '/v1/enroll', self.request(read_fields(text)[1]))
        if status != 200:
            return status, text
        reply = read_fields(text)
        self.id, self.epoch, self.key = reply[2], reply[3], reply[4]
        return 200, b''

    def poll(self, d):
        mac = hmac.new(self.key, b'/v1/poll\0' + POLL, hashlib.sha256).digest()[:16]
        return self.post(d, '/v1/poll', field(1, self.id) + field(2, self.epoch) +
                         field(3, POLL) + field(4, mac))[0]


class Server(Deployment):
    def __init__(self, folder, enrol, environment='production'):
        super().__init__(folder)
        self.environment(environment, enrol)

    def restart(self, enrol):
        assert self.stop() == 0
        text = self.config.read_text()
        self.config.write_text(re.sub('^enrol: .*$', f'enrol: {enrol}', text, flags=re.M))
        self.start()

    def refused(self, reason):
        return self.metric(f'huidu_requests_refused_total{{reason="{reason}"}}')

    def enrolled(self):
        return self.metric('huidu_enrolments_total')


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(enrol, environment='production'):
        d = Server(tmp_path, enrol, environment)
        servers.append(d)
        d.start()
        return d

    yield start
    for d in servers:
        assert d.stop() in (0, None)


def fails_to_start(d):
    done = subprocess.run([HUIDUD, '-c', d.config], capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 2, done.stderr
    return [l for l in done.stderr.splitlines() if l.startswith('huidud: ')]


# ---- modes

def test_closed(serve):
    d = serve('open')
    known, fresh = Phone(d.folder), Phone(d.folder)
    assert known.enrol(d)[0] == 200
    name = known.id
    d.restart('closed')
    assert fresh.enrol(d) == (403, CLOSED)
    assert (d.refused('closed'), d.enrolled()) == (1, 0)
    # A phone that lost everything but its key is who it was.
    assert known.enrol(d)[0] == 200
    assert known.id == name and known.poll(d) == 200
    assert d.post('/v1/poll', sealed(POLL, None, None))[0] == 200


def test_production_is_closed_unless_it_says_otherwise(serve):
    d = serve('{}')
    assert Phone(d.folder).enrol(d) == (403, CLOSED)


def test_a_trial_is_open(serve):
    d = serve('{}', 'trial')
    assert Phone(d.folder).enrol(d)[0] == 200


def test_token(serve, tmp_path):
    (tmp_path / 'tokens').write_text('# factory 7\nfirst-token-of-them-all\nsecond-token-of-all\n')
    d = serve(f'{{mode: token, tokens: {tmp_path}/tokens}}')
    for token in (None, b'first-token-of-them-al', b'# factory 7', b'x' * 64):
        assert Phone(d.folder, token=token).enrol(d) == (403, CLOSED)
    for token in (b'first-token-of-them-all', b'second-token-of-all'):
        phone = Phone(d.folder, token=token)
        assert phone.enrol(d)[0] == 200 and phone.poll(d) == 200
    assert (d.refused('closed'), d.enrolled()) == (4, 2)
    # A token that is withdrawn takes nothing from who came with it.
    (tmp_path / 'tokens').write_text('another-token-altogether\n')
    d.restart(f'{{mode: token, tokens: {tmp_path}/tokens}}')
    assert phone.enrol(d)[0] == 200
    assert Phone(d.folder, token=b'second-token-of-all').enrol(d)[0] == 403


def test_voucher(serve, tmp_path):
    maker, public = tmp_path / 'maker.pem', tmp_path / 'maker.pub'
    openssl('genpkey', '-algorithm', 'ED25519', '-out', maker)
    openssl('pkey', '-in', maker, '-pubout', '-out', public)
    d = serve(f'{{mode: voucher, manufacturers: [{public}]}}')
    phone, other = Phone(d.folder), Phone(d.folder)
    (tmp_path / 'text').write_bytes(b'huidu/voucher/v1\0' + phone.public + b'phone-a')
    voucher = openssl('pkeyutl', '-sign', '-inkey', maker, '-rawin', '-in', tmp_path / 'text')
    assert phone.enrol(d) == (403, CLOSED)
    other.voucher = phone.voucher = voucher
    assert other.enrol(d) == (403, CLOSED)
    assert phone.enrol(d)[0] == 200 and phone.poll(d) == 200
    # The same key, written into the configuration.
    d.restart('{mode: voucher, manufacturers: [%s]}' % base64.b64encode(
        openssl('pkey', '-in', maker, '-pubout', '-outform', 'DER')[-32:]).decode())
    assert other.enrol(d)[0] == 403 and phone.enrol(d)[0] == 200


@pytest.mark.parametrize('enrol, what', [
    ('{mode: token, tokens: none}', 'none: No such file or directory'),
    ('{mode: voucher, manufacturers: [root.env]}', 'root.env: no Ed25519 public key, as PEM or '
     'base64'),
    ('{mode: hook, hook: none}', 'enrol: hook: '),
    ('opne', "enrol.mode: 'opne' is none of the words known here"),
])
def test_bad_configuration(tmp_path, enrol, what):
    d = Server(tmp_path, enrol)
    lines = fails_to_start(d)
    assert len(lines) == 1 and what in lines[0]


# ---- keys that were made to try huidu out

def mark_as_demo(d, name):
    """The root says so of the first key of that name, and is signed again."""
    path = d.folder / 'root.env'
    payload, kind = (read_fields(path.read_bytes())[n] for n in (1, 2))
    key = next(v for n, v, _ in each_field(payload) if n == 5 and read_fields(v)[3] == name)
    demo = key + field(4, 1)
    new = b''.join(field(5, demo) if value == key else raw for _, value, raw in
                   each_field(payload)).replace(hashlib.sha256(key).digest(),
                                                hashlib.sha256(demo).digest())
    root = next((d.folder / 'keys').glob('*.root.pem'))
    text = d.folder / 'to-sign'
    text.write_bytes(b'DSSEv1 %d %s %d ' % (len(kind), kind, len(new)) + new)
    public = openssl('pkey', '-in', root, '-pubout', '-outform', 'DER')[-32:]
    keyid = next(hashlib.sha256(v).digest() for n, v, _ in each_field(new)
                 if n == 5 and read_fields(v)[2] == public)
    signature = openssl('pkeyutl', '-sign', '-inkey', root, '-rawin', '-in', text)
    path.write_bytes(field(1, new) + field(2, kind) +
                     field(3, field(1, signature) + field(2, keyid)))


def test_demo_keys(tmp_path):
    d = Server(tmp_path, 'closed')
    mark_as_demo(d, b'timestamp')
    assert fails_to_start(d) == [
        f"huidud: root: {d.folder}/root.env: the key of 'timestamp' was made to try huidu out: "
        'make real keys, or say environment: trial']
    d.environment('trial', 'open')
    d.start()
    assert d.stop() == 0


# ---- the hook

HOOK = '''#!/usr/bin/python3
import json, os, sys, time
folder = os.path.dirname(os.path.abspath(__file__))
with open(folder + '/starts', 'a') as f:
    f.write('start\\n')
with open(folder + '/fds', 'w') as f:
    for fd in sorted(os.listdir('/proc/self/fd'), key=int)[3:]:
        try:
            f.write(os.readlink('/proc/self/fd/' + fd) + '\\n')
        except OSError:
            pass
for line in sys.stdin:
    with open(folder + '/asked', 'a') as f:
        f.write(line)
    word = json.loads(line).get('token', '')
    if word.startswith('slow'):
        time.sleep(60)
    if word.startswith('dead'):
        os._exit(1)
    print('yes' if word.startswith('friend') else 'no', flush=True)
'''


@pytest.fixture
def hooked(serve, tmp_path):
    hook = tmp_path / 'hook'
    hook.write_text(HOOK)
    hook.chmod(0o700)
    return serve(f'{{mode: hook, hook: {hook}}}')


def starts(d):
    return (d.folder.parent / 'starts').read_text().count('start')


def was_asked(d, word):
    path = d.folder.parent / 'asked'
    return path.exists() and word in path.read_bytes()


def test_hook(hooked, tmp_path):
    d, friend = hooked, Phone(hooked.folder, token=b'friend "of\\ mine"')
    assert Phone(d.folder).enrol(d) == (403, CLOSED)
    assert Phone(d.folder, token=b'foe').enrol(d) == (403, CLOSED)
    assert friend.enrol(d)[0] == 200 and friend.poll(d) == 200
    asked = (tmp_path / 'asked').read_text().splitlines()
    assert len(asked) == 3 and '127.0.0.1' not in ''.join(asked)
    assert friend.public.hex() in asked[2] and '"product":"phone-a"' in asked[2].replace(' ', '')
    # One program for all of them, with nothing of the server's in its hands.
    assert starts(d) == 1
    assert (tmp_path / 'fds').read_text() == '' or 'socket' not in (tmp_path / 'fds').read_text()
    assert d.metric('huidu_enrol_hook_failures_total') == 0


@pytest.mark.parametrize('fault', [b'slow', b'dead'])
def test_hook_that_fails(hooked, fault):
    d = hooked
    known = Phone(d.folder, token=b'friend')
    assert known.enrol(d)[0] == 200
    failing = Phone(d.folder, token=fault)
    began = time.monotonic()
    thread = threading.Thread(target=failing.enrol, args=(d,))
    thread.start()
    wait_until(lambda: was_asked(d, fault))
    # Nobody else waits for it.
    for _ in range(20):
        assert known.poll(d) == 200
    if fault == b'slow':
        assert thread.is_alive() and time.monotonic() - began < 2
    thread.join(LIMIT_S)
    assert failing.id is None and time.monotonic() - began < 4
    assert d.metric('huidu_enrol_hook_failures_total') == 1 and d.refused('closed') == 1
    # Closed while it is away, but not to who is known; and it comes back.
    assert known.enrol(d)[0] == 200
    friend = Phone(d.folder, token=b'friend')
    assert friend.enrol(d) == (403, CLOSED)
    wait_until(lambda: friend.enrol(d)[0] == 200)
    assert starts(d) == 2
    assert 'enrol hook' in d.log.read_text()


def test_hook_ends_with_the_server(hooked):
    d = hooked
    failing = Phone(d.folder, token=b'slow')
    thread = threading.Thread(target=failing.enrol, args=(d,))
    thread.start()
    wait_until(lambda: was_asked(d, b'slow'))
    assert d.stop() == 0
    thread.join(LIMIT_S)
    hook = str(d.folder.parent / 'hook')
    running = subprocess.run(['pgrep', '-f', hook], capture_output=True, text=True,
                             timeout=LIMIT_S).stdout
    assert running == ''


# ---- floods

def test_flood(serve):
    d = serve('{mode: open, per_prefix_minute: 3}')
    flood = [Phone(d.folder, source='127.0.1.%d' % (i + 1)) for i in range(6)]
    got = [p.enrol(d) for p in flood]
    assert [s for s, _ in got] == [200] * 3 + [429] * 3
    assert got[3][1] == b'too often: try again later\n'
    assert 30 <= int(flood[3].retry_after) <= 60  # by chance: they are not to come together
    # Another network, and polls of this one, are none the worse.
    assert Phone(d.folder, source='127.0.2.1').enrol(d)[0] == 200
    assert flood[0].poll(d) == 200
    assert (d.refused('flood'), d.enrolled()) == (3, 4)
    # A known device does not count, so that a whole fleet can come again.
    for _ in range(5):
        assert Phone(d.folder, source='127.0.2.2').enrol(d)[0] in (200, 429)
    known = Phone(d.folder, source='127.0.3.1')
    for _ in range(8):
        assert known.enrol(d)[0] == 200
    # Addresses are nowhere: not in the log, not in the store.
    assert '127.0.1.' not in d.log.read_text()


class Knocking(threading.Thread):
    """Asks for challenges, hundreds at a time, and shows wrong proofs, until it is told to stop."""

    def __init__(self, d, phone):
        super().__init__()
        self.d, self.stopped, self.asked = d, threading.Event(), 0
        body = phone.request()
        wrong = body + field(4, read_fields(phone.post(d, '/v1/enroll', body)[1])[1])
        self.ask, self.prove = self.request(body), self.request(wrong + field(5, b'\x01' * 64))

    @staticmethod
    def request(body):
        return (b'POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' % len(body) +
                body)

    def run(self):
        context = ssl.create_default_context(cafile=self.d.folder / 'tls/cert.pem')
        context.check_hostname = False
        while not self.stopped.is_set():
            with socket.create_connection(('127.0.0.1', self.d.port), LIMIT_S) as plain:
                with context.wrap_socket(plain) as c:
                    c.sendall(self.ask * 300 + self.prove)  # the last ends the connection
                    got = b''
                    while data := c.recv(65536):
                        got += data
                    self.asked += got.count(b'HTTP/1.1 ')


def test_flood_leaves_polls_alone(serve):
    d = serve('{mode: open, per_prefix_minute: 3}')
    phone = Phone(d.folder, source='127.0.2.1')
    assert phone.enrol(d)[0] == 200
    flood = [Knocking(d, Phone(d.folder)) for _ in range(3)]
    for f in flood:
        f.start()
    polls, took = 0, []
    try:
        while sum(f.asked for f in flood) < 20_000:
            start = time.monotonic()
            assert phone.poll(d) == 200
            took.append(time.monotonic() - start)
            polls += 1
    finally:
        for f in flood:
            f.stopped.set()
            f.join()
    assert polls >= 10 and max(took) < 5
    assert d.enrolled() == 1
    # The first wrong proofs were looked at; then the network's rate was used up.
    assert d.refused('bad_proof') == 3 and d.refused('flood') >= 20_000 // 301 - 3


def test_flood_of_all(serve):
    d = serve('{mode: open, per_minute: 2}')
    got = [Phone(d.folder, source=f'127.0.{i}.1').enrol(d)[0] for i in range(1, 5)]
    assert got == [200, 200, 429, 429]


# ---- epochs

def test_epochs(serve):
    d = serve('closed', 'trial')
    d.restart('open')
    phone = Phone(d.folder)
    assert phone.enrol(d)[0] == 200 and phone.epoch == 1
    name, began = phone.id, time.time()

    openssl('rand', '-out', d.folder / 'online/device.2.key', '32')
    d.restart('open')
    assert began - 5 <= d.metric('huidu_epoch_start_time_seconds') <= time.time() + 1
    assert phone.poll(d) == 200
    young = Phone(d.folder)
    assert young.enrol(d)[0] == 200 and young.epoch == 2

    (d.folder / 'online/device.key').unlink()
    d.restart('closed')
    assert phone.poll(d) == 401 and young.poll(d) == 200
    assert phone.enrol(d)[0] == 200
    assert phone.id == name and phone.epoch == 2 and phone.poll(d) == 200

    (d.folder / 'online/device.2.key').write_bytes(b'short')
    assert d.stop() == 0
    assert fails_to_start(d) == [f'huidud: {d.folder}/online/device.2.key: the key cannot be read']
