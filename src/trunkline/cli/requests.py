"""`trunkline requests`: what is on record of requests: the newest, those that come, or all of one."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple, get_args

import typer

from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import (
    AsJson,
    Document,
    Unknown,
    cell_of,
    failing_as,
    printable,
    row_lines,
    show,
    time_text,
)
from trunkline.cli.stores import id_of_account, id_of_key, with_database
from trunkline.cli.table import table
from trunkline.cli.tree import tree_of
from trunkline.generation import generation_id
from trunkline.money import usd_text
from trunkline.settings.reading import SettingsError
from trunkline.store.database import Database
from trunkline.store.rows import GenerationRow
from trunkline.store.statements import records
from trunkline.store.statements.records import RecordFilter, Status

POLL_S = 1.0
_AT_ONCE = 500

STATUSES: tuple[str, ...] = get_args(Status)

REQUESTS = typer.Typer()
TREE = tree_of(REQUESTS, "requests")


class Wishes(NamedTuple):
    """Which requests are asked for, as they were named."""

    account: str | None
    key: str | None
    model: str | None
    status: str | None


@REQUESTS.callback(invoke_without_command=True)
def list_requests(  # an option of the command is a parameter
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", metavar="", help="Go on with those that come.")] = False,
    account: Annotated[str | None, typer.Option(help="Only of this account, by id or name.")] = None,
    key: Annotated[str | None, typer.Option(help="Only of this key, by id, first characters or name.")] = None,
    model: Annotated[str | None, typer.Option(help="Only of this model; * stands for any text.")] = None,
    status: Annotated[str | None, typer.Option(help=f"Only of this status: {', '.join(STATUSES)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the newest.")] = 20,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List the newest requests on record, or all of one.

    The last of them is the last line. With `--follow` and `--json` each request is a document, on a line of its own.
    """
    if context.invoked_subcommand is not None:
        return
    wishes = Wishes(account, key, model, status)
    with failing_as(as_json):
        settings, _ = read_settings(config)
        if status is not None and status not in STATUSES:
            raise SettingsError([f"--status is one of {', '.join(STATUSES)}, not {status!r}"])
        if follow:
            with contextlib.suppress(KeyboardInterrupt):
                with_database(settings, lambda store: _follow(store, wishes, limit, as_json))
            return
        found = with_database(settings, lambda store: _list(store, wishes, limit))
    show({"requests": [request_document(row) for row in found]}, as_json, _lines(found))


