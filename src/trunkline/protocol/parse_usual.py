"""The usual items of a conversation, each read in one call.

What most clients send most of the time needs no reader of ours: msgspec checks the members and makes the item. Whatever
is unusual in any way, and all that is wrong, is left to the readers (`parse_items.py`), which alone say what is wrong
and where. What both of them take is the same item from either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import UNSET, ValidationError, convert

from trunkline.protocol.items import (
    CustomCallItem,
    CustomCallOutput,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputText,
    Json,
    Message,
    OutputText,
    ReasoningItem,
    RefusalPart,
)

MAX_PHASE: Final = 64
"""Characters of the `phase` of a message."""

_BARE: Final = frozenset(("type", "role", "content"))
_TEXT_ALONE: Final[frozenset[type]] = frozenset((InputText,))


def usual_item(value: Json) -> InputItem | None:
    """Read an item of the usual form; None for every other value."""
    if type(value) is not dict:
        return None
    kind = value.get("type", "message")
    if kind == "message":
        return _message(value)
    form = _FORMS.get(kind) if type(kind) is str else None
    if form is None:
        return None
    item_type, is_usual = form
    try:
        item: InputItem = convert(value, item_type)
    except ValidationError:
        return None
    return item if is_usual(item, value) else None


def _message(value: dict[str, Json]) -> Message | None:
    content = value.get("content")
    if type(content) is str:
        # Most histories are of these alone, in hundreds.
        if _BARE.issuperset(value):
            return _bare_message(value.get("role"), content)
        kind = "output_text" if value.get("role") == "assistant" else "input_text"
        value = {**value, "content": ({"type": kind, "text": content},)}
    try:
        message = convert(value, Message)
    except ValidationError:
        return None
    return message if _is_usual_message(message) else None


def _bare_message(role: Json, text: str) -> Message | None:
    if role == "assistant":
        return Message(role="assistant", content=(OutputText(text),))
    if role == "user" or role == "system" or role == "developer":
        return Message(role=role, content=(InputText(text),))
    return None


def _is_usual_message(message: Message) -> bool:
    if message.role != "assistant":
        return message.phase is UNSET and _is_all_text(message.content)
    for part in message.content:
        if type(part) is OutputText:
            # What stands there is left out where it cannot be read.
            if part.annotations or part.logprobs:
                return False
        elif type(part) is not RefusalPart:
            return False
    return message.phase is UNSET or len(message.phase) <= MAX_PHASE


def _is_all_text(parts: tuple[object, ...]) -> bool:
    """Whether nothing stands there that has to be looked into, as links and pictures have."""
    return _TEXT_ALONE.issuperset(map(type, parts))


def _is_usual_call(item: FunctionCallItem, value: dict[str, Json]) -> bool:
    return bool(item.call_id and item.name and item.arguments)


def _is_usual_custom_call(item: CustomCallItem, value: dict[str, Json]) -> bool:
    return bool(item.call_id and item.name)


def _is_usual_output(item: FunctionCallOutput | CustomCallOutput, value: dict[str, Json]) -> bool:
    return bool(item.call_id) and (type(item.output) is str or _is_all_text(item.output))  # type: ignore[arg-type]


def _is_usual_thought(item: ReasoningItem, value: dict[str, Json]) -> bool:
    # msgspec takes a part without its type where there is but one that it can be.
    parts = [*value.get("summary", ()), *value.get("content", ())]
    return not parts or all("type" in part for part in parts)


_FORMS: Mapping[str, tuple[type[InputItem], Callable[[Any, dict[str, Json]], bool]]] = {
    "function_call": (FunctionCallItem, _is_usual_call),
    "function_call_output": (FunctionCallOutput, _is_usual_output),
    "reasoning": (ReasoningItem, _is_usual_thought),
    "custom_tool_call": (CustomCallItem, _is_usual_custom_call),
    "custom_tool_call_output": (CustomCallOutput, _is_usual_output),
}
"""What each kind of item is made into, and what the reader asks beyond the types of its members."""
