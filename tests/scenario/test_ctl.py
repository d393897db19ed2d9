# SPDX-License-Identifier: Apache-2.0
"""huiductl, the real binary: against the real server, and against a stand-in for what a real
server cannot be made to say in a test (scenes of a long rollout, refusals)."""
import codecs
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

BUILD = pathlib.Path(os.environ.get('HUIDU_BUILD', 'build')).resolve()
CTL = BUILD / 'server/ctl/huiductl'
FAKE = BUILD / 'tests/fake_admin'
HUIDUD = BUILD / 'server/huidud'
LIMIT_S = 30

ENV = {k: v for k, v in os.environ.items()
       if k not in ('HUIDU_CONTEXT', 'NO_COLOR', 'TERM')}
ENV.update(LC_ALL='C.UTF-8', TERM='xterm', USER='Mr. Test')


def ctl(*args, cwd=None, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
    return subprocess.run([CTL, *map(str, args)], cwd=cwd, env=env, stdin=stdin, stdout=stdout,
                          stderr=subprocess.PIPE, text=True, timeout=LIMIT_S)


class Fake:
    """The stand-in, for one deployment; says on stdout what it took."""

    def __init__(self, folder, *args):
        self.folder, self.args = folder, args
        self.log = open(folder / 'fake.log', 'a+')
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [FAKE, '--socket', 'admin.sock', '--root', 'root.env', *self.args],
            cwd=self.folder, stdout=self.log)
        wait_until(lambda: (self.folder / 'admin.sock').exists() and self.took('ready'))

    def took(self, line):
        return line in (self.folder / 'fake.log').read_text().splitlines()

    def stop(self):
        self.process.kill()
        self.process.wait()
        (self.folder / 'admin.sock').unlink(missing_ok=True)


def wait_until(done):
    end = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < end, 'it did not come'
        time.sleep(0.02)


@pytest.fixture
def solo(tmp_path):
    assert ctl('init', tmp_path / 'prod').returncode == 0
    return tmp_path / 'prod'


@pytest.fixture
def team(tmp_path):
    r = ctl('init', tmp_path / 'acme', '--profile', 'team', '--product', 'phone-a',
            '--product', 'phone-b')
    assert r.returncode == 0
    return tmp_path / 'acme'


@pytest.fixture
def fake():
    started = []

    def start(folder, *args):
        started.append(Fake(folder, *args))
        return started[-1]
    yield start
    for f in started:
        f.stop()
        f.log.close()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@pytest.fixture
def acme(tmp_path):
    """A team's deployment with the real server."""
    d = tmp_path / 'acme'
    assert ctl('init', d, '--profile', 'team', '--product', 'phone-a', '--product', 'phone-b',
               '--listen', f'127.0.0.1:{free_port()}').returncode == 0
    yaml = d / 'huidud.yaml'
    yaml.write_text(yaml.read_text().replace('127.0.0.1:9464', f'127.0.0.1:{free_port()}'))
    with open(d / 'huidud.log', 'w') as log:
        p = subprocess.Popen([HUIDUD, '-c', 'huidud.yaml'], cwd=d, stderr=log, stdout=log)
    wait_until(lambda: p.poll() is not None or ctl('log', 'checkpoint', cwd=d).returncode == 0)
    assert p.poll() is None, (d / 'huidud.log').read_text()
    yield d
    p.terminate()
    assert p.wait(LIMIT_S) == 0


def history(folder):
    """(who, what) of each entry of the log after the root."""
    r = ctl('rollout', 'history', '-o', 'json', cwd=folder)
    return [(e['who'], e['what'].split()[0]) for e in json.loads(r.stdout)['entries'][1:]]


