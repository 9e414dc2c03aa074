"""A call of one of the client's tools while it is told.

When it begins and ends is `telling.py`'s. Here is what it may say until then: all but the sign that makes its input
whole. That is kept back until the call is known to be done, so that no client can take one that was cut for whole.
"""

from __future__ import annotations

import re
from typing import Final

from trunkline.faces.messages.told_blocks import INPUT, Blocks, new_call
from trunkline.protocol.render import render_text
from trunkline.stream.deltas import FunctionCall

_SIGNS: Final = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


class ToldCall:
    """`is_closed` says that no more arguments belong to it; `call_id` is unique in its answer."""

    __slots__ = (
        "_depth", "_has_opened", "_has_said", "_held", "_is_escaped", "_is_inside", "_waiting",
        "call_id", "is_closed", "said",
    )  # fmt: skip

    def __init__(self, said: FunctionCall, call_id: str) -> None:
        self.said = said
        self.call_id = call_id
        self.is_closed = False
        self._waiting: list[str] = []
        self._held: list[str] = []
        self._has_said = self._has_opened = False
        self._depth = 0
        self._is_inside = self._is_escaped = False

    @property
    def is_custom(self) -> bool:
        """Whether it says raw text, which is told as the one member of its input."""
        return self.said.kind == "custom"

    @property
    def is_done(self) -> bool:
        """Whether nothing more of it is to come, as far as can be seen: half a script is a script."""
        return self.is_closed or self._is_whole

    @property
    def _is_whole(self) -> bool:
        return self._has_opened and self._depth <= 0 and not self._is_inside

    def begin(self, blocks: Blocks) -> None:
        """Begin to tell it, with what it has said already."""
        blocks.begin(new_call(self.call_id, self.said.name or self.said.kind, self.said.anthropic), INPUT)
        if self.is_custom:
            blocks.add('{"input":"')
        self.go_on(blocks)

    def hear(self, text: str) -> None:
        """Take a piece of its arguments, which is not empty."""
        if not self._has_said and not self.is_custom and text.strip() in ("", "null"):
            return  # some models write the latter for a tool without parameters
        self._waiting.append(text)
        self._has_said = True
        if not self.is_custom:
            self._look(text)

    def go_on(self, blocks: Blocks) -> None:
        """Tell what it has said since."""
        text = "".join(self._waiting)
        self._waiting.clear()
        if text and self.is_custom:
            blocks.add(render_text(text)[1:-1].decode())
            return
        last = max(text.rfind("}"), text.rfind("]")) if self._is_whole else len(text)
        if last >= 0:
            text, self._held = "".join((*self._held, text[:last])), [text[last:]]
            if text:
                blocks.add(text)
        else:
            # Some models go on with blanks without end: each is put beside the others, and none is joined twice.
            self._held.append(text)

    def finish(self, blocks: Blocks) -> None:
        """End it, as one that may be made."""
        rest = "".join(self._held) if self._has_said else "{}"
        if self.is_custom:
            rest = '"}'
        if rest:
            blocks.add(rest)
        blocks.finish()

    def cut(self, blocks: Blocks) -> None:
        """End it, as one of which the rest is missing."""
        if not self._has_said and not self.is_custom:
            blocks.add("{")  # clients take an input that is empty for an empty one
        blocks.cut()

    def _look(self, text: str) -> None:
        """Follow how deep in its JSON it stands."""
        start, self._is_escaped = int(self._is_escaped), False
        for found in _SIGNS.finditer(text, start):
            sign = found[0]
            if sign[0] == "\\":
                self._is_escaped = len(sign) == 1
            elif sign == '"':
                self._is_inside = not self._is_inside
            elif self._is_inside:
                continue
            elif sign in "{[":
                self._depth += 1
                self._has_opened = True
            else:
                self._depth -= 1
