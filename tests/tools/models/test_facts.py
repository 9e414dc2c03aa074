"""What is known of providers and models, as it reaches an adapter: provider, dialect and model → effective quirks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, get_args

import msgspec
import pytest

from tests.catalog.loading import PROVIDERS, known
from tools.models.quirks import RULES, Rule
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.catalog.gather import read_models
from trunkline.catalog.load import offers_of
from trunkline.catalog.quirks import Quirks
from trunkline.catalog.rows import ProviderRow
from trunkline.credentials import schemes
from trunkline.settings.reading import build_settings, read_sources

SHIPPED = files("trunkline.catalog")
TABLES: dict[str, dict[str, Any]] = tomllib.loads(PROVIDERS)
ROWS = msgspec.convert(TABLES, dict[str, ProviderRow])
QUIRKS = frozenset(Quirks.__struct_fields__)
DAY = re.compile(r"\b20\d\d-\d\d-\d\d\b")
"""Of a fact: when it was seen, or when somebody reported it."""
THINKING = ("reasoning_", "thinking_", "min_thinking_", "can_stop_thinking", "has_thinking_")


def endpoints(text: str = "") -> list[Endpoint]:
    listed = read_models(SHIPPED.joinpath("models.json").read_bytes())
    settings = build_settings(read_sources(file_text=text))
    return [offer.endpoint for offer in offers_of(known(settings, listed=listed))]


LISTED = endpoints()


class TestRows:
    def test_every_quirk_that_is_named_exists(self) -> None:
        for slug, table in TABLES.items():
            for named in (table.get("quirks", {}), *table.get("quirks_in", {}).values()):
                assert named.keys() <= QUIRKS, slug
        for rule in RULES:
            assert rule.quirks.keys() <= QUIRKS, rule

    def test_every_quirk_has_a_value_of_its_type(self) -> None:
        for row in ROWS.values():
            assert row.dialect_quirks().keys() == row.quirks_in.keys()
        for rule in RULES:
            msgspec.convert(dict(rule.quirks), Quirks)

    @pytest.mark.parametrize("slug", ROWS)
    def test_every_dialect_of_a_row_is_spoken_and_its_scheme_signed(self, slug: str) -> None:
        row = ROWS[slug]
        assert row.urls.keys() <= ADAPTERS.keys()
        assert row.quirks_in.keys() <= row.urls.keys() | {"images"}
        assert row.scheme in schemes.SCHEMES
        assert row.companions.keys() <= set(row.variables)
        assert row.urls or row.status == "no-public-api"

    def test_there_is_an_adapter_for_every_dialect(self) -> None:
        assert ADAPTERS.keys() == set(get_args(Dialect))

    def test_an_overlay_leaves_the_headers_to_the_provider(self) -> None:
        assert not any("extra_headers" in own for row in ROWS.values() for own in row.quirks_in.values())


class TestSources:
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.model} {dict(rule.quirks)}")
    def test_a_rule_says_of_which_day_it_is_or_that_nobody_looked(self, rule: Rule) -> None:
        assert rule.source.startswith("unverified") or DAY.search(rule.source)

    @pytest.mark.parametrize("slug", TABLES)
    def test_a_row_says_where_its_thinking_is_from(self, slug: str) -> None:
        quirks = [TABLES[slug].get("quirks", {}), *TABLES[slug].get("quirks_in", {}).values()]
        # The format is our own name for what the issuer seals, and no fact of the provider.
        names = {name for named in quirks for name in named} - {"reasoning_format"}
        asks = any(name.startswith(THINKING) for name in names)
        own = re.split(r"^\[", PROVIDERS, flags=re.MULTILINE)
        (text,) = [part for part in own if part.startswith(f"{slug}]")]
        said = re.findall(r"^# Thinking: (.*)$", text, re.MULTILINE)
        assert len(said) == asks
        assert all("unverified" in line or DAY.search(line) for line in said)


@dataclass(frozen=True)
class Fact:
    id: str
    provider: str
    dialect: Dialect
    quirks: Mapping[str, Any]
    model: str = field(default="")


SAMPLING = frozenset({"temperature", "top_p", "top_k"})
NO_SEARCH = {"search_tool": ""}
CACHES = {"has_cache_points": True, "has_tool_cache_points": True}

FACTS = [
    Fact("a seal of Claude's is Claude's", "anthropic", "messages", {"reasoning_format": "anthropic-claude-v1"}),
    Fact(
        "Claude's search is dated", "anthropic", "messages", {"search_tool": "web_search_20250305"}, "claude-opus-4.8"
    ),
    Fact(
        "the newest Claude thinks as it sees fit and samples itself",
        "anthropic",
        "messages",
        {"thinking_style": "adaptive", "drops": SAMPLING},
        "anthropic/claude-opus-4.8",
    ),
    Fact(
        "so does one that only the price list knows",
        "anthropic",
        "messages",
        {"thinking_style": "adaptive", "drops": SAMPLING},
        "anthropic/claude-fable-5.2",
    ),
    Fact(
        "an older Claude thinks by budget",
        "anthropic",
        "messages",
        {"thinking_style": "budget", "drops": frozenset()},
        "anthropic/claude-sonnet-4.5",
    ),
    Fact(
        "Claude at Vertex",
        "google-vertex",
        "messages",
        {
            "path": "/{model}:rawPredict",
            "stream_path": "/{model}:streamRawPredict",
            "model_in_body": False,
            "extra_body": {"anthropic_version": "vertex-2023-10-16"},
            "image_urls": "inline",
            "reasoning_format": "anthropic-claude-v1",
            "thinking_style": "adaptive",
        },
        "anthropic/claude-opus-4.8",
    ),
    Fact("Gemini at Vertex has plain paths", "google-vertex", "gemini", {"path": ""}),
    Fact(
        "Claude at Bedrock",
        "amazon-bedrock",
        "converse",
        {
            "image_urls": "inline",
            "has_cache_points": True,
            "thinking_style": "adaptive",
            "reasoning_format": "anthropic-claude-v1",
            "tool_choices": frozenset({"auto", "required", "function"}),
        },
        "anthropic/claude-opus-4.8",
    ),
    *(
        Fact(f"{model} keeps an hour: {keeps}", "amazon-bedrock", "converse", {"has_cache_hours": keeps}, model)
        for model, keeps in {
            "anthropic/claude-opus-4.8": True,
            "anthropic/claude-haiku-4.5": True,
            "anthropic/claude-opus-4.1": False,
            "anthropic/claude-3.5-haiku": False,
            "amazon/nova-pro-v1": False,
        }.items()
    ),
    *(
        Fact(f"{model} is told of errors: {told}", "amazon-bedrock", "converse", {"has_result_status": told}, model)
        for model, told in {
            "anthropic/claude-3-opus": True,
            "amazon/nova-pro-v1": True,
            "openai/gpt-oss-120b": False,
        }.items()
    ),
    Fact("Claude 3.5 Haiku at Bedrock caches", "amazon-bedrock", "converse", CACHES, "anthropic/claude-3.5-haiku"),
    *(
        Fact(f"{model} at Bedrock does not", "amazon-bedrock", "converse", {"has_cache_points": False}, model)
        for model in ("anthropic/claude-3-opus", "anthropic/claude-3.5-sonnet", "anthropic/claude-instant-v1")
    ),
    *(
        Fact(
            f"{model} thinks always, and holds no form",
            "alibaba",
            "chat",
            {"can_stop_thinking": False, "structured_output": "none", "streams": "always"},
            model,
        )
        for model in ("qwen/qwq-plus", "qwen/qvq-max")
    ),
    Fact(
        "Qwen Omni streams only, as all do at Alibaba",
        "alibaba",
        "chat",
        {"can_stop_thinking": True, "structured_output": "json_object", "streams": "always"},
        "qwen/qwen3-omni-flash",
    ),
    Fact(
        "Nova takes no marks behind tools",
        "amazon-bedrock",
        "converse",
        {"has_cache_points": True, "has_tool_cache_points": False},
        "amazon/nova-pro-v1",
    ),
    Fact(
        "Nova 2 at Bedrock",
        "amazon-bedrock",
        "converse",
        {"thinking_style": "nova", "has_cache_points": True, "image_urls": "inline", "reasoning_format": ""},
        "amazon/nova-2-lite-v1",
    ),
    Fact(
        "gpt-oss at Bedrock",
        "amazon-bedrock",
        "converse",
        {"thinking_style": "effort", "has_cache_points": False},
        "openai/gpt-oss-120b",
    ),
    Fact(
        "Llama at Bedrock",
        "amazon-bedrock",
        "converse",
        {"thinking_style": "none", "has_cache_points": False},
        "meta-llama/llama-3.3-70b-instruct",
    ),
    Fact(
        "Bedrock in Anthropic's words",
        "amazon-bedrock",
        "messages",
        {"image_urls": "inline", **NO_SEARCH},
    ),
    Fact(
        "Bedrock's Messages take no schema",
        "amazon-bedrock",
        "messages",
        {"structured_output": "none", "has_strict_tools": False},
    ),
    Fact("SiliconFlow bounds a thought", "siliconflow", "chat", {"thinking_budgets": (128, 32_768)}),
    Fact("Bedrock's forms of choice are Converse's", "amazon-bedrock", "chat", {"tool_choices": Quirks().tool_choices}),
    Fact(
        "Gemini 3",
        "google-ai-studio",
        "gemini",
        {"thinking_style": "level", "schema_beside_tools": True, "reasoning_replay_is_required": True},
        "google/gemini-3-flash-preview",
    ),
    Fact(
        "Gemini 2.5 Pro",
        "google-ai-studio",
        "gemini",
        {"thinking_style": "budget", "can_stop_thinking": False, "schema_beside_tools": None},
        "google/gemini-2.5-pro",
    ),
    *(
        Fact(
            f"{model} at Groq",
            "groq",
            "chat",
            {"structured_output": form, "schema_beside_tools": False, "json_object_needs_word": True},
            model,
        )
        for model, form in (
            ("meta-llama/llama-3.3-70b-instruct", "json_object"),
            ("qwen/qwen3-32b", "json_object"),
            ("openai/gpt-oss-120b", "json_schema"),
            ("moonshotai/kimi-k2", "json_schema"),
            ("meta-llama/llama-4-scout", "json_schema"),
        )
    ),
    Fact("OpenAI", "openai", "responses", {"json_object_needs_word": True}),
    Fact(
        "Perplexity",
        "perplexity",
        "chat",
        {
            "web_search": "search_domain_filter",
            "alternates_turns": True,
            "file_links": "file_url",
            "tool_choices": frozenset(),
        },
    ),
    Fact("Perplexity's agents choose", "perplexity", "responses", {"tool_choices": Quirks().tool_choices}),
    Fact("DeepSeek thinking cannot be forced", "deepseek", "chat", {"thinking_forbids_forced_tools": True}),
    Fact(
        "Alibaba",
        "alibaba",
        "chat",
        {"thinking_forbids_forced_tools": True, "audio_data": "data_url", "drops": frozenset()},
    ),
    Fact("Z.ai", "z-ai", "chat", {"web_search": "web_search_tool", "file_links": "file_url"}),
    Fact(
        "Venice",
        "venice",
        "chat",
        {
            "web_search": "venice_parameters",
            "extra_body": {"venice_parameters": {"include_venice_system_prompt": False}},
        },
    ),
    Fact("MiniMax refuses zero", "minimax", "chat", {"min_temperature": 0.01}),
    Fact("Inception starts at a half", "inception", "chat", {"min_temperature": 0.5}),
    Fact("xAI's chat counts thought apart", "xai", "chat", {"adds_reasoning_tokens": True, "drops": {"stop"}}),
    Fact(
        "Cohere tells logprobs and gets thought back",
        "cohere",
        "cohere",
        {"drops": frozenset(), "logprobs": "openai", "reasoning_replay": "reasoning_content"},
    ),
    Fact("Cohere as chat does neither", "cohere", "chat", {"logprobs": "never", "reasoning_replay": "never"}),
    Fact("Mistral gets thought back", "mistral", "mistral", {"reasoning_replay": "reasoning_details"}),
    Fact("Mistral as chat does not", "mistral", "chat", {"reasoning_replay": "never"}),
    Fact("xAI takes instructions as an item", "xai", "responses", {"drops": frozenset({"instructions"})}),
    Fact(
        "a model adds to what its provider refuses",
        "xai",
        "responses",
        {"drops": frozenset({"instructions", "frequency_penalty", "presence_penalty"})},
        "x-ai/grok-4.3",
    ),
    Fact("Alibaba does too", "alibaba", "responses", {"drops": frozenset({"instructions"})}),
    Fact("Groq's Responses", "groq", "responses", {"supports_include": False, "drops": frozenset({"truncation"})}),
    *(
        Fact(f"{slug} takes no include", slug, "responses", {"supports_include": False})
        for slug in ("deepseek", "moonshotai", "upstage", "xiaomi")
    ),
    Fact("OpenAI does", "openai", "responses", {"supports_include": True}),
    *(
        Fact(f"{slug} has no search in Anthropic's words", slug, "messages", NO_SEARCH)
        for slug, row in ROWS.items()
        if "messages" in row.urls and slug not in ("anthropic", "azure", "google-vertex")
    ),
    Fact(
        "Claude at Azure",
        "azure",
        "messages",
        {"reasoning_format": "anthropic-claude-v1", "has_top_k": True},
        "anthropic/claude-opus-4.1",
    ),
    Fact(
        "gpt-image answers as it does",
        "openai",
        "images",
        {"drops": frozenset({"response_format"})},
        "openai/gpt-image-2",
    ),
    Fact("BFL sends on to hosts of its own", "black-forest-labs", "bfl", {"follow_hosts": frozenset({".bfl.ai"})}),
]


@pytest.mark.parametrize("case", FACTS, ids=lambda case: case.id)
def test_what_is_known_reaches_the_adapter(case: Fact) -> None:
    if case.model:
        found = [
            end.quirks
            for end in LISTED
            if (end.provider.slug, end.dialect) == (case.provider, case.dialect) and end.model.slug.endswith(case.model)
        ]
        assert found, "the model is listed there"
    else:
        row = ROWS[case.provider]
        assert case.dialect in row.urls
        found = [row.dialect_quirks().get(case.dialect, row.quirks)]
    for quirks in found:
        assert {name: getattr(quirks, name) for name in case.quirks} == dict(case.quirks)


class TestOperator:
    def test_an_overlay_holds_for_an_endpoint_of_the_operators(self) -> None:
        text = "[[endpoints]]\nprovider = 'deepseek'\nmodel = 'deepseek/x'\ndialect = 'responses'"
        (found,) = [end for end in endpoints(text) if end.model.slug == "deepseek/x"]
        assert not found.quirks.supports_include
        assert found.quirks.structured_output == "json_object"

    def test_what_the_operator_says_of_a_provider_wins_over_its_overlays(self) -> None:
        text = """
        [providers.deepseek]
        quirks = { supports_include = true }
        [[endpoints]]
        provider = "deepseek"
        model = "deepseek/x"
        dialect = "responses"
        """
        (found,) = [end for end in endpoints(text) if end.model.slug == "deepseek/x"]
        assert found.quirks.supports_include