class Terminal:
    """The binary on a terminal of its own."""

    def __init__(self, *args, cwd, rows=40, columns=80, env=ENV):
        self.text, self.decoder = '', codecs.getincrementaldecoder('utf-8')()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(CTL, [str(CTL), *args], env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read(self, until=None):
        """Until the text matches (or until() is true), or the program ends."""
        end = time.monotonic() + LIMIT_S
        if isinstance(until, str):
            pattern = re.compile(until)
            until = lambda: pattern.search(self.text)  # noqa: E731
        while until is None or not until():
            assert time.monotonic() < end, self.text
            if not select.select([self.fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.text += self.decoder.decode(data)
        return self.text

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        self.read()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


# ---- the command line ----

@pytest.mark.parametrize('args, code, text', [
    ((), 2, 'huiductl NOUN VERB'),
    (('rolout', 'list'), 2, "did you mean 'rollout'?"),
    (('rollout', 'lst'), 2, "did you mean 'rollout list'?"),
    (('rollout', 'get', '--outptu', 'json'), 2, 'did you mean --output?'),
    (('rollout', 'halt'), 2, 'a word is missing'),
    (('build', 'list', 'x'), 2, 'a word too many'),
    (('rollout', 'list'), 2, 'no huiductl.yaml here or in a folder above'),
    (('rollout', 'list', '--context', 'none.yaml'), 3, 'none.yaml: No such file'),
])
def test_wrong_use(tmp_path, args, code, text):
    r = ctl(*args, cwd=tmp_path)
    assert r.returncode == code
    assert text in r.stderr and r.stdout == ''
    assert 'try: ' in r.stderr or args == ()


@pytest.mark.parametrize('args, text', [
    (('help',), 'help NOUN VERB'),
    (('help', 'rollout'), 'rollout halt NAME'),
    (('help', 'exit-codes'), '  130  interrupted by Ctrl-C'),
    (('help', 'rollout'), 'rollout history [NAME]'),
    (('help', 'rollout', 'halt'), '--reason TEXT'),
    (('help', 'why'), 'huiductl device why ID'),
    (('rollout', 'halt', '--help'), '--reason TEXT'),
    (('--version',), 'huiductl 0.'),
    (('version', '-o', 'json'), '"schema":"huidu.version/1"'),
])
def test_help(args, text):
    r = ctl(*args)
    assert r.returncode == 0 and text in r.stdout and r.stderr == ''
    assert '\033' not in r.stdout


def test_help_is_one_screen():
    """Every command is named, on a screen of 80 by 48."""
    text = ctl('help').stdout
    assert len(text.splitlines()) <= 48 and all(len(line) <= 80 for line in text.splitlines())
    shown = dict(re.findall(r'^  ([a-z]+) +((?:.+\n {14})*.+)$', text, re.M))
    table = (pathlib.Path(__file__).parents[2] / 'server/ctl/command.c').read_text()
    known = re.findall(r'^\t{ "(\w+)", (?:"(\w+)"|NULL),', table, re.M)
    assert len(known) > 40
    for noun, verb in known:
        assert noun in shown and (not verb or verb in shown[noun].split()), (noun, verb)


# ---- init ----

@pytest.mark.parametrize('profile, persons, keys', [
    ('solo', 'mrtest', 3), ('team', 'alice bob carol', 9),
    ('maker', 'alice bob carol dave erin', 12),
])
def test_init(tmp_path, profile, persons, keys):
    d = tmp_path / 'prod'
    r = ctl('init', d, '--profile', profile)
    assert r.returncode == 0
    assert r.stdout.splitlines()[-1].startswith('  huiductl ') and 'Next:' in r.stdout
    assert ('Whoever holds' in r.stderr) == (profile == 'solo')
    names = sorted(p.name for p in (d / 'keys').iterdir())
    assert len(names) == keys and {n.split('.')[0] for n in names} == set(persons.split())
    assert all((p.stat().st_mode & 0o777) == 0o600
               for f in ('keys', 'online') for p in (d / f).iterdir())
    again = ctl('init', d)
    assert again.returncode == 5 and 'nothing was made' in again.stderr
    assert sorted(p.name for p in (d / 'keys').iterdir()) == names


def test_init_tls(solo):
    verify = subprocess.run(['openssl', 'verify', '-CAfile', 'tls/cert.pem', '-purpose',
                             'sslserver', '-verify_hostname', 'localhost', 'tls/cert.pem'],
                            cwd=solo, capture_output=True, text=True)
    assert verify.returncode == 0, verify.stderr
    key = subprocess.run(['openssl', 'pkey', '-in', 'keys/mrtest.root.pem', '-noout', '-text'],
                         cwd=solo, capture_output=True, text=True)
    assert 'ED25519' in key.stdout


@pytest.mark.parametrize('args', [
    ('--person', 'a', '--person', 'b'), ('--person', 'Bad Name'), ('--product', 'a/b'),
    ('--product', 'a', '--product', 'a'), ('--listen', 'nowhere'), ('--repository', 'ä'),
])
def test_init_refuses(tmp_path, args):
    assert ctl('init', tmp_path / 'prod', *args).returncode == 2
    assert not (tmp_path / 'prod').exists()


# ---- from a file to a halt ----

def publish(folder, *args, size=1500000):
    file = folder / 'ota.zip'
    file.write_bytes(os.urandom(size))
    return ctl('build', 'publish', 'ota.zip', *args, cwd=folder)


def create(folder, name, *args):
    return ctl('rollout', 'create', name, '--plan', 'plans/weekly.yaml', *args, cwd=folder)


def test_life_of_a_build(acme):
    def run(*args):
        r = ctl(*args, cwd=acme)
        return r.returncode, r.stdout + r.stderr

    assert publish(acme, '--product', 'phone-a', '--build', '1.0.0').returncode == 0
    assert publish(acme, '--product', 'phone-b', '--build', '1.0.0').returncode == 0
    assert publish(acme, '--product', 'phone-b', '--build', '1.0.0').returncode == 5
    assert publish(acme, '--product', 'phone-x', '--build', '1.0.0').returncode == 3
    builds = json.loads(run('build', 'list', '-o', 'json')[1])['builds']
    assert [(b['product'], b['counter']) for b in builds] == [('phone-a', 1), ('phone-b', 1)]

    code, text = run('rollout', 'create', '1.0.0', '--plan', 'plans/weekly.yaml')
    assert code == 0 and 'Next: huiductl rollout approve 1.0.0' in text
    code, text = run('start', '1.0.0')
    assert code == 6 and 'try: huiductl rollout approve 1.0.0' in text
    code, text = run('approve', '1.0.0')
    assert code == 2 and '--yes' in text
    code, text = run('approve', '1.0.0', '--yes')
    assert code == 0 and 'alice (1 of 2)' in text and 'approve 1.0.0 --key' in text
    assert 'phone-a: build 1.0.0' in text and '10 to 99 %' in text
    code, text = run('approve', '1.0.0', '--yes', '--key', 'keys/carol.approver.pem')
    assert code == 0 and 'carol (2 of 2)' in text and 'Next: huiductl rollout start' in text
    assert run('start', '1.0.0')[0] == 0
    code, text = run('get', '1.0.0')
    assert code == 0 and re.search(r'├─ 0 to 50 % +● open', text)

    assert run('halt', '1.0.0', '--reason', 'modem crashes')[0] == 0
    code, text = run('status', '1.0.0')
    assert code == 7 and 'modem crashes' in text
    # Halted is latched: only the approvers let it go on.
    code, text = run('start', '1.0.0')
    assert code == 6 and 'try: huiductl rollout approve 1.0.0' in text
    code, text = run('approve', '1.0.0', '--yes', '--all')
    assert code == 0 and 'this lets it go on' in text and 'rollout get 1.0.0 -w' in text
    assert run('status', '1.0.0', '--watch=false')[0] == 0
    assert history(acme) == [
        ('alice', 'publish'), ('alice', 'publish'), ('alice', 'propose'), ('alice', 'approve'),
        ('carol', 'approve'), ('alice', 'start'), ('alice', 'halt'), ('alice', 'approve'),
        ('bob', 'approve')]


QUERY_HISTORY = 4


def test_history_before_an_entry(acme):
    for build in '12':
        assert publish(acme, '--product', 'phone-a', '--build', build).returncode == 0
    entries = json.loads(ctl('history', '-o', 'json', cwd=acme).stdout)['entries']
    for n, entry in enumerate(entries):
        page = ask(acme, 'query', field(1, QUERY_HISTORY) + field(4, entry['index']))
        assert [e['what'].encode() in page for e in entries] == [i < n for i in range(len(entries))]


def test_history_comes_in_pages(solo, fake):
    """The fake gives two lines a page."""
    fake(solo)
    r = ctl('history', '-o', 'json', cwd=solo)
    assert [e['index'] for e in json.loads(r.stdout)['entries']] == [4698, 4699, 4700]


class Liar(threading.Thread):
    """Between huiductl and the server: passes all frames on, and changes what comes back."""

    def __init__(self, folder, change):
        super().__init__(daemon=True)
        self.path, self.behind, self.change = folder / 'liar.sock', folder / 'admin.sock', change
        self.lies = 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.socket.listen()
        self.start()

    @staticmethod
    def frame(s):
        head = s.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return None
        return head + s.recv(struct.unpack('>I', head)[0], socket.MSG_WAITALL)

    def run(self):
        while True:
            client, server = self.socket.accept()[0], socket.socket(socket.AF_UNIX)
            server.connect(str(self.behind))
            while ask := self.frame(client):
                server.sendall(ask)
                answer = self.frame(server)
                lie = self.change(answer)
                self.lies += lie != answer
                client.sendall(lie)
            client.close()
            server.close()


def replace_last(old, new):
    def change(answer):
        head, found, tail = answer.rpartition(old)
        return head + new + tail if found else answer
    return change


@pytest.mark.parametrize('what, change', [
    # Step{upper 500000}: the plan comes after the spec, which says the same.
    ('list of steps', replace_last(b'\x10\xa0\xc2\x1e', b'\x10\xa1\xc2\x1e')),
    ('product', replace_last(b'\x2a\x07phone-a', b'\x2a\x07phone-b')),
    ('build', replace_last(b'targets/phone-a/1', b'targets/phone-a/2')),
])
def test_approve_refuses_a_lie(acme, what, change):
    assert publish(acme, '--product', 'phone-a', '--build', '1').returncode == 0
    assert create(acme, '1').returncode == 0
    liar = Liar(acme, change)
    context = (acme / 'huiductl.yaml').read_text()
    (acme / 'liar.yaml').write_text(context.replace('admin.sock', 'liar.sock'))
    r = ctl('approve', '1', '--yes', '--all', '--context', 'liar.yaml', cwd=acme)
    assert liar.lies == 1
    assert r.returncode == 6 and f"not signed: phone-a: the plan's {what} is not" in r.stderr
    assert ('alice', 'approve') not in history(acme)
    assert ctl('approve', '1', '--yes', '--all', cwd=acme).returncode == 0


def test_create_chooses_builds(acme):
    assert publish(acme, '--product', 'phone-a', '--build', 'a1', '--release', 'r').returncode == 0
    assert publish(acme, '--product', 'phone-a', '--build', 'a2', '--release', 'r').returncode == 0
    r = create(acme, 'r')
    assert r.returncode == 5 and 'a1 and a2 for phone-a: say which' in r.stderr
    assert create(acme, 'r', '--build', 'a2').returncode == 0
    assert create(acme, 'a1').returncode == 0
    assert create(acme, 'none').returncode == 3
    assert create(acme, 'r', '--build', 'none').returncode == 3
    r = ctl('rollout', 'create', 'r', '--plan', 'huidud.yaml', cwd=acme)
    assert r.returncode == 2 and 'huidud.yaml:' in r.stderr
    assert ctl('rollout', 'create', 'r', cwd=acme).returncode == 2


def test_dry_run_needs_no_server(team):
    r = create(team, 'whatever', '--dry-run')
    assert r.returncode == 0 and re.search(r'dev +10 to 99 % +\+4d18h', r.stdout)


def test_rollback_index_is_asked_for(acme):
    args = ('--product', 'phone-a', '--build', '1', '--rollback-index', '3')
    r = publish(acme, *args)
    assert r.returncode == 2 and 'No way back' in r.stderr
    assert publish(acme, *args, '--yes').returncode == 0
    # From here on it is the default, and no question any more.
    assert publish(acme, '--product', 'phone-a', '--build', '2').returncode == 0
    builds = json.loads(ctl('build', 'list', '-o', 'json', cwd=acme).stdout)['builds']
    assert [b['rollback_index'] for b in builds] == [3, 3]


# ---- signing offline ----

def sign(folder, *args):
    return ctl('build', 'sign', *args, cwd=folder)


def test_sign_offline(acme):
    (acme / 'ota.zip').write_bytes(b'build')
    new = ('ota.zip', '--product', 'phone-a', '--build', '1', '--counter', '5')
    r = sign(acme, *new, '--key', 'keys/alice.release.pem', '-o', 'a.env')
    assert r.returncode == 0 and 'signed by alice (1 of 2)' in r.stdout
    assert hashlib.sha256(b'build').hexdigest() in r.stderr
    r = sign(acme, 'a.env', '--key', 'keys/carol.release.pem', '-o', 'ac.env')
    assert r.returncode == 0 and 'alice, carol (2 of 2)' in r.stdout
    # Two who signed apart.
    r = sign(acme, 'a.env', '--key', 'keys/bob.release.pem', '-o', 'ab.env')
    r = sign(acme, 'ac.env', 'ab.env', '-o', 'abc.env')
    assert r.returncode == 0 and 'alice, bob, carol (3 of 2)' in r.stdout

    r = ctl('build', 'publish', 'a.env', 'ota.zip', cwd=acme)
    assert r.returncode == 4 and '1 of 2' in r.stderr
    (acme / 'other.zip').write_bytes(b'other')
    assert ctl('build', 'publish', 'ac.env', 'other.zip', cwd=acme).returncode == 6
    r = ctl('build', 'publish', 'ac.env', 'ota.zip', cwd=acme)
    assert r.returncode == 0 and 'counter 5' in r.stdout


def test_sign_refuses(team):
    (team / 'ota.zip').write_bytes(b'build')
    (team / 'empty').write_bytes(b'')
    new = ('ota.zip', '--product', 'phone-a', '--build', '1', '--counter', '5')
    assert sign(team, *new).returncode == 2
    assert sign(team, *new[:-2], '-o', 'x.env').returncode == 2
    assert sign(team, 'none', *new[1:], '-o', 'x.env').returncode == 3
    assert sign(team, 'empty', *new[1:], '-o', 'x.env').returncode == 2
    assert sign(team, *new, '-o', 'x.env', '--key', 'keys/bob.approver.pem').returncode == 4
    assert sign(team, *new, '-o', 'ota.zip.x/y').returncode == 3
    r = sign(team, 'ota.zip', '--product', 'a/b', *new[3:], '-o', 'x.env')
    assert r.returncode == 2 and not (team / 'x.env').exists()
    assert sign(team, *new, '-o', 'x.env').returncode == 0
    assert sign(team, *new, '-o', 'x.env').returncode == 5
    assert sign(team, *new, '-o', 'keys/alice.root.pem').returncode == 5


BUILD_1 = ('--product', 'phone-a', '--build', '1.0')


def versions(folder):
    r = ctl('history', '-o', 'json', cwd=folder)
    return [e['what'] for e in json.loads(r.stdout)['entries'] if e['what'].startswith('publish')]


def test_renew(acme):
    assert publish(acme, *BUILD_1).returncode == 0
    assert create(acme, '1.0').returncode == 0
    assert ctl('approve', '1.0', '--all', '-y', cwd=acme).returncode == 0
    r = ctl('build', 'renew', '1.0', cwd=acme)
    assert r.returncode == 0 and 'renewed 1.0 for phone-a, version 2' in r.stdout
    assert 'Next: huiductl rollout approve 1.0' in r.stdout
    assert 'version 2' in r.stderr and 'SHA-256' in r.stderr
    assert versions(acme) == ['publish 1.0 for phone-a', 'publish 1.0 for phone-a, signed anew (2)']
    r = ctl('pending', cwd=acme)
    assert 'renew the signatures of rollout 1.0' in r.stdout
    r = ctl('approve', '1.0', '--all', '-y', cwd=acme)
    assert r.returncode == 0 and 'nothing but dates changes' in r.stderr
    assert 'Nothing waits' in ctl('pending', cwd=acme).stdout + ctl('pending', cwd=acme).stderr
    assert ctl('log', 'verify', cwd=acme).returncode == 0

    assert ctl('build', 'renew', '7', cwd=acme).returncode == 3
    assert ctl('build', 'renew', '1.0', '--product', 'phone-b', cwd=acme).returncode == 3
    r = ctl('build', 'renew', '1.0', '--key', 'keys/bob.release.pem', cwd=acme)
    assert r.returncode == 4 and 'renew 1.0 -o NEW.env' in r.stderr


def test_renew_from_hand_to_hand(acme):
    assert publish(acme, *BUILD_1).returncode == 0
    r = ctl('build', 'renew', '1.0', '--key', 'keys/alice.release.pem', '-o', 'a.env', cwd=acme)
    assert r.returncode == 0 and 'alice (1 of 2)' in r.stdout
    r = ctl('build', 'publish', 'a.env', cwd=acme)
    assert r.returncode == 4 and '1 of 2' in r.stderr
    r = sign(acme, 'a.env', '--key', 'keys/bob.release.pem', '-o', 'ab.env')
    assert r.returncode == 0 and 'Next: huiductl build publish ab.env\n' in r.stdout
    assert ctl('build', 'publish', 'ab.env', cwd=acme).returncode == 0

    # Without a server: from the envelope that was published.
    r = sign(acme, 'ab.env', '--renew', '-o', 'abc.env')
    assert r.returncode == 0 and 'version 3' in r.stderr and '(2 of 2)' in r.stdout
    assert ctl('build', 'publish', 'abc.env', cwd=acme).returncode == 0
    assert len(versions(acme)) == 3
    assert ctl('build', 'publish', 'ab.env', cwd=acme).returncode == 5
    assert sign(acme, 'ota.zip', '--renew', '-o', 'x.env').returncode == 2
    assert sign(acme, 'ab.env', 'abc.env', '--renew', '-o', 'x.env').returncode == 2


def test_renew_by_other_keys(acme):
    """Who signed it has left: what the server shows is looked at by a person."""
    assert publish(acme, *BUILD_1).returncode == 0
    for who in ('alice', 'bob', 'carol'):
        assert ctl('key', 'create', f'{who}-2', '--role', 'release', '-o', 'keys',
                   cwd=acme).returncode == 0
    pubs = sorted((acme / 'keys').glob('*-2.*.pub'))
    assert ctl('root', 'rotate', *pubs, '--role', 'release', cwd=acme).returncode == 0
    assert ctl('root', 'sign', 'root-2.env', '-y', cwd=acme).returncode == 0
    assert ctl('root', 'publish', 'root-2.env', cwd=acme).returncode == 0
    keys = [w for k in sorted((acme / 'keys').glob('*-2.*.pem'))[:2] for w in ('--key', k)]
    r = ctl('build', 'renew', '1.0', *keys, cwd=acme)
    assert r.returncode == 2 and 'Only 0 of 2 release keys' in r.stderr
    r = ctl('build', 'renew', '1.0', *keys, '-y', cwd=acme)
    assert r.returncode == 0, r.stderr


# ---- uploads ----

def field(number, value):
    def varint(v):
        out = b''
        while v > 127:
            out, v = out + bytes([v & 127 | 128]), v >> 7
        return out + bytes([v])
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def ask(folder, kind, body):
    """The answer's frame, without its length."""
    frame = field(1, body) + field(2, f'application/vnd.huidu.{kind}.v1+protobuf'.encode())
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(folder / 'admin.sock'))
        s.sendall(struct.pack('>I', len(frame)) + frame)
        return Liar.frame(s)[4:]


def upload_piece(folder, whole, n):
    ask(folder, 'upload', field(1, hashlib.sha256(whole).digest()) + field(2, len(whole)) +
        field(3, 0) + field(4, whole[:n]))


def test_upload_goes_on(acme):
    whole = os.urandom(1300000)
    (acme / 'ota.zip').write_bytes(whole)
    upload_piece(acme, whole, 500000)
    args = ('build', 'publish', 'ota.zip', '--product', 'phone-a', '--build')
    r = ctl(*args, '1', cwd=acme)
    assert r.returncode == 0 and 'Going on at 488.3 KiB' in r.stderr
    r = ctl(*args, '2', cwd=acme)
    assert r.returncode == 0 and 'has the file already' in r.stderr
    builds = json.loads(ctl('build', 'list', '-o', 'json', cwd=acme).stdout)['builds']
    assert {b['sha256'] for b in builds} == {hashlib.sha256(whole).hexdigest()}


# ---- what scripts read ----

READING = [
    (('build', 'list'), 'huidu.build/1'), (('rollout', 'get', '2.4.1'), 'huidu.rollout/1'),
    (('rollout', 'get'), 'huidu.rollout/1'), (('rollout', 'list'), 'huidu.rollout/1'),
    (('rollout', 'history'), 'huidu.history/1'), (('ring', 'show'), 'huidu.ring/1'),
    (('device', 'why', '00' * 16), 'huidu.device/1'), (('log', 'checkpoint'), 'huidu.log/1'),
    (('status', '2.4.1', '--watch=false'), 'huidu.rollout/1'), (('version',), 'huidu.version/1'),
]


@pytest.mark.parametrize('args, schema', READING)
def test_json(solo, fake, args, schema):
    fake(solo, '--scenes', 'running')
    r = ctl(*args, '-o', 'json', cwd=solo)
    assert r.returncode == 0 and r.stderr == ''
    assert r.stdout.count('\n') == 1
    assert json.loads(r.stdout)['schema'] == schema


def test_json_rollout(solo, fake):
    fake(solo, '--scenes', 'two')
    doc = json.loads(ctl('rollout', 'get', '-ojson', cwd=solo).stdout)
    first, second = doc['rollouts']
    assert (first['release'], first['state']) == ('2.4.1', 'running')
    assert (second['release'], second['state']) == ('2.4.0', 'halted')
    stage = first['stages'][5]
    assert stage['ring'] == 'dev' and stage['upper_ppm'] == 100000 and stage['offered'] == 9000
    assert stage['crash_ratio']['estimate'] == pytest.approx(31 / 28.4)
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', stage['opened'])
    assert first['stages'][6]['opened'] is None


@pytest.mark.parametrize('scene, code', [
    ('complete', 0), ('halted', 7), ('superseded', 5), ('running:3,complete', 0),
    ('running:2,halted', 7),
])
def test_status(solo, fake, scene, code):
    fake(solo, '--scenes', scene)
    r = ctl('rollout', 'status', '2.4.1', '--timeout', '20s', cwd=solo)
    assert r.returncode == code
    assert len(r.stdout.splitlines()) == (2 if ',' in scene else 1)
    assert '2.4.1 ' + scene.split(',')[-1] in r.stdout.splitlines()[-1]


def test_status_runs_out_of_time(solo, fake):
    fake(solo, '--scenes', 'running')
    r = ctl('rollout', 'status', '2.4.1', '--timeout', '600ms', cwd=solo)
    assert r.returncode == 8 and 'still under way' in r.stderr
    assert ctl('rollout', 'status', '2.4.1', '--watch=false', cwd=solo).returncode == 0


@pytest.mark.parametrize('number, code', [
    (-1060, 3), (-1062, 4), (-1022, 4), (-1063, 5), (-1068, 5), (-1064, 6), (-1081, 6),
    (-1051, 7), (-1082, 1),
])
def test_exit_codes(solo, fake, number, code):
    fake(solo, '--scenes', 'running', '--refuse', str(number))
    r = ctl('rollout', 'pause', '2.4.1', '--reason', 'x', cwd=solo)
    assert r.returncode == code and 'try: ' in r.stderr


def test_no_such_thing(solo, fake):
    fake(solo)
    for args in (('get', 'x'), ('status', 'x'), ('approve', 'x', '--yes'), ('start', 'x'),
                 ('why', 'ff' * 16), ('ring', 'show', 'no-line')):
        assert ctl(*args, cwd=solo).returncode == 3, args
    assert ctl('why', 'nonsense', cwd=solo).returncode == 2
    r = ctl('rollout', 'get', cwd=solo)
    assert r.returncode == 0 and 'no rollout yet' in r.stderr
    assert json.loads(ctl('rollout', 'get', '-ojson', cwd=solo).stdout)['rollouts'] == []


def test_two_of_a_name(solo, fake):
    fake(solo, '--scenes', 'two')
    r = ctl('halt', 'x', '--reason', 'y', cwd=solo)
    assert r.returncode == 5 and '2 rollouts' in r.stderr


def test_unreachable(solo, fake):
    r = ctl('rollout', 'list', cwd=solo)
    assert r.returncode == 9
    assert 'is huidud running?' in r.stderr and 'try: huidud -c ' in r.stderr
    fake(solo, '--repository', 'another')
    r = ctl('rollout', 'list', cwd=solo)
    assert r.returncode == 6 and "'another'" in r.stderr


def test_socket_path_too_long(tmp_path):
    deep = tmp_path / ('d' * 100)
    assert ctl('init', deep).returncode == 0
    r = ctl('rollout', 'list', cwd=deep)
    assert r.returncode == 9 and 'File name too long' in r.stderr


def test_keys(team, fake):
    fake(team, '--scenes', 'running')
    halt = ('halt', '2.4.1', '--reason', 'x')
    # One person stops, whether they release or approve.
    assert ctl(*halt, '--key', 'keys/carol.approver.pem', cwd=team).returncode == 0
    r = ctl(*halt, '--key', 'keys/carol.root.pem', cwd=team)
    assert r.returncode == 4 and "role 'release'" in r.stderr
    assert ctl(*halt, '--key', 'none.pem', cwd=team).returncode == 3
    r = ctl('build', 'sign', 'huidud.yaml', '--product', 'p', '--build', 'b', '--counter', '1',
            '-o', 'x.env', '--key', 'keys/bob.release.pem', '--key', 'keys/bob.release.pem',
            cwd=team)
    assert r.returncode == 2 and 'signs once' in r.stderr
    # Keys that went to their owners are passed over.
    for who in ('alice', 'bob', 'carol'):
        (team / f'keys/{who}.release.pem').unlink()
    r = ctl(*halt, cwd=team)
    assert r.returncode == 0 and 'signed by alice' in r.stdout
    for who in ('alice', 'bob', 'carol'):
        (team / f'keys/{who}.approver.pem').unlink()
    r = ctl(*halt, cwd=team)
    assert r.returncode == 4 and '--key' in r.stderr


def test_reason_is_ascii(solo, fake):
    fake(solo, '--scenes', 'running')
    r = ctl('halt', '2.4.1', '--reason', 'Größe', cwd=solo)
    assert r.returncode == 2 and 'ASCII' in r.stderr


def test_output_is_full(solo, fake):
    fake(solo, '--scenes', 'running')
    with open('/dev/full', 'w') as full:
        r = ctl('rollout', 'list', cwd=solo, stdout=full)
    assert r.returncode == 1 and 'cannot write' in r.stderr


# ---- what people see ----

def test_screen(solo, fake):
    fake(solo, '--scenes', 'running')
    lines = ctl('get', '2.4.1', cwd=solo).stdout.splitlines()
    assert all(len(line) <= 80 for line in lines), max(lines, key=len)
    text = '\n'.join(lines)
    assert 'State     ● running for 6d, step 6 of 9: dev 1 to 10 %' in text
    assert 'Evidence  4.4 : 1, pause at 20 : 1, halt at 100 : 1' in text
    assert re.search(r'│  ├─ 1 to 10 % +● open +9,000 +8,240 +11 +31 / 28.4 +3h12m/6h', text)
    assert re.search(r'└─ dev, last 1 % +○ waiting', text)
    assert '\033' not in text


def test_screen_in_plain_characters(solo, fake):
    fake(solo, '--scenes', 'running')
    plain = ctl('get', '2.4.1', '--ascii', cwd=solo).stdout
    assert plain.isascii() and '|  |- 1 to 10 %' in plain
    assert ctl('get', '2.4.1', cwd=solo, env={**ENV, 'LC_ALL': 'C'}).stdout == plain


def test_colours(solo, fake):
    fake(solo, '--scenes', 'halted')
    assert '\033[31m✖ halted' in ctl('get', '--color', 'always', cwd=solo).stdout
    t = Terminal('get', cwd=solo)
    assert t.end() == 0 and '\033[31m✖ halted' in t.text
    for env in ({'NO_COLOR': '1'}, {'TERM': 'dumb'}):
        t = Terminal('get', cwd=solo, env={**ENV, **env})
        assert t.end() == 0 and '\033' not in t.text
    assert t.text.isascii()
    t = Terminal('get', '--color=never', cwd=solo)
    assert t.end() == 0 and '\033' not in t.text


def test_watch_on_a_terminal(solo, fake):
    fake(solo, '--scenes', 'growing')
    t = Terminal('get', '2.4.1', '-w', cwd=solo)
    t.read(r'8,240[\s\S]*8,250[\s\S]*8,260')
    assert re.search(r'\033\[\d+A', t.text), 'it draws over the last picture'
    t.type('\003')
    assert t.end() == 130
    assert 'huiductl rollout get 2.4.1 -w' in t.text
    assert t.text.rfind('\033[?25h') > t.text.rfind('\033[?25l'), 'the cursor is back'


def test_watch_on_a_small_terminal(solo, fake):
    fake(solo, '--scenes', 'running')
    t = Terminal('watch', '2.4.1', cwd=solo, rows=10)
    t.read(r'\033\[9A')
    t.type('\003')
    assert t.end() == 130
    assert 'dev, last' not in t.text


def test_watch_outlives_the_server(solo, fake):
    f = fake(solo, '--scenes', 'running')
    t = Terminal('get', '2.4.1', '-w', '--color=never', cwd=solo)
    t.read('running for 6d')
    f.stop()
    t.read('has not answered for')
    (solo / 'fake.log').write_text('')
    f.start()
    pictures = len(t.text.split('\033[?25l'))
    t.read(lambda: any('running for 6d' in p and 'not answered' not in p and '\033[?25h' in p
                       for p in t.text.split('\033[?25l')[pictures:]))
    t.type('\003')
    assert t.end() == 130


def test_watch_on_a_pipe(solo, fake):
    # A gate that only counts seconds is no change.
    fake(solo, '--scenes', 'ticking:4,halted')
    p = subprocess.Popen([CTL, 'rollout', 'get', '2.4.1', '-w', '-o', 'json'], cwd=solo, env=ENV,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    states = [json.loads(p.stdout.readline())['rollouts'][0]['state'] for _ in range(2)]
    p.send_signal(signal.SIGINT)
    rest, errors = p.communicate(timeout=LIMIT_S)
    assert states == ['running', 'halted'] and rest == ''
    assert p.returncode == 130 and 'rollout get 2.4.1 -w' in errors


def test_questions(acme):
    assert publish(acme, '--product', 'phone-a', '--build', '1').returncode == 0
    assert create(acme, '1').returncode == 0
    t = Terminal('approve', '1', cwd=acme)
    t.read(r'Sign this\? \[y/N\]')
    t.type('\r')
    assert t.end() == 1 and 'nothing was done' in t.text
    assert ('alice', 'approve') not in history(acme)
    t = Terminal('approve', '1', cwd=acme)
    t.read(r'Sign this\? \[y/N\]')
    t.type('y\r')
    assert t.end() == 0 and ('alice', 'approve') in history(acme)
    assert ctl('approve', '1', '--yes', '--key', 'keys/bob.approver.pem', cwd=acme).returncode == 0
    assert ctl('start', '1', cwd=acme).returncode == 0
    # Woken at three: one command stops it, and no answer is an answer.
    for typed, why in (('\r', '(none given)'), ('it burns\r', 'it burns')):
        t = Terminal('halt', '1', cwd=acme)
        t.read(r'Reason \(or Enter\): ')
        t.type(typed)
        assert t.end() == 0, t.text
        assert why in ctl('rollout', 'history', cwd=acme).stdout
        assert ctl('approve', '1', '--yes', '--all', cwd=acme).returncode == 0
    assert ctl('halt', '1', cwd=acme).returncode == 0   # nobody is there to ask
