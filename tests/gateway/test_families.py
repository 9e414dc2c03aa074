"""What the shipped rows say of families of models, as their providers notice it.

Every provider here is a shipped one whose address leads to the scripted provider. A row of a table is a model, what is
asked of it, and what must stand in the body that it gets.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.gateway.checks import ask, error_of
from tests.gateway.conftest import ENDPOINT
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.test_quirks import ANSWERS, at
from tests.gateway.upstream import Seen, Upstream, whole

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""

PROVIDERS = {
    "xai": "responses",
    "z-ai": "chat",
    "deepseek": "chat",
    "google-ai-studio": "gemini",
    "anthropic": "messages",
    "openai": "responses",
    "azure": "responses",
    "mistral": "chat",
    "alibaba": "chat",
}
"""Shipped providers and the dialect that each is spoken to in; Mistral answers in the words of chat."""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG + "".join(
        f'[providers.{name}]\nbase_url = "{upstream.url}/{name}/v1"\napi_key = {{ env = "MOCK_KEY" }}\n'
        for name in PROVIDERS
    )
    config += ENDPOINT.format(provider="openai", model="mine/gpt-5.2").replace("gpt-x", "gpt-5.2")
    config += 'output_modalities = ["text", "image"]\n'
    with running(tmp_path_factory.mktemp("families"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def asked(
    gateway: Gateway, upstream: Upstream, nonce: str, provider: str, model: str, more: Mapping[str, Any]
) -> tuple[Seen, Reply]:
    """Ask a model of a provider; what the provider saw, and what came back."""
    upstream.play(nonce, whole(ANSWERS[PROVIDERS[provider]]))
    body = {"model": model, "input": nonce, "provider": {"only": [provider]}, **more}
    reply = gateway.call(json.dumps(body).encode())
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    return seen, reply


OFF = {"type": "disabled"}
ON = {"type": "enabled"}
LOST = "reasoning.effort"

EFFORTS: list[tuple[str, str, Mapping[str, Any], Mapping[str, Any], str | None]] = [
    # xAI: most models refuse an effort, unknown ones get none.
    *(
        ("xai", model, {"effort": "high"}, {"reasoning": None}, "reasoning")
        for model in (
            "x-ai/grok-4.20-reasoning",
            "x-ai/grok-4.20-non-reasoning",
            "x-ai/grok-build-0.1",
            "x-ai/grok-4.7",
        )
    ),
    *(
        ("xai", model, {"effort": wanted}, {"reasoning": {"effort": sent}}, None if wanted == sent else LOST)
        for model, wanted, sent in (
            ("x-ai/grok-4.3", "none", "none"),
            ("x-ai/grok-4.3", "xhigh", "high"),
            ("x-ai/grok-4.5", "none", "low"),
            ("x-ai/grok-4.5", "minimal", "low"),
            ("x-ai/grok-4.5", "medium", "medium"),
            ("x-ai/grok-4.5", "xhigh", "high"),
            ("x-ai/grok-4.6", "xhigh", "xhigh"),
            ("x-ai/grok-4.20-multi-agent", "xhigh", "xhigh"),
        )
    ),
    ("xai", "x-ai/grok-4.5", {"enabled": True}, {"reasoning": None}, None),
    ("xai", "x-ai/grok-4.3", {"enabled": True}, {"reasoning": {"effort": "medium"}}, None),
    # Z.AI and DeepSeek: a switch, and efforts by the maker's own map.
    *(
        ("z-ai", f"z-ai/{model}", reasoning, {"thinking": switch, "reasoning_effort": sent}, lost)
        for model, reasoning, switch, sent, lost in (
            ("glm-5.1", {"effort": "high"}, ON, None, LOST),
            ("glm-5.2", {"effort": "none"}, OFF, None, None),
            ("glm-5.2", {"effort": "minimal"}, OFF, None, LOST),
            ("glm-5.2", {"effort": "low"}, ON, "high", LOST),
            ("glm-5.2", {"effort": "high"}, ON, "high", None),
            ("glm-5.2", {"effort": "xhigh"}, ON, "max", LOST),
            ("glm-5.2", {"enabled": True}, ON, None, None),
            ("glm-5.3", {"effort": "none"}, ON, "low", LOST),
            ("glm-5.3", {"effort": "low"}, ON, "low", None),
            ("glm-5.3", {"effort": "medium"}, ON, "high", LOST),
            ("glm-5.3-flash", {"effort": "xhigh"}, ON, "max", LOST),
        )
    ),
    *(
        ("deepseek", "deepseek/deepseek-v4-pro", reasoning, {"thinking": switch, "reasoning_effort": sent}, lost)
        for reasoning, switch, sent, lost in (
            ({"enabled": True}, ON, None, None),
            ({"enabled": False}, OFF, None, None),
            ({"effort": "low"}, ON, "low", None),
            ({"effort": "medium"}, ON, "high", LOST),
            ({"effort": "xhigh"}, ON, "high", LOST),
        )
    ),
    # Claude: an effort that nobody named is Anthropic's to choose.
    (
        "anthropic",
        "anthropic/claude-opus-4.6",
        {"enabled": True},
        {"thinking.type": "adaptive", "output_config": None},
        None,
    ),
    # OpenAI: 5.1 does not think unless it is told how much.
    ("openai", "openai/gpt-5.1", {"enabled": True}, {"reasoning.effort": "medium"}, None),
    # Gemini: levels by generation.
    *(
        (
            "google-ai-studio",
            f"google/{model}",
            {"effort": wanted},
            {"generationConfig.thinkingConfig.thinkingLevel": sent},
            None if wanted == sent.lower() else LOST,
        )
        for model, wanted, sent in (
            ("gemini-3-pro-image", "medium", "HIGH"),
            ("gemini-3-flash-preview", "minimal", "MINIMAL"),
            ("gemini-3.1-pro-preview", "medium", "MEDIUM"),
            ("gemini-3.6-flash", "medium", "MEDIUM"),
            ("gemini-3.6-flash", "minimal", "LOW"),
            ("gemini-3.7-flash", "medium", "MEDIUM"),
            ("gemini-3.7-flash", "none", "LOW"),
            ("gemini-3.5-flash-lite", "minimal", "MINIMAL"),
            ("gemini-4-argon", "medium", "MEDIUM"),
            ("gemma-4-31b-it", "none", "MINIMAL"),
            ("gemma-4-31b-it", "low", "MINIMAL"),
            ("gemma-4-26b-a4b-it", "medium", "HIGH"),
            ("gemma-4-26b-a4b-it", "high", "HIGH"),
        )
    ),
]


@pytest.mark.parametrize(
    ("provider", "model", "reasoning", "sent", "dropped"),
    EFFORTS,
    ids=[f"{model} {json.dumps(reasoning)}" for _, model, reasoning, _, _ in EFFORTS],
)
def test_a_family_is_asked_to_think_in_its_own_words(
    provider: str,
    model: str,
    reasoning: Mapping[str, Any],
    sent: Mapping[str, Any],
    dropped: str | None,
    gateway: Gateway,
    upstream: Upstream,
    nonce: str,
) -> None:
    seen, reply = asked(gateway, upstream, nonce, provider, model, {"reasoning": reasoning})
    assert {path: at(seen.json, tuple(path.split("."))) for path in sent} == sent
    assert reply.headers.get("x-trunkline-dropped") == dropped


BUDGETS: list[tuple[str, str, int, Mapping[str, Any], int, str | None]] = [
    ("google-ai-studio", "google/gemini-2.5-flash", 300, {"effort": "low"}, 60, None),
    ("google-ai-studio", "google/gemini-2.5-flash", 300, {"max_tokens": 400}, 285, "reasoning.max_tokens"),
    ("google-ai-studio", "google/gemini-2.5-pro", 300, {"effort": "low"}, 128, None),
    ("google-ai-studio", "google/gemini-2.5-pro", 300, {"effort": "none"}, 128, LOST),
    ("google-ai-studio", "google/gemini-2.5-flash-lite", 300, {"effort": "low"}, 0, "reasoning"),
    ("google-ai-studio", "google/gemini-2.5-flash-lite", 2000, {"effort": "low"}, 512, None),
    ("google-ai-studio", "google/gemini-2.5-flash", 1000, {"effort": "none"}, 0, None),
    ("anthropic", "anthropic/claude-sonnet-4.5", 4000, {"max_tokens": 4000}, 3800, "reasoning.max_tokens"),
    ("anthropic", "anthropic/claude-sonnet-4.5", 4000, {"max_tokens": 2000}, 2000, None),
]


@pytest.mark.parametrize(("provider", "model", "limit", "reasoning", "sent", "dropped"), BUDGETS)
def test_a_budget_leaves_room_for_the_answer(
    provider: str,
    model: str,
    limit: int,
    reasoning: Mapping[str, Any],
    sent: int,
    dropped: str | None,
    gateway: Gateway,
    upstream: Upstream,
    nonce: str,
) -> None:
    more = {"reasoning": reasoning, "max_output_tokens": limit}
    seen, reply = asked(gateway, upstream, nonce, provider, model, more)
    path = {
        "gemini": ("generationConfig", "thinkingConfig", "thinkingBudget"),
        "messages": ("thinking", "budget_tokens"),
    }
    assert at(seen.json, path[PROVIDERS[provider]]) == sent
    assert reply.headers.get("x-trunkline-dropped") == dropped


@pytest.mark.parametrize(
    ("provider", "asked_as", "slug"),
    [
        ("anthropic", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
        ("anthropic", "anthropic/claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"),
        ("anthropic", "anthropic/claude-haiku-4-5-20251001", "anthropic/claude-haiku-4.5"),
        ("anthropic", "Anthropic/Claude-Sonnet-4-5:nitro", "anthropic/claude-sonnet-4.5"),
        ("anthropic", "claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
    ],
)
def test_R1_a_vendors_spelling_is_the_model(
    provider: str, asked_as: str, slug: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    _, reply = asked(gateway, upstream, nonce, provider, asked_as, {})
    assert reply.json["model"] == slug


@pytest.mark.parametrize(
    ("provider", "asked_as", "slug", "sent"),
    [
        ("mistral", "mistralai/mistral-medium-latest", "mistralai/mistral-medium-3.5", "mistral-medium-2604"),
        ("mistral", "mistral-large-latest", "mistralai/mistral-large-2512", "mistral-large-2512"),
        ("xai", "x-ai/grok-4.20", "x-ai/grok-4.20-reasoning", "grok-4.20-0309-reasoning"),
        ("anthropic", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
        ("deepseek", "deepseek/deepseek-flash", "deepseek/deepseek-v4.1-flash", "deepseek-flash"),
    ],
)
def test_a_makers_alias_is_sent_as_the_model_that_it_means(
    provider: str, asked_as: str, slug: str, sent: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    seen, reply = asked(gateway, upstream, nonce, provider, asked_as, {})
    assert seen.json["model"] == sent
    assert reply.json["model"] == slug


@pytest.mark.parametrize(
    ("name", "words", "metadata"),
    [
        (
            "openai/o3-mini",
            "openai/o3-mini was retired by its maker on 2026-10-23; try openai/gpt-5.6-sol.",
            {"suggestions": ["openai/gpt-5.6-sol"], "retired_on": "2026-10-23"},
        ),
        ("gpt-image-1", "try openai/gpt-image-2.5-sunburst.", {"retired_on": "2026-10-23"}),
        ("o4-mini-2025-04-16:nitro", "openai/o4-mini was retired", {"suggestions": ["openai/gpt-5.6-terra"]}),
        ("anthropic/claude-3-haiku", "try anthropic/claude-haiku-4.5.", {"retired_on": "2026-04-20"}),
        ("xiaomi/mimo-v2-omni", "Its provider is off: xiaomi (set ", {"retired_on": "2026-06-30"}),
        ("anthropic/claude-3.7-sonnet", "Its maker retired it on 2026-02-19", {"available_providers": []}),
    ],
)
def test_a_model_that_is_gone_says_since_when_and_what_to_ask(
    name: str, words: str, metadata: Mapping[str, Any], gateway: Gateway
) -> None:
    error = error_of(gateway.call(ask(name)), 404)
    assert words in error["message"]
    assert {key: error["metadata"][key] for key in metadata} == metadata


def test_a_model_that_is_gone_is_passed_over_for_the_next(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    more = {"models": ["openai/gpt-5.6-sol"]}
    _, reply = asked(gateway, upstream, nonce, "openai", "openai/o3-mini", more)
    assert reply.json["model"] == "openai/gpt-5.6-sol"


def test_qwen_vl_reads_films(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    url = "data:video/mp4;base64," + base64.b64encode(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom").decode()
    film = {"type": "input_video", "video_url": url}
    words = {"type": "input_text", "text": nonce}
    more = {"input": [{"role": "user", "content": [words, film]}]}
    seen, _ = asked(gateway, upstream, nonce, "alibaba", "qwen/qwen3-vl-plus", more)
    assert url in json.dumps(seen.json)


@pytest.mark.parametrize(
    ("reasoning", "sent"),
    [({}, "enabled"), ({"reasoning": {"summary": "auto"}}, "enabled"), ({"reasoning": {"enabled": False}}, "disabled")],
)
@pytest.mark.parametrize("place", ["model", "models"])
def test_R2_a_thinking_variant_thinks_unless_told_otherwise(
    place: str, reasoning: Mapping[str, Any], sent: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    name = "anthropic/claude-sonnet-4.5:thinking"
    more = {"models": [name]} if place == "models" else {}
    seen, _ = asked(gateway, upstream, nonce, "anthropic", name, {**more, **reasoning})
    assert seen.json["thinking"]["type"] == sent


@pytest.mark.parametrize("provider", ["openai", "azure"])
@pytest.mark.parametrize("modalities", [["image"], ["text", "image"]])
def test_who_draws_by_a_tool_is_one_rule_at_both_houses(
    modalities: list[str], provider: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    models = gateway.request("GET", "/api/v1/models").json["data"]
    told = {model["id"]: model["architecture"]["output_modalities"] for model in models}
    talkers = [slug for slug in told if slug.startswith("openai/gpt-5")]
    assert len(talkers) > 10
    assert {tuple(told[slug]) for slug in talkers} == {("text",)}
    for slug in ("openai/gpt-5.1", "openai/gpt-5.2", "openai/gpt-5.4"):
        body = {"model": slug, "input": nonce, "modalities": modalities, "provider": {"only": [provider]}}
        error = error_of(gateway.call(body), 404)
        assert provider in error["metadata"]["excluded_by"]["modalities"]
    assert not upstream.seen(nonce)


def test_an_operators_row_may_draw_by_a_tool(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    seen, _ = asked(gateway, upstream, nonce, "openai", "mine/gpt-5.2", {"modalities": ["text", "image"]})
    assert seen.json["tools"] == [{"type": "image_generation"}]


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-2024-08-06",
        "gpt-4o-2024-11-20",
        "gpt-5",
        "gpt-5-2025-08-07",
        "gpt-5-mini",
        "gpt-5-nano",
        "gpt-5-pro",
        "gpt-5.1",
        "gpt-5.1-2025-11-13",
        "gpt-5.2",
        "gpt-5.2-pro",
        "gpt-5.4-mini",
        "gpt-5.4-nano",
        "gpt-5.4-pro",
        "o3-pro",
    ],
)
def test_a_model_of_openai_reads_a_pdf_under_its_plain_and_its_dated_name(
    name: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    """One public list leaves files out of the plain names, the other does not."""
    part = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}
    said = [{"role": "user", "content": [{"type": "input_text", "text": nonce}, part]}]
    seen, _ = asked(gateway, upstream, nonce, "openai", f"openai/{name}", {"input": said})
    (sent,) = [found for found in seen.json["input"][0]["content"] if found["type"] == "input_file"]
    assert sent["file_data"].endswith("JVBERi0xLjQK")
