# SPDX-License-Identifier: Apache-2.0
"""A client program that runs beside a test, in a folder of its own, and ends in any case."""
import contextlib
import hashlib
import os
import signal
import subprocess

TIMEOUT_S = 60


def run(*command, **options):
    """To its end; its error fails the test with what it said."""
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False, **options)
    assert done.returncode == 0, (command, done.stderr.decode(errors="replace"))
    return done


def make_payload(version, size):
    """Begins with the version's line, so that what a device has installed says what it is."""
    line = version.encode() + b"\n"
    return line + hashlib.shake_128(line).digest(size - len(line))  # no packing makes it smaller


def version_in(path):
    """Of a payload that is in place, and whole; None: there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    version = content.partition(b"\n")[0].decode(errors="replace")
    return version if content == make_payload(version, len(content)) else None


class Program:
    """With `with`, nothing of it is left.  Whatever happens, it ends with the test's process, or after
    its life."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.process = folder, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def spawn(self, command, environment, life_s):
        assert self.process is None
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "timeout", "-k", "5", str(life_s), *command],
                cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "TZ": "UTC", "LANG": "C.UTF-8", **environment})

    def signal(self, number):
        """To all of its processes: a client has several."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self):
        """As by a power cut."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait(TIMEOUT_S)
            self.process = None

    def stop(self):
        """In good order, if it can."""
        if self.process is not None:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            self.kill()

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        """All that it ever said."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "log").read_text(errors="replace")
        return ""
