"""What an answer costs, as a table: one usage, one price, the amounts to the last nano-dollar.

And a law: for every shipped price it is what the same formula gives in decimal fractions.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.resources import files
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from tests.catalog.loading import PROVIDERS, known
from tests.cost_formula import parts_of
from tests.routing.catalogs import endpoint
from trunkline.adapters.chat import wire as chat
from trunkline.adapters.cohere import wire as cohere
from trunkline.adapters.converse import wire as converse
from trunkline.adapters.gemini import wire as gemini
from trunkline.adapters.messages import wire as messages
from trunkline.adapters.pictures.images import ImagesDecoder
from trunkline.adapters.responses import wire as responses
from trunkline.billing import Meter, cost, lost
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.gather import read_models
from trunkline.catalog.load import catalog_of
from trunkline.catalog.prices import Price, PriceTier
from trunkline.money import NanoUsd, dollars_of
from trunkline.protocol.items import InputText, Message, OpenPageAction
from trunkline.protocol.request import Request
from trunkline.settings.sections import Settings
from trunkline.stream.deltas import Arguments, Began, Cost, Delta, Image, Reasoning, Search, Spent, Stopped, Text, Usage


def nano(usd: str) -> NanoUsd:
    amount = Decimal(usd).scaleb(9)
    assert amount == int(amount)
    return int(amount)


def per_million(**rates: str) -> Any:
    return {name: Decimal(rate) / 1_000_000 for name, rate in rates.items()}


def price(*tiers: PriceTier, fees: dict[str, str] | None = None, ways: Any = None, **rates: str) -> Price:
    """Rates in USD per million tokens, fees in USD apiece; `ways` is what else a price says."""
    apiece: Any = {name: Decimal(fee) for name, fee in (fees or {}).items()}
    return Price(**per_million(**{"input": "2", "output": "10", **rates}), **apiece, tiers=tiers, **(ways or {}))


def tier(above: int, **rates: str) -> PriceTier:
    return PriceTier(above_input_tokens=above, **per_million(**rates))


@dataclass(frozen=True)
class Case:
    id: str
    usage: Usage
    price: Price
    total: str
    input: str
    output: str


TWO_TIERS = (
    tier(200_000, input="4", output="15", cache_read="0.4"),
    tier(400_000, input="8", output="30"),
)

CASES = [
    Case("plain tokens", Usage(input_tokens=1_000, output_tokens=100), price(), "0.003", "0.002", "0.001"),
    Case("nothing was spent", Usage(), price(), "0", "0", "0"),
    Case(
        "cached tokens stand inside the input and have a rate of their own",
        Usage(input_tokens=1_000, cache_read_tokens=600),
        price(cache_read="0.2"),
        "0.00092",
        "0.00092",
        "0",
    ),
    Case(
        "cached tokens without a rate cost what input costs",
        Usage(input_tokens=1_000, cache_read_tokens=600),
        price(),
        "0.002",
        "0.002",
        "0",
    ),
    Case(
        "written tokens stand inside the input and have a rate of their own",
        Usage(input_tokens=1_000, cache_read_tokens=100, cache_write_tokens=200),
        price(cache_read="0.2", cache_write="2.5"),
        "0.00192",
        "0.00192",
        "0",
    ),
    Case(
        "more cached than read is not charged twice",
        Usage(input_tokens=100, cache_read_tokens=150, cache_write_tokens=50),
        price(cache_read="0.2", cache_write="2.5"),
        "0.00002",
        "0.00002",
        "0",
    ),
    Case(
        "what was written fills only what was not read",
        Usage(input_tokens=100, cache_read_tokens=80, cache_write_tokens=50),
        price(cache_read="0.2", cache_write="2.5"),
        "0.000066",
        "0.000066",
        "0",
    ),
    Case(
        "audio stands inside the input",
        Usage(input_tokens=1_000, audio_input_tokens=400),
        price(audio_input="40"),
        "0.0172",
        "0.0172",
        "0",
    ),
    Case(
        "audio without a rate costs what input costs",
        Usage(input_tokens=1_000, audio_input_tokens=400),
        price(),
        "0.002",
        "0.002",
        "0",
    ),
    Case(
        "audio that does not fit into what is neither read nor written was read from the cache",
        Usage(input_tokens=1_000, cache_read_tokens=900, audio_input_tokens=400),
        price(cache_read="0.2", audio_input="40", audio_cached="0.4"),
        "0.00424",
        "0.00424",
        "0",
    ),
    Case(
        "reasoning stands inside the output and costs what output costs",
        Usage(output_tokens=100, reasoning_tokens=60),
        price(),
        "0.001",
        "0",
        "0.001",
    ),
    Case(
        "reasoning with a rate of its own",
        Usage(output_tokens=100, reasoning_tokens=60),
        price(reasoning="20"),
        "0.0016",
        "0",
        "0.0016",
    ),
    Case(
        "reasoning is at most the output",
        Usage(output_tokens=100, reasoning_tokens=500),
        price(reasoning="20"),
        "0.002",
        "0",
        "0.002",
    ),
    Case(
        "a tier begins above its bound",
        Usage(input_tokens=200_000, output_tokens=100),
        price(*TWO_TIERS),
        "0.401",
        "0.4",
        "0.001",
    ),
    Case(
        "a tier holds for the whole answer",
        Usage(input_tokens=200_001, output_tokens=100),
        price(*TWO_TIERS),
        "0.801504",
        "0.800004",
        "0.0015",
    ),
    Case(
        "the highest tier that is reached counts",
        Usage(input_tokens=400_001),
        price(*TWO_TIERS),
        "3.200008",
        "3.200008",
        "0",
    ),
    Case(
        "a tier's own rate for cached tokens",
        Usage(input_tokens=300_000, cache_read_tokens=200_000),
        price(*TWO_TIERS, cache_read="0.2"),
        "0.48",
        "0.48",
        "0",
    ),
    Case(
        "searches are in the total only",
        Usage(input_tokens=1_000, searches=3),
        price(fees={"search": "0.01"}),
        "0.032",
        "0.002",
        "0",
    ),
    Case("searches without a fee are free", Usage(searches=3), price(), "0", "0", "0"),
    Case("a fee for each request", Usage(input_tokens=1_000), price(fees={"request": "0.005"}), "0.007", "0.002", "0"),
    Case("pictures apiece", Usage(images=2), price(fees={"image_output": "0.04"}), "0.08", "0", "0"),
    Case(
        "half a nano-dollar rounds to the even one below", Usage(input_tokens=1), price(input="0.0005"), "0", "0", "0"
    ),
    Case(
        "half a nano-dollar rounds to the even one above",
        Usage(input_tokens=3),
        price(input="0.0005"),
        "0.000000002",
        "0.000000002",
        "0",
    ),
    Case("less than half a nano-dollar is nothing", Usage(input_tokens=1), price(input="0.0004"), "0", "0", "0"),
    Case(
        "each part is rounded, so that the parts add up",
        Usage(input_tokens=3, output_tokens=3),
        price(input="0.0005", output="0.0005"),
        "0.000000004",
        "0.000000002",
        "0.000000002",
    ),
]


def costs(total: str, into: str = "0", out: str = "0", told: str | None = None) -> Cost:
    """So many dollars, of which those that are neither for input nor for output are fees."""
    fees = nano(total) - nano(into) - nano(out)
    return Cost(nano(total), nano(into), nano(out), fees=fees, told=None if told is None else nano(told))


def own_key(paid: Cost) -> Cost:
    """The same where the client's own key paid it."""
    return replace(paid, total=0, is_byok=True, upstream=paid.total)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_cost(case: Case) -> None:
    assert cost(case.usage, case.price) == costs(case.total, case.input, case.output)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_clients_own_key_pays_the_provider_and_not_us(case: Case) -> None:
    paid = costs(case.total, case.input, case.output)
    assert cost(case.usage, case.price, is_byok=True) == own_key(paid)


