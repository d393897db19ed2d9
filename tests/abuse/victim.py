# SPDX-License-Identifier: Apache-2.0
"""The real huidud with devices it knows, and what must hold of it after each abuse."""
import contextlib
import hashlib
import hmac
import os
import random
import re
import socket
import ssl
import subprocess
import time

from test_enrol import read_fields
from test_huidud import HUIDUD, Deployment, field, wait_until

RINGS = {'core': 0, 'honour': 1, 'dev': 2, 'stable': 3}
DEVICES = 200
TIMEOUT_S = 20
LATER_S = 8     # until a server that was late has seen that it is late no more
PRIORITY = -15  # before other programs, where that is allowed: it is the server that is looked at


def prefer(priority, tasks):
    for task in tasks:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, task, priority)


def shed(answer):
    """Told to come later, by a server that is late."""
    return answer[0] == 503 and 'Retry-After' in answer[1]


class Device:
    def __init__(self, number, device_id, ring, secret):
        self.number, self.id, self.ring = number, device_id, RINGS[ring]
        key = hmac.new(secret, b'huidu/report-key/v1\0' + device_id, hashlib.sha256).digest()
        self.poll = self.sealed(key, '/v1/poll', self.poll_body(number % 8))

    def poll_body(self, log_size):
        return (field(1, b'phone-a') + field(2, b'1.0') + field(3, 1) + field(4, 0) + field(5, 1) +
                field(6, 0) + field(7, 0) + field(8, self.ring) + field(10, log_size))

    def sealed(self, key, path, body):
        mac = hmac.new(key, path.encode() + b'\0' + body, hashlib.sha256).digest()[:16]
        return field(1, self.id) + field(2, 1) + field(3, body) + field(4, mac)

    def request(self):
        """A poll with the right MAC, as bytes on the wire."""
        return (b'POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' %
                len(self.poll) + self.poll)


class Answers:
    """Reads answers, one after the other, from a socket or an SSLSocket."""

    def __init__(self, sock):
        self.sock, self.got = sock, b''

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.got += data

    def next(self):
        """(status, headers' text, body); EOFError at the end."""
        while b'\r\n\r\n' not in self.got:
            self.more()
        head, _, self.got = self.got.partition(b'\r\n\r\n')
        length = re.search(rb'\r\nContent-Length: (\d+)', head)
        n = int(length[1]) if length else 0
        while len(self.got) < n:
            self.more()
        body, self.got = self.got[:n], self.got[n:]
        return int(head[9:12]), head.decode('latin-1'), body

    def ends(self):
        """True when the server closes without another answer; a reset is an end too."""
        try:
            while not self.got:
                self.more()
        except (EOFError, OSError):
            return True
        return False


