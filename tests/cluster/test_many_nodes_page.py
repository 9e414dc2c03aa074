"""docs/how-to/many-nodes.md walked: its servers set up, its settings on three nodes, its commands, its restart.

Nothing of it is changed but addresses, files, and what is told to `ssh`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cluster.books import Books
from tests.cluster.load import Got, Load, shown
from tests.gateway.newer import EXPANDED
from tests.gateway.ports import free_port
from tests.gateway.server import Gateway, running
from tests.servers import valkey
from tests.servers.nginx import Nginx
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey
from tests.test_walk import ROOT, blocks, commands, shell
from trunkline.store.schema import HEAD

pytestmark = pytest.mark.timeout(180)
PAGE = ROOT / "docs" / "how-to" / "many-nodes.md"
HOSTS = ("10.0.0.11", "10.0.0.12", "10.0.0.13")

SSH = """#!/bin/sh
echo "$1" > restart
while [ -e restart ]; do sleep 0.05; done
"""
"""Leaves the name of the node that is to be restarted, and waits until it was."""


@dataclass
class Place:
    """One of the machines that the page speaks of."""

    folder: Path
    port: int = field(default_factory=free_port)
    gateway: Gateway | None = None
    environ: dict[str, str] = field(default_factory=dict)
    _running: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        text = (self.folder / "trunkline.toml").read_text()
        self.gateway = self._running.enter_context(
            running(
                self.folder,
                text,
                key=None,
                port=self.port,
                environ=self.environ,
                TRUNKLINE_STORE__NODE=self.folder.name,
            )
        )

    def stop(self) -> None:
        self._running.close()


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Iterator[str]:
    """The database as the page makes it."""
    (made,) = blocks(PAGE, "sql")
    for statement in filter(str.strip, made.split(";")):
        postgres.run(statement)
    yield f"postgresql://trunkline:a-long-password@127.0.0.1:{postgres.port}/trunkline"
    postgres.run("DROP DATABASE trunkline WITH (FORCE)")


@pytest.fixture(scope="module")
def board(shared_redis: Valkey) -> Iterator[Valkey]:
    """A Valkey or Redis that takes each setting of the page."""
    with valkey.started() as server:
        text = PAGE.read_text("utf-8")
        for line in re.findall(r"^((?:maxmemory|appendonly).*)$", text, re.MULTILINE):
            assert server.run("CONFIG", "SET", *line.split()) == b"+OK\r\n", line
        for line in re.findall(r"^user (.*)$", text, re.MULTILINE):
            assert server.run("ACL", "SETUSER", *line.split()) == b"+OK\r\n", line
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an operator sits, with the secrets as the page makes them."""
    folder = tmp_path_factory.mktemp("operator")
    (made,) = [block for block in blocks(PAGE, "sh") if "openssl" in block]
    ran = shell(made, folder)
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture(scope="module")
def places(database: str, board: Valkey, folder: Path) -> Iterator[list[Place]]:
    (text,) = blocks(PAGE, "toml")
    text = re.sub(r'"postgresql://[^"]+"', f'"{database}"', text)
    text = text.replace("cache.internal:6379", f"127.0.0.1:{board.port}").replace("/run/secrets/", f"{folder}/")
    found = []
    for number in range(len(HOSTS)):
        own = folder / f"node-{number}"
        own.mkdir()
        (own / "trunkline.toml").write_text(text.replace("/var/lib/trunkline", str(own)))
        found.append(Place(own))
    (folder / "trunkline.toml").write_text((found[0].folder / "trunkline.toml").read_text())
    with ExitStack() as stack, ThreadPoolExecutor(len(HOSTS)) as pool:
        for place in found:
            stack.callback(place.stop)
        list(pool.map(Place.start, found))
        yield found


def test_the_commands_do_what_the_page_says(places: list[Place], folder: Path) -> None:
    listed = commands(PAGE)
    assert len(listed) >= 6
    for command in listed:
        ran = shell(command, folder)
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        assert "a-long-password" not in ran.stdout + ran.stderr
        if "keys create" in command:
            (folder / "key").write_text(ran.stdout.strip())
    key = (folder / "key").read_text()
    for place in places:
        assert place.gateway is not None
        assert place.gateway.call({"model": "fake/echo", "input": "Hello!"}, key=key).status == 200


