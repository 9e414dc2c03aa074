"""One gateway and one scripted provider for all end-to-end tests."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest

from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream
from tests.gateway.waiting import eventually

CONFIG = """
[server]
deadline = "6 s"
body_timeout = "1 s"
header_timeout = "2 s"
write_timeout = "1 s"
keep_alive = "500 ms"
grace = "300 ms"
max_body = "2 MB"
max_connections = 400
[routing]
retry_budget = 1.0
[routing.timeouts]
connect = "1 s"
first_byte = "1500 ms"
idle = "1500 ms"
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

FRESH = 200
"""How many models of each kind there are, so that no test sees an endpoint that another one brought into trouble."""


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="session")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with closed_port() as nobody, full_port() as crowd:
        config = CONFIG + settings(upstream.url, nobody, crowd)
        with running(tmp_path_factory.mktemp("gateway"), config, MOCK_KEY=PROVIDER_KEY) as server:
            before = server.sockets
            yield server
            eventually(lambda: server.sockets - upstream.open_connections <= before, "sockets are left over")


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
    models = {
        "mock/closed": ("mock-closed",),
        "mock/closed-then-b": ("mock-closed", "mock-b"),
        "mock/full": ("mock-full",),
        "mock/full-then-b": ("mock-full", "mock-b"),
        "mock/chat": ("mock-chat",),
        "mock/responses": ("mock-responses",),
        "mock/messages": ("mock-messages",),
        "mock/both": ("mock-a", "mock-b"),
        **{f"mock/chat-{number}": ("mock-chat",) for number in range(FRESH)},
        **{f"mock/both-{number}": ("mock-a", "mock-b") for number in range(FRESH)},
    }
    return "".join(
        PROVIDER.format(name=name, dialect=dialect, url=address) for name, (dialect, address) in providers.items()
    ) + "".join(ENDPOINT.format(provider=name, model=model) for model, names in models.items() for name in names)


class closed_port:
    """A port on which nobody listens while it is held."""

    def __enter__(self) -> int:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class full_port(closed_port):
    """A port whose queue of connections is full and never served."""

    def __enter__(self) -> int:
        port = super().__enter__()
        self._socket.listen(0)
        self._queue = [socket.socket() for _ in range(4)]
        for waiting in self._queue:
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        return port

    def __exit__(self, *_: object) -> None:
        for waiting in self._queue:
            waiting.close()
        super().__exit__()


@pytest.fixture
def nonce() -> str:
    return f"nonce-{next(_numbers)}"


@pytest.fixture
def model() -> str:
    """A model at one provider, mock-chat, of which nothing bad is known yet."""
    return f"mock/chat-{next(_singles)}"


@pytest.fixture
def both() -> str:
    """A model at two providers of which nothing bad is known yet; ask with `IN_ORDER` to have mock-a first."""
    return f"mock/both-{next(_doubles)}"


@pytest.fixture(autouse=True)
def nothing_left(upstream: Upstream) -> Iterator[None]:
    """After every case no call to the provider is under way any more."""
    yield
    eventually(lambda: upstream.calls_under_way == 0, "a call to the provider goes on")


@pytest.fixture
def no_socket_left(gateway: Gateway, upstream: Upstream) -> Iterator[None]:
    """After the case the gateway holds no more sockets than before, but for pooled ones to the provider."""
    before = gateway.sockets - upstream.open_connections
    yield
    eventually(lambda: gateway.sockets - upstream.open_connections <= before, "a socket is left over")


_numbers = itertools.count(1)
_singles = iter(range(FRESH))
_doubles = iter(range(FRESH))
