# SPDX-License-Identifier: Apache-2.0
"""A device of hawkBit as a script: it says what swupdate and rauc-hawkbit-updater say, over TLS, and
believes nothing but the answer."""
import hashlib
import http.client
import json
import ssl
import urllib.parse


class Client:
    def __init__(self, port, certificate, name, tenant='DEFAULT', auth='GatewayToken gateway-token-0001',
                 client=None):
        self.port, self.name, self.tenant = port, name, tenant
        self.context = ssl.create_default_context(cafile=certificate)
        if client:
            self.context.load_cert_chain(*client)
        self.headers = {'Authorization': auth} if auth else {}
        self.base = f'/{tenant}/controller/v1/{name}'

    def call(self, method, path, body=None, headers=None):
        """(status, body, headers); one connection a call, as the clients do."""
        c = http.client.HTTPSConnection('localhost', self.port, context=self.context, timeout=30)
        try:
            c.request(method, path, body, {**self.headers, **(headers or {})})
            r = c.getresponse()
            return r.status, r.read(), r.headers
        finally:
            c.close()

    def get(self, path):
        status, body, headers = self.call('GET', path)
        assert status == 200, (path, status, body)
        assert headers['Content-Type'] == 'application/json'
        return json.loads(body)

    def follow(self, link):
        url = urllib.parse.urlsplit(link['href'])
        assert url.scheme == 'https' and url.netloc == f'localhost:{self.port}', link
        return url.path

    def poll(self):
        answer = self.get(self.base)
        hours, minutes, seconds = answer['config']['polling']['sleep'].split(':')
        assert len(hours) == len(minutes) == len(seconds) == 2
        links = answer.get('_links', {})
        assert not ('deploymentBase' in links and 'cancelAction' in links)
        return links

    def sleep_s(self):
        h, m, s = self.get(self.base)['config']['polling']['sleep'].split(':')
        return int(h) * 3600 + int(m) * 60 + int(s)

    def tell(self, **attributes):
        body = json.dumps({'id': '', 'time': '20261121T171930', 'status': {
            'result': {'finished': 'success'}, 'execution': 'closed', 'details': ['']},
            'data': attributes})
        status, text, _ = self.call('PUT', f'{self.base}/configData', body)
        assert (status, text) == (200, b'')

    def deployment(self, links):
        """The action the links name, as (number, artifact)."""
        answer = self.get(self.follow(links['deploymentBase']))
        assert isinstance(answer['id'], str) and 0 < int(answer['id']) < 2 ** 31
        deployment = answer['deployment']
        assert (deployment['download'], deployment['update']) == ('forced', 'forced')
        (chunk,) = deployment['chunks']
        assert chunk['part'] == 'os' and chunk['version'] and chunk['name']
        (artifact,) = chunk['artifacts']
        assert artifact['filename'].endswith('.swu') and isinstance(artifact['size'], int)
        return int(answer['id']), artifact

    def download(self, artifact, start=0):
        path = self.follow(artifact['_links']['download'])
        status, _, headers = self.call('HEAD', path)
        assert (status, int(headers['Content-Length'])) == (200, artifact['size'])
        status, body, _ = self.call('GET', path,
                                    headers={'Range': f'bytes={start}-'} if start else None)
        assert status == (206 if start else 200)
        if not start:
            assert hashlib.sha1(body).hexdigest() == artifact['hashes']['sha1']
        return body

    def feed(self, action, execution, finished='none', detail='', progress=None, where='deploymentBase'):
        result = {'finished': finished}
        if progress:
            result['progress'] = dict(zip(('cnt', 'of'), progress))
        body = json.dumps({'id': action, 'time': '20261121T171935', 'status': {
            'result': result, 'execution': execution, 'details': [detail]}})
        status, text, _ = self.call('POST', f'{self.base}/{where}/{action}/feedback', body)
        assert status != 200 or text == b''
        return status

    # ---- as swupdate does it

    def begin(self, links):
        action, artifact = self.deployment(links)
        assert self.feed(action, 'proceeding', detail='Installing Update Chunk Artifacts.',
                         progress=(0, 1)) == 200
        return action, artifact

    def all_there(self, action):
        for detail in ('Installed Chunk.', 'All Chunks Installed.'):
            assert self.feed(action, 'proceeding', detail=detail, progress=(1, 1)) == 200

    def install(self, links):
        action, artifact = self.begin(links)
        self.download(artifact)
        self.all_there(action)
        return action

    def confirm(self, links, finished='success'):
        action, _ = self.deployment(links)
        assert self.feed(action, 'closed', finished, 'Update Installed.', (0, 0)) == 200
        return action

    def cancel(self, links, execution='closed'):
        answer = self.get(self.follow(links['cancelAction']))
        stop = answer['cancelAction']['stopId']
        assert answer['id'] == stop and isinstance(stop, str)
        assert self.feed(int(stop), execution, 'success', 'cancellation acknowledged.',
                         where='cancelAction') == 200
        return int(stop)