class TestWithoutAPrice:
    """Nothing is made up: the total is what the provider says, or unknown."""

    def test_nobody_told_it(self) -> None:
        assert cost(Usage(input_tokens=5), None) == Cost(None, nano("0"), nano("0"))

    def test_the_provider_told_it(self) -> None:
        usage = Usage(images=1, upstream_cost_usd=Decimal("0.13"))
        assert cost(usage, None) == costs("0.13", told="0.13")

    def test_the_provider_told_it_of_the_clients_own_key(self) -> None:
        usage = Usage(images=1, upstream_cost_usd=Decimal("0.13"))
        assert cost(usage, None, is_byok=True) == own_key(costs("0.13", told="0.13"))

    def test_a_price_of_ours_goes_before_what_the_provider_told(self) -> None:
        usage = Usage(input_tokens=1_000, upstream_cost_usd=Decimal("0.13"))
        assert cost(usage, price()).total == nano("0.002")


PRICED = replace(endpoint(), price=price())
HELLO = Request(input=(Message(role="user", content=(InputText("a" * 3_984),)),))
"""A thousand tokens, four of which say whose message it is."""


class TestMeter:
    def test_what_the_provider_counted_is_priced(self) -> None:
        batch: list[Delta] = [Text(0, "Hi"), Spent(Usage(input_tokens=1_000, output_tokens=100)), Stopped("stop")]
        meter = Meter(HELLO)
        priced = meter.price(batch, PRICED)[1]
        assert isinstance(priced, Spent)
        assert priced.cost == Cost(nano("0.003"), nano("0.002"), nano("0.001"))
        assert meter.close(PRICED) == []

    def test_a_page_that_was_opened_is_no_search(self) -> None:
        meter = Meter(HELLO)
        end = replace(PRICED, price=price(fees={"search": "0.01"}))
        opened = Search(1, "web", "completed", visit=OpenPageAction("https://a.example"))
        meter.price([Search(0, "web", "completed"), opened], end)
        [spent] = meter.close(end)
        assert isinstance(spent, Spent)
        assert (spent.usage.searches, spent.cost) == (1, costs("0.012", "0.002"))

    def test_an_answer_without_a_count_is_estimated(self) -> None:
        meter = Meter(HELLO)
        meter.price([Began("m"), Text(0, "a" * 40), Reasoning(1, "b" * 40), Arguments(2, "c" * 20)], PRICED)
        [spent] = meter.close(PRICED)
        assert isinstance(spent, Spent)
        assert spent.usage == Usage(input_tokens=1_000, output_tokens=25, estimated=True)
        assert spent.cost == Cost(nano("0.00225"), nano("0.002"), nano("0.00025"))
        assert meter.close(PRICED) == []

    def test_a_count_of_the_beginning_is_no_count_of_the_end(self) -> None:
        """F13: Messages and Gemini count the input first; an answer that breaks off has made more output than that."""
        meter = Meter(HELLO)
        meter.price([Spent(Usage(input_tokens=1_000, output_tokens=1, estimated=True)), Text(0, "a" * 400)], PRICED)
        [spent] = meter.close(PRICED)
        assert isinstance(spent, Spent)
        assert spent.usage == Usage(input_tokens=1_000, output_tokens=100, estimated=True)

    def test_an_attempt_that_lost_the_race_cost_its_input(self) -> None:
        assert lost(None, HELLO, PRICED) == Spent(
            Usage(input_tokens=1_000, estimated=True), Cost(nano("0.002"), nano("0.002"), nano("0"))
        )
        told = Usage(input_tokens=10)
        assert lost(told, HELLO, PRICED) == Spent(told, Cost(nano("0.00002"), nano("0.00002"), nano("0")))


