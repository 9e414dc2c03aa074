"""Where in its answer a thought stood is told with its proof, for doors that keep thoughts apart from all else."""

from __future__ import annotations

from tests.stream.deltas_strategy import assemble
from trunkline.protocol.events import OutputItemDone
from trunkline.protocol.items import ReasoningItem
from trunkline.stream.deltas import Closed, Delta, FunctionCall, ReasoningSeal, Stopped, Text
from trunkline.stream.seals import unseal


def sealed(slot: int) -> Delta:
    return ReasoningSeal(slot, f"blob-{slot}", endpoint_id="a:m")


def test_the_tag_of_a_thought_tells_what_stood_before_it() -> None:
    events = assemble(
        sealed(0),
        Text(1, "Looking."),
        sealed(2),
        FunctionCall(3, "call_1", "look"),
        Closed(3),
        sealed(4),
        FunctionCall(5, "call_2", "look"),
        FunctionCall(6, "call_3", "look"),
        sealed(7),
        Stopped("calls"),
    )
    done = [event.item for event in events if isinstance(event, OutputItemDone)]
    found = [unseal(item.encrypted_content or "") for item in done if isinstance(item, ReasoningItem)]
    assert [(seal.blob, seal.after_text, seal.calls_before) for seal in found if seal is not None] == [
        ("blob-0", False, 0),
        ("blob-2", True, 0),
        ("blob-4", True, 1),
        ("blob-7", True, 3),
    ]
