"""Writes the generated pages of docs/reference: `python -m docs.pages`.

Each page is made from the code it describes; `tests/test_docs.py` fails when one is not what would be made now. What
is not a list – how to, why – is written by hand beside them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from trunkline import errors
from trunkline.cli.main import TREE
from trunkline.cli.providers import providers_page
from trunkline.cli.reference import settings_page
from trunkline.errors import ClientError, GatewayError, UpstreamError
from trunkline.routing.meanings import MEANINGS

FOLDER = Path(__file__).parent / "reference"

Command = Any
"""A command of the tree, as the CLI toolkit builds it; its types are not public."""

_COMMANDS = """\
# Commands

This page is made from the tree of commands by `python -m docs.pages`; do not edit it.

`trunkline` is in `.venv/bin`; `python -m trunkline` is the same. Every command has `--help`. An error is one line that
says what to do next, and exit code 2. Of `keys`, `accounts`, `credits` and `ledger` with `--json` it is
`{"error": {"code": "…", "message": "…"}}` on standard error, and exit code 1.
"""

_ERRORS = """\
# Errors

This page is made from `errors.py` and `routing/fallback.py` by `python -m docs.pages`; do not edit it. How to
read an error: [read errors](../how-to/read-errors.md).

## Statuses

`error_type` is the usual one; some errors have a more exact one.

| status | error_type | whose | when |
|---|---|---|---|
"""

_FAULTS = """
## Faults of providers

What went wrong at one provider (`kind` in `metadata.attempts`), where the next attempt goes, and what is told when
every attempt ended like that. Attempts that ended differently are told as 503.

| kind | meaning | next | told as | error_type |
|---|---|---|---|---|
"""


def commands() -> Iterator[tuple[str, Command]]:
    """List every command that can be run, groups that do something by themselves included, by its full name."""
    yield from _walk("trunkline", typer.main.get_command(TREE))


def statuses() -> list[type[GatewayError]]:
    """List the errors that have a status of their own, by status."""
    found = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, GatewayError)
        and kind not in (GatewayError, ClientError, UpstreamError)
    ]
    return sorted(found, key=lambda kind: kind.status)


def commands_page() -> str:
    """Write the reference of the command line."""
    return "\n".join((_COMMANDS, *(_section(name, command) for name, command in commands())))


def errors_page() -> str:
    """Write the reference of statuses and faults."""
    rows = [
        f"| {kind.status} | `{kind.default_kind}` | {_whose(kind)} | {inspect.getdoc(kind)} |" for kind in statuses()
    ]
    faults = [
        f"| `{fault}` | {row.sense} | {row.then.replace('_', ' ')} | {row.error.status} | `{row.kind}` |"
        for fault, row in MEANINGS.items()
    ]
    return _ERRORS + "\n".join(rows) + "\n" + _FAULTS + "\n".join(faults) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "errors.md": errors_page,
    "providers.md": providers_page,
    "settings.md": settings_page,
}


def _walk(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    inner: Mapping[str, Command] = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield name, command
    for word, each in inner.items():
        yield from _walk(f"{name} {word}", each)


def _section(name: str, command: Command) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    usage = " ".join((name, *(each.name.upper() if each.required else f"[{each.name.upper()}]" for each in arguments)))
    rows = [_row(each) for each in command.params if each.name != "help"]
    table = ["", "| option | meaning |", "|---|---|", *rows] if rows else []
    return "\n".join((f"## `{usage}`", "", inspect.cleandoc(command.help), *table, ""))


def _row(parameter: Command) -> str:
    if parameter.param_type_name == "argument":
        name = parameter.name.upper()
    else:
        value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper().replace('_', '-')}"
        name = ", ".join(sorted(parameter.opts, reverse=True)) + value
    default = f" Default: `{parameter.default}`." if parameter.default and parameter.default is not True else ""
    return f"| `{name}` | {parameter.help}{default} |"


def _whose(kind: type[GatewayError]) -> str:
    if issubclass(kind, ClientError):
        return "the client's"
    return "a provider's" if issubclass(kind, UpstreamError) else "ours"


if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), "utf-8")
