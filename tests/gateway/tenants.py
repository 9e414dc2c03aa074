"""Accounts with credit and keys with limits, put into a running gateway's store, and what the store says of them."""

from __future__ import annotations

import hmac
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.gateway.server import BELOW_ASGI, Gateway, Reply
from tests.gateway.waiting import eventually
from tests.recorded import NOW, await_notes, keep, record
from trunkline.accounts.audit import audit
from trunkline.accounts.pepper import read_pepper
from trunkline.store.sqlite import SQLiteConnection

_numbers = count(1)


@dataclass(frozen=True)
class Store:
    """A running gateway, and the database behind it."""

    gateway: Gateway
    path: Path

    def rows(self, statement: str, *values: object) -> list[Any]:
        with self.opened() as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def opened(self) -> Iterator[SQLiteConnection]:
        await_notes(self.path)
        with closing(
            sqlite3.connect(self.path, timeout=10, isolation_level=None, factory=SQLiteConnection)
        ) as connection:
            yield connection

    def check(self) -> None:
        """Audit the books: there is no difference, and no hold is left."""
        eventually(lambda: self.rows("SELECT count(*) FROM holds") == [(0,)], "a hold is left")
        with self.opened() as connection:
            found = audit(connection, int(time.time() * 1000)).differences
        assert not found, found[:5]

    def tenant(self, credit: int | None = None, **key: Any) -> Tenant:
        """A new account with one key. `credit` is in nano-dollars, None for an unlimited account; `key` are columns."""
        name = f"{next(_numbers):04d}"
        tenant = Tenant(self, f"acc_{name}", f"key_{name}", f"tl-key-of-a-tenant-number-{name}")
        now_ms = int(time.time() * 1000)
        columns = {
            "id": tenant.key_id,
            "account_id": tenant.account_id,
            "name": f"team {name}",
            "hash": hmac.digest(read_pepper(None, self.path, {}), tenant.text.encode(), "sha256"),
            "prefix": tenant.text[:7],
            "created_at_ms": now_ms,
            **key,
        }
        with self.opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO accounts (id, name, created_at_ms) VALUES (?, ?, ?)", (tenant.account_id, name, now_ms)
            )
            places = ", ".join("?" * len(columns))
            connection.execute(f"INSERT INTO keys ({', '.join(columns)}) VALUES ({places})", tuple(columns.values()))
            if credit is not None:
                connection.execute("INSERT INTO budgets (id, credited_nano) VALUES (?, ?)", (tenant.account_id, credit))
                connection.execute(
                    "INSERT INTO entries (at_ms, kind, debit, credit, amount_nano) VALUES (?, 'topup', 'world', ?, ?)",
                    (now_ms, tenant.account_id, credit),
                )
            connection.execute("COMMIT")
        return tenant


@dataclass(frozen=True)
class Balance:
    """What a budget says, in nano-dollars."""

    credited: int
    charged: int
    held: int


@dataclass(frozen=True)
class Tenant:
    """An account with one key."""

    store: Store
    account_id: str
    key_id: str
    text: str

    def call(self, body: Any, **headers: str) -> Reply:
        return self.store.gateway.call(body, key=self.text, path=BELOW_ASGI, **headers)

    def get(self, path: str, **headers: str) -> Reply:
        """GET a path below /api/v1/."""
        headers = {"authorization": f"Bearer {self.text}", **headers}
        return self.store.gateway.request("GET", f"/api/v1/{path}", headers=headers)

    def data(self, path: str) -> Any:
        """What a path tells."""
        reply = self.get(path)
        assert reply.status == 200, reply.body
        assert reply.headers["content-type"] == "application/json"
        assert set(reply.json) == {"data"}
        return reply.json["data"]

    def keep(self, id: str, **changes: Any) -> None:
        """Put a request on record that nobody made."""
        row = record(id, **{"account_id": self.account_id, "key_id": self.key_id, "created_at_ms": NOW, **changes})
        with self.store.opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            keep(connection, [row])
            connection.execute("COMMIT")

    def balance(self, budget: str | None = None) -> Balance:
        """The account's balance, or that of another budget."""
        statement = "SELECT credited_nano, charged_nano, held_nano FROM budgets WHERE id = ?"
        ((credited, charged, held),) = self.store.rows(statement, budget or self.account_id)
        return Balance(credited, charged, held)

    def settled(self) -> Balance:
        """The balance once nothing is held any more."""
        eventually(lambda: self.balance().held == 0, "a hold is left")
        return self.balance()

    def record(self, reply: Reply) -> dict[str, Any]:
        """What is on record of an answer."""
        with self.store.opened() as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(
                "SELECT * FROM generations WHERE id = ?", (reply.headers["x-generation-id"],)
            ).fetchone()
        assert found is not None, "there is no record"
        return dict(found)


def sized(body: dict[str, Any], size: int) -> bytes:
    """A body of so many bytes: blanks are added behind it."""
    data = json.dumps(body).encode()
    assert len(data) <= size, (len(data), size)
    return data + b" " * (size - len(data))
