"""Calls told as calls of the client's own tools, by a decoder around one that says what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.contract import Decoder
from trunkline.adapters.decoding.restoring import RestoringDecoder, restored
from trunkline.adapters.naming import Called
from trunkline.stream.deltas import (
    Arguments,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Reasoning,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.wire import WireMessage

CLOSE = Called("function", "close_agent", "agents")
WAIT = Called("function", "wait", "agents")
OTHER_WAIT = Called("function", "wait", "clock")
PATCH = Called("custom", "apply_patch")
SEARCH = Called("tool_search", "tool_search")
NAMES = {
    "agents__close_agent": CLOSE,
    "agents__wait": WAIT,
    "clock__wait": OTHER_WAIT,
    "apply_patch": PATCH,
    "tool_search": SEARCH,
}


class Saying(Decoder):
    """Says one list of deltas for each message."""

    def __init__(self, batches: Iterable[Sequence[Delta]]) -> None:
        self.is_done = False
        self._batches = iter(batches)

    def message(self, message: WireMessage) -> Iterable[Delta]:
        return next(self._batches)

    def whole(self, body: bytes) -> Iterable[Delta]:
        return [delta for batch in self._batches for delta in batch]


def told(*deltas: Delta, plain: Sequence[str] = ()) -> list[Delta]:
    decoder = RestoringDecoder(Saying([[delta] for delta in deltas]), NAMES, plain)
    return [heard for _ in deltas for heard in decoder.message(WireMessage(None, b""))] + list(decoder.end())


def joined(deltas: Iterable[Delta]) -> list[Delta]:
    """Put the pieces of one call's arguments together, in the place of the first."""
    found: dict[object, Delta] = {}
    for number, delta in enumerate(deltas):
        if isinstance(delta, Arguments):
            before = found.get(delta.slot)
            text = before.text if isinstance(before, Arguments) else ""
            found[delta.slot] = Arguments(delta.slot, text + delta.text)
        else:
            found[f"no arguments {number}"] = delta
    return list(found.values())


def is_half(deltas: Sequence[Delta]) -> bool:
    return isinstance(deltas[-1], Failed) and deltas[-1].fault.kind == "nonsense"


@pytest.mark.parametrize(
    ("said", "plain", "called"),
    [
        ("agents__close_agent", (), CLOSE),
        ("agents.close_agent", (), CLOSE),
        ("agents/close_agent", (), CLOSE),
        ("functions.agents__close_agent", (), CLOSE),
        ("functions.apply_patch", (), PATCH),
        ("close_agent", (), CLOSE),
        ("close_agent", ("close_agent",), None),
        ("wait", (), None),
        ("clock.wait", (), OTHER_WAIT),
        ("closed_agent", (), None),
        ("", (), None),
    ],
)
def test_the_tool_that_a_name_means(said: str, plain: Sequence[str], called: Called | None) -> None:
    assert restored(said, NAMES, plain) == called


def test_what_is_plain_passes() -> None:
    deltas: list[Delta] = [
        Text(0, "a"),
        FunctionCall(1, "c1", "look"),
        Arguments(1, '{"input":"a"}'),
        Closed(1),
        Stopped("calls"),
    ]
    assert told(*deltas) == deltas


def test_arguments_of_a_function_pass() -> None:
    assert told(FunctionCall(0, "c1", "agents__wait"), Arguments(0, "{"), Arguments(0, "}"), Stopped("calls")) == [
        FunctionCall(0, "c1", "wait", "function", "agents"), Arguments(0, "{"), Arguments(0, "}"), Stopped("calls")
    ]  # fmt: skip


ENDS: dict[str, list[Delta]] = {
    "closed": [Closed(0), Stopped("calls")],
    "stopped": [Stopped("stop")],
    "followed by text": [Text(9, "a"), Stopped("stop")],
    "followed by another call in its slot": [FunctionCall(0, "c2", "look"), Stopped("calls")],
    "closed and followed by a thought": [Closed(0), Reasoning(9, "a"), Stopped("stop")],
}


