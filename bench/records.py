"""Times what is read of a month in which one account made 289,000 requests: from the sums of days, and one record.

python -m bench.records              # of 10 keys, at 6 models of 2 providers
python -m bench.records 20 12 4
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Final

from trunkline.days import DAY_MS
from trunkline.store.batch import Batch
from trunkline.store.connection import Connection
from trunkline.store.database import open_database
from trunkline.store.posting import post
from trunkline.store.rows import BLANK, GenerationRow
from trunkline.store.sqlite import SQLiteConnection
from trunkline.store.statements import records
from trunkline.store.statements.accounts import accounts_named
from trunkline.store.statements.records import RecordFilter, UsageFilter

REQUESTS: Final = 289_000
OTHERS: Final = 61_000
"""Requests of other accounts among them."""

ROUNDS: Final = 50
SPREAD: Final = (10, 6, 2)
TODAY: Final = 20_783
GROUP: Final = 500


def main() -> None:
    """Print milliseconds: the median of many readings, by the processor's clock, and the longest by the wall's."""
    keys, models, providers = map(int, sys.argv[1:]) if sys.argv[1:] else SPREAD
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trunkline.db")
        asyncio.run(_made(path))
        connection = sqlite3.connect(path, isolation_level=None, factory=SQLiteConnection)
        began = time.perf_counter()
        _fill(connection, keys, models, providers)
        (sums,) = connection.execute("SELECT count(*) FROM usage_daily WHERE account_id = 'acc'").fetchone()
        print(f"{REQUESTS + OTHERS:,} records written in {time.perf_counter() - began:.0f} s; {sums:,} sums of days")
        for name, read in _readings().items():
            _print(name, connection, read)
        connection.close()


async def _made(path: Path) -> None:
    await open_database(f"sqlite:///{path}", 10.0).close()


def _fill(connection: Connection, *spread: int) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("INSERT INTO accounts (id, name, created_at_ms) VALUES ('acc', 'acc', 0)")
    connection.execute(
        "INSERT INTO keys (id, account_id, name, hash, prefix, created_at_ms) VALUES (?, 'acc', '', '', '', 0)",
        ("key_acc_1",),
    )
    rows = _rows(*spread)
    while group := tuple(islice(rows, GROUP)):
        connection.execute("BEGIN")
        posted = post(connection, Batch(settles=group), "bench", 0)
        assert not posted.failed
        connection.execute("COMMIT")


def _rows(keys: int, models: int, providers: int) -> Iterator[GenerationRow]:
    dice = random.Random(1)
    accounts = ["acc"] * REQUESTS + [f"other_{number % 50}" for number in range(OTHERS)]
    dice.shuffle(accounts)
    first = (TODAY - 30) * DAY_MS
    for number, account in enumerate(accounts):
        yield BLANK._replace(
            id=f"resp_{number:024x}",
            created_at_ms=first + number * 31 * DAY_MS // len(accounts),
            account_id=account,
            key_id=f"key_{account}_{dice.randrange(keys)}",
            model=f"author/model-{dice.randrange(models)}",
            asked_model="author/model",
            provider=f"provider-{dice.randrange(providers)}",
            endpoint_id="provider:author/model",
            status="completed",
            stop="stop",
            input_tokens=dice.randrange(5000),
            output_tokens=dice.randrange(800),
            cost_nano=dice.randrange(10**7),
            total_ms=dice.randrange(20_000),
        )


def _readings() -> dict[str, Callable[[Connection], Any]]:
    month = UsageFilter("acc", None, TODAY - 30, TODAY)
    return {
        "GET /activity, 31 days": partial(records.list_activity, account_id="acc", from_day=TODAY - 30, to_day=TODAY),
        "GET /activity, one day": partial(records.list_activity, account_id="acc", from_day=TODAY, to_day=TODAY),
        "GET /credits": partial(accounts_named, name="acc"),
        "GET /key": partial(
            records.find_key_figures, key_id="key_acc_1", budget="key_acc_1", since=(TODAY, TODAY - 4, TODAY - 26)
        ),
        "GET /generation": partial(records.find_record, id=f"resp_{REQUESTS // 2:024x}", account_id=None),
        "usage --by day": partial(records.sum_usage, wanted=month, by="day"),
        "usage --by model": partial(records.sum_usage, wanted=month, by="model"),
        "usage --by key": partial(records.sum_usage, wanted=month, by="key"),
        "requests --account": partial(records.list_newest_records, wanted=RecordFilter("acc"), limit=20),
        "the month from records, for comparison": lambda connection: connection.execute(
            "SELECT model, count(*), sum(cost_nano) FROM generations WHERE account_id = 'acc' GROUP BY model"
        ).fetchall(),
    }


def _print(name: str, connection: Connection, read: Callable[[Connection], Any]) -> None:
    taken, walls = [], []
    for _ in range(5 if "comparison" in name else ROUNDS):
        wall, began = time.perf_counter(), time.thread_time()
        assert read(connection)
        taken.append((time.thread_time() - began) * 1000)
        walls.append((time.perf_counter() - wall) * 1000)
    print(f"{name:<40} median {median(taken):8.2f} ms   longest {max(walls):8.2f} ms")


if __name__ == "__main__":
    main()