NANO_USD = Decimal("1e-9")
LISTED = read_models(files("trunkline.catalog").joinpath("models.json").read_bytes())
KEYS = {name: "k" for row in tomllib.loads(PROVIDERS).values() for name in row.get("variables", ())}
KEYS["AWS_REGION"] = "us-east-1"
SHIPPED = catalog_of(known(Settings(), KEYS, listed=LISTED))


def test_every_shipped_price_gives_to_the_nano_dollar_what_fractions_give() -> None:
    dice = Random(61)
    prices = {each.price for found in SHIPPED.endpoints.values() for each in found if each.price is not None}
    assert len(prices) > 300
    for priced in prices:
        for most in (3, 500, 300_000, 2_000_000):
            usage = Usage(
                input_tokens=dice.randrange(most),
                cache_read_tokens=dice.randrange(most),
                cache_write_tokens=dice.randrange(most),
                cache_write_1h_tokens=dice.randrange(most),
                output_tokens=dice.randrange(most),
                reasoning_tokens=dice.randrange(most),
                image_output_tokens=dice.choice((0, dice.randrange(most))),
                audio_input_tokens=dice.randrange(most),
                audio_cached_tokens=dice.randrange(most),
                images=dice.randrange(4),
                searches=dice.randrange(4),
            )
            tier = dice.choice((None, "flex", "priority"))
            counted = cost(usage, priced, service_tier=tier)
            expected = parts_of(usage, priced, tier)
            assert (counted.total, counted.input, counted.output, counted.fees) == expected, (usage, priced)


