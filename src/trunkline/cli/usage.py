"""`trunkline usage`: what requests came to, by day, model or key; read from the sums of days, never from records."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Any, get_args

import typer

from trunkline.accounts.records import DAYS_BEFORE
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, failing_as, row_lines, show
from trunkline.cli.moments import in_order, read_day
from trunkline.cli.stores import id_of_account, id_of_key, with_database
from trunkline.cli.tree import tree_of
from trunkline.days import date_of, day_at
from trunkline.money import usd_text
from trunkline.settings.reading import SettingsError
from trunkline.store.database import Database
from trunkline.store.statements import records
from trunkline.store.statements.records import Grouping, UsageFilter, UsageSum

GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)

_COUNTS = ("requests", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_AMOUNTS = {"cost_usd": "cost_nano", "upstream_usd": "upstream_nano"}


def print_usage(  # an option of the command is a parameter
    account: Annotated[str | None, typer.Option(help="Only of this account, by id or name. Default: of all.")] = None,
    key: Annotated[str | None, typer.Option(help="Only of this key, by id, first characters or name.")] = None,
    from_day: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help=f"The first UTC day. Default: {DAYS_BEFORE} days ago.")
    ] = None,
    to_day: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="The last UTC day, itself included. Default: today.")
    ] = None,
    by: Annotated[str, typer.Option(help=f"One of {', '.join(GROUPINGS)}.")] = "day",
    as_csv: Annotated[bool, typer.Option("--csv", metavar="", help="Print comma-separated values.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Sum up what requests came to, by day, model or key.

    Tokens, and cost in USD. Every request counts that left a record, failed ones too. `upstream_usd` is what clients'
    own provider keys paid.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        grouping = next((each for each in GROUPINGS if each == by), None)
        if grouping is None:
            raise SettingsError([f"--by is one of {', '.join(GROUPINGS)}, not {by!r}"])
        if as_csv and as_json:
            raise SettingsError(["--csv and --json: leave one of them out"])
        first, last = _days(from_day, to_day)
        rows = with_database(settings, lambda store: _read(store, account, key, first, last, grouping))
    if as_csv:
        _write_csv(rows, grouping)
    else:
        show({"rows": rows}, as_json, _lines(rows, grouping))


TREE = tree_of(print_usage, "usage")


async def _read(
    database: Database, account: str | None, key: str | None, first: int, last: int, by: Grouping
) -> list[Document]:
    account_id = await id_of_account(database, account)
    wanted = UsageFilter(account_id, await id_of_key(database, key), first, last)
    sums = await database.read(partial(records.sum_usage, wanted=wanted, by=by))
    names = await database.read(records.list_key_names) if by == "key" else {}
    return [usage_document(each, by, names) for each in sums]


def usage_document(row: UsageSum, by: Grouping, key_names: dict[str, str]) -> Document:
    """One group in plain values; amounts are strings in USD."""
    told: dict[str, Any] = {by: date_of(row.group).isoformat() if isinstance(row.group, int) else row.group}
    if by == "key":
        told["name"] = key_names.get(str(row.group))
    told |= {name: getattr(row, name) for name in _COUNTS}
    return {**told, **{name: usd_text(getattr(row, column)) for name, column in _AMOUNTS.items()}}


def _days(from_day: str | None, to_day: str | None) -> tuple[int, int]:
    today = day_at(int(time.time() * 1000))
    last = today if to_day is None else read_day("--to", to_day)
    first = min(today, last) - DAYS_BEFORE if from_day is None else read_day("--from", from_day)
    return in_order(first, last)


def _columns(by: Grouping) -> list[str]:
    return [by, *(["name"] if by == "key" else []), *_COUNTS, *_AMOUNTS]


def _lines(rows: Sequence[Document], by: Grouping) -> Iterable[str]:
    if not rows:
        return ("nothing was used on these days",)
    columns = {name.upper().replace("_", " "): name for name in _columns(by)}
    texts = len(columns) - len(_COUNTS) - len(_AMOUNTS)
    spare = ("UPSTREAM USD", "CACHED TOKENS", "REASONING TOKENS")
    return row_lines(rows, columns, "<" * texts + ">" * (len(columns) - texts), spare)


def _write_csv(rows: Sequence[Document], by: Grouping) -> None:
    writer = csv.DictWriter(sys.stdout, _columns(by), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
