"""Three public lists of models, each in a shape of its own → one shape, `Fact`.

The lists are models.dev's API, the price file of litellm and the data of genai-prices. Nothing is joined or preferred
here (`merge.py`), and nothing is fetched (`tools/catalog.py`). Only models that answer in text or pictures over a
dialect we speak are read: no embeddings, speech, video, ranking or moderation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from tools.models.naming import ZONES
from tools.models.prices import apiece, decimal_of, price_row, tokens_of
from trunkline.catalog.entries import Modality
from trunkline.catalog.rows import PriceRow

Json: TypeAlias = Any
Mode = Literal["chat", "responses", "image"]

MODELS_DEV: Final = "models.dev"
LITELLM: Final = "litellm"
GENAI_PRICES: Final = "genai-prices"


class Fact(Struct, kw_only=True):
    """What one list says of one model at one provider; None is nothing.

    `can` holds the features said to be there or not: tools, tool_choice, parallel, schema, native_schema, reasoning,
    sampling, search, forced_tools, adaptive_thinking, unstoppable_thinking. `schema` alone may mean that a client can
    have a schema kept by other means; `native_schema` is the endpoint's own. `slug` is our name for the model where
    its upstream name does not lead there.
    """

    source: str
    provider: str
    upstream_model: str
    slug: str = ""
    mode: Mode = "chat"
    name: str = ""
    description: str = ""
    created_at: int = 0
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    input_modalities: frozenset[Modality] | None = None
    output_modalities: frozenset[Modality] | None = None
    can: dict[str, bool] = {}
    efforts: tuple[str, ...] = ()
    is_chat_only: bool = False
    deprecated_on: str = ""
    is_deprecated: bool = False
    price: PriceRow | None = None


_OTHER_TRADES = re.compile(
    r"embed|whisper|rerank|retriever|[-_/]tts|tts[-_]|transcri|realtime|moderation|speech|[-_]asr|orpheus|[-_]live[-_]|"
    r"live-|ocr|imagen|veo|lyria|sora|dall-e|clip|prompt-guard|rank-v|safety|content-safety|gliner|bge-|translate-4b|"
    r"esm|cosmos|flux\.1|flux_|sparse|streampetr|studiovoice|usd|detector|bevformer|paligemma|model.router|voicechat|"
    r"stable-|canvas|reel|qwen-image|wan\d|kling|seedream|seedance|rosalind|-decision|parse|doc-intel|evaluation|"
    r"computer-use|native-audio|virtual-try|chirp|video|medlm|music|voice|speaker|davinci|babbage|distilbert|"
    r"controlnet|flux-1-|^container|twelvelabs|firerouter|^ada$|^curie$"
)
"""Names of models of other trades; lists do not always say what a model is for."""


def _is_of_another_trade(upstream_model: str) -> bool:
    return _OTHER_TRADES.search(upstream_model.lower()) is not None


# models.dev


def read_models_dev(text: bytes) -> list[Fact]:
    """Read models.dev's `api.json`, cut down to our providers and keyed by our slugs."""
    providers: dict[str, Json] = msgspec.json.decode(text)["providers"]
    facts = (
        _models_dev_fact(slug, upstream_model, entry)
        for slug, provider in sorted(providers.items())
        for upstream_model, entry in sorted(provider["models"].items())
    )
    return [fact for fact in facts if fact is not None]


