"""Facts of several lists → one file of models: who is believed, what stays apart, what is special about a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from tools.models.merge import Lists, merge, merged, written
from tools.models.quirks import RULES
from tools.models.sources import GENAI_PRICES, LITELLM, MODELS_DEV, Fact, Priced
from trunkline.catalog.entries import Modality
from trunkline.catalog.gather import read_models
from trunkline.catalog.quirks import Quirks
from trunkline.catalog.rows import EndpointRow, ModelsFile, PriceRow, ProviderRow, SourceRow

LISTS = Lists(models_dev=b"", litellm=b"", genai_prices=(), sources=(SourceRow(name=LITELLM),), day="2026-11-22")
ROWS = {
    name: ProviderRow(urls=dict.fromkeys(dialects, "https://x"))  # type: ignore[arg-type]  # all are dialects
    for name, dialects in {
        "anthropic": ["messages"],
        "amazon-bedrock": ["converse"],
        "azure": ["responses", "chat", "messages"],
        "google-ai-studio": ["gemini"],
        "google-vertex": ["gemini", "messages", "chat"],
        "novita": ["chat"],
        "openai": ["responses", "chat"],
        "perplexity": ["chat", "responses"],
    }.items()
}


def price(input: str, output: str, **more: Any) -> PriceRow:
    return PriceRow(input=Decimal(input), output=Decimal(output), **more)


def fact(source: str, provider: str, upstream: str, **more: Any) -> Fact:
    return Fact(source=source, provider=provider, upstream_model=upstream, **more)


def made(*facts: Fact, priced: tuple[Priced, ...] = ()) -> dict[str, EndpointRow]:
    """The endpoints by `model at tag`, with their sets filled in."""
    file = merged(facts, priced, ROWS, LISTS)
    return {
        f"{model.slug} at {row.tag or row.provider}": msgspec.structs.replace(
            row,
            supports=None if row.supports_set is None else file.supports[row.supports_set],
            quirks={} if row.quirks_set is None else file.quirks[row.quirks_set],
        )
        for model in file.models
        for row in model.endpoints
    }


@dataclass(frozen=True)
class Told:
    id: str
    prices: dict[str, PriceRow]
    expected: PriceRow | None
    by: str = ""
    is_disputed: bool = False


PRICES = [
    Told("nobody tells", {}, None),
    Told("one tells", {LITELLM: price("1", "2")}, price("1", "2"), LITELLM),
    Told("a zero of litellm is nothing", {LITELLM: price("0", "0")}, None),
    Told("a zero of models.dev is free", {MODELS_DEV: price("0", "0")}, price("0", "0"), MODELS_DEV),
    Told("a zero yields to a price", {MODELS_DEV: price("0", "0"), LITELLM: price("1", "2")}, price("1", "2"), LITELLM),
    Told(
        "genai-prices is believed first",
        {MODELS_DEV: price("1", "2"), GENAI_PRICES: price("1.05", "2"), LITELLM: price("1", "2")},
        price("1.05", "2"),
        GENAI_PRICES,
    ),
    Told(
        "and also when the others differ much",
        {MODELS_DEV: price("2", "4"), GENAI_PRICES: price("1", "2")},
        price("1", "2"),
        GENAI_PRICES,
        True,
    ),
    Told(
        "of the other two the dearer counts when they differ much",
        {MODELS_DEV: price("1", "2"), LITELLM: price("1.2", "2.4")},
        price("1.2", "2.4"),
        LITELLM,
        True,
    ),
    Told(
        "a fee is taken from whoever knows it",
        {MODELS_DEV: price("1", "2"), LITELLM: price("1", "2", search=Decimal("0.01"))},
        price("1", "2", search=Decimal("0.01")),
        MODELS_DEV,
    ),
    Told(
        "a fee for each picture is taken, too",
        {GENAI_PRICES: price("1", "2"), LITELLM: price("1", "2", image=Decimal("0.04"))},
        price("1", "2", image=Decimal("0.04")),
        GENAI_PRICES,
    ),
    Told(
        "but not on top of output at the price of pictures",
        {GENAI_PRICES: price("1", "30"), LITELLM: price("1", "2", image=Decimal("0.04"))},
        price("1", "30"),
        GENAI_PRICES,
        True,
    ),
]


@pytest.mark.parametrize("case", PRICES, ids=lambda case: case.id)
def test_a_price_is_chosen_when(case: Told) -> None:
    known = [
        fact(source, "openai", "gpt-5", price=told) for source, told in case.prices.items() if source != GENAI_PRICES
    ]
    priced = tuple(
        Priced(fact(GENAI_PRICES, "openai", "gpt-5", price=told), {"": "ClauseEquals", "equals": "gpt-5"})
        for source, told in case.prices.items()
        if source == GENAI_PRICES
    )
    row = made(*(known or [fact(MODELS_DEV, "openai", "gpt-5")]), priced=priced)["openai/gpt-5 at openai"]
    assert row.price == case.expected
    assert row.is_disputed is case.is_disputed
    others = {source: told for source, told in case.prices.items() if source != (row.price_source or row.source)}
    said = {other.source: price(str(other.input), str(other.output)) for other in row.other_prices}
    plain = {source: price(str(told.input), str(told.output)) for source, told in others.items()}
    assert said == (plain if case.is_disputed else {})
    if case.by:
        assert (row.price_source or row.source) == case.by


def test_routing_facts_are_taken_field_by_field() -> None:
    (row,) = made(
        fact(LITELLM, "openai", "gpt-5", context_tokens=9, max_output_tokens=5, can={"tools": False, "parallel": True}),
        fact(MODELS_DEV, "openai", "gpt-5", context_tokens=10, can={"tools": True}),
    ).values()
    assert (row.context_tokens, row.max_output_tokens, row.source) == (10, 5, MODELS_DEV)
    assert row.supports is not None
    assert {"tools", "parallel_tool_calls"} <= row.supports


@pytest.mark.parametrize(
    ("upstream", "made_of"), [("gpt-5.1", {"text"}), ("gpt-6-sol", {"text"}), ("gpt-image-2", {"text", "image"})]
)
@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_what_draws_by_a_tool_does_not_draw_of_itself(provider: str, upstream: str, made_of: set[str]) -> None:
    both = frozenset({"text", "image"})
    (row,) = made(fact(LITELLM, provider, upstream, output_modalities=both)).values()
    assert row.output_modalities == made_of


TEXT: frozenset[Modality] = frozenset({"text"})


@pytest.mark.parametrize(
    ("first", "second", "read"),
    [
        pytest.param(TEXT | {"image"}, TEXT | {"file"}, {"text", "image", "file"}, id="a file, by one list alone"),
        pytest.param(TEXT, TEXT | {"image", "video"}, TEXT, id="pictures, by the second list alone"),
        pytest.param(None, TEXT | {"image"}, {"text", "image"}, id="what only the second list tells of"),
        pytest.param(None, None, None, id="what no list tells of"),
    ],
)
def test_files_are_read_where_any_list_says_so(
    first: frozenset[Modality] | None, second: frozenset[Modality] | None, read: set[str] | None
) -> None:
    (row,) = made(
        fact(LITELLM, "openai", "gpt-5", input_modalities=second),
        fact(MODELS_DEV, "openai", "gpt-5", input_modalities=first),
    ).values()
    assert row.input_modalities == read


def test_what_nobody_says_stays_unknown() -> None:
    (row,) = made(fact(LITELLM, "novita", "acme/one")).values()
    assert (row.price, row.context_tokens, row.max_output_tokens, row.supports, row.input_modalities) == (None,) * 5


def test_the_current_name_gets_the_plain_slug_and_dated_ones_keep_their_date() -> None:
    rows = made(
        fact(MODELS_DEV, "anthropic", "claude-opus-4-5-20251101"),
        fact(MODELS_DEV, "anthropic", "claude-opus-4-5"),
    )
    assert {place: row.upstream_model for place, row in rows.items()} == {
        "anthropic/claude-opus-4.5 at anthropic": "claude-opus-4-5",
        "anthropic/claude-opus-4.5-20251101 at anthropic": "claude-opus-4-5-20251101",
    }


def test_two_spellings_of_one_thing_are_one_endpoint() -> None:
    rows = made(
        fact(MODELS_DEV, "novita", "qwen/qwen3-32b"), fact(LITELLM, "novita", "Qwen/Qwen3-32B", context_tokens=7)
    )
    assert [(place, row.context_tokens) for place, row in rows.items()] == [("qwen/qwen3-32b at novita", 7)]


def test_bedrock_models_that_need_a_profile_are_called_through_it() -> None:
    rows = made(
        fact(MODELS_DEV, "amazon-bedrock", "anthropic.claude-opus-4-8"),
        fact(MODELS_DEV, "amazon-bedrock", "eu.anthropic.claude-opus-4-8"),
        fact(MODELS_DEV, "amazon-bedrock", "global.anthropic.claude-opus-4-8"),
        fact(MODELS_DEV, "amazon-bedrock", "amazon.nova-pro-v1:0"),
        fact(MODELS_DEV, "amazon-bedrock", "us.amazon.nova-pro-v1:0"),
    )
    assert {place: row.reached_from for place, row in rows.items()} == {
        "anthropic/claude-opus-4.8 at amazon-bedrock/eu": (".eu-",),
        "anthropic/claude-opus-4.8 at amazon-bedrock/global": (),
        "amazon/nova-pro-v1 at amazon-bedrock": (),
        "amazon/nova-pro-v1 at amazon-bedrock/us": (".us-east-", ".us-west-", ".ca-"),
    }


def test_retired_models_are_left_out() -> None:
    facts = [
        fact(LITELLM, "openai", "gpt-old", deprecated_on="2026-11-22"),
        fact(LITELLM, "openai", "gpt-new", deprecated_on="2026-11-23"),
    ]
    assert [row.deprecated_on for row in made(*facts).values()] == ["2026-11-23"]


def test_a_familys_name_in_genai_prices_is_no_endpoint() -> None:
    family = Priced(
        fact(GENAI_PRICES, "novita", "acme/one", price=price("1", "2")),
        {"": "ClauseStartsWith", "starts_with": "acme/"},
    )
    model = Priced(
        fact(GENAI_PRICES, "novita", "acme/two", price=price("1", "2")), {"": "ClauseEquals", "equals": "acme/two"}
    )
    assert list(made(priced=(family, model))) == ["acme/two at novita"]


@dataclass(frozen=True)
class Spoken:
    id: str
    provider: str
    upstream: str
    dialect: str | None
    more: dict[str, Any] = field(default_factory=dict)


DIALECTS = [
    Spoken("the provider's own when nothing speaks against it", "openai", "gpt-5", None),
    Spoken("chat for a model that only chats", "openai", "gpt-audio", "chat", {"is_chat_only": True}),
    Spoken("pictures over the images wire", "openai", "gpt-image-2", "images", {"mode": "image"}),
    Spoken("Claude over its own at Azure", "azure", "claude-opus-4-8", "messages"),
    Spoken("chat for foreign models at Azure", "azure", "grok-4.3", "chat"),
    Spoken("Claude over its own at Vertex", "google-vertex", "claude-opus-4-8@default", "messages"),
    Spoken("chat for open models at Vertex", "google-vertex", "zai-org/glm-5-maas", "chat"),
    Spoken("responses for what only answers there", "perplexity", "openai/gpt-5", "responses", {"mode": "responses"}),
]


@pytest.mark.parametrize("case", DIALECTS, ids=lambda case: case.id)
def test_the_dialect_is(case: Spoken) -> None:
    (row,) = made(fact(LITELLM, case.provider, case.upstream, **case.more)).values()
    assert row.dialect == case.dialect


@pytest.mark.parametrize(("provider", "upstream"), [("google-vertex", "mistral-large-2411"), ("novita", "x-image")])
def test_what_no_dialect_of_ours_reaches_is_left_out(provider: str, upstream: str) -> None:
    assert made(fact(LITELLM, provider, upstream, mode="image" if provider == "novita" else "chat")) == {}


@dataclass(frozen=True)
class Special:
    id: str
    provider: str
    upstream: str
    quirks: dict[str, Any]
    can: dict[str, bool] = field(default_factory=dict)


SPECIALS = [
    Special("an old Claude does not think", "anthropic", "claude-3-haiku-20240307", {"thinking_style": "none"}),
    Special("Claude 4.5 thinks by budget", "anthropic", "claude-sonnet-4-5", {"thinking_style": "budget"}),
    Special("Claude 4.6 thinks as it sees fit", "anthropic", "claude-opus-4-6", {"thinking_style": "adaptive"}),
    Special("so does Claude 5.5", "anthropic", "claude-haiku-5-5", {"thinking_style": "adaptive"}),
    Special(
        "one that cannot stop thinking",
        "anthropic",
        "claude-opus-5-5",
        {"can_stop_thinking": False, "tool_choices": ["auto", "none"]},
        {"unstoppable_thinking": True, "forced_tools": False},
    ),
    Special(
        "Claude takes one of two sampling settings",
        "anthropic",
        "claude-opus-4-1",
        {"temperature_excludes_top_p": True},
    ),
    Special(
        "Claude since 4.7 chooses its sampling itself",
        "anthropic",
        "claude-opus-4-7",
        {"drops": ["temperature", "top_p", "top_k"]},
    ),
    Special("Claude 4.6 still takes it", "anthropic", "claude-opus-4-6", {"drops": None}),
    Special("gpt-image answers as it does", "openai", "gpt-image-2", {"drops": ["response_format"]}),
    Special("Gemini 2.5 thinks by budget", "google-ai-studio", "gemini-2.5-flash", {"thinking_style": "budget"}),
    Special("its Pro does not stop", "google-ai-studio", "gemini-2.5-pro", {"can_stop_thinking": False}),
    Special(
        "Gemini 3 thinks by level and wants its signatures back",
        "google-ai-studio",
        "gemini-3-pro-preview",
        {"thinking_style": "level", "reasoning_replay_is_required": True, "schema_beside_tools": True},
    ),
    Special("so does Gemini 4", "google-ai-studio", "gemini-4-argon", {"thinking_style": "level"}),
    Special("Gemma does not think", "google-ai-studio", "gemma-3-27b-it", {"thinking_style": "none"}),
    Special(
        "gpt-oss on Converse has efforts", "amazon-bedrock", "openai.gpt-oss-120b-1:0", {"thinking_style": "effort"}
    ),
    Special("Nova 2 has its own way", "amazon-bedrock", "amazon.nova-2-lite-v1:0", {"thinking_style": "nova"}),
    Special(
        "other models there do not think",
        "amazon-bedrock",
        "meta.llama3-1-8b-instruct-v1:0",
        {"thinking_style": "none"},
    ),
    Special("a foreign model at Azure has the plain field", "azure", "grok-4.3", {"max_tokens_field": "max_tokens"}),
]


@pytest.mark.parametrize("case", SPECIALS, ids=lambda case: case.id)
def test_what_is_special_is_known(case: Special) -> None:
    (row,) = made(fact(LITELLM, case.provider, case.upstream, can=case.can)).values()
    assert {name: row.quirks.get(name) for name in case.quirks} == case.quirks


@pytest.mark.parametrize("upstream", ["gpt-5", "o3", "gpt-5.5-pro", "gpt-6-luna"])
def test_openais_reasoners_take_no_sampling(upstream: str) -> None:
    (row,) = made(fact(LITELLM, "openai", upstream, can={"reasoning": True})).values()
    assert row.supports is not None
    assert not row.supports & {"temperature", "top_p", "frequency_penalty", "logprobs"}
    assert "reasoning" in row.supports


@pytest.mark.parametrize(
    ("provider", "upstream", "can", "is_native"),
    [
        ("anthropic", "claude-3-haiku-20240307", {"schema": True}, False),
        ("anthropic", "claude-opus-4-5", {"schema": True, "native_schema": True}, True),
        ("amazon-bedrock", "meta.llama3-1-8b-instruct-v1:0", {"schema": True}, False),
        ("novita", "acme/one", {"tools": True}, True),
        ("novita", "acme/one", {"schema": False}, False),
    ],
)
def test_a_schema_is_native_where_the_wire_has_it(
    provider: str, upstream: str, can: dict[str, bool], is_native: bool
) -> None:
    (row,) = made(fact(LITELLM, provider, upstream, can=can)).values()
    assert row.supports is not None
    assert ("structured_outputs" in row.supports) is is_native
    assert "response_format" in row.supports


def test_every_rule_names_quirks_that_exist() -> None:
    for rule in RULES:
        assert set(rule.quirks) <= set(Quirks.__struct_fields__), rule
        msgspec.convert(dict(rule.quirks), Quirks)


def test_the_same_lists_give_the_same_bytes_in_any_order() -> None:
    facts = [fact(LITELLM, "novita", f"acme/m{number}", can={"tools": True, "schema": True}) for number in range(20)]
    one = written(merged(facts, (), ROWS, LISTS))
    assert one == written(merged(list(reversed(facts)), (), ROWS, LISTS))
    assert read_models(one) == merged(facts, (), ROWS, LISTS)


def test_whole_lists_are_merged() -> None:
    lists = Lists(
        models_dev=b'{"providers": {}}',
        litellm=b'{"gpt-5": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 9}}',
        genai_prices=[],
        sources=(SourceRow(name=LITELLM, date="2026-10-21"),),
        day="2026-11-22",
    )
    file = read_models(merge(lists, files("trunkline.catalog").joinpath("providers.toml").read_text("utf-8")))
    assert isinstance(file, ModelsFile)
    assert [model.slug for model in file.models] == ["openai/gpt-5"]
