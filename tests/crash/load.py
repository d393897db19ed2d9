# SPDX-License-Identifier: Apache-2.0
"""Phones that report without end, and remember what was acknowledged."""
import hashlib
import hmac
import http.client
import random
import socket
import ssl
import subprocess
import threading
import time

import p256
from test_huidud import LIMIT_S
from test_log import field, fields

SYMPTOM, CRASH, ALIVE = 9, 8, 10
DOWNLOADED, INSTALLING, INSTALLED, BOOT_OK = 2, 3, 4, 5
STABLE = 3
ANSWER_OFFER = 2
AT_DIRECTOR, AT_ANSWER = 3, 10  # fields of PollReply


class Refused(Exception):
    """Not 200."""


class Phone:
    """One connection, kept as long as it lasts."""

    def __init__(self, d, product, number):
        self.d, self.product, self.number = d, product.encode(), number
        self.context = ssl.create_default_context(cafile=d.folder / 'tls/cert.pem')
        self.connection = None
        self.key = d.folder / f'phone-{product}-{number}.pem'
        subprocess.run(['openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out',
                        self.key], check=True, timeout=LIMIT_S)
        self.public = subprocess.run(
            ['openssl', 'ec', '-in', self.key, '-pubout', '-outform', 'DER'], check=True,
            capture_output=True, timeout=LIMIT_S).stdout[-65:]
        self.id = self.epoch = self.report_key = None
        self.sent = self.taken = 0
        self.unanswered = None  # a report, as long as nobody said that it was taken
        self.retried = 0

    def post(self, path, body):
        """(status, headers, body); whatever goes wrong with the connection is an OSError."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(
                    'localhost', self.d.port, context=self.context, timeout=30)
            self.connection.request('POST', path, body)
            r = self.connection.getresponse()
            answer = r.status, r.headers, r.read()
            if r.will_close:
                self.close()
            return answer
        except http.client.HTTPException as e:
            self.close()
            raise OSError(str(e)) from e
        except OSError:
            self.close()
            raise

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def enrol(self):
        first = field(1, self.public) + field(2, self.product) + field(3, STABLE)
        challenge = fields(self.post('/v1/enroll', first)[2])[1][0]
        text = b'huidu/enroll/v1\0' + challenge + self.product
        status, _, body = self.post('/v1/enroll', first + field(4, challenge) +
                                    field(5, p256.sign(self.key, text)))
        assert status == 200, body
        reply = fields(body)
        self.id, self.epoch, self.report_key = reply[2][0], reply[3][0], reply[4][0]

    def sealed(self, path, body):
        mac = hmac.new(self.report_key, path.encode() + b'\0' + body, hashlib.sha256).digest()
        return self.post(path, field(1, self.id) + field(2, self.epoch) + field(3, body) +
                         field(4, mac[:16]))

    def poll(self):
        body = field(1, self.product) + field(2, b'factory') + b''.join(
            field(i, 0) for i in (3, 4)) + field(5, 1) + field(6, 0) + field(7, self.sent) + \
            field(8, STABLE)
        status, headers, reply = self.sealed('/v1/poll', body)
        if status != 200:
            raise Refused(status, headers.get('Retry-After'))
        return fields(reply)

    def report(self, *events):
        """(kind, build) each.  Sent again until it is answered: `again`."""
        assert self.unanswered is None
        self.unanswered = field(1, self.sent + 1) + b''.join(
            field(2, field(1, kind) + field(2, build.encode()) +
                  (field(3, hashlib.sha256(b'crash').digest()) if kind == CRASH else b'') +
                  (field(4, 0) if kind == SYMPTOM else b''))
            for kind, build in events)
        self.sent += len(events)
        self.again()

    def again(self):
        if self.unanswered is None:
            return
        status, headers, _ = self.sealed('/v1/report', self.unanswered)
        if status != 200:
            raise Refused(status, headers.get('Retry-After'))
        self.taken, self.unanswered = self.sent, None


class Load(threading.Thread):
    """A phone that reports `build`'s crash sometime, and that it is alive otherwise."""

    def __init__(self, phone, build, seed):
        super().__init__(daemon=True)
        self.phone, self.build = phone, build
        self.chance = random.Random(f'{seed} {phone.number}')
        self.enough = threading.Event()
        self.refused, self.lost, self.reports, self.wrong = [], 0, 0, None
        self.kinds = set()

    @property
    def crashed(self):
        return CRASH in self.kinds

    @property
    def had_symptom(self):
        return SYMPTOM in self.kinds

    def once(self):
        try:
            if self.phone.unanswered is not None:
                self.phone.retried += 1
                self.phone.again()
            elif self.chance.random() < 0.1:
                self.phone.poll()
            else:
                kinds = [ALIVE, ALIVE, SYMPTOM, CRASH][:1 + int(self.chance.random() ** 4 * 4)]
                self.kinds.update(kinds)
                self.phone.report(*((kind, self.build) for kind in kinds))
            self.reports += 1
        except Refused as e:
            self.refused.append(e.args)
            self.enough.wait(0.05)
        except OSError:
            self.lost += 1
            self.enough.wait(0.02)

    def run(self):
        try:
            while not self.enough.is_set():
                self.once()
                self.enough.wait(self.chance.uniform(0, 0.02))
        except Exception as e:  # told by whoever joins it
            self.wrong = e

    def finish(self):
        self.enough.set()
        self.join(LIMIT_S)
        assert not self.is_alive() and self.wrong is None, self.wrong
        end = time.monotonic() + LIMIT_S
        while self.phone.unanswered is not None and time.monotonic() < end:
            self.once()


def start_load(d, product, n, build, seed):
    """Enrolled phones that run `build`'s stage: each is in its arm before it reports."""
    phones = [Phone(d, product, i) for i in range(n)]
    for phone in phones:
        phone.enrol()
    return [Load(phone, build, seed) for phone in phones]


def hang_up(loads):
    for load in loads:
        load.phone.close()


def is_listening(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0