def _models_dev_fact(provider: str, upstream_model: str, entry: Json) -> Fact | None:
    outputs = _modalities(entry["modalities"]["output"])
    if _is_of_another_trade(upstream_model) or not outputs & {"text", "image"}:
        return None
    cost, limit = entry.get("cost"), entry["limit"]
    can = {
        "tools": entry.get("tool_call"),
        "schema": entry.get("structured_output"),
        "native_schema": entry.get("structured_output"),
        "reasoning": entry.get("reasoning"),
        "sampling": entry.get("temperature"),
    }
    return Fact(
        source=MODELS_DEV,
        provider=provider,
        upstream_model=upstream_model,
        mode="chat" if "text" in outputs else "image",
        name=entry["name"].strip().removesuffix(" (latest)"),
        created_at=unix_time(entry.get("release_date", "")),
        context_tokens=tokens_of(limit.get("context")),
        max_output_tokens=tokens_of(limit.get("output")),
        input_modalities=_modalities(entry["modalities"]["input"]) or None,
        output_modalities=outputs,
        can={name: value for name, value in can.items() if value is not None},
        efforts=tuple(entry.get("reasoning_efforts", ())),
        is_deprecated=entry.get("status") == "deprecated",
        price=None if cost is None else _models_dev_price(cost),
    )


def _models_dev_price(cost: Json) -> PriceRow | None:
    tiers = [
        {"above": tier["tier"]["size"], **tier}
        for tier in cost.get("tiers", ())
        if tier["tier"]["type"] == "context" and "input" in tier and "output" in tier
    ]
    return price_row(
        input=cost.get("input"),
        output=cost.get("output"),
        cache_read=cost.get("cache_read"),
        cache_write=cost.get("cache_write"),
        reasoning=cost.get("reasoning"),
        audio=cost.get("input_audio"),
        tiers=tiers,
    )


def _modalities(names: Iterable[str]) -> frozenset[Modality]:
    known: dict[str, Modality] = {
        "text": "text",
        "image": "image",
        "pdf": "file",
        "file": "file",
        "audio": "audio",
        "video": "video",
    }
    return frozenset(known[name] for name in names if name in known)


def unix_time(day: str) -> int:
    """Turn `2025-11` or `2025-11-24` into Unix seconds at its midnight; 0 for anything else."""
    if not (found := re.fullmatch(r"(\d{4})-(\d\d)(?:-(\d\d))?", day)):
        return 0
    year, month, date = int(found[1]), int(found[2]), int(found[3] or 1)
    # Days from the civil date, counted in years that begin in March, so that leap days come last.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + date - 1
    return (days - 719_468) * 86_400


# litellm

_LITELLM: Final[Mapping[str, tuple[str, str]]] = {
    "ai21": ("ai21", ""),
    "amazon_nova": ("amazon-nova", "amazon-nova/"),
    "anthropic": ("anthropic", ""),
    "azure": ("azure", "azure/"),
    "azure_ai": ("azure", "azure_ai/"),
    "baseten": ("baseten", "baseten/"),
    "bedrock": ("amazon-bedrock", ""),
    "bedrock_converse": ("amazon-bedrock", ""),
    "black_forest_labs": ("black-forest-labs", "black_forest_labs/"),
    "cerebras": ("cerebras", "cerebras/"),
    "cloudflare": ("cloudflare", "cloudflare/"),
    "cohere_chat": ("cohere", ""),
    "crusoe": ("crusoe", "crusoe/"),
    "dashscope": ("alibaba", "dashscope/"),
    "deepinfra": ("deepinfra", "deepinfra/"),
    "deepseek": ("deepseek", "deepseek/"),
    "featherless_ai": ("featherless", "featherless_ai/"),
    "fireworks_ai": ("fireworks", "fireworks_ai/"),
    "friendliai": ("friendli", "friendliai/"),
    "gemini": ("google-ai-studio", "gemini/"),
    "gmi": ("gmicloud", "gmi/"),
    "groq": ("groq", "groq/"),
    "hyperbolic": ("hyperbolic", "hyperbolic/"),
    "inception": ("inception", "inception/"),
    "minimax": ("minimax", "minimax/"),
    "mistral": ("mistral", "mistral/"),
    "moonshot": ("moonshotai", "moonshot/"),
    "morph": ("morph", "morph/"),
    "nebius": ("nebius", "nebius/"),
    "novita": ("novita", "novita/"),
    "openai": ("openai", "openai/"),
    "perplexity": ("perplexity", "perplexity/"),
    "sambanova": ("sambanova", "sambanova/"),
    "together_ai": ("together", "together_ai/"),
    "vertex_ai": ("google-vertex", "vertex_ai/"),
    "vertex_ai-anthropic_models": ("google-vertex", "vertex_ai/"),
    "vertex_ai-deepseek_models": ("google-vertex", "vertex_ai/"),
    "vertex_ai-language-models": ("google-vertex", "vertex_ai/"),
    "vertex_ai-llama_models": ("google-vertex", "vertex_ai/"),
    "vertex_ai-minimax_models": ("google-vertex", "vertex_ai/"),
    "vertex_ai-moonshot_models": ("google-vertex", "vertex_ai/"),
    "vertex_ai-openai_models": ("google-vertex", "vertex_ai/"),
    "vertex_ai-qwen_models": ("google-vertex", "vertex_ai/"),
    "vertex_ai-zai_models": ("google-vertex", "vertex_ai/"),
    "volcengine": ("byteplus", "volcengine/"),
    "wandb": ("wandb", "wandb/"),
    "xai": ("xai", "xai/"),
    "xiaomi_mimo": ("xiaomi", "xiaomi_mimo/"),
    "zai": ("z-ai", "zai/"),
}
"""litellm's provider → our slug, and what its keys have in front of the upstream name."""