@pytest.mark.parametrize("told", ["0.0000000005", "0.0000000015", "0.13", "12.00000000049999999999999999999999999"])
def test_what_a_provider_told_is_rounded_half_even(told: str) -> None:
    counted = cost(Usage(upstream_cost_usd=Decimal(told)), None)
    assert counted.total is not None
    assert dollars_of(counted.total) == Decimal(told).quantize(NANO_USD, rounding=ROUND_HALF_EVEN)


@pytest.mark.parametrize(
    ("amount", "told"), [(0, "0"), (1, "1E-9"), (150, "1.5E-7"), (2_000, "0.000002"), (10_000_000_000, "1E+1")]
)
def test_an_amount_is_told_in_dollars_without_zeros_at_its_end(amount: int, told: str) -> None:
    assert str(dollars_of(amount)) == told


# What was charged wrongly once: the shipped price, and a usage as its provider's wire tells it


def shipped(slug: str, provider: str) -> Endpoint:
    return next(end for end in SHIPPED.endpoints[slug] if end.provider.slug == provider)


def told_by(end: Endpoint, usage: Any, *, images: int = 0, searches: int = 0) -> Usage:
    """Read a usage as the endpoint's dialect does."""
    match end.dialect:
        case "chat" | "mistral":
            read = chat.decode_usage(usage, end.quirks.adds_reasoning_tokens)
        case "messages":
            read = messages.decode_usage(usage)
        case "converse":
            read = converse.decode_usage(usage)
        case "gemini":
            read = gemini.decode_usage(Raw(json.dumps(usage).encode()), images=images, searches=searches)
        case "responses":
            wire = msgspec.convert(usage, responses.WireUsage)
            read = responses.decode_usage(wire, images=images, searches=searches)
        case "cohere":
            read = cohere.decode_usage(usage)
        case "images":
            decoder = ImagesDecoder(end, images)
            body = {"data": [{"b64_json": "iVBORw0KGgo="}] * images, "usage": usage}
            read = next(each for each in decoder.whole(json.dumps(body).encode()) if isinstance(each, Spent)).usage
        case _:
            raise AssertionError(end.dialect)
    assert read is not None
    return read


