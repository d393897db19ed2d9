# SPDX-License-Identifier: Apache-2.0
"""The recorded exchanges, sent to the peers: that they are in order, and that replay.py sees it
when an answer is another one."""
import pathlib
import re

import pytest

import replay
from ddi_peer import DdiPeer
from mender_peer import DEPLOYMENT, ENDS, TOKEN, MenderPeer
from omaha_peer import APP, OmahaPeer
from peer import Answer, Peer, json_answer

RECORDED = pathlib.Path(__file__).parent / "recorded"
DDI = {"tenant": "DEFAULT", "tenant_in_other_letters": "deFAULT", "name": "dev-0001",
       "token": "0" * 32}
OMAHA = {"app": APP, "track": "stable", "machine": "0123456789abcdef0123456789abcdef",
         "new_version": "2.0.0"}


# What the recorded clients were told by their peers.
TOLD = {"action": "7", "query": "?c=1", "deployment": DEPLOYMENT}


def names(pattern):
    found = sorted(p.stem for p in RECORDED.glob(pattern))
    assert found
    return found


@pytest.mark.parametrize("name", names("rauc-*.txt") + names("ddi-*.txt"))
def test_ddi(certificate, name):
    with DdiPeer(*certificate, b"x" * 5000) as peer:
        peer.offer = "cancel" if name == "rauc-cancel" else "deploy"
        replay.replay(RECORDED / f"{name}.txt", peer.port, certificate[0], **DDI)
        assert peer.offer == "idle" or name == "rauc-resume"


@pytest.mark.parametrize("name", names("swupdate-*.txt"))
def test_swupdate(certificate, name):
    with DdiPeer(*certificate, b"x" * 5000) as peer:
        replay.replay(RECORDED / f"{name}.txt", peer.port, certificate[0], **DDI, **TOLD,
                      artifact="/artifacts/test.swu")
        assert peer.closed() == {"swupdate-update": "success"}.get(name, "failure")


@pytest.mark.parametrize("name", names("mender-*.txt"))
def test_mender(certificate, name):
    with MenderPeer(*certificate, b"x" * 5000) as peer:
        replay.replay(RECORDED / f"{name}.txt", peer.port, certificate[0], token=TOKEN, **TOLD,
                      artifact="/artifacts/test.mender")
        assert peer.last() in ENDS
        assert peer.offers is False


@pytest.mark.parametrize("name", names("omaha-*.txt"))
def test_omaha(certificate, name):
    with OmahaPeer(*certificate) as peer:
        peer.offers = name not in ("omaha-noupdate", "omaha-malformed")
        replay.replay(RECORDED / f"{name}.txt", peer.port, certificate[0], **OMAHA)
        assert peer.offers is False
    codes = {e[2] for e in peer.events}
    assert codes == {"omaha-rollback": {0, 44}, "omaha-failure": {0, 10}}.get(name, {0})


@pytest.mark.parametrize("name", names("*.txt"))
def test_nothing_of_a_machine(name):
    text = (RECORDED / f"{name}.txt").read_text()
    assert not re.search(r"127\.0\.0\.1|localhost|/tmp|/root|/home|/dev/shm", text)
    steps = replay.parse(text)
    assert steps and text.startswith("# ")
    for step in steps:
        assert step.statuses and step.request.split("\n")[0].endswith(" HTTP/1.1")


class One(Peer):
    """Gives one answer to all."""

    reply = None

    def answer(self, request):
        return self.reply


JSON = json_answer({"a": {"b": [1, "7", None]}, "c": "d"})
XML = Answer(200, b'<r x="1"><a><b y="2"/></a></r>', {"Content-Type": "text/xml"})


@pytest.mark.parametrize("reply, line, fits", [
    (JSON, "200", True), (JSON, "204|200", True), (JSON, "204", False), (JSON, "closed", False),
    (JSON, "200\njson a.b.0 = 1", True), (JSON, "200\njson a.b.1 = 7", False),
    (JSON, '200\njson a.b.1 = "7"', True), (JSON, "200\njson a.b.1 ~ \\d", True),
    (JSON, "200\njson a.b.1 is text", True), (JSON, "200\njson a.b.1 is number", False),
    (JSON, "200\njson a.b.0 is number", True), (JSON, "200\njson a.b.# = 3", True),
    (JSON, "200\njson a.b.3 absent", True), (JSON, "200\njson a.b.2 absent", False),
    (JSON, "200\njson a.x.y absent", True), (JSON, "200\njson a.x = 1", False),
    (JSON, "200\njson c ~ d", True), (JSON, "200\njson c ~ dd?e", False),
    (JSON, "200\nxml @x = 1", False), (XML, "200\njson a = 1", False),
    (XML, "200\nxml @x = 1", True), (XML, "200\nxml a/b/@y = 2", True),
    (XML, "200\nxml a/b/@y = 3", False), (XML, "200\nxml a/c/@y absent", True),
    (XML, "200\nxml a/b/@y absent", False),
    (XML, "200\nheader content-type = text/xml", True), (XML, "200\nheader ETag absent", True),
    (XML, "200\nheader ETag = 1", False), (XML, "200\nbody =", False),
    (XML, "200\nbody ~ <r.*", True),
    (Answer(200), "200\nbody =", True),
    (JSON, "200\nsave n json c\njson c ~ ${n}", True), (JSON, "200\nsave n json x", False),
    (JSON, "200\nsave n json c ~ (x)", False), (JSON, "200\njson c = ${unknown}", False),
    (Answer(200, b"x" * 100, cut_after=0), "200\nbody ~ x+", False)])
def test_replay_compares(certificate, tmp_path, reply, line, fits):
    file = tmp_path / "file"
    file.write_text(f"# x\n=== step\nGET / HTTP/1.1\nHost: ${{host}}\n\n\n--- {line}\n")
    with One(*certificate) as peer:
        peer.reply = reply
        if fits:
            replay.replay(file, peer.port, certificate[0])
            return
        with pytest.raises(replay.Differs, match="step"):
            replay.replay(file, peer.port, certificate[0])


def test_replay_sends_what_is_written(certificate, tmp_path):
    file = tmp_path / "file"
    file.write_text("=== a\nPUT /${name} HTTP/1.1\nHost: ${host}\nContent-Length: ${length}\n"
                    "Expect: 100-continue\n\na\n${x:00}${repeat:3:bc}\n\n--- 200\n"
                    "=== b\nPOST /b HTTP/1.1\nHost: ${host}\nTransfer-Encoding: chunked\n\n"
                    "${repeat:500:d}\n--- 200\n")
    with One(*certificate) as peer:
        peer.reply = Answer()
        replay.replay(file, peer.port, certificate[0], name="n")
    put, post = peer.requests
    assert (put.target, put.body, put.header("Content-Length")) == ("/n", b"a\n\0bcbcbc\n", "10")
    assert (post.body, post.header("Content-Length")) == (b"d" * 500, None)