_BEDROCK = re.compile(rf"(({'|'.join(ZONES)})\.)?(?!in\.)[a-z0-9]+\.[a-z]")
"""A Bedrock id: the maker, a point, the model; before them, perhaps, an inference profile that we can place."""

_LITELLM_MODES: Final[Mapping[str, Mode]] = {"chat": "chat", "responses": "responses", "image_generation": "image"}

_REGIONAL = re.compile(
    r"^(eu|us|us-gov|apac|global|global-standard|low|medium|high|standard|hd)/|\d+-x-|^preset/|-commitment/|^ft:|"
    r"^[a-z0-9-]+-(4\.1b|8\.1b|16b|up-to|21\.1b|41\.1b|81\.1b)"
)
"""Keys that are a region, a size of picture or a price class of another entry."""

_FLAGS: Final[Mapping[str, str]] = {
    "supports_function_calling": "tools",
    "supports_tool_choice": "tool_choice",
    "supports_parallel_function_calling": "parallel",
    "supports_response_schema": "schema",
    "supports_bedrock_native_structured_output": "native_schema",
    "supports_native_structured_output": "native_schema",
    "supports_reasoning": "reasoning",
    "supports_sampling_params": "sampling",
    "supports_web_search": "search",
    "supports_forced_tool_use": "forced_tools",
    "supports_adaptive_thinking": "adaptive_thinking",
    "thinking_always_on": "unstoppable_thinking",
}

_LEVELS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def read_litellm(text: bytes) -> list[Fact]:
    """Read litellm's `model_prices_and_context_window_backup.json`."""
    facts = (_litellm_fact(key, entry) for key, entry in sorted(msgspec.json.decode(text).items()))
    return [fact for fact in facts if fact is not None]


