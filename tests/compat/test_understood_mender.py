# SPDX-License-Identifier: Apache-2.0
"""What Debian's mender-client does with a Mender server: it is understood, before one is blamed."""
import base64
import json

import pytest

from mender import Mender, make_artifact, make_key
from mender_peer import ED25519, ENDS, RSA_OR_ECDSA, TOKEN, MenderPeer, verifies


class Scene:
    """One device, its peer, and an artifact of release-2."""

    def __init__(self, place, certificate, **options):
        device = {k: options.pop(k) for k in ("key", "signer", "client", "tenant_token")
                  if k in options}
        made = {k: options.pop(k) for k in ("module", "device_type", "size") if k in options}
        artifact = make_artifact(place / "artifact", "release-2",
                                 options.pop("made_by", device.get("signer")), **made)
        self.peer = MenderPeer(*certificate, artifact.read_bytes(), **options)
        self.device = Mender(place / "d", self.peer.url, certificate[0], **device)

    def __enter__(self):
        self.peer.__enter__()
        return self

    def __exit__(self, *_):
        self.device.kill()
        self.peer.__exit__()

    def wait_end(self):
        self.peer.wait(lambda: self.peer.last() in ENDS)
        return self.peer.last()

    def requests(self, end):
        return [r for r in self.peer.requests if r.path.endswith(end)]

    def story(self):
        """Its reports, without those that only say the same again."""
        out = []
        for status in self.peer.statuses():
            if out[-1:] != [status]:
                out.append(status)
        return out


@pytest.fixture
def scene(place, certificate):
    with Scene(place, certificate) as s:
        yield s


@pytest.fixture(scope="module")
def resuming(tmp_path_factory, certificate):
    """A download that is cut: the client waits a minute, in which the other tests run."""
    folder = tmp_path_factory.mktemp("resuming")
    with Scene(folder, certificate, module="single-file") as s:
        s.peer.cut_after = 8000
        s.device.start()
        yield s


@pytest.fixture(autouse=True)
def meanwhile(resuming):
    assert resuming.device.runs()


def test_whole_update(scene):
    scene.device.start()
    scene.device.reboot()
    assert scene.wait_end() == "success"
    # Between the reboot and the end it says `installing` again: it verifies and commits.
    assert scene.story() == ["downloading", "installing", "rebooting", "installing", "success"]
    assert scene.device.installed() == "release-2"
    scene.peer.wait(lambda: b'"artifact_name":"release-2"' in scene.requests("/next")[-1].body)


def test_requests_are_as_noted(scene):
    scene.device.start()
    scene.peer.wait(lambda: scene.requests("/test.mender"))
    auth = scene.requests("/auth_requests")[0]
    body = json.loads(auth.body)
    assert auth.body.endswith(b"\n") and auth.header("Transfer-Encoding") is None
    assert json.loads(body["id_data"]) == {"imei": "356938035643809"}
    assert body["pubkey"] == scene.device.public_key()
    for end in ("/attributes", "/next", "/status"):
        request = scene.requests(end)[0]
        assert request.header("Transfer-Encoding") == "chunked"
        assert request.header("Authorization") == f"Bearer {TOKEN}"
    attributes = {a["name"]: a["value"] for a in json.loads(scene.requests("/attributes")[0].body)}
    assert attributes.pop("mender_client_version").startswith("3.4.")
    assert attributes == {"device_type": "phone-x", "artifact_name": "release-1"}
    assert json.loads(scene.requests("/next")[0].body) == {
        "device_provides": {"artifact_name": "release-1", "device_type": "phone-x"},
        "update_control_map": True}
    assert scene.requests("/test.mender")[0].header("Authorization") is None


@pytest.mark.parametrize("key, how", [
    ("rsa", RSA_OR_ECDSA), ("ecdsa", RSA_OR_ECDSA), ("ed25519", ED25519)])
def test_authentication_is_signed(place, certificate, key, how):
    with Scene(place, certificate, key=key, tenant_token="of the tenant") as scene:
        scene.device.start()
        scene.peer.wait(lambda: scene.requests("/auth_requests"))
        request = scene.requests("/auth_requests")[0]
    assert request.header("Authorization") == "Bearer of the tenant"
    assert json.loads(request.body)["tenant_token"] == "of the tenant"
    public = json.loads(request.body)["pubkey"].encode()
    signature = base64.b64decode(request.header("X-MEN-Signature"))
    assert verifies(how, public, signature, request.body)
    assert not verifies(how, public, signature, request.body.rstrip(b"\n"))


def test_rollback_is_reported(scene):
    scene.device.bad_boot("release-2")
    scene.device.start()
    scene.device.reboot()
    assert scene.device.installed() == "release-2"
    scene.device.reboot()
    assert scene.wait_end() == "failure"
    assert scene.device.installed() is None
    assert scene.story() == ["downloading", "installing", "rebooting", "failure"]
    scene.peer.wait(lambda: scene.requests("/log"))
    scene.peer.wait(lambda: b'"artifact_name":"release-1"' in scene.requests("/next")[-1].body)


def test_killed_after_the_reboot(scene):
    """It goes on where it was."""
    scene.device.start()
    scene.device.reboot()
    scene.device.kill()
    scene.device.start()
    assert scene.wait_end() == "success"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return [make_key(folder / name, "rsa") for name in ("ours", "theirs")]


