"""A provider's own name for a model → its slug."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.models.naming import MAKERS, Named, name_model, zone_of


@dataclass(frozen=True)
class Case:
    id: str
    provider: str
    upstream: str
    slug: str
    quantization: str = "unknown"
    variant: str = ""


CASES = [
    Case("a maker leaves itself out", "openai", "gpt-5-mini", "openai/gpt-5-mini"),
    Case("a maker's author is not its slug", "xai", "grok-4.3", "x-ai/grok-4.3"),
    Case("Claude's version gets a point", "anthropic", "claude-opus-4-5", "anthropic/claude-opus-4.5"),
    Case("an old Claude's version stands first", "anthropic", "claude-3-5-haiku", "anthropic/claude-3.5-haiku"),
    Case("Claude's release date is left out", "anthropic", "claude-opus-4-20250514", "anthropic/claude-opus-4"),
    Case("Claude's version .0 is left out", "anthropic", "claude-sonnet-4-0", "anthropic/claude-sonnet-4"),
    Case(
        "Bedrock's profile is a variant",
        "amazon-bedrock",
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "anthropic/claude-sonnet-4.5",
        variant="eu",
    ),
    Case(
        "Bedrock writes Llama together",
        "amazon-bedrock",
        "meta.llama3-1-8b-instruct-v1:0",
        "meta-llama/llama-3.1-8b-instruct",
    ),
    Case("Bedrock keeps Nova's version", "amazon-bedrock", "amazon.nova-pro-v1:0", "amazon/nova-pro-v1"),
    Case("Bedrock leaves DeepSeek's name out", "amazon-bedrock", "deepseek.r1-v1:0", "deepseek/deepseek-r1"),
    Case("Vertex says maas", "google-vertex", "zai-org/glm-5-maas", "z-ai/glm-5"),
    Case("Vertex dates Claude with @", "google-vertex", "claude-opus-4-5@20251101", "anthropic/claude-opus-4.5"),
    Case("a host writes the maker's name", "deepinfra", "zai-org/GLM-4.7", "z-ai/glm-4.7"),
    Case("Meta is written twice", "together", "meta-llama/Meta-Llama-3-8B-Instruct", "meta-llama/llama-3-8b-instruct"),
    Case(
        "precision is no part of the name",
        "deepinfra",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        "meta-llama/llama-4-maverick",
        "fp8",
    ),
    Case(
        "a faster way of serving is a variant",
        "deepinfra",
        "Qwen/Qwen3-Coder-480B-A35B-Instruct-Turbo",
        "qwen/qwen3-coder",
        variant="turbo",
    ),
    Case(
        "precision and variant together",
        "cloudflare",
        "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
        "meta-llama/llama-3.3-70b-instruct",
        "fp8",
        "fast",
    ),
    Case("fast is part of a name elsewhere", "xai", "grok-code-fast-1", "x-ai/grok-code-fast-1"),
    Case("an enclave is no other model", "chutes", "zai-org/GLM-5-TEE", "z-ai/glm-5"),
    Case("a re-packer is not the maker", "chutes", "unsloth/Mistral-Nemo-Instruct-2407-TEE", "mistralai/mistral-nemo"),
    Case("Fireworks writes p for a point", "fireworks", "accounts/fireworks/models/kimi-k2p6", "moonshotai/kimi-k2.6"),
    Case(
        "Fireworks versions Llama with a v",
        "fireworks",
        "accounts/fireworks/models/llama-v3p1-70b-instruct",
        "meta-llama/llama-3.1-70b-instruct",
    ),
    Case("Groq's own ending", "groq", "llama-3.3-70b-versatile", "meta-llama/llama-3.3-70b-instruct"),
    Case("Venice writes versions together", "venice", "openai-gpt-53-codex", "openai/gpt-5.3-codex"),
    Case("Clarifai writes paths", "clarifai", "moonshotai/chat-completion/models/Kimi-K2_6", "moonshotai/kimi-k2.6"),
    Case("DeepSeek V3 has an older slug", "siliconflow", "deepseek-ai/DeepSeek-V3", "deepseek/deepseek-chat"),
    Case("Mistral's latest is the plain name", "mistral", "mistral-large-latest", "mistralai/mistral-large"),
    Case("OpenAI's dates stay", "openai", "gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
    Case("nobody known", "nextbit", "acme/Some_Model V2", "acme/some_model-v2"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_model_is_named(case: Case) -> None:
    named = name_model(case.provider, case.upstream)
    assert (named.slug, named.quantization, named.variant) == (case.slug, case.quantization, case.variant)


def test_the_exact_name_keeps_the_date() -> None:
    assert name_model("anthropic", "claude-opus-4-20250514") == Named(
        "anthropic/claude-opus-4", "anthropic/claude-opus-4-20250514"
    )
    assert name_model("google-vertex", "claude-opus-5@default").exact == "anthropic/claude-opus-5"


@pytest.mark.parametrize(
    ("name", "zone"),
    [("us.amazon.nova", "us"), ("us-gov.openai.gpt", "us-gov"), ("global.x.y", "global"), ("amazon.nova", "")],
)
def test_an_inference_profile_is_seen(name: str, zone: str) -> None:
    assert zone_of(name) == zone


SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")


@given(st.sampled_from(["amazon-bedrock", "azure", "fireworks", "novita", "venice", *MAKERS]), st.text(max_size=40))
def test_any_name_gives_a_well_formed_slug(provider: str, upstream: str) -> None:
    named = name_model(provider, upstream)
    assert SLUG.fullmatch(named.slug), named
    assert SLUG.fullmatch(named.exact), named
