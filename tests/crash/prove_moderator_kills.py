"""Ten thousand requests while who judges them is killed some hundred times at random moments: none passes unjudged."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.moderator import killed_under_load
from tests.gateway.ports import free_port
from tests.gateway.server import PROVIDER_KEY, running
from tests.gateway.test_moderator_kills import MODERATED
from tests.gateway.upstream import Upstream

REQUESTS = 10_000


@pytest.mark.timeout(900)
def test_no_request_passes_unjudged(tmp_path: Path) -> None:
    seed, port = random.randrange(10**9), free_port()
    with Upstream() as upstream:
        config = CONFIG + PROVIDER.format(name="mock-chat", dialect="chat", url=f"{upstream.url}/c/v1")
        config += ENDPOINT.format(provider="mock-chat", model="mock/chat") + MODERATED.format(port=port)
        with running(tmp_path, config, MOCK_KEY=PROVIDER_KEY) as gateway:
            life = killed_under_load(gateway, port, requests=REQUESTS, clients=8, seed=seed)
        print(f"seed {seed}: {life.kills} kills, flagged {dict(life.flagged)}, others {dict(life.others)}", flush=True)
        assert life.kills > 100
        assert set(life.flagged) == {403, 503}
        assert set(life.others) == {200, 503}
        assert upstream.seen("nonce-kill-forbidden") == []
        assert len(upstream.seen("nonce-kill-fine")) == life.others[200]
