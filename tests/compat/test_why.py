# SPDX-License-Identifier: Apache-2.0
"""What people see of devices that speak another server's protocol: of one, and of a rollout."""
import re

import pytest

from test_ctl_gate import on_terminal
from test_hawkbit import ALL, boards
from test_huidud import wait_until


def line_of(boards, name='board-1'):
    """The one line that says what it is at, without the date."""
    text = boards.must('device', 'why', f'hawkbit/{name}')
    assert text == boards.why(name) # by its id, too
    (line,) = (l.strip() for l in text.splitlines() if l.startswith(f'  hawkbit {name}'))
    what, since = re.fullmatch(rf'hawkbit {name}: (.*?)( \(since [0-9: -]{{16}}\))?', line).groups()
    assert (since is None) == (what == 'nothing was for it yet')
    return what


def json_of(boards, name='board-1'):
    return boards.json('device', 'why', f'hawkbit/{name}')['foreign']


def test_a_device_from_first_to_last(boards):
    c = boards.client('board-1')
    c.poll()
    assert line_of(boards) == 'nothing was for it yet'
    assert json_of(boards) == {'protocol': 'hawkbit', 'name': 'board-1', 'state': 'idle',
                               'cancelling': False, 'action': 0, 'why': 'nothing was for it yet'}
    boards.publish('2.0')
    links = boards.offered(c)
    assert line_of(boards) == 'was told of 2.0, and has not begun'
    action, _ = c.begin(links)
    assert line_of(boards) == 'is at work on 2.0'
    c.all_there(action)
    assert line_of(boards) == 'installed 2.0, waits for the new build to say that it runs'
    found = json_of(boards)
    assert (found['state'], found['action'], found['build']) == ('installed', action, '2.0')
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT.*Z', found['since'])
    c.confirm(c.poll())
    assert line_of(boards) == 'runs 2.0'
    boards.publish('3.0')
    action, _ = c.begin(boards.offered(c))
    boards.halt('3.0')
    links = c.poll()
    assert line_of(boards) == 'was told to stop 3.0, and has not acknowledged it'
    assert json_of(boards)['cancelling'] is True
    c.cancel(links)
    assert line_of(boards) == 'let go of 3.0 before it was installed'


@pytest.mark.parametrize('installs, finished, want', [
    (False, 'failure', 'could not install 2.0'),
    (True, 'failure', 'fell back from 2.0'),
])
def test_how_it_ended(boards, installs, finished, want):
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    links = boards.offered(c)
    action = c.install(links) if installs else c.begin(links)[0]
    assert c.feed(action, 'closed', finished) == 200
    assert line_of(boards) == want


def test_rauc_waits(boards):
    c = boards.client('board-1')
    c.tell(version='1.0')
    boards.publish('2.0')
    action, _ = c.deployment(boards.offered(c))
    assert c.feed(action, 'closed', 'success') == 200
    assert line_of(boards) == 'installed 2.0, as its old build says; waits to hear what runs'


def test_who_is_not_here(boards):
    boards.client('board-1').poll()
    for name in ('hawkbit/nobody', 'mender/board-1', 'hawkbit/', 'hawkbi/board-1', '/board-1',
                 'hawkbit/a/b', '0' * 32):
        done = boards.ctl('device', 'why', name)
        assert done.returncode == 3 and 'not enrolled here' in done.stderr, done.stderr
    done = boards.ctl('device', 'why', 'board-1')
    assert done.returncode == 2 and 'PROTOCOL/NAME' in done.stderr


# ---- a rollout of such devices

CRASHES = ALL.replace('crash_reports: none\n', '')
MUTE = 'No crash reports come from phone-a (hawkbit): no crashes here are no good sign.'


def test_no_crash_reports_is_no_pass(boards):
    """All is well, and still people are asked, for nobody could have told of crashes."""
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0', CRASHES)
    c.install(boards.offered(c))
    c.confirm(c.poll())
    wait_until(lambda: boards.rollout('2.0')['state'] == 'paused', 'paused')
    found = boards.rollout('2.0')
    assert found['gate'] == 'a person must decide: no crash reports come from phone-a (hawkbit)'
    assert found['no_crash_reports_from'] == 'phone-a (hawkbit)'
    status, text = on_terminal(boards.folder, 80, 'rollout', 'get', '2.0', '--color=never')
    assert status == 0 and MUTE in text and all(len(l) <= 80 for l in text.splitlines()), text
    status, text = on_terminal(boards.folder, 80, 'gate', 'explain', '2.0', '--color=never')
    assert status == 0 and all(len(l) <= 80 for l in text.splitlines()), text
    assert ('no crash reports from phone-a (hawkbit): limits, silence, soak and a person decide' in
            ' '.join(text.split()))
    boards.must('rollout', 'approve', '2.0', '--yes')
    wait_until(lambda: boards.rollout('2.0')['state'] == 'complete', 'complete')
    assert boards.must('gate', 'replay', '2.0').rstrip().endswith(' 0 differ')


def test_known_to_the_approvers(boards):
    """A plan that says so passes, and what it is worth stands there all the same."""
    c = boards.client('board-1')
    c.poll()
    boards.publish('2.0')
    c.install(boards.offered(c))
    c.confirm(c.poll())
    wait_until(lambda: boards.rollout('2.0')['state'] == 'complete', 'complete')
    assert MUTE in boards.must('rollout', 'get', '2.0')
