# SPDX-License-Identifier: Apache-2.0
"""The real clients still send what was recorded of them."""
import pathlib

import record
import replay

RECORDED = pathlib.Path(__file__).parent / "recorded"


def forms(text):
    return {record.form(step) for step in replay.parse(text)}


def test_clients_send_what_was_recorded(place, certificate, signer):
    for texts in (record.of_swupdate(place, certificate, signer),
                  record.of_mender(place, certificate)):
        for name, text in texts:
            assert forms(text) == forms((RECORDED / f"{name}.txt").read_text()), name
