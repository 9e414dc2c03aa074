"""The suffixes of a model's name that are wishes, not names: `:nitro`, `:floor`, `:online`, `:exacto` and their like.

A catalog may hold `author/name:free` as a model of its own, with its own endpoints and prices; then it is meant.
What a wish asks of the request itself is done before planning and not here: the parser turns thinking on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trunkline.catalog.entries import Endpoint
from trunkline.errors import NotFound
from trunkline.routing.explanation import By
from trunkline.routing.filters import EndpointsOf, Filter, supports

SORTED: Final[dict[str, By]] = {"nitro": "throughput", "floor": "price", "exacto": "quality"}
_SHORTCUTS: Final = frozenset({*SORTED, "online"})
_NARROWING: Final = frozenset({"free", "extended", "thinking"})


def resolve(name: str, endpoints_of: EndpointsOf) -> tuple[tuple[Endpoint, ...], tuple[str, ...]]:
    """Find the endpoints a model's name stands for, and the wishes that its suffixes make.

    Raises NotFound as `endpoints_of` does, naming the model without its shortcuts.
    """
    base, _, suffixes = name.partition(":")
    given = [suffix.strip().lower() for suffix in suffixes.split(":")]
    wishes = tuple(suffix for suffix in given if suffix in _SHORTCUTS)
    kept = [suffix for suffix in given if suffix not in _SHORTCUTS]
    if not kept or not _NARROWING.issuperset(kept):
        return endpoints_of(":".join([base, *kept])), wishes
    try:
        return endpoints_of(":".join([base, *kept])), wishes
    except NotFound:
        return endpoints_of(base), (*wishes, *kept)


def narrowing(wishes: Sequence[str], endpoints: Sequence[Endpoint]) -> list[Filter]:
    """The filters that stand in for a variant which the catalog does not hold as a model of its own."""
    found = []
    if "free" in wishes:
        found.append(Filter(":free", _free))
    if "thinking" in wishes:
        found.append(Filter(":thinking", _thinking))
    if "extended" in wishes:
        longest = max((endpoint.context_tokens or 0 for endpoint in endpoints), default=0)
        found.append(Filter(":extended", lambda endpoint: _extended(endpoint, longest)))
    return found


def _free(endpoint: Endpoint) -> str | None:
    price = endpoint.price
    is_free = price is not None and not (price.input or price.output or price.request)
    return None if is_free else "is not free"


def _thinking(endpoint: Endpoint) -> str | None:
    return None if supports(endpoint, "reasoning") else "does not reason"


def _extended(endpoint: Endpoint, longest: int) -> str | None:
    return None if (endpoint.context_tokens or 0) >= longest else f"has a shorter context than {longest} tokens"
