"""Several gateways on one store and one board, each with a name, a journal and a clock of its own, started together.

A test asks them by turns as a balancer does, stops, kills and freezes single ones; at the end the books are audited.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.gateway.server import BELOW_ASGI, COMMAND, KEY, PROVIDER_KEY, Gateway, Reply, free_port, running
from tests.gateway.waiting import eventually
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
    "CLUSTER_PEPPER": "pepper-canary-Gk4Rz8Wq1Nc6Ld3T",
    "CLUSTER_MASTER": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "MOCK_KEY": PROVIDER_KEY,
}
_numbers = itertools.count(1)


class Tenant(NamedTuple):
    """An account and a key of it."""

    account_id: str
    key_id: str
    key: str


@dataclass
class Node:
    """One of the gateways, which keeps its folder, its port and its name from one start to the next."""

    name: str
    folder: Path
    settings: str
    environ: dict[str, str]
    port: int = field(default_factory=free_port)
    gateway: Gateway | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def is_running(self) -> bool:
        return self.gateway is not None and self.gateway.process.poll() is None

    def start(self) -> None:
        """Start it and wait until it serves."""
        self.gateway = self._running.enter_context(
            running(self.folder, self.settings, port=self.port, environ=self.environ)
        )

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


@dataclass
class Cluster:
    """The nodes, and the commands of an operator."""

    nodes: Sequence[Node]

    @property
    def ports(self) -> list[int]:
        return [node.port for node in self.nodes]

    def call(self, body: Any, *, key: str = KEY, **headers: str) -> Reply:
        """Ask the next node whose turn it is."""
        return self.nodes[next(_numbers) % len(self.nodes)].call(body, key=key, **headers)

    def tenant(self, *terms: str, credit: str | None = None) -> Tenant:
        """Make an account, unlimited without `credit`, and a key; `terms` are options of `trunkline keys create`."""
        number = next(_numbers)
        wallet = ("--unlimited",) if credit is None else ("--credit", credit)
        account = self.run("accounts", "create", f"team {number}", *wallet)
        key = self.run("keys", "create", "--account", account["id"], "--name", f"key {number}", *terms)
        return Tenant(account["id"], key["id"], key["key"])

    def account(self, tenant: Tenant) -> Any:
        """What `trunkline accounts show` tells."""
        return self.run("accounts", "show", tenant.account_id)

    def run(self, *words: str) -> Any:
        """Run a command of the operator's on the first node's settings; what it tells."""
        node = self.nodes[0]
        ran = subprocess.run(
            [*COMMAND, *words, "--json", "--config", "trunkline.toml"],
            cwd=node.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": os.environ["PATH"], **_ENVIRON},
        )
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
        return json.loads(ran.stdout)

    def check(self, within_s: float = 10.0) -> None:
        """Audit the books: no hold is left and there is no difference."""
        eventually(lambda: self.run("ledger", "audit")["open_holds"] == 0, "a hold is left", within_s)
        told = self.run("ledger", "audit")
        assert told["ok"], told["differences"][:5]


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
    """Start nodes on a store and a board; a clock is so many seconds fast. At the end the books are right."""
    nodes = [_node(folder, number, store, board, settings, clocks_s) for number in range(count)]
    cluster = Cluster(nodes)
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        for node in nodes:
            stack.callback(node.stop)
        list(pool.map(Node.start, nodes))
        yield cluster
        cluster.check()


def clock_environ(offset_s: float) -> dict[str, str]:
    """What a process is given for its time of day to be fast by so much; its monotonic clock goes as it does."""
    library = clock_library()
    assert library is not None, "there is no libfaketime"
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{offset_s:+}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def _node(folder: Path, number: int, store: str, board: str | None, settings: str, clocks_s: Sequence[float]) -> Node:
    name = f"node-{number + 1}"
    own = folder / name
    own.mkdir()
    said = "" if board is None else f'counters = "{board}"'
    environ = dict(_ENVIRON)
    if number < len(clocks_s) and clocks_s[number]:
        environ |= clock_environ(clocks_s[number])
    return Node(name, own, _SETTINGS.format(store=store, board=said, name=name, folder=own) + settings, environ)
