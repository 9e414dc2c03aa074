"""Lists of words and patterns that may stand nowhere, looked for in texts.

Pure. Words are looked for in any case and in any spelling of the same letters, and through what nobody sees; what is
found is told by its kind alone, for who reads of it may be who tries the list out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from trunkline.catalog.moderators import Moderator
from trunkline.plugins.schema_check import Pattern, pattern_of

_UNSEEN: Final = dict.fromkeys(
    (0xAD, 0x34F, 0x61C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070))
)
"""Characters that show nothing and would stand in the middle of a word."""


class Words:
    """One list; texts come in, and for each the kinds of what is in it."""

    def __init__(self, words: Iterable[str], patterns: Sequence[Pattern] = ()) -> None:
        self._words = tuple(dict.fromkeys(folded for word in words if (folded := _folded(word))))
        self._patterns = patterns

    def __call__(self, texts: Sequence[str]) -> tuple[tuple[str, ...] | None, ...]:
        """Look through texts; None for one in which nothing is."""
        return tuple(map(self._found, texts))

    def _found(self, text: str) -> tuple[str, ...] | None:
        folded = _folded(text) if self._words else ""
        found = []
        # In a pattern the case may matter, and where lines end.
        if self._patterns and any(fits(plain) for plain in (_plain(text),) for fits in self._patterns):
            found.append("patterns")
        if any(word in folded for word in self._words):
            found.append("words")
        return tuple(found) or None


def lists_of(moderators: Iterable[Moderator]) -> dict[str, Words]:
    """Make the lists of the engines that have one.

    Raises ValueError, with where it stands, for a pattern that cannot be used.
    """
    return {each.name: Words(each.words, _patterns(each)) for each in moderators if each.kind == "words"}


def _patterns(moderator: Moderator) -> list[Pattern]:
    patterns = []
    for place, pattern in enumerate(moderator.patterns):
        try:
            patterns.append(pattern_of(pattern))
        except ValueError as error:
            raise ValueError(f"moderation.{moderator.name}.patterns[{place}] {error}") from None
    return patterns


def _plain(text: str) -> str:
    whole = text.encode("utf-8", "replace").decode()  # halves of characters are nothing to match
    return unicodedata.normalize("NFKC", whole).translate(_UNSEEN)


def _folded(text: str) -> str:
    """A text as it is compared: one spelling of each letter, no case, one space where there is any white space."""
    folded = unicodedata.normalize("NFKC", _plain(text).casefold())
    return " ".join(folded.split())
