"""Records of requests that nobody made, put into a store as the gateway's writer would: with what they add to a day."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trunkline.store.rows import GenerationRow
from trunkline.store.statements.records import MS_PER_DAY

DAY = 20_000 * MS_PER_DAY
"""2024-10-04, in UTC milliseconds."""

USUAL: dict[str, Any] = {
    **dict.fromkeys(GenerationRow._fields),
    **{
        name: 0
        for name in GenerationRow._fields
        if name.endswith(("_tokens", "_nano")) or name in ("images", "searches")
    },
    "created_at_ms": DAY,
    "account_id": "default",
    "key_id": "key_1",
    "model": "acme/large",
    "asked_model": "acme/large",
    "endpoint_id": "acme:acme/large",
    "provider": "acme",
    "status": "completed",
    "stop": "stop",
    "streamed": False,
    "is_byok": False,
    "is_estimated": False,
    "input_tokens": 100,
    "output_tokens": 10,
    "cost_nano": 7,
    "upstream_nano": None,
    "told_nano": None,
    "held_nano": None,
    "queued_ms": 1,
    "total_ms": 30,
}


def record(id: str, **changes: Any) -> GenerationRow:
    """A record of an account without limit, but for what is changed."""
    return GenerationRow(**{**USUAL, "id": id, **changes})


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The store of a gateway that may be running; what is done there is committed together."""
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection, connection:
        yield connection


def keep(connection: sqlite3.Connection, rows: Iterable[GenerationRow]) -> None:
    """Write records, and add them to their days."""
    names = ", ".join(GenerationRow._fields)
    places = ", ".join("?" * len(GenerationRow._fields))
    for row in rows:
        connection.execute(f"INSERT INTO generations ({names}) VALUES ({places})", row)
        connection.execute(
            """
            INSERT INTO usage_daily VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET
                requests = requests + 1,
                input_tokens = input_tokens + excluded.input_tokens,
                cached_tokens = cached_tokens + excluded.cached_tokens,
                output_tokens = output_tokens + excluded.output_tokens,
                reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,
                cost_nano = cost_nano + excluded.cost_nano,
                upstream_nano = upstream_nano + excluded.upstream_nano
            """,
            (
                *(
                    row.account_id,
                    row.created_at_ms // MS_PER_DAY,
                    row.key_id,
                    row.model,
                    row.provider or "",
                    row.is_byok,
                ),
                *(row.input_tokens, row.cache_read_tokens, row.output_tokens, row.reasoning_tokens),
                *(row.total_nano, row.upstream_nano or 0),
            ),
        )
