"""Reads `messages` into the items of an input.

Says nothing about what a model or provider can take; the parts of a message, its calls and its thoughts are read beside
(`parts.py`, `calls.py`, `thoughts.py`).

Theory of operation. Messages are read one after the other. A message of the system, the developer or the user is one
item, in its place: none is taken for `instructions`, as parts of it may carry marks, and a later one means something
where it stands. One of the assistant is several: its thoughts, what it says, and its calls (`answered.py`). A result
names its call, and is of its kind; of the calls a table is kept for that. Calls of the older form have no id, and get
one here that hangs on their place alone, so that the same history is the same request.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from msgspec import UNSET, Struct

from trunkline.errors import BadRequest
from trunkline.faces.chat.answered import items_of, read_answered
from trunkline.faces.chat.calls import Named
from trunkline.faces.chat.parts import mark_of, read_content, read_result
from trunkline.faces.chat.usual import usual_message, usual_texts, usual_turn
from trunkline.protocol.body import MAX_INPUT_ITEMS
from trunkline.protocol.checks import begins_answer
from trunkline.protocol.extent import is_text_alone
from trunkline.protocol.items import (
    CustomCallItem,
    CustomCallOutput,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputPart,
    Json,
    Message,
    Role,
)
from trunkline.protocol.marking import with_mark_at_end
from trunkline.protocol.pairs import Call, call_id_of
from trunkline.protocol.parse_items import check_input
from trunkline.protocol.reading import Wrong, any_text, mismatch, named, record, shown, text

_some_text = text(at_least=1)


class Conversation(Struct, frozen=True, gc=False):
    """What was read.

    `is_text_alone`: messages of text, and nothing else. `names_speakers`: a message has a `name`. `begins_answer`: the
    last says that the answer goes on with it. `firsts` are the places of the first items of the messages; None where
    each message is one.
    """

    items: tuple[InputItem, ...]
    is_text_alone: bool = True
    names_speakers: bool = False
    begins_answer: bool = False
    firsts: tuple[int, ...] | None = None


def read_messages(value: Json) -> Conversation:
    """Read `messages`: the conversation, calls paired with their results.

    Raises Wrong, and BadRequest where there are too many.
    """
    if not isinstance(value, list):
        raise mismatch(value, "an array of messages")
    if not value:
        raise Wrong("must not be empty")
    if len(value) > MAX_INPUT_ITEMS:
        raise _too_many(len(value))
    texts = usual_texts(value)
    if texts is not None:
        return Conversation(texts)
    reading = _Reading()
    reading.read(value)
    items = tuple(reading.items)
    if len(items) > MAX_INPUT_ITEMS:
        raise _too_many(len(items))
    try:
        check_input(items)
    except Wrong as wrong:
        raise _in_words_of_chat(wrong, items, reading.firsts, value) from None
    is_prefix = _is_prefix(value[-1]) and begins_answer(items)
    return Conversation(items, reading.is_text_alone, reading.names_speakers, is_prefix, tuple(reading.firsts))


def _is_prefix(last: dict[str, Json]) -> bool:
    """Whether a message says, in Mistral's and DeepSeek's word or in Moonshot's, that the answer begins with it."""
    return last.get("prefix") is True or last.get("partial") is True


def _too_many(count: int) -> BadRequest:
    return BadRequest(
        f"messages has {count} messages and calls; at most {MAX_INPUT_ITEMS} are taken.", param="messages"
    )


