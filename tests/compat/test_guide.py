# SPDX-License-Identifier: Apache-2.0
"""The programs of docs/compat.md, as they stand there, at servers that answer as hawkBit and Mender
do; and their files, brought to the real huidud."""
import base64
import os
import pathlib
import re
import subprocess
import textwrap
import urllib.parse

import pytest

import ddi_client
import mender_client
from peer import Answer, Peer, json_answer
from test_huidud import Deployment

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "compat.md"
DEVICES = 1203  # three pages
FACTORY = """    factory:
      - {product: phone-a, build: '1.0', counter: 100}
    fill: hash"""
COMPAT = """
compat:
  hawkbit: [{product: phone-a}]
  mender: [{device_type: phone-a, product: phone-a}]
"""


def program(name):
    text = PAGE.read_text().split(f"**{name}.**", 1)[1]
    block = re.search(r"\n\n((?:    .*\n|\n)+)", text)[1]
    return textwrap.dedent(block)


def fetch(name, certificate, **environment):
    """What the page's program prints, (file, remarks)."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", program(name)], capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "SSL_CERT_FILE": str(certificate), **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


class HawkBit(Peer):
    """Devices "dev:0", "dev:1", ...; every hundredth shows no token, the first has no build."""

    def answer(self, request):
        if request.header("Authorization") != "Basic " + base64.b64encode(b"ann:secret").decode():
            return Answer(401)
        url = urllib.parse.urlsplit(request.target)
        if url.path == "/rest/v1/targets":
            asked = dict(urllib.parse.parse_qsl(url.query))
            first, n = int(asked["offset"]), min(int(asked["limit"]), 500)
            return json_answer({"total": DEVICES, "content": [
                self.target(i) for i in range(first, min(first + n, DEVICES))]})
        number = re.fullmatch(r"/rest/v1/targets/dev%3A(\d+)/installedDS", url.path)
        if number is None:
            return Answer(404)
        return Answer(200) if number[1] == "0" else json_answer({"name": "os", "version": "1.0"})

    @staticmethod
    def target(i):
        out = {"controllerId": f"dev:{i}", "createdAt": 1767225600000}
        if i % 100 != 1:
            out["securityToken"] = f"{i:032x}"
        return out


DEVICES_OF_MENDER = (
    {}, {"key": "rsa"}, {"key": "ed25519"}, {"identity": {"serial": "7", "imei": "35"}},
    {"identity": {"mac": "aa:bb", "Z": "a", "z": ""}}, {"identity": {"a": "with a blank"}},
    {"identity": {"name": "\u00fc\u0416", "slash": "a/b"}}, {"identity": {"x": "y" * 200}},
    {"identity": {str(i): "v" for i in range(9)}}, {"identity": {"list": ["a", "b"]}},
    {"identity": {"b": "x" * 124, "a": ""}}, {"identity": {"b": "x" * 123, "a": ""}},
    {"identity": {"quoted": "\"'\\,="}})


class MenderManagement(Peer):
    """Devices as scripts; the last has no inventory but its type."""

    devices = ()

    def answer(self, request):
        if request.header("Authorization") != "Bearer pat":
            return Answer(401)
        url = urllib.parse.urlsplit(request.target)
        asked = dict(urllib.parse.parse_qsl(url.query))
        numbers = range(len(self.devices)) if asked["page"] == "1" else ()
        if url.path == "/api/management/v2/devauth/devices" and asked["status"] == "accepted":
            return json_answer([self.device(i) for i in numbers])
        if url.path == "/api/management/v1/inventory/devices":
            return json_answer([self.inventory(i) for i in numbers])
        return Answer(404)

    def device(self, i):
        return {"id": f"id-{i}", "created_ts": "2026-01-31T08:00:00.000Z",
                "identity_data": self.devices[i].identity, "auth_sets": [
                    {"status": "rejected", "pubkey": self.devices[i - 1].public_key()},
                    {"status": "accepted", "pubkey": self.devices[i].public_key()}]}

    def inventory(self, i):
        return {"id": f"id-{i}", "attributes": [{"name": "device_type", "value": "phone-a"}] +
                [{"name": "artifact_name", "value": "1.0"}] * (i != len(self.devices) - 1)}


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    d.edit({"    fill: hash": FACTORY})
    d.config.write_text(d.config.read_text() + COMPAT)
    d.start()
    yield d
    d.stop()


def bring(deployment, tmp_path, text):
    file = tmp_path / "fleet.csv"
    file.write_text(text)
    out = deployment.json("fleet", "import", file)
    assert out["conflicts"] == 0
    return out["rows"], out["added"]


def test_hawkbit(deployment, certificate, tmp_path):
    with HawkBit(*certificate) as peer:
        text, said = fetch("hawkBit", certificate[0], HAWKBIT=f"127.0.0.1:{peer.port}",
                           LOGIN="ann:secret", PRODUCT="phone-a")
    without = len(range(1, DEVICES, 100))
    assert said.startswith(f"{without} devices ")
    rows = text.splitlines()
    assert rows[:4] == ["product,protocol,name,token,build,enrolled",
                        f"phone-a,hawkbit,dev:0,{0:032x},,2026-01-01",
                        "phone-a,hawkbit,dev:1,,1.0,2026-01-01",
                        f"phone-a,hawkbit,dev:2,{2:032x},1.0,2026-01-01"]
    assert len(rows) == 1 + DEVICES
    assert bring(deployment, tmp_path, text) == (DEVICES, DEVICES)
    device = ddi_client.Client(deployment.port, deployment.folder / "tls/cert.pem", "dev:2",
                               auth=f"TargetToken {2:032x}")
    assert device.poll() is not None


def test_mender(deployment, certificate, tmp_path):
    devices = [mender_client.Client(deployment.port, deployment.folder / "tls/cert.pem", tmp_path,
                                    str(i), tenant_token="", **how)
               for i, how in enumerate(DEVICES_OF_MENDER)]
    with MenderManagement(*certificate) as peer:
        peer.devices = devices
        text, said = fetch("Mender", certificate[0], MENDER=peer.url, TOKEN="pat")
    assert said.startswith("0 devices ")
    header, *rows = text.splitlines()
    assert header == "product,protocol,name,key,build,enrolled"
    assert re.fullmatch(r"phone-a,mender,imei=0,MFkw[A-Za-z0-9+/]{118}==,1\.0,2026-01-31", rows[0])
    assert rows[-1].startswith("phone-a,mender,") and rows[-1].endswith(",,2026-01-31")
    assert bring(deployment, tmp_path, text) == (len(devices), len(devices))
    # Each is who it was, without a tenant token; whatever its name was made of.
    for device in devices:
        assert device.authenticate() == 200, device.identity
        assert device.next() is None
