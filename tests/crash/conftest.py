# SPDX-License-Identifier: Apache-2.0
"""Crash tests are scenarios too: they use the same deployment."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'scenario'))


def pytest_addoption(parser):
    parser.addoption('--full', action='store_true', help='the long form')
    parser.addoption('--seed', type=int, default=0, help='of what is left to chance')


@pytest.fixture
def full(request):
    return request.config.getoption('--full')


@pytest.fixture
def seed(request):
    return request.config.getoption('--seed')