class _Reading:
    """The messages read so far.

    `_customs` are the calls of custom tools that are open. `_unnamed` are calls without an id that are open, by name.
    """

    def __init__(self) -> None:
        self.items: list[InputItem] = []
        self.firsts: list[int] = []
        self.is_text_alone = True
        self.names_speakers = False
        self._customs: set[str] = set()
        self._unnamed: dict[str, str] = {}

    def read(self, messages: Sequence[Json]) -> None:
        """Read messages one after the other."""
        items, firsts = self.items, self.firsts
        for place, value in enumerate(messages):
            firsts.append(len(items))
            message = usual_message(value)
            if message is not None:
                items.append(message)
                continue
            # A result is of the kind of its call, and those of functions are by far the most.
            turn = None if self._customs else usual_turn(value)
            if turn is not None:
                items.extend(turn)
                self.is_text_alone = False
                continue
            try:
                self.is_text_alone = self._read_closely(value) and self.is_text_alone
            except Wrong as wrong:
                wrong.steps.append(place)
                raise

    def _read_closely(self, value: Json) -> bool:
        """Read a message of any form, and say whether it came to nothing but messages of text."""
        if not isinstance(value, dict):
            raise mismatch(value, "an object")
        role = value.get("role")
        reader = _ROLES.get(role) if isinstance(role, str) else None
        if reader is None:
            raise _no_role(role)
        before = len(self.items)
        reader(self, value)
        mark = mark_of(value)
        if mark is not UNSET and len(self.items) > before:
            self.items[before:] = with_mark_at_end(self.items[before:], mark)
        return is_text_alone(self.items[before:])

    def _read_message(self, value: dict[str, Json]) -> None:
        content = _read_said(value)
        self.names_speakers = self.names_speakers or bool(value.get("name"))
        self.items.append(Message(role=cast("Role", value["role"]), content=content))

    def _read_assistant(self, value: dict[str, Json]) -> None:
        said = read_answered(value)
        self.names_speakers = self.names_speakers or bool(said.name)
        for item in items_of(said):
            self.items.append(item)
            if type(item) is CustomCallItem:
                self._customs.add(item.call_id)
            elif type(item) is FunctionCallItem:
                self._customs.discard(item.call_id)
        if said.function_call is not None and not said.tool_calls:
            self._call_unnamed(said.function_call)

    def _call_unnamed(self, called: Named) -> None:
        call_id = f"call_{len(self.items)}_{called.name}"
        self._unnamed[called.name] = call_id
        self.items.append(FunctionCallItem(call_id=call_id, name=called.name, arguments=called.arguments))

    def _read_result(self, value: dict[str, Json]) -> None:
        call_id, content = _read_answer_of_tool(value)
        if call_id in self._customs:
            self._customs.discard(call_id)
            self.items.append(CustomCallOutput(call_id=call_id, output=content))
        else:
            self.items.append(FunctionCallOutput(call_id=call_id, output=content))

    def _read_function(self, value: dict[str, Json]) -> None:
        """Read a result of the older form, which names the function alone; null is a result there."""
        name, content = _read_answer_of_function(value)
        call_id = self._unnamed.pop(name, None)
        if call_id is None:
            raise mismatch(name, "the name of an open function_call before it", "name")
        self.items.append(FunctionCallOutput(call_id=call_id, output=content))


_ROLES: Mapping[str, Callable[[_Reading, dict[str, Json]], None]] = {
    **dict.fromkeys(("system", "developer", "user"), _Reading._read_message),
    "assistant": _Reading._read_assistant,
    "tool": _Reading._read_result,
    "function": _Reading._read_function,
}


# Single messages


def _content(*, content: tuple[InputPart, ...], name: str = "") -> tuple[InputPart, ...]:
    return content


def _answer_of_tool(
    *, tool_call_id: str, content: str | tuple[InputPart, ...]
) -> tuple[str, str | tuple[InputPart, ...]]:
    return tool_call_id, content


def _answer_of_function(
    *, name: str, content: str | tuple[InputPart, ...] = ""
) -> tuple[str, str | tuple[InputPart, ...]]:
    return name, content


_read_said = record(_content, {"content": read_content, "name": any_text}, required=("content",))
_read_answer_of_tool = record(
    _answer_of_tool, {"tool_call_id": _some_text, "content": read_result}, required=("tool_call_id", "content")
)
_read_answer_of_function = record(_answer_of_function, {"name": _some_text, "content": read_result}, required=("name",))


def _no_role(role: Json) -> Wrong:
    expected = named(_ROLES)
    return Wrong(f"is required and must be {expected}", "role") if role is None else mismatch(role, expected, "role")


# What is wrong, in the words of this API


def _in_words_of_chat(
    wrong: Wrong, items: tuple[InputItem, ...], firsts: Sequence[int], messages: Sequence[Any]
) -> Wrong:
    """What the items are refused for, told of the message that they were read from."""
    index = wrong.steps[-1] if wrong.steps else None
    if not isinstance(index, int) or index >= len(items):
        return Wrong(wrong.complaint, "content", 0)
    place = bisect_right(firsts, index) - 1
    is_older = messages[place]["role"] in ("function", "assistant") and not messages[place].get("tool_calls")
    number = sum(isinstance(item, Call) for item in items[firsts[place] : index])
    item = items[index]
    call_id = call_id_of(item)
    if not isinstance(item, Call | FunctionCallOutput | CustomCallOutput):
        return Wrong(wrong.complaint, "content", place)
    if call_id is None:
        member = "name" if is_older else "tool_call_id"
        return mismatch(item.call_id, "the id of an open call before it", member, place)
    steps: tuple[str | int, ...] = ("function_call",) if is_older else (number, "tool_calls")
    if len(wrong.steps) > 1:
        return mismatch(call_id, "unlike the id of a call still open", "id", *steps, place)
    answer = "message of the function" if is_older else f"tool message with tool_call_id {shown(call_id)}"
    return Wrong(f"is a call without its result; if it was interrupted, send a {answer} that says so", *steps, place)
