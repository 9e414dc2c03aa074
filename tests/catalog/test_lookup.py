"""Slugs and names in any spelling, and what is said about unknown ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog.entries import Catalog, Endpoint, Model, Provider, Standing
from trunkline.catalog.lookup import LetterPairs, Spellings, fold_name, letter_pairs, nearest
from trunkline.errors import NotFound

PROVIDER = Provider(slug="amazon-bedrock", name="Amazon Bedrock")
SLUGS = ("anthropic/claude-opus-4.5", "anthropic/claude-sonnet-4.5", "openai/gpt-5", "openai/gpt-5-mini")
PAIRS = LetterPairs(SLUGS)


def endpoint(slug: str) -> Endpoint:
    return Endpoint(model=Model(slug=slug), provider=PROVIDER, upstream_model=slug, dialect="chat", base_url="http://a")


CATALOG = Catalog(
    standings={
        "amazon-bedrock": Standing(provider=PROVIDER, is_on=True, reason=""),
        "xai": Standing(provider=Provider(slug="xai", name="xAI"), is_on=False, reason=""),
        "azure": Standing(provider=Provider(slug="azure", name="Azure"), is_on=False, reason=""),
    },
    models={slug: Model(slug=slug) for slug in SLUGS},
    endpoints={slug: (endpoint(slug),) for slug in SLUGS},
    offers={**dict.fromkeys(SLUGS, ("amazon-bedrock",)), "xai/grok": ("xai", "azure")},
    provider_slugs={"amazonbedrock": "amazon-bedrock", "zai": "z-ai", "deepinfra": "deepinfra"},
    pairs=PAIRS,
    spellings=Spellings(
        [
            *((slug, f"up-{slug.partition('/')[2]}") for slug in SLUGS),
            ("anthropic/claude-opus-4.5", "claude-opus-4-5-20251101"),
            ("openai/gpt-5", "twice"),
            ("openai/gpt-5-mini", "twice"),
            ("xai/grok", "grok-1"),
        ]
    ),
)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("anthropic/claude-opus-4-5", "anthropic/claude-opus-4.5"),
        ("Anthropic/Claude_Opus 4.5", "anthropic/claude-opus-4.5"),
        ("anthropic/claude-opus-4-5-20251101", "anthropic/claude-opus-4.5"),
        ("claude-opus-4-5-20251101", "anthropic/claude-opus-4.5"),
        ("gpt-5", "openai/gpt-5"),
    ],
)
def test_a_name_in_another_spelling_is_the_one_model_it_can_mean(name: str, slug: str) -> None:
    assert CATALOG.endpoints_of(name)[0].model.slug == slug


@pytest.mark.parametrize("name", ["twice", "openai/twice", "anthropic/claude-opus-4", "anthropic/gpt-5"])
def test_a_name_of_two_models_or_of_none_is_unknown(name: str) -> None:
    with pytest.raises(NotFound, match="not a known model"):
        CATALOG.endpoints_of(name)


def test_a_name_of_a_model_that_is_off_says_who_would_serve_it() -> None:
    with pytest.raises(NotFound, match="No provider that serves xai/grok is on"):
        CATALOG.endpoints_of("xai/grok-1")


@pytest.mark.parametrize("spelling", ["openai/gpt-5", "OpenAI/GPT-5", " openai/gpt-5 "])
def test_a_model_is_found_in_any_case(spelling: str) -> None:
    assert CATALOG.endpoints_of(spelling)[0].model.slug == "openai/gpt-5"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("amazon-bedrock", "amazon-bedrock"),
        ("Amazon Bedrock", "amazon-bedrock"),
        ("AMAZON_BEDROCK", "amazon-bedrock"),
        ("Z.AI", "z-ai"),
        ("DeepInfra/Turbo", "deepinfra/turbo"),
        (" Nobody ", "nobody"),
    ],
)
def test_names_and_slugs_of_providers_are_interchangeable(name: str, slug: str) -> None:
    assert CATALOG.provider_slug(name) == slug


def test_an_unknown_model_is_a_404_with_the_nearest_slugs() -> None:
    with pytest.raises(NotFound) as raised:
        CATALOG.endpoints_of("anthropic/claude-opus-4-7")
    assert raised.value.metadata == {"suggestions": ["anthropic/claude-opus-4.5", "anthropic/claude-sonnet-4.5"]}
    assert "Did you mean anthropic/claude-opus-4.5" in raised.value.message


def test_a_model_nobody_serves_now_names_who_would() -> None:
    with pytest.raises(NotFound) as raised:
        CATALOG.endpoints_of("xAI/Grok")
    assert raised.value.metadata["requested_providers"] == ["xai", "azure"]
    assert "No provider that serves xai/grok is on" in raised.value.message


@pytest.mark.parametrize("slug", ["", "/", "x", "qqqqqqqqq", "é" * 50])
def test_nothing_near_is_not_guessed_at(slug: str) -> None:
    with pytest.raises(NotFound) as raised:
        CATALOG.endpoints_of(slug)
    assert raised.value.metadata == {"suggestions": []}


def test_a_long_name_costs_nothing_and_is_not_echoed_whole() -> None:
    with pytest.raises(NotFound) as raised:
        CATALOG.endpoints_of("openai/" * 100_000)
    assert len(raised.value.message) < 400


@given(st.sampled_from(SLUGS), st.integers(0, 30))
def test_one_missing_letter_is_forgiven(slug: str, at: int) -> None:
    assert slug in nearest(PAIRS, slug[:at] + slug[at + 1 :])


def test_pairs_are_those_of_each_slug() -> None:
    assert dict(PAIRS) == {slug: letter_pairs(slug) for slug in SLUGS}
    assert len(PAIRS) == len(SLUGS)


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)
