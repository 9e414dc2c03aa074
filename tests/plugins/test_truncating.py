"""What an endpoint is not told: laws over drawn histories, what a refusal leads to, and what is told of it."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.gateway.histories import check_legal
from tests.protocol.histories_strategy import call, histories, result, said, thought
from tests.routing.catalogs import endpoint
from trunkline.adapters.encoding.offers import offered
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect
from trunkline.catalog.quirks import Quirks
from trunkline.errors import TooLong
from trunkline.plugins.truncating import Truncating, cut
from trunkline.protocol.items import InputItem
from trunkline.protocol.pairs import is_from_outside, pairs_of
from trunkline.protocol.request import Request
from trunkline.protocol.spans import is_fixed, spans_of
from trunkline.protocol.tools import CustomTool, FunctionTool
from trunkline.protocol.weighing import needs_of
from trunkline.wire import Fault

CONTEXTS = st.integers(64, 6_000)
OUTPUTS = st.one_of(st.none(), st.integers(1, 500))

DIALECTS = [each for each in get_args(Dialect) if each not in ("images", "bfl", "riverflow", "fake")]
TOOLS = (FunctionTool("look"), CustomTool("patch"))

TURN = (said("user", 400), thought(400), call(1), result(1, 2_000))
"""About 700 tokens."""

LONG = Request(input=(said("system", 40), *TURN * 20, said("user", 40)), instructions="Be brief.")
AGENT = Request(input=(said("user", 40), *(item for _ in range(20) for item in TURN[1:])))


def is_within(few: Request, many: Request) -> bool:
    """Whether some items are among others, the same objects in the same order."""
    rest = iter(many.input)
    return all(any(item is other for other in rest) for item in few.input)


# Laws


@given(histories(), CONTEXTS, OUTPUTS)
def test_law_what_is_left_is_of_the_client_and_in_its_order(
    items: tuple[InputItem, ...], context: int, output: int | None
) -> None:
    request = Request(input=items)
    found = cut(request, context, output)
    assert is_within(found.request, request)
    assert len(items) - len(found.request.input) == found.items


@given(histories(), CONTEXTS, OUTPUTS)
def test_law_pairs_stay_together(items: tuple[InputItem, ...], context: int, output: int | None) -> None:
    left = cut(Request(input=items), context, output).request.input
    kept = {id(item) for item in left}
    for before, after in pairs_of(items).items():
        assert (id(items[before]) in kept) == (id(items[after]) in kept)
    assert len(pairs_of(left)) == sum(id(items[place]) in kept for place in pairs_of(items))


@given(histories(), CONTEXTS, OUTPUTS)
def test_law_instructions_and_the_last_message_stay(
    items: tuple[InputItem, ...], context: int, output: int | None
) -> None:
    left = cut(Request(input=items), context, output).request.input
    users = [item for item in items if is_from_outside(item) and not is_fixed(item)]
    assert [item for item in items if is_fixed(item)] == [item for item in left if is_fixed(item)]
    assert not users or any(item is users[-1] for item in left)


@given(histories(), CONTEXTS, OUTPUTS)
def test_law_once_more_leaves_out_nothing_more(items: tuple[InputItem, ...], context: int, output: int | None) -> None:
    first = cut(Request(input=items), context, output)
    second = cut(first.request, context, output)
    assert second.request is first.request
    assert (second.tokens, second.fits) == (first.tokens, first.fits)


@given(histories(), CONTEXTS, st.integers(0, 3_000))
def test_law_more_room_keeps_all_that_less_room_keeps(items: tuple[InputItem, ...], context: int, more: int) -> None:
    request = Request(input=items)
    assert is_within(cut(request, context, None).request, cut(request, context + more, None).request)


@given(histories(), CONTEXTS, OUTPUTS)
def test_law_what_fits_is_the_same_object_and_what_is_cut_did_not(
    items: tuple[InputItem, ...], context: int, output: int | None
) -> None:
    request = Request(input=items)
    found = cut(request, context, output)
    room = context - found.output_tokens
    assert (found.request is request) == (needs_of(request).input <= room or not any(spans_of(items)[1:]))
    assert found.tokens == needs_of(found.request).input
    assert found.fits == (found.tokens <= room)


@given(histories(), CONTEXTS)
def test_law_turns_go_whole_and_before_rounds(items: tuple[InputItem, ...], context: int) -> None:
    found = cut(Request(input=items), context, None)
    spans = spans_of(items)
    kept = {id(item) for item in found.request.input}
    gone = [span for span in (*spans.turns, *spans.rounds) if not any(id(items[place]) in kept for place in span)]
    assert gone == [*spans.turns, *spans.rounds][: found.turns + found.rounds]
    assert found.rounds == 0 or found.turns == len(spans.turns)


# One by one


def test_the_oldest_turns_are_left_out() -> None:
    found = cut(LONG, 8_192, None)
    assert 9 <= 20 - found.turns <= 10
    assert found.request.input[0] is LONG.input[0]
    assert found.request.input[1:] == LONG.input[1 + found.turns * 4 :]
    assert found.dropped == (f"input.turns={found.turns}",)
    assert found.request.instructions == "Be brief."


def test_of_one_long_turn_the_oldest_rounds_are() -> None:
    found = cut(AGENT, 8_192, None)
    assert found.turns == 0
    assert found.rounds > 0
    assert found.dropped == (f"input.rounds={found.rounds}",)
    assert found.request.input == (AGENT.input[0], *AGENT.input[1 + found.rounds * 3 :])


def test_an_answer_takes_its_room() -> None:
    assert cut(LONG, 8_192, 4_000).turns > cut(LONG, 8_192, None).turns > cut(LONG, 8_192, 10).turns


class TestFitting:
    def test_what_fits_is_told_as_it_is_and_not_noted(self) -> None:
        fitting, wide = Truncating(is_clamped=False), endpoint(context=100_000)
        assert fitting.fitted(LONG, wide) == (LONG, ())
        assert fitting.noted(wide) == {}

    def test_each_endpoint_gets_what_fits_it(self) -> None:
        fitting, narrow, wide = Truncating(is_clamped=False), endpoint("a", context=4_096), endpoint("b", context=8_192)
        (short, named), (long, _) = fitting.fitted(LONG, narrow), fitting.fitted(LONG, wide)
        assert is_within(short, long)
        assert len(short.input) < len(long.input)
        note: Any = fitting.noted(narrow)["truncation"]
        assert note["context_tokens"] == 4_096
        assert named == (f"input.turns={note['dropped_turns']}",)
        assert note["dropped_items"] == len(LONG.input) - len(short.input) == 4 * note["dropped_turns"]
        assert note["estimate"] == needs_of(short).input <= 3_584

    def test_a_limit_that_credit_sets_takes_no_more_than_is_left_without(self) -> None:
        asked = replace(LONG, max_output_tokens=8_000)
        clamped, _ = Truncating(is_clamped=True).fitted(asked, endpoint(context=8_192))
        assert clamped.input == cut(LONG, 8_192, None).request.input

    def test_nothing_is_known_of_a_context_that_nobody_told(self) -> None:
        assert Truncating(is_clamped=False).fitted(LONG, endpoint(context=None)) == (LONG, ())

    def test_what_may_not_be_left_out_and_does_not_fit(self) -> None:
        with pytest.raises(TooLong) as caught:
            Truncating(is_clamped=False).fitted(replace(LONG, instructions="a" * 20_000), endpoint(context=4_096))
        error = caught.value
        assert (error.status, error.kind, error.param) == (400, "context_length_exceeded", "input")
        assert error.metadata["max_context_tokens"] == 4_096
        assert error.metadata["output_tokens"] == 512
        assert "maximum context length is 4096 tokens. However, you requested about" in error.message

    def test_who_shortens_by_itself_gets_the_shortest(self) -> None:
        itself = replace(endpoint(context=4_096), dialect="responses")
        short, named = Truncating(is_clamped=False).fitted(replace(LONG, instructions="a" * 20_000), itself)
        assert named == ("input.turns=20",)
        assert short.input == (LONG.input[0], LONG.input[-1])
        refusing = replace(itself, quirks=Quirks(drops=frozenset({"truncation"})))
        with pytest.raises(TooLong):
            Truncating(is_clamped=False).fitted(replace(LONG, instructions="a" * 20_000), refusing)


REFUSALS = [
    ("a context that is smaller than was known", "maximum context length is 4096 tokens", 8_192, 3_276),
    ("words without a number", "Your input exceeds the context window", 8_192, None),
    ("more tokens than were estimated", "prompt is too long: 16000 tokens > 8192 maximum", 8_192, None),
]


class TestRefused:
    @pytest.mark.parametrize(("id_", "message", "known", "context"), REFUSALS, ids=lambda value: str(value)[:40])
    def test_it_is_asked_again_with_less(self, id_: str, message: str, known: int, context: int | None) -> None:
        fitting, asked = Truncating(is_clamped=False), endpoint(context=known)
        first, _ = fitting.fitted(LONG, asked)
        narrowed = fitting.narrowed(LONG, asked, Fault("too_long", message, 400))
        assert narrowed is not None
        assert narrowed.context_tokens is not None
        assert narrowed.context_tokens == context or context is None
        second, _ = fitting.fitted(LONG, narrowed)
        assert len(second.input) < len(first.input)
        # What was taken for so many tokens fills at the most four fifths of the context.
        assert needs_of(second).input <= 0.8 * needs_of(first).input + 1
        if "16000" in message:
            assert needs_of(second).input * 16_000 / needs_of(first).input <= 0.8 * 8_192

    def test_a_context_that_nobody_knew(self) -> None:
        fitting, asked = Truncating(is_clamped=False), endpoint(context=None)
        fitting.fitted(LONG, asked)
        narrowed = fitting.narrowed(LONG, asked, Fault("too_long", "prompt is too long: 14000 tokens > 4096 maximum"))
        assert narrowed is not None
        assert narrowed.context_tokens is not None
        assert 0 < narrowed.context_tokens <= 3_276

    def test_another_fault_changes_nothing(self) -> None:
        fault = Fault("rejected", "maximum context length is 4096 tokens", 400)
        assert Truncating(is_clamped=False).narrowed(LONG, endpoint(), fault) is None


def test_what_is_told_beforehand() -> None:
    told = Truncating(is_clamped=False).told(
        LONG, [endpoint("a", context=4_096), endpoint("b", context=100_000), endpoint("c", context=None)]
    )
    assert [(each["endpoint"], each["is_shortened"], each["fits"]) for each in told] == [
        (endpoint("a").id, True, True),
        (endpoint("b").id, False, True),
    ]
    assert told[0]["dropped_items"] == 4 * told[0]["dropped_turns"] > 0


# On the wire


@pytest.mark.parametrize("dialect", DIALECTS)
@given(items=histories(), context=CONTEXTS)
@settings(max_examples=40)
def test_law_what_is_left_is_legal_on_every_wire(dialect: Dialect, items: tuple[InputItem, ...], context: int) -> None:
    request = Request(input=(*items, said("user", 4)), tools=TOOLS, has_extensions=True)
    there = replace(endpoint(), dialect=dialect)
    left = cut(offered(request, there).request, context, None).request
    check_legal(dialect, json.loads(ADAPTERS[dialect].encode(left, there, None).body))
