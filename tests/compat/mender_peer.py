# SPDX-License-Identifier: Apache-2.0
"""As much of a Mender server as shows what a device says: one deployment."""
import json
import re

from peer import Answer, Peer, file_answer, json_answer

BASE = "/api/devices"
TOKEN = "OPAQUE.TOKEN.123"
DEPLOYMENT = "6f0b7c4c-8a1e-4b0e-9c39-2f6b8d2d9a11"


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
        return [json.loads(r.body)["status"] for r in self.requests if r.path.endswith("/status")]

    def last(self):
        return (self.statuses() or [None])[-1]

    def logs(self):
        return "\n".join(m["message"] for r in self.requests if r.path.endswith("/log")
                         for m in json.loads(r.body)["messages"])

    def answer(self, request):
        if request.path == "/artifacts/test.mender":
            return self.download(request)
        if request.path == f"{BASE}/v1/authentication/auth_requests":
            return Answer(200, TOKEN.encode()) if self.accepts_device else Answer(401)
        if request.header("Authorization") != f"Bearer {TOKEN}":
            return Answer(401)
        what = request.path.removeprefix(BASE)
        routes = ((r"/v1/inventory/device/attributes", lambda _: Answer(200)),
                  (r"/v2/deployments/device/deployments/next", self.next_v2),
                  (r"/v1/deployments/device/deployments/next", self.next),
                  (r"/v1/deployments/device/deployments/[^/]+/status", self.status),
                  (r"/v1/deployments/device/deployments/[^/]+/log", lambda _: Answer(204)),
                  (r"/v2/deployments/device/deployments/[^/]+/update_control_map", self.control))
        for pattern, route in routes:
            if re.fullmatch(pattern, what):
                return route(request)
        return Answer(404)

    def next_v2(self, request):
        return self.next(request) if self.has_v2 else Answer(404)

    def next(self, _):
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
        status = json.loads(request.body)["status"]
        if status in ("success", "failure", "already-installed"):
            self.offers = False
        if status in self.aborts:
            return json_answer({"error": "aborted"}, 409)
        return Answer(204)

    def download(self, request):
        cut, self.cut_after = self.cut_after, None
        return file_answer(request, self.artifact, cut_after=cut, pause_s=self.pause_s)
