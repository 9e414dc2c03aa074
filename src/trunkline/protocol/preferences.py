"""What a client may say about routing (`provider`) and about the steps around the model (`plugins`)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

Quantization = Literal["int4", "int8", "fp4", "fp6", "fp8", "fp16", "bf16", "fp32", "unknown"]
SortBy = Literal["price", "throughput", "latency"]
Partition = Literal["model", "none"]


class MaxPrice(Struct, frozen=True):
    """The most a client pays: USD per million tokens for prompt, completion and audio, else USD apiece."""

    prompt: Decimal | None = None
    completion: Decimal | None = None
    image: Decimal | None = None
    audio: Decimal | None = None
    request: Decimal | None = None


class Sort(Struct, frozen=True):
    """How endpoints are put in order; `by` None is the default balance."""

    by: SortBy | None = None
    partition: Partition | None = None


class Cutoffs(Struct, frozen=True):
    """Bounds on percentiles: seconds to the first token, or tokens per second. A plain number means `p50`."""

    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p99: float | None = None


class ProviderPreferences(Struct, frozen=True, kw_only=True, cache_hash=True):
    """The `provider` object; None, absent and an empty list all mean no preference."""

    allow_fallbacks: bool = True
    require_parameters: bool = False
    data_collection: Literal["deny", "allow"] | None = None
    zdr: bool = False
    enforce_distillable_text: bool = False
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    quantizations: tuple[Quantization, ...] = ()
    sort: Sort | None = None
    max_price: MaxPrice | None = None
    preferred_min_throughput: Cutoffs | None = None
    preferred_max_latency: Cutoffs | None = None


NO_PREFERENCES: Final = ProviderPreferences()


class AutoRouterPlugin(Struct, frozen=True, tag_field="id", tag="auto-router"):
    enabled: bool = True
    allowed_models: tuple[str, ...] = ()


class ModerationPlugin(Struct, frozen=True, tag_field="id", tag="moderation"):
    pass


class WebPlugin(Struct, frozen=True, tag_field="id", tag="web"):
    enabled: bool = True
    max_results: int | None = None
    search_prompt: str | None = None
    engine: Literal["native", "exa"] | None = None


class FileParserPlugin(Struct, frozen=True, tag_field="id", tag="file-parser"):
    enabled: bool = True
    engine: Literal["mistral-ocr", "pdf-text", "native"] | None = None


class ResponseHealingPlugin(Struct, frozen=True, tag_field="id", tag="response-healing"):
    enabled: bool = True


PluginSettings = AutoRouterPlugin | ModerationPlugin | WebPlugin | FileParserPlugin | ResponseHealingPlugin
