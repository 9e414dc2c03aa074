"""How well models do, from 0 to 1, and who says so: the facts of `quality.toml`, and a guess where there is none.

What follows from it is the auto-router's (`plugins/auto_router.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log10
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from trunkline.catalog.entries import Endpoint

MOST_GUESSED: Final = 0.7
"""A guess is never better: it takes a fact, or an operator's word, to be asked the hardest things."""

USUAL_GUESS: Final = 0.35
"""Where no price says anything: that of a middling model."""

_CHEAP_USD, _DEAR_USD = 0.1, 20.0
_SHORT_CONTEXT: Final = 32_000


class SourceRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `[[sources]]`."""

    name: str
    url: str
    seen: str
    licence: str


class FactRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `[[facts]]`; the comment at the top of the file explains the keys."""

    models: tuple[str, ...]
    value: float
    measured: str
    source: str
    date: str
    later: tuple[str, ...] = ()


class QualityFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `quality.toml`."""

    sources: tuple[SourceRow, ...] = ()
    facts: tuple[FactRow, ...] = ()


class Quality(NamedTuple):
    """How well a model does, and who says so."""

    value: float
    source: str


def read_quality(text: str) -> Mapping[str, Quality]:
    """Read the facts, by slug; what was measured goes before what is said of a later model."""
    file = msgspec.toml.decode(text, type=QualityFile)
    found: dict[str, Quality] = {}
    for row in file.facts:
        for slug in row.models:
            found[slug] = Quality(row.value, f"{row.source} {row.date}")
    for row in file.facts:
        for slug in row.later:
            found.setdefault(slug, Quality(row.value, f"{row.source} {row.date}, of {row.models[0]}"))
    return found


def guess(endpoints: Iterable[Endpoint]) -> Quality:
    """Guess by what a model costs at the least and how much it reads: dear ones are better, short ones older."""
    prices, contexts = [], [0]
    for endpoint in endpoints:
        if endpoint.price is not None and endpoint.price.output:
            prices.append(float(endpoint.price.output) * 1_000_000)
        contexts.append(endpoint.context_tokens or 0)
    if not prices:
        return Quality(USUAL_GUESS, "guessed")
    share = log10(max(min(prices), _CHEAP_USD) / _CHEAP_USD) / log10(_DEAR_USD / _CHEAP_USD)
    value = MOST_GUESSED * min(share, 1.0)
    if 0 < max(contexts) < _SHORT_CONTEXT:
        value *= 0.8
    return Quality(round(value, 2), "guessed")
