"""Statements about records of requests, and their roll-ups by day."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter, ne
from typing import Any, get_args, get_type_hints

from trunkline.store.connection import Connection
from trunkline.store.rows import GenerationRow, PriceRow, UsageRow
from trunkline.store.statements.budgets import select_in

COLUMNS = ", ".join(f'"{name}"' for name in GenerationRow._fields)
"""The columns of a record, in the order of its fields."""

_NOTHING = object()
_WITHOUT_DEFAULT = frozenset(("created_at_ms", "total_ms"))
_USUAL = tuple(
    None if type(None) in get_args(kind) else 0 if kind is int and name not in _WITHOUT_DEFAULT else _NOTHING
    for name, kind in get_type_hints(GenerationRow).items()
)
"""What the table says of each column by itself; of some nothing."""

_USAGE = UsageRow._fields[:6]
_SUMS = UsageRow._fields[6:]
_ADD_USAGE = f"""
    INSERT INTO usage_daily ({", ".join(UsageRow._fields)}) VALUES ({", ".join("?" * len(UsageRow._fields))})
    ON CONFLICT ({", ".join(_USAGE)})
    DO UPDATE SET {", ".join(f"{name} = usage_daily.{name} + excluded.{name}" for name in _SUMS)}
"""


def find_generations(connection: Connection, ids: Collection[str]) -> dict[str, GenerationRow]:
    """Find records by their ids; those that there are none of are left out."""
    return {
        row[0]: generation_of(row) for row in select_in(connection, f"SELECT {COLUMNS} FROM generations WHERE id", ids)
    }


def add_generations(connection: Connection, rows: Sequence[GenerationRow]) -> None:
    """Add records, and leave their roll-ups to `add_usage`.

    Raises ValueRefused for one that is there.
    """
    given: Sequence[tuple[Any, ...]] = rows
    if connection.dialect == "postgres":
        columns = enumerate(zip(*rows, strict=True))
        cleaned = [_without_nul(values) if place in _TEXTS else values for place, values in columns]
        given = list(zip(*cleaned, strict=True))
    if len(given) == 1:  # without a call for each column
        says_more = tuple(map(ne, given[0], _USUAL))
    else:
        pairs = zip(zip(*given, strict=True), _USUAL, strict=True)
        says_more = tuple([values.count(usual) < len(values) for values, usual in pairs])
    statement, told_of = _insertion(says_more)
    connection.executemany(statement, map(told_of, given))


def _without_nul(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put a mark where clients said NUL, which PostgreSQL takes in no text: a record must not be lost by that."""
    return tuple(text.replace("\0", "\ufffd") if text and "\0" in text else text for text in values)


@functools.lru_cache(maxsize=64)
def _insertion(says_more: tuple[bool, ...]) -> tuple[str, Callable[[tuple[Any, ...]], tuple[Any, ...]]]:
    """Write the statement that adds records of which only some columns say more than the table does by itself.

    With it comes what takes the values of these columns out of a record. Half of them seldom say more, and each value
    that is given costs as much as five of SQLite's steps.
    """
    told = [place for place, is_told in enumerate(says_more) if is_told]
    names = ", ".join(f'"{GenerationRow._fields[place]}"' for place in told)
    return f"INSERT INTO generations ({names}) VALUES ({', '.join('?' * len(told))})", itemgetter(*told)


def delete_generations(connection: Connection, ids: Iterable[str]) -> None:
    """Delete records, and leave their roll-ups as they are."""
    connection.executemany("DELETE FROM generations WHERE id = ?", zip(ids))


def add_usage(connection: Connection, rows: Iterable[UsageRow]) -> None:
    """Add to the roll-ups."""
    # In one order, as everybody locks them, where a database locks rows.
    ordered = sorted(rows) if connection.dialect == "postgres" else rows
    connection.executemany(_ADD_USAGE, map(tuple, ordered))


def delete_empty_usage(connection: Connection, rows: Iterable[UsageRow]) -> None:
    """Delete those of these roll-ups whose last request is counted elsewhere now, as one that was lost and is found."""
    is_it = " AND ".join(f"{name} = ?" for name in _USAGE)
    connection.executemany(f"DELETE FROM usage_daily WHERE {is_it} AND requests = 0", (row[:6] for row in rows))


def add_prices(connection: Connection, rows: Iterable[PriceRow]) -> None:
    """Add prices that records name; one that is there is the same."""
    places = ", ".join("?" * len(PriceRow._fields))
    columns = ", ".join(PriceRow._fields)
    connection.executemany(f"INSERT INTO prices ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING", rows)


def generation_of(row: tuple[Any, ...]) -> GenerationRow:
    """Read a record from its columns; SQLite gives a truth as a number."""
    values = list(row)
    for place in _TRUTHS:
        values[place] = bool(values[place])
    return GenerationRow(*values)


_TEXTS = frozenset(
    place for place, kind in enumerate(get_type_hints(GenerationRow).values()) if kind is str or str in get_args(kind)
)
_TRUTHS = tuple(GenerationRow._fields.index(name) for name in ("streamed", "is_byok", "is_estimated"))
