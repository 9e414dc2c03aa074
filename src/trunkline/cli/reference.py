"""The reference page of the settings, made from `settings/` itself: its types, defaults and docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trunkline.settings import files_sections, moderation_sections, plugin_sections, router_sections, sections
from trunkline.settings.forms import default_of, fields_of

_INTRODUCTION = """\
# Settings

This page is made from `settings/` by `trunkline docs settings`; do not edit it.

A setting is looked for on the command line, then in the environment, then in the file, and has its default otherwise.
The file is `./trunkline.toml`, or the one that `--config` or `TRUNKLINE_CONFIG` names. In the environment a setting is
called `TRUNKLINE_` and its path in capitals, joined by two underscores: `server.listen` is `TRUNKLINE_SERVER__LISTEN`,
and the hyphens of a provider's slug are underscores. An empty variable counts as not set. A list or table is written
there as in TOML. Durations and sizes have their unit: `"500 ms"`, `"10 s"`, `"10 min"`, `"1 h"`; `"512 KB"`, `"20 MB"`,
`"20 MiB"`. A *secret* is `{ env = "NAME" }`, `{ file = "/path" }`, or the text itself. `trunkline check` prints every
value in force and where it came from.
"""

_FILES = (files_sections, router_sections, moderation_sections, plugin_sections, sections)

_WORDS = {
    "Duration": "duration",
    "Pause": "duration or 0",
    "Size": "size",
    "Usd": "USD, as a string",
    "Factor": "number, as a string",
    "Fraction": "0 to 1",
    "SecretField": "secret",
    "Slug": "text",
    "str": "text",
    "int": "number",
    "Count": "number",
    "CountOrNone": "number",
    "bool": "true or false",
    "dict[str, str]": "table of texts",
    "dict[str, SecretField]": "table of secrets",
    "dict[str, Json]": "table",
    "dict[str, Fraction]": "table of numbers from 0 to 1",
    "list[str]": "list of texts",
    "list[Origin]": "list of texts",
    "Listen": "text",
    "BaseUrl": "text",
    "ParameterName": "text",
    "ListUrl": "text",
    "EngineUrl": "text",
    "EngineKind": "`exa`, `searxng`, `brave`, `tavily`",
    "OcrUrl": "text",
    "OcrKind": "`mistral`",
    "Room": "size or 0",
    "Characters": "number",
    "ModerationUrl": "text",
    "ModeratorKind": "`openai`, `judge`, `words`",
    "Words": "list of texts",
    "Patterns": "list of texts",
}


def settings_page() -> str:
    """Write the page, as Markdown."""
    classes = setting_classes()
    models = {name: model for file in _FILES for name, model in vars(file).items()}
    parts = (_section(path, classes[name], models[name]) for path, name in _sections(classes))
    return "\n".join((_INTRODUCTION, *parts))


def setting_classes() -> dict[str, ast.ClassDef]:
    """List the classes that settings are declared in, by their names."""
    nodes = (node for file in _FILES for node in ast.parse(inspect.getsource(file)).body)
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def _sections(classes: Mapping[str, ast.ClassDef]) -> Iterator[tuple[str, str]]:
    """Walk the tables in the order of their fields, as (header in the file, name of the class)."""
    yield "", "Settings"
    yield from _inner_sections("", classes["Settings"], classes)


def _inner_sections(path: str, node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Iterator[tuple[str, str]]:
    for field, _ in _fields(node):
        written = ast.unparse(field.annotation)
        name = next((name for name in re.findall(r"\w+", written) if name in classes), None)
        if name is None:
            continue
        inner = f"{path}.{field.target.id}".lstrip(".")  # type: ignore[union-attr]  # fields are plain names
        shape = f"{inner}.<slug>" if written.startswith("dict") else inner
        yield f"[[{shape}]]" if written.startswith("list") else f"[{shape}]", name
        yield from _inner_sections(shape, classes[name], classes)


def _section(header: str, node: ast.ClassDef, model: Any) -> str:
    rows = [_row(field, text, model) for field, text in _fields(node) if _is_value(field)]
    title = f"## `{header}`" if header else "## Top level"
    intro = ast.get_docstring(node) or ""
    return "\n".join((title, "", intro, "", "| setting | value | default | meaning |", "|---|---|---|---|", *rows, ""))


def _row(field: ast.AnnAssign, text: str, model: Any) -> str:
    name = field.target.id  # type: ignore[union-attr]  # fields are plain names
    known = fields_of(model)[name]
    default = "required" if known.required else _default(known)
    cells = (f"`{name}`", _value_kind(ast.unparse(field.annotation)), default, " ".join(text.split()))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: Any) -> str:
    written = default_of(field)
    if written is None:
        return "–"
    return f"`{str(written).lower() if isinstance(written, bool) else written}`"


def _value_kind(annotation: str) -> str:
    annotation = annotation.removesuffix(" | None")
    if "Literal[" in annotation:
        choices = ", ".join(f"`{choice}`" for choice in re.findall(r"'([\w-]+)'", annotation))
        return f"list of {choices}" if annotation.startswith("list") else choices
    if annotation.startswith("Annotated["):
        return "number" if annotation.startswith("Annotated[int,") else "text"
    return _WORDS[annotation]


def _is_value(field: ast.AnnAssign) -> bool:
    return not re.search(r"(Settings\b|Source\b)", ast.unparse(field.annotation))


def _fields(node: ast.ClassDef) -> Iterator[tuple[ast.AnnAssign, str]]:
    """List the fields of a class, each with the docstring below it."""
    for field, below in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign):
            is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            yield field, str(below.value.value) if is_text else ""  # type: ignore[attr-defined]  # checked above