def test_signer(place, certificate, keys):
    with Scene(place, certificate, signer=keys[0], module="single-file") as scene:
        scene.device.start()
        assert scene.wait_end() == "success"
        assert scene.device.installed() == "release-2"


def test_wrong_signer(place, certificate, keys):
    with Scene(place, certificate, signer=keys[0], made_by=keys[1]) as scene:
        scene.device.start()
        assert scene.wait_end() == "failure"
        scene.peer.wait(lambda: "invalid signature" in scene.peer.logs())
        assert scene.device.installed() is None


def test_wrong_device_type(place, certificate):
    """The server says that it fits; the artifact says that it does not."""
    with Scene(place, certificate, device_type="phone-y") as scene:
        scene.device.start()
        assert scene.wait_end() == "failure"
        scene.peer.wait(lambda: "not compatible with device phone-x" in scene.peer.logs())
        assert scene.device.installed() is None


@pytest.mark.parametrize("status", ["installing", "rebooting"])
def test_aborted_by_409(scene, status):
    """Before it installs, and when it has installed: it rolls back, reboots, and then says so."""
    scene.peer.aborts = (status,)
    scene.device.start()
    scene.device.reboot()
    assert scene.wait_end() == "failure"
    assert scene.story()[-2:] == [status, "failure"]
    assert scene.device.installed() is None


def test_aborted_before_the_commit(scene):
    scene.device.start()
    scene.peer.wait(lambda: scene.peer.last() == "rebooting")
    scene.peer.aborts = ("installing",)
    scene.device.reboot()
    assert scene.device.installed() == "release-2"
    scene.device.reboot()
    assert scene.wait_end() == "failure"
    assert scene.device.installed() is None


def test_abort_of_what_does_not_reboot(place, certificate):
    with Scene(place, certificate, module="single-file") as scene:
        scene.peer.aborts = ("installing",)
        scene.device.start()
        assert scene.wait_end() == "failure"
        assert scene.device.installed() is None


def test_second_release_and_back(scene, place):
    """A release that does not come up leaves the one before it."""
    scene.device.start()
    scene.device.reboot()
    assert scene.wait_end() == "success"
    with scene.peer.lock:
        scene.peer.artifact = make_artifact(place / "next", "release-3").read_bytes()
        scene.peer.name, scene.peer.offers = "release-3", True
    scene.device.bad_boot("release-3")
    scene.device.reboot()
    scene.device.reboot()
    scene.peer.wait(lambda: scene.peer.last() == "failure")
    assert scene.device.installed() == "release-2"


def test_killed_while_downloading(place, certificate):
    """It says failure, though nothing is wrong with the release, and does not try again."""
    with Scene(place, certificate, module="single-file", size=800_000) as scene:
        scene.peer.pause_s = 0.2  # 40 s in all
        scene.device.start()
        # It remembers that it downloads before it says so for the second time.
        scene.peer.wait(lambda: scene.peer.statuses() == ["downloading"] * 2)
        scene.device.kill()
        scene.device.start()
        assert scene.wait_end() == "failure"
        assert len(scene.requests("/test.mender")) == 1


def test_waits_until_it_is_accepted(place, certificate):
    with Scene(place, certificate, module="single-file") as scene:
        scene.peer.accepts_device = False
        scene.device.start()
        scene.peer.wait(lambda: len(scene.requests("/auth_requests")) >= 2)
        assert scene.requests("/attributes") == []
        scene.peer.accepts_device = True
        assert scene.wait_end() == "success"


def test_falls_back_to_v1(place, certificate):
    with Scene(place, certificate, module="single-file", has_v2=False) as scene:
        scene.device.start()
        assert scene.wait_end() == "success"
        v1 = [r for r in scene.requests("/next") if "/v1/" in r.path][0]
        assert v1.method == "POST"
        assert json.loads(v1.body) == {"artifact_name": "release-1", "device_type": "phone-x"}


def test_control_map(place, certificate):
    with Scene(place, certificate, module="single-file", has_control_map=True) as scene:
        scene.device.start()
        assert scene.wait_end() == "success"
        assert scene.requests("/update_control_map")


def test_client_certificate(place, certificate):
    with Scene(place, certificate, client=certificate, clients=certificate[0]) as scene:
        scene.device.start()
        scene.peer.wait(lambda: scene.requests("/next"))


def test_side_by_side(place, certificate):
    scenes = []
    try:
        for i in range(3):
            scenes.append(Scene(place / str(i), certificate, module="single-file").__enter__())
            scenes[-1].device.start()
        for scene in scenes:
            assert scene.wait_end() == "success"
            assert scene.device.installed() == "release-2"
    finally:
        for scene in scenes:
            scene.__exit__()


def test_cut_connection_resumes(resuming):
    """Last: it waits what is left of the minute."""
    assert resuming.wait_end() == "success"
    first, second = resuming.requests("/test.mender")
    assert (first.header("Range"), first.status, second.status) == (None, 200, 206)
    assert 0 < int(second.header("Range").removeprefix("bytes=").rstrip("-")) <= 8000
    assert resuming.device.installed() == "release-2"
