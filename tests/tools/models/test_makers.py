"""Which of the public lists' names a maker's own API is asked for."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import msgspec
import pytest

from tools.models.corrections import CORRECTIONS, corrected, is_open
from tools.models.makers import MOVING, SERVED, UNCHECKED, Makers
from tools.models.naming import MAKERS, name_model
from tools.models.sources import GENAI_PRICES, LITELLM, Fact
from trunkline.catalog.gather import read_models
from trunkline.catalog.rows import NamesFile, PriceRow

CATALOG = files("trunkline.catalog")
NAMES = msgspec.convert(tomllib.loads(CATALOG.joinpath("names.toml").read_text("utf-8")), NamesFile)
FILE = read_models(CATALOG.joinpath("models.json").read_bytes())
OWN = [
    (row.provider, row.upstream_model)
    for model in FILE.models
    for row in model.endpoints
    if model.slug.partition("/")[0] == MAKERS.get(row.provider, row.provider)
]
"""What the shipped list asks of makers themselves."""

HOSTS = frozenset(
    {"amazon-bedrock", "azure", "clarifai", "fireworks", "google-vertex", "groq", "nvidia", "together", "venice"}
)
"""Clouds, and hosts that have a model or two of their own beside those of others."""


@pytest.mark.parametrize(
    ("provider", "name", "is_served"),
    [
        ("deepseek", "deepseek-flash", True),
        ("deepseek", "deepseek-v3.2", False),
        ("deepseek", "deepseek-v5", False),
        ("deepseek", "deepseek-v4-flash", False),
        ("novita", "deepseek/deepseek-v3.2", True),
        ("openai", "gpt-5.6-sol", True),
        ("openai", "gpt-oss-120b", False),
        ("openai", "gpt-4o:extended", False),
        ("openai", "o1-2024-12-17", False),
        ("azure", "o1", True),
        ("anthropic", "claude-sonnet-4-5-20250929", True),
        ("anthropic", "claude-sonnet-4-5", False),
        ("anthropic", "claude-3-7-sonnet-20250219", False),
        ("amazon-bedrock", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", True),
        ("google-ai-studio", "gemini-flash-latest", False),
        ("mistral", "mistral-medium-3", False),
        ("mistral", "mistral-medium-2604", True),
        ("mistral", "Mistral-Large-Latest", False),
        ("xai", "grok-4.20-0309-reasoning", True),
        ("xai", "grok-4.20-reasoning", False),
        ("xai", "grok-4-0709", False),
        ("cohere", "command-r7b", False),
        ("moonshotai", "kimi-k2-thinking-turbo", False),
        ("minimax", "MiniMax-M2.5-lightning", False),
        ("minimax", "MiniMax-M2.5-highspeed", True),
        ("perplexity", "llama-3.1-70b-instruct", False),
        ("alibaba", "qwen3-coder-480b-a35b-instruct", False),
        ("nebius", "Qwen/Qwen3-Coder-480B-A35B-Instruct", True),
    ],
)
def test_a_maker_is_asked_only_for_names_that_it_has(provider: str, name: str, is_served: bool) -> None:
    assert Makers(NAMES).serves(provider, name, name_model(provider, name)) is is_served


def test_each_maker_is_looked_up_or_said_not_to_be() -> None:
    documented = {source.name.removeprefix("the list of ") for source in FILE.sources}
    assert {provider for provider, _ in OWN} - HOSTS - documented <= set(SERVED) | UNCHECKED
    assert not set(SERVED) & UNCHECKED
    for served in SERVED.values():
        assert served.source.startswith("https://")
        assert re.fullmatch(r"2026-\d\d-\d\d", served.seen)


def test_no_maker_in_the_list_is_asked_for_what_it_does_not_have() -> None:
    makers = Makers(NAMES)
    for provider, name in OWN:
        assert makers.serves(provider, name, name_model(provider, name)), (provider, name)


def test_no_name_at_a_maker_moves_but_those_that_are_known_to() -> None:
    moving = {
        name for provider, name in OWN if provider not in HOSTS and re.search(r"latest|-beta|-exp-|experimental", name)
    }
    assert moving == set(MOVING)


class TestCorrections:
    def test_each_is_in_force_in_the_list(self) -> None:
        places = {(row.provider, row.upstream_model): row for model in FILE.models for row in model.endpoints}
        assert len({(row.provider, row.upstream_model) for row in CORRECTIONS}) == len(CORRECTIONS)
        for correction in CORRECTIONS:
            row = places[correction.provider, correction.upstream_model]
            assert correction.source.startswith("https://")
            assert row.is_disputed == bool(correction.disputed)
            for name, value in correction.facts.items():
                if name == "price":
                    assert row.price is not None
                    assert {part: getattr(row.price, part) for part in value} == value
                elif name == "can":
                    supports = row.supports_set is not None and FILE.supports[row.supports_set]
                    assert supports
                    assert set(value) <= supports
                else:
                    assert getattr(row, name) == value

    def test_what_one_name_is_corrected_in_is_not_that_of_its_namesakes(self) -> None:
        """genai-prices' data of `command-r` goes for the model of August 2024 as well."""
        shared = Fact(source=GENAI_PRICES, provider="cohere", upstream_model="command-r")
        for name, is_deprecated in (("command-r", True), ("command-r-08-2024", False)):
            own = Fact(source=LITELLM, provider="cohere", upstream_model=name)
            group = corrected({LITELLM: own, GENAI_PRICES: shared})
            assert {fact.is_deprecated for fact in group.values()} == {is_deprecated}
            assert is_open("cohere", name) is is_deprecated

    def test_a_price_is_laid_over_part_by_part(self) -> None:
        price = msgspec.convert({"input": "9", "output": "9", "search": "0.01"}, PriceRow)
        told = Fact(source=LITELLM, provider="deepseek", upstream_model="deepseek-flash", price=price)
        silent = Fact(source=GENAI_PRICES, provider="deepseek", upstream_model="deepseek-flash")
        group = corrected({LITELLM: told, GENAI_PRICES: silent})
        assert msgspec.to_builtins(group[LITELLM].price) == {
            "input": "0.3",
            "output": "1.2",
            "cache_read": "0.006",
            "search": "0.01",
        }
        assert group[GENAI_PRICES].price is None
