"""A thought while it is told, and what its client is given as its proof.

What stands as one, and how it is read again, is said in `stream/seals.py`. When a thought begins and ends is
`telling.py`'s.
"""

from __future__ import annotations

from trunkline.faces.messages.told_blocks import THOUGHT, Blocks, hidden_thought, new_thought
from trunkline.stream.deltas import ReasoningSeal, Slot
from trunkline.stream.seals import CLAUDE_FORMAT, Seal, origin_of, sign


class ToldThought:
    """An open thought. Its block begins with its first text; `is_over` says that no more text belongs to it."""

    __slots__ = ("_has_begun", "_origin", "_part", "is_over", "slot")

    def __init__(self, slot: Slot, *, after_text: bool = False, calls_before: int = 0) -> None:
        self.slot = slot
        self.is_over = False
        self._has_begun = False
        self._part: int | None = None
        self._origin = Seal(endpoint_id="", after_text=after_text, calls_before=calls_before)

    def hear(self, text: str, part: int | None, blocks: Blocks) -> None:
        """Go on with a text, which is not empty; `part` is that of a summary."""
        if not self._has_begun:
            self._has_begun = True
            blocks.begin(new_thought(), THOUGHT)
        elif part != self._part:
            text = "\n\n" + text
        self._part = part
        blocks.add(text)

    def seal(self, said: ReasoningSeal) -> None:
        """Keep a proof; a later one replaces only what it says."""
        self._origin = origin_of(said, self._origin)

    def finish(self, blocks: Blocks) -> None:
        """Tell its proof, and end it."""
        origin = self._origin
        is_left_out = origin.form == CLAUDE_FORMAT and bool(origin.signature)
        if not self._has_begun and not is_left_out:
            blocks.begin(hidden_thought(sign(origin, is_data=True, is_in_order=True)))
        else:
            if not self._has_begun:
                blocks.begin(new_thought(), THOUGHT)  # Claude's, who was asked to leave out the text
            blocks.sign(sign(origin, is_in_order=True))
        blocks.finish()
