"""Which result of the input answers which call.

It says nothing of whether the input is well formed: that is for `parse_items.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import UNSET

from trunkline.protocol.items import (
    AgentMessage,
    CustomCallItem,
    CustomCallOutput,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    LocalShellCallItem,
    LocalShellCallOutput,
    Message,
    ToolSearchCallItem,
    ToolSearchOutput,
)

Call: TypeAlias = FunctionCallItem | CustomCallItem | ToolSearchCallItem | LocalShellCallItem
Output: TypeAlias = FunctionCallOutput | CustomCallOutput | ToolSearchOutput | LocalShellCallOutput

OUTPUTS: Mapping[type, tuple[type[Output], ...]] = {
    FunctionCallItem: (FunctionCallOutput,),
    CustomCallItem: (CustomCallOutput,),
    ToolSearchCallItem: (ToolSearchOutput,),
    # Codex answers with what answers a function.
    LocalShellCallItem: (LocalShellCallOutput, FunctionCallOutput),
}
"""What answers each kind of call."""

CALL_NAMES: Mapping[type, str] = {
    FunctionCallOutput: "function_call",
    CustomCallOutput: "custom_tool_call",
    ToolSearchOutput: "tool_search_call",
    LocalShellCallOutput: "local_shell_call",
}
"""By its output, what each kind of call is called."""

_CALLS_AND_OUTPUTS = OUTPUTS.keys() | CALL_NAMES.keys()


def pairs_of(items: Sequence[InputItem]) -> dict[int, int]:
    """The place of each call's result by that of the call; calls that nobody answered are missing.

    A result answers the last call before it that has its `call_id` and is of its kind. Some models count their calls
    from zero in each turn, so an id comes again.
    """
    open_calls: dict[str, int] = {}
    found: dict[int, int] = {}
    for place, item in enumerate(items):
        kind = type(item)
        if kind not in _CALLS_AND_OUTPUTS:
            continue
        if (own := call_id_of(item)) is not None:
            open_calls[own] = place
            continue
        # Nearly all results say it by themselves.
        named = item.call_id if type(item) is FunctionCallOutput else answered_call(item, items, open_calls)
        if named is not None:
            call = open_calls.get(named)
            if call is not None and kind in OUTPUTS[type(items[call])]:
                del open_calls[named]
                found[call] = place
    return found


def is_all_paired(items: Sequence[InputItem], pairs: Mapping[int, int]) -> bool:
    """Whether every call has its result and an id of its own, and every result its call; `pairs` are theirs."""
    if 2 * len(pairs) != sum(map(_CALLS_AND_OUTPUTS.__contains__, map(type, items))):
        return False
    return len({call_id_of(items[place]) for place in pairs}) == len(pairs)


def call_id_of(item: InputItem) -> str | None:
    """The `call_id` of a call that the client answers; None for what is none."""
    # By its type alone, as OUTPUTS has all calls: there may be thousands of items.
    return item.call_id if type(item) in OUTPUTS else None  # type: ignore[union-attr, return-value]


def answered_call(item: InputItem, items: Sequence[InputItem], calls: Mapping[str, int]) -> str | None:
    """The `call_id` that a result names, given the places of the calls before it; None for what is no result.

    A command's result may name its call by the id of the item. Where a server searched for tools there is no call.
    """
    if type(item) not in CALL_NAMES or not isinstance(item, Output):
        return None
    if not isinstance(item, LocalShellCallOutput):
        return item.call_id
    if item.call_id is not UNSET:
        return item.call_id
    named = str(item.id)
    return next((call_id for call_id, place in calls.items() if getattr(items[place], "id", None) == named), named)


def last_message(items: Sequence[InputItem]) -> int:
    """The place of the last message that is not the model's; a call before it that has no result was interrupted."""
    for place in range(len(items) - 1, -1, -1):
        if is_from_outside(items[place]):
            return place
    return -1


def is_from_outside(item: InputItem) -> bool:
    """Whether an item is a message of somebody else than the model that answers."""
    return item.role != "assistant" if type(item) is Message else type(item) is AgentMessage
