"""Requests while who judges them is killed and comes back at random moments: none passes unjudged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.moderator import killed_under_load
from tests.gateway.ports import free_port
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream

MODERATED = """
[moderation.process]
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
timeout = "1 s"
"""


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def house(port: int, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG + PROVIDER.format(name="mock-chat", dialect="chat", url=f"{upstream.url}/c/v1")
    config += ENDPOINT.format(provider="mock-chat", model="mock/chat") + MODERATED.format(port=port)
    with running(tmp_path_factory.mktemp("kills"), config, MOCK_KEY=PROVIDER_KEY) as gateway:
        yield gateway


def test_no_request_passes_unjudged_while_the_moderator_is_killed(
    house: Gateway, port: int, upstream: Upstream
) -> None:
    life = killed_under_load(house, port, requests=120, clients=4, seed=20261128)
    assert life.kills > 3
    assert set(life.flagged) == {403, 503}, life.flagged
    assert set(life.others) == {200, 503}, life.others
    assert upstream.seen("nonce-kill-forbidden") == []
    assert len(upstream.seen("nonce-kill-fine")) == life.others[200]
