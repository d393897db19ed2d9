# SPDX-License-Identifier: Apache-2.0
"""The recorded exchanges of hawkBit's devices, sent to the real huidud: what rauc says and insists
on, what swupdate says, and what might be sent by who knows whom."""
import os
import urllib.parse

import pytest

import replay
from test_hawkbit import ALL, Boards, counts
from test_huidud import wait_until
from test_replay import DDI, RECORDED, names

CONTENT = os.urandom(5000)
ROW = 'product,protocol,name,token,build\nphone-a,hawkbit,dev-0001,{token},1.0\n'


@pytest.fixture
def boards(tmp_path):
    """One device was brought with its token."""
    d = Boards(tmp_path)
    d.edit({'gateway: gateway.tokens': 'target_tokens: true'})
    d.start()
    d.publish('1.0', ALL, b'one')
    (d.folder / 'boards.csv').write_text(ROW.format(token=DDI['token']))
    assert d.json('fleet', 'import', 'boards.csv')['added'] == 1
    yield d
    d.stop()


def offer(boards):
    """An action is open for the device, which has said nothing about it.  What it is."""
    boards.publish('2.0', ALL, CONTENT)
    c = boards.client('dev-0001', auth=f'TargetToken {DDI["token"]}')
    action, artifact = c.deployment(boards.offered(c))
    return c, action, urllib.parse.urlsplit(artifact['_links']['download']['href']).path


def play(boards, name, **values):
    replay.replay(RECORDED / f'{name}.txt', boards.port, boards.folder / 'tls/cert.pem',
                  **{**DDI, **values})


WHOLE = {'offered': 1, 'installed': 1, 'boot_ok': 0, 'failed': 0}
ENDS = {'rauc-update': WHOLE,
        'rauc-failure': {'offered': 1, 'installed': 0, 'boot_ok': 0, 'failed': 1},
        'rauc-resume': {'offered': 1, 'installed': 0, 'boot_ok': 0, 'failed': 0},
        'ddi-malformed': {'offered': 1, 'installed': 0, 'boot_ok': 0, 'failed': 1},
        'swupdate-update': {**WHOLE, 'boot_ok': 1},
        'swupdate-failure': {'offered': 1, 'installed': 0, 'boot_ok': 0, 'failed': 1}}


@pytest.mark.parametrize('name', [n for n in names('rauc-*.txt') + names('ddi-*.txt') +
                                  names('swupdate-*.txt') if n != 'rauc-cancel'])
def test_replayed(boards, name):
    _, action, artifact = offer(boards)
    told = {'action': action, 'query': '', 'artifact': artifact} if 'swupdate' in name else {}
    play(boards, name, **told)
    wait_until(lambda: counts(boards, '2.0') == ENDS[name], f'{ENDS[name]}')
    assert set(boards.foreign()) == {'dev-0001'}
    assert boards.must('store', 'check')


def test_rauc_cancel(boards):
    """It installs already, and rejects; canceled alone does not end it."""
    c, action, _ = offer(boards)
    assert c.feed(action, 'proceeding', detail='installing') == 200
    boards.halt('2.0')
    play(boards, 'rauc-cancel')
    assert boards.foreign()['dev-0001']['state'] == 'idle'
    assert counts(boards, '2.0') == ENDS['rauc-resume']


def test_rauc_names_its_build(boards):
    """After its early success: its boot, by the attribute of the new image."""
    c, _, _ = offer(boards)
    c.tell(version='1.0')
    play(boards, 'rauc-update')
    assert counts(boards, '2.0')['boot_ok'] == 0
    c.tell(version='2.0')
    wait_until(lambda: counts(boards, '2.0') == {**WHOLE, 'boot_ok': 1}, 'it runs')
