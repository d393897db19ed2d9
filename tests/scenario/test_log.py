# SPDX-License-Identifier: Apache-2.0
"""The log as auditors and phones see it over the wire, checked with code of another hand; and what
huidud does when store and ledger do not agree."""
import base64
import concurrent.futures
import hashlib
import hmac
import http.client
import os
import shutil
import subprocess
import threading
import time

import pytest

import p256
from test_huidud import HUIDUD, LIMIT_S, STABLE, Deployment, wait_until


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    yield d
    d.stop()


# ---- RFC 6962, and protobuf as far as it is needed

def sha256(*parts):
    return hashlib.sha256(b''.join(parts)).digest()


def root_of(hashes):
    if not hashes:
        return sha256()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return sha256(b'\1', root_of(hashes[:k]), root_of(hashes[k:]))


def root_by_path(leaf, index, size, path):
    """RFC 9162, 2.1.3.2"""
    at, last, have = index, size - 1, leaf
    for h in path:
        assert last > 0
        if at & 1 or at == last:
            have = sha256(b'\1', h, have)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            have = sha256(b'\1', have, h)
        at, last = at >> 1, last >> 1
    assert last == 0
    return have


def varint(n):
    out = b''
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """{number: [values]}"""
    out, at = {}, 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            byte = message[at]
            at, n, shift = at + 1, n | (byte & 127) << shift, shift + 7
            if byte < 128:
                return n
    while at < len(message):
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, at = message[at:at + value], at + value
        else:
            assert tag & 7 == 0
        out.setdefault(tag >> 3, []).append(value)
    return out


# ---- keys, by openssl

def verify(folder, key, message, signature):
    """Raw Ed25519 signature by the private key file's public half."""
    public = subprocess.run(['openssl', 'pkey', '-in', key, '-pubout'], check=True,
                            capture_output=True, timeout=LIMIT_S).stdout
    (folder / 'v.pub').write_bytes(public)
    (folder / 'v.msg').write_bytes(message)
    (folder / 'v.sig').write_bytes(signature)
    return subprocess.run(['openssl', 'pkeyutl', '-verify', '-pubin', '-inkey', folder / 'v.pub',
                           '-rawin', '-in', folder / 'v.msg', '-sigfile', folder / 'v.sig'],
                          capture_output=True, timeout=LIMIT_S).returncode == 0


def opened(d, envelope, key):
    """The payload of an Envelope that the key signed."""
    e = fields(envelope)
    payload, kind = e[1][0], e[2][0]
    pae = b'DSSEv1 %d %s %d %s' % (len(kind), kind, len(payload), payload)
    assert verify(d.folder, d.folder / 'online' / key, pae, fields(e[3][0])[1][0])
    return payload


# ---- checkpoint and tiles

def get(d, path):
    """(status, headers, body)"""
    c = d.connect()
    c.request('GET', path)
    r = c.getresponse()
    body = r.read()
    c.close()
    return r.status, r.headers, body


def checkpoint(d):
    """(size, root) as the log's key signed it"""
    status, headers, body = get(d, '/v1/log/checkpoint')
    assert status == 200 and headers['Content-Type'].startswith('text/plain')
    text, signatures = body.decode().split('\n\n')
    dash, name, blob = signatures.split()
    origin, size, root = text.split('\n')
    assert dash == '\u2014' and name == origin == 'd'
    assert verify(d.folder, d.folder / 'online/log.pem', (text + '\n').encode(),
                  base64.b64decode(blob)[4:])
    return int(size), base64.b64decode(root)


def leaves(d, size):
    out = b''
    for i in range(0, size, 256):
        width = min(256, size - i)
        name = f'/v1/log/tile/0/{i // 256:03}' + ('' if width == 256 else f'.p/{width}')
        status, headers, body = get(d, name)
        assert status == 200 and 'immutable' in headers['Cache-Control'], name
        out += body
    assert len(out) == 32 * size
    return [out[i:i + 32] for i in range(0, len(out), 32)]


def test_checkpoint_and_tiles(deployment):
    d = deployment
    d.start()
    size, root = checkpoint(d)
    before = leaves(d, size)
    assert root_of(before) == root
    assert d.json('log', 'checkpoint')['size'] == size
    d.release('1.0', STABLE)
    later, root = checkpoint(d)
    after = leaves(d, later)
    assert later > size + 4 and root_of(after) == root  # commands, and the directors they changed
    assert after[:size] == before
    d.kill()
    d.start()
    wait_until(lambda: checkpoint(d)[0] >= later, 'as long as it was')
    assert leaves(d, checkpoint(d)[0])[:later] == after


