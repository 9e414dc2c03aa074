"""The usual messages of a conversation, each read in one step.

What most clients send most of the time needs no reader for each member. Whatever is unusual in any way, and all that is
wrong, is left to the readers (`messages.py`), which alone say what is wrong and where. What both of them take is the
same from either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct, ValidationError, convert

from trunkline.protocol.items import (
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputText,
    Json,
    Message,
    OutputText,
)

_PLAIN: Mapping[str, type[InputText | OutputText]] = {
    "system": InputText,
    "developer": InputText,
    "user": InputText,
    "assistant": OutputText,
}


_SomeText = Annotated[str, Meta(min_length=1)]


class _Function(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    name: _SomeText
    arguments: _SomeText


class _Call(Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="type", tag="function"):
    id: _SomeText
    function: _Function


class _Called(Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="role", tag="assistant"):
    tool_calls: Annotated[tuple[_Call, ...], Meta(min_length=1)]
    content: str | None = None


class _Result(Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="role", tag="tool"):
    tool_call_id: _SomeText
    content: str


def usual_texts(messages: Sequence[Json]) -> tuple[Message, ...] | None:
    """Read a conversation of texts that says something; None for every other."""
    found: list[Message] = []
    for value in messages:
        message = usual_message(value)
        if message is None:
            return None
        found.append(message)
    for message in found:
        for part in message.content:
            if part.text:  # type: ignore[union-attr]  # of texts
                return tuple(found)
    return None


def usual_message(value: Json) -> Message | None:
    """Read a message of a role and texts; None for every other value."""
    if type(value) is not dict or len(value) != 2:
        return None
    role, content = value.get("role"), value.get("content")
    if type(role) is not str:
        return None
    kind = _PLAIN.get(role)
    if kind is None or (kind is OutputText and not content):
        return None
    if type(content) is str:
        return Message(role=role, content=(kind(content),))  # type: ignore[arg-type]  # a role, as _PLAIN knows it
    if type(content) is not list or kind is OutputText:
        return None
    parts = _texts(content)
    return None if parts is None else Message(role=role, content=parts)  # type: ignore[arg-type]


def _texts(content: list[Json]) -> tuple[InputText, ...] | None:
    """Read parts that are texts and no more."""
    parts: list[InputText] = []
    for part in content:
        if type(part) is not dict or len(part) != 2 or part.get("type") != "text":
            return None
        text = part.get("text")
        if type(text) is not str:
            return None
        parts.append(InputText(text))
    return tuple(parts)


def usual_turn(value: Json) -> tuple[InputItem, ...] | None:
    """Read calls of functions, with or without a text, or the result of one; None for every other value."""
    if type(value) is not dict:
        return None
    try:
        # One struct at a time: at each call msgspec looks up what a union is made of, which takes ten times as long.
        role = value.get("role")
        if role == "tool":
            result = convert(value, _Result)
            return (FunctionCallOutput(call_id=result.tool_call_id, output=result.content),)
        if role != "assistant":
            return None
        turn = convert(value, _Called)
    except ValidationError:
        return None
    calls = [
        FunctionCallItem(call_id=call.id, name=call.function.name, arguments=call.function.arguments)
        for call in turn.tool_calls
    ]
    if turn.content:
        return (Message(role="assistant", content=(OutputText(turn.content),)), *calls)
    return tuple(calls)
