# SPDX-License-Identifier: Apache-2.0
"""What Debian's swupdate does with a hawkBit server: it is understood, before one is blamed."""
import json
import time

import pytest

from ddi_peer import DdiPeer
from peer import WAIT_S
from swupdate import FAILED, SUCCESS, SwUpdate, make_bundle, make_signer

TOKEN = "0" * 32


class Scene:
    """One device, its peer, and a bundle of version 2.0."""

    def __init__(self, place, certificate, signer, **options):
        self.bundle = make_bundle(place / "bundle", options.pop("made_by", signer), "2.0",
                                  hardware=options.pop("made_for", "1.0"),
                                  size=options.pop("size", 20000))
        self.peer = DdiPeer(*certificate, self.bundle.read_bytes(), **options)
        self.device = SwUpdate(place / "d", self.peer.url, certificate[0], signer,
                               targettoken=TOKEN)

    def __enter__(self):
        self.peer.__enter__()
        return self

    def __exit__(self, *_):
        self.device.kill()
        self.peer.__exit__()

    def details(self):
        return "\n".join(d for _, _, _, d in self.peer.feedback())

    def wait_said(self, text):
        self.peer.wait(lambda: text in self.details())

    def downloads(self):
        return [r for r in self.peer.requests
                if r.path.startswith("/artifacts/") and r.method == "GET"]


@pytest.fixture
def scene(place, certificate, signer):
    with Scene(place, certificate, signer) as s:
        yield s


def install(scene):
    scene.device.start()
    scene.wait_said("All Chunks Installed.")
    assert scene.device.installed() == "2.0"
    assert scene.peer.closed() is None  # not before the restart


def test_whole_update(scene):
    install(scene)
    assert scene.peer.attributes == {"hwVersion": "333", "serialNo": "1234567890"}
    executions = {(e, f) for _, e, f, _ in scene.peer.feedback()}
    assert executions == {("proceeding", "none")}
    scene.device.restart(SUCCESS)
    scene.peer.wait(lambda: scene.peer.closed() is not None)
    assert scene.peer.closed() == "success"
    assert "Update Installed." in scene.peer.feedback()[-1][3]
    order = [r.method + " " + r.path.split("/")[-1] for r in scene.peer.requests]
    assert order.index("HEAD test.swu") < order.index("GET test.swu")


def test_rollback_is_reported(scene):
    install(scene)
    scene.device.restart(FAILED)
    scene.peer.wait(lambda: scene.peer.closed() is not None)
    assert scene.peer.closed() == "failure"
    assert "Update Failed." in scene.peer.feedback()[-1][3]


def test_confirms_whatever_is_offered(scene):
    """After a restart it does not know which action it installed."""
    install(scene)
    scene.device.stop()
    scene.peer.action = "8"
    scene.device.start(SUCCESS)
    scene.peer.wait(lambda: scene.peer.closed() is not None)
    last = [r for r in scene.peer.requests if r.path.endswith("/feedback")][-1]
    assert last.path.endswith("/deploymentBase/8/feedback")


def test_wrong_signer(place, certificate, signer):
    with Scene(place, certificate, signer, made_by=make_signer(place, "stranger")) as scene:
        scene.device.start()
        scene.peer.wait(lambda: scene.peer.closed() is not None)
        assert scene.peer.closed() == "failure"
        assert "No suitable .swu image found" in scene.details()
        assert scene.device.installed() is None


def test_wrong_hardware(place, certificate, signer):
    with Scene(place, certificate, signer, made_for="9.9") as scene:
        scene.device.start()
        scene.peer.wait(lambda: scene.peer.closed() is not None)
        assert scene.peer.closed() == "failure"
        assert "SW not compatible with hardware" in scene.details()
        assert scene.device.installed() is None


def test_cut_connection_resumes(scene):
    scene.peer.cut_after = 8000
    install(scene)
    first, second = scene.downloads()
    assert (first.header("Range"), first.status) == (None, 200)
    assert second.status == 206
    assert 0 < int(second.header("Range").removeprefix("bytes=").rstrip("-")) <= 8000


