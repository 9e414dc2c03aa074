"""Statements that read records with what they were priced by, one after the other: for commands, never for a request.

There is no index on what an upstream calls its answers: it would be written for every request, and read once a month.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from trunkline.store.connection import Connection


class Priced(NamedTuple):
    """What a record used and what that came to. `price_id` is None where there was no price.

    `parts_nano` is what the answer was worth, `total_nano` what its client was told it cost, `told_nano` what the
    provider said.
    """

    id: str
    account_id: str
    endpoint_id: str | None
    price_id: int | None
    service_tier: str | None
    is_byok: bool
    held_nano: int | None
    told_nano: int | None
    parts_nano: int
    total_nano: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    audio_input_tokens: int
    audio_cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    image_output_tokens: int
    images: int
    searches: int


class Answered(NamedTuple):
    """A record beside what its provider calls the answer; `is_own` where no key of the gateway's paid for it."""

    id: str
    upstream_id: str | None
    created_at_ms: int
    is_own: bool
    worth_nano: int


_PARTS = "cost_input_nano + cost_output_nano + cost_fees_nano"
_TOTAL = "CASE WHEN held_nano IS NULL THEN cost_nano ELSE charged_nano END"
_PRICED = ", ".join({"parts_nano": _PARTS, "total_nano": _TOTAL}.get(name, name) for name in Priced._fields)


def list_prices(connection: Connection) -> dict[int, str]:
    """List the texts of all prices that are kept, by their numbers."""
    return dict(connection.execute("SELECT id, price FROM prices").fetchall())


def find_priced_endpoint(connection: Connection, price_id: int) -> str | None:
    """Find the endpoint that a price is of; None where there is no such price."""
    row = connection.execute("SELECT endpoint_id FROM prices WHERE id = ?", (price_id,)).fetchone()
    return None if row is None else str(row[0])


def list_priced(connection: Connection) -> Iterator[Priced]:
    """List all records that name a price which is kept."""
    rows = connection.read(f"SELECT {_PRICED} FROM generations WHERE price_id IN (SELECT id FROM prices)")
    return (Priced(*row) for row in rows)


def list_used(connection: Connection, from_ms: int, before_ms: int, endpoint_id: str | None = None) -> Iterator[Priced]:
    """List the records of a time, with a price or without; of all endpoints or one."""
    of_one = "" if endpoint_id is None else "AND endpoint_id = :endpoint_id"
    rows = connection.read(
        f"SELECT {_PRICED} FROM generations WHERE created_at_ms >= :from_ms AND created_at_ms < :before_ms {of_one}",
        {"from_ms": from_ms, "before_ms": before_ms, "endpoint_id": endpoint_id},
    )
    return (Priced(*row) for row in rows)


def list_answered(connection: Connection, provider: str, from_ms: int, before_ms: int) -> Iterator[Answered]:
    """List the records of what a provider answered in a time."""
    rows = connection.read(
        f"""
        SELECT id, upstream_id, created_at_ms, is_byok, {_PARTS} FROM generations
        WHERE provider = :provider AND created_at_ms >= :from_ms AND created_at_ms < :before_ms
        """,
        {"provider": provider, "from_ms": from_ms, "before_ms": before_ms},
    )
    return (Answered(*row) for row in rows)


def list_providers(connection: Connection) -> list[str]:
    """List the providers that answered anything, by their slugs."""
    rows = connection.execute("SELECT DISTINCT provider FROM usage_daily WHERE provider <> '' ORDER BY provider")
    return [row[0] for row in rows]
