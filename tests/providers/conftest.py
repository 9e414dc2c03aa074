"""One mock and one gateway in front of it for all tests of this folder."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, running
from tests.providers import aimock
from tests.providers.fixtures import FIXTURES
from tests.providers.wires import settings


@pytest.fixture(scope="session")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aimock.Aimock]:
    if reason := aimock.absence():
        # A build that is told to have the mock must not pass for want of it.
        (pytest.fail if os.environ.get("REQUIRE_AIMOCK") else pytest.skip)(reason)
    with aimock.running(FIXTURES, tmp_path_factory.mktemp("aimock")) as server:
        yield server


@pytest.fixture(scope="session")
def gateway(mock: aimock.Aimock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("gateway"), settings(mock.url), MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.fixture(scope="session")
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.url + "/api/v1", api_key=KEY, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def nonce() -> str:
    """A word that is in one test's requests only."""
    return f"nonce-{next(_numbers)}-"


_numbers = itertools.count()
