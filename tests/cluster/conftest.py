"""Three nodes on one PostgreSQL and one Valkey or Redis for all tests of a file, and the audit after each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import nodes
from tests.cluster.nodes import Cluster
from tests.gateway.busy import Busy
from tests.gateway.newer import newer_path
from tests.gateway.upstream import Upstream
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey
from trunkline.store.database import open_database

__all__ = ["newer_path"]

ENDPOINTS = """
[routing.timeouts]
first_byte = "3 s"
[providers.mock-a]
dialect = "chat"
base_url = "{url}/a/v1"
api_key = {{ env = "MOCK_KEY" }}
[providers.mock-b]
dialect = "chat"
base_url = "{url}/b/v1"
api_key = {{ env = "MOCK_KEY" }}
[[endpoints]]
provider = "mock-a"
model = "mock/fee"
upstream_model = "gpt-x"
price = {{ input = "0", output = "0", request = "1" }}
context_tokens = 1000
[[endpoints]]
provider = "mock-a"
model = "mock/both"
upstream_model = "gpt-x"
price = {{ input = "1", output = "1" }}
context_tokens = 1000
[[endpoints]]
provider = "mock-b"
model = "mock/both"
upstream_model = "gpt-x"
price = {{ input = "2", output = "2" }}
context_tokens = 1000
[providers.busy]
dialect = "chat"
base_url = "{busy}"
concurrency = 8
[[endpoints]]
provider = "busy"
model = "mock/busy"
price = {{ input = "0", output = "0" }}
"""
"""`mock/fee` costs a dollar a request and nothing else; `mock/both` is at mock-a, and dearer at mock-b; `mock/busy` is
where eight may be at once."""

CLOCKS_S = (0.0, 0.0, 180.0)
"""In all of these tests the third node's clock is three minutes fast, which nobody may notice (RL-07, TM-01)."""


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="session")
def busy() -> Iterator[Busy]:
    with Busy() as provider:
        yield provider


def settings_of(upstream: Upstream, busy: Busy | None = None) -> str:
    """The providers and models of all nodes; without a busy provider nobody may ask for its model."""
    return ENDPOINTS.format(url=upstream.url, busy="http://127.0.0.1:9" if busy is None else busy.url("busy"))


@pytest.fixture(scope="session")
def settings(upstream: Upstream, busy: Busy) -> str:
    """The providers and models of all nodes."""
    return settings_of(upstream, busy)


@pytest.fixture(scope="session")
def tables(postgres: Postgres) -> str:
    """The name of a database that has its tables, and nobody connected: others are made like it."""
    url = postgres.new_database()
    asyncio.run(open_database(url, 30.0).close())
    return url.rpartition("/")[2]


@pytest.fixture(scope="module")
def cluster(
    postgres: Postgres,
    tables: str,
    shared_redis: Valkey,
    settings: str,
    clock_library: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    """The nodes; each test leaves them as it found them, but for what they know of providers."""
    folder, store = tmp_path_factory.mktemp("cluster"), postgres.new_database(like=tables)
    with nodes.started(folder, store, shared_redis.url, settings=settings, clocks_s=CLOCKS_S) as started:
        yield started


@pytest.fixture
def audited(cluster: Cluster) -> Iterator[Cluster]:
    """The nodes, and at the end no hold is left and the books are right."""
    yield cluster
    cluster.books.check()
