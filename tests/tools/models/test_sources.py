"""The public lists → facts and prices; what is implausible is not believed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.models.prices import price_row
from tools.models.sources import (
    is_match,
    is_spelled_out,
    read_genai_prices,
    read_litellm,
    read_models_dev,
    unix_time,
)
from trunkline.catalog.rows import PriceRow, TierRow


def litellm(key: str, **entry: Any) -> Any:
    return read_litellm(json.dumps({key: {"mode": "chat", **entry}}).encode())


def genai(prices: Any, day: str = "2026-11-22", **model: Any) -> PriceRow | None:
    entry = {"id": "m", "match": {"": "ClauseEquals", "equals": "m"}, "prices": prices, **model}
    (priced,) = read_genai_prices([{"id": "anthropic", "models": [entry]}], day)
    return priced.fact.price


class TestModelsDev:
    ENTRY: ClassVar = {
        "name": "Model One (latest)",
        "modalities": {"input": ["text", "pdf"], "output": ["text"]},
        "limit": {"context": 1000, "output": 0},
        "cost": {
            "input": "1.2",
            "output": "3",
            "tiers": [{"input": 2, "output": 6, "tier": {"size": 9, "type": "context"}}],
        },
        "release_date": "2025-11-24",
        "tool_call": True,
        "reasoning": False,
    }

    def read(self, name: str = "one", **changes: Any) -> Any:
        entry = {**self.ENTRY, **changes}
        return read_models_dev(json.dumps({"providers": {"openai": {"models": {name: entry}}}}).encode())

    def test_an_entry_is_read(self) -> None:
        (fact,) = self.read()
        assert (fact.provider, fact.upstream_model, fact.name) == ("openai", "one", "Model One")
        assert fact.created_at == 1763942400
        assert fact.input_modalities == {"text", "file"}
        assert (fact.context_tokens, fact.max_output_tokens) == (1000, None)
        assert fact.can == {"tools": True, "reasoning": False}
        assert fact.price == PriceRow(
            input=Decimal("1.2"),
            output=Decimal(3),
            tiers=(TierRow(above_input_tokens=9, input=Decimal(2), output=Decimal(6)),),
        )

    @pytest.mark.parametrize("name", ["text-embedding-3", "whisper-large-v3", "gpt-realtime-tts"])
    def test_models_of_other_trades_are_left_out(self, name: str) -> None:
        assert self.read(name) == []

    def test_models_without_text_or_pictures_are_left_out(self) -> None:
        assert self.read(modalities={"input": ["text"], "output": ["audio"]}) == []


class TestLitellm:
    def test_prices_are_exact_per_million(self) -> None:
        (fact,) = litellm(
            "deepinfra/a/b",
            litellm_provider="deepinfra",
            input_cost_per_token=5e-08,
            output_cost_per_token=2.5e-07,
            cache_read_input_token_cost=1e-08,
            max_input_tokens=4096,
            supports_function_calling=True,
            supports_vision=True,
        )
        assert (fact.provider, fact.upstream_model, fact.context_tokens) == ("deepinfra", "a/b", 4096)
        assert fact.price == PriceRow(input=Decimal("0.05"), output=Decimal("0.25"), cache_read=Decimal("0.01"))
        assert fact.can == {"tools": True}
        assert fact.input_modalities == {"text", "image"}

    def test_efforts_are_read_off_flags(self) -> None:
        (fact,) = litellm("gpt-x", litellm_provider="openai", supports_none_reasoning_effort=True)
        assert fact.efforts == ("none", "low", "medium", "high")

    def test_a_tier_is_read(self) -> None:
        (fact,) = litellm(
            "gpt-x",
            litellm_provider="openai",
            input_cost_per_token=1e-06,
            output_cost_per_token=2e-06,
            input_cost_per_token_above_200k_tokens=2e-06,
            output_cost_per_token_above_200k_tokens=3e-06,
        )
        assert [(tier.above_input_tokens, tier.input) for tier in fact.price.tiers] == [(200_000, Decimal(2))]

    def test_a_picture_is_not_paid_twice(self) -> None:
        costs = {"input_cost_per_token": 1e-06, "output_cost_per_image": 0.04, "output_cost_per_image_token": 3e-05}
        (cheap,) = litellm("gemini/x-image", litellm_provider="gemini", output_cost_per_token=2e-06, **costs)
        (dear,) = litellm("gemini/x-image", litellm_provider="gemini", output_cost_per_token=3e-05, **costs)
        assert (cheap.price.image, dear.price.image) == (Decimal("0.04"), None)

    @pytest.mark.parametrize(
        ("key", "provider"),
        [
            ("azure/eu/gpt-5", "azure"),
            ("low/1024-x-1024/gpt-image-1", "openai"),
            ("bedrock/us-east-1/1-month-commitment/anthropic.claude-v1", "bedrock"),
            ("in.moonshotai.kimi-k3", "bedrock_converse"),
            ("together-ai-4.1b-8b", "together_ai"),
            ("x", "nobody"),
        ],
    )
    def test_keys_that_are_no_endpoint_are_left_out(self, key: str, provider: str) -> None:
        assert litellm(key, litellm_provider=provider) == []


class TestGenaiPrices:
    def test_the_latest_price_that_has_begun_counts(self) -> None:
        dated = [
            {"": "ConditionalPrice", "prices": {"input_mtok": "5", "output_mtok": "25"}},
            {
                "": "ConditionalPrice",
                "constraint": {"": "StartDateConstraint", "start_date": "2026-03-13"},
                "prices": {"input_mtok": "4", "output_mtok": "20"},
            },
            {
                "": "ConditionalPrice",
                "constraint": {"": "StartDateConstraint", "start_date": "2027-01-01"},
                "prices": {"input_mtok": "3", "output_mtok": "15"},
            },
        ]
        assert genai(dated) == PriceRow(input=Decimal(4), output=Decimal(20))
        assert genai(dated, "2026-03-12") == PriceRow(input=Decimal(5), output=Decimal(25))

    def test_the_dearest_hour_counts(self) -> None:
        hourly = [
            {"": "ConditionalPrice", "prices": {"input_mtok": "1", "output_mtok": "2"}},
            {
                "": "ConditionalPrice",
                "constraint": {"": "TimeOfDateConstraint", "start_time": "x"},
                "prices": {"input_mtok": "2", "output_mtok": "4"},
            },
        ]
        assert genai(hourly) == PriceRow(input=Decimal(2), output=Decimal(4))

    def test_tiers_of_several_parts_are_joined(self) -> None:
        price = genai(
            {
                "input_mtok": {"base": "1", "tiers": [{"start": 200000, "price": "2"}]},
                "output_mtok": "10",
                "web_searches_kcount": "10",
            }
        )
        assert price == PriceRow(
            input=Decimal(1),
            output=Decimal(10),
            search=Decimal("0.01"),
            tiers=(TierRow(above_input_tokens=200_000, input=Decimal(2), output=Decimal(10)),),
        )

    def test_rules_are_matched_as_they_are_there(self) -> None:
        starts = {"": "ClauseStartsWith", "starts_with": "Claude-2"}
        either = {"": "ClauseOr", "or_": [starts, {"": "ClauseEquals", "equals": "claude"}]}
        assert is_match(either, "claude-2.1")
        assert not is_match({"": "ClauseAnd", "and_": [starts, {"": "ClauseContains", "contains": "x"}]}, "claude-2.1")
        assert is_spelled_out(either, "claude")
        assert not is_spelled_out(starts, "Claude-2")


class TestPrice:
    @pytest.mark.parametrize("bad", [-1, "NaN", "Infinity", None, True, "free", 5000])
    def test_an_implausible_price_is_none(self, bad: Any) -> None:
        assert price_row(input=bad, output=1) is None
        assert price_row(input=1, output=bad) is None

    @pytest.mark.parametrize(
        ("part", "value"), [("cache_read", 3), ("cache_write", -1), ("reasoning", 4), ("audio", 2), ("image", 0)]
    )
    def test_a_part_that_says_nothing_or_nonsense_is_left_out(self, part: str, value: Any) -> None:
        assert price_row(input=2, output=4, **{part: value}) == PriceRow(input=Decimal(2), output=Decimal(4))

    def test_a_tier_that_is_cheaper_is_left_out(self) -> None:
        price = price_row(input=2, output=4, tiers=[{"above": 10, "input": 1, "output": 2}])
        assert price is not None
        assert price.tiers == ()

    @given(st.floats(min_value=0, max_value=1999), st.floats(min_value=0, max_value=1999))
    def test_prices_are_written_without_exponents(self, one: float, other: float) -> None:
        price = price_row(input=one, output=other)
        assert price is not None
        assert "E" not in f"{price.input}{price.output}"
        assert 0 <= price.input <= 2000


@pytest.mark.parametrize(
    ("day", "seconds"),
    [("1970-01-01", 0), ("2000-02-29", 951782400), ("2024-03", 1709251200), ("", 0), ("soon", 0)],
)
def test_a_day_is_read_without_a_clock(day: str, seconds: int) -> None:
    assert unix_time(day) == seconds