def _litellm_fact(key: str, entry: Json) -> Fact | None:
    place = _LITELLM.get(entry.get("litellm_provider", ""))
    mode = _LITELLM_MODES.get(entry.get("mode", ""))
    if place is None or mode is None:
        return None
    provider, prefix = place
    upstream_model = key.removeprefix(prefix)
    if provider == "fireworks" and "/" not in upstream_model:
        upstream_model = f"accounts/fireworks/models/{upstream_model}"
    if provider == "amazon-bedrock" and ("/" in upstream_model or not _BEDROCK.match(upstream_model)):
        return None
    if _REGIONAL.search(upstream_model) or _is_of_another_trade(upstream_model):
        return None
    reads, makes = _litellm_modalities(entry, mode)
    endpoints = entry.get("supported_endpoints") or ()
    return Fact(
        source=LITELLM,
        provider=provider,
        upstream_model=upstream_model,
        mode=mode,
        context_tokens=tokens_of(entry.get("max_input_tokens")),
        max_output_tokens=tokens_of(entry.get("max_output_tokens")),
        input_modalities=reads,
        output_modalities=makes,
        can={ours: bool(entry[theirs]) for theirs, ours in _FLAGS.items() if theirs in entry},
        efforts=_litellm_efforts(entry),
        is_chat_only="/v1/chat/completions" in endpoints and "/v1/responses" not in endpoints,
        deprecated_on=str(entry.get("deprecation_date") or ""),
        price=_litellm_price(entry, mode),
    )


def _litellm_modalities(entry: Json, mode: Mode) -> tuple[frozenset[Modality] | None, frozenset[Modality] | None]:
    makes = _modalities(entry.get("supported_output_modalities", ())) or None
    if mode == "image":
        makes = makes or frozenset({"image"})
    named = _modalities(entry.get("supported_modalities", ()))
    flags: tuple[tuple[str, Modality], ...] = (
        ("supports_vision", "image"),
        ("supports_pdf_input", "file"),
        ("supports_audio_input", "audio"),
        ("supports_video_input", "video"),
    )
    if not named and not any(flag in entry for flag, _ in flags):
        return None, makes
    said = {kind for flag, kind in flags if entry.get(flag)}
    denied = {kind for flag, kind in flags if entry.get(flag) is False}
    return frozenset({"text", *(named - denied), *said}), makes


def _litellm_efforts(entry: Json) -> tuple[str, ...]:
    """Name the efforts, where a list or a flag says more than that there is reasoning."""
    if levels := entry.get("reasoning_effort_levels"):
        return tuple(level for level in _LEVELS if level in levels)
    flagged = {level: entry.get(f"supports_{level}_reasoning_effort") for level in _LEVELS}
    if not any(flagged.values()):
        return ()
    return tuple(
        level for level in _LEVELS if flagged[level] or (level in _LEVELS[2:5] and flagged[level] is not False)
    )


def _litellm_price(entry: Json, mode: Mode) -> PriceRow | None:
    images = entry.get("output_cost_per_image")
    search = entry.get("search_context_cost_per_query") or {}
    read = _per_million(entry)
    image_tokens = read("output_cost_per_image_token")
    has_tokens = "input_cost_per_token" in entry and "output_cost_per_token" in entry
    if not has_tokens and not (mode == "image" and (images or image_tokens)):
        return None
    # Who only draws may have no other price of what is written.
    output = read("output_cost_per_token") or image_tokens or Decimal(0)
    return price_row(
        input=read("input_cost_per_token") or Decimal(0),
        output=output,
        cache_read=read("cache_read_input_token_cost"),
        cache_write=read("cache_creation_input_token_cost"),
        cache_write_1h=read("cache_creation_input_token_cost_above_1hr"),
        reasoning=read("output_cost_per_reasoning_token"),
        audio=read("input_cost_per_audio_token"),
        audio_cached=read("cache_read_input_audio_token_cost"),
        image_token=image_tokens,
        # Where a picture's tokens are priced as output anyway, a fee for each picture would count them twice.
        image=None if image_tokens is not None and output >= image_tokens else _picture(images),
        request=apiece(entry.get("input_cost_per_request")),
        search=apiece(search.get("search_context_size_medium")),
        tiers=list(_litellm_tiers(entry)),
        service_tiers=_litellm_service_tiers(entry),
    )


_LEAST_USD_PER_PICTURE: Final = Decimal("0.001")
"""What costs less is the price of one of its tokens, which litellm has in this place for Gemini 3.1 Pro."""


