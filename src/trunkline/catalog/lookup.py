"""Recognising a slug or name whatever its spelling, and the ones nearest to it when it is not known.

It does not read variants such as `:nitro`: those are wishes about routing and no part of a model's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from typing import Final

MAX_SUGGESTED = 3

MAX_SUGGESTED_LENGTH = 200
"""Longer names get no suggestion: their length is the client's to choose, the time to compare them is ours."""

_SEPARATORS = re.compile(r"[\s._-]+")


AUTO_MODELS: Final = frozenset({"trunkline/auto", "openrouter/auto"})
"""The auto-router's names as a model, which is in no catalog."""


def is_auto(name: str) -> bool:
    """Whether a name is the auto-router's, in any case and with any suffixes."""
    lower = name.lower()
    return "/auto" in lower and lower.partition(":")[0].strip() in AUTO_MODELS


def fold_name(name: str) -> str:
    """Reduce a name to what its spellings share: "Amazon Bedrock", "AMAZON_BEDROCK", "amazon-bedrock" are one."""
    return _SEPARATORS.sub("", name).lower()


class Spellings:
    """The slugs that a model is meant by, in whatever spelling; made when it is first asked.

    `names` are slugs, each with a provider's own name of the model; `aliases` are other names with the slug that they
    stand for; `retired` are slugs that nobody serves any more.
    """

    __slots__ = ("_aliases", "_names", "_tiers")

    def __init__(
        self,
        names: Iterable[tuple[str, str]] = (),
        aliases: Iterable[tuple[str, str]] = (),
        retired: Iterable[str] = (),
    ) -> None:
        self._names = tuple(names)
        self._aliases = (*aliases, *((slug, slug) for slug in retired))
        self._tiers: tuple[dict[str, list[str]], ...] = ()

    def of(self, name: str) -> list[str]:
        """List the slugs that `name` may stand for, at most three; one alone where it is clear.

        A slug in another spelling wins over one without its author, that over a provider's own name, with the author
        or without, and that over an alias and the name of a model that is gone; of several the first that leaves no
        doubt.
        """
        if len(name) > MAX_SUGGESTED_LENGTH:
            return []
        folded = fold_name(name)
        found = [tier[folded] for tier in self._all() if folded in tier]
        return next((slugs for slugs in found if len(slugs) == 1), found[0][:MAX_SUGGESTED] if found else [])

    def _all(self) -> tuple[dict[str, list[str]], ...]:
        if not self._tiers:
            slugs: dict[str, dict[str, None]] = {}
            own: dict[str, dict[str, None]] = {}
            bare: dict[str, dict[str, None]] = {}
            for slug, upstream_model in self._names:
                author, _, name = slug.partition("/")
                slugs.setdefault(fold_name(slug), {})[slug] = None
                bare.setdefault(fold_name(name), {})[slug] = None
                for spelled in (upstream_model, f"{author}/{upstream_model}"):
                    own.setdefault(fold_name(spelled), {})[slug] = None
            other: dict[str, dict[str, None]] = {}
            for alias, slug in self._aliases:
                for spelled in (alias, alias.partition("/")[2]):
                    other.setdefault(fold_name(spelled), {})[slug] = None
            tiers = (slugs, bare, own, other)
            self._tiers = tuple({name: list(found) for name, found in tier.items()} for tier in tiers)
        return self._tiers


def nearest(pairs: Mapping[str, frozenset[str]], slug: str, limit: int = MAX_SUGGESTED) -> list[str]:
    """Name the slugs most like a mistyped one, best first; the same input, the same list.

    They share at least half their letter pairs with it; the longer the beginning that they share, the better, since
    what is written first says more of what a model is than what follows.

    An edit distance would let anyone with a key hold the event loop by asking for long names.
    """
    if len(slug) > MAX_SUGGESTED_LENGTH:
        return []
    wanted = letter_pairs(slug)
    scored = ((2 * len(wanted & known) / (len(wanted) + len(known) or 1), name) for name, known in pairs.items())
    folded = fold_name(slug)
    best = sorted((-_shared(folded, fold_name(name)), -score, name) for score, name in scored if score >= 0.5)
    return [name for *_, name in best[:limit]]


def _shared(one: str, other: str) -> int:
    """How many letters two names begin alike with."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in alike)


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
