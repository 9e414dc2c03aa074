"""A provider's own name for a model → the slug clients ask for, in OpenRouter's spelling where that is known.

Only spelling is decided here. Which providers and models there are, and what becomes of two names that come out the
same, is `merge.py`'s. Every table is read top to bottom and the first match counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from trunkline.protocol.preferences import Quantization


class Named(Struct, frozen=True):
    """A model's slug, and what its upstream name said besides.

    `exact` is the slug with the release date left in; `variant` tells endpoints of one provider apart (`turbo`).
    """

    slug: str
    exact: str
    quantization: Quantization = "unknown"
    variant: str = ""


def name_model(provider: str, upstream_model: str) -> Named:
    """Name the model that a provider calls `upstream_model`; any name gives a well-formed slug."""
    text, variant = _unwrapped(provider, upstream_model.lower())
    text, quantization, suffix = _without_packing(provider, text)
    author, slash, name = text.rpartition("/")
    author = AUTHORS.get(author, author) if slash else ""
    if not author or author in REHOSTERS:
        author = _family(name) or MAKERS.get(provider, author or provider)
    name = _spelled(author, name)
    plain = _DATE.sub("", name) if author == "anthropic" else name
    return Named(
        slug=f"{_safe(author)}/{_safe(plain)}",
        exact=f"{_safe(author)}/{_safe(re.sub(r'[-@](default|latest)$', '', name) if author == 'anthropic' else name)}",
        quantization=quantization,
        variant="-".join(part for part in (variant, suffix) if part),
    )


ZONES: Final[Mapping[str, tuple[str, ...]]] = {
    "us-gov": (".us-gov-",),
    "us": (".us-east-", ".us-west-", ".ca-"),
    "eu": (".eu-",),
    "apac": (".ap-",),
    "au": (".ap-southeast-2", ".ap-southeast-4"),
    "jp": (".ap-northeast-1", ".ap-northeast-3"),
    "ca": (".ca-",),
    "global": (),
}
"""The regions (as parts of an address) from which an AWS inference profile can be called; empty: from everywhere."""

_ZONE = re.compile(rf"({'|'.join(ZONES)})\.")


def zone_of(upstream_model: str) -> str:
    """Name the inference profile of a Bedrock id (`us`, `global`); empty for a model called in its own region."""
    found = _ZONE.match(upstream_model)
    return found[1] if found else ""


AUTHORS: Final[Mapping[str, str]] = {
    "01-ai": "01-ai",
    "aion-labs": "aion-labs",
    "ai21labs": "ai21",
    "amazon": "amazon",
    "arcee_ai": "arcee-ai",
    "baai": "baai",
    "bytedance": "bytedance",
    "bytedance-seed": "bytedance-seed",
    "cohere": "cohere",
    "coherelabs": "cohere",
    "deepseek": "deepseek",
    "deepseek-ai": "deepseek",
    "google": "google",
    "ibm": "ibm-granite",
    "ibm-granite": "ibm-granite",
    "meta": "meta-llama",
    "meta-llama": "meta-llama",
    "liquidai": "liquid",
    "primeintellect": "prime-intellect",
    "zero-one-ai": "01-ai",
    "minimaxai": "minimax",
    "mistral": "mistralai",
    "mistral-ai": "mistralai",
    "moonshot": "moonshotai",
    "nous": "nousresearch",
    "openai": "openai",
    "qwen": "qwen",
    "stepfun": "stepfun-ai",
    "togethercomputer": "together",
    "xai": "x-ai",
    "xiaomimimo": "xiaomi",
    "zai": "z-ai",
    "zai-org": "z-ai",
    "zhipuai": "z-ai",
    "thudm": "thudm",
}
"""Authors as hosts write them → as slugs do; an author that is not here keeps its spelling."""

REHOSTERS: Final = frozenset(
    {"unsloth", "perplexity", "fireworks", "groq", "cf", "hf", "openpipe", "accounts", "routers"}
)
"""First parts of a name that are no author: the family of the model says who made it."""

MAKERS: Final[Mapping[str, str]] = {
    "alibaba": "qwen",
    "amazon-bedrock": "amazon",
    "amazon-nova": "amazon",
    "azure": "azure",
    "byteplus": "bytedance-seed",
    "google-ai-studio": "google",
    "google-vertex": "google",
    "mistral": "mistralai",
    "xai": "x-ai",
}
"""Providers whose own models have another author than their slug."""

_FAMILIES: Final[Sequence[tuple[re.Pattern[str], str]]] = tuple(
    (re.compile(pattern), author)
    for pattern, author in (
        (r"(chat)?gpt-|o[134](-|$)|codex|computer-use-preview|davinci|babbage|openai-", "openai"),
        (r"claude", "anthropic"),
        (r"gemini|(code)?gemma|palm|medlm|google-", "google"),
        (r"(meta-)?llama-?v?\d|llama-?guard|code-?llama|muse-", "meta-llama"),
        (r"(open-)?mi[sx]tral|ministral|codestral|devstral|magistral|pixtral|voxtral|leanstral|labs-", "mistralai"),
        (r"qwen|qwq|qvq", "qwen"),
        (r"deepseek", "deepseek"),
        (r"(zai-|z-ai-|zai-org-)?glm-", "z-ai"),
        (r"kimi|moonshot", "moonshotai"),
        (r"minimax|abab", "minimax"),
        (r"grok", "x-ai"),
        (r"phi-|mai-", "microsoft"),
        (r"(cohere-)?command|c4ai|aya", "cohere"),
        (r"nova-|titan", "amazon"),
        (r"jamba", "ai21"),
        (r"sonar", "perplexity"),
        (r"granite", "ibm-granite"),
        (r"(nvidia-)?nemotron", "nvidia"),
        (r"hermes|nous-", "nousresearch"),
        (r"(xiaomi-)?mimo", "xiaomi"),
        (r"ernie", "baidu"),
        (r"hunyuan|hy\d", "tencent"),
        (r"doubao|seed-|seedance", "bytedance-seed"),
        (r"step-", "stepfun-ai"),
        (r"(arcee-)?trinity|arcee|maestro|virtuoso|coder-large|spotlight|caller", "arcee-ai"),
        (r"mercury", "inception"),
        (r"solar", "upstage"),
        (r"olmo|molmo|tulu", "allenai"),
        (r"dbrx", "databricks"),
        (r"yi-", "01-ai"),
        (r"mythomax", "gryphe"),
        (r"palmyra", "writer"),
        (r"flux", "black-forest-labs"),
        (r"(aion-labs-)?aion-", "aion-labs"),
        (r"cogito", "deepcogito"),
        (r"inkling", "thinkingmachines"),
        (r"lfm", "liquid"),
        (r"ling-|ring-", "inclusionai"),
        (r"intellect", "prime-intellect"),
    )
)

_DATE = re.compile(r"[-@](20\d{6}|default|latest)$")
_VENICE = re.compile(r"^(openai|zai-org|google|nvidia|xiaomi|arcee|aion-labs|olafangensan|z-ai)-(?=[a-z])")


def _family(name: str) -> str:
    return next((author for pattern, author in _FAMILIES if pattern.match(name)), "")


def _unwrapped(provider: str, text: str) -> tuple[str, str]:
    """Take off what a provider wraps around a name; also say the variant that the wrapping means."""
    match provider:
        case "amazon-bedrock":
            zone = zone_of(text)
            author, _, name = text.removeprefix(f"{zone}.").partition(".")
            return f"{_BEDROCK_AUTHORS.get(author, author)}/{_bedrock_name(author, name)}", zone
        case "fireworks":
            return re.sub(r"(?<=\d)p(?=\d)", ".", text.rpartition("/")[2]), ""
        case "cloudflare":
            return re.sub(r"^@(cf|hf)/", "", text), ""
        case "clarifai":
            return f"{text.partition('/')[0]}/{re.sub(r'(?<=[0-9])_(?=[0-9])', '.', text.rpartition('/')[2])}", ""
        case "google-vertex":
            return text.replace("-maas", ""), ""
        case "azure":
            return re.sub(r"^(fw-|cohere-(?=command))", "", text), ""
        case "venice":
            return re.sub(r"(gpt-\d)(\d)(?!\d|o)", r"\1.\2", _VENICE.sub("", text)), ""
        case "cerebras":
            return text.removeprefix("zai-"), ""
        case "novita" if text.endswith("/community"):
            return text.removesuffix("/community"), "community"
        case _:
            return re.sub(r"^[^/]+/(?=[^/]+/)", "", text), ""


_BEDROCK_AUTHORS: Final[Mapping[str, str]] = {
    "meta": "meta-llama",
    "mistral": "mistralai",
    "moonshot": "moonshotai",
    "moonshotai": "moonshotai",
    "zai": "z-ai",
    "xai": "x-ai",
}


def _bedrock_name(author: str, name: str) -> str:
    if author == "amazon":
        return re.sub(r":\d+$", "", name)
    name = re.sub(r"-(v\d|1):\d+$", "", name)
    name = re.sub(r"^llama(\d)-?(\d(?!\d))?-(?=\d|[a-z])", _dotted_llama, name)
    return f"deepseek-{name}" if author == "deepseek" and re.match(r"[rv]\d", name) else name


def _dotted_llama(found: re.Match[str]) -> str:
    return f"llama-{found[1]}.{found[2]}-" if found[2] else f"llama-{found[1]}-"


_PRECISIONS: Final[Mapping[str, Quantization]] = {
    "fp8": "fp8",
    "fp4": "fp4",
    "nvfp4": "fp4",
    "mxfp4": "fp4",
    "int8": "int8",
    "int4": "int4",
    "awq": "int4",
    "gptq": "int4",
    "bf16": "bf16",
    "fp16": "fp16",
}
_PRECISION = re.compile(rf"[-_]({'|'.join(_PRECISIONS)})(?:-dynamic)?$")

_VARIANTS: Final[Mapping[str, str]] = {
    "baseten": "fast",
    "chutes": "turbo",
    "clarifai": "high-throughput",
    "cloudflare": "fast|lora|awq",
    "deepinfra": "turbo|fast",
    "fireworks": "fast|turbo",
    "inceptron": "fast",
    "minimax": "highspeed|lightning",
    "moonshotai": "turbo|highspeed",
    "nebius": "fast",
    "together": "turbo|lite|reference",
    "venice": "fast",
}
"""Endings that at this provider mean another way of serving the same model."""


def _without_packing(provider: str, text: str) -> tuple[str, Quantization, str]:
    """Take precision, way of serving and the mark of an enclave off the end of a name."""
    text = text.removesuffix("-tee")
    variant = ""
    if provider in _VARIANTS and (found := re.search(rf"-({_VARIANTS[provider]})$", text)):
        text, variant = text[: found.start()], found[1]
    if found := _PRECISION.search(text):
        return text[: found.start()], _PRECISIONS[found[1]], variant
    return text, "unknown", variant


_SPELLINGS: Final[Mapping[str, Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]]] = {
    "anthropic": (
        (r"^(?:anthropic[.-])?claude-(\d)-(\d)-([a-z]+)", r"claude-\1.\2-\3"),
        (r"^claude-([a-z]+)-(\d+)-0(?!\d)", r"claude-\1-\2"),
        (r"^claude-([a-z]+)-(\d+)-(\d)(?!\d)", r"claude-\1-\2.\3"),
        (r"^claude-4-(opus|sonnet)$", r"claude-\1-4"),
        (r"(?<=\d)-v\d$", ""),
    ),
    "google": (
        (r"^gemini-(\d)-(\d)(?=-)", r"gemini-\1.\2"),
        (r"@.*$", ""),
    ),
    "openai": (
        (r"-chat-latest$", "-chat"),
        (r"^gpt-35-", "gpt-3.5-"),
    ),
    "meta-llama": (
        (r"^meta-", ""),
        (r"^llama(\d)", r"llama-\1"),
        (r"^(llama-\d)[_-](\d)-(?=\d+b)", r"\1.\2-"),
        (r"^llama-v(\d)(?:\.(\d))?-", lambda m: f"llama-{m[1]}.{m[2]}-" if m[2] else f"llama-{m[1]}-"),
        (r"^llama-4-(scout|maverick).*$", r"llama-4-\1"),
        (r"^llama-3.3-70b(-versatile)?$", "llama-3.3-70b-instruct"),
        (r"^llama-3.1-8b(-instant)?$", "llama-3.1-8b-instruct"),
        (r"^llama-3.2-3b$", "llama-3.2-3b-instruct"),
        (r"-instruct-hf$|-chat-hf$", "-instruct"),
    ),
    "deepseek": (
        (r"^deepseek_", "deepseek-"),
        (r"^deepseek-v(\d)-(\d)(?=-|$)", r"deepseek-v\1.\2"),
        (r"^deepseek-v3-0324$", "deepseek-chat-v3-0324"),
        (r"^deepseek-v3\.1$|^deepseek-v3-1-\d+$|^deepseek-v3p1$", "deepseek-chat-v3.1"),
        (r"^deepseek-v3(\.0)?$", "deepseek-chat"),
        # Its maker's only name for it: https://api-docs.deepseek.com/quick_start/pricing (2026-11-27).
        (r"^deepseek-flash$", "deepseek-v4.1-flash"),
        (r"@.*$", ""),
    ),
    "moonshotai": (
        (r"^kimi-k2-instruct$", "kimi-k2"),
        (r"^kimi-k2-(instruct-0905|0905-preview)$", "kimi-k2-0905"),
        (r"^kimi-k2-0711-preview$", "kimi-k2"),
        (r"^kimi-k2-preview$", "kimi-k2"),
        (r"^kimi-k(\d)-(\d)(?=-|$)", r"kimi-k\1.\2"),
        (r"^kimi-k2-thinking-\d{6}$", "kimi-k2-thinking"),
    ),
    "qwen": (
        (r"^qwen-3(?=[.-]\d)", "qwen3"),
        (r"^qwen-?v?2[.-]5-(?!vl|omni)", "qwen-2.5-"),
        (r"^qwen2-5-(vl|omni)", r"qwen2.5-\1"),
        (r"^qwen-?(\d)-(\d)-", r"qwen\1.\2-"),
        (r"^qwen3-235b-a22b-instruct-2507$", "qwen3-235b-a22b-2507"),
        (r"^qwen3-coder-480b-a35b-instruct$", "qwen3-coder"),
        (r"^qwen3-next-80b$", "qwen3-next-80b-a3b-instruct"),
    ),
    "mistralai": (
        (r"-latest$", ""),
        (r"^mistral-nemo-instruct-2407$|^open-mistral-nemo.*$|^mistral-nemo-12b-instruct$", "mistral-nemo"),
        (r"^open-mi([sx])tral-", r"mi\1tral-"),
        (r"^(mixtral-8x\d+b)(-instruct(-v0\.\d)?)?$", r"\1-instruct"),
        (r"^(mistral-7b)-instruct-v0(\d)$", r"\1-instruct-v0.\2"),
        (r"^mistral-small-3-2-24b-instruct$|^mistral-small-3\.2-24b-instruct-2506$", "mistral-small-3.2-24b-instruct"),
        (r"^mistral-small-3\.1-24b-instruct-2503$", "mistral-small-3.1-24b-instruct"),
        (r"@.*$", ""),
        # One model by its number, its date and its weights: https://docs.mistral.ai/getting-started/models/models_overview/
        # (2026-11-27).
        (r"^mistral-(?:medium-2604|medium-3-5)$", "mistral-medium-3.5"),
        (r"^mistral-medium-2508$", "mistral-medium-3.1"),
        (r"^mistral-medium-(?:2505|3-instruct)$", "mistral-medium-3"),
        (r"^mistral-large-3(?:-675b-instruct(?:-2512)?)?$", "mistral-large-2512"),
        (r"^mistral-small-4-119b-2603$", "mistral-small-2603"),
        (r"^mistral-small-2506$", "mistral-small-3.2-24b-instruct"),
        (r"^mistral-small-2503$", "mistral-small-3.1-24b-instruct"),
        (r"^ministral-3-(\d+b)-(?:instruct(?:-2512)?|2512)$", r"ministral-\1-2512"),
        (r"^devstral-2-123b$", "devstral-2512"),
        (r"^voxtral-small-2507$", "voxtral-small-24b-2507"),
    ),
    "ai21": ((r"^jamba-1-5-", "jamba-1.5-"),),
    "minimax": ((r"^minimax-m(\d)_?(\d)$", r"minimax-m\1.\2"),),
    "x-ai": (
        (r"^grok-(\d)-(\d{1,2})(?=-|$)", r"grok-\1.\2"),
        (r"^grok-build-0-1$", "grok-build-0.1"),
        # The plain name is the one that thinks: https://docs.x.ai/developers/models/grok-4.20-0309 (2026-11-27).
        (r"^grok-4\.20(?:-0309)?$", "grok-4.20-reasoning"),
        (r"^(grok-4\.20(?:-multi-agent)?)-0309(?=-|$)", r"\1"),
    ),
    "z-ai": (
        (r"^(?:zai-|z-ai-|zai-org-)?glm-", "glm-"),
        (r"^glm-(\d)-(\d)(?=-|$)", r"glm-\1.\2"),
        (r"-\d{6}$", ""),
    ),
    "cohere": (
        (r"^cohere-", ""),
        (r"^command-a-03-2025$", "command-a"),
    ),
    "xiaomi": ((r"^mimo-v(\d)-(\d)", r"mimo-v\1.\2"),),
    "nousresearch": ((r"^nous-", ""),),
    "nvidia": ((r"^nvidia-", ""),),
    "perplexity": ((r"^perplexity-", ""),),
}
"""By author: replacements, all applied in order."""

_COMPILED = {
    author: [(re.compile(pattern), becomes) for pattern, becomes in rules] for author, rules in _SPELLINGS.items()
}


def _spelled(author: str, name: str) -> str:
    for pattern, becomes in _COMPILED.get(author, ()):
        name = pattern.sub(becomes, name)
    return name


def _safe(text: str) -> str:
    """Make a part of a slug of any text."""
    return re.sub(r"[^a-z0-9._-]+", "-", text).strip("-._") or "unnamed"
