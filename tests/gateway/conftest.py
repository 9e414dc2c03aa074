"""One gateway and one scripted provider for all end-to-end tests."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.gateway.newer import newer_path
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream
from tests.gateway.waiting import eventually

__all__ = ["newer_path"]

CONFIG = """
[server]
deadline = "6 s"
body_timeout = "1 s"
header_timeout = "2 s"
write_timeout = "2 s"
keep_alive = "500 ms"
grace = "300 ms"
max_body = "2 MB"
max_connections = 400
[routing]
retry_budget = 1.0
queue_wait = "500 ms"
[routing.timeouts]
connect = "1 s"
first_byte = "1500 ms"
idle = "1500 ms"
thinking = "4 s"
[log]
level = "debug"
[providers.fake-provider]
enabled = true
"""

PROVIDER = """
[providers.{name}]
dialect = "{dialect}"
base_url = "{url}"
api_key = {{ env = "MOCK_KEY" }}
"""

ENDPOINT = """
[[endpoints]]
provider = "{provider}"
model = "{model}"
upstream_model = "gpt-x"
price = {{ input = "1", output = "2", cache_read = "0.5" }}
context_tokens = 128000
"""

FRESH = {"chat": 600, "both": 400, "responses": 80, "messages": 40}
"""How many models of each kind there are, so that no test sees an endpoint that another one brought into trouble."""


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="session")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with closed_port() as nobody, full_port() as crowd:
        config = CONFIG + settings(upstream.url, nobody, crowd)
        with running(tmp_path_factory.mktemp("gateway"), config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as server:
            before = server.sockets
            yield server
            eventually(lambda: server.sockets - upstream.open_connections <= before, "sockets are left over")
        assert "nonce-" not in server.log.read_text(), "a prompt is in the log"


def settings(url: str, nobody: int, crowd: int) -> str:
    """The providers and models: `mock/chat`, `mock/responses`, `mock/messages`, `mock/both` (asked at mock-a, then
    mock-b), fresh ones of each kind, and some whose first provider cannot be reached."""
    providers = {
        "mock-chat": ("chat", f"{url}/chat/v1"),
        "mock-responses": ("responses", f"{url}/responses/v1"),
        "mock-messages": ("messages", f"{url}/messages/v1"),
        "mock-a": ("chat", f"{url}/a/v1"),
        "mock-b": ("chat", f"{url}/b/v1"),
        "mock-closed": ("chat", f"http://127.0.0.1:{nobody}/v1"),
        "mock-full": ("chat", f"http://127.0.0.1:{crowd}/v1"),
    }
    models: dict[str, tuple[str, ...]] = {
        "mock/closed": ("mock-closed",),
        "mock/closed-then-b": ("mock-closed", "mock-b"),
        "mock/full": ("mock-full",),
        "mock/full-then-b": ("mock-full", "mock-b"),
        "mock/chat": ("mock-chat",),
        "mock/responses": ("mock-responses",),
        "mock/messages": ("mock-messages",),
        "mock/both": ("mock-a", "mock-b"),
    }
    for kind, count in FRESH.items():
        models.update({f"mock/{kind}-{number}": models[f"mock/{kind}"] for number in range(count)})
    return "".join(
        PROVIDER.format(name=name, dialect=dialect, url=address) for name, (dialect, address) in providers.items()
    ) + "".join(
        [ENDPOINT.format(provider=name, model=model) for model, names in models.items() for name in names]
        + [ENDPOINT.format(provider="mock-responses", model="mock/pictures"), 'output_modalities = ["image", "text"]\n']
    )


@contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def full_port() -> Iterator[int]:
    """Hold a port whose queue of connections is full and never served."""
    with socket.socket() as held, ExitStack() as queue:
        held.bind(("127.0.0.1", 0))
        held.listen(0)
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(held.getsockname())
        yield held.getsockname()[1]


@pytest.fixture
def nonce() -> str:
    return f"nonce-{next(_numbers)}"


@pytest.fixture
def model() -> str:
    """A model at one provider, mock-chat, of which nothing bad is known yet."""
    return _fresh("chat")


@pytest.fixture
def both() -> str:
    """A model at two providers of which nothing bad is known yet; ask with `IN_ORDER` to have mock-a first."""
    return _fresh("both")


@pytest.fixture
def responses_model() -> str:
    """The same at mock-responses."""
    return _fresh("responses")


@pytest.fixture
def messages_model() -> str:
    """The same at mock-messages."""
    return _fresh("messages")


@pytest.fixture(autouse=True)
def nothing_left(upstream: Upstream) -> Iterator[None]:
    """After every case no call to the provider is under way any more."""
    yield
    eventually(lambda: upstream.calls_under_way == 0, "a call to the provider goes on")


@pytest.fixture
def no_socket_left(gateway: Gateway, upstream: Upstream) -> Iterator[None]:
    """After the case the gateway holds no more sockets than before, but for pooled ones to the provider."""
    before = -1
    for _ in range(3):
        # A connection that the case before let go may not have been missed on both sides yet.
        before = max(before, gateway.sockets - upstream.open_connections)
        time.sleep(0.01)
    yield
    eventually(lambda: gateway.sockets - upstream.open_connections <= before, "a socket is left over")


def _fresh(kind: str) -> str:
    number = next(_places[kind])
    assert number < FRESH[kind], f"all models {kind} are used; raise FRESH"
    return f"mock/{kind}-{number}"


_numbers = itertools.count(1)
_places = {kind: itertools.count() for kind in FRESH}
