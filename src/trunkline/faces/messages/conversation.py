"""`system` and `messages` → the input of a request: blocks gathered into items, each with the place that it came from.

Theory of operation. Blocks are read in order. Parts of one speaker gather into one message, until a block comes that is
an item of its own (a call, a result, a thought, what only Anthropic knows) or the message ends. Beside each item stands
the path to its first block, so that whatever is found wrong of the items together is told where the client wrote it.

What a single block holds is for `blocks.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from trunkline.faces.messages.blocks import PARTS, SYSTEM_PARTS, read_own_mark, read_said, read_text
from trunkline.faces.messages.calls import THOUGHTS, read_call, read_result, read_search_result, read_served
from trunkline.faces.messages.inputs import Inputs
from trunkline.faces.messages.paths import Parted, Place, Where, first_of
from trunkline.faces.messages.usual import BILLING, usual_texts
from trunkline.protocol.body import MAX_INPUT_ITEMS
from trunkline.protocol.items import (
    CacheMark,
    Found,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputText,
    Json,
    Message,
    MessagePart,
    OutputText,
    SearchAction,
    SearchStatus,
    WebSearchCall,
)
from trunkline.protocol.marking import with_mark_at_end
from trunkline.protocol.opaque import AnthropicItem
from trunkline.protocol.parse_items import check_input
from trunkline.protocol.reading import Wrong, mismatch, named, one_of, shown

_MAX_BILLING: Final = 512
"""Characters of such a line, which nothing looks at but Anthropic; a longer one is text like others."""

_SEARCH: Final = "web_search"

_OF_ASSISTANT: Final = frozenset(
    {
        "advisor_tool_result",
        "bash_code_execution_tool_result",
        "code_execution_tool_result",
        "compaction",
        "fallback",
        "mcp_tool_listing",
        "mcp_tool_result",
        "mcp_tool_use",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "web_fetch_tool_result",
    }
)
"""Blocks of an assistant's message that only Anthropic's servers make and read."""

_Searches = dict[str, tuple[Found, ...]]


class Conversation:
    """Items as they are gathered. `ignored` names what was said in them and does nothing here."""

    def __init__(self, inputs: Inputs) -> None:
        self.items: list[InputItem] = []
        self.places: list[Place] = []
        self.ignored: dict[str, None] = {}
        self.billing: str | None = None
        self._inputs = inputs
        self._role: str = ""
        self._parts: list[MessagePart] = []
        self._wheres: list[Where] = []

    def add_system(self, value: Json) -> None:
        """Read `system`. Raises Wrong."""
        try:
            if isinstance(value, str):
                self._add_system_text(value)
            elif isinstance(value, list):
                self._each(value, self._add_system_block)
            else:
                raise mismatch(value, "a string or an array of text blocks")
        except Wrong as wrong:
            wrong.steps.append("system")
            raise
        self._close()

    def add_messages(self, value: Json) -> None:
        """Read `messages`, and check what belongs together in the whole of them. Raises Wrong."""
        try:
            if not isinstance(value, list):
                raise mismatch(value, "an array of messages")
            if not value:
                raise Wrong("at least one message is required")
            if len(value) > MAX_INPUT_ITEMS:  # before they are read, which takes a while
                raise Wrong(f"has {len(value)} messages; at most {MAX_INPUT_ITEMS} are taken")
            if (texts := usual_texts(value)) is not None:
                self.items += texts
                self.places += [("content", place, "messages") for place in range(len(texts))]
                return
            last = max((place for place, each in enumerate(value) if _is_of_user(each)), default=-1)
            self._each(value, partial(self._add_message, last_of_user=last))
            if len(self.items) > MAX_INPUT_ITEMS:
                raise Wrong(f"has {len(self.items)} items; at most {MAX_INPUT_ITEMS} are taken")
        except Wrong as wrong:
            wrong.steps.append("messages")
            raise
        try:
            check_input(tuple(self.items))
        except Wrong as wrong:
            raise self._told(wrong) from None

    def mark_last(self, mark: CacheMark) -> None:
        """Put a mark on the last that can carry one and has none, as one beside the messages asks for."""
        self.items[:] = with_mark_at_end(self.items, mark)

    # System

    def _add_system_text(self, value: str) -> None:
        self.billing, value = _without_billing(value)
        if value:
            self._say("system", InputText(value), ("system",))

    def _add_system_block(self, block: Json, place: int) -> None:
        part = _text_block(block)
        if self.billing is None and part.text.startswith(BILLING):
            self.billing, text = _without_billing(part.text)
            part = replace(part, text=text)
        if part.text:
            self._say("system", part, (place, "system"))

    # Messages

    def _each(self, values: list[Json], read: Callable[[Json, int], None]) -> None:
        place = 0
        try:
            for place, value in enumerate(values):
                read(value, place)
        except Wrong as wrong:
            wrong.steps.append(place)
            raise

    def _add_message(self, message: Json, place: int, *, last_of_user: int) -> None:
        role, content = _read_message(message)
        if message.get("output_config"):
            self.ignored["messages.output_config"] = None
        # It was for the turn before which it stands alone, and is not shown any more.
        if role == "system" and message.get("clear_at") == "next_user_message" and place < last_of_user:
            return
        try:
            if isinstance(content, str):
                part = OutputText(content) if role == "assistant" else InputText(content)
                self._say(role, part, ("content", place, "messages"))
            elif isinstance(content, list):
                found = _searches_found(content) if role == "assistant" else {}
                self._each(content, partial(self._add_block, role=role, message=place, found=found))
            else:
                raise mismatch(content, "a string or an array of blocks")
        except Wrong as wrong:
            wrong.steps.append("content")
            raise
        self._close()

    def _add_block(self, block: Json, place: int, *, role: str, message: int, found: _Searches) -> None:
        where: Where = (place, "content", message, "messages")
        if not isinstance(block, dict):
            raise mismatch(block, "an object")
        kind = block.get("type")
        if not isinstance(kind, str):
            raise _misplaced(kind, role)
        match role:
            case "assistant" if kind == "text":
                self._say(role, read_said(block), where)
            case "assistant" if kind == "tool_use":
                call = read_call(block)
                self._add(replace(call, arguments=self._inputs.text(message, place)), where)
            case "assistant" if kind in THOUGHTS:
                self._add(THOUGHTS[kind](block), where)
            case "assistant" if kind == "server_tool_use":
                self._add_served(block, where, found)
            case "assistant" if kind == "web_search_tool_result":
                read_search_result(block)
            case "assistant" if kind in _OF_ASSISTANT:
                self._add_opaque(block, where)
            case "user" if kind in PARTS:
                self._note_citations(block)
                for part in PARTS[kind](block):
                    self._say(role, part, where)
            case "user" if kind == "tool_result":
                self._add_result(block, where)
                for part in block["content"] if isinstance(block.get("content"), list) else ():
                    self._note_citations(part)
            case "system" if kind in SYSTEM_PARTS:
                self._say(role, SYSTEM_PARTS[kind](block), where)
            case _:
                raise _misplaced(kind, role)

    def _note_citations(self, block: Mapping[str, Json]) -> None:
        """Name the citations of a document, which nobody is asked for."""
        wish = block.get("citations")
        if isinstance(wish, dict) and wish.get("enabled"):
            self.ignored["messages.citations"] = None

    def _add_served(self, block: dict[str, Json], where: Where, found: _Searches) -> None:
        """Add a call that a server ran; a search with what it found, whoever made it."""
        call = read_served(block)
        if call.name != _SEARCH:
            self._add_opaque(block, where)
            return
        query = (call.input or {}).get("query")
        action = SearchAction(query, (query,)) if isinstance(query, str) else UNSET
        results = found.get(call.id)
        status: SearchStatus = "completed" if results is not None else "failed"
        self._add(WebSearchCall(id=call.id, status=status, action=action, results=results or UNSET), where)

    def _add_result(self, block: dict[str, Json], where: Where) -> None:
        result, content = read_result(block), block.get("content")
        # A block may come to several parts, and comes to one at the least.
        place: Place = where
        if isinstance(content, list) and isinstance(result.output, tuple) and len(content) == len(result.output):
            place = Parted(where, tuple([(part, "content", *where) for part in range(len(content))]))
        self._add(result, place)

    def _add_opaque(self, block: dict[str, Json], where: Where) -> None:
        read_own_mark(block)
        self._add(AnthropicItem(block), where)

    # Gathering

    def _say(self, role: str, part: MessagePart, where: Where) -> None:
        self._role = role
        self._parts.append(part)
        self._wheres.append(where)

    def _add(self, item: InputItem, place: Place) -> None:
        self._close()
        self.items.append(item)
        self.places.append(place)

    def _close(self) -> None:
        """End the message that is gathered, if there is one."""
        if self._parts:
            self.items.append(Message(role=self._role, content=tuple(self._parts)))  # type: ignore[arg-type]
            wheres = self._wheres
            self.places.append(wheres[0] if len(wheres) == 1 else Parted(wheres[0], tuple(wheres)))
            self._parts.clear()
            self._wheres.clear()

    def _told(self, wrong: Wrong) -> Wrong:
        """What is wrong with the items together, in this API's words: Claude Code knows some of these sentences."""
        if "content" in wrong.steps:
            return Wrong("at least one message must say something", "messages")
        index = wrong.steps[-1]
        assert isinstance(index, int)
        item, where = self.items[index], first_of(self.places[index])
        if isinstance(item, FunctionCallOutput):
            return Wrong(
                f"unexpected `tool_use_id` found in `tool_result` blocks: {item.call_id}. Each `tool_result` block "
                "must have a corresponding `tool_use` block in the previous message",
                *where,
            )
        assert isinstance(item, FunctionCallItem)
        if "call_id" in wrong.steps:
            return Wrong(f"`tool_use` ids must be unique, unlike {shown(item.call_id)}", "id", *where)
        return Wrong(
            "`tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{item.call_id}. Each `tool_use` block must have a corresponding `tool_result` block in the next message",
            *where[-2:],
        )


