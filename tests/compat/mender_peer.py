# SPDX-License-Identifier: Apache-2.0
"""As much of a Mender server as shows what a device says: one deployment."""
import base64
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.parse

from peer import Answer, Peer, file_answer, json_answer

BASE = "/api/devices"
TOKEN = "OPAQUE.TOKEN.123"
DEPLOYMENT = "6f0b7c4c-8a1e-4b0e-9c39-2f6b8d2d9a11"
BODY_MAX = 128 * 1024
ENDS = ("success", "failure", "already-installed")
STATUSES = ENDS + ("downloading", "installing", "rebooting", "pause_before_installing",
                   "pause_before_rebooting", "pause_before_committing")


class MenderPeer(Peer):
    def __init__(self, certificate, key, artifact, **options):
        super().__init__(certificate, key, options.get("clients"))
        self.artifact = artifact                # bytes of a .mender
        self.name = options.get("name", "release-2")
        self.types = options.get("types", ["phone-x"])
        self.accepts_device = True              # else its authentication is pending
        self.has_v2 = options.get("has_v2", True)
        self.has_control_map = options.get("has_control_map", False)
        self.offers = True
        self.aborts = ()                        # statuses that are answered 409
        self.cut_after = None                   # bytes of the next download
        self.pause_s = 0                        # before each 4 KiB of a download

    def statuses(self):
        return [json.loads(r.body)["status"] for r in self.requests
                if r.path.endswith("/status") and r.status in (204, 409)]

    def last(self):
        return (self.statuses() or [None])[-1]

    def logs(self):
        return "\n".join(m["message"] for r in self.requests if r.path.endswith("/log")
                         for m in json.loads(r.body)["messages"])

    def answer(self, request):
        if request.path == "/artifacts/test.mender":
            return self.download(request)
        if len(request.body) > BODY_MAX and not request.path.endswith("/log"):
            return Answer(413)
        if request.path == f"{BASE}/v1/authentication/auth_requests":
            fits = self.accepts_device and is_signed(request)
            return Answer(200, TOKEN.encode()) if fits else Answer(401)
        if request.header("Authorization") != f"Bearer {TOKEN}":
            return Answer(401)
        mine = rf"/v1/deployments/device/deployments/{DEPLOYMENT}"
        routes = ((r"/v1/inventory/device/attributes", self.inventory),
                  (r"/v2/deployments/device/deployments/next", self.next_v2),
                  (r"/v1/deployments/device/deployments/next", self.next_v1),
                  (mine + "/status", self.status), (mine + "/log", lambda _: Answer(204)),
                  (mine.replace("v1", "v2") + "/update_control_map", self.control))
        for pattern, route in routes:
            if re.fullmatch(pattern, request.path.removeprefix(BASE)):
                return route(request)
        return Answer(404)

    @staticmethod
    def inventory(request):
        return Answer(200 if isinstance(read(request), list) else 400)

    def next_v2(self, request):
        if not self.has_v2:
            return Answer(404)
        asked = read(request)
        provides = asked.get("device_provides") if isinstance(asked, dict) else None
        return self.next(provides)

    def next_v1(self, request):
        if request.method == "GET":
            return self.next(dict(urllib.parse.parse_qsl(request.target.partition("?")[2])))
        return self.next(read(request))

    def next(self, provides):
        if not isinstance(provides, dict) or not {"artifact_name", "device_type"} <= set(provides):
            return Answer(400)
        if not self.offers:
            return Answer(204)
        offer = {"id": DEPLOYMENT, "artifact": {
            "artifact_name": self.name, "device_types_compatible": self.types,
            "source": {"uri": f"{self.url}/artifacts/test.mender",
                       "expire": "2030-01-01T00:00:00Z"}}}
        if self.has_control_map:
            offer["update_control_map"] = self.control_map()
        return json_answer(offer)

    @staticmethod
    def control_map():
        return {"id": DEPLOYMENT, "priority": 0, "states": {}}

    def control(self, _):
        if not self.has_control_map:
            return Answer(404)
        return json_answer({"update_control_map": self.control_map()})

    def status(self, request):
        said = read(request)
        status = said.get("status") if isinstance(said, dict) else None
        if status not in STATUSES:
            return Answer(400)
        if status in ENDS:
            self.offers = False
        if status in self.aborts:
            return json_answer({"error": "aborted"}, 409)
        return Answer(204)

    def download(self, request):
        cut, self.cut_after = self.cut_after, None
        return file_answer(request, self.artifact, cut_after=cut, pause_s=self.pause_s)


def read(request):
    """None: no JSON."""
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        return None


def is_signed(request):
    """By the key that it shows, with an identity that can be read."""
    said = read(request)
    try:
        identity, key = json.loads(said["id_data"]), said["pubkey"]
        signature = base64.b64decode(request.header("X-MEN-Signature"), validate=True)
    except (ValueError, TypeError, KeyError):
        return False
    return bool(identity) and any(verifies(how, key.encode(), signature, request.body)
                                  for how in (RSA_OR_ECDSA, ED25519))


RSA_OR_ECDSA = ("dgst", "-sha256", "-verify", "key", "-signature", "signature", "body")
ED25519 = ("pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin", "-in", "body", "-sigfile",
           "signature")


def verifies(how, key, signature, body):
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("key", key), ("signature", signature), ("body", body)):
            (pathlib.Path(folder) / name).write_bytes(data)
        return subprocess.run(["openssl", *how], cwd=folder, capture_output=True, check=False,
                              timeout=30).returncode == 0