def _picture(usd: Json) -> Decimal | None:
    amount = apiece(usd)
    return amount if amount is not None and amount >= _LEAST_USD_PER_PICTURE else None


_MOST_FACTOR: Final = 10
"""A service tier that is dearer is a slip of the pen: litellm has 50 for one of OpenAI's, whose own page says 2."""


def _litellm_service_tiers(entry: Json) -> dict[str, Decimal]:
    """How much dearer or cheaper tokens are in each tier of service; of a tier in which the kinds differ, input's."""
    read, usual = _per_million(entry), decimal_of(entry.get("input_cost_per_token"))
    factors: dict[str, Decimal] = {}
    for name in ("flex", "priority", "ultrafast"):
        if usual and (asked := read(f"input_cost_per_token_{name}")) is not None:
            factor = (asked / usual.scaleb(6)).quantize(Decimal("1e-12")).normalize()
            if factor != 1 and 0 < factor <= _MOST_FACTOR:
                factors[name] = Decimal(f"{factor:f}")
    return factors


def _per_million(entry: Json) -> Callable[[str], Decimal | None]:
    def read(name: str) -> Decimal | None:
        value = entry.get(name)
        return None if value is None else apiece(value, scale=6)

    return read


def _litellm_tiers(entry: Json) -> Iterator[Json]:
    read = _per_million(entry)
    for name in sorted(entry):
        if found := re.fullmatch(r"input_cost_per_token_above_(\d+)k_tokens", name):
            end = f"_above_{found[1]}k_tokens"
            yield {
                "above": int(found[1]) * 1000,
                "input": read(name),
                "output": read(f"output_cost_per_token{end}"),
                "cache_read": read(f"cache_read_input_token_cost{end}"),
                "cache_write": read(f"cache_creation_input_token_cost{end}"),
            }
    for tier in entry.get("tiered_pricing") or ():
        if tier.get("range") and tier["range"][0] and "input_cost_per_token" in tier:
            read = _per_million(tier)
            yield {
                "above": int(tier["range"][0]),
                "input": read("input_cost_per_token"),
                "output": read("output_cost_per_token"),
                "cache_read": read("cache_read_input_token_cost"),
            }


# genai-prices

_GENAI: Final[Mapping[str, tuple[str, ...]]] = {
    "anthropic": ("anthropic",),
    "arcee": ("arcee-ai",),
    "avian": ("avian",),
    "aws": ("amazon-bedrock",),
    "azure": ("azure",),
    "baseten": ("baseten",),
    "cerebras": ("cerebras",),
    "cloudflare": ("cloudflare",),
    "cohere": ("cohere",),
    "deepseek": ("deepseek",),
    "fireworks": ("fireworks",),
    "google": ("google-ai-studio", "google-vertex"),
    "groq": ("groq",),
    "minimax": ("minimax",),
    "mistral": ("mistral",),
    "moonshotai": ("moonshotai",),
    "novita": ("novita",),
    "openai": ("openai",),
    "perplexity": ("perplexity",),
    "together": ("together",),
    "x-ai": ("xai",),
    "zai": ("z-ai",),
}


class Priced(Struct, frozen=True):
    """A model of genai-prices at one of our providers, and what recognises its names."""

    fact: Fact
    matches: Json


def read_genai_prices(providers: Sequence[Json], day: str) -> list[Priced]:
    """Read the data of genai-prices with the prices in force on a day (`2026-11-22`).

    `providers` is its list of Provider objects as plain values, each with its class under `""`.
    """
    return [
        Priced(_genai_fact(slug, model, day), model["match"])
        for provider in providers
        for slug in _GENAI.get(provider["id"], ())
        for model in provider["models"]
        if not _is_of_another_trade(model["id"])
    ]


