"""Every command that opens the database, one after the other on SQLite and on PostgreSQL: they say the same."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ran, Run
from tests.recorded import DAY, keep, opened, record
from tests.servers.postgres import PASSWORD, Postgres
from tests.store.base import Base
from trunkline.store.rows import GenerationRow
from trunkline.store.schema import HEAD

CONFIG = """
[store]
url = "{url}"
pepper = "pepper-of-these-nodes"
[store.master_keys]
first = "{master}"
"""
MASTER = "5a" * 32
PUT: list[list[str]] = [
    ["store", "migrate"],
    ["accounts", "create", "one", "--credit", "5"],
    ["accounts", "create", "two", "--unlimited"],
    ["accounts", "disable", "two"],
    ["accounts", "list"],
    ["accounts", "enable", "two"],
    ["keys", "create", "--account", "one", "--name", "k", "--limit", "3", "--reset", "monthly", "--rpm", "10"],
    ["keys", "set", "k", "--limit", "2", "--expires", "7d"],
    ["keys", "show", "k"],
    ["credits", "add", "one", "2", "--reference", "r1"],
    ["credits", "add", "one", "2", "--reference", "r1"],
    ["credits", "add", "one", "3", "--reference", "r1"],
    ["credits", "remove", "one", "0.5", "--reference", "r2"],
    ["byok", "add", "--account", "one", "--provider", "openai"],
    ["byok", "list"],
    ["byok", "rotate"],
    ["prompts", "add", "t"],
    ["prompts", "add", "t"],
    ["prompts", "add", "t"],
    ["prompts", "remove", "t@2"],
    ["prompts", "list"],
    ["prompts", "show", "t"],
    ["prompts", "show", "t@2"],
    ["prompts", "remove", "t"],
]
ASK = [
    ["accounts", "show", "one"],
    ["keys", "list"],
    ["usage", "--account", "one", "--from", "2024-10-01", "--to", "2024-10-31"],
    ["usage", "--account", "one", "--from", "2024-10-01", "--to", "2024-10-31", "--by", "model"],
    ["usage", "--account", "one", "--from", "2024-10-01", "--to", "2024-10-31", "--by", "key"],
    ["requests"],
    ["requests", "--account", "one", "--model", "acme/l*", "--limit", "1"],
    ["requests", "--status", "failed"],
    ["requests", "show", "resp_1"],
    ["requests", "show", "resp_none"],
    ["ledger", "entries"],
    ["ledger", "entries", "--account", "one", "--after", "1", "--limit", "1"],
    ["ledger", "audit"],
    ["ledger", "rerate", "--from", "2024-10-01", "--to", "2024-10-31", "--dry-run"],
    ["ledger", "reconcile", "invoice.csv", "--provider", "acme"],
    ["keys", "revoke", "k"],
]
_NAMES = re.compile(r"\b(acc|key|pk)_[0-9a-f]{16}|\b[a-z]+_[0-9a-f]{16}|tl-[\w-]+…?|\d{4}-\d\d-\d\dT[\d:.]+Z")


def records(account_id: str) -> list[GenerationRow]:
    return [
        record("resp_1", account_id=account_id, cost_nano=5_000, cost_input_nano=5_000, upstream_id="a1"),
        record("resp_2", account_id=account_id, created_at_ms=DAY + 1, status="failed", model="acme/small"),
        record("resp_3", created_at_ms=DAY + 2, upstream_id="a3", is_byok=True, cost_nano=0, upstream_nano=7),
    ]


@pytest.fixture
def walk(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def walk(url: str, put_records: Callable[[list[GenerationRow]], object]) -> dict[str, Any]:
        """What each command says, with names and times that are the same whenever it is done."""
        (tmp_path / "trunkline.toml").write_text(CONFIG.format(url=url, master=MASTER))
        (tmp_path / "invoice.csv").write_text("id,usd\na1,0.000005\na9,1\n")
        said: dict[str, Any] = {}
        for number, words in enumerate((*PUT, *ASK)):
            if number == len(PUT):
                put_records(records(json.loads(run("accounts", "show", "one", "--json").out)["id"]))
            given = b'{"input": "Hi"}' if words[0] == "prompts" else b"sk-own-Hq5Zt8Wb2Nc7Rm3Ys6Kd"
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
            ran = run(*words, "--json")
            assert PASSWORD not in ran.out + ran.err
            said[f"{number} {' '.join(words)}"] = (ran.code, *(_NAMES.sub("…", text) for text in (ran.out, ran.err)))
        return said

    return walk


def test_commands_say_the_same_on_both(walk: Callable[..., Any], tmp_path: Path, postgres_url: str) -> None:
    path = tmp_path / "trunkline.db"

    def put(rows: list[GenerationRow]) -> None:
        with opened(path) as connection:
            keep(connection, rows)

    (tmp_path / "trunkline.db.pepper").write_text("p" * 64)
    path.touch(0o600)
    expected = walk(f"sqlite:///{path}", put)
    with closing(Base(postgres_url)) as base:
        found = walk(postgres_url, lambda rows: base.do(partial(keep, rows=rows)))
    assert found == expected
    refused = {words.partition(" ")[2] for words, (code, *_) in expected.items() if code}
    assert refused == {
        "credits add one 3 --reference r1",
        "prompts show t@2",
        "requests show resp_none",
        "ledger reconcile invoice.csv --provider acme",
    }


def test_follow_prints_what_comes(run: Run, tmp_path: Path, postgres_url: str) -> None:
    with closing(Base(postgres_url)) as base:
        assert run("store", "migrate", text=CONFIG.format(url=postgres_url, master=MASTER)).code == 0
        base.do(partial(keep, rows=records("default")))
        following = subprocess.Popen(
            [sys.executable, "-m", "trunkline", "requests", "--follow", "--json", "--limit", "1"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert following.stdout is not None
            assert json.loads(following.stdout.readline())["id"] == "resp_3"
            base.do(partial(keep, rows=[record("resp_4", created_at_ms=DAY - 1)]))
            assert json.loads(following.stdout.readline())["id"] == "resp_4"
        finally:
            following.send_signal(2)
            following.wait(10)
            following.stdout.close() if following.stdout else None


def test_a_check_names_the_database_and_makes_nothing(run: Run, postgres_url: str) -> None:
    text = CONFIG.format(url=postgres_url, master=MASTER)
    shown = postgres_url.replace(PASSWORD, "(hidden)")
    for state in ("tables are made at the start", f"tables of revision {HEAD}"):
        for _ in range(2):
            ran = run("check", text=text)
            assert ran.code == 0
            assert f"Database\n  {shown}  ({state})\n" in ran.out
            assert PASSWORD not in ran.out + ran.err
        run("store", "migrate")


class TestRefused:
    """A database that cannot be used: one line that says why, and never the password."""

    @pytest.fixture
    def told(self, run: Run) -> Callable[[str], str]:
        def told(url: str) -> str:
            lines = set()
            for words in (["check"], ["serve", "--port", "0"], ["accounts", "list"], ["store", "migrate"]):
                ran: Ran = run(*words, text=CONFIG.format(url=url, master=MASTER))
                assert (ran.code, ran.out) == (2, "")
                assert "canary" not in ran.err
                lines.add(ran.err)
            (line,) = lines
            return line

        return told

    def test_by_a_wrong_password(self, told: Callable[[str], str], postgres: Postgres) -> None:
        line = told(postgres.url.replace(PASSWORD, "canary-wrong"))
        assert line == (
            "trunkline: store.url: The store failed (it lets this user in no more: look at the user and password in "
            "store.url).\n"
        )

    def test_where_there_is_none_of_that_name(self, told: Callable[[str], str], postgres: Postgres) -> None:
        assert "there is no such database" in told(postgres.url_of("nowhere"))

    def test_where_nobody_listens(self, told: Callable[[str], str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        assert "store.url: The store failed (" in told(f"postgresql://me:canary-pw@127.0.0.1:{port}/x")

    def test_by_what_follows_the_question_mark(self, told: Callable[[str], str], postgres: Postgres) -> None:
        assert "store.url: " in told(postgres.url.replace(PASSWORD, "canary-pw") + "?sslmode=canary")

    def test_without_the_driver(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "asyncpg", None)
        monkeypatch.delitem(sys.modules, "trunkline.store.postgres", raising=False)
        ran = run("check", text=CONFIG.format(url="postgresql://me:canary-pw@db/x", master=MASTER))
        assert (ran.code, ran.err) == (
            2,
            "trunkline: store.url: PostgreSQL needs a driver that is not installed; pip install 'trunkline[cluster]'\n",
        )
