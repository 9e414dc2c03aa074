"""prompts: add, list, show, remove. It loads the store and what reads requests, nothing of the server."""

from __future__ import annotations

import json
import re
import sys
import time
from functools import partial
from typing import Annotated

import typer

from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, Refusal, Unknown, failing_as, row_lines, show, time_text
from trunkline.cli.stores import with_database
from trunkline.cli.tree import tree_of
from trunkline.errors import BadRequest
from trunkline.protocol.parse_kept import parse_template
from trunkline.store.rows import TemplateRow, TemplateStamp
from trunkline.store.statements.templates import add_template, find_template, list_templates, remove_template
from trunkline.store.templates import MAX_BYTES, number_of

PROMPTS = typer.Typer(help="Keep templates, which requests name and fill in.", no_args_is_help=True)
TREE = tree_of(PROMPTS, "prompts")

Named = Annotated[
    str, typer.Argument(metavar="ID[@V]", help="The template's id, with @ and a version where one of several is meant.")
]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_OF_A_BODY = re.compile(r"\b([Tt]he) body\b")
_COLUMNS = {"ID": "id", "VERSION": "version", "ADDED": "created_at"}


@PROMPTS.command("add")
def add_prompt(
    id: Annotated[str, typer.Argument(help="What requests name it by.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Keep a template, read from standard input, as the next version of its id. The versions before stay as they are.

    It is JSON: `input` as in a request, `instructions`, and `variables`, each by its name with a `default` or none.
    Running gateways know within five seconds.
    """
    with failing_as(as_json):
        if _ID.fullmatch(id) is None:
            raise Refusal("bad_id", f"an id has 1 to 64 of the characters A-Z a-z 0-9 . _ : -, and not {id!r}")
        settings, _ = read_settings(config)
        body = _read_template()
        work = partial(add_template, id=id, body=body, now_ms=int(time.time() * 1000))
        version = with_database(settings, lambda database: database.write(work))
        show({"id": id, "version": str(version)}, as_json)


@PROMPTS.command("list")
def list_prompts(config: Config = None, as_json: AsJson = False) -> None:
    """List all versions of all templates."""
    with failing_as(as_json):
        settings, _ = read_settings(config)
        found = with_database(settings, lambda database: database.read(list_templates))
        documents = list(map(_document, found))
        show({"prompts": documents}, as_json, row_lines(documents, _COLUMNS, "<><"))


@PROMPTS.command("show")
def show_prompt(prompt: Named, config: Config = None, as_json: AsJson = False) -> None:
    """Show a template, its newest version where none is named: just what `prompts add` takes."""
    with failing_as(as_json):
        id, version = _parted(prompt)
        settings, _ = read_settings(config)
        work = partial(find_template, id=id, version=version)
        row = with_database(settings, lambda database: database.read(work))
        if row is None:
            raise _unknown(prompt)
        template = json.loads(row.body)
        lines = json.dumps(template, ensure_ascii=False, indent=2).splitlines()
        show({**_document(row), "template": template}, as_json, lines)


@PROMPTS.command("remove")
def remove_prompt(prompt: Named, config: Config = None, as_json: AsJson = False) -> None:
    """Remove a version of a template for good, all of them where none is named.

    Its number is not used again. Running gateways know it for five seconds more.
    """
    with failing_as(as_json):
        id, version = _parted(prompt)
        settings, _ = read_settings(config)
        work = partial(remove_template, id=id, version=version)
        gone = with_database(settings, lambda database: database.write(work))
        if not gone:
            raise _unknown(prompt)
        show({"id": id, "removed": list(map(str, gone))}, as_json)


def _read_template() -> str:
    """Read a template from standard input, as it is kept. Raises Refusal."""
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Refusal("too_large", f"standard input held more than {MAX_BYTES} bytes; a template has no more")
    try:
        parse_template(data)
    except BadRequest as error:
        message = error.message if error.param else _OF_A_BODY.sub(r"\1 template", error.message)
        raise Refusal("bad_template", message) from None
    return data.decode()


def _parted(prompt: str) -> tuple[str, int | None]:
    """An id, and the number of the version that is named with it."""
    id, at, version = prompt.partition("@")
    return id, number_of(version) if at else None


def _document(row: TemplateRow | TemplateStamp) -> Document:
    return {"id": row.id, "version": str(row.version), "created_at": time_text(row.created_at_ms)}


def _unknown(prompt: str) -> Unknown:
    return Unknown(f"there is no template {prompt!r}; see `trunkline prompts list`")
