"""How long an answer is asked for: no longer than the endpoint writes, and a wish no longer than there is room for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.routing.catalogs import ask, endpoint
from trunkline.adapters.encoding.narrowing import LEAST_ROOM, limited
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import ReasoningConfig, Request
from trunkline.protocol.tools import FunctionTool

LONG = (Message(role="user", content=(InputText("x" * 270_000),)),)
TOOLS = (FunctionTool("look", "x" * 60_000),)


@dataclass(frozen=True)
class Case:
    """A limit, and what is asked for of an endpoint."""

    id: str
    asked: int | None
    sent: int | None
    is_wish: bool = True
    most: int | None = 8_192
    context: int | None = 200_000
    more: tuple[tuple[str, Any], ...] = ()


CASES = [
    Case("none stays none", None, None),
    Case("a wish that fits", 1_000, 1_000),
    Case("a wish above the endpoint's limit", 32_000, 8_192),
    Case("a wish where nothing is known", 32_000, 32_000, most=None, context=None),
    Case(
        "a wish that the input leaves less room for",
        32_000,
        10_000,
        most=None,
        context=100_000,
        more=(("input", LONG),),
    ),
    Case(
        "a wish that the input leaves no room for",
        32_000,
        LEAST_ROOM,
        most=None,
        context=50_000,
        more=(("input", LONG),),
    ),
    Case("tools take room, too", 32_000, 4_976, most=None, context=20_000, more=(("tools", TOOLS),)),
    Case("tools that cannot matter", 32_000, 32_000, most=None, more=(("tools", TOOLS),)),
    Case("a limit that is meant", 8_000, 8_000, is_wish=False, context=8_000, more=(("input", LONG),)),
    Case("what credit pays for, above the endpoint's limit", 9_000, 8_192, is_wish=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_how_long_an_answer_is_asked_for(case: Case) -> None:
    request = ask(max_output_tokens=case.asked, limit_is_wish=case.is_wish, **dict(case.more))
    one = endpoint(max_output=case.most, context=case.context)
    assert limited(request, one).max_output_tokens == case.sent


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.integers(1, 300_000), st.booleans())
def test_nothing_is_asked_for_beyond_what_is_wished_and_written(
    asked: int, most: int, context: int, wish: bool
) -> None:
    request = ask(max_output_tokens=asked, limit_is_wish=wish)
    sent = limited(request, endpoint(max_output=most, context=context)).max_output_tokens
    assert sent is not None
    assert sent <= min(asked, most)
    assert sent == min(asked, most) or sent >= LEAST_ROOM


LIMITS: dict[Dialect, tuple[str, ...]] = {
    "chat": ("max_tokens",),
    "cohere": ("max_tokens",),
    "converse": ("inferenceConfig", "maxTokens"),
    "fake": ("max_output_tokens",),
    "gemini": ("generationConfig", "maxOutputTokens"),
    "messages": ("max_tokens",),
    "mistral": ("max_tokens",),
    "responses": ("max_output_tokens",),
}
BUDGETS: dict[Dialect, tuple[str, ...]] = {
    "cohere": ("thinking", "token_budget"),
    "converse": ("additionalModelRequestFields", "thinking", "budget_tokens"),
    "gemini": ("generationConfig", "thinkingConfig", "thinkingBudget"),
    "messages": ("thinking", "budget_tokens"),
}


def at(value: Any, place: tuple[str, ...]) -> Any:
    for step in place:
        value = value[step]
    return value


@pytest.mark.parametrize("dialect", LIMITS)
def test_a_lowered_wish_is_sent_unnamed_and_thought_stays_below_it(dialect: Dialect) -> None:
    """As Claude Code asks for older models: 31,999 of 32,000 tokens to be thought."""
    wish = ReasoningConfig(max_tokens=31_999)
    request = ask(max_output_tokens=32_000, limit_is_wish=True, reasoning=wish)
    one = replace(endpoint(max_output=8_192, context=200_000), dialect=dialect)
    encoded = ADAPTERS[dialect].encode(limited(request, one), one, None)
    body = msgspec.json.decode(encoded.body)
    assert at(body, LIMITS[dialect]) == 8_192
    assert "max_output_tokens" not in encoded.dropped
    if dialect in BUDGETS:
        assert 1_024 <= at(body, BUDGETS[dialect]) < 8_192
        assert "reasoning.max_tokens" in encoded.dropped


def test_what_was_read_stays_as_it_is() -> None:
    request: Request = ask(max_output_tokens=100, limit_is_wish=True)
    assert limited(request, endpoint(max_output=100)) is request