def test_tile_paths(deployment):
    d = deployment
    d.start()
    size, _ = checkpoint(d)
    assert 1 < size < 200
    for path, status in ((f'0/000.p/{size}', 200), ('0/000.p/1', 200), (f'0/000.p/{size + 1}', 404),
                         ('0/000', 404), ('0/000.p/0', 404), ('0/000.p/01', 404),
                         ('0/000.p/256', 404), ('0/0.p/1', 404), ('0/x000/000.p/1', 404),
                         ('0/x001/000.p/1', 404), ('0/001.p/1', 404), ('1/000.p/1', 404),
                         ('00/000.p/1', 404), ('63/000.p/1', 404), ('64/000.p/1', 404),
                         ('', 404), ('0', 404), ('0/', 404), ('0/000.p/1/', 404),
                         ('0/x999/x999/x999/x999/x999/x999/999', 404),
                         ('entries/000.p/1', 404)):
        assert get(d, '/v1/log/tile/' + path)[0] == status, path
    c = d.connect()
    c.request('HEAD', f'/v1/log/tile/0/000.p/{size}')
    r = c.getresponse()
    assert (r.status, r.getheader('Content-Length'), r.read()) == (200, str(32 * size), b'')
    c.close()


# ---- time

def test_time_is_proved(deployment):
    d = deployment
    d.start()
    n = 24

    def ask(_):
        nonce = os.urandom(32)
        return nonce, d.post('/v1/time', field(1, nonce))
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        answers = list(pool.map(ask, range(n)))
    now = d.json('log', 'checkpoint')
    assert now is not None
    statements = set()
    for nonce, (status, _, body) in answers:
        assert status == 200
        proof = fields(body)
        statement = fields(opened(d, proof[1][0], 'timestamp.pem'))
        assert statement[2] == [b'd']
        assert root_by_path(sha256(b'\0', nonce), proof[3][0], proof[2][0], proof.get(4, [])) == \
            statement[4][0]
        statements.add(proof[1][0])
    assert len(statements) < n  # those that came together were signed together
    assert d.metric('huidu_time_proofs_total') == n
    for body in (b'', field(1, b'x' * 31), field(1, b'x' * 33), field(2, b'x' * 32)):
        assert d.post('/v1/time', body)[0] == 400, body
    assert d.post('/v1/time', field(1, b'x' * 2000))[0] == 413


def test_stops_while_asked(deployment):
    """Nobody who waits for the signer keeps huidud from ending."""
    d = deployment
    d.start()
    stopped = threading.Event()

    def keep_asking(_):
        answered = 0
        while not stopped.is_set():
            try:
                answered += d.post('/v1/time', field(1, os.urandom(32)))[0] in (200, 503)
            except OSError:
                pass  # it has ended
            except http.client.HTTPException:
                pass
        return answered
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(keep_asking, i) for i in range(8)]
        wait_until(lambda: d.metric('huidu_time_proofs_total') > 20, 'answers')
        began = time.monotonic()
        status = d.stop()
        took = time.monotonic() - began
        stopped.set()
    assert status == 0 and took < 8
    assert sum(a.result() for a in asking) > 20


# ---- grants

class Phone:
    def __init__(self, d, wish):
        self.d, self.wish = d, wish
        self.key = d.folder / 'phone.pem'
        subprocess.run(['openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out',
                        self.key], check=True, timeout=LIMIT_S)
        der = subprocess.run(['openssl', 'ec', '-in', self.key, '-pubout', '-outform', 'DER'],
                             check=True, capture_output=True, timeout=LIMIT_S).stdout
        first = field(1, der[-65:]) + field(2, b'phone-a') + field(3, wish)
        challenge = fields(d.post('/v1/enroll', first)[2])[1][0]
        text = b'huidu/enroll/v1\0' + challenge + b'phone-a'
        reply = d.post('/v1/enroll', first + field(4, challenge) +
                       field(5, p256.sign(self.key, text)))
        assert reply[0] == 200, reply
        reply = fields(reply[2])
        self.id, self.epoch, self.report_key = reply[2][0], reply[3][0], reply[4][0]

    def post(self, path, body, mac_path=None):
        mac = hmac.new(self.report_key, (mac_path or path).encode() + b'\0' + body,
                       hashlib.sha256).digest()[:16]
        return self.d.post(path, field(1, self.id) + field(2, self.epoch) + field(3, body) +
                           field(4, mac))

    def poll(self, wish):
        body = field(1, b'phone-a') + field(2, b'factory') + b''.join(
            field(i, 0) for i in (3, 4)) + field(5, 1) + field(6, 0) + field(7, 0) + field(8, wish)
        status, _, reply = self.post('/v1/poll', body)
        assert status == 200
        return fields(reply)


CORE, STABLE_RING = 0, 3
RING, LOG_EXTENSION = 8, 12  # fields of PollReply


