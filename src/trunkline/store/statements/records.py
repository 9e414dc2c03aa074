"""Statements that read what is over: records of requests, their sums by day, and what stands in the budgets.

Whole months are read from the sums; only one record, or the newest of them, is ever read from the records themselves.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Literal, NamedTuple

from trunkline.store.connection import Connection
from trunkline.store.rows import BudgetRow, GenerationRow
from trunkline.store.statements.budgets import find_budgets
from trunkline.store.statements.generations import COLUMNS, generation_of

Status = Literal["completed", "incomplete", "failed", "cancelled", "lost"]

Grouping = Literal["day", "model", "key"]
"""What sums are told apart by."""


class RecordFilter(NamedTuple):
    """Which records are asked for; None asks for nothing in particular. `model` may hold `*`."""

    account_id: str | None = None
    key_id: str | None = None
    model: str | None = None
    status: str | None = None


class UsageFilter(NamedTuple):
    """Which sums are asked for: of one account or of all, of one key or of all; both days are among them."""

    account_id: str | None
    key_id: str | None
    from_day: int
    to_day: int


class UsageSum(NamedTuple):
    """What a group of requests came to. `group` is a day's number, a model or a key's id."""

    group: int | str
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_nano: int
    upstream_nano: int


class ActivitySum(NamedTuple):
    """What an account's requests of a day came to, of one model at one provider."""

    day: int
    model: str
    provider: str
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_nano: int
    upstream_nano: int


class Spending(NamedTuple):
    """What a key has spent: ever, and in this day, week and month."""

    ever_nano: int
    daily_nano: int
    weekly_nano: int
    monthly_nano: int


def find_record(connection: Connection, id: str, account_id: str | None = None) -> GenerationRow | None:
    """Find the record of one request; with an account only if it is that account's."""
    row = connection.execute(f"SELECT {COLUMNS} FROM generations WHERE id = :id", {"id": id}).fetchone()
    if row is None:
        return None
    record = generation_of(row)
    return record if account_id in (None, record.account_id) else None


def list_newest_records(connection: Connection, wanted: RecordFilter, limit: int) -> list[GenerationRow]:
    """List the records that began last, the newest of them last."""
    return _list_newest(connection, wanted, limit)


def open_tail(connection: Connection, wanted: RecordFilter, limit: int) -> tuple[list[GenerationRow], int]:
    """List the newest records, and tell the number after which `follow_tail` goes on."""
    if connection.dialect == "sqlite":
        return _list_newest(connection, wanted, limit), _last_number(connection)
    number = _last_transaction(connection)
    return _list_newest(connection, wanted, limit, number), number


def follow_tail(
    connection: Connection, wanted: RecordFilter, number: int, limit: int
) -> tuple[list[GenerationRow], int]:
    """List what was written after a number, in that order, and tell the number to go on after."""
    if connection.dialect == "postgres":
        return _follow_transactions(connection, wanted, number, limit)
    is_wanted = _where(connection, wanted, "seq > :number")
    found = connection.execute(
        f"SELECT seq, {COLUMNS} FROM generations {is_wanted} ORDER BY seq LIMIT :limit",
        {**wanted._asdict(), "number": number, "limit": limit},
    ).fetchall()
    # Where all that is wanted has come, what is not wanted need not be looked at again.
    last = found[-1][0] if len(found) == limit else _last_number(connection)
    return [generation_of(row[1:]) for row in found], last


def sum_usage(connection: Connection, wanted: UsageFilter, by: Grouping) -> list[UsageSum]:
    """Sum what requests came to: days in their order, models and keys by cost, the dearest first."""
    group = _GROUPS[by]
    order = group if by == "day" else f"sum(cost_nano) DESC, {group}"
    found = connection.execute(
        f"SELECT {group}, {_SUMS} FROM usage_daily {_where_used(wanted)} GROUP BY {group} ORDER BY {order}",
        wanted._asdict(),
    )
    return [UsageSum._make(row) for row in found]


def list_activity(connection: Connection, account_id: str, from_day: int, to_day: int) -> list[ActivitySum]:
    """List what an account's requests of some days came to, the newest day first."""
    found = connection.execute(
        f"""
        SELECT day, model, provider, {_SUMS} FROM usage_daily
        WHERE account_id = :account_id AND day BETWEEN :from_day AND :to_day
        GROUP BY day, model, provider ORDER BY day DESC, model, provider
        """,
        {"account_id": account_id, "from_day": from_day, "to_day": to_day},
    )
    return [ActivitySum._make(row) for row in found]


