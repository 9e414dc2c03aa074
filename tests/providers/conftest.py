"""One mock and one gateway in front of it for all tests of this folder."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from openai.types.responses import Response

from tests.document import check_stream, validate_response
from tests.gateway.server import KEY, Gateway, running
from tests.providers import aimock
from tests.providers.cases import Answer, Ask, Case, Json
from tests.providers.fixtures import FIXTURES
from tests.providers.wires import ENVIRONMENT, settings


@pytest.fixture(scope="session")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aimock.Aimock]:
    if reason := aimock.absence():
        # A build that is told to have the mock must not pass for want of it.
        (pytest.fail if os.environ.get("REQUIRE_AIMOCK") else pytest.skip)(reason)
    with aimock.running(FIXTURES, tmp_path_factory.mktemp("aimock")) as server:
        yield server


@pytest.fixture(scope="session")
def gateway(mock: aimock.Aimock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(
        tmp_path_factory.mktemp("gateway"), settings(mock.url), is_measured=True, environ=ENVIRONMENT
    ) as server:
        yield server


@pytest.fixture(scope="session")
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.url + "/api/v1", api_key=KEY, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def ask(client: OpenAI) -> Ask:
    """Ask as a client does; what comes back is checked against the contract."""

    def ask(case: Case, what: Json, **request: Json) -> Answer:
        sent: Json = {"model": case.wire.model, "input": what, **request}
        if not case.stream:
            whole: Response = client.responses.create(**sent)
            validate_response(whole.to_dict())
            return Answer(whole)
        events: list[Any] = list(client.responses.create(**sent, stream=True))
        dumps = tuple(event.to_dict() for event in events)
        check_stream(dumps)
        return Answer(events[-1].response, dumps)

    return ask


@pytest.fixture
def nonce() -> str:
    """A word that is in one test's requests only."""
    return f"nonce-{next(_numbers)}-"


_numbers = itertools.count()
