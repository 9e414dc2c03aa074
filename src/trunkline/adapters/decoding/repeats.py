"""What a provider says twice, told once.

Hosts that imitate another vendor's stream often fill the start of a piece, which the vendor leaves empty, and then
either go on from there or say all of it again. Which of both it is shows in what comes next, so the start is held.
"""

from __future__ import annotations


class HeldStart:
    """What the start of a piece said, held until what follows tells whether it is said again (MiniMax, as Messages)."""

    __slots__ = ("_since", "_start")

    def __init__(self, start: str) -> None:
        self._start = start
        self._since = ""

    def feed(self, text: str) -> str | None:
        """What is to be told, once it is known; None while what follows may be the start again."""
        self._since += text
        if self._since.startswith(self._start):
            return self._since
        return None if self._start.startswith(self._since) else self.end()

    def end(self) -> str:
        """What is to be told when nothing follows."""
        return self._start + self._since


def grown(before: str, again: str) -> str:
    """Join two pieces, of which the later may hold the earlier."""
    return again if again.startswith(before) else before + again


class Cumulative:
    """Pieces that each repeat all that came before (the quirk `deltas`)."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told = ""

    def news(self, text: str) -> str:
        """What of the next piece was not told yet."""
        if self._told.startswith(text):
            return ""
        before, self._told = self._told, grown(self._told, text)
        return self._told[len(before) :]
