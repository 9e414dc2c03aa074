"""Readers of the blocks that are items of their own: calls, what they gave back, searches, thoughts.

Source: https://platform.claude.com/docs/en/api/messages and the types of the anthropic Python package 2.14.0, seen
2026-11-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import UNSET

from trunkline.faces.messages.blocks import MARKED, PARTS, joined
from trunkline.protocol.items import (
    CacheMark,
    Found,
    FunctionCallItem,
    FunctionCallOutput,
    InputPart,
    InputText,
    Json,
    ReasoningItem,
)
from trunkline.protocol.members import any_text, some_text
from trunkline.protocol.reading import Reader, array, flag, opaque_object, record, tagged
from trunkline.stream.seals import read_redacted, read_thinking

_DIRECT = {"type": "direct"}
"""Who calls where nothing is said of it."""


def _call(
    *,
    id: str,
    name: str,
    input: Json,
    caller: dict[str, Json] | None = None,
    toolset_name: str | None = None,
    cache_control: CacheMark | None = None,
) -> FunctionCallItem:
    own: dict[str, Json] = {} if caller in (None, _DIRECT) else {"caller": caller}
    own |= {} if toolset_name is None else {"toolset_name": toolset_name}
    return FunctionCallItem(
        call_id=id, name=name, arguments="", cache_control=cache_control or UNSET, anthropic=own or UNSET
    )


read_call: Reader[FunctionCallItem] = record(
    _call,
    {
        "id": some_text,
        "name": some_text,
        "input": opaque_object,
        "caller": opaque_object,
        "toolset_name": any_text,
        **MARKED,
    },
    required=("id", "name", "input"),
)
"""Reads a call without its arguments, which `inputs.py` finds."""


def _reference(*, tool_name: str) -> tuple[InputPart, ...]:
    """A tool that a client's own search for tools found; all are offered anyway, so that naming it is enough."""
    return (InputText(tool_name),)


_RETURNED: Mapping[str, Reader[tuple[InputPart, ...]]] = {
    **PARTS,
    "tool_reference": record(_reference, {"tool_name": some_text}, required=("tool_name",)),
}
_returned = tagged(_RETURNED)


def read_returned(value: Json) -> str | tuple[InputPart, ...]:
    """Read what a tool gave back: one text is the same in a block as it is without one."""
    if isinstance(value, str):
        return value
    match parts := joined(value, _returned):
        case ():
            return ""
        case (InputText(text=text, cache_control=mark),) if mark is UNSET:
            return text
        case _:
            return parts


def _result(
    *, tool_use_id: str, content: Json = "", is_error: bool = False, cache_control: CacheMark | None = None
) -> FunctionCallOutput:
    return FunctionCallOutput(
        call_id=tool_use_id,
        output=content,
        is_error=True if is_error else UNSET,
        cache_control=cache_control or UNSET,
    )


read_result: Reader[FunctionCallOutput] = record(
    _result,
    {"tool_use_id": some_text, "content": read_returned, "is_error": flag, **MARKED},
    required=("tool_use_id",),
)


# What a server ran


class Served(NamedTuple):
    """A call that a server ran; `input` is None where the client left it out."""

    id: str
    name: str
    input: dict[str, Json] | None = None


class SearchResult(NamedTuple):
    """What a search found; None where it failed."""

    tool_use_id: str
    found: tuple[Found, ...] | None


def _page(*, url: str, title: str = "", page_age: str | None = None, encrypted_content: str | None = None) -> Found:
    return Found(url, title, page_age, encrypted_content or None)


_pages = array(
    record(
        _page,
        {"url": any_text, "title": any_text, "page_age": any_text, "encrypted_content": any_text},
        required=("url",),
    )
)


def _pages_or_error(value: Json) -> tuple[Found, ...] | None:
    return None if isinstance(value, dict) else _pages(value)


def _search_result(*, tool_use_id: str, content: tuple[Found, ...] | None = None) -> SearchResult:
    return SearchResult(tool_use_id, content)


read_served: Reader[Served] = record(
    Served, {"id": some_text, "name": some_text, "input": opaque_object}, required=("id", "name")
)
read_search_result: Reader[SearchResult] = record(
    _search_result, {"tool_use_id": some_text, "content": _pages_or_error}, required=("tool_use_id", "content")
)


# Thoughts


def _thought(*, thinking: str, signature: str = "") -> ReasoningItem:
    return read_thinking(thinking, signature)


def _hidden(*, data: str) -> ReasoningItem:
    return read_redacted(data)


THOUGHTS: Mapping[str, Reader[ReasoningItem]] = {
    "thinking": record(_thought, {"thinking": any_text, "signature": any_text}, required=("thinking",)),
    "redacted_thinking": record(_hidden, {"data": some_text}, required=("data",)),
}