# Readers

_KNOWN: Mapping[str, frozenset[str]] = {
    "assistant": _OF_ASSISTANT | THOUGHTS.keys() | {"text", "tool_use", "server_tool_use", "web_search_tool_result"},
    "user": frozenset({*PARTS, "tool_result"}),
    "system": frozenset(SYSTEM_PARTS),
}
_role = one_of(_KNOWN)


def _without_billing(text: str) -> tuple[str | None, str]:
    """The line of the program, if a text begins with it, and the rest."""
    line, _, rest = text.partition("\n") if text.startswith(BILLING) else ("", "", text)
    return (line, rest) if 0 < len(line) <= _MAX_BILLING else (None, text)


def _is_of_user(message: Json) -> bool:
    return isinstance(message, dict) and message.get("role") == "user"


def _read_message(message: Json) -> tuple[str, Json]:
    if not isinstance(message, dict):
        raise mismatch(message, "an object")
    for member in ("role", "content"):
        if message.get(member) is None:
            if member == "content" and message["role"] == "system" and message.get("output_config"):
                return "system", []  # it says how to answer from there on, and nothing else
            raise Wrong("is required", member)
    try:
        return _role(message["role"]), message["content"]
    except Wrong as wrong:
        wrong.steps.append("role")
        raise


def _misplaced(kind: Json, role: str) -> Wrong:
    known = _KNOWN[role]
    if isinstance(kind, str) and any(kind in others for others in _KNOWN.values()):
        return Wrong(f'"{kind}" has no place in a message of the {role}', "type")
    if kind is None:
        return Wrong("is required", "type")
    return mismatch(kind, named(known), "type")


def _text_block(block: Json) -> InputText:
    if isinstance(block, dict) and block.get("type") != "text":
        kind = block.get("type")
        raise Wrong("is required", "type") if kind is None else mismatch(kind, '"text"', "type")
    return read_text(block)


def _searches_found(content: list[Json]) -> _Searches:
    """What searches found, by the ids of their calls; those that failed are missing."""
    found: _Searches = {}
    for block in content:
        if isinstance(block, dict) and block.get("type") == "web_search_tool_result":
            with suppress(Wrong):  # told where it stands
                result = read_search_result(block)
                if result.found is not None:
                    found[result.tool_use_id] = result.found
    return found
