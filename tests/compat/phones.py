# SPDX-License-Identifier: Apache-2.0
"""A huidud that speaks to devices of Mender, and what tests ask of it."""
import json
import os

import pytest

from mender_client import Client
from test_huidud import Deployment, wait_until

TOKEN = 'tenant-token-0001'
CONTENT = os.urandom(300000)
EVENTS = ('downloaded', 'installing', 'installed', 'boot_ok', 'install_failed', 'rolled_back')
THERE = {'downloaded', 'installing', 'installed'}

STEP = '{{ring: stable, share: {}, soak: {}, max_soak: 1h, tolerance: none}}'
PLAN = '''
name: phones
rings:
  - {}
  - {}
watch: 1m
batch: 200ms
holdback: 0 %
crash_reports: none
'''
# Of one stage, which stays open: it counts to the end.
ALL = PLAN.replace('  - {}\n  - {}', '  - ' + STEP.format('100 %', '1h'))
FEW = PLAN.format(STEP.format('20 %', '1h'), STEP.format('100 %', '1h'))


class Phones(Deployment):
    def __init__(self, folder, tenants='', **changes):
        super().__init__(folder, **changes)
        (self.folder / 'tenant.tokens').write_text(f'# phones\n{TOKEN}\n')
        self.config.write_text(self.config.read_text() + f'''
compat:
  patience: 2s
  mender:
    - {{device_type: phone-x, product: phone-a, tokens: tenant.tokens}}
{tenants}''')

    def client(self, name, **options):
        """One that has authenticated, unless it must not."""
        c = Client(self.port, self.folder / 'tls/cert.pem', self.folder, name, **options)
        if options.get('lets_in', True):
            assert c.authenticate() == 200
        return c

    def publish(self, build, plan=ALL, content=CONTENT):
        self.release(build, plan, content)

    def offered(self, client, version=2):
        found = []

        def ready():
            found[:] = [client.next(version)]
            return found[0] is not None
        wait_until(ready, f'{client.name} is offered something', 30)
        return found[0]

    def foreign(self):
        lines = self.must('store', 'dump', 'foreign').splitlines()
        return {r['name']: r for r in map(json.loads, lines)}

    def record(self, client):
        return self.foreign()['imei=' + client.name]

    def state(self, client):
        return self.record(client)['state']

    def halt(self, build):
        self.must('halt', build, '--reason', 'test')

    def again(self):
        self.kill()
        self.start()

    def counts(self, build):
        s = self.rollout(build)['stages'][0]
        return {k: s.get(k) for k in ('offered', 'installed', 'boot_ok', 'failed')}

    def counted(self, client):
        """Of its action; a stage that was halted counts no more."""
        bits = self.record(client)['counted']
        return {e for i, e in enumerate(EVENTS) if bits >> i & 1}

    def comes_to(self, build, **wanted):
        """That it counted these, and nothing else but the offer."""
        want = {'offered': 1, 'installed': 0, 'boot_ok': 0, 'failed': 0, **wanted}
        wait_until(lambda: self.counts(build) == want, f'{want}, not {self.counts(build)}', 15)


@pytest.fixture
def phones(tmp_path):
    d = Phones(tmp_path)
    d.start()
    yield d
    d.stop()


def bring(phones, rows):
    (phones.folder / 'fleet.csv').write_text('product,protocol,name,token_sha256,build\n' + rows)
    return phones.json('fleet', 'import', 'fleet.csv')