def details(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": name.upper(), "tokenCount": number} for name, number in tokens.items()]


@dataclass(frozen=True)
class Known:
    """One row: a shipped endpoint, what its provider tells, and what it costs; `tier` is that of its service."""

    id: str
    slug: str
    provider: str
    usage: Any
    total: str
    images: int = 0
    searches: int = 0
    tier: str | None = None


DEEP_RESEARCH = {
    "prompt_tokens": 33,
    "completion_tokens": 7_163,
    "citation_tokens": 20_016,
    "reasoning_tokens": 95_305,
    "num_search_queries": 18,
}

KNOWN = [
    Known(
        "row 4: what the provider says goes before a price, where it bills so",
        "perplexity/sonar-deep-research",
        "perplexity",
        {**DEEP_RESEARCH, "cost": {"total_cost": 0.473}},
        "0.473",
    ),
    Known(
        "row 4: without its word, thought and sources are paid beside the answer",
        "perplexity/sonar-deep-research",
        "perplexity",
        DEEP_RESEARCH,
        "0.473317",
    ),
    Known(
        "row 5: a fee that depends on how much is searched",
        "perplexity/sonar",
        "perplexity",
        {"prompt_tokens": 14, "completion_tokens": 265, "cost": {"total_cost": 0.005279}},
        "0.005279",
    ),
    Known(
        "row 6: an hour of cache",
        "anthropic/claude-sonnet-4.5",
        "anthropic",
        {
            "input_tokens": 100,
            "cache_creation_input_tokens": 10_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 10_000},
            "output_tokens": 500,
        },
        "0.0678",
    ),
    Known(
        "row 6: an hour of cache, at Amazon",
        "anthropic/claude-haiku-4.5",
        "amazon-bedrock",
        {
            "inputTokens": 100,
            "cacheWriteInputTokens": 10_000,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 10_000}],
            "outputTokens": 500,
        },
        "0.0226",
    ),
    Known(
        "row 7: a drawn picture is its tokens",
        "google/gemini-2.5-flash-image",
        "google-ai-studio",
        {"promptTokenCount": 100, "candidatesTokenCount": 1_290, "candidatesTokensDetails": details(image=1_290)},
        "0.03873",
        images=1,
    ),
    Known(
        "row 7: and a dearer one",
        "google/gemini-3-pro-image",
        "google-ai-studio",
        {"promptTokenCount": 100, "candidatesTokenCount": 1_120, "candidatesTokensDetails": details(image=1_120)},
        "0.1346",
        images=1,
    ),
    Known(
        "row 7: gpt-image-1.5, which writes too",
        "openai/gpt-image-1.5",
        "openai",
        {"input_tokens": 50, "output_tokens": 4_160, "output_tokens_details": {"image_tokens": 4_160}},
        "0.13337",
        images=1,
    ),
    Known(
        "row 8: a tier without a price of its own for cached tokens is as much dearer for them",
        "openai/gpt-5.4",
        "perplexity",
        {"input_tokens": 300_000, "output_tokens": 1_000, "input_tokens_details": {"cached_tokens": 290_000}},
        "0.2175",
    ),
    Known(
        "row 9: all of the cached is sound",
        "google/gemini-2.5-flash",
        "google-ai-studio",
        {
            "promptTokenCount": 10_000,
            "cachedContentTokenCount": 9_000,
            "candidatesTokenCount": 1_000,
            "promptTokensDetails": details(text=1_000, audio=9_000),
            "cacheTokensDetails": details(audio=9_000),
        },
        "0.0037",
    ),
    Known(
        "row 9: some of the sound is cached",
        "google/gemini-2.5-flash",
        "google-ai-studio",
        {
            "promptTokenCount": 10_000,
            "cachedContentTokenCount": 2_000,
            "promptTokensDetails": details(text=1_000, audio=9_000),
            "cacheTokensDetails": details(audio=2_000),
        },
        "0.0075",
    ),
    Known(
        "row 14: half the price",
        "openai/gpt-5",
        "openai",
        {"input_tokens": 1_000, "output_tokens": 100},
        "0.001125",
        tier="flex",
    ),
    Known(
        "row 14: twice the price",
        "openai/gpt-5",
        "openai",
        {"input_tokens": 1_000, "output_tokens": 100},
        "0.0045",
        tier="priority",
    ),
    Known(
        "row 15: an answer after thought costs what thought does",
        "qwen/qwen-plus",
        "alibaba",
        {
            "prompt_tokens": 100,
            "completion_tokens": 1_300,
            "completion_tokens_details": {"reasoning_tokens": 1_000},
        },
        "0.00524",
    ),
    Known(
        "row 15: an answer without thought does not",
        "qwen/qwen-plus",
        "alibaba",
        {"prompt_tokens": 100, "completion_tokens": 300},
        "0.0004",
    ),
    Known(
        "row 16: one fee for three searches",
        "google/gemini-2.5-flash",
        "google-ai-studio",
        {"promptTokenCount": 100, "candidatesTokenCount": 100},
        "0.03528",
        searches=3,
    ),
    Known(
        "row 16: one for each from Gemini 3 on",
        "google/gemini-3-flash-preview",
        "google-ai-studio",
        {"promptTokenCount": 100, "candidatesTokenCount": 100},
        "0.04235",
        searches=3,
    ),
]


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: row.id)
def test_what_was_charged_wrongly_once(row: Known) -> None:
    end = shipped(row.slug, row.provider)
    usage = told_by(end, row.usage, images=row.images, searches=row.searches)
    meter = Meter(HELLO)
    meter.price([Spent(usage, service_tier=row.tier)], end)  # type: ignore[arg-type]  # the names are those of tiers
    assert meter.spent is not None
    paid = meter.spent.cost
    assert paid is not None
    assert paid.total == nano(row.total)
    # Row 18: the parts add up.
    assert paid.input + paid.output + paid.fees == paid.total


