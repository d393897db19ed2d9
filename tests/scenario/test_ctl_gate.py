# SPDX-License-Identifier: Apache-2.0
"""What the gate knows, as people see it: whole screens, and verdicts recomputed."""
import fcntl
import json
import os
import pty
import struct
import subprocess
import termios

import pytest

from test_ctl import CTL, ENV, ctl, fake, solo  # noqa: F401 (fixtures)

RUNNING = """\
Rollout   2.4.1, plan weekly
State     ● running for 6d
Gate      soaking: 3 h 12 m of 6 h 0 m
Evidence  4.4 : 1 against the build, pause at 20 : 1, halt at 100 : 1

dev 1 to 10 %, opened 3h12m ago, soak 6h to 3d, tolerance 1.50x
  canary: 31 of 9,000 devices crashed, control predicts 28.4; ratio 1.09 (0.76
  to 1.64); evidence 4.4 : 1 against the build, pause at 20 : 1
  shown that the ratio is below 1.50x: 47 % of what is needed; of a good build,
  a verdict in about 10h43m

  STREAM           WEIGHT  CANARY  CONTROL  EVIDENCE  SHARE OF K
  crashes            40 %      31      281  10.0 : 1        23 %
  crash loops        10 %       1        9   0.8 : 1       < 1 %
  failed installs  6.67 %      11    limit   0.4 : 1       < 1 %
  silent devices     20 %      12      101   0.7 : 1         1 %
  new signatures     10 %       9        4   3.0 : 1         2 %
  nothing of: failed boots, rollbacks

  DEVICES  OFFERED  RESOLVED  JUDGED  SILENT
  canary     9,000     8,251   7,400      12
  control   89,000         -  71,000     101

  PRODUCT             OFFERED  FAILED  CRASHED  CONTROL CRASHED  EVIDENCE
  phone-b               3,000       9       22     95 of 29,000  30.0 : 1
  phone-a               6,000       2        9    186 of 60,000   0.4 : 1
  all with modem-x55    3,000       9       22     95 of 29,000  36.6 : 1

  NEW SIGNATURE  CANARY  CONTROL  EVIDENCE  FIRST SEEN
* a1a1a1a1a1a1        6        0  60.3 : 1      1h ago
  5c5c5c5c5c5c        2        1   1.5 : 1      2h ago
  070707070707        1        3   0.7 : 1      3h ago
  * new with this build: of ten so marked, one may be chance

EARLIER            STATE         CRASHED  PREDICTED  EVIDENCE  SHARE OF K
core 0 to 50 %     ✔ done        0 of 50          -   1.0 : 1         3 %
core 50 to 100 %   ✔ done        1 of 50          -   0.7 : 1         2 %
honour 0 to 30 %   ◉ watched    2 of 300        1.8   0.5 : 1         1 %
honour 30 to 99 %  ◉ watched    4 of 690          -   0.4 : 1         1 %
dev 0 to 1 %       ◉ watched  7 of 1,000        6.3   0.3 : 1         1 %
"""

# At 120 columns the prose has room; the tables are as they were.
WIDE = (RUNNING
        .replace('(0.76\n  to 1.64); evidence 4.4 : 1 against the build, pause',
                 '(0.76 to 1.64); evidence 4.4 : 1 against the\n  build, pause')
        .replace('of a good build,\n  a verdict', 'of a good build, a verdict'))


