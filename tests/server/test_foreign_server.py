"""The application under a server that is not ours: what our listener tells it by itself is asked for there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from tests.gateway.checks import ask
from tests.gateway.ports import free_port
from tests.gateway.server import KEY, Client, post
from tests.gateway.upstream import Script, Upstream, head
from tests.gateway.waiting import eventually
from trunkline.app import create
from trunkline.cli.configuration import read_settings
from trunkline.cli.keys import with_keys
from trunkline.inventory import load_catalog
from trunkline.stopping import Stopping

CONFIG = """
[store]
url = "sqlite:///{folder}/trunkline.db"
[providers.mock]
dialect = "chat"
base_url = "{url}/chat/v1"
api_key = "sk-none"
[[endpoints]]
provider = "mock"
model = "mock/chat"
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def port(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "trunkline.toml").write_text(CONFIG.format(folder=folder, url=upstream.url))
    settings, _ = read_settings(Path(folder / "trunkline.toml"))
    with_keys(settings, lambda keys: keys.bootstrap(KEY), makes=True)
    free = free_port()
    application = create(settings, load_catalog(settings), Stopping(5.0, time.monotonic))
    config = uvicorn.Config(application, port=free, ws="none", lifespan="on", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started, "it did not start")
    yield free
    server.should_exit = True
    thread.join(10)


@pytest.mark.parametrize("streams", [True, False])
def test_CL_01_a_client_that_leaves_ends_the_call_upstream(port: int, upstream: Upstream, streams: bool) -> None:
    nonce = "nonce-f000" + str(int(streams))
    upstream.play(nonce, Script([head(200, "text/event-stream")] if streams else [], "stall"))
    with Client(port) as client:
        client.send(post(ask("mock/chat", nonce, stream=streams)))
        eventually(lambda: len(upstream.seen(nonce)) == 1, "the provider was not asked")
    assert upstream.seen(nonce)[0].is_closed_by_client.wait(5)
