# SPDX-License-Identifier: Apache-2.0
"""What the real clients of other servers need: short paths and keys.  And the deployment of the
scenarios, for what is tried at the real server."""
import os
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "scenario"))

import peer
import swupdate


@pytest.fixture
def place():
    """A folder of a short path (a client's sockets lie in it), gone after the test."""
    with tempfile.TemporaryDirectory(prefix="c-", dir=os.environ.get("HUIDU_TESTS_IN"),
                                     ignore_cleanup_errors=True) as folder:
        yield pathlib.Path(folder)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(certificate, key) of servers at 127.0.0.1."""
    return peer.make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def signer(tmp_path_factory):
    """Who signs what swupdate takes."""
    return swupdate.make_signer(tmp_path_factory.mktemp("signer"), "builder")
