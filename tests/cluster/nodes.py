"""Several gateways on one store and one board, each with a name, a journal and a clock of its own, started together.

Between them and their servers are proxies, so that the network of a single node can be broken. A test asks them by
turns as a balancer does, stops, kills and freezes single ones.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.books import PEPPER, Books
from tests.cluster.proxy import Proxy
from tests.gateway.ports import free_port
from tests.gateway.server import BELOW_ASGI, COMMAND, KEY, PROVIDER_KEY, Gateway, Reply, running
from tests.servers.found import clock_library

_SETTINGS = """
[server]
drain = "20 s"
[store]
url = "{store}"
{board}
pepper = {{ env = "CLUSTER_PEPPER" }}
master_keys = {{ only = {{ env = "CLUSTER_MASTER" }} }}
node = "{name}"
journal = "{folder}/journal"
[providers.fake-provider]
enabled = true
"""
_ENVIRON = {
    "CLUSTER_PEPPER": PEPPER,
    "CLUSTER_MASTER": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "MOCK_KEY": PROVIDER_KEY,
}
_turns = itertools.count()


@dataclass
class Node:
    """One of the gateways, which keeps its folder, its port and its name from one start to the next."""

    name: str
    folder: Path
    settings: str
    environ: dict[str, str]
    store: Proxy
    board: Proxy | None
    port: int = field(default_factory=free_port)
    gateway: Gateway | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start it and wait until it serves."""
        started = running(self.folder, self.settings, port=self.port, environ=self.environ)
        self.gateway = self._running.enter_context(started)

    def stop(self) -> None:
        """Stop it as SIGTERM does and wait for its end; what it logged is checked."""
        self.gateway = None
        self._running.close()

    def kill(self) -> None:
        """Kill it as SIGKILL does."""
        assert self.gateway is not None
        self.gateway.process.kill()
        self.gateway.process.wait()
        self.stop()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze it meanwhile."""
        assert self.gateway is not None
        process = self.gateway.process
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def call(self, body: Any, *, key: str = KEY, **headers: str) -> Reply:
        """POST on the one route."""
        assert self.gateway is not None
        return self.gateway.call(body, key=key, path=BELOW_ASGI, **headers)

    def get(self, path: str, key: str = KEY) -> Reply:
        """GET a path below /api/v1/."""
        assert self.gateway is not None
        return self.gateway.request("GET", f"/api/v1/{path}", headers={"authorization": f"Bearer {key}"})

    def log(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log that tell of an event."""
        lines = (self.folder / "gateway.log").read_text().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in told if line["event"] == event]


@dataclass
class Cluster:
    """The nodes, and the store that they share."""

    nodes: Sequence[Node]
    books: Books
    started_s: float = field(default_factory=time.monotonic)

    @property
    def ports(self) -> list[int]:
        return [node.port for node in self.nodes]

    def call(self, body: Any, *, key: str = KEY, **headers: str) -> Reply:
        """Ask the next node whose turn it is."""
        return self.nodes[next(_turns) % len(self.nodes)].call(body, key=key, **headers)

    def await_acquaintance(self) -> None:
        """Wait until each node has looked how many there are, which it does every ten seconds."""
        time.sleep(max(0.0, self.started_s + 11 - time.monotonic()))

    def run(self, *words: str) -> Any:
        """Run a command of the operator's on the first node's settings; what it tells."""
        return json.loads(self.run_plainly(*words, "--json"))

    def run_plainly(self, *words: str, **environ: str) -> str:
        """The same with a command that tells no document, and more in its environment."""
        ran = subprocess.run(
            [*COMMAND, *words, "--config", "trunkline.toml"],
            cwd=self.nodes[0].folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": os.environ["PATH"], **_ENVIRON, **environ},
        )
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
        return ran.stdout


@contextlib.contextmanager
def started(
    folder: Path,
    store: str,
    board: str | None = None,
    *,
    settings: str = "",
    count: int = 3,
    clocks_s: Sequence[float] = (),
) -> Iterator[Cluster]:
    """Start nodes on a PostgreSQL and a board; a clock is so many seconds fast.

    Each reaches the store through a proxy, and the first one the board too.
    """
    with ThreadPoolExecutor(count) as pool, ExitStack() as stack:
        nodes = []
        for number in range(count):
            between = stack.enter_context(Proxy(_port_of(store)))
            # One node's network is enough to be broken. What passes through a process of tests is late at times, and
            # the board has 50 ms.
            shared = None if board is None or number else stack.enter_context(Proxy(_port_of(board)))
            name = f"node-{number + 1}"
            own = folder / name
            own.mkdir()
            said = "" if board is None else f'counters = "{_through(shared, board)}"'
            told = _SETTINGS.format(store=_through(between, store), board=said, name=name, folder=own) + settings
            offset_s = clocks_s[number] if number < len(clocks_s) else 0.0
            nodes.append(Node(name, own, told, {**_ENVIRON, **_clock_environ(offset_s)}, between, shared))
        stack.callback(lambda: list(pool.map(Node.stop, nodes)))
        list(pool.map(Node.start, nodes))
        yield Cluster(nodes, Books(store))


def _through(proxy: Proxy | None, url: str) -> str:
    """An address as it is reached through a proxy."""
    return url if proxy is None else url.replace(f":{_port_of(url)}/", f":{proxy.port}/")


def _port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def _clock_environ(offset_s: float) -> dict[str, str]:
    """What a process is given for its time of day to be fast by so much; its monotonic clock goes as it does."""
    if not offset_s:
        return {}
    library = clock_library()
    assert library is not None, "there is no libfaketime"
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{offset_s:+}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
