# SPDX-License-Identifier: Apache-2.0
"""The page that faults.h describes, and a deployment whose huidud has it."""
import errno
import mmap
import os
import pathlib
import struct
import subprocess

from test_huidud import BUILD, CTL, HUIDUD, Deployment, wait_until

SIZE = 80
SERVER, SIGNER = 0, 1
DISK, OPEN = 1, 2
FOREVER = 0xffffffff
AT_ARMED, AT_FAILED, AT_META, AT_CALLS, AT_SYNC, AT_CLOCK = 0, 24, 28, 32, 64, 72


class Page:
    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(SIZE))
        with open(path, 'r+b') as f:
            self.map = mmap.mmap(f.fileno(), SIZE)

    def put(self, at, form, *values):
        self.map[at:at + struct.calcsize(form)] = struct.pack(form, *values)

    def get(self, at):
        return struct.unpack('I', self.map[at:at + 4])[0]

    def arm(self, role, kind, error, first, last):
        self.put(AT_CALLS, '8I', *[0] * 8)
        self.put(AT_FAILED, 'II', 0, 0)
        self.put(4, 'IIiII', role, kind, error, first, last)
        self.put(AT_ARMED, 'I', 1)

    def disarm(self):
        self.put(AT_ARMED, 'I', 0)

    def failed(self):
        return self.get(AT_FAILED)

    def meta(self):
        """Of them, writes of LMDB's meta page: it takes none after one that failed, until a start."""
        return self.get(AT_META)

    def calls(self, role, kind):
        return self.get(AT_CALLS + 16 * role + 4 * kind)

    def clock(self, seconds):
        self.put(AT_CLOCK, 'q', int(seconds * 1000))

    def slow(self, seconds):
        self.put(AT_SYNC, 'I', int(seconds * 1000))


class Faulty(Deployment):
    """huidud with the library preloaded."""

    def __init__(self, folder, **changes):
        super().__init__(folder, **changes)
        self.page = Page(self.folder / 'faults')

    def env(self):
        return dict(os.environ, LD_PRELOAD=str(BUILD / 'tests/libfaults.so'),
                    HUIDU_FAULTS=str(self.page.path))

    def ctl_here(self, *args):
        """huiductl on the server's machine: it has the same clock."""
        return subprocess.run([CTL, *map(str, args)], cwd=self.folder, capture_output=True,
                              text=True, timeout=60, env=self.env())

    def launch(self):
        with open(self.log, 'a', encoding='utf-8') as log:
            self.process = subprocess.Popen([HUIDUD, '-c', self.config], stderr=log, stdout=log,
                                            env=self.env())

    def start(self):
        self.launch()
        wait_until(self.answers, 'huidud answers')

    def signer(self):
        pid = self.process.pid
        return int(pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()[0])