def find_key_figures(
    connection: Connection, key_id: str, budget: str | None, since: tuple[int, int, int]
) -> tuple[BudgetRow | None, Spending, Spending]:
    """Find what stands in a budget, what a key's requests cost, and what its account's own provider keys paid for them.

    `since` has the first day of this day, week and month.
    """
    sums = [
        f"coalesce(sum({amount}) {filtered}, 0)"
        for amount in ("cost_nano", "upstream_nano")
        for filtered in ("", *(f"FILTER (WHERE day >= :{name})" for name in ("daily", "weekly", "monthly")))
    ]
    row = connection.execute(
        f"SELECT {', '.join(sums)} FROM usage_daily WHERE key_id = :key_id",
        {"key_id": key_id, **dict(zip(("daily", "weekly", "monthly"), since, strict=True))},
    ).fetchone()
    found = None if budget is None else find_budgets(connection, [budget]).get(budget)
    return found, Spending._make(row[:4]), Spending._make(row[4:])


def list_key_names(connection: Connection) -> dict[str, str]:
    """List the names of all keys by their ids."""
    return dict(connection.execute("SELECT id, name FROM keys"))


_SUMS = ", ".join(f"sum({name})" for name in UsageSum._fields[1:])
_GROUPS: dict[Grouping, str] = {"day": "day", "model": "model", "key": "key_id"}


def _list_newest(
    connection: Connection, wanted: RecordFilter, limit: int, number: int | None = None
) -> list[GenerationRow]:
    """List the newest records; with a number those of a PostgreSQL that the transactions up to it wrote."""
    is_wanted = _where(connection, wanted, *(() if number is None else ("xid <= :number",)))
    found = connection.execute(
        f"SELECT {COLUMNS} FROM generations {is_wanted} ORDER BY created_at_ms DESC, id DESC LIMIT :limit",
        {**wanted._asdict(), "limit": limit, "number": number},
    )
    return [generation_of(row) for row in found][::-1]


def _follow_transactions(
    connection: Connection, wanted: RecordFilter, number: int, limit: int
) -> tuple[list[GenerationRow], int]:
    """List what PostgreSQL's transactions after a number wrote, all of each, as far as all older ones are over.

    Several write at once: one may take a lower number for a record than another, and commit it later.
    """
    last = max(number, _last_transaction(connection))
    is_wanted = _where(connection, wanted, "xid > :number AND xid <= :last")
    found = connection.execute(
        f"SELECT xid, seq, {COLUMNS} FROM generations {is_wanted} ORDER BY xid FETCH FIRST :limit ROWS WITH TIES",
        {**wanted._asdict(), "number": number, "last": last, "limit": limit},
    ).fetchall()
    found.sort(key=itemgetter(0, 1))
    return [generation_of(row[2:]) for row in found], found[-1][0] if len(found) >= limit else last


def _last_transaction(connection: Connection) -> int:
    """The last transaction up to which all are over, as PostgreSQL counts them."""
    statement = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1"
    (number,) = connection.execute(statement).fetchone()
    return int(number)


_IS_LIKE = {
    "sqlite": "model GLOB :model",
    # All but the star stands for itself.
    "postgres": r"model LIKE replace(replace(replace(replace(:model, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')",
}


def _last_number(connection: Connection) -> int:
    (number,) = connection.execute("SELECT coalesce(max(seq), 0) FROM generations").fetchone()
    return int(number)


def _where(connection: Connection, wanted: RecordFilter, *more: str) -> str:
    conditions = [f"{name} = :{name}" for name in ("account_id", "key_id", "status") if getattr(wanted, name)]
    if wanted.model:
        conditions.append(_IS_LIKE[connection.dialect] if "*" in wanted.model else "model = :model")
    return _joined([*more, *conditions])


def _where_used(wanted: UsageFilter) -> str:
    conditions = [f"{name} = :{name}" for name in ("account_id", "key_id") if getattr(wanted, name)]
    return _joined([*conditions, "day BETWEEN :from_day AND :to_day"])


def _joined(conditions: list[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""