def test_killed_while_downloading(place, certificate, signer):
    with Scene(place, certificate, signer, size=100_000) as scene:
        scene.peer.pause_s = 0.2
        scene.device.start()
        scene.peer.wait(scene.downloads)
        scene.device.kill()
        assert not scene.device.runs() and scene.device.installed() is None
        scene.peer.pause_s = 0
        install(scene)  # it has forgotten the first, and begins anew


def test_cancel_while_downloading(place, certificate, signer):
    with Scene(place, certificate, signer, size=800_000) as scene:
        scene.peer.pause_s = 0.2  # 40 s in all
        scene.device.start()
        scene.peer.wait(scene.downloads)
        scene.peer.offer = "cancel"
        scene.peer.wait(lambda: scene.peer.offer == "idle", 30)
        assert scene.device.installed() is None
        assert scene.peer.feedback()[-1][:3] == ("cancelAction", "closed", "success")


def test_cancel_is_acknowledged_though_it_is_installed(scene):
    install(scene)
    scene.peer.offer = "cancel"
    scene.peer.wait(lambda: scene.peer.offer == "idle")
    assert scene.peer.feedback()[-1][:3] == ("cancelAction", "closed", "success")
    assert scene.device.installed() == "2.0"


def test_says_what_is_no_json(scene):
    scene.peer.names_artifact = False
    scene.device.start()
    scene.peer.wait(lambda: scene.peer.closed() is not None)
    assert scene.peer.closed() == "failure"
    last = next(r for r in scene.peer.requests if b'"closed"' in r.body and b"failure" in r.body)
    with pytest.raises(json.JSONDecodeError, match="control character"):
        json.loads(last.body)


def test_report_is_repeated_until_taken(scene):
    install(scene)
    scene.peer.accepts_feedback = False
    scene.device.restart(SUCCESS)
    scene.peer.wait(lambda: any(r.status == 503 for r in scene.peer.requests))
    scene.peer.accepts_feedback = True
    scene.peer.wait(lambda: scene.peer.closed() == "success")


def test_gateway_token(place, certificate, signer):
    with Scene(place, certificate, signer, token="GatewayToken abc") as scene:
        scene.device = SwUpdate(place / "g", scene.peer.url, certificate[0], signer,
                                gatewaytoken="abc")
        install(scene)


def test_older_is_taken(scene, place, signer):
    install(scene)
    scene.device.restart(SUCCESS)
    scene.peer.wait(lambda: scene.peer.closed() == "success")
    older = make_bundle(place / "older", signer, "1.0").read_bytes()
    with scene.peer.lock:
        scene.peer.bundle, scene.peer.action, scene.peer.offer = older, "8", "deploy"
    scene.peer.wait(lambda: scene.device.installed() == "1.0")


def test_client_certificate(place, certificate, signer):
    with Scene(place, certificate, signer, token=None, clients=certificate[0]) as scene:
        scene.device = SwUpdate(place / "c", scene.peer.url, certificate[0], signer,
                                client=certificate)
        install(scene)


def test_trusts_no_other_server(scene, place, certificate, signer):
    device = SwUpdate(place / "x", scene.peer.url, signer.certificate, signer, targettoken=TOKEN)
    with device:
        device.start()
        end = time.monotonic() + WAIT_S
        while "SSL peer certificate" not in device.log():
            assert time.monotonic() < end, device.log()[-3000:]
            time.sleep(0.1)
    assert scene.peer.requests == []


def test_side_by_side(place, certificate, signer):
    scenes = []
    try:
        for i in range(4):
            scenes.append(Scene(place / str(i), certificate, signer).__enter__())
            scenes[-1].device.start()
        for scene in scenes:
            scene.wait_said("All Chunks Installed.")
            assert scene.device.installed() == "2.0"
    finally:
        for scene in scenes:
            scene.__exit__()
