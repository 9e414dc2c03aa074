"""Histories for property tests: turns, rounds of calls, and results wherever clients put them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from trunkline.protocol.items import (
    AdditionalTools,
    CustomCallItem,
    CustomCallOutput,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputText,
    Message,
    OutputText,
    ReasoningItem,
    SummaryText,
)

SIZES = st.integers(1, 400)


def said(role: Any, size: int) -> Message:
    part = OutputText("a" * size) if role == "assistant" else InputText("u" * size)
    return Message(role=role, content=(part,))


def thought(size: int) -> ReasoningItem:
    return ReasoningItem(summary=(SummaryText("t" * size),), encrypted_content="s" * size)


def call(number: int, *, custom: bool = False) -> InputItem:
    if custom:
        return CustomCallItem(call_id=f"call_{number}", name="patch", input="x")
    return FunctionCallItem(call_id=f"call_{number}", name="look", arguments="{}")


def result(number: int, size: int, *, custom: bool = False) -> InputItem:
    kind = CustomCallOutput if custom else FunctionCallOutput
    return kind(call_id=f"call_{number}", output="r" * size)


@st.composite
def histories(draw: st.DrawFn) -> tuple[InputItem, ...]:
    """An input in which every result has its call before it; a call may have none, or one that comes much later."""
    items: list[InputItem] = []
    due: list[tuple[int, bool]] = []
    calls = 0
    kinds = st.sampled_from(
        ["user", "user", "system", "assistant", "thought", "call", "call", "custom", "result", "tools"]
    )
    for kind in draw(st.lists(kinds, max_size=40)):
        size = draw(SIZES)
        match kind:
            case "user" | "system" | "assistant":
                items.append(said(kind, size))
            case "thought":
                items.append(thought(size))
            case "call" | "custom":
                # Some models count their calls anew in each turn.
                number = calls if not due and draw(st.booleans()) else calls + 1
                calls = number
                due.append((number, kind == "custom"))
                items.append(call(number, custom=kind == "custom"))
            case "tools":
                items.append(AdditionalTools(tools=()))
            case _ if due:
                number, custom = due.pop(draw(st.integers(0, len(due) - 1)))
                items.append(result(number, size, custom=custom))
            case _:
                pass
    if draw(st.booleans()):
        items += [result(number, draw(SIZES), custom=custom) for number, custom in due]
    return tuple(items)