def test_row_11_a_count_beyond_all_context_is_cut_to_it_and_flagged() -> None:
    end = replace(PRICED, context_tokens=128_000)
    meter = Meter(HELLO)
    [spent] = meter.price([Spent(Usage(input_tokens=2**31 - 1, output_tokens=2**31 - 1))], end)
    assert isinstance(spent, Spent)
    assert spent.usage == Usage(input_tokens=128_000, output_tokens=128_000, estimated=True)
    assert spent.cost == costs("1.536", "0.256", "1.28")
    # It was counted all the same: nobody estimates it once more.
    assert meter.close(end) == []


@pytest.mark.parametrize("usage", [Usage(input_tokens=131_072), Usage(input_tokens=300_000, searches=2)])
def test_row_11_a_count_that_can_be_is_believed(usage: Usage) -> None:
    end = replace(PRICED, context_tokens=128_000)
    assert lost(usage, HELLO, end).usage == usage


def test_row_12_chinese_read_and_written_are_about_alike() -> None:
    signs = "中" * 1_000
    meter = Meter(Request(input=(Message(role="user", content=(InputText(signs),)),)))
    meter.price([Text(0, signs)], PRICED)
    [spent] = meter.close(PRICED)
    assert isinstance(spent, Spent)
    assert (spent.usage.input_tokens, spent.usage.output_tokens) == (754, 750)


def test_row_13_the_clients_own_key_pays_its_provider() -> None:
    meter = Meter(HELLO, byok_fee=Decimal("0.05"))
    [spent] = meter.price([Spent(Usage(input_tokens=1_000, output_tokens=100))], PRICED, is_byok=True)
    assert isinstance(spent, Spent)
    assert spent.cost == replace(costs("0.003", "0.002", "0.001"), is_byok=True, upstream=3_000_000, total=150_000)
    outrun = lost(Usage(input_tokens=1_000, output_tokens=100), HELLO, PRICED, is_byok=True)
    assert outrun.cost == own_key(costs("0.003", "0.002", "0.001"))


def test_row_17_the_price_of_a_token_is_none_of_a_picture() -> None:
    listed = {model.slug: model for model in LISTED.models}
    prices = [end.price for end in listed["google/gemini-3.1-pro-preview"].endpoints if end.price is not None]
    assert prices
    assert all(price.image is None for price in prices)
    drawn = [end.price for model in LISTED.models for end in model.endpoints if end.price and end.price.image]
    assert min(price.image for price in drawn if price.image is not None) >= Decimal("0.001")


class TestLeftAndFailed:
    """Rows 1 and 2: what was heard is charged, whatever was told before it."""

    def test_a_count_of_the_beginning_is_no_count_of_what_was_heard(self) -> None:
        end = shipped("anthropic/claude-sonnet-4.5", "anthropic")
        meter = Meter(HELLO)
        meter.price([Spent(Usage(input_tokens=100, output_tokens=1, estimated=True)), Text(0, "a" * 4)], end)
        meter.count(["a" * 4_996, "b" * 5_000])
        assert meter.heard_tokens() == 2_500
        [spent] = meter.close(end)
        assert isinstance(spent, Spent)
        assert spent.usage == Usage(input_tokens=100, output_tokens=2_500, estimated=True)
        assert spent.cost == costs("0.0378", "0.0003", "0.0375")

    def test_a_picture_that_was_seen_is_paid(self) -> None:
        meter = Meter(HELLO)
        end = shipped("google/gemini-2.5-flash-image", "google-ai-studio")
        meter.price([Image(0, "", False), Image(0, "iVBORw0KGgo=", True)], end)
        [spent] = meter.close(end)
        assert isinstance(spent, Spent)
        assert (spent.usage.images, spent.usage.image_output_tokens) == (1, 1_290)
        assert spent.cost == costs("0.039", "0.0003", "0.0387")

    def test_why_an_answer_stopped_is_noted(self) -> None:
        meter = Meter(HELLO)
        meter.price([Text(0, "a")], PRICED)
        assert meter.stop is None
        meter.price([Stopped("length")], PRICED)
        assert meter.stop == "length"
