"""Reads what a message of the assistant tells of its thoughts: `reasoning_details`, and the plain text beside them.

Texts and proofs are taken as they are, letter by letter; whether a proof is of use to anybody is not judged here.

Theory of operation. A client gives back the entries of a whole answer, or, where it collected a stream, every piece of
it. So entries are joined: a thought goes on while index, format and id are what they were. Behind its proof no text is
of it any more, since Claude thinks again between calls and proves each time; a later proof is. Where no index tells, a
proof is the end, and a second text another thought. What stands in `reasoning` or `reasoning_content` is the same
again, and counts only where the details say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from trunkline.protocol.items import Json, ReasoningFormat, ReasoningItem, ReasoningText
from trunkline.protocol.reading import Reader, any_text, array, mismatch, one_of_or, record
from trunkline.stream.seals import CLAUDE_FORMAT, is_ours, thought_item, unseal

_KINDS = frozenset(("reasoning.text", "reasoning.summary", "reasoning.encrypted"))


class Detail(Struct, frozen=True, gc=False):
    """One entry of `reasoning_details`."""

    text: str = ""
    summary: str = ""
    data: str = ""
    signature: str = ""
    format: ReasoningFormat | None = None
    id: str | None = None
    index: float | None = None


def read_details(value: Json) -> tuple[Detail, ...]:
    """Read `reasoning_details`; kinds of entries that are not known are left out, as sessions come from elsewhere."""
    return tuple(detail for detail in _read_details(value) if detail is not None)


def thoughts_of(details: Sequence[Detail], plain: str) -> list[ReasoningItem]:
    """The thoughts of one message, in order; `plain` is their text as it stands beside the details."""
    found: list[_Thought] = []
    for detail in details:
        if not found or not found[-1].goes_on(detail):
            found.append(_Thought(detail))
        else:
            found[-1].add(detail)
    items = [item for thought in found if (item := thought.item()) is not None]
    if not items:
        return [ReasoningItem(content=(ReasoningText(plain),))] if plain else []
    if plain and len(items) == 1 and _lacks_its_text(items[0]):
        return [replace(items[0], content=(ReasoningText(plain),))]
    return items


class _Thought:
    """One thought, as far as its entries are read."""

    def __init__(self, first: Detail) -> None:
        self._texts: list[str] = []
        self._summaries: list[list[str]] = []
        self._last = Detail(format=first.format, id=first.id, index=first.index)
        self._signature = self._data = ""
        self.add(first)

    def goes_on(self, detail: Detail) -> bool:
        """Whether an entry belongs to this thought."""
        last, is_proven = self._last, bool(self._signature or self._data)
        if not (_agree(last.format, detail.format) and _agree(last.id, detail.id)):
            return False
        if last.index is None or detail.index is None:
            return not (is_proven or (self._texts and detail.text))
        return last.index == detail.index and not (is_proven and detail.text)

    def add(self, detail: Detail) -> None:
        """Add an entry."""
        if detail.text:
            self._texts.append(detail.text)
        if detail.summary:
            if self._summaries and detail.index is not None:
                self._summaries[-1].append(detail.summary)
            else:
                self._summaries.append([detail.summary])
        self._signature, self._data = detail.signature or self._signature, detail.data or self._data
        last = self._last
        self._last = Detail(
            format=detail.format or last.format,
            id=last.id if detail.id is None else detail.id,
            index=last.index if detail.index is None else detail.index,
        )

    def item(self) -> ReasoningItem | None:
        """What the entries come to; None where they say nothing."""
        text, data, signature = "".join(self._texts), self._data, self._signature
        if not (text or self._summaries or data or signature):
            return None
        form = self._last.format
        if form is None and signature and not is_ours(signature):
            # Every other has a tag, and AI SDK's OpenRouter provider 2.10 takes it so too (dist/index.js, 2026-11-28).
            form = CLAUDE_FORMAT
        summary = tuple(map("".join, self._summaries))
        return thought_item(text, signature=signature, data=data, summary=summary, form=form or "")


def _agree(one: object, other: object) -> bool:
    return one is None or other is None or one == other


def _lacks_its_text(item: ReasoningItem) -> bool:
    """Whether a thought is a signature alone, which holds for a text that is not with it."""
    if item.content or item.summary:
        return False
    origin = unseal(item.encrypted_content or "")
    return bool(item.signature) if origin is None else not origin.blob and origin.packed is None


def _detail(value: Json) -> Detail | None:
    if not isinstance(value, dict):
        raise mismatch(value, "an object")
    kind = value.get("type")
    if not isinstance(kind, str):
        raise mismatch(kind, "a string", "type")
    return _read_detail(value) if kind in _KINDS else None


def _position(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise mismatch(value, "a number")
    return value


_read_detail: Reader[Detail] = record(
    Detail,
    {
        **dict.fromkeys(("text", "summary", "data", "signature", "id"), any_text),
        # Sessions move between gateways, which have other names for what only its issuer reads.
        "format": one_of_or(get_args(ReasoningFormat), "unknown"),
        "index": _position,
    },
)
_read_details = array(_detail)
