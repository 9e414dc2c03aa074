"""One gateway and one scripted provider for all end-to-end tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from tests.gateway.server import Gateway, running
from tests.gateway.upstream import Upstream

PROVIDER_KEY = "sk-canary-0123456789abcdef"

CONFIG = """
[server]
deadline = "8 s"
body_timeout = "1 s"
header_timeout = "2 s"
keep_alive = "500 ms"
grace = "300 ms"
max_body = "2 MB"
[routing.timeouts]
connect = "1 s"
first_byte = "1500 ms"
idle = "1500 ms"
[providers.fake-provider]
enabled = true
"""

PROVIDER = """
[providers.mock-{name}]
dialect = "{dialect}"
base_url = "{url}/{name}/v1"
api_key = {{ env = "MOCK_KEY" }}
[[endpoints]]
provider = "mock-{name}"
model = "mock/{model}"
upstream_model = "gpt-x"
price = {{ input = "1", output = "2", cache_read = "0.5" }}
context_tokens = 128000
"""

# mock/both has two endpoints, so that the second can be seen to take over from the first.
PROVIDERS = (
    ("chat", "chat", "chat"),
    ("responses", "responses", "responses"),
    ("a", "chat", "both"),
    ("b", "chat", "both"),
)


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="session")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG + "".join(
        PROVIDER.format(name=name, dialect=dialect, model=model, url=upstream.url) for name, dialect, model in PROVIDERS
    )
    with running(tmp_path_factory.mktemp("gateway"), config, MOCK_KEY=PROVIDER_KEY) as server:
        before = server.sockets
        yield server
        eventually(lambda: server.sockets - upstream.open_connections <= before, "sockets are left over")
        assert PROVIDER_KEY not in server.log.read_text()


@pytest.fixture
def nonce() -> str:
    return f"nonce-{next(_numbers)}"


@pytest.fixture(autouse=True)
def nothing_left(upstream: Upstream) -> Iterator[None]:
    """After every case no call to the provider is under way any more."""
    yield
    eventually(lambda: upstream.calls_under_way == 0, "a call to the provider goes on")


def eventually(claim: Callable[[], bool], complaint: str, within_s: float = 5.0) -> None:
    """Wait for a claim to come true."""
    end = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < end, complaint
        time.sleep(0.02)


_numbers = itertools.count(1)
