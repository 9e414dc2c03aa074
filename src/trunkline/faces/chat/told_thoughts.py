"""A thought while it is told: under three names at once, and with its proof.

Clients read thoughts as `reasoning` (OpenRouter's), as `reasoning_content` (Cline, Roo Code, the AI SDK's
openai-compatible provider) or as `reasoning_details`, which alone can be sent back with its proof. There a thought is
what has one index. Clients join its pieces in their own ways: LangChain adds up every text of one index, the AI SDK's
OpenRouter provider keeps the first value of a member (both seen 2026-11-28). So format, signature and data are told
once, and not before they are known. When thoughts begin and end is `telling.py`'s.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from trunkline.faces.chat.spelling import ChoiceDelta, Detail, EncryptedDetail, SummaryDetail, TextDetail
from trunkline.stream.deltas import ReasoningSeal, Slot
from trunkline.stream.seals import CLAUDE_FORMAT, Seal, origin_of, sign

_GAP: Final = "\n\n"


class Thought:
    """One thought. `after_text` and `calls_before` say where in the answer it began, `index` which it is.

    In the plain names thoughts and their parts follow one another, so a gap is told between them: `has_said` says that
    something of this one or of one before it was told there.
    """

    __slots__ = ("_has_raw", "_origin", "_part", "has_said", "index", "slot")

    def __init__(self, slot: Slot, index: int, *, after_text: bool, calls_before: int, has_said: bool) -> None:
        self.slot = slot
        self.index = index
        self._origin = Seal(endpoint_id="", after_text=after_text, calls_before=calls_before)
        self._has_raw = False
        self.has_said = has_said
        self._part: int | None = None

    def think(self, text: str) -> ChoiceDelta:
        """Tell more of the raw thought."""
        has_gap = self.has_said and not self._has_raw
        self._has_raw = self.has_said = True
        return _told(text, TextDetail(text, self.index), has_gap=has_gap)

    def sum_up(self, text: str, part: int) -> ChoiceDelta:
        """Tell more of a summary; another `part` is the next one."""
        is_next = self._part is not None and part != self._part
        has_gap = is_next or (self.has_said and self._part is None)
        self._part, self.has_said = part, True
        detail = SummaryDetail(_GAP + text if is_next else text, self.index)
        return _told(text, detail, has_gap=has_gap)

    def seal(self, said: ReasoningSeal) -> ChoiceDelta | None:
        """Tell a proof, with all that was proven before; None where nothing is said of it.

        A signature stands on the text that it holds for; where that is hidden, only Claude's is one without text.
        """
        before, form = self._origin, said.format
        origin = self._origin = replace(
            origin_of(said, before), after_text=before.after_text, calls_before=before.calls_before
        )
        detail: Detail
        if not (said.encrypted or said.signature):
            if said.is_awaited or form == "unknown":
                return None
            is_summary = self._part is not None and not self._has_raw
            detail = SummaryDetail("", self.index, form) if is_summary else TextDetail("", self.index, UNSET, form)
        elif origin.signature and (self._has_raw or (form == CLAUDE_FORMAT and not origin.blob)):
            detail = TextDetail("", self.index, sign(origin), form)
        else:
            detail = EncryptedDetail(sign(origin, is_data=True), self.index, form, origin.item_id or UNSET)
        return ChoiceDelta(reasoning_details=(detail,))


def _told(text: str, detail: Detail, *, has_gap: bool) -> ChoiceDelta:
    plain = _GAP + text if has_gap else text
    return ChoiceDelta(reasoning=plain, reasoning_content=plain, reasoning_details=(detail,))
