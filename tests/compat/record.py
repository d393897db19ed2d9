#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what a client sent as a file that replay.py sends again, with nothing of this machine in
it.  `record.py` without arguments makes those of swupdate and mender-client anew."""
import pathlib
import re
import tempfile

import mender
import swupdate
from ddi_peer import DdiPeer
from mender_peer import DEPLOYMENT, TOKEN, MenderPeer
from peer import make_certificate

PACKAGES = ("swupdate 2022.12 of Debian 12", "mender-client 3.4.0 of Debian 12")
FOLDER = pathlib.Path(__file__).parent / "recorded"
# What is another one at each run, in a body as in a header.
ALWAYS = [(r"\d{8}T\d{6}", "20260101T120000"), (r"\bpid \d+", "pid 100"), (r"\bfd \d+", "fd 8"),
          (r"127\.0\.0\.1:\d+", "${host}"), (r"/\S*/sock", "/run/sock"),
          (r"/\S*/swupdateprog", "/run/swupdateprog")]
REMARK = "# Recorded from {program}; requests that only say the same again are left out.\n"


def clean(text, places):
    for pattern, instead in ALWAYS + places:
        text = re.sub(pattern, instead, text)
    return text


def step(request, places):
    """As text.  The body's length is computed again: the places have other lengths."""
    head = [f"{request.method} {request.target} HTTP/1.1"]
    for name, value in request.headers:
        value = "${length}" if name.lower() == "content-length" else value
        head.append(f"{name}: {value}".rstrip())
    text = clean("\n".join(head), places) + "\n\n" + clean(request.body.decode(), places)
    return f"{text}\n--- {request.status}\n"


def record(program, requests, places):
    """Each request that differs from all before it."""
    steps = []
    for request in requests:
        text = step(request, places)
        if text not in steps:
            steps.append(text)
    return REMARK.format(program=program) + "".join(
        f"=== {i}\n{text}" for i, text in enumerate(steps, 1))


def form(step):
    """What a client always sends alike: line, headers, and the body but for numbers and logs."""
    body = re.sub(r'"details"\s*:\s*\[.*\]', '"details"', step.body, flags=re.S)
    body = re.sub(r'\d+(?=[ ,}])|"pubkey":"[^"]*"', "N", body)
    if body.startswith("[{"):
        body = ",".join(sorted(re.findall(r"{.*?}", body)))
    head = re.sub(r"(?m)^(X-Men-Signature): .*", r"\1", step.request)
    return f"{head}\n\n{body}"


def of_swupdate(place, certificate, signer):
    """The text of a whole update by swupdate, and of one whose answer named no artifact."""
    bundle = swupdate.make_bundle(place / "bundle", signer, "2.0").read_bytes()
    places = [(r"/artifacts/test\.swu", "${artifact}"), ("DEFAULT", "${tenant}"),
              ("dev-0001", "${name}"), ("0{32}", "${token}"), (r"\?c=1", "${query}"),
              (r'(deploymentBase/|"id": )7\b', r"\1${action}")]
    for name, fails in (("swupdate-update", False), ("swupdate-failure", True)):
        with DdiPeer(*certificate, bundle) as peer, swupdate.SwUpdate(
                place / name, peer.url, certificate[0], signer, targettoken="0" * 32) as device:
            peer.names_artifact = not fails
            device.start()
            peer.wait(lambda: fails or "All Chunks" in str(peer.feedback()))
            if not fails:
                device.restart(swupdate.SUCCESS)
            peer.wait(peer.closed)
            # The client's log goes along, with names of files of this run.
            yield name, record(PACKAGES[0], peer.requests, places)


def of_mender(place, certificate):
    """The text of a whole update by mender-client, with a reboot."""
    artifact = mender.make_artifact(place / "artifact", "release-2").read_bytes()
    places = [(r"/artifacts/test\.mender", "${artifact}"), (DEPLOYMENT, "${deployment}"),
              (TOKEN, "${token}")]
    with MenderPeer(*certificate, artifact) as peer, mender.Mender(
            place / "mender", peer.url, certificate[0]) as device:
        device.start()
        device.reboot()
        peer.wait(lambda: peer.last() == "success")
        for end in ("/attributes", "/next"):  # it tells its new release, and asks again
            peer.wait(lambda: any(r.path.endswith(end) and b"release-2" in r.body
                                  for r in peer.requests))
        yield "mender-update", record(PACKAGES[1], peer.requests, places)


def main():
    with tempfile.TemporaryDirectory(prefix="c-") as folder:
        place = pathlib.Path(folder)
        certificate = make_certificate(place)
        signer = swupdate.make_signer(place, "builder")
        for texts in (of_swupdate(place, certificate, signer), of_mender(place, certificate)):
            for name, text in texts:
                (FOLDER / f"{name}.txt").write_text(text)
                print(name)


if __name__ == "__main__":
    main()
