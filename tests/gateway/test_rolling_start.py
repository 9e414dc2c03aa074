"""Gateways of two versions on one PostgreSQL: the newer migrates, the older goes on and may start again."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trunkline
from tests.gateway.server import COMMAND, Gateway, running
from tests.servers.postgres import PASSWORD, Postgres
from trunkline.store.migrating import migrate_database

CONFIG = """
[store]
url = "{url}"
pepper = "pepper-of-these-nodes"
node = "{node}"
[providers.fake-provider]
enabled = true
"""


@dataclass
class Version:
    """A program, and where its gateways and commands run."""

    folder: Path
    url: str
    path: Path = Path(trunkline.__file__).parent.parent

    @contextmanager
    def node(self, name: str) -> Iterator[Gateway]:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with running(folder, CONFIG.format(url=self.url, node=name), PYTHONPATH=str(self.path)) as gateway:
            yield gateway
        assert PASSWORD not in (folder / "gateway.log").read_text()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        config = self.folder / "command.toml"
        config.write_text(CONFIG.format(url=self.url, node="command"))
        ran = subprocess.run(
            [*COMMAND, *words, "--config", str(config)],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self.path)},
        )
        assert PASSWORD not in ran.stdout + ran.stderr
        return ran

    def document(self, *words: str) -> Any:
        ran = self.run(*words, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


@dataclass
class Load:
    """Clients that ask one request after the other of whatever gateways there are."""

    key: str
    gateways: list[Gateway] = field(default_factory=list)
    answered: int = 0
    failed: list[Any] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self, number: int) -> None:
        while not self.is_over.is_set():
            gateway = self.gateways[number % len(self.gateways)]
            reply = gateway.call({"model": "fake/echo", "input": "hi", "stream": number % 2 == 0}, key=self.key)
            if reply.status == 200 and b"error" not in reply.body[-200:]:
                self.answered += 1
            else:
                self.failed.append((reply.status, reply.body[-300:]))
            number += 1

    @contextmanager
    def flowing(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.is_over.set()
            for thread in threads:
                thread.join(20)

    def go_on(self, count: int) -> None:
        """Wait until so many more are answered."""
        wanted = self.answered + count
        for _ in range(2000):
            if self.answered >= wanted or self.failed:
                return
            time.sleep(0.01)
        raise AssertionError("nothing is answered")


def test_requests_of_both_versions_go_on_before_in_and_after_a_migration(
    tmp_path: Path, postgres: Postgres, newer_path: Path
) -> None:
    url = postgres.new_database()
    older, newer = Version(tmp_path, url), Version(tmp_path, url, newer_path)
    with older.node("a") as first:
        account = older.document("accounts", "create", "team", "--credit", "100")["id"]
        load = Load(older.document("keys", "create", "--account", account, "--name", "k")["key"], [first])
        with load.flowing():
            load.go_on(20)
            with newer.node("b") as second:
                load.gateways.append(second)
                load.go_on(30)
                _restart_and_contract(older, newer, load, second)
                load.gateways[:] = [first]
                load.go_on(10)
        assert load.failed == []
        assert older.document("ledger", "audit")["ok"] is True


def _restart_and_contract(older: Version, newer: Version, load: Load, second: Gateway) -> None:
    """One of the older version starts again on the newer tables; what it needs is not taken away meanwhile."""
    with older.node("c") as restarted:
        load.gateways[:] = [restarted, second]
        load.go_on(20)
        refused = newer.run("store", "migrate", "--contract")
        assert refused.returncode == 2
        assert "nodes of an older version than 9998 still run: a, c; stop them" in refused.stderr
        load.gateways[:] = [second]
        load.go_on(10)


def test_what_only_older_versions_need_goes_when_it_is_asked_for(
    tmp_path: Path, postgres: Postgres, newer_path: Path
) -> None:
    url = postgres.new_database()
    older, newer = Version(tmp_path, url), Version(tmp_path, url, newer_path)
    migrate_database(url, 30.0)
    assert newer.document("store", "migrate") == {"revision": "9998", "waiting": "9999"}
    assert newer.document("store", "migrate", "--contract") == {"revision": "9999", "waiting": None}
    refused = older.run("check")
    assert refused.returncode == 2
    assert "the database is at revision 9999 and works with code of 9998 or newer" in refused.stderr
