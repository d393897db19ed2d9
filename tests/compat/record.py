#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what a client sent as a file that replay.py sends again, with nothing of this machine in
it.  `record.py` without arguments makes those of swupdate and mender-client anew."""
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent / "recorded"
# What is another one at each run, in a body as in a header.
ALWAYS = [(r"\d{8}T\d{6}", "20260101T120000"), (r"\bpid \d+", "pid 100"), (r"\bfd \d+", "fd 8"),
          (r"127\.0\.0\.1:\d+", "${host}"), (r"/\S*/sock", "/run/sock"),
          (r"/\S*/swupdateprog", "/run/swupdateprog")]
# Those may have come in any order, or as often as there was time for.
REMARK = "# Recorded from {program}; requests that only say the same again are left out.\n"


def clean(text, places):
    for pattern, instead in ALWAYS + places:
        text = re.sub(pattern, instead, text)
    return text


def step(number, request, places):
    """As text.  The body's length is computed again: the places have other lengths."""
    head = [f"{request.method} {request.target} HTTP/1.1"]
    for name, value in request.headers:
        value = "${length}" if name.lower() == "content-length" else value
        head.append(f"{name}: {value}".rstrip())
    text = clean("\n".join(head), places) + "\n\n" + clean(request.body.decode(), places)
    return f"=== {number}\n{text}\n--- {request.status}\n"


def record(program, requests, places):
    """Each request that differs from all before it."""
    steps = []
    for request in requests:
        text = step("", request, places)
        if text not in steps:
            steps.append(text)
    return REMARK.format(program=program) + "".join(
        text.replace("=== ", f"=== {i + 1}", 1) for i, text in enumerate(steps))


def form(step):
    """What a client always sends alike: the line, the headers, the body but for numbers and logs."""
    body = re.sub(r'"details"\s*:\s*\[.*\]', '"details"', step.body, flags=re.S)
    body = re.sub(r'\d+(?=[ ,}])|"(?:pubkey|pub_key)":"[^"]*"', "N", body)
    if body.startswith("[{"):
        body = ",".join(sorted(re.findall(r"{.*?}", body)))
    head = re.sub(r"(?m)^(X-Men-Signature): .*", r"\1", step.request)
    return f"{head}\n\n{body}"