@REQUESTS.command("show")
def show_request(
    id: Annotated[str, typer.Argument(help="The id of its answer, in any API, or of the request itself.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Print all that is on record of one request.

    Who asked and who answered, tokens, cost, times, the attempts that failed, and the plugins.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        wanted = generation_id(id)
        row = with_database(settings, lambda store: store.read(partial(records.find_record, id=wanted)))
        if row is None:
            raise Unknown(f"there is no record {id!r}; `trunkline requests` lists the newest, old ones are deleted")
    show(request_document(row), as_json, _sheet(row))


def request_document(row: GenerationRow) -> Document:
    """All of a record in plain values; amounts are strings in USD, times milliseconds."""
    told: dict[str, Any] = {}
    for name, value in row._asdict().items():
        match name:
            case "created_at_ms":
                told["created_at"] = time_text(value)
            case "attempts":
                told[name] = json.loads(value or "[]")
            case "plugins":
                told[name] = json.loads(value or "{}")
            case "dropped":
                told[name] = [each.strip() for each in value.split(",")] if value else []
            case _ if name.endswith("_nano"):
                told[name.removesuffix("_nano") + "_usd"] = None if value is None else usd_text(value)
            case _:
                told[name] = value
    return {**told, "total_cost_usd": usd_text(row.total_nano)}


async def _list(database: Database, wishes: Wishes, limit: int) -> list[GenerationRow]:
    wanted = await _filter(database, wishes)
    return await database.read(partial(records.list_newest_records, wanted=wanted, limit=limit))


async def _follow(database: Database, wishes: Wishes, limit: int, as_json: bool) -> None:
    """Print the newest requests and then each that comes, until somebody stops it."""
    wanted, header = await _filter(database, wishes), not as_json
    rows, number = await database.read(partial(records.open_tail, wanted=wanted, limit=limit))
    while True:
        for line in _following_lines(rows, as_json, header):
            print(line, flush=True)
        header = False
        await asyncio.sleep(POLL_S)
        rows, number = await database.read(partial(records.follow_tail, wanted=wanted, number=number, limit=_AT_ONCE))


async def _filter(database: Database, wishes: Wishes) -> RecordFilter:
    account, key = await id_of_account(database, wishes.account), await id_of_key(database, wishes.key)
    return RecordFilter(account, key, wishes.model, wishes.status)


_COLUMNS = {
    "TIME": "time",
    "ID": "id",
    "KEY": "key_id",
    "MODEL": "model",
    "PROVIDER": "provider",
    "STATUS": "status",
    "IN": "input_tokens",
    "OUT": "output_tokens",
    "FIRST MS": "first_token_ms",
    "MS": "total_ms",
    "USD": "total_cost_usd",
}
_SIDES = "<<<<<<>>>>>"
_SPARE = ("PROVIDER", "KEY", "FIRST MS", "IN", "OUT", "MS")
"""What a narrow terminal does without: `show` tells all."""
_WIDTHS = (19, 29, 20, 28, 12, 10, 7, 6, 8, 7, 11)
"""Letters of each column where lines are printed before the next ones are known."""


def _lines(rows: Sequence[GenerationRow]) -> Iterable[str]:
    if not rows:
        return ("there is none on record",)
    return row_lines([_row(row) for row in rows], _COLUMNS, _SIDES, _SPARE)


def _following_lines(rows: Sequence[GenerationRow], as_json: bool, header: bool) -> Iterator[str]:
    if as_json:
        yield from (json.dumps(request_document(row), ensure_ascii=False) for row in rows)
        return
    cells: list[Sequence[str]] = [list(_COLUMNS)] if header else []
    cells += [[cell_of(_row(row)[member]) for member in _COLUMNS.values()] for row in rows]
    for line in cells:
        placed = (f"{cell:{side}{width}}" for cell, side, width in zip(line, _SIDES, _WIDTHS, strict=True))
        yield "  ".join(placed).rstrip()


def _row(row: GenerationRow) -> Document:
    return {**request_document(row), "time": _readable(row)}


def _readable(row: GenerationRow) -> str:
    return str(time_text(row.created_at_ms))[:19].replace("T", " ")


def _sheet(row: GenerationRow) -> Iterator[str]:
    """A record as people read it: what is nothing is left out, but for the figures that everyone looks for."""
    told = request_document(row)
    for title, members in _SECTIONS.items():
        shown = [
            (label, told[name]) for label, name in members.items() if label in _ALWAYS or told[name] not in _NOTHING
        ]
        yield title
        width = max(len(label) for label, _ in shown)
        yield from (f"  {label:<{width}}  {printable(cell_of(value))}" for label, value in shown)
    if told["attempts"]:
        yield "attempts that failed or were outrun"
        yield from (f"  {line}" for line in _attempt_lines(told["attempts"]))
    if told["plugins"]:
        yield "what ran around the model"
        yield from (f"  {name}  {json.dumps(what)}" for name, what in told["plugins"].items())


_SECTIONS = {
    "request": {
        "id": "id",
        "came": "created_at",
        "account": "account_id",
        "key": "key_id",
        "model asked": "asked_model",
        "session": "session_id",
        "user": "user",
        "streamed": "streamed",
        "not told": "dropped",
    },
    "answer": {
        "status": "status",
        "stopped": "stop",
        "model": "model",
        "provider": "provider",
        "endpoint": "endpoint_id",
        "its own id": "upstream_id",
        "own key": "is_byok",
        "service tier": "service_tier",
    },
    "tokens": {
        "input": "input_tokens",
        "… from cache": "cache_read_tokens",
        "… to cache": "cache_write_tokens",
        "… to cache, 1 h": "cache_write_1h_tokens",
        "… audio": "audio_input_tokens",
        "… audio from cache": "audio_cached_tokens",
        "output": "output_tokens",
        "… thought": "reasoning_tokens",
        "… pictures": "image_output_tokens",
        "pictures": "images",
        "searches": "searches",
        "estimated": "is_estimated",
    },
    "cost in USD": {
        "cost": "total_cost_usd",
        "worth by price": "cost_usd",
        "… input": "cost_input_usd",
        "… output": "cost_output_usd",
        "… fees": "cost_fees_usd",
        "held": "held_usd",
        "charged": "charged_usd",
        "house": "house_usd",
        "own key paid": "upstream_usd",
        "provider said": "told_usd",
        "price": "price_id",
        "key budget": "key_budget",
    },
    "milliseconds": {"waited": "queued_ms", "first output": "first_token_ms", "in all": "total_ms"},
}
"""What stands in a sheet, under which words."""

_ALWAYS = frozenset({"id", "came", "account", "key", "status", "input", "output", "cost", "worth by price", "in all"})

_NOTHING: tuple[object, ...] = (None, 0, "0", "", [])


def _attempt_lines(attempts: Sequence[Document]) -> Iterator[str]:
    names = list(dict.fromkeys(name for attempt in attempts for name in attempt))
    cells = [[_inline(attempt.get(name)) for name in names] for attempt in attempts]
    return table([name.upper().replace("_", " ") for name in names], cells)


def _inline(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else printable(cell_of(value))
