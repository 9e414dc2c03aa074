"""Readers of the `provider` preferences and the `plugins` settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import get_args

from trunkline.protocol.body import decode_prices
from trunkline.protocol.items import Json
from trunkline.protocol.preferences import (
    AutoRouterPlugin,
    Cutoffs,
    FileParserPlugin,
    MaxPrice,
    ModerationPlugin,
    Partition,
    PluginSettings,
    ProviderPreferences,
    Quantization,
    ResponseHealingPlugin,
    Sort,
    SortBy,
    WebPlugin,
)
from trunkline.protocol.reading import Reader, array, flag, mismatch, named, number, one_of, record, tagged, text, whole

_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
_MAX_USD = Decimal(10) ** 12
_MAX_SEARCH_RESULTS = 25
_MAX_PATTERNS, _MAX_PATTERN = 256, 256

_some_text = text(at_least=1)
_names = array(_some_text)
_patterns = array(text(at_least=1, at_most=_MAX_PATTERN), at_most=_MAX_PATTERNS)


def keep_exact_prices(raw: Mapping[str, Json], body: bytes | bytearray) -> None:
    """Put the prices of `provider.max_price` as they are written in the body in the place of nearest numbers."""
    provider = raw.get("provider")
    if isinstance(provider, dict) and provider.get("max_price") is not None:
        provider["max_price"] = decode_prices(body)


# Provider preferences


def _usd(value: Json) -> Decimal:
    """Read an amount, a number or a string; fractional numbers come as Decimal, see `body.decode_prices`."""
    if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool):
        spelled = str(value)
        if _DECIMAL.fullmatch(spelled) and (amount := Decimal(spelled)) <= _MAX_USD:
            return amount
    raise mismatch(value, "an amount in USD, a number or a string, of at least 0")


def _sort(value: Json) -> Sort:
    if isinstance(value, dict):
        return _sort_object(value)
    if not isinstance(value, str) or value not in _SORTS:
        raise mismatch(value, f"{named(_SORTS)}, or an object with by and partition")
    return _SORTS[value]


def _cutoffs(value: Json) -> Cutoffs:
    if isinstance(value, dict):
        return _cutoffs_object(value)
    if isinstance(value, (list, str, bool)):
        raise mismatch(value, "a number, or an object with p50, p75, p90 and p99")
    return Cutoffs(p50=_bound(value))


_bound = number(0)
_sort_by = one_of(get_args(SortBy))
_sort_object = record(Sort, {"by": _sort_by, "partition": one_of(get_args(Partition))})
_cutoffs_object = record(Cutoffs, {"p50": _bound, "p75": _bound, "p90": _bound, "p99": _bound})
_SORTS: Mapping[str, Sort] = {by: Sort(by=by) for by in get_args(SortBy)}

read_preferences: Reader[ProviderPreferences] = record(
    ProviderPreferences,
    {
        "allow_fallbacks": flag,
        "require_parameters": flag,
        "data_collection": one_of(("deny", "allow")),
        "zdr": flag,
        "enforce_distillable_text": flag,
        "order": _names,
        "only": _names,
        "ignore": _names,
        "quantizations": array(one_of(get_args(Quantization))),
        "sort": _sort,
        "max_price": record(MaxPrice, dict.fromkeys(("prompt", "completion", "image", "audio", "request"), _usd)),
        "preferred_min_throughput": _cutoffs,
        "preferred_max_latency": _cutoffs,
    },
    closed=True,
)


# Plugins


def _file_parser(*, enabled: bool = True, pdf: FileParserPlugin | None = None) -> FileParserPlugin:
    return FileParserPlugin(enabled=enabled, engine=pdf.engine if pdf else None)


_PLUGINS: Mapping[str, Reader[PluginSettings]] = {
    "auto-router": record(AutoRouterPlugin, {"enabled": flag, "allowed_models": _patterns}),
    "moderation": record(ModerationPlugin, {}),
    "web": record(
        WebPlugin,
        {
            "enabled": flag,
            "max_results": whole(1, _MAX_SEARCH_RESULTS),
            "search_prompt": text(),
            "engine": one_of(("native", "exa")),
        },
    ),
    "file-parser": record(
        _file_parser,
        {
            "enabled": flag,
            "pdf": record(FileParserPlugin, {"engine": one_of(("mistral-ocr", "pdf-text", "native"))}),
        },
    ),
    "response-healing": record(ResponseHealingPlugin, {"enabled": flag}),
}
_plugins = array(tagged(_PLUGINS, key="id"))


def read_plugins(value: Json) -> tuple[PluginSettings, ...]:
    """Read `plugins`; of two with the same id the last wins."""
    return tuple({type(plugin): plugin for plugin in _plugins(value)}.values())
