"""Rate-limit headers: only a used-up limit says how long to rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from trunkline.routing.limits import rest_s

WALL = 1_764_000_000.0  # 2025-11-24T16:00:00Z


class Case(Struct, frozen=True):
    id: str
    headers: dict[str, str]
    expect: float | None


def openai(remaining: str, reset: str) -> dict[str, str]:
    return {"x-ratelimit-remaining-requests": remaining, "x-ratelimit-reset-requests": reset}


def anthropic(remaining: str, reset: str) -> dict[str, str]:
    return {"anthropic-ratelimit-tokens-remaining": remaining, "anthropic-ratelimit-tokens-reset": reset}


CASES = [
    Case("no headers", {}, None),
    Case("room left", openai("12", "30s"), None),
    Case("a plain duration", openai("0", "30s"), 30.0),
    Case("minutes and seconds", openai("0", "1m30.5s"), 90.5),
    Case("milliseconds", openai("0", "20ms"), 0.02),
    Case("a moment", anthropic("0", "2025-11-24T16:00:20Z"), 20.0),
    Case("a moment of the past", anthropic("0", "2025-11-24T15:00:20Z"), None),
    Case("Unix time", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1764000007"}, 7.0),
    Case("seconds without a unit", {"ratelimit-remaining": "0", "ratelimit-reset": "5"}, 5.0),
    Case("the later of two", openai("0", "3s") | anthropic("0", "2025-11-24T16:00:20Z"), 20.0),
    Case("only the used-up one of two", openai("0", "3s") | anthropic("9", "2025-11-24T16:00:20Z"), 3.0),
    Case("nonsense", openai("0", "soon"), None),
    Case("no reset told", {"x-ratelimit-remaining-requests": "0"}, None),
    Case("not a number", openai("0", "nan"), None),
    Case("never", openai("0", "inf"), None),
    Case("negative", openai("0", "-5"), None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_rest(case: Case) -> None:
    assert rest_s(case.headers, WALL) == pytest.approx(case.expect)


@given(st.text(max_size=50))
def test_whatever_is_sent_is_none_or_a_positive_number(text: str) -> None:
    found = rest_s(openai("0", text), WALL)
    assert found is None or 0 <= found < 1e9 * 86400
