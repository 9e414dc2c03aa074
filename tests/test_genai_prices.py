"""Costs beside those of genai-prices, which reads the same wire usage and knows nothing of ours.

Its domain is tokens: no fees of a search or a picture apiece, no service tiers. What it prices otherwise within it, and
why ours stands, is in `EXCEPTIONS`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any

import genai_prices
import pytest

from tests.test_billing import shipped, told_by
from tools.catalog import DAY, SOURCES
from trunkline.billing import cost
from trunkline.money import dollars_of

Json = Any
Wire = Callable[[Random], Json]

NANO = Decimal("1e-9")
PER_SUBJECT = 20


def some(dice: Random, most: int) -> int:
    """Small and large numbers alike, and nothing now and then."""
    return dice.choice((0, dice.randrange(1, 50), dice.randrange(1, most)))


def of_chat(dice: Random) -> Json:
    read, written = 1 + some(dice, 90_000), 1 + some(dice, 9_000)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "prompt_tokens_details": {"cached_tokens": dice.randrange(read)},
        "completion_tokens_details": {"reasoning_tokens": dice.randrange(written)},
    }


def of_responses(dice: Random) -> Json:
    read, written = 1 + some(dice, 400_000), 1 + some(dice, 20_000)
    return {
        "input_tokens": read,
        "output_tokens": written,
        "input_tokens_details": {"cached_tokens": dice.randrange(read)},
        "output_tokens_details": {"reasoning_tokens": dice.randrange(written)},
    }


def of_messages(dice: Random) -> Json:
    short, long = some(dice, 30_000), some(dice, 30_000)
    return {
        "input_tokens": some(dice, 60_000),
        "cache_read_input_tokens": some(dice, 60_000),
        "cache_creation_input_tokens": short + long,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": 1 + some(dice, 20_000),
    }


def of_converse(dice: Random) -> Json:
    short, long = some(dice, 30_000), some(dice, 30_000)
    return {
        "inputTokens": some(dice, 60_000),
        "cacheReadInputTokens": some(dice, 60_000),
        "cacheWriteInputTokens": short + long,
        "cacheDetails": [{"ttl": "1h", "inputTokens": long}, {"ttl": "5m", "inputTokens": short}],
        "outputTokens": 1 + some(dice, 20_000),
    }


def of_gemini(dice: Random) -> Json:
    text, sound = 1 + some(dice, 250_000), some(dice, 50_000)
    cached_text, cached_sound = dice.randrange(text), dice.randrange(sound + 1)
    return {
        "promptTokenCount": text + sound,
        "cachedContentTokenCount": cached_text + cached_sound,
        "candidatesTokenCount": 1 + some(dice, 9_000),
        "thoughtsTokenCount": some(dice, 9_000),
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": text},
            {"modality": "AUDIO", "tokenCount": sound},
        ],
        "cacheTokensDetails": [
            {"modality": "TEXT", "tokenCount": cached_text},
            {"modality": "AUDIO", "tokenCount": cached_sound},
        ],
    }


def of_drawing(dice: Random) -> Json:
    text, drawn = some(dice, 2_000), 1 + some(dice, 9_000)
    read = 1 + some(dice, 2_000)
    return {
        "promptTokenCount": read,
        "candidatesTokenCount": text + drawn,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": read}],
        "candidatesTokensDetails": [
            {"modality": "TEXT", "tokenCount": text},
            {"modality": "IMAGE", "tokenCount": drawn},
        ],
    }


def of_research(dice: Random) -> Json:
    return {
        "prompt_tokens": 1 + some(dice, 100),
        "completion_tokens": 1 + some(dice, 9_000),
        "reasoning_tokens": some(dice, 90_000),
        "citation_tokens": some(dice, 20_000),
        "num_search_queries": dice.randrange(20),
    }


def of_cohere(dice: Random) -> Json:
    read = 1 + some(dice, 90_000)
    tokens = {"input_tokens": read, "output_tokens": 1 + some(dice, 4_000)}
    return {"tokens": tokens, "cached_tokens": dice.randrange(read)}


def of_images(dice: Random) -> Json:
    text, drawn, read = some(dice, 500), 1 + some(dice, 9_000), 1 + some(dice, 2_000)
    return {
        "input_tokens": read,
        "output_tokens": text + drawn,
        "input_tokens_details": {"text_tokens": read, "image_tokens": 0},
        "output_tokens_details": {"text_tokens": text, "image_tokens": drawn},
    }


@dataclass(frozen=True)
class Subject:
    """A shipped endpoint, what its provider's wire tells, and where genai-prices has the same."""

    slug: str
    provider: str
    wire: Wire
    theirs: str
    flavor: str = "default"
    images: int = 0


