# SPDX-License-Identifier: Apache-2.0
"""A device of Mender as a script: it says what mender-client says, over TLS, signs as it does, and
believes nothing but the answer."""
import base64
import http.client
import json
import re
import ssl
import urllib.parse

from mender import make_key
from program import run

API = '/api/devices'
UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


class Client:
    """`folder` is where its key lies, or will lie."""

    def __init__(self, port, certificate, folder, name, **options):
        self.port, self.name = port, name
        self.context = ssl.create_default_context(cafile=certificate)
        self.identity = options.get('identity', {'imei': name})
        self.device_type = options.get('device_type', 'phone-x')
        self.runs = options.get('runs', '1.0')
        self.tenant_token = options.get('tenant_token', 'tenant-token-0001')
        self.kind = options.get('key', 'ecdsa')
        self.key = folder / f'{name}.key'
        if not self.key.exists():
            make_key(self.key, self.kind)
        self.token = ''

    def call(self, method, path, body=None, headers=None):
        """(status, body, headers).  A body goes out in pieces, as the client does it."""
        c = http.client.HTTPSConnection('localhost', self.port, context=self.context, timeout=30)
        if body is not None:
            body = [body[i:i + 37] for i in range(0, len(body), 37)] if len(body) < 9999 else [body]
        try:
            c.request(method, path, body, headers if headers is not None else
                      {'Authorization': f'Bearer {self.token}', 'Content-Type': 'application/json'},
                      encode_chunked=body is not None)
            r = c.getresponse()
            return r.status, r.read(), r.headers
        finally:
            c.close()

    def send(self, method, path, value):
        return self.call(method, API + path, json.dumps(value).encode())

    # ---- who it is

    def public_key(self):
        return run('openssl', 'pkey', '-in', self.key, '-pubout').stdout.decode()

    def fingerprint(self):
        der = run('openssl', 'pkey', '-in', self.key, '-pubout', '-outform', 'DER').stdout
        return run('openssl', 'dgst', '-sha256', '-r', input=der).stdout.decode()[:64]

    def sign(self, body):
        if self.kind != 'ed25519':
            return run('openssl', 'dgst', '-sha256', '-sign', self.key, input=body).stdout
        file = self.key.with_suffix('.body')
        file.write_bytes(body)
        return run('openssl', 'pkeyutl', '-sign', '-rawin', '-inkey', self.key, '-in', file).stdout

    def request_of(self, **changes):
        """(body, headers) of an authentication."""
        body = json.dumps({'id_data': json.dumps(self.identity), 'tenant_token': self.tenant_token,
                           'pubkey': self.public_key(), **changes}).encode() + b'\n'
        return body, {'Authorization': f'Bearer {self.tenant_token}',
                      'X-MEN-Signature': base64.b64encode(self.sign(body)).decode()}

    def authenticate(self, **changes):
        """The answer's status; with 200 it has a token."""
        body, headers = self.request_of(**changes)
        status, token, _ = self.call('POST', f'{API}/v1/authentication/auth_requests', body, headers)
        if status == 200:
            self.token = token.decode()
            assert re.fullmatch(r'[A-Za-z0-9+/]{40,200}', self.token)
        return status

    def tell(self, method='PUT', **attributes):
        says = {'device_type': self.device_type, 'artifact_name': self.runs,
                'mender_client_version': '3.4.0', **attributes}
        status, _, _ = self.send(method, '/v1/inventory/device/attributes',
                                 [{'name': n, 'value': v} for n, v in says.items()])
        return status

    # ---- updates

    def provides(self):
        return {'artifact_name': self.runs, 'device_type': self.device_type}

    def ask(self, version=2):
        """(status, body) of deployments/next."""
        if version == 2:
            r = self.send('POST', '/v2/deployments/device/deployments/next',
                          {'device_provides': self.provides(), 'update_control_map': True})
        elif version == 1:
            r = self.send('POST', '/v1/deployments/device/deployments/next', self.provides())
        else:
            r = self.call('GET', f'{API}/v1/deployments/device/deployments/next?'
                          + urllib.parse.urlencode(self.provides()))
        return r[:2]

    def next(self, version=2):
        """What is there for it, or None."""
        status, body = self.ask(version)
        if status == 204:
            assert body == b''
            return None
        assert status == 200, (status, body)
        offer = json.loads(body)
        control = {'id': offer['id'], 'priority': 0, 'states': {}}
        assert offer.pop('update_control_map', None) == (control if version == 2 else None)
        assert set(offer) == {'id', 'artifact'} and UUID.fullmatch(offer['id'])
        artifact = offer['artifact']
        assert artifact['device_types_compatible'] == [self.device_type]
        assert re.fullmatch(r'20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z', artifact['source'].pop('expire'))
        return offer

    def control(self, offer):
        """What it is to do before each step, or None."""
        status, body, _ = self.call(
            'GET', f"{API}/v2/deployments/device/deployments/{offer['id']}/update_control_map")
        if status == 404:
            return None
        assert status == 200, (status, body)
        control = json.loads(body)['update_control_map']
        assert control['id'] == offer['id'] and control['priority'] == 0
        return {name: state['action'] for name, state in control['states'].items()}

    def path_of(self, offer):
        url = urllib.parse.urlsplit(offer['artifact']['source']['uri'])
        assert url.scheme == 'https' and url.netloc == f'localhost:{self.port}', url
        return url.path

    def download(self, offer, start=0):
        status, body, _ = self.call('GET', self.path_of(offer), None,
                                    {'Range': f'bytes={start}-'} if start else {})
        assert status == (206 if start else 200)
        return body

    def say(self, offer, *statuses, **more):
        """Says one after the other; the status of the last answer."""
        answer = None
        for word in statuses:
            answer, text, _ = self.send(
                'PUT', f"/v1/deployments/device/deployments/{offer['id']}/status",
                {'status': word, **more})
            assert answer != 204 or text == b''
        return answer

    def log(self, offer, message='it failed'):
        return self.send('PUT', f"/v1/deployments/device/deployments/{offer['id']}/log", {
            'messages': [{'level': 'error', 'message': message,
                          'timestamp': '2026-01-01T12:00:00Z'}]})[0]

    def install(self, offer):
        """Until the reboot."""
        assert self.say(offer, 'downloading', 'downloading') == 204
        content = self.download(offer)
        assert self.say(offer, 'installing', 'rebooting') == 204
        return content

    def boot(self, offer):
        """What it says when it has come up with the new one."""
        assert self.authenticate() == 200
        assert self.say(offer, 'installing', 'success') == 204
        self.runs = offer['artifact']['artifact_name']
