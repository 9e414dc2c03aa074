"""One content block of a Messages answer while it is read, and as it is sent back.

What its pieces mean is `answer.py`'s.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.adapters.decoding.repeats import HeldStart
from trunkline.adapters.messages.wire import Head
from trunkline.protocol.items import Json
from trunkline.stream.deltas import Slot


class Block:
    """One content block being read; `start` and `end` are its place in the running text, in code points.

    `pieces` holds what was heard where it is needed again: queries of searches, and all of an answer that may pause.
    What the start of the block said is `held` where its pieces may go on from it, `given` where they replace it.
    """

    __slots__ = (
        "citations",
        "end",
        "given",
        "head",
        "held",
        "is_text",
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

    def again(self) -> Raw | None:
        """The block as it is sent back when the provider paused; None for an empty text, which would be refused."""
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