SUBJECTS = [
    Subject("anthropic/claude-sonnet-4.5", "anthropic", of_messages, "anthropic"),
    Subject("anthropic/claude-opus-4.5", "anthropic", of_messages, "anthropic"),
    Subject("anthropic/claude-haiku-4.5", "amazon-bedrock", of_converse, "aws"),
    Subject("openai/gpt-5", "openai", of_responses, "openai", "responses"),
    Subject("openai/gpt-5.4", "openai", of_responses, "openai", "responses"),
    Subject("x-ai/grok-4.5", "xai", of_responses, "x-ai", "responses"),
    Subject("deepseek/deepseek-v4.1-flash", "deepseek", of_chat, "deepseek", "chat"),
    Subject("deepseek/deepseek-v4-pro", "deepseek", of_chat, "deepseek", "chat"),
    Subject("openai/gpt-oss-120b", "groq", of_chat, "groq"),
    Subject("moonshotai/kimi-k2.6", "moonshotai", of_chat, "moonshotai", "chat"),
    Subject("z-ai/glm-4.6", "z-ai", of_chat, "zai", "chat"),
    Subject("mistralai/mistral-large-2512", "mistral", of_chat, "mistral"),
    Subject("perplexity/sonar-deep-research", "perplexity", of_research, "perplexity"),
    Subject("cohere/command-a", "cohere", of_cohere, "cohere", "tokens"),
    Subject("google/gemini-2.5-flash", "google-ai-studio", of_gemini, "google"),
    Subject("google/gemini-2.5-pro", "google-ai-studio", of_gemini, "google"),
    Subject("google/gemini-3-flash-preview", "google-ai-studio", of_gemini, "google"),
    Subject("google/gemini-3-pro-image", "google-ai-studio", of_drawing, "google", images=1),
    Subject("openai/gpt-image-1.5", "openai", of_images, "openai", "images", images=1),
]

_HOURS = "by the hour of the day: ours is the dearer price, of the peak hours, since an answer does not say its hour"

EXCEPTIONS = {
    "deepseek/deepseek-v4.1-flash at deepseek": _HOURS,
    "deepseek/deepseek-v4-pro at deepseek": _HOURS,
}
"""Subjects that are priced otherwise, each with the reason; the test fails when one no longer is."""


def test_it_is_the_version_whose_prices_are_shipped() -> None:
    assert genai_prices.__version__ == next(each.version for each in SOURCES if each.name == "genai-prices")


def test_there_are_200_usages() -> None:
    assert len(SUBJECTS) * PER_SUBJECT >= 200
    assert {each.wire for each in SUBJECTS} >= {of_chat, of_responses, of_messages, of_converse, of_gemini, of_images}


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda each: f"{each.slug} at {each.provider}")
def test_costs_are_those_of_genai_prices(subject: Subject) -> None:
    end, dice = shipped(subject.slug, subject.provider), Random(subject.slug)
    day = datetime.datetime.fromisoformat(f"{DAY}T12:00:00+00:00")
    unlike = []
    for _ in range(PER_SUBJECT):
        usage = subject.wire(dice)
        ours = cost(told_by(end, usage, images=subject.images), end.price).total
        assert ours is not None
        root = "usageMetadata" if subject.theirs == "google" else "usage"
        told = {"model": end.upstream_model, root: usage}
        extracted = genai_prices.extract_usage(told, provider_id=subject.theirs, api_flavor=subject.flavor)
        theirs = genai_prices.calc_price(
            extracted.usage, end.upstream_model, provider_id=subject.theirs, genai_request_timestamp=day
        ).total_price
        # Ours is rounded in two parts.
        if abs(dollars_of(ours) - theirs.quantize(NANO, rounding=ROUND_HALF_EVEN)) > 2 * NANO:
            unlike.append((usage, dollars_of(ours), theirs))
    assert bool(unlike) == (f"{subject.slug} at {subject.provider}" in EXCEPTIONS), unlike[:3]
