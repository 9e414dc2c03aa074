"""How a command tells what came of it: one JSON document on standard output, or a table for people.

A command that takes `--json` and fails tells that in JSON too, on standard error, as
`{"error": {"code": "not_found", "message": "…"}}`, and ends with 1. Without `--json` an error is a line, as everywhere
(`start.py`). What is in a document is the commands' business.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from trunkline.cli.table import table
from trunkline.errors import GatewayError
from trunkline.money import NanoUsd, nano_of
from trunkline.settings.reading import SettingsError

AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON document.")]
"""The option of every command that tells its outcome with `show`."""

Document = Mapping[str, Any]
"""Names and plain values; amounts of money are strings in USD (`money.usd_text`)."""

NOTHING = "–"


class Unknown(SettingsError):
    """What is named is not there, or is several."""

    code = "not_found"

    def __init__(self, problem: str) -> None:
        super().__init__([problem])


class Refusal(SettingsError):
    """What a command was asked for cannot be done; `code` tells programs why. It ends with 1, with `--json` or not."""

    def __init__(self, code: str, problem: str) -> None:
        super().__init__([problem])
        self.code = code


@contextlib.contextmanager
def failing_as(as_json: bool) -> Iterator[None]:
    """Tell an error of what is done meanwhile as a document, where one is wanted; else it goes on to `start.py`."""
    try:
        yield
    except (SettingsError, GatewayError) as error:
        if not as_json:
            raise
        typer.echo(_encode({"error": _told(error)}), err=True)
        raise typer.Exit(1) from None


def show(document: Document, as_json: bool, lines: Iterable[str] | None = None) -> None:
    """Print a document, or the lines that stand for it; without any, each of its members on a line."""
    if as_json:
        typer.echo(_encode(document))
        return
    for line in member_lines(document) if lines is None else lines:
        typer.echo(line)


def member_lines(document: Document) -> Iterator[str]:
    """Lay out one document: a line for each member, those of an inner document under its name and a point."""
    members = list(_members("", document))
    width = max((len(name) for name, _ in members), default=0)
    return (f"{name:<{width}}  {cell_of(value)}" for name, value in members)


def row_lines(
    rows: Sequence[Document], columns: Mapping[str, str], alignment: str = "", spare: Sequence[str] = ()
) -> Iterator[str]:
    """Lay out documents that are alike as a table; `columns` says under which header which member stands."""
    cells = [[cell_of(row.get(member)) for member in columns.values()] for row in rows]
    return table(list(columns), cells, alignment, spare)


def cell_of(value: object) -> str:
    """Write one value of a document for people."""
    match value:
        case None | "" | [] | {}:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case list():
            return " ".join(each if isinstance(each, str) else _encode(each) for each in value)
        case _:
            return str(value)


def printable(text: str) -> str:
    """Text that clients and providers chose, without what a terminal would obey."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def time_text(at_ms: int | None) -> str | None:
    """Write a time as RFC 3339 does, in UTC and with milliseconds."""
    if at_ms is None:
        return None
    whole_s, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}Z"


def amount_of(option: str, text: str) -> NanoUsd:
    """Read an amount in USD that is given to an option or argument. Raises a Refusal."""
    try:
        return nano_of(text)
    except ValueError as error:
        raise Refusal("bad_amount", f"{option}: {error}") from None


def some_amount_of(option: str, text: str) -> NanoUsd:
    """Read an amount in USD of more than 0. Raises a Refusal."""
    amount = amount_of(option, text)
    if not amount:
        raise Refusal("bad_amount", f"{option}: the amount is to be more than 0")
    return amount


def _members(prefix: str, document: Document) -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _members(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _told(error: SettingsError | GatewayError) -> Document:
    if isinstance(error, GatewayError):
        return {"code": error.kind, "message": error.message}
    return {"code": getattr(error, "code", "invalid"), "message": "; ".join(error.problems)}


def _encode(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