def test_nodes_may_do_on_the_board_what_they_do_there(places: list[Place], board: Valkey) -> None:
    """The user of the page may count limits, give back what was taken, tell and hear."""
    for place in places:
        assert "board." not in (place.folder / "gateway.log").read_text()
    refused = board.run("ACL", "LOG")
    assert refused == b"*0\r\n", refused


@pytest.fixture(scope="module")
def balancer(places: list[Place], start_nginx: Callable[[str], AbstractContextManager[Nginx]]) -> Iterator[Nginx]:
    """The nginx of the page, in front of the nodes; who has a certificate for the tests' machine?"""
    (site,) = blocks(PAGE, "nginx")
    site = site.replace("listen 443 ssl", "listen 127.0.0.1:{port}")
    for host, place in zip(HOSTS, places, strict=True):
        site = site.replace(f"{host}:8080", f"127.0.0.1:{place.port}")
    with start_nginx(site) as server:
        yield server


def test_PR_04_the_restart_of_the_page_fails_no_request(
    places: list[Place], folder: Path, database: str, newer_path: Path, balancer: Nginx
) -> None:
    """Each node comes back with a newer version, of which the first one to start migrates."""
    (script,) = [block for block in blocks(PAGE, "sh") if "ssh" in block]
    script = script.replace("http://$node:8080", "http://127.0.0.1:$node")
    for host, place in zip(HOSTS, places, strict=True):
        script = script.replace(host, str(place.port))
    (folder / "ssh").write_text(SSH)
    (folder / "ssh").chmod(0o755)
    made = shell("trunkline keys create --name load", folder).stdout.strip()
    before = [place.gateway and place.gateway.process.pid for place in places]
    books = Books(database)
    assert books.revision() == HEAD
    for place in places:
        place.environ["PYTHONPATH"] = str(newer_path)
    slow = {"model": "fake/lorem", "input": "!rate 50\n!tokens 60", "stream": True}
    got: list[Got] = []
    ask = {"model": "fake/echo", "input": "a"}
    ports = [balancer.port]
    with Load(ports, 25, lambda _: (ask, made), got), Load(ports, 10, lambda _: (slow, made), got):
        restarting = threading.Thread(target=_restart_as_told, args=(folder / "restart", places))
        restarting.start()
        ran = shell(f"PATH={folder}:$PATH\n{script}", folder)
        restarting.join(60)
        assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count('"ready"') == len(places)
    assert [place.gateway and place.gateway.process.pid for place in places] != before
    assert all(each.is_whole for each in got), shown([each for each in got if not each.is_whole])
    assert all(f"200 127.0.0.1:{place.port}\n" in balancer.asked for place in places)
    assert books.revision() == EXPANDED
    books.check()


def _restart_as_told(asked: Path, places: list[Place]) -> None:
    """Restart each node once, when it is told, as systemd does."""
    for _ in places:
        while not (asked.exists() and asked.read_text().strip()):
            time.sleep(0.05)
        (place,) = [each for each in places if str(each.port) == asked.read_text().strip()]
        place.stop()
        place.start()
        asked.unlink()


def test_a_page_that_shows_balancers_shows_what_they_must_do() -> None:
    """nginx and Caddy are told what the load of these tests does: no request that was sent is sent again."""
    text = PAGE.read_text("utf-8")
    assert "proxy_next_upstream error timeout;" in text
    assert "non_idempotent" not in text
    assert "proxy_buffering off;" in text
    assert "flush_interval -1" in text


def test_the_page_stops_no_node_while_the_balancer_lets_the_one_before_be() -> None:
    """Nodes start faster than a balancer forgets that one refused: it would have none to ask, as nginx once had."""
    text = PAGE.read_text("utf-8")
    (pause,) = re.findall(r"^ +sleep (\d+)", text, re.MULTILINE)
    forgets = re.findall(r"fail_timeout=(\d+)s", text)
    looks = re.findall(r"health_interval (\d+)s", text)
    assert len(forgets) == len(HOSTS)
    # nginx counts whole seconds: one that began just before a second's end is over a second later than it says.
    assert all(int(pause) > int(each) + 1 for each in forgets)
    assert all(int(pause) > int(each) for each in looks)
