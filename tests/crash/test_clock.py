# SPDX-License-Identifier: Apache-2.0
"""The machine's clock steps while phones report: polls and reports go on, a halt is always possible,
nothing that is in force goes back, and a person says when the clock is right."""
import time

import pytest

from faults import Faulty
from load import hang_up, start_load
from test_huidud import STABLE, wait_until
from test_kill import Admin, Seen, check_counts, start_counted, two_lines

HOUR, YEAR = 3600, 365 * 86400
JUMP_S = 300  # from here on a person is asked


@pytest.fixture
def deployment(tmp_path):
    d = two_lines(tmp_path, Faulty)
    yield d
    d.stop()


def release(d, number):
    name = f'{number}.0'
    d.release(name, STABLE.replace('soak: 1s', 'soak: 1h').replace('max_soak: 1h', 'max_soak: 9h'),
              name.encode())
    return name


def publish(d, name):
    (d.folder / 'p').write_bytes(name.encode())
    return d.ctl_here('build', 'publish', 'p', '--product', 'phone-a', '--build', name)


@pytest.mark.parametrize('step', [1, -1, HOUR, -HOUR, YEAR, -YEAR])
def test_step_and_back(deployment, seed, step):
    d = deployment
    d.start()
    admin = Admin(d)  # not running: it only knows what was halted
    seen, loads = Seen(d, admin), start_load(d, 'phone-b', 4, 'b1', seed)
    start_counted(d, loads)
    running = release(d, 1)
    seen.look()

    d.page.clock(step)
    reports = [load.reports for load in loads]
    wait_until(lambda: all(l.reports > r + 3 for l, r in zip(loads, reports)), 'reports go on')
    seen.look()
    early = publish(d, '2.0')
    if abs(step) > JUMP_S:
        assert early.returncode != 0 and 'clock' in early.stdout + early.stderr, early
    else:
        assert early.returncode == 0, early
    # A person elsewhere is told that the clocks differ; on this machine, a halt is always taken.
    if abs(step) > 15 * 60:
        elsewhere = d.ctl('rollout', 'halt', running, '--reason', 'test')
        assert elsewhere.returncode != 0 and 'time is ahead of the server' in elsewhere.stderr
    done = d.ctl_here('rollout', 'halt', running, '--reason', 'test')
    assert done.returncode == 0, done
    assert d.rollout(running)['state'] == 'halted'
    assert seen.phone.poll(3)[10] != [2]  # no offer
    time.sleep(1)
    assert d.rollout('b1')['state'] == 'running'  # a year of soak is not over

    d.page.clock(0)
    reports = [load.reports for load in loads]
    wait_until(lambda: all(l.reports > r + 3 for l, r in zip(loads, reports)), 'reports go on')
    assert d.rollout(running)['state'] == 'halted'
    late = publish(d, '3.0')
    if late.returncode != 0:
        print(step, late.stderr)
        assert 'clock' in late.stdout + late.stderr, late
        assert d.ctl_here('clock', 'confirm', '--reason', 'test').returncode == 0
        assert publish(d, '3.0').returncode == 0
    admin.halted.append(running)
    wait_until(lambda: publish(d, '4.0').returncode == 0, 'all goes on')
    seen.look()
    assert [load.refused for load in loads] == [[]] * len(loads)
    for load in loads:
        load.finish()
    check_counts(d, loads)
    hang_up(loads)
    d.must('log', 'verify')
    # And so it does after a start.
    d.kill()
    d.start()
    seen.look()
    assert d.rollout(running)['state'] == 'halted'
