"""What of an answer is told before it is judged, when it is due to be judged, and how it ends when it is flagged.

Pure. Texts and the arguments of calls are judged. Nothing is held back while the answer lasts; its end is, since it
says whether the answer is complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trunkline.plugins.moderating import MAX_BYTES, OUTPUT_STEP
from trunkline.protocol.content import bytes_of
from trunkline.stream.deltas import Arguments, Began, Delta, Refusal, Spent, Stopped, Text


class OutputWatch:
    """One answer. `held` is its end, as far as it came."""

    def __init__(self) -> None:
        self.held: list[Delta] = []
        self._texts: list[str] = []
        self._bytes = self._judged_bytes = 0
        self._judged = 0  # characters at the front of the texts, kept for what comes after them

    def feed(self, batch: Sequence[Delta]) -> list[Delta]:
        """Take what came, and give what is told of it at once."""
        for delta in batch:
            if isinstance(delta, Text | Refusal | Arguments):
                self._texts.append(delta.text)
                self._bytes += bytes_of(delta.text)
        at = 0 if self.held else next((at for at, each in enumerate(batch) if isinstance(each, Stopped)), len(batch))
        self.held += batch[at:]
        return [*batch[:at]]

    @property
    def is_due(self) -> bool:
        """Whether enough has come since it was judged last."""
        return self._bytes - self._judged_bytes >= OUTPUT_STEP

    @property
    def is_unjudged(self) -> bool:
        """Whether anything has come since then."""
        return self._bytes > self._judged_bytes

    def take(self) -> str:
        """What is to be judged next, with what was told before it: of a very long text so much as is judged at once."""
        text = "".join(self._texts)
        end = min(len(text), max(MAX_BYTES, self._judged + MAX_BYTES // 2))
        start = max(0, end - MAX_BYTES)
        self._texts = [text[start:]]
        self._judged = end - start
        self._judged_bytes = self._bytes - bytes_of(text[end:])
        return text[start:end]

    def end(self, *, is_flagged: bool) -> list[Delta]:
        """The end of the answer."""
        held, self.held = self.held, []
        if not is_flagged:
            return held
        return [*(each for each in held if isinstance(each, Spent)), Stopped("content_filter")]


def withheld(heard: Iterable[Delta]) -> list[Delta]:
    """What is told of a whole answer that was flagged: what it cost, and that it was filtered."""
    return [*(each for each in heard if isinstance(each, Began | Spent)), Stopped("content_filter")]
