"""Records of requests that nobody made, put into a store as the gateway's writer would: with what they add to a day."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trunkline.days import DAY_MS
from trunkline.store.batch import Batch
from trunkline.store.connection import Connection
from trunkline.store.journal import notes_in
from trunkline.store.posting import post
from trunkline.store.rows import BLANK, GenerationRow, HoldRow
from trunkline.store.sqlite import SQLiteConnection
from trunkline.store.statements.budgets import add_holds

DAY = 20_000 * DAY_MS
"""2024-10-04, in UTC milliseconds."""

TODAY = int(time.time()) * 1000 // DAY_MS
NOW = TODAY * DAY_MS + 60_000
"""A minute after today began, in UTC milliseconds."""

USUAL = BLANK._replace(
    created_at_ms=DAY,
    account_id="default",
    key_id="key_1",
    model="acme/large",
    asked_model="acme/large",
    endpoint_id="acme:acme/large",
    provider="acme",
    status="completed",
    stop="stop",
    input_tokens=100,
    output_tokens=10,
    cost_nano=7,
    cost_input_nano=7,
    queued_ms=1,
    total_ms=30,
)


def record(id: str, **changes: Any) -> GenerationRow:
    """A record of an account without limit, but for what is changed."""
    return USUAL._replace(id=id, **changes)


def await_notes(path: Path) -> None:
    """Wait until what running gateways have noted is in their store."""
    noted, ends_at = notes_in(folder := path.with_name(f"{path.name}.journal")), time.monotonic() + 20
    while noted.items() & notes_in(folder).items():
        assert time.monotonic() < ends_at, "what is noted is not posted"
        time.sleep(0.01)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[SQLiteConnection]:
    """The store of a gateway that may be running; what is done there is committed together."""
    await_notes(path)
    with contextlib.closing(sqlite3.connect(path, timeout=20, factory=SQLiteConnection)) as connection, connection:
        yield connection


def keep(connection: Connection, rows: Sequence[GenerationRow]) -> None:
    """Write records as the writer does, and hold before what they say was held, in no budget."""
    held = [row for row in rows if row.held_nano is not None]
    add_holds(
        connection,
        [
            HoldRow(row.id, row.account_id, row.key_id, None, None, row.held_nano or 0, "boot", row.created_at_ms)
            for row in held
        ],
    )
    posted = post(connection, Batch(settles=tuple(rows)), "boot", DAY)
    assert not posted.failed, posted.failed


FULL: dict[str, Any] = {
    "model": "fake/echo",
    "provider": "fake-provider",
    "endpoint_id": "fake-provider:fake/echo",
    "upstream_id": "up_1",
    "price_id": 3,
    "stop": "calls",
    "streamed": True,
    "is_estimated": True,
    "service_tier": "flex",
    "input_tokens": 1000,
    "cache_read_tokens": 400,
    "output_tokens": 50,
    "reasoning_tokens": 20,
    "image_output_tokens": 5,
    "images": 1,
    "searches": 2,
    "cost_nano": 1_234_567_891,
    "cost_input_nano": 1_000_000_000,
    "cost_output_nano": 200_000_000,
    "cost_fees_nano": 34_567_891,
    "charged_nano": 1_000_000_001,
    "house_nano": 234_567_890,
    "held_nano": 1_000_000_001,
    "queued_ms": 40,
    "first_token_ms": 90,
    "total_ms": 140,
    "dropped": "top_k,seed",
    "session_id": "s1",
    "user": "u1",
}