def test_grants(deployment):
    d = deployment
    d.start()
    phone = Phone(d, CORE)
    wait_until(lambda: phone.poll(CORE)[RING] == [CORE], 'a seat')
    ask = field(1, b'phone-a')
    status, _, body = phone.post('/v1/grant', ask)
    assert status == 200
    reply = fields(body)
    assert reply[1] == [CORE]
    grant = fields(opened(d, reply[2][0], 'director.pem'))
    assert (grant[2], grant[3], grant[4], grant[5]) == ([b'd'], [b'phone-a'], [phone.id], [CORE])
    assert grant[7][0] - grant[6][0] == 90 * 86400
    # The MAC is over the path, the product must be the device's, and everybody has an id here.
    assert phone.post('/v1/grant', ask, '/v1/poll')[0] == 401
    assert phone.post('/v1/grant', field(1, b'phone-z'))[0] == 404
    assert d.post('/v1/grant', field(3, ask))[0] == 401
    assert d.metric('huidu_ring_grants_total') == 1
    # One device alone does not keep the signer busy for all others.
    assert [phone.post('/v1/grant', ask)[0] for _ in range(7)].count(429) >= 1
    assert d.metric('huidu_ring_grants_total') <= 7
    assert phone.poll(STABLE_RING)[RING] == [STABLE_RING]
    wait_until(lambda: phone.post('/v1/grant', ask)[2] == field(1, STABLE_RING), 'no seat')


def test_polls_bring_proofs(deployment):
    """The leaf of the directive that was served leads to the checkpoint, over the wire."""
    d = deployment
    d.start()
    d.release('1.0', STABLE)
    phone = Phone(d, STABLE_RING)
    reply = phone.poll(STABLE_RING)
    proof = fields(reply[7][0])
    leaf = sha256(b'\0', field(1, proof[3][0]) + field(2, reply[3][0]))
    note = proof[1][0].decode().split('\n')
    size, root = int(note[1]), base64.b64decode(note[2])
    assert root_by_path(leaf, proof[2][0], size, proof.get(4, [])) == root
    # From nothing: the roots of complete subtrees, as the bits of the size say.
    extension = reply[LOG_EXTENSION][0]
    hashes = [extension[i:i + 32] for i in range(0, len(extension), 32)]
    assert len(hashes) == bin(size).count('1')
    have = hashes.pop()
    while hashes:
        have = sha256(b'\1', hashes.pop(), have)
    assert have == root
    assert 21 not in reply  # the newest root is the one it has


# ---- store and ledger

def refused(d):
    done = subprocess.run([HUIDUD, '-c', d.config], capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 2, done.stderr
    return [l for l in done.stderr.splitlines() if l.startswith('huidud: ')][0]


def test_restored_backup_is_refused(deployment):
    d = deployment
    d.start()
    d.stop()
    ledger, backup = d.folder / 'online/ledger', d.folder / 'backup'
    shutil.copytree(d.folder / 'data', backup)
    oldest = ledger.read_bytes()
    d.start()
    d.release('1.0', STABLE)
    size = d.json('log', 'checkpoint')['size']
    d.stop()
    newest = ledger.read_bytes()

    # An older store under the newest journal and ledger; under the journal alone.
    shutil.copytree(d.folder / 'data', d.folder / 'both')
    shutil.rmtree(d.folder / 'data/store')
    shutil.copytree(backup / 'store', d.folder / 'data/store')
    line = refused(d)
    assert f'signer has taken {size} entries' in line and 'huiductl store restore BACKUP' in line
    ledger.write_bytes(oldest)
    line = refused(d)
    assert f'journal has {size} entries' in line and 'huiductl store restore BACKUP' in line
    ledger.write_bytes(newest)

    # A damaged journal stays where it is: what it has may be all there is to bring back.
    journal = d.folder / 'data/journal'
    damaged = bytearray(journal.read_bytes())
    damaged[20] ^= 1
    journal.write_bytes(damaged)
    assert f'signer has taken {size} entries' in refused(d)
    assert journal.read_bytes() == damaged
    shutil.rmtree(d.folder / 'data')
    shutil.move(d.folder / 'both', d.folder / 'data')

    # All of them older but the ledger.
    shutil.move(d.folder / 'data', d.folder / 'good')
    shutil.copytree(backup, d.folder / 'data')
    line = refused(d)
    assert f'signer has taken {size} entries' in line and 'backup was restored' in line
    assert ledger.read_bytes() == newest

    # The newest store, and no ledger.
    shutil.rmtree(d.folder / 'data')
    shutil.copytree(d.folder / 'good', d.folder / 'data')
    ledger.unlink()
    line = refused(d)
    assert f'store has {size} entries' in line and 'ledger is empty' in line

    # An old ledger: power failures cost it an entry or two, not a rollout.
    ledger.write_bytes(oldest)
    assert 'an old copy of it was put back' in refused(d)

    ledger.write_bytes(newest)
    d.start()
    assert checkpoint(d)[0] >= size
    d.stop()
