"""Ends an answer at the first of a few texts, wherever the cuts between its pieces fall.

It is put behind every dialect, since some have no word for such texts and some servers pass over it. What the provider
itself stops at never gets here.

Theory of operation. Text is heard piece by piece, and told but for its end where that may be the beginning of a stop
text: at most one character less than the longest. Of the stop texts the one that is complete first ends the answer,
before where it begins; nothing that follows is told but what was spent. Whatever else than text comes lets go what was
held back, for a stop text lies within one piece of output; but a citation says nothing, and passes by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from trunkline.protocol.items import Logprob
from trunkline.stream.deltas import Citation, Delta, Slot, Spent, Stopped, Text


def place_of_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where a text ends because of a stop text in it, the one that is complete first; None where it holds none."""
    found = first_stop(text, stops)
    return None if found is None else found[0]


def first_stop(text: str, stops: Sequence[str]) -> tuple[int, str] | None:
    """The stop text of a text that is complete first, of several the longest, and where it begins."""
    found = [(place + len(stop), place, stop) for stop in stops if (place := text.find(stop)) >= 0]
    return min(found)[1:] if found else None


def sole_stop(stops: Sequence[str]) -> str | None:
    """Which stop text ended an answer, where its provider says only that one did: known where there is but one."""
    return stops[0] if len(stops) == 1 else None


class StopWords:
    """Hears the deltas of one answer; `stops` are not empty.

    `is_over` turns true when one of them was heard: nothing more of the answer counts.
    """

    __slots__ = ("_held", "_longest", "_sequence", "_slot", "_stops", "is_over")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._longest = max(map(len, stops))
        self._held: list[Text] = []
        self._slot: Slot = None
        self._sequence: str | None = None
        self.is_over = False

    @property
    def is_holding(self) -> bool:
        """Whether something was heard that is not told yet."""
        return bool(self._held)

    def hear(self, deltas: Iterable[Delta]) -> list[Delta]:
        """Give on what may be told of some deltas, `Stopped` last where a stop text was in them."""
        told: list[Delta] = []
        was_over = self.is_over
        if was_over:
            return told
        for delta in deltas:
            if self.is_over:
                if isinstance(delta, Spent):
                    told.append(delta)
            elif isinstance(delta, Text):
                told += self._text(delta)
            elif isinstance(delta, Citation | Spent):
                told.append(delta)
            else:
                told += self.rest()
                told.append(delta)
        if self.is_over:
            told.append(Stopped("stop", self._sequence))
        return told

    def rest(self) -> list[Text]:
        """Let go what is held back: no stop text comes of it."""
        held, self._held = self._held, []
        return held

    def _text(self, delta: Text) -> list[Text]:
        if not (delta.text or delta.logprobs):
            return []
        before = self.rest() if delta.slot != self._slot else []
        self._slot = delta.slot
        pieces, self._held = [*self._held, delta], []
        said = "".join(piece.text for piece in pieces)
        found = first_stop(said, self._stops)
        if found is not None:
            place, self._sequence = found
            self.is_over = True
            return [*before, *_split(pieces, place)[0]]
        told, self._held = _split(pieces, len(said) - self._begun(said))
        return [*before, *told]

    def _begun(self, said: str) -> int:
        """How many characters at the end may be the beginning of a stop text."""
        for length in range(min(len(said), self._longest - 1), 0, -1):
            if any(stop.startswith(said[-length:]) for stop in self._stops):
                return length
        return 0


def _split(pieces: Sequence[Text], place: int) -> tuple[list[Text], list[Text]]:
    """Cut pieces in two at a character; log probabilities stay with the text they begin in."""
    before: list[Text] = []
    for index, piece in enumerate(pieces):
        if len(piece.text) > place:
            head, tail = _logprobs(piece.logprobs, place)
            if place:
                before.append(replace(piece, text=piece.text[:place], logprobs=head))
            return before, [replace(piece, text=piece.text[place:], logprobs=tail), *pieces[index + 1 :]]
        before.append(piece)
        place -= len(piece.text)
    return before, []


def _logprobs(logprobs: tuple[Logprob, ...], place: int) -> tuple[tuple[Logprob, ...], tuple[Logprob, ...]]:
    at, heard = 0, 0
    while at < len(logprobs) and heard < place:
        heard += len(logprobs[at].token)
        at += 1
    return logprobs[:at], logprobs[at:]
