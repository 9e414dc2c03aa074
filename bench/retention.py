"""How long holds take while old records are deleted, beside how long they take when nothing is.

python -m bench.retention               # 150,000 records that are too old; eight holds in flight
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

from bench.holding import Held, add_credit, alarm, fsync_ms, load_writer
from trunkline.days import DAY_MS
from trunkline.settings.sections import Settings, StoreSettings
from trunkline.store.batch import Batch
from trunkline.store.connection import Connection
from trunkline.store.database import Database, open_database
from trunkline.store.opening import make_writer
from trunkline.store.posting import post
from trunkline.store.rows import BLANK, GenerationRow
from trunkline.store.sqlite import SQLiteConnection

OLD: Final = 150_000
DAYS: Final = 200
KEPT_S: Final = 90 * 86_400
IN_FLIGHT: Final = 8
SECONDS: Final = 1.0
GROUP: Final = 500
MOST_P99_MS: Final = 20.0


def main() -> None:
    """Print how long holds take without deletion and beside it; rounds of a second, until all old records are gone."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        print("the disk keeps a page in {:.2f} ms, 99 % in {:.2f} ms".format(*fsync_ms(Path(folder))))
        calm, beside = asyncio.run(_measured(Path(folder, "bench.db")))
    for name, rounds in (("nothing deleted", calm), ("beside deletion", beside)):
        print(f"{name}: {len(rounds)} rounds of {SECONDS:g} s, {sum(each.requests for each in rounds):,} holds")
        for each in rounds:
            print(f"  hold p50 {each.p50_ms:6.2f} ms   p99 {each.p99_ms:6.2f} ms")
    worst = sorted(each.p99_ms for each in beside)[len(beside) // 2]
    print(f"hold p99 beside deletion, median of its rounds: {worst:.1f} ms, target {MOST_P99_MS:g}")


async def _measured(path: Path) -> tuple[list[Held], list[Held]]:
    database = open_database(f"sqlite:///{path}", 10.0)
    try:
        await database.write(add_credit)
        with closing(sqlite3.connect(path, isolation_level=None, factory=SQLiteConnection)) as connection:
            _fill(connection)
        return await _rounds(database, path, 0, 5), await _rounds(database, path, KEPT_S, None)
    finally:
        await database.close()


async def _rounds(database: Database, path: Path, keep_records_s: float, count: int | None) -> list[Held]:
    """Load a writer for so many rounds, or for as long as there are old records."""
    store = StoreSettings(url=f"sqlite:///{path}", keep_records=keep_records_s)
    taken: list[Held] = []
    async with make_writer(Settings(store=store), database, time.time, alarm) as writer:
        while await database.read(_has_old) if count is None else len(taken) < count:
            taken.append(await load_writer(writer, IN_FLIGHT, SECONDS, f"{keep_records_s:.0f}-{len(taken)}"))
    return taken


def _has_old(connection: Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM generations WHERE id LIKE 'resp_old%' LIMIT 1").fetchone())


def _fill(connection: Connection) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    rows = _old_records()
    while group := tuple(islice(rows, GROUP)):
        connection.execute("BEGIN IMMEDIATE")
        assert not post(connection, Batch(settles=group), "bench", 0).failed
        connection.execute("COMMIT")


def _old_records() -> Iterator[GenerationRow]:
    first_ms = int(time.time() * 1000) - DAYS * DAY_MS
    for number in range(OLD):
        yield BLANK._replace(
            id=f"resp_old{number:021x}",
            created_at_ms=first_ms + number * 30 * DAY_MS // OLD,
            account_id="acc_old",
            key_id=f"key_old_{number % 10}",
            model=f"author/model-{number % 6}",
            asked_model="author/model",
            provider="provider",
            endpoint_id="provider:author/model",
            status="completed",
            stop="stop",
            input_tokens=number % 5000,
            output_tokens=number % 800,
            cost_nano=number,
            total_ms=number % 20_000,
        )


if __name__ == "__main__":
    main()
