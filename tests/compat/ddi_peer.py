# SPDX-License-Identifier: Apache-2.0
"""As much of a hawkBit server as shows what a device says: one device, one action."""
import hashlib
import json
import re

from peer import Answer, Peer, file_answer, json_answer

EXECUTIONS = ("closed", "proceeding", "canceled", "scheduled", "rejected", "resumed", "download",
              "downloaded")
BODY_MAX = 128 * 1024

class DdiPeer(Peer):
    def __init__(self, certificate, key, bundle, **options):
        super().__init__(certificate, key, options.get("clients"))
        self.bundle = bundle                 # bytes of a .swu
        self.controller = options.get("controller", "dev-0001")
        self.token = options.get("token", "TargetToken " + "0" * 32)
        self.sleep_s = options.get("sleep_s", 1)
        self.offer = "deploy"                # or idle, or cancel
        self.action = "7"
        self.attributes = None               # what configData said
        self.cut_after = None                # bytes of the next download
        self.pause_s = 0                     # before each 4 KiB of a download
        self.accepts_feedback = True
        self.names_artifact = True           # else its links are left out

    @property
    def base(self):
        return f"/DEFAULT/controller/v1/{self.controller}"

    def feedback(self):
        """(kind, execution, finished, details) of each report; its JSON may be invalid."""
        return [read_feedback(r) for r in self.requests
                if r.path.endswith("/feedback") and r.status == 200]

    def closed(self):
        """The last word on the action: "success" or "failure"; None as long as there is none."""
        return next((f for kind, e, f, _ in self.feedback()
                     if kind == "deploymentBase" and e == "closed"), None)

    def answer(self, request):
        if request.path == "/artifacts/test.swu":
            return self.download(request)
        if request.header("Authorization") != self.token:
            return Answer(401)
        tenant, at, rest = request.path.partition("/controller/")
        what = (tenant.upper() + at + rest).removeprefix(self.base)
        routes = ((r"", self.poll), (r"/configData", self.config_data),
                  (r"/deploymentBase/\d+", self.deployment), (r"/cancelAction/\d+", self.cancel),
                  (r"/(deploymentBase|cancelAction)/[^/]+/feedback", self.take_feedback))
        for pattern, route in routes:
            if re.fullmatch(pattern, what):
                return route(request)
        return Answer(404)

    def poll(self, _):
        links = {}
        if self.attributes is None:
            links["configData"] = "/configData"
        if self.offer == "deploy":
            links["deploymentBase"] = f"/deploymentBase/{self.action}?c=1"
        if self.offer == "cancel":
            links["cancelAction"] = f"/cancelAction/{self.action}"
        return json_answer({
            "config": {"polling": {"sleep": f"00:00:{self.sleep_s:02}"}},
            "_links": {k: {"href": self.url + self.base + v} for k, v in links.items()}})

    def config_data(self, request):
        pairs = request.body.decode().partition('"data"')[2]
        self.attributes = dict(re.findall(r'"([^"]*)": "([^"]*)"', pairs))
        return Answer()

    def deployment(self, _):
        href = {"href": f"{self.url}/artifacts/test.swu"}
        links = {"download": href} if self.names_artifact else {}
        artifact = {"filename": "test.swu", "size": len(self.bundle), "_links": links,
                    "hashes": {"sha1": hashlib.sha1(self.bundle).hexdigest(),
                               "sha256": hashlib.sha256(self.bundle).hexdigest()}}
        chunk = {"part": "os", "version": "2.0", "name": "test", "artifacts": [artifact]}
        return json_answer({"id": self.action, "deployment": {
            "download": "forced", "update": "forced", "chunks": [chunk]}})

    def cancel(self, _):
        return json_answer({"id": self.action, "cancelAction": {"stopId": self.action}})

    def take_feedback(self, request):
        if not self.accepts_feedback:
            return Answer(503)
        if len(request.body) > BODY_MAX:
            return Answer(413)
        if request.path.split("/")[-2] != self.action:
            return Answer(404)
        kind, execution, finished, _ = read_feedback(request)
        if execution not in EXECUTIONS:
            return Answer(400)
        if kind == "cancelAction" and self.offer != "cancel":
            return Answer(405)
        if self.offer == "idle":
            return Answer(410)
        if execution == "closed" and (kind == "cancelAction" or finished != "none"):
            self.offer = "idle"
        return Answer()

    def download(self, request):
        if request.method == "HEAD":
            return file_answer(request, self.bundle)
        cut, self.cut_after = self.cut_after, None
        return file_answer(request, self.bundle, cut_after=cut, pause_s=self.pause_s)


def read_feedback(request):
    """(kind, execution, finished, details); what swupdate says of a failure may be no JSON."""
    kind, text = request.path.split("/")[-3], request.body.decode(errors="replace")
    try:
        status = json.loads(text)["status"]
        return (kind, status["execution"], status["result"]["finished"],
                "\n".join(status.get("details", [])))
    except json.JSONDecodeError:
        found = [re.search(rf'"{name}"\s*:\s*"(\w+)"', text) for name in ("execution", "finished")]
        return kind, *(m[1] if m else None for m in found), text.partition('"details"')[2]
    except (KeyError, TypeError, RecursionError):
        return kind, None, None, ""
