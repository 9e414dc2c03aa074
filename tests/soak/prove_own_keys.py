"""TN-04: ten thousand calls of two tenants with provider keys of their own, each asked for with the right one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateway.checks import ask
from tests.gateway.conftest import CONFIG, ENDPOINT
from tests.gateway.owners import Tenants
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream

CALLS = 10_000
AT_ONCE = 100

PROVIDER = """
[providers.house]
dialect = "chat"
base_url = "{url}/v1"
api_key = {{ env = "MOCK_KEY" }}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own-keys")


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, folder: Path) -> Iterator[Gateway]:
    config = CONFIG + PROVIDER.format(url=upstream.url) + ENDPOINT.format(provider="house", model="own/house")
    with running(folder, config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.mark.timeout(900)
def test_TN_04_key_and_body_always_match(gateway: Gateway, upstream: Upstream, folder: Path) -> None:
    """Two tenants and the house at one address, in random order, as JSON and as streams."""
    tenants, dice = Tenants(folder), random.Random(4)
    secrets = {name: f"sk-tenant-{name}-CANARY-{name * 24}" for name in "AB"}
    keys = {"house": KEY}
    for name, secret in secrets.items():
        tenant = tenants.add()
        tenants.bring(tenant.account_id, "house", secret, only=True)
        keys[name] = tenant.key
    plans = [(number, dice.choice([*keys]), dice.random() < 0.5) for number in range(CALLS)]

    def call(plan: tuple[int, str, bool]) -> int:
        number, name, streams = plan
        return gateway.call(ask("own/house", f"{name} says nonce-{number}", stream=streams), key=keys[name]).status

    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = Counter(pool.map(call, plans))
    assert statuses == {200: CALLS}
    wanted = {name: f"Bearer {secret}" for name, secret in {**secrets, "house": PROVIDER_KEY}.items()}
    seen = upstream.seen("nonce-")
    assert len(seen) == CALLS
    for each in seen:
        assert each.headers["authorization"] == wanted[each.json["messages"][0]["content"].split()[0]]
    kept = tenants.texts()
    assert not [secret for secret in (*secrets.values(), PROVIDER_KEY) if secret[-16:].encode() in kept]
    print(f"{CALLS} calls, {AT_ONCE} at once: {dict(Counter(name for _, name, _ in plans))}")
