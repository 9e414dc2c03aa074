"""Statements about the weeks that PostgreSQL keeps records in: made ahead, and dropped whole.

A week begins on Monday, UTC, and is named after that day. What is in none of them, as of a node whose clock is wrong or
from a journal that was long out of reach, is in the default partition, and is moved to its week where that is made.

What changes the parent keeps others from it for as long as it takes, and they queue behind it while it waits: so it
waits for a tenth of a second at most, and is tried again later. One node at a time does it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Literal, NamedTuple

from trunkline.days import DAY_MS, date_of, day_at
from trunkline.store.connection import Connection, InTheWay

WEEK_MS: Final = 7 * DAY_MS
AHEAD: Final = 2
"""How many weeks are there before they begin."""

_FIRST_MONDAY_MS: Final = 4 * DAY_MS
_LOCK: Final = 0x74726E6B_70617274
"""Which advisory lock it is: `trnkpart`."""


class Week(NamedTuple):
    """A table of records of one week: its name, and when that began."""

    name: str
    start_ms: int


def week_at(at_ms: int) -> Week:
    """The week that a moment is in."""
    start_ms = (at_ms - _FIRST_MONDAY_MS) // WEEK_MS * WEEK_MS + _FIRST_MONDAY_MS
    return Week(f"generations_{date_of(day_at(start_ms)):%Y%m%d}", start_ms)


def make_weeks(connection: Connection, from_ms: int, to_ms: int) -> bool:
    """Make the tables that lack of the weeks from one moment to the other; whether all are there."""
    wanted = [week_at(at_ms) for at_ms in range(week_at(from_ms).start_ms, to_ms + 1, WEEK_MS)]
    if not _missing(connection, wanted):
        return True
    if not _is_ours(connection):
        return False
    return all(_try(connection, partial(_make, connection, week)) for week in _missing(connection, wanted))


def make_weeks_ahead(connection: Connection, now_ms: int) -> bool:
    """Make the tables that lack of this week and of those to come; whether all are there."""
    return make_weeks(connection, now_ms, now_ms + AHEAD * WEEK_MS)


def list_weeks(connection: Connection) -> list[str]:
    """List the tables of weeks that are part of the records, the oldest first."""
    return [name for name, is_part in _tables(connection) if is_part]


def retire_week(connection: Connection, before_ms: int) -> Literal["none", "step", "busy"]:
    """Do one step on the way of the oldest week whose end has come before a moment, if there is one.

    First it is no part of the records any more, which takes a moment that others wait for; in a transaction of its own
    it is dropped, which takes long and keeps nobody. `busy`: another node is at it, or somebody reads the records.
    """
    if not _older(connection, before_ms):
        return "none"
    if not _is_ours(connection):
        return "busy"
    old = _older(connection, before_ms)
    if not old:
        return "none"
    name, is_part = old[0]
    step = f"ALTER TABLE generations DETACH PARTITION {name}" if is_part else f"DROP TABLE {name}"
    return "step" if _try(connection, partial(connection.execute, step)) else "busy"


def _make(connection: Connection, week: Week) -> None:
    """Make a table, move what is the week's into it, and make it part of the records.

    `CREATE TABLE … PARTITION OF` would keep everybody from the records; this way only the default partition is locked.
    """
    bounds = (week.start_ms, week.start_ms + WEEK_MS)
    connection.execute(f"CREATE TABLE {week.name} (LIKE generations INCLUDING ALL)")
    connection.execute("LOCK TABLE generations_default IN ACCESS EXCLUSIVE MODE")
    connection.execute(
        f"""
        WITH moved AS (DELETE FROM generations_default WHERE created_at_ms >= ? AND created_at_ms < ? RETURNING *)
        INSERT INTO {week.name} SELECT * FROM moved
        """,
        bounds,
    )
    connection.execute(
        "ALTER TABLE generations ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})".format(week.name, *bounds)
    )


def _missing(connection: Connection, wanted: list[Week]) -> list[Week]:
    there = set(list_weeks(connection))
    return [week for week in wanted if week.name not in there]


def _is_ours(connection: Connection) -> bool:
    """Whether no other node is at it; it holds until the end of the transaction, and so does the bound on waiting."""
    connection.execute("SET LOCAL lock_timeout = '100ms'")
    (is_ours,) = connection.execute("SELECT pg_try_advisory_xact_lock(?)", (_LOCK,)).fetchone()
    return bool(is_ours)


def _try(connection: Connection, work: Callable[[], object]) -> bool:
    """Do something unless others are in the way of it; whether it was done. It is no fault of the store where not."""
    connection.execute("SAVEPOINT tried")
    try:
        work()
    except InTheWay:
        connection.execute("ROLLBACK TO tried")
        return False
    connection.execute("RELEASE tried")
    return True


def _older(connection: Connection, before_ms: int) -> list[tuple[str, bool]]:
    return [(name, is_part) for name, is_part in _tables(connection) if name < week_at(before_ms).name]


def _tables(connection: Connection) -> list[tuple[str, bool]]:
    """List the tables of weeks in their order, each with whether it is part of the records."""
    found = connection.execute(
        """
        SELECT week.relname::text, part.inhrelid IS NOT NULL
        FROM pg_class AS records
        JOIN pg_class AS week ON week.relnamespace = records.relnamespace
            AND week.relkind = 'r' AND week.relname ~ '^generations_[0-9]{8}$'
        LEFT JOIN pg_inherits AS part ON part.inhrelid = week.oid AND part.inhparent = records.oid
        WHERE records.oid = 'generations'::regclass
        ORDER BY week.relname
        """
    )
    return [(name, is_part) for name, is_part in found]