def is_match(clause: Json, name: str) -> bool:
    """Whether a rule of genai-prices recognises a name; like there, case does not count."""
    match clause[""]:
        case "ClauseEquals":
            return bool(name == clause["equals"].lower())
        case "ClauseStartsWith":
            return bool(name.startswith(clause["starts_with"].lower()))
        case "ClauseEndsWith":
            return bool(name.endswith(clause["ends_with"].lower()))
        case "ClauseContains":
            return clause["contains"].lower() in name
        case "ClauseRegex":
            return re.search(clause["regex"], name, re.IGNORECASE) is not None
        case "ClauseOr":
            return any(is_match(inner, name) for inner in clause["or_"])
        case "ClauseAnd":
            return all(is_match(inner, name) for inner in clause["and_"])
        case _:
            return False


def is_spelled_out(clause: Json, name: str) -> bool:
    """Whether a rule names exactly this model, and not only a family of names."""
    if clause[""] == "ClauseOr":
        return any(is_spelled_out(inner, name) for inner in clause["or_"])
    return bool(clause[""] == "ClauseEquals" and clause["equals"] == name)


def _genai_fact(provider: str, model: Json, day: str) -> Fact:
    prices = _in_force(model.get("prices"), day)
    return Fact(
        source=GENAI_PRICES,
        provider=provider,
        upstream_model=model["id"],
        name=(model.get("name") or "").strip(),
        context_tokens=tokens_of(model.get("context_window")),
        is_deprecated=bool(model.get("deprecated")),
        price=None if prices is None else _genai_price(prices),
    )


def _in_force(prices: Json, day: str) -> Json:
    """Choose among dated prices the latest that has begun, among hourly ones the dearest."""
    if not isinstance(prices, list):
        return prices
    begun: list[Json] = []
    hourly: list[Json] = []
    for entry in prices:
        constraint = entry.get("constraint")
        if constraint is None or (constraint[""] == "StartDateConstraint" and constraint["start_date"] <= day):
            begun.append(entry["prices"])
        elif constraint[""] == "TimeOfDateConstraint":
            hourly.append(entry["prices"])
    chosen = [*begun[-1:], *hourly]
    return max(chosen, key=lambda each: _base(each.get("input_mtok")) or Decimal(0)) if chosen else None


def _base(price: Json) -> Decimal | None:
    return decimal_of(price["base"] if isinstance(price, dict) else price)


def _genai_price(prices: Json) -> PriceRow | None:
    starts = {tier["start"] for price in prices.values() if isinstance(price, dict) for tier in price.get("tiers", ())}
    search = decimal_of(prices.get("web_searches_kcount"))
    request = decimal_of(prices.get("requests_kcount"))
    return price_row(
        input=_base(prices.get("input_mtok")),
        output=_base(prices.get("output_mtok")),
        cache_read=_base(prices.get("cache_read_mtok")),
        cache_write=_base(prices.get("cache_write_mtok")),
        cache_write_1h=_base(prices.get("cache_write_1h_mtok")),
        reasoning=_base(prices.get("output_reasoning_mtok")),
        audio=_base(prices.get("input_audio_mtok")),
        audio_cached=_base(prices.get("cache_audio_read_mtok")),
        image_token=_base(prices.get("output_image_mtok")),
        search=None if search is None else search.scaleb(-3),
        request=None if request is None else request.scaleb(-3),
        tiers=[
            {
                "above": start,
                "input": _at(prices.get("input_mtok"), start),
                "output": _at(prices.get("output_mtok"), start),
                "cache_read": _at(prices.get("cache_read_mtok"), start),
                "cache_write": _at(prices.get("cache_write_mtok"), start),
            }
            for start in sorted(starts)
        ],
    )


def _at(price: Json, tokens: int) -> Decimal | None:
    """Read a tiered price at a number of input tokens."""
    if not isinstance(price, dict):
        return decimal_of(price)
    reached = [tier for tier in price["tiers"] if tier["start"] <= tokens]
    return decimal_of(max(reached, key=lambda tier: tier["start"])["price"]) if reached else _base(price)
