# SPDX-License-Identifier: Apache-2.0
"""As much of an Omaha server (v3) as the recorded requests need: one application, one build."""
import xml.etree.ElementTree as ET

from peer import Answer, Peer, file_answer

BODY_MAX = 64 * 1024
APP = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"
UPDATE = """<updatecheck status="ok" PollInterval="3600">
<urls><url codebase="{url}/packages/"/></urls>
<manifest version="2.0.0"><packages><package name="update.gz" hash="{sha1}" size="{size}"
required="true"/></packages><actions><action event="postinstall" sha256="{sha256}"
needsadmin="false" IsDeltaPayload="false" DisablePayloadBackoff="true"/></actions></manifest>
</updatecheck>"""


class OmahaPeer(Peer):
    def __init__(self, certificate, key, package=b"x" * 5000):
        super().__init__(certificate, key)
        self.package = package
        self.offers = True
        self.events = []  # (type, result, errorcode without its flags, previous version)

    def answer(self, request):
        if request.path == "/packages/update.gz":
            return file_answer(request, self.package)
        if request.path.rstrip("/") != "/v1/update":
            return Answer(404)
        if len(request.body) > BODY_MAX or b"<!" in request.body:
            return refusal()
        try:
            asked = ET.fromstring(request.body)
        except (ET.ParseError, ValueError, LookupError):
            return refusal()
        if asked.tag != "request" or asked.get("protocol") != "3.0" or depth(asked) > 16:
            return refusal()
        apps = "".join(self.app(a) for a in asked.findall("app"))
        body = f'<?xml version="1.0"?><response protocol="3.0" server="x">{apps}</response>'
        return Answer(200, body.encode(), {"Content-Type": "text/xml; charset=utf-8"})

    def app(self, app):
        if app.get("appid") not in (APP, APP.strip("{}")):
            return f'<app appid="{app.get("appid")}" status="error-unknownApplication"/>'
        parts = []
        for event in app.findall("event"):
            self.events.append((int(event.get("eventtype")), int(event.get("eventresult")),
                                int(event.get("errorcode", 0)) & 0x0fffffff,
                                event.get("previousversion", "")))
            self.offers &= self.events[-1][0] != 3 or self.events[-1][1] == 2 and (
                self.events[-1][3] in ("", "0.0.0.0"))
            parts.append('<event status="ok"/>')
        if app.find("ping") is not None:
            parts.append('<ping status="ok"/>')
        if app.find("updatecheck") is not None:
            parts.append(self.update() if self.offers else
                         '<updatecheck status="noupdate" PollInterval="3600"/>')
        return f'<app appid="{app.get("appid")}" status="ok">{"".join(parts)}</app>'

    def update(self):
        return UPDATE.format(url=self.url, size=len(self.package), sha1="c2hhMQ==",
                             sha256="c2hhMjU2")


def refusal():
    return Answer(400, b"this is no request that can be read\n", {"Content-Type": "text/plain"})


def depth(root):
    level, deep = [root], 0
    while level:
        level, deep = [child for element in level for child in element], deep + 1
    return deep