def on_terminal(folder, columns, *args):
    """What stands on a terminal of so many columns, which has them from the start."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 60, columns, 0, 0))
    p = subprocess.Popen([CTL, *args], cwd=folder, env=ENV, stdin=theirs, stdout=theirs,
                         stderr=theirs)
    os.close(theirs)
    out = b''
    while True:
        try:
            data = os.read(mine, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(mine)
    return p.wait(30), out.decode().replace('\r', '')


@pytest.mark.parametrize('columns, want', [(80, RUNNING), (120, WIDE)])
def test_explain(solo, fake, columns, want):  # noqa: F811
    fake(solo, '--scenes', 'running')
    code, text = on_terminal(solo, columns, 'explain', '2.4.1', '--color=never')
    assert text == want
    assert code == 0
    assert all(len(line) <= columns for line in text.splitlines())


def test_explain_on_a_pipe(solo, fake):  # noqa: F811
    """A sentence is one line, wherever it is not looked at."""
    fake(solo, '--scenes', 'running')
    text = ctl('gate', 'explain', '2.4.1', cwd=solo).stdout
    assert ('  canary: 31 of 9,000 devices crashed, control predicts 28.4; ratio 1.09 (0.76 to '
            '1.64); evidence 4.4 : 1 against the build, pause at 20 : 1\n') in text
    assert '\033' not in text
    plain = ctl('gate', 'explain', '2.4.1', '--ascii', cwd=solo).stdout
    assert plain.isascii()


@pytest.mark.parametrize('scene, want, never', [
    ('blind', ['canary: 2 of 360 devices crashed, the control has too few crashes to predict how '
               'many; evidence 4.4 : 1',
               'cannot tell a 2x regression with this many phones: 4.5 crashing ones are expected '
               'by max_soak, and it takes about 10'], ['a verdict in', 'ratio 1.']),
    ('no-reports', ['no crash reports from these phones, ever: limits, silence, soak and a '
                    'person decide\n'], ['a verdict in', 'canary: ']),
    ('halted', ['✖ halted', 'opened 3h12m ago, stopped, soak 6h', 'evidence 181 : 1 against'],
     ['a verdict in']),
    ('resumed', ['opened 3h12m ago, resumed 1h ago, soak 6h'], ['stopped']),
    ('complete', ['✔ complete', 'dev 1 to 10 %'], ['  STREAM', 'canary: ', 'resumed']),
])
def test_explain_scenes(solo, fake, scene, want, never):  # noqa: F811
    fake(solo, '--scenes', scene)
    text = ctl('explain', '2.4.1', cwd=solo).stdout
    assert all(w in text for w in want), text
    assert not any(w in text for w in never), text


def test_soak_of_a_resumed_stage(solo, fake):  # noqa: F811
    """Its time is told from when people let it go on."""
    fake(solo, '--scenes', 'resumed')
    assert ' 1h/6h\n' in ctl('get', '2.4.1', cwd=solo).stdout
    doc = json.loads(ctl('rollout', 'get', '2.4.1', '-o', 'json', cwd=solo).stdout)
    stages = doc['rollouts'][0]['stages']
    assert [i for i, s in enumerate(stages) if 'resumed' in s] == [5]
    assert stages[5]['opened'] < stages[5]['resumed']


def test_explain_json(solo, fake):  # noqa: F811
    fake(solo, '--scenes', 'running')
    doc = json.loads(ctl('explain', '2.4.1', '-o', 'json', cwd=solo).stdout)
    assert doc['schema'] == 'huidu.gate/1' and doc['rollout']['release'] == '2.4.1'
    assert doc['crash_reports'] is True and doc['baseline_per_day'] == 0.0042
    stage = doc['stages'][5]
    assert len(doc['stages']) == len(doc['rollout']['stages']) == 6
    assert [s['name'] for s in stage['streams']][:2] == ['crashes', 'crash loops']
    assert sum(s['weight_ppm'] for s in stage['streams']) == pytest.approx(1e6, abs=20)
    assert stage['signatures'][0] == {**stage['signatures'][0], 'signature': 'a1' * 16,
                                      'discovery': True, 'canary': 6, 'control': 0}
    assert [s['component'] for s in stage['strata']] == [True, False, False]
    assert stage['outlook']['tells_twice'] is True
    assert stage['outlook']['verdict_ms'] == pytest.approx(10.72 * 3600e3, rel=0.01)
    assert 'outlook' not in doc['stages'][0]


def test_replay(solo, fake):  # noqa: F811
    """The rows come in two pages."""
    fake(solo, '--scenes', 'halted')
    r = ctl('gate', 'replay', '2.4.1', cwd=solo)
    assert r.returncode == 0, r.stdout + r.stderr
    assert r.stdout.splitlines() == [
        '1970-01-02 01:00  halt in step 1, 3 rows, K over 1,000,000 : 1  same',
        '2.4.1: 1 verdicts recomputed, 0 differ']


def test_replay_differs(solo, fake):  # noqa: F811
    fake(solo, '--scenes', 'running')
    r = ctl('gate', 'replay', '2.4.1', cwd=solo)
    assert r.returncode == 1
    assert '  differs: log K is 60.39' in r.stdout
    assert r.stdout.splitlines()[-1] == '2.4.1: 1 verdicts recomputed, 1 differ'
    r = ctl('gate', 'replay', '2.4.1', '-o', 'json', cwd=solo)
    doc = json.loads(r.stdout)
    assert r.returncode == 1 and doc['schema'] == 'huidu.replay/1' and doc['differ'] == 1
    assert doc['decisions'][0]['same'] is False and 'log K' in doc['decisions'][0]['differs']


def test_gate_of_nothing(solo, fake):  # noqa: F811
    fake(solo)
    for verb in ('explain', 'replay'):
        assert ctl('gate', verb, 'x', cwd=solo).returncode == 3
        assert ctl('gate', verb, cwd=solo).returncode == 2
