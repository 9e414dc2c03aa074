"""Long texts made of others: grown in place by short pieces, where one call would hold up all other threads.

Only what may be long is worth it; see `piecemeal.py` for when a text grows in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

_LONG: Final = 1_000_000
_PIECE: Final = 32 * 1024


def text_from(text: str, start: int) -> str:
    """What is left of a text from a place on."""
    return text[start:] if len(text) - start < _LONG else _grown(_pieces(text, start))


def joined(between: str, texts: Iterable[str]) -> str:
    """Join texts with another one between them."""
    parts = list(texts)
    if len(parts) < 2 or sum(map(len, parts)) < _LONG:
        return between.join(parts)
    return _grown(piece for at, part in enumerate(parts) for piece in (between * (at > 0), *_pieces(part, 0)))


def _pieces(text: str, start: int) -> Iterator[str]:
    return (text[at : at + _PIECE] for at in range(start, len(text), _PIECE))


def _grown(pieces: Iterable[str]) -> str:
    text = ""
    for piece in pieces:
        text += piece
    return text
