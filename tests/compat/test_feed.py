# SPDX-License-Identifier: Apache-2.0
"""The list that LineageOS' updater reads, from the real huidud over TLS, and what that updater makes
of it."""
import hashlib
import json
import os
import pathlib
import sys
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'scenario'))

from test_hawkbit import ALL, PLAN
from test_huidud import Deployment, wait_until

CONTENT = os.urandom(200000)
KEYS = {'datetime': int, 'filename': str, 'id': str, 'romtype': str, 'size': int, 'url': str, 'version': str}
SHORT = ALL.replace('watch: 1m', 'watch: 1s')


class Feeds(Deployment):
    def __init__(self, folder):
        super().__init__(folder)
        self.config.write_text(self.config.read_text() + '''
compat:
  feeds:
    - {name: a, product: phone-a}
    - {name: a-dev, product: phone-a, ring: dev, type: weekly, version: '21.0'}
''')

    def get(self, path):
        c = self.connect()
        c.request('GET', path)
        r = c.getresponse()
        body = r.read()
        c.close()
        return r.status, body, r.headers

    def list(self, path='/feed/a'):
        status, body, headers = self.get(path)
        assert (status, headers['Content-Type']) == (200, 'application/json')
        assert headers['Cache-Control'] == 'public, max-age=60'
        assert 'no evidence' in headers['X-Feed']
        found = json.loads(body)['response']
        for build in found:
            assert {k: type(v) for k, v in build.items()} == KEYS
        return found

    def complete(self, build, content=CONTENT):
        self.release(build, SHORT, content)
        wait_until(lambda: self.rollout(build)['state'] == 'complete', f'{build} is complete')
        wait_until(lambda: [b['filename'] for b in self.list()] == [f'{build}.zip'], f'{build} is listed')


@pytest.fixture
def feeds(tmp_path):
    d = Feeds(tmp_path)
    d.start()
    yield d
    assert d.stop() == 0


def offered(build, own_version, own_date, own_type):
    """As the Updater decides."""
    return (build['version'] >= own_version and build['datetime'] > own_date and
            build['romtype'].lower() == own_type)


def test_a_complete_build(feeds):
    assert feeds.list() == []
    before = time.time()
    feeds.complete('2.0')
    (build,) = feeds.list()
    assert (build['romtype'], build['version'], build['size']) == ('nightly', '2.0', len(CONTENT))
    assert before - 2 <= build['datetime'] <= time.time()
    assert offered(build, '1.0', int(before) - 1000, 'nightly')
    url = urllib.parse.urlsplit(build['url'])
    assert (url.scheme, url.netloc) == ('https', f'localhost:{feeds.port}')
    status, body, headers = feeds.get(url.path)
    assert (status, body) == (200, CONTENT)
    assert build['id'] == hashlib.sha256(CONTENT).hexdigest() == headers['ETag'].strip('"')
    # Who names what he runs is told of newer ones alone.
    assert feeds.list('/feed/a/2.0') == []
    assert feeds.list('/feed/a/unknown') == feeds.list('/feed/a/') == [build]
    feeds.complete('3.0', CONTENT + b'3')
    assert [b['filename'] for b in feeds.list('/feed/a/2.0')] == ['3.0.zip']
    # It reports nothing, and is nobody.
    assert feeds.rollout('3.0')['stages'][0]['offered'] == 0


def test_the_file_by_parts(feeds):
    feeds.complete('2.0')
    path = urllib.parse.urlsplit(feeds.list()[0]['url']).path
    c = feeds.connect()
    c.request('GET', path, headers={'Range': 'bytes=150000-'})
    r = c.getresponse()
    assert (r.status, r.read()) == (206, CONTENT[150000:])
    assert r.getheader('Content-Range') == f'bytes 150000-199999/{len(CONTENT)}'
    c.close()
    for wrong in ('/file/', '/file/x/y', '/file/' + '0' * 64 + '/x'):
        assert feeds.get(wrong)[0] == 404


def test_a_share_and_an_open_stage_are_not_for_all(feeds):
    feeds.complete('2.0')
    feeds.release('3.0', PLAN.format(share='50 %', soak='1h'), b'3')
    wait_until(lambda: feeds.rollout('3.0')['state'] == 'running', 'it runs')
    time.sleep(0.5) # nothing is to happen
    assert [b['filename'] for b in feeds.list()] == ['2.0.zip']
    feeds.must('halt', '3.0', '--reason', 'test')
    # All of them, but for an hour: until then it has not passed.
    feeds.release('4.0', ALL.replace('soak: 1s', 'soak: 1h').replace('max_soak: 1h', 'max_soak: 2h'), b'4')
    wait_until(lambda: feeds.rollout('4.0')['state'] == 'running', 'it runs')
    time.sleep(0.5)
    assert feeds.list() == [] # 2.0 is nobody's any more
    feeds.must('halt', '4.0', '--reason', 'test')
    wait_until(lambda: [b['filename'] for b in feeds.list()] == ['2.0.zip'], 'as before')


def test_a_halt_takes_it_out(feeds):
    feeds.complete('2.0')
    feeds.complete('3.0', b'3')
    feeds.must('halt', '3.0', '--reason', 'test')
    wait_until(lambda: [b['filename'] for b in feeds.list()] == ['2.0.zip'], 'the one before')


def test_of_another_ring(feeds):
    feeds.complete('2.0')
    (build,) = feeds.list('/feed/a-dev')
    assert (build['romtype'], build['version'], build['filename']) == ('weekly', '21.0', '2.0.zip')
    feeds.kill()
    feeds.start()
    wait_until(lambda: feeds.list('/feed/a-dev') == [build], 'as before')


def test_what_is_none(feeds):
    for path in ('/feed/', '/feed/b', '/feed/A', '/feed', '/feed//a'):
        assert feeds.get(path)[0] == 404, path
    c = feeds.connect()
    c.request('POST', '/feed/a', b'')
    assert c.getresponse().status == 405
    c.close()
    assert feeds.list('/feed/a/' + 'x' * 500) == []


def test_off_by_default(tmp_path):
    d = Deployment(tmp_path)
    d.start()
    try:
        for method, path in (('GET', '/feed/a'), ('GET', '/file/x'), ('POST', '/v1/update/'),
                             ('POST', '/omaha/x/v1/update/')):
            c = d.connect()
            c.request(method, path, b'')
            assert c.getresponse().status == 404, path
            c.close()
    finally:
        d.stop()
