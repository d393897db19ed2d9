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

from mender import make_key
from peer import Answer, Peer, json_answer
from program import run
from test_huidud import Deployment

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "compat.md"
DEVICES = 1203  # three pages
FACTORY = """    factory:
      - {product: phone-a, build: '1.0', counter: 100}
    fill: hash"""


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
    """Devices "dev 0", "dev 1", ...; every hundredth shows no token, the first has no build."""

    def answer(self, request):
        if request.header("Authorization") != "Basic " + base64.b64encode(b"ann:secret").decode():
            return Answer(401)
        url = urllib.parse.urlsplit(request.target)
        if url.path == "/rest/v1/targets":
            asked = dict(urllib.parse.parse_qsl(url.query))
            first, n = int(asked["offset"]), min(int(asked["limit"]), 500)
            return json_answer({"total": DEVICES, "content": [
                self.target(i) for i in range(first, min(first + n, DEVICES))]})
        number = re.fullmatch(r"/rest/v1/targets/dev%20(\d+)/installedDS", url.path)
        if number is None:
            return Answer(404)
        return Answer(200) if number[1] == "0" else json_answer({"name": "os", "version": "1.0"})

    @staticmethod
    def target(i):
        out = {"controllerId": f"dev {i}", "createdAt": 1767225600000}
        if i % 100 != 1:
            out["securityToken"] = f"{i:032x}"
        return out


class MenderManagement(Peer):
    """One device for each key; the last has no inventory but its type."""

    keys = ()

    def answer(self, request):
        if request.header("Authorization") != "Bearer pat":
            return Answer(401)
        url = urllib.parse.urlsplit(request.target)
        asked = dict(urllib.parse.parse_qsl(url.query))
        numbers = range(len(self.keys)) if asked["page"] == "1" else ()
        if url.path == "/api/management/v2/devauth/devices" and asked["status"] == "accepted":
            return json_answer([self.device(i) for i in numbers])
        if url.path == "/api/management/v1/inventory/devices":
            return json_answer([self.inventory(i) for i in numbers])
        return Answer(404)

    def device(self, i):
        return {"id": f"id-{i}", "created_ts": "2026-01-31T08:00:00.000Z", "auth_sets": [
            {"status": "accepted", "pubkey": self.keys[i]},
            {"status": "rejected", "pubkey": self.keys[0]}]}

    def inventory(self, i):
        return {"id": f"id-{i}", "attributes": [{"name": "device_type", "value": "phone-a"}] +
                [{"name": "artifact_name", "value": "1.0"}] * (i != len(self.keys) - 1)}


@pytest.fixture
def deployment(tmp_path):
    d = Deployment(tmp_path)
    d.edit({"    fill: hash": FACTORY})
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
    assert rows[:3] == ["product,token,build,enrolled", f"phone-a,{0:032x},,2026-01-01",
                        f"phone-a,{2:032x},1.0,2026-01-01"]
    wanted = DEVICES - without
    assert len(rows) == 1 + wanted
    assert bring(deployment, tmp_path, text) == (wanted, wanted)


def test_mender(deployment, certificate, tmp_path):
    keys = [make_key(tmp_path / f"{i}.pem", kind)
            for i, kind in enumerate(("ecdsa", "rsa", "ed25519", "ecdsa"))]
    with MenderManagement(*certificate) as peer:
        peer.keys = [run("openssl", "pkey", "-in", k, "-pubout").stdout.decode() for k in keys]
        text, said = fetch("Mender", certificate[0], MENDER=peer.url, TOKEN="pat")
    assert said.startswith("2 devices ")
    header, first, last = text.splitlines()
    assert header == "product,key,build,enrolled"
    assert re.fullmatch(r"phone-a,B[A-Za-z0-9+/]{86}=,1\.0,2026-01-31", first)
    assert last.startswith("phone-a,") and last.endswith(",,2026-01-31")
    assert bring(deployment, tmp_path, text) == (2, 2)
