"""Anthropic's own tools that the client runs, as functions for everybody else; and a search as Anthropic's block.

Such a tool is a name and arguments that Anthropic's models know by heart, so that another model can be told them.
Nothing is said here of tools that Anthropic's servers run, but for their search, whose results go back as they came.

Sources, seen 2026-11-28: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/bash-tool, …/text-editor-tool
and …/memory-tool; the types of the anthropic Python package 2.14.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from trunkline.protocol.items import SearchAction, WebSearchCall
from trunkline.protocol.marking import mark_of
from trunkline.protocol.opaque import AnthropicItem, AnthropicTool, Json
from trunkline.protocol.tools import FunctionTool

_TEXT: Final = {"type": "string"}
_RANGE: Final = {
    "type": "array",
    "items": {"type": "integer"},
    "description": "For `view`: the first and the last line to show, from 1; -1 is the end of the file.",
}
_LINE: Final = {"type": "integer", "description": "For `insert`: the line behind which the text goes, 0 for the top."}


def _told(text: str) -> dict[str, Json]:
    return {**_TEXT, "description": text}


def _commands(*names: str) -> dict[str, Json]:
    return {**_TEXT, "enum": list(names)}


def _object(required: list[str], **properties: Json) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "required": required}


_EDITED: Final[dict[str, Json]] = {
    "path": _told("The file or directory."),
    "view_range": _RANGE,
    "file_text": _told("For `create`: the content of the file."),
    "old_str": _told("For `str_replace`: the text to replace, which must occur exactly once."),
    "insert_line": _LINE,
}


class _Known(NamedTuple):
    """A tool as a function: its usual name, what it does, and its arguments."""

    name: str
    description: str
    parameters: dict[str, Json]


_BASH: Final = _Known(
    "bash",
    "Run a command in the user's shell, which keeps its state from call to call.",
    _object(
        [],
        command=_told("The command to run."),
        restart={"type": "boolean", "description": "Begin a new shell, in place of a command."},
    ),
)
_EDITOR: Final = _Known(
    "str_replace_based_edit_tool",
    "View, create and edit text files of the user's.",
    _object(
        ["command", "path"],
        command=_commands("view", "create", "str_replace", "insert"),
        **_EDITED,
        new_str=_told("For `str_replace`: the text in its place."),
        insert_text=_told("For `insert`: the text."),
    ),
)
_OLDER_EDITOR: Final = _Known(
    "str_replace_editor",
    _EDITOR.description,
    _object(
        ["command", "path"],
        command=_commands("view", "create", "str_replace", "insert", "undo_edit"),
        **_EDITED,
        new_str=_told("For `str_replace`: the text in its place. For `insert`: the text."),
    ),
)
_MEMORY: Final = _Known(
    "memory",
    "Keep notes for later conversations, as files under /memories. Look there before you begin.",
    _object(
        ["command"],
        command=_commands("view", "create", "str_replace", "insert", "delete", "rename"),
        **_EDITED,
        new_str=_told("For `str_replace`: the text in its place."),
        insert_text=_told("For `insert`: the text."),
        old_path=_told("For `rename`: the file or directory as it is called."),
        new_path=_told("For `rename`: its new name."),
    ),
)
_FAMILIES: Final[Mapping[str, _Known]] = {
    "bash_": _BASH,
    "text_editor_20241022": _OLDER_EDITOR,
    "text_editor_20250124": _OLDER_EDITOR,
    "text_editor_": _EDITOR,
    "memory_": _MEMORY,
}
"""By how their types begin, the first that fits."""


def as_function(tool: AnthropicTool) -> FunctionTool | None:
    """A tool as a function under the name that its client gave it; None for one that Anthropic's servers run."""
    known = next((known for begin, known in _FAMILIES.items() if tool.type.startswith(begin)), None)
    if known is None:
        return None
    name = tool.get("name")
    return FunctionTool(
        name if isinstance(name, str) else known.name,
        known.description,
        known.parameters,
        cache_control=mark_of(tool),
    )


def search_blocks(call: WebSearchCall) -> Iterator[AnthropicItem]:
    """An earlier search as the two blocks that Anthropic told it in; nothing where its results are none of theirs.

    A result without its sealed content is a 400, and so is a search without its results.
    https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool (2026-11-28).
    """
    found = [page for page in call.results or () if page.sealed]
    if not found or not isinstance(call.id, str):
        return
    query = call.action.query if isinstance(call.action, SearchAction) else ""
    yield AnthropicItem(type="server_tool_use", id=call.id, name="web_search", input={"query": query})
    results = [
        {
            "type": "web_search_result",
            "url": page.url,
            "title": page.title,
            "encrypted_content": page.sealed,
            "page_age": page.age,
        }
        for page in found
    ]
    yield AnthropicItem(type="web_search_tool_result", tool_use_id=call.id, content=results)