class Victim(Deployment):
    """Deployment whose folder has the files of a running server; `nofile` limits it."""

    def __init__(self, folder, plain, nofile=None, sanitized=False):
        super().__init__(folder, **{'plain: false': f'plain: {str(plain).lower()}',
                                    'jitter: 20 %': 'jitter: 0 %', 'interval: 1s': 'interval: 1h',
                                    'fill: hash': 'fill: invite'})
        self.plain, self.nofile, self.sanitized = plain, nofile, sanitized
        self.context = ssl.create_default_context(cafile=self.folder / 'tls/cert.pem')
        self.context.check_hostname = False
        self.devices, self.file = [], random.Random(7).randbytes(4 << 20)

    def prepare(self):
        self.start()
        secret = (self.folder / 'online/device.key').read_bytes()
        numbers, names = random.Random(5), list(RINGS)
        with open(self.folder / 'fleet.csv', 'w', encoding='ascii') as f:
            f.write('id,product,ring,wish\n')
            for i in range(DEVICES):
                ring = names[i % 4]
                device = Device(i, numbers.randbytes(16), ring, secret)
                f.write(f'{device.id.hex()},phone-a,{ring},\n')
                self.devices.append(device)
        self.must('fleet', 'import', 'fleet.csv')
        (self.folder / 'file').write_bytes(self.file)
        self.must('build', 'publish', 'file', '--product', 'phone-a', '--build', '1')
        self.artifact = '/v1/artifact/' + hashlib.sha256(self.file).hexdigest()

    def start(self):
        self.begin()
        prefer(PRIORITY, map(int, os.listdir(f'/proc/{self.process.pid}/task')))

    def begin(self):
        if not self.nofile:
            super().start()
            return
        with open(self.log, 'a', encoding='utf-8') as log:
            self.process = subprocess.Popen(
                ['prlimit', f'--nofile={self.nofile}:{self.nofile}', HUIDUD, '-c', self.config],
                stderr=log, stdout=log)
        wait_until(self.answers, 'huidud answers')

    # ---- talking to it

    def raw(self, source=None, **options):
        """A TCP connection, from another network of loopback's when `source` is a number."""
        sock = socket.socket()
        for option, value in options.items():
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
        if source is not None:
            sock.bind((f'127.{1 + source // 250 % 250}.{source % 250}.1', 0))
        sock.settimeout(TIMEOUT_S)
        sock.connect(('127.0.0.1', self.port))
        return sock

    def connect(self, source=None):
        """The same, with TLS when the server wants it."""
        sock = self.raw(source)
        return sock if self.plain else self.context.wrap_socket(sock)

    def ask(self, *requests, source=None):
        """Sends them in one write; the answers until there are as many, or the end."""
        with contextlib.closing(self.connect(source)) as sock:
            sock.sendall(b''.join(requests))
            answers, out = Answers(sock), []
            with contextlib.suppress(EOFError, OSError):
                while len(out) < len(requests):
                    out.append(answers.next())
            return out

    def answered(self, device, source=None):
        """One poll.  Who is told to come later by a server without a processor does so."""
        end = time.monotonic() + LATER_S
        while True:
            (answer,) = self.ask(device.request(), source=source)
            if not shed(answer) or time.monotonic() > end:
                return answer
            time.sleep(0.1)

    def own(self, device, answer):
        """Whether it is this device's own answer: its ring, and the log from where it was."""
        fields = read_fields(answer[2]) if answer[0] == 200 else {}
        return fields.get(8) == device.ring and \
            len(fields.get(12, b'')) == self.extension(device.number % 8)

    def extension(self, log_size):
        """Bytes of log_extension for who keeps so much; as the server said when all was calm."""
        if not hasattr(self, 'extensions'):
            self.extensions = {}
            for device in self.devices[:8]:
                status, _, body = self.answered(device)
                assert status == 200, status
                self.extensions[device.number % 8] = len(read_fields(body).get(12, b''))
            assert len(set(self.extensions.values())) > 2
        return self.extensions[log_size]

    # ---- judging it

    def polls(self):
        return sum(float(v) for k, v in self.metrics().items()
                   if k.startswith('huidu_polls_total'))

    def refused(self):
        return {k: float(v) for k, v in self.metrics().items()
                if k.startswith('huidu_requests_refused_total')}

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def open_files(self):
        folder = f'/proc/{self.process.pid}/fd'
        with contextlib.suppress(OSError):  # one may close meanwhile
            return [os.readlink(f'{folder}/{fd}') for fd in os.listdir(folder)]

    def rss_kib(self):
        text = open(f'/proc/{self.process.pid}/status', encoding='ascii').read()
        return int(re.search(r'VmRSS:\s+(\d+)', text)[1])

    def cpu_s(self):
        fields = open(f'/proc/{self.process.pid}/stat', encoding='ascii').read().split(')')[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def waited_s(self):
        """How long its threads could have run, and others had the processors."""
        tasks = f'/proc/{self.process.pid}/task'
        return sum(int(open(f'{tasks}/{task}/schedstat', encoding='ascii').read().split()[1])
                   for task in os.listdir(tasks)) / 1e9

    def well(self):
        """Lives, and answers honest phones, the operator and the metrics; quickly."""
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        device, start = self.devices[0], time.monotonic()
        answer = self.answered(device, 60000)
        assert self.own(device, answer), answer
        assert self.metrics()
        assert self.ctl('log', 'checkpoint').returncode == 0
        assert time.monotonic() - start < 10

    def settles(self, descriptors, rss_kib, more_kib):
        """Descriptors as before, exactly; memory within a bound."""
        end, calm = time.monotonic() + 4, 0  # no deadline's doing
        # Of a flood that waits to be accepted each has one for a moment.
        while calm < 3 and time.monotonic() < end:
            time.sleep(0.05)
            calm = calm + 1 if self.descriptors() <= descriptors else 0
        assert calm == 3, f'more descriptors than {descriptors}: {self.open_files()}'
        grown = self.rss_kib() - rss_kib
        # A sanitizer keeps what was freed, to see it used.
        assert self.sanitized or grown < more_kib, f'{grown} KiB more than before'
        return grown
