"""One content block of a Messages answer while it is read, and as it is sent back.

What its pieces mean is `answer.py`'s.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.adapters.decoding.repeats import HeldStart
from trunkline.adapters.decoding.strange import read_loosely
from trunkline.adapters.messages.wire import Head, Piece
from trunkline.protocol.items import Json
from trunkline.protocol.opaque import AnthropicItem
from trunkline.stream.deltas import Delta, Opaque, Slot


class Block:
    """One content block being read; `start` and `end` are its place in the running text, in code points.

    `pieces` holds what was heard where it is needed again: queries of searches, and all of an answer that may pause.
    What the start of the block said is `held` where its pieces may go on from it, `given` where they replace it.
    `own` is a block that means nothing to anybody but Anthropic and its clients, as it was heard so far.
    """

    __slots__ = (
        "citations",
        "end",
        "given",
        "head",
        "held",
        "is_text",
        "own",
        "pieces",
        "signature",
        "slot",
        "start",
    )

    def __init__(self, head: Head, slot: Slot) -> None:
        self.head = head
        self.slot = slot
        self.start = self.end = 0
        self.is_text = False
        self.held: HeldStart | None = None
        self.given = ""
        self.citations: list[Json] = []
        self.pieces: list[str] = []
        self.signature = ""
        self.own: AnthropicItem | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it holds what is told only when it ends."""
        return bool(self.held is not None or self.given or self.own is not None or self.signature or self.citations)

    def hear_own(self, piece: Piece) -> None:
        """Hear a piece of a block that is Anthropic's own."""
        assert self.own is not None
        if piece.type == "input_json_delta":
            self.pieces.append(piece.partial_json or "")
        else:
            self.own = AnthropicItem({**self.own, **piece.compaction})

    def whole_own(self) -> AnthropicItem:
        """The block that is Anthropic's own, with the arguments that came in pieces."""
        assert self.own is not None
        heard = read_loosely("".join(self.pieces)) if self.pieces else None
        return self.own if heard is None else AnthropicItem({**self.own, "input": heard})

    def again(self) -> Raw | None:
        """The block as it is sent back when the provider paused; None for an empty text, which would be refused."""
        if self.own is not None:
            return Raw(msgspec.json.encode(self.whole_own()))
        head, heard = self.head, "".join(self.pieces)
        match head.type:
            case "text":
                again = {"type": "text", "text": heard} | ({"citations": self.citations} if self.citations else {})
                return Raw(msgspec.json.encode(again)) if heard else None
            case "thinking":
                return Raw(msgspec.json.encode({"type": "thinking", "thinking": heard, "signature": self.signature}))
            case _:
                arguments = Raw(heard.encode() or b"{}")
                return Raw(
                    msgspec.json.encode({"type": head.type, "id": head.id, "name": head.name, "input": arguments})
                )


def fill_citations(_: object, block: Block, piece: Piece) -> list[Delta]:
    """Gather a citation, which is told when all of its text is known."""
    block.citations.append(piece.citation)
    return []


def close_own(_: object, block: Block) -> list[Delta]:
    """Tell a block that is Anthropic's own."""
    return [Opaque(block.slot, block.whole_own(), is_done=True)]