@pytest.mark.parametrize("end", ENDS)
class TestRawText:
    def test_a_call_is_whole_however_it_ends(self, end: str) -> None:
        heard = joined(told(FunctionCall(0, "c1", "apply_patch"), Arguments(0, '{"input":"a\\n'), Arguments(0, '"}'),
                            *ENDS[end]))  # fmt: skip
        assert heard == [FunctionCall(0, "c1", "apply_patch", "custom"), Arguments(0, "a\n"), *ENDS[end]]

    def test_what_the_end_decides_is_told_before_it(self, end: str) -> None:
        heard = told(FunctionCall(0, "c1", "apply_patch"), Arguments(0, '{"patch":"a"}'), *ENDS[end])
        assert heard == [FunctionCall(0, "c1", "apply_patch", "custom"), Arguments(0, "a"), *ENDS[end]]

    def test_half_a_call_is_a_fault_however_it_ends(self, end: str) -> None:
        heard = told(FunctionCall(0, "c1", "apply_patch"), Arguments(0, '{"input":"a'), *ENDS[end])
        cut = next(at for at, delta in enumerate(heard) if isinstance(delta, Failed))
        assert is_half(heard[: cut + 1])
        assert heard[:cut] == [FunctionCall(0, "c1", "apply_patch", "custom"), Arguments(0, "a")]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("is_closed", [True, False])
def test_a_limit_leaves_half_a_call_open(reason: str, is_closed: bool) -> None:
    stopped = Stopped("length" if reason == "length" else "content_filter")
    spent = Spent(Usage())
    end: list[Delta] = [*([Closed(0)] if is_closed else []), spent, stopped]
    heard = told(FunctionCall(0, "c1", "apply_patch"), Arguments(0, '{"input":"a'), *end)
    assert heard == [FunctionCall(0, "c1", "apply_patch", "custom"), Arguments(0, "a"), spent, stopped]


def test_an_answer_that_nothing_stopped_ends_no_call() -> None:
    heard = told(FunctionCall(0, "c1", "tool_search"), Arguments(0, '{"query":"a"}'))
    assert heard == [FunctionCall(0, "c1", "tool_search", "tool_search")]


def test_pieces_without_text_end_no_call() -> None:
    heard = told(FunctionCall(0, "c1", "apply_patch"), Arguments(0, '{"input":"a'), Text(9, ""), Reasoning(9, ""),
                 FunctionCall(0, "c1", "apply_patch"), Arguments(0, 'b"}'), Stopped("calls"))  # fmt: skip
    assert heard == [
        FunctionCall(0, "c1", "apply_patch", "custom"), Arguments(0, "a"), Text(9, ""), Reasoning(9, ""),
        Arguments(0, "b"), Stopped("calls"),
    ]  # fmt: skip


def test_what_a_server_tells_as_it_is_passes() -> None:
    deltas: list[Delta] = [
        FunctionCall(0, "c1", "apply_patch", "custom"), Arguments(0, '{"input":"a"}'), Closed(0),
        FunctionCall(1, "c2", "close_agent", "function", "others"), Arguments(1, "{}"), Stopped("calls"),
    ]  # fmt: skip
    assert told(*deltas) == deltas


def test_what_is_held_back_counts_as_heard() -> None:
    decoder = RestoringDecoder(Saying([[FunctionCall(0, "c1", "tool_search")], [Arguments(0, "{")]]), NAMES)
    counts = [(list(decoder.message(WireMessage(None, b""))), decoder.held_back)[1] for _ in range(2)]
    assert counts == [0, 1]


@given(data=st.data(), texts=st.lists(st.text(max_size=12), min_size=1, max_size=3))
def test_law_calls_that_interleave_keep_their_texts(data: st.DataObject, texts: list[str]) -> None:
    pieces = {slot: list(json.dumps({"input": text})) for slot, text in enumerate(texts)}
    deltas: list[Delta] = [FunctionCall(slot, f"c{slot}", "apply_patch") for slot in pieces]
    while any(pieces.values()):
        slot = data.draw(st.sampled_from([slot for slot, left in pieces.items() if left]))
        deltas.append(Arguments(slot, pieces[slot].pop(0)))
    heard = joined(told(*deltas, Stopped("calls")))
    said = {delta.slot: delta.text for delta in heard if isinstance(delta, Arguments)}
    assert said == {slot: text for slot, text in enumerate(texts) if text}
    assert heard[-1] == Stopped("calls")
