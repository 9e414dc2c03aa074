"""Which result of the input answers which call.

It says nothing of whether the input is well formed: that is for `parse_items.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.protocol.items import FunctionCallItem, FunctionCallOutput, InputItem, Message


def pairs_of(items: Sequence[InputItem]) -> dict[int, int]:
    """The place of each call's result by that of the call; calls that nobody answered are missing.

    A result answers the last call before it that has its `call_id`. Some models count their calls from zero in each
    turn, so an id comes again.
    """
    open_calls: dict[str, int] = {}
    found: dict[int, int] = {}
    for place, item in enumerate(items):
        if type(item) is FunctionCallItem:
            open_calls[item.call_id] = place
        elif type(item) is FunctionCallOutput and (call := open_calls.pop(item.call_id, None)) is not None:
            found[call] = place
    return found


def last_message(items: Sequence[InputItem]) -> int:
    """The place of the last message that is not the model's; a call before it that has no result was interrupted."""
    for place in range(len(items) - 1, -1, -1):
        item = items[place]
        if type(item) is Message and item.role != "assistant":
            return place
    return -1
