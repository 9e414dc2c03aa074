"""Readers of the calls that a message of the assistant makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import UNSET

from trunkline.protocol.items import CustomCallItem, FunctionCallItem, Json
from trunkline.protocol.marks import CacheMark
from trunkline.protocol.parse_tools import read_mark
from trunkline.protocol.reading import Reader, any_text, array, record, tagged, text

Call = FunctionCallItem | CustomCallItem

_some_text = text(at_least=1)


class Named(NamedTuple):
    """A function's name, and the JSON text it is called with."""

    name: str
    arguments: str


class Made(NamedTuple):
    """A call, and the signature of the thought that led to it, where Gemini's clients put it on the call."""

    call: Call
    signature: str = ""


def _named(*, name: str, arguments: str = "") -> Named:
    return Named(name, arguments or "{}")


def _function_call(
    *, id: str, function: Named, extra_content: str = "", cache_control: CacheMark | None = None
) -> Made:
    mark = cache_control or UNSET
    return Made(
        FunctionCallItem(call_id=id, name=function.name, arguments=function.arguments, cache_control=mark),
        extra_content,
    )


def _custom_call(*, id: str, custom: Mapping[str, str]) -> Made:
    return Made(CustomCallItem(call_id=id, name=custom["name"], input=custom["input"]))


def _signature(value: Json) -> str:
    """Read `extra_content`, in which only Google's `thought_signature` is known."""
    google = value.get("google") if isinstance(value, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""


read_named: Reader[Named] = record(_named, {"name": _some_text, "arguments": any_text}, required=("name",))
"""Read a function's name and arguments, as `function_call` has them too."""

_CALLS: Mapping[str, Reader[Made]] = {
    "function": record(
        _function_call,
        {"id": _some_text, "function": read_named, "extra_content": _signature, "cache_control": read_mark},
        required=("id", "function"),
    ),
    "custom": record(
        _custom_call,
        {"id": _some_text, "custom": record(dict, {"name": _some_text, "input": any_text}, required=("name", "input"))},
        required=("id", "custom"),
    ),
}


read_calls: Reader[tuple[Made, ...]] = array(tagged(_CALLS, default="function"))
"""Read `tool_calls`."""
