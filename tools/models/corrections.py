"""What was looked up where the public lists are wrong or at odds, laid over them.

Each row says what holds, who says so, and on which day that was read. A price that a maker's own page settles is no
longer disputed; where no page settles it, `disputed` says what the parties name.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from tools.models.sources import Fact
from trunkline.catalog.rows import OtherPriceRow


class Correction(Struct, frozen=True, kw_only=True):
    """What holds for one endpoint: `facts` by the names of Fact, `can` and `price` part by part.

    `disputed` is told where the price stays open, with what `others` say where the lists have no figure of theirs.
    """

    provider: str
    upstream_model: str
    source: str
    seen: str = "2026-11-27"
    facts: Mapping[str, Any] = {}
    disputed: str = ""
    others: tuple[OtherPriceRow, ...] = ()


def _price(**parts: str) -> Mapping[str, Decimal]:
    """Parts of a price, by the names of PriceRow."""
    return {name: Decimal(value) for name, value in parts.items()}


def _ends(provider: str, day: str, source: str, *upstream_models: str) -> tuple[Correction, ...]:
    return tuple(
        Correction(provider=provider, upstream_model=name, source=source, facts={"deprecated_on": day})
        for name in upstream_models
    )


_DEEPSEEK = "https://api-docs.deepseek.com/quick_start/pricing"
_OPENAI = "https://developers.openai.com/api/docs/deprecations"
_COHERE = "https://docs.cohere.com/docs/deprecations"
_AWS = "https://aws.amazon.com/bedrock/pricing/"

CORRECTIONS: Final = (
    # Prices at the peak hours; off-peak they are half. llm-prices' and OpenRouter's are those before 16 August 2026.
    Correction(
        provider="deepseek",
        upstream_model="deepseek-flash",
        source=_DEEPSEEK,
        facts={"price": _price(input="0.3", output="1.2", cache_read="0.006"), "context_tokens": 1_000_000},
    ),
    Correction(
        provider="deepseek",
        upstream_model="deepseek-v4-pro",
        source=_DEEPSEEK,
        facts={"price": _price(input="1.32", output="3.96", cache_read="0.044"), "context_tokens": 1_000_000},
    ),
    # 256k in Mistral's own table; the page tells no limit of the answer.
    Correction(
        provider="mistral",
        upstream_model="codestral-2508",
        source="https://docs.mistral.ai/guides/model-selection",
        facts={"context_tokens": 256_000},
    ),
    # Two million was the preview's: the page of the pinned name says one, and doubles prices from 200,000 on.
    Correction(
        provider="xai",
        upstream_model="grok-4.20-0309-reasoning",
        source="https://docs.x.ai/developers/models/grok-4.20-0309",
        facts={"context_tokens": 1_000_000},
    ),
    Correction(
        provider="alibaba",
        upstream_model="qwen3-vl-plus",
        source="https://github.com/8monkey-ai/hebo-gateway/pull/151 (https://www.alibabacloud.com/help/en/model-studio/models)",
        facts={"input_modalities": frozenset({"text", "image", "video"})},
    ),
    # Gemma 4 thinks at AI Studio, at two levels: asked live in both.
    *(
        Correction(
            provider="google-ai-studio",
            upstream_model=name,
            source="https://github.com/earendil-works/pi/issues/2812, https://github.com/simonw/llm-gemini/pull/130",
            facts={"can": {"reasoning": True}},
        )
        for name in ("gemma-4-26b-a4b-it", "gemma-4-31b-it")
    ),
    # The beta of a million tokens ended on 30 April 2026; the tier above 200,000 went with it.
    Correction(
        provider="anthropic",
        upstream_model="claude-sonnet-4-5-20250929",
        source="https://platform.claude.com/docs/en/models/sonnet-4-5/overview, https://github.com/pydantic/genai-prices/pull/585",
        facts={"context_tokens": 200_000},
    ),
    # models.dev's 30 is the price of a million tokens of picture, which is the 0.039 apiece of the others.
    *(
        Correction(
            provider=provider,
            upstream_model="gemini-2.5-flash-image",
            source="https://github.com/HeyPuter/puter/pull/2562",
            facts={"price": _price(input="0.3", output="2.5", image="0.039")},
        )
        for provider in ("google-ai-studio", "google-vertex")
    ),
    # A geography costs a tenth more than the worldwide profile: https://vercel.com/ai-gateway/models/nova-2-lite.
    *(
        Correction(
            provider="amazon-bedrock",
            upstream_model=f"{zone}.amazon.nova-2-lite-v1:0",
            source=_AWS,
            facts={"price": _price(input="0.33", output="2.75", cache_read="0.0825")},
        )
        for zone in ("eu", "jp", "us")
    ),
    Correction(
        provider="amazon-bedrock",
        upstream_model="apac.amazon.nova-2-lite-v1:0",
        source=_AWS,
        disputed="litellm has a price of its own for the region, genai-prices that of every other region",
        others=(OtherPriceRow(source="genai-prices", input=Decimal("0.33"), output=Decimal("2.75")),),
    ),
    # The public lists have one price for both directions.
    *(
        Correction(
            provider="upstage",
            upstream_model=name,
            source="https://www.upstage.ai/pricing/api",
            facts={"price": _price(input="0.15", output="0.6")},
        )
        for name in ("solar-pro2", "solar-pro3")
    ),
    # Closed to new customers, without a day; the lists' prices are those of the models of August 2024.
    Correction(
        provider="cohere",
        upstream_model="command",
        source=_COHERE,
        facts={"is_deprecated": True},
        disputed="the public list's price is of 2023; Cohere's page has none any more",
    ),
    *(
        Correction(
            provider="cohere",
            upstream_model=name,
            source=_COHERE,
            facts={"is_deprecated": True},
            disputed="the public list's price is of its successor of August 2024; Cohere's page has none any more",
        )
        for name in ("command-r", "command-r-plus")
    ),
    # The lists date the snapshots; OpenAI dates their plain names with them.
    *_ends("openai", "2026-12-11", _OPENAI, "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-pro", "o3", "o3-pro"),
    *_ends("openai", "2027-01-14", _OPENAI, "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini"),
    *_ends("openai", "2027-04-01", _OPENAI, "gpt-5.1-2025-11-13", "gpt-5.4-nano-2026-03-17"),
    *_ends(
        "google-ai-studio",
        "2026-12-01",
        "https://dev.to/aideprecations/what-to-do-before-gemini-25-pro-and-25-flash-are-retired-on-december-1-2026-5gg9",
        "gemini-2.5-pro",
        "gemini-2.5-flash",
    ),
)
"""One row for each endpoint at most."""

_BY_ENDPOINT: Final = {(row.provider, row.upstream_model): row for row in CORRECTIONS}


def corrected(group: Mapping[str, Fact]) -> dict[str, Fact]:
    """Lay what was looked up over what each list says of an endpoint, best known list first; they then agree on it."""
    best = next(iter(group.values()))
    # The data of genai-prices is shared by all the names that one of its rules recognises.
    row = _BY_ENDPOINT.get((best.provider, best.upstream_model))
    return dict(group) if row is None else {source: _corrected(fact, row.facts) for source, fact in group.items()}


def is_open(provider: str, upstream_model: str) -> bool:
    """Whether the price of an endpoint was looked up and not settled."""
    row = _BY_ENDPOINT.get((provider, upstream_model))
    return row is not None and bool(row.disputed)


def others_told(provider: str, upstream_model: str) -> tuple[OtherPriceRow, ...]:
    """List the figures that a price which stays open is disputed with."""
    row = _BY_ENDPOINT.get((provider, upstream_model))
    return () if row is None else row.others


def _corrected(fact: Fact, facts: Mapping[str, Any]) -> Fact:
    laid = {name: value for name, value in facts.items() if name not in ("can", "price")}
    price = fact.price and replace(fact.price, **facts.get("price", {}))
    return replace(fact, **laid, can={**fact.can, **facts.get("can", {})}, price=price)
