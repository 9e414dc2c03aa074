"""Recognising a slug or name whatever its spelling, and the ones nearest to it when it is not known.

It does not read variants such as `:nitro`: those are wishes about routing and no part of a model's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

MAX_SUGGESTED_LENGTH = 200
"""Longer names get no suggestion: their length is the client's to choose, the time to compare them is ours."""

_SEPARATORS = re.compile(r"[\s._-]+")


def fold_name(name: str) -> str:
    """Reduce a name to what its spellings share: "Amazon Bedrock", "AMAZON_BEDROCK", "amazon-bedrock" are one."""
    return _SEPARATORS.sub("", name).lower()


def nearest(pairs: Mapping[str, frozenset[str]], slug: str, limit: int = 3) -> list[str]:
    """Name the slugs that share most letter pairs with a mistyped one, best first; the same input, the same list.

    An edit distance would let anyone with a key hold the event loop by asking for long names.
    """
    if len(slug) > MAX_SUGGESTED_LENGTH:
        return []
    wanted = letter_pairs(slug)
    scored = ((2 * len(wanted & known) / (len(wanted) + len(known) or 1), name) for name, known in pairs.items())
    best = sorted((-score, name) for score, name in scored if score >= 0.5)
    return [name for _, name in best[:limit]]


class LetterPairs(Mapping[str, frozenset[str]]):
    """The letter pairs of many slugs, cut when they are first looked at: most gateways are never asked for a typo."""

    __slots__ = ("_pairs", "_slugs")

    def __init__(self, slugs: Iterable[str]) -> None:
        self._slugs = tuple(slugs)
        self._pairs: dict[str, frozenset[str]] = {}

    def __getitem__(self, slug: str) -> frozenset[str]:
        return self._cut()[slug]

    def __iter__(self) -> Iterator[str]:
        return iter(self._slugs)

    def __len__(self) -> int:
        return len(self._slugs)

    def _cut(self) -> dict[str, frozenset[str]]:
        if not self._pairs:
            self._pairs = {slug: letter_pairs(slug) for slug in self._slugs}
        return self._pairs


def letter_pairs(slug: str) -> frozenset[str]:
    """Cut a slug into its overlapping pairs of letters."""
    return frozenset(slug[start : start + 2] for start in range(len(slug) - 1))
