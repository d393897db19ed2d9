# SPDX-License-Identifier: Apache-2.0
"""A device of Omaha as a script: it says what Flatcar's update_engine says, over TLS, and believes
nothing but the answer."""
import base64
import hashlib
import http.client
import ssl
import urllib.parse
import xml.etree.ElementTree as ET

APP = '{e96281a6-d1af-4bde-9a0a-97b76e56dc57}'
TOKEN = 'gateway-token-0001'
ROLLED_BACK = 44


def element(name, **attributes):
    return f'<{name} ' + ' '.join(f'{k}="{v}"' for k, v in attributes.items()) + f'></{name}>'


class Client:
    def __init__(self, port, certificate, machine, version='1.0', app=APP, token=TOKEN):
        self.port, self.machine, self.version, self.app = port, machine, version, app
        self.path = f'/omaha/{token}/v1/update/' if token else '/v1/update/'
        self.context = ssl.create_default_context(cafile=certificate)
        self.previous = '0.0.0.0' # as remembered: it is said once

    def call(self, method, path, body=None, headers=None):
        """(status, body, headers); one connection a call."""
        c = http.client.HTTPSConnection('localhost', self.port, context=self.context, timeout=30)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.read(), r.headers
        finally:
            c.close()

    # ---- what it says

    def app_element(self, *children):
        return (f'<app appid="{self.app}" version="{self.version}" track="stable" bootid="{{b}}" oem="" '
                f'oemversion="" alephversion="1.0" machineid="{self.machine}" machinealias="" lang="en-US" '
                f'board="amd64-usr" hardware_class="" delta_okay="false" >{"".join(children)}</app>')

    def post(self, *apps, source='scheduler'):
        """The answer's app elements, of a request with these."""
        body = ('<?xml version="1.0" encoding="UTF-8"?>\n<request protocol="3.0" '
                'version="update_engine-0.4.10" updaterversion="update_engine-0.4.10" '
                f'installsource="{source}" ismachine="1"><os version="Chateau" platform="CoreOS" '
                f'sp="x"></os>{"".join(apps)}</request>')
        status, text, headers = self.call('POST', self.path, body.encode(),
                                          {'Content-Type': 'text/xml; charset=utf-8'})
        assert status == 200, (status, text)
        assert headers['Content-Type'] == 'text/xml; charset=utf-8'
        root = ET.fromstring(text)
        assert (root.tag, root.get('protocol')) == ('response', '3.0')
        return root.findall('app')

    def say(self, *children):
        (app,) = self.post(self.app_element(*children))
        assert app.get('appid') == self.app
        return app

    def event(self, kind, result, code=None, previous=None):
        more = {} if code is None else {'errorcode': code}
        if previous is not None:
            more['previousversion'] = previous
        app = self.say(element('event', eventtype=kind, eventresult=result, **more))
        assert app.get('status') == 'ok' and app.find('event').get('status') == 'ok'
        assert app.find('updatecheck') is None

    def ping(self):
        assert self.say(element('ping', active=1)).find('ping').get('status') == 'ok'

    def check_elements(self):
        if self.previous == self.version:
            event = element('event', eventtype=3, eventresult=0, errorcode=ROLLED_BACK,
                            previousversion=self.previous)
        else:
            event = element('event', eventtype=3, eventresult=2, previousversion=self.previous)
        return element('ping', active=1), element('updatecheck'), event

    def check(self):
        """The whole answer to a check; what it ran before is said once."""
        app = self.say(*self.check_elements())
        self.previous = ''
        return app

    def poll(self):
        """The update it is offered, or None."""
        app = self.check()
        assert app.get('status') == 'ok', ET.tostring(app)
        check = app.find('updatecheck')
        assert check.get('status') in ('ok', 'noupdate') and int(check.get('PollInterval')) > 0
        return understood(check) if check.get('status') == 'ok' else None

    # ---- as update_engine does it

    def download(self, update, start=0):
        url = urllib.parse.urlsplit(update['codebase'].rstrip('/') + '/' + update['name'])
        assert url.scheme == 'https' and url.netloc == f'localhost:{self.port}', update
        status, body, _ = self.call('GET', url.path,
                                    headers={'Range': f'bytes={start}-'} if start else None)
        assert status == (206 if start else 200)
        if not start:
            assert len(body) == update['size']
            assert base64.b64encode(hashlib.sha256(body).digest()).decode() == update['sha256']
            assert base64.b64encode(hashlib.sha1(body).digest()).decode() == update['sha1']
        return body

    def apply(self, update):
        self.event(13, 1)
        self.download(update)
        self.event(14, 1)
        self.event(3, 1)
        self.previous = self.version

    def reboot(self, update):
        self.version = update['version']


def understood(check):
    """As omaha_request_action.cc reads it: the first of each."""
    manifest = check.find('manifest')
    package = manifest.find('packages/package')
    (action,) = [a for a in manifest.findall('actions/action') if a.get('event') == 'postinstall']
    assert package.get('name') and int(package.get('size')) > 0
    assert action.get('sha256') == package.get('hash_sha256')
    return {'version': manifest.get('version'), 'codebase': check.find('urls/url').get('codebase'),
            'name': package.get('name'), 'size': int(package.get('size')),
            'sha1': package.get('hash'), 'sha256': action.get('sha256')}
